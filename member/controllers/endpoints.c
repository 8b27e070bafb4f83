/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints and EndpointSlices of Services with a selector. Pods whose named or numbered target port resolves alike form
 * one group: one subset of the Endpoints, one slice. Addresses and ports are those really listened on. */
#include "base/mem.h"
#include "kube/names.h"
#include "kube/selector.h"
#include "member/controllers/controllers.h"
#include "member/controllers/slices.h"

#define MANAGER     "endpointslice-controller.k8s.io"
#define MANAGER_WAS "endpointslice-controller.hansa.io" /* in clusters of before */

#define OVER_CAPACITY "endpoints.kubernetes.io/over-capacity"
enum { MAX_ADDRESSES = 1000 }; /* of an Endpoints */
struct backend {
    struct fed_kobj *pod;
    const struct mbr_pod_info *info;
};
struct group { /* backends with the same real ports */
    uint16_t ports[MBR_POD_PORTS];
    struct backend *backends;
    size_t n;
};
struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj;
    struct fed_json *tree, *spec;
    struct fed_selector sel;
    bool unready_too; /* publishNotReadyAddresses */
    size_t n_ports;
    struct group *groups;
    size_t n_groups, cap;
    int64_t triggered_ms;  /* when the Service or a pod of it became what it is */
    struct fed_json *keep; /* names of the slices that shall be there */
};

/* The real port of the pod behind a Service port; 0: the pod has no such named port. */
static uint16_t resolve(const struct mbr_pod_info *p, const struct fed_json *port)
{
    const struct fed_json *target = fed_json_find(port, "targetPort");
    struct fed_str proto = fed_json_find_text(port, "protocol"), name = fed_json_str(target);
    int64_t n = fed_json_int(target, fed_json_int(fed_json_find(port, "port"), 0));
    if (name.n == 0 && n == 0)
        n = fed_json_int(fed_json_find(port, "port"), 0);
    for (size_t i = 0; i < p->n_ports; i++) {
        const struct mbr_pod_port *have = &p->ports[i];
        bool same = fed_str_eq(have->protocol, proto.n ? proto : FED_STR("TCP"));
        if (name.n ? fed_str_eq(have->name, name) && same : have->port == n)
            return have->real;
    }
    return name.n ? 0 : (uint16_t)n;
}

static bool add_pod(void *ud, struct fed_kobj *pod)
{
    struct work *w = ud;
    uint16_t ports[MBR_POD_PORTS] = {0};
    size_t k = 0;
    if (!fed_selector_matches(&w->sel, pod->labels, pod->n_labels))
        return true;
    const struct mbr_pod_info *p = mbr_pod_info_get(w->c->m, pod);
    if (!p->ip.n || p->ended)
        return true;
    FED_JSON_EACH(port, fed_json_find(w->spec, "ports"))
        if (k < MBR_POD_PORTS)
            ports[k++] = resolve(p, port);
    struct group *g = NULL;
    for (size_t i = 0; i < w->n_groups; i++)
        if (memcmp(w->groups[i].ports, ports, sizeof(ports)) == 0)
            g = &w->groups[i];
    if (!g) {
        if (w->n_groups == 8)
            return true; /* more port layouts than rollouts can explain */
        g = &w->groups[w->n_groups++];
        memcpy(g->ports, ports, sizeof(ports));
        g->backends = FED_ARENA_ARRAY(w->a, struct backend, w->cap);
    }
    g->backends[g->n++] = (struct backend){pod, p};
    w->triggered_ms = FED_MAX(w->triggered_ms, p->ready_ms);
    return true;
}

static int by_ip(const void *pa, const void *pb)
{
    return fed_str_cmp(((const struct backend *)pa)->info->ip, ((const struct backend *)pb)->info->ip);
}

/* New ones come last, so that a full slice stays as it is. */
static int by_age(const void *pa, const void *pb)
{
    const struct backend *a = pa, *b = pb;
    if (a->info->created_ms != b->info->created_ms)
        return a->info->created_ms < b->info->created_ms ? -1 : 1;
    return fed_str_cmp(a->pod->name, b->pod->name);
}

static void sort(struct work *w, int (*cmp)(const void *, const void *))
{
    for (size_t i = 0; i < w->n_groups; i++)
        qsort(w->groups[i].backends, w->groups[i].n, sizeof(struct backend), cmp);
}

