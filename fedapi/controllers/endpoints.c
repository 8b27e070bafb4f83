/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.c: keeps the published objects of each Service equal to what the clusters show.
 *
 * Data's way: member Service, EndpointSlices, Nodes -> slices.c (pure) -> difference to the hub's objects -> one write
 * at a time. A cluster that cannot be seen is left out of the comparison: what was published for it stays.
 */
#include "fedapi/controllers/endpoints.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fedapi/controllers/due.h"
#include "fedapi/controllers/jobs.h"
#include "fedapi/controllers/slices.h"

static const struct fed_resource imports_resource = {"multicluster.x-k8s.io", "v1alpha1", "serviceimports",
                                                     "ServiceImport", true};
static const struct fed_resource slices_resource = {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true};

struct fapi_endpoints {
    struct fapi_federation *fed;
    struct fapi_kind *services, *ingresses; /* ingresses: NULL when the hub has none */
    struct fed_informer *imports, *slices;  /* of the hub */
    struct fed_workqueue *queue;            /* "NS/NAME" of Services */
    struct fapi_jobs jobs;
};

/* One reconcile of one Service. */
struct work {
    struct fapi_endpoints *e;
    struct fed_arena arena;
    const char *key;
    struct fed_str ns, name;
    struct fed_json *wanted; /* array of EndpointSlices */
    struct fed_str *blind;   /* clusters that cannot be seen */
    size_t n_blind;
    bool wrote;
};

static int answered(struct fapi_job *job FED_UNUSED, int code, const struct fed_call_response *res FED_UNUSED,
                    const struct fed_err *err FED_UNUSED)
{
    if (code == FED_E_NOT_FOUND || code == FED_E_ALREADY_EXISTS || code == FED_E_CONFLICT)
        code = 0; /* the informer will tell what is there now, and the key comes again */
    return code;
}

/* Starts one write; the key is looked at again when the hub's informer shows it. */
static struct fapi_job *start(struct work *w)
{
    struct fapi_job *job = fapi_job_new(&w->e->jobs, w->e->queue, w->key, w->e);
    job->finish = answered;
    w->wrote = true;
    return job;
}

static bool same_part(const struct fed_json *want, const struct fed_json *have, const char *part)
{
    return fed_json_equal_filled(fed_json_find(want, part), fed_json_find(have, part));
}

static bool same_object(const struct fed_json *want, const struct fed_json *have)
{
    const struct fed_json *wm = fed_json_find(want, "metadata"), *hm = fed_json_find(have, "metadata");
    return same_part(wm, hm, "labels") && same_part(wm, hm, "annotations") && same_part(want, have, "addressType") &&
           same_part(want, have, "endpoints") && same_part(want, have, "ports") && same_part(want, have, "spec") &&
           (!fed_json_find(want, "status") || same_part(want, have, "status"));
}

/* Creates or replaces one wanted object if it is not there as wanted. */
static void ensure(struct work *w, const struct fed_resource *r, struct fed_informer *inf, struct fed_json *want)
{
    struct fed_transport *hub = w->e->fed->hub;
    struct fed_kobj *have = fed_informer_find(inf, w->ns, fed_obj_name(want));
    if (!have) {
        struct fapi_job *job = start(w);
        job->call = fed_client_create(hub, r, w->ns, want, fapi_job_answered, job);
        return;
    }
    struct fed_json *now = fed_kobj_parse(have, &w->arena);
    if (same_object(want, now))
        return;
    struct fed_json *meta = fed_obj_metadata(&w->arena, want);
    fed_json_set(meta, "resourceVersion", fed_json_new_strf(&w->arena, "%llu", (unsigned long long)have->rev));
    struct fapi_job *job = start(w);
    job->call = fed_client_update(hub, r, want, "", fapi_job_answered, job);
}

static bool is_blind(const struct work *w, struct fed_str cluster)
{
    for (size_t i = 0; i < w->n_blind; i++)
        if (fed_str_eq(w->blind[i], cluster))
            return true;
    return false;
}

struct pick { /* fed_informer_each_labeled callback state: objects of one service */
    struct work *w;
    struct fed_kobj **found;
    size_t n, cap;
};

static bool pick_one(void *ud, struct fed_kobj *o)
{
    struct pick *p = ud;
    FED_ARENA_ROOM(&p->w->arena, p->found, p->n, p->cap, 8);
    p->found[p->n++] = o;
    return true;
}