/* The pod's name in the Service's domain, when it has one there. */
static void set_hostname(struct work *w, struct fed_json *e, const struct mbr_pod_info *p)
{
    if (p->hostname.n && fed_str_eq(p->subdomain, w->obj->name))
        fed_json_set(e, "hostname", fed_json_new_str(w->a, p->hostname));
}

static struct fed_json *target_ref(struct fed_arena *a, const struct fed_kobj *pod)
{
    struct fed_json *o = fed_json_object(a);
    fed_json_set(o, "kind", fed_json_new_strz(a, "Pod"));
    fed_json_set(o, "namespace", fed_json_new_str(a, pod->ns));
    fed_json_set(o, "name", fed_json_new_str(a, pod->name));
    fed_json_set(o, "uid", fed_json_new_str(a, pod->uid));
    return o;
}

static struct fed_json *ports_of(struct work *w, const struct group *g, bool slice)
{
    struct fed_json *ports = fed_json_array(w->a);
    size_t k = 0;
    FED_JSON_EACH(port, fed_json_find(w->spec, "ports")) {
        uint16_t real = k < MBR_POD_PORTS ? g->ports[k++] : 0;
        if (!real)
            continue;
        struct fed_json *o = fed_json_push(ports, fed_json_object(w->a));
        struct fed_str name = fed_json_find_text(port, "name"), proto = fed_json_find_text(port, "protocol");
        if (name.n || slice)
            fed_json_set(o, "name", fed_json_new_str(w->a, name.p ? name : FED_STR("")));
        fed_json_set(o, "port", fed_json_new_int(w->a, real));
        fed_json_set(o, "protocol", fed_json_new_str(w->a, proto.n ? proto : FED_STR("TCP")));
        const struct fed_json *app = fed_json_find(port, "appProtocol");
        if (app)
            fed_json_set(o, "appProtocol", fed_json_copy(w->a, app));
    }
    return ports;
}

static struct fed_json *subset(struct work *w, const struct group *g)
{
    struct fed_json *o = fed_json_object(w->a), *ready = fed_json_array(w->a), *other = fed_json_array(w->a);
    for (size_t i = 0; i < g->n; i++) {
        const struct backend *b = &g->backends[i];
        if (b->info->deleting && !w->unready_too)
            continue;
        struct fed_json *e = fed_json_object(w->a);
        fed_json_set(e, "ip", fed_json_new_str(w->a, b->info->ip));
        set_hostname(w, e, b->info);
        fed_json_set(e, "nodeName", fed_json_new_str(w->a, b->info->node));
        fed_json_set(e, "targetRef", target_ref(w->a, b->pod));
        fed_json_push(b->info->ready || w->unready_too ? ready : other, e);
    }
    if (ready->n)
        fed_json_set(o, "addresses", ready);
    if (other->n)
        fed_json_set(o, "notReadyAddresses", other);
    struct fed_json *ports = ports_of(w, g, false);
    if (ports->n)
        fed_json_set(o, "ports", ports);
    return ready->n + other->n ? o : NULL;
}

/* At most a thousand addresses, those that are ready first, by their share of the subsets; slices have all. */
static bool cut_down(struct fed_json *subsets)
{
    static const char *const lists[] = {"addresses", "notReadyAddresses"};
    size_t all[2] = {0}, room = MAX_ADDRESSES;
    for (size_t i = 0; i < 2; i++)
        FED_JSON_EACH(s, subsets) {
            const struct fed_json *l = fed_json_find(s, lists[i]);
            all[i] += l ? l->n : 0;
        }
    if (all[0] + all[1] <= MAX_ADDRESSES)
        return false;
    for (size_t i = 0; i < 2; i++) {
        size_t take = FED_MIN(all[i], room), left = take;
        room -= take;
        FED_JSON_EACH_SAFE(s, subsets) {
            struct fed_json *l = fed_json_find(s, lists[i]);
            size_t share = l && all[i] ? FED_MIN((l->n * take + all[i] - 1) / all[i], left) : 0, n = 0;
            left -= share;
            FED_JSON_EACH_SAFE(e, l)
                if (n++ >= share)
                    fed_json_remove(e);
            if (l && !l->n)
                fed_json_remove_key(s, lists[i]);
            if (i == 1 && !fed_json_find(s, lists[0]) && !fed_json_find(s, lists[1]))
                fed_json_remove(s);
        }
    }
    return true;
}

static struct fed_json *labels_of(struct work *w)
{
    const struct fed_json *l = fed_json_at(w->tree, "metadata", "labels", NULL);
    struct fed_json *o = l ? fed_json_copy(w->a, l) : fed_json_object(w->a);
    if (fed_str_is(fed_json_find_text(w->spec, "clusterIP"), "None"))
        fed_json_set(o, "service.kubernetes.io/headless", fed_json_new_strz(w->a, ""));
    return o;
}

static void put_endpoints(struct work *w)
{
    static const char *const keys[] = {"subsets", NULL};
    struct fed_json *o = fed_obj_new(w->a, "v1", "Endpoints", w->obj->ns, w->obj->name),
                    *subsets = fed_json_array(w->a);
    struct fed_json *labels = fed_json_set(fed_obj_metadata(w->a, o), "labels", labels_of(w));
    fed_json_set(labels, MBR_ENDPOINTS_BY, fed_json_new_strz(w->a, "endpoint-controller"));
    fed_obj_set_annotation(w->a, o, MBR_TRIGGERED, mbr_triggered(w->a, w->triggered_ms));
    sort(w, by_ip);
    for (size_t i = 0; i < w->n_groups; i++) {
        struct fed_json *s = subset(w, &w->groups[i]);
        if (s)
            fed_json_push(subsets, s);
    }
    const struct fed_kobj *have = mbr_find(w->c->m, MBR_ENDPOINTS, w->obj->ns, w->obj->name);
    bool over = cut_down(subsets), said = have && fed_kobj_annotation(have, OVER_CAPACITY).n;
    if (over)
        fed_obj_set_annotation(w->a, o, OVER_CAPACITY, FED_STR("truncated"));
    if (subsets->n)
        fed_json_set(o, "subsets", subsets);
    mbr_job_put(w->job, MBR_ENDPOINTS, o, keys);
    if (have && over != said) { /* those that are told may be the same */
        struct fed_json *patch = fed_json_object(w->a);
        fed_json_set(fed_json_ensure_object(w->a, fed_obj_metadata(w->a, patch), "annotations"), OVER_CAPACITY,
                     over ? fed_json_new_strz(w->a, "truncated") : fed_json_null(w->a));
        mbr_job_merge(w->job, MBR_ENDPOINTS, w->obj->ns, w->obj->name, "", patch);
    }
}

static struct fed_json *slice_endpoint(struct work *w, const struct backend *b)
{
    struct fed_arena *a = w->a;
    struct fed_json *e = fed_json_object(a), *addresses = fed_json_array(a), *c = fed_json_object(a);
    struct fed_kobj *node = mbr_find(w->c->m, MBR_NODES, FED_STR(""), b->info->node);
    fed_json_push(addresses, fed_json_new_str(a, b->info->ip));
    fed_json_set(e, "addresses", addresses);
    fed_json_set(c, "ready", fed_json_new_bool(a, (b->info->ready && !b->info->deleting) || w->unready_too));
    fed_json_set(c, "serving", fed_json_new_bool(a, b->info->ready));
    fed_json_set(c, "terminating", fed_json_new_bool(a, b->info->deleting));
    fed_json_set(e, "conditions", c);
    set_hostname(w, e, b->info);
    fed_json_set(e, "nodeName", fed_json_new_str(a, b->info->node));
    fed_json_set(e, "targetRef", target_ref(a, b->pod));
    struct fed_str zone = node ? fed_kobj_label(node, "topology.kubernetes.io/zone") : FED_STR("");
    if (zone.n)
        fed_json_set(e, "zone", fed_json_new_str(a, zone));
    return e;
}

static struct fed_str slice_name(struct work *w, size_t i)
{
    char hash[11];
    fed_name_hash(w->obj->uid, hash);
    hash[5] = 0;
    return i ? fed_arena_printf(w->a, "%.*s-%s-%zu", FED_STR_ARG(w->obj->name), hash, i)
             : fed_arena_printf(w->a, "%.*s-%s", FED_STR_ARG(w->obj->name), hash);
}

/* One for each hundred of the group; one that is empty when the Service has no pod. */
static void put_slices(struct work *w, size_t *next, const struct group *g)
{
    size_t k = 0;
    do {
        struct mbr_slice s = {slice_name(w, (*next)++), MANAGER,        "IPv4", labels_of(w), fed_json_array(w->a),
                              ports_of(w, g, true),     w->triggered_ms};
        for (size_t end = FED_MIN(k + MBR_SLICE_MOST, g->n); k < end; k++)
            fed_json_push(s.endpoints, slice_endpoint(w, &g->backends[k]));
        fed_json_set_str(w->keep, s.name, fed_json_new_bool(w->a, true));
        mbr_slice_put(w->job, w->obj, &s);
    } while (k < g->n);
}