static void delete_unwanted(struct work *w)
{
    struct pick have = {.w = w};
    fed_informer_each_labeled(w->e->slices, w->ns, w->name, pick_one, &have);
    for (size_t i = 0; i < have.n && !w->wrote; i++) {
        struct fed_kobj *o = have.found[i];
        bool wanted = is_blind(w, fed_kobj_label(o, FAPI_LABEL_CLUSTER));
        FED_JSON_EACH(s, w->wanted)
            wanted |= fed_str_eq(fed_obj_name(s), o->name);
        if (wanted || !fed_str_is(fed_kobj_label(o, FAPI_LABEL_MANAGED_BY), FAPI_SLICES_MANAGER))
            continue;
        struct fapi_job *job = start(w);
        job->call =
            fed_client_delete(w->e->fed->hub, &slices_resource, o->ns, o->name, NULL, o->uid, fapi_job_answered, job);
    }
}

static int by_name(const void *a, const void *b)
{
    return fed_str_cmp((*(struct fed_kobj *const *)a)->name, (*(struct fed_kobj *const *)b)->name);
}

struct node_list {
    struct fed_arena *arena;
    const struct fed_json **nodes;
    size_t n, cap;
};

static bool add_node(void *ud, struct fed_kobj *o)
{
    struct node_list *l = ud;
    if (l->n < l->cap)
        l->nodes[l->n++] = fed_kobj_parse(o, l->arena);
    return true;
}

static void want_from_member(struct work *w, const struct fed_json *hub_service, const struct fapi_member *m,
                             struct fed_kobj *service)
{
    struct pick found = {.w = w};
    size_t n_nodes = fed_informer_count(m->nodes);
    struct node_list nodes = {&w->arena, FED_ARENA_ARRAY(&w->arena, const struct fed_json *, n_nodes + 1), 0, n_nodes};
    fed_informer_each_labeled(m->slices, w->ns, w->name, pick_one, &found);
    if (found.n)
        qsort(found.found, found.n, sizeof(*found.found), by_name);
    const struct fed_json **slices = FED_ARENA_ARRAY(&w->arena, const struct fed_json *, found.n + 1);
    for (size_t i = 0; i < found.n; i++)
        slices[i] = fed_kobj_parse(found.found[i], &w->arena);
    fed_informer_each(m->nodes, (struct fed_str){0}, add_node, &nodes);
    struct fapi_slices_in in = {.hub_service = hub_service,
                                .cluster = fed_str(m->name),
                                .service = fed_kobj_parse(service, &w->arena),
                                .slices = slices,
                                .n_slices = found.n,
                                .nodes = nodes.nodes,
                                .n_nodes = nodes.n};
    fapi_slices_build(&w->arena, &in, w->wanted);
}

static bool can_see(const struct fapi_endpoints *e, const struct fapi_member *m)
{
    return m->health == FAPI_READY && fapi_member_sees(m, e->services) && fed_informer_synced(m->nodes) &&
           fed_informer_synced(m->slices);
}

/* The clusters of the Service, and their slices into w->wanted. */
static size_t look_at_members(struct work *w, const struct fed_kobj *hub, struct fed_str *clusters)
{
    struct fapi_endpoints *e = w->e;
    const struct fed_json *hub_service = hub ? fed_kobj_parse(hub, &w->arena) : NULL;
    size_t n = 0;
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(e->fed->clusters, m));) {
        if (!hub || m->deleting)
            continue;
        if (!can_see(e, m)) {
            w->blind[w->n_blind++] = fed_str(m->name);
            struct fed_kobj *import = fed_informer_find(e->imports, w->ns, w->name);
            FED_JSON_EACH(c, import ? fed_json_at(fed_kobj_parse(import, &w->arena), "status", "clusters", NULL) : NULL)
                if (fed_str_is(fed_json_find_text(c, "cluster"), m->name))
                    clusters[n++] = fed_str(m->name);
            continue;
        }
        struct fed_kobj *service = fapi_member_find(m, e->services, w->ns, w->name);
        if (service && !service->deleting) {
            clusters[n++] = fed_str(m->name);
            want_from_member(w, hub_service, m, service);
        }
    }
    return n;
}

static void drop_import(struct work *w)
{
    struct fed_kobj *import = fed_informer_find(w->e->imports, w->ns, w->name);
    if (!import)
        return;
    struct fapi_job *job = start(w);
    job->call =
        fed_client_delete(w->e->fed->hub, &imports_resource, w->ns, w->name, NULL, import->uid, fapi_job_answered, job);
}

/* Said once, when the Service is first published: DNS has no address to give for it. */
static void explain_cluster_ip(struct work *w, struct fed_kobj *hub, const struct fed_json *tree)
{
    if (!fed_informer_find(w->e->imports, w->ns, w->name) && fed_str_is(fapi_service_type(tree), "ClusterIP"))
        fed_event_normal(w->e->fed->recorder, hub, "NotInDNS",
                         "type ClusterIP has no address outside its cluster: DNS answers without data; "
                         "use LoadBalancer or NodePort, or an Ingress");
}

/* What readers of Federation v1's annotation expect; written last, from what is published. */
static void tell_v1(struct work *w, const struct fed_kobj *hub, const struct fed_json *tree)
{
    struct fed_arena *a = &w->arena;
    struct pick have = {.w = w};
    size_t n = 0;
    fed_informer_each_labeled(w->e->slices, w->ns, w->name, pick_one, &have);
    if (have.n)
        qsort(have.found, have.n, sizeof(*have.found), by_name);
    const struct fed_json **slices = FED_ARENA_ARRAY(a, const struct fed_json *, have.n + 1);
    for (size_t i = 0; i < have.n; i++)
        if (fed_str_is(fed_kobj_label(have.found[i], FAPI_LABEL_MANAGED_BY), FAPI_SLICES_MANAGER))
            slices[n++] = fed_kobj_parse(have.found[i], a);
    struct fed_str text = fapi_service_ingresses(a, tree, slices, n);
    struct fed_str was = fed_kobj_annotation(hub, FAPI_SERVICE_INGRESSES);
    if (fed_str_eq(was, text) && (was.p == NULL) == (text.p == NULL))
        return;
    struct fed_json *patch = fed_json_object(a), *meta = fed_obj_metadata(a, patch);
    fed_json_set(meta, "uid", fed_json_new_str(a, hub->uid));
    fed_json_set(fed_json_ensure_object(a, meta, "annotations"), FAPI_SERVICE_INGRESSES,
                 text.p ? fed_json_new_str(a, text) : fed_json_null(a));
    struct fapi_job *job = start(w);
    job->call = fed_client_patch(w->e->fed->hub, &w->e->services->resource, w->ns, w->name, "", "merge", patch, "",
                                 fapi_job_answered, job);
}

static void reconcile(void *ud, const char *key)
{
    struct fapi_endpoints *e = ud;
    struct work w = {.e = e, .key = key};
    struct fed_str rest = fed_str(key);
    if (!fed_str_cut(&rest, '/', &w.ns) || !rest.p || !fed_informer_synced(e->services->hub) ||
        !fed_informer_synced(e->slices) || !fed_informer_synced(e->imports) ||
        !fapi_clusters_synced(e->fed->clusters)) {
        fed_workqueue_add_after(e->queue, fed_str(key), 100);
        fed_workqueue_done(e->queue, key, 0);
        return;
    }
    w.name = rest;
    size_t n_members = fapi_clusters_count(e->fed->clusters);
    struct fed_str *clusters = FED_ARENA_ARRAY(&w.arena, struct fed_str, n_members + 1);
    w.blind = FED_ARENA_ARRAY(&w.arena, struct fed_str, n_members + 1);
    w.wanted = fed_json_array(&w.arena);
    struct fed_kobj *hub = fed_informer_find(e->services->hub, w.ns, w.name);
    if (hub && hub->deleting)
        hub = NULL;
    size_t n = look_at_members(&w, hub, clusters);
    /* One write at a time: its event brings the key back, until nothing is left to write. */
    if (hub) {
        const struct fed_json *tree = fed_kobj_parse(hub, &w.arena);
        explain_cluster_ip(&w, hub, tree);
        ensure(&w, &imports_resource, e->imports, fapi_service_import(&w.arena, tree, clusters, n));
    } else {
        drop_import(&w);
    }
    FED_JSON_EACH(s, w.wanted)
        if (!w.wrote)
            ensure(&w, &slices_resource, e->slices, s);
    if (!w.wrote)
        delete_unwanted(&w);
    if (!w.wrote && hub)
        tell_v1(&w, hub, fed_kobj_parse(hub, &w.arena));
    if (!w.wrote)
        fed_workqueue_done(e->queue, key, 0);
    fed_arena_release(&w.arena);
}