static bool drop_other(void *ud, struct fed_kobj *slice)
{
    struct work *w = ud;
    if ((mbr_slice_is_of(slice, MANAGER) || mbr_slice_is_of(slice, MANAGER_WAS)) &&
        !fed_json_find_str(w->keep, slice->name))
        mbr_job_delete(w->job, MBR_SLICES, slice);
    return true;
}

static void put_all_slices(struct work *w)
{
    struct group none = {0};
    size_t next = 0;
    w->keep = fed_json_object(w->a);
    sort(w, by_age);
    for (size_t i = 0; i < w->n_groups; i++)
        put_slices(w, &next, &w->groups[i]);
    if (!w->n_groups)
        put_slices(w, &next, &none);
    fed_informer_each_labeled(w->c->m->informers[MBR_SLICES], w->obj->ns, w->obj->name, drop_other, w);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena};
    w.obj = mbr_find(c->m, MBR_SERVICES, ns, name);
    if (!w.obj) { /* slices go by their owner; Endpoints have none */
        struct fed_kobj *e = mbr_find(c->m, MBR_ENDPOINTS, ns, name);
        if (e && !fed_str_is(name, "kubernetes"))
            mbr_job_delete(job, MBR_ENDPOINTS, e);
        return mbr_job_end(job, 0);
    }
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    const struct fed_json *selector = fed_json_find(w.spec, "selector");
    if (!selector || !selector->n || fed_str_is(fed_json_find_text(w.spec, "type"), "ExternalName"))
        return mbr_job_end(job, 0); /* its endpoints are somebody else's */
    if (fed_time_parse(fed_json_str(fed_json_at(w.tree, "metadata", "creationTimestamp", NULL)), &w.triggered_ms) < 0)
        w.triggered_ms = 0;
    w.unready_too = fed_json_bool(fed_json_find(w.spec, "publishNotReadyAddresses"), false);
    fed_selector_from_map(w.a, selector, &w.sel);
    w.cap = fed_informer_count(c->m->informers[MBR_PODS]) + 1;
    w.groups = FED_ARENA_ARRAY(w.a, struct group, 8);
    fed_informer_each(c->m->informers[MBR_PODS], ns, add_pod, &w);
    put_endpoints(&w);
    put_all_slices(&w);
    mbr_job_end(job, 0);
}

struct services_of_pod {
    struct mbr_ctl *c;
    const struct fed_kobj *old, *now;
};

static bool enqueue_if_selected(void *ud, struct fed_kobj *service)
{
    struct services_of_pod *x = ud;
    struct fed_arena a = {0};
    struct fed_selector sel;
    const struct fed_json *map = fed_json_at(fed_kobj_parse(service, &a), "spec", "selector", NULL);
    if (map && map->n) {
        fed_selector_from_map(&a, map, &sel);
        if ((x->old && fed_selector_matches(&sel, x->old->labels, x->old->n_labels)) ||
            (x->now && fed_selector_matches(&sel, x->now->labels, x->now->n_labels)))
            mbr_ctl_add(x->c, service->ns, service->name);
    }
    fed_arena_release(&a);
    return true;
}

static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    fed_informer_each(c->m->informers[MBR_SERVICES], (now ? now : old)->ns, enqueue_if_selected,
                      &(struct services_of_pod){c, old, now});
}

static void slice_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    mbr_slice_enqueue(ctl, now ? now : old, MANAGER);
}

/* Somebody's own Endpoints may be there before their Service; only at the start is what a Service left behind looked for. */
static void endpoints_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    const struct fed_kobj *o = now ? now : old;
    if (!now || mbr_find(c->m, MBR_SERVICES, o->ns, o->name) || !fed_informer_synced(c->m->informers[MBR_ENDPOINTS]))
        mbr_ctl_add(c, o->ns, o->name);
}

void mbr_endpoints_init(struct mbr_ctl *c)
{
    mbr_ctl_queue(c, "endpoint-controller", reconcile);
    mbr_ctl_watch(c, MBR_SERVICES, mbr_ctl_enqueue_self);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
    mbr_ctl_watch(c, MBR_ENDPOINTS, endpoints_changed);
    mbr_ctl_watch(c, MBR_SLICES, slice_changed);
}