/* --- balancers --- */

struct balancers {
    struct fapi_endpoints *e;
    struct fed_arena *arena;
    struct fed_str *list;
    size_t n, cap;
};

static void add_balancer(struct balancers *b, struct fed_str address)
{
    if (b->n < b->cap)
        b->n = fed_str_insert(b->list, b->n, address);
}

static bool look_for_balancers(void *ud, struct fed_kobj *o)
{
    struct balancers *b = ud;
    struct fapi_member *m = fapi_clusters_find(b->e->fed->clusters, fed_kobj_label(o, FAPI_LABEL_CLUSTER));
    if (!fed_str_is(fed_kobj_label(o, FAPI_LABEL_SERVICE), "globallb") ||
        !fed_str_is(fed_kobj_label(o, FAPI_LABEL_SCOPE), "global") || !m || m->health == FAPI_OFFLINE)
        return true;
    FED_JSON_EACH(ep, fed_json_find(fed_kobj_parse(o, b->arena), "endpoints"))
        if (fed_json_bool(fed_json_at(ep, "conditions", "ready", NULL), true))
            FED_JSON_EACH(address, fed_json_find(ep, "addresses"))
                add_balancer(b, fed_json_str(address));
    return true;
}

size_t fapi_endpoints_balancers(struct fapi_endpoints *e, struct fed_arena *a, const struct fed_str **out)
{
    struct balancers b = {.e = e, .arena = a, .cap = 256};
    b.list = FED_ARENA_ARRAY(a, struct fed_str, b.cap + 1);
    fed_informer_each(e->slices, FED_STR(FAPI_EDGE_NS), look_for_balancers, &b);
    *out = b.list;
    return b.n;
}

/* The balancers changed: every Ingress shows them. */
static bool add_ingress_status(void *ud, struct fed_kobj *o)
{
    struct fapi_endpoints *e = ud;
    struct fed_arena a = {0};
    fapi_due_status(e->fed, fapi_key(&a, e->ingresses, o->ns, o->name));
    fed_arena_release(&a);
    return true;
}

static void published_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    const struct fed_kobj *o = now ? now : old;
    struct fed_str service = fed_kobj_label(o, FAPI_LABEL_SERVICE);
    struct fapi_endpoints *e = ud;
    if (service.n)
        fapi_due_service(e->fed, o->ns, service);
    if (e->ingresses && fed_str_is(o->ns, FAPI_EDGE_NS) && fed_str_is(service, "globallb"))
        fed_informer_each(e->ingresses->hub, (struct fed_str){0}, add_ingress_status, e);
}

struct fapi_endpoints *fapi_endpoints_new(struct fapi_federation *f)
{
    struct fapi_endpoints *e = FED_NEW(struct fapi_endpoints);
    struct fed_informer_conf imports = {.transport = f->hub, .resource = &imports_resource};
    struct fed_informer_conf slices = {.transport = f->hub,
                                       .resource = &slices_resource,
                                       .label_selector = FAPI_LABEL_MANAGED_BY "=" FAPI_SLICES_MANAGER,
                                       .index_label = FAPI_LABEL_SERVICE};
    struct fed_workqueue_conf queue = {
        .env = f->env, .name = "endpoints", .metrics = f->metrics, .concurrency = 16, .work = reconcile, .ud = e};
    e->fed = f;
    e->services = fapi_kind_find(f, "", "services");
    e->ingresses = fapi_kind_find(f, "networking.k8s.io", "ingresses");
    FED_REQUIRE(e->services != NULL);
    e->imports = fed_informer_new(&imports);
    e->slices = fed_informer_new(&slices);
    e->queue = f->due.services = fed_workqueue_new(&queue);
    fapi_jobs_init(&e->jobs);
    return e;
}

void fapi_endpoints_start(struct fapi_endpoints *e)
{
    struct fed_informer_handlers h = {.changed = published_changed, .ud = e};
    fed_informer_add_handlers(e->imports, &h);
    fed_informer_add_handlers(e->slices, &h);
    fed_informer_start(e->imports);
    fed_informer_start(e->slices);
}

void fapi_endpoints_free(struct fapi_endpoints *e)
{
    if (!e)
        return;
    fapi_jobs_cancel(&e->jobs);
    fed_informer_free(e->imports);
    fed_informer_free(e->slices);
    e->fed->due.services = NULL;
    fed_workqueue_free(e->queue);
    free(e);
}
