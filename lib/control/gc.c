/* SPDX-License-Identifier: Apache-2.0 */
#include "control/gc.h"

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "kube/informer.h"
#include "kube/workqueue.h"

enum { MAX_ABSENT = 20000, IMPATIENT_MS = 30000 };

struct gc_resource {
    struct fed_gc *gc;
    const struct fed_resource *resource;
    struct fed_informer *informer;
    bool synced;
};
struct node;              /* one uid: an object that is there, or an owner that others name */
struct edge {             /* dependent -> owner */
    struct fed_list link; /* among the owner's dependents */
    struct node *owner, *dependent;
    bool blocks;
};
struct node {
    char *uid;
    struct fed_kobj *obj; /* NULL: only known from its dependents */
    const struct fed_resource *resource;
    struct fed_list dependents;
    struct edge *edges; /* to its owners */
    size_t n_edges;
};
struct job { /* a look at one object, under way */
    struct fed_list link;
    struct fed_gc *gc;
    char *uid;
    struct fed_kobj *obj;
    const struct fed_resource *resource;
    size_t next_owner;
    struct fed_call *call;
};
struct fed_gc {
    struct fed_transport *t;
    const char *hold_for;
    struct gc_resource **resources;
    size_t n_resources, n_synced;
    struct fed_map nodes;  /* uid -> struct node */
    struct fed_map absent; /* uids of owners that were proven gone: a uid never comes back */
    struct fed_workqueue *queue;
    struct fed_list jobs;
    struct fed_timer impatience;
    bool judging; /* the queue is fed: all synced, or waited long enough */
};

/* --- the graph --- */

static struct node *node_get(struct fed_gc *gc, struct fed_str uid)
{
    struct node *n = fed_map_find(&gc->nodes, uid);
    if (n)
        return n;
    n = FED_NEW(struct node);
    n->uid = fed_strdup_str(uid);
    fed_list_init(&n->dependents);
    fed_map_set(&gc->nodes, uid, n);
    return n;
}

static void node_free(struct node *n)
{
    fed_kobj_unref(n->obj);
    free(n->edges);
    free(n->uid);
    free(n);
}

static void node_settle(struct fed_gc *gc, struct node *n)
{
    if (n->obj || !fed_list_empty(&n->dependents))
        return;
    fed_map_remove(&gc->nodes, fed_str(n->uid));
    node_free(n);
}

static void cut_edges(struct fed_gc *gc, struct node *n)
{
    struct edge *edges = n->edges;
    size_t count = n->n_edges;
    n->edges = NULL;
    n->n_edges = 0;
    for (size_t i = 0; i < count; i++) {
        fed_list_remove(&edges[i].link);
        if (edges[i].owner != n)
            node_settle(gc, edges[i].owner);
    }
    free(edges);
}

static void make_edges(struct fed_gc *gc, struct node *n)
{
    n->edges = n->obj->n_owners ? fed_calloc(n->obj->n_owners, sizeof(*n->edges)) : NULL;
    for (size_t i = 0; i < n->obj->n_owners; i++) {
        const struct fed_owner *o = &n->obj->owners[i];
        if (!o->uid.n)
            continue;
        struct edge *e = &n->edges[n->n_edges++];
        e->owner = node_get(gc, o->uid);
        e->dependent = n;
        e->blocks = o->block_deletion;
        fed_list_push_back(&e->owner->dependents, &e->link);
    }
}

static bool is_finalizing(const struct fed_gc *gc, const struct fed_kobj *o)
{
    if (gc->hold_for && fed_kobj_has_finalizer(o, gc->hold_for))
        return false;
    return o->deleting && (fed_kobj_has_finalizer(o, "orphan") || fed_kobj_has_finalizer(o, "foregroundDeletion"));
}

static void consider(struct fed_gc *gc, const struct node *n)
{
    if (gc->judging && n->obj && (is_finalizing(gc, n->obj) || (!n->obj->deleting && n->n_edges)))
        fed_workqueue_add(gc->queue, fed_str(n->uid));
}

static void consider_dependents(struct fed_gc *gc, const struct node *n)
{
    FED_LIST_EACH(l, &n->dependents)
        consider(gc, fed_container_of(l, struct edge, link)->dependent);
}

static void consider_owners(struct fed_gc *gc, const struct node *n)
{
    for (size_t i = 0; i < n->n_edges; i++)
        consider(gc, n->edges[i].owner);
}

static void changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct gc_resource *r = ud;
    struct fed_gc *gc = r->gc;
    if (!(now ? now : old)->uid.n)
        return;
    struct node *n = node_get(gc, (now ? now : old)->uid);
    if (!now) {
        consider_owners(gc, n); /* one of them may wait for this */
        fed_kobj_unref(n->obj);
        n->obj = NULL;
        consider_dependents(gc, n);
        cut_edges(gc, n);
        node_settle(gc, n);
        return;
    }
    fed_kobj_ref(now);
    fed_kobj_unref(n->obj);
    n->obj = now;
    n->resource = r->resource;
    consider_owners(gc, n); /* before and after: an owner let go is considered too */
    cut_edges(gc, n);
    make_edges(gc, n);
    consider(gc, n);
    consider_owners(gc, n);
}

/* --- jobs --- */

static void job_end(struct job *j, int code)
{
    struct fed_gc *gc = j->gc;
    char *uid = j->uid;
    fed_list_remove(&j->link);
    fed_kobj_unref(j->obj);
    free(j);
    fed_workqueue_done(gc->queue, uid, code);
    free(uid);
}

static void job_answered(void *ud, int code, const struct fed_call_response *res FED_UNUSED,
                         const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    j->call = NULL;
    /* Gone, or another object of the name by now: the watch tells. */
    job_end(j, code == FED_E_NOT_FOUND || code == FED_E_CONFLICT ? 0 : code);
}

static void patch_answered(void *ud, int code, const struct fed_call_response *res FED_UNUSED,
                           const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    j->call = NULL;
    job_end(j, code == FED_E_NOT_FOUND ? 0 : code); /* a conflict is tried again: the finalizer must go */
}

static void drop_finalizer(struct job *j, const char *finalizer)
{
    struct fed_arena a = {0};
    j->call = fed_client_patch(j->gc->t, j->resource, j->obj->ns, j->obj->name, "", "merge",
                               fed_kobj_patch_without_finalizer(&a, j->obj, finalizer), "", patch_answered, j);
    fed_arena_release(&a);
}

/* Takes the reference to the owner out of the dependent. */
static void give_up(struct fed_gc *gc, const struct node *dependent, const char *owner_uid)
{
    struct fed_arena a = {0};
    struct fed_json *tree = fed_kobj_parse(dependent->obj, &a), *patch = fed_kobj_guarded_patch(&a, dependent->obj);
    struct fed_json *list = fed_json_ensure_array(&a, fed_obj_metadata(&a, patch), "ownerReferences");
    FED_JSON_EACH(ref, fed_json_at(tree, "metadata", "ownerReferences", NULL)) {
        if (!fed_str_is(fed_json_find_text(ref, "uid"), owner_uid))
            fed_json_push(list, fed_json_copy(&a, ref));
    }
    fed_client_patch(gc->t, dependent->resource, dependent->obj->ns, dependent->obj->name, "", "merge", patch, "", NULL,
                     NULL);
    fed_arena_release(&a);
}

static bool all_synced(const struct fed_gc *gc)
{
    return gc->n_synced == gc->n_resources;
}

static void orphan(struct job *j, const struct node *n)
{
    bool any = false;
    FED_LIST_EACH(l, &n->dependents) {
        const struct node *d = fed_container_of(l, struct edge, link)->dependent;
        if (d->obj) {
            any = true;
            give_up(j->gc, d, n->uid);
        }
    }
    if (any || !all_synced(j->gc))
        job_end(j, FED_E_BUSY); /* looked at again when a dependent changes, at the latest after the back-off */
    else
        drop_finalizer(j, "orphan");
}

static void delete_dependents(struct job *j, const struct node *n)
{
    bool blocked = false;
    FED_LIST_EACH(l, &n->dependents) {
        const struct edge *e = fed_container_of(l, struct edge, link);
        const struct node *d = e->dependent;
        if (!d->obj)
            continue;
        blocked = blocked || e->blocks;
        bool sole = true; /* another owner that stays keeps it */
        for (size_t i = 0; i < d->n_edges; i++)
            sole = sole && (d->edges[i].owner == n || (d->edges[i].owner->obj && d->edges[i].owner->obj->deleting));
        if (!sole)
            give_up(j->gc, d, n->uid);
        else if (!d->obj->deleting)
            fed_client_delete(j->gc->t, d->resource, d->obj->ns, d->obj->name,
                              fed_list_empty(&d->dependents) ? "Background" : "Foreground", d->obj->uid, NULL, NULL);
    }
    if (blocked || !all_synced(j->gc))
        job_end(j, FED_E_BUSY);
    else
        drop_finalizer(j, "foregroundDeletion");
}

/* --- judging owners --- */

static const struct fed_resource *resource_of(const struct fed_gc *gc, const struct fed_owner *o)
{
    ptrdiff_t slash = fed_str_chr(o->api_version, '/', 0);
    struct fed_str group = slash < 0 ? FED_STR("") : fed_str_head(o->api_version, (size_t)slash);
    for (size_t i = 0; i < gc->n_resources; i++) {
        const struct fed_resource *r = gc->resources[i]->resource;
        if (fed_str_is(group, r->group) && fed_str_is(o->kind, r->kind))
            return r;
    }
    return NULL;
}

static void note_absent(struct fed_gc *gc, struct fed_str uid)
{
    if (fed_map_count(&gc->absent) >= MAX_ABSENT) {
        fed_map_release(&gc->absent);
        gc->absent = (struct fed_map){0};
    }
    fed_map_set(&gc->absent, uid, NULL);
}

static void judge_owners(struct job *j);

static void owner_answered(void *ud, int code, const struct fed_call_response *res,
                           const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    const struct fed_owner *o = &j->obj->owners[j->next_owner];
    struct fed_kobj *owner = NULL;
    j->call = NULL;
    if (code == 0)
        code = fed_kobj_new(res->body, (struct fed_str){0}, (struct fed_str){0}, &owner, NULL);
    bool there = code == 0 && fed_str_eq(owner->uid, o->uid);
    bool gone = code == FED_E_NOT_FOUND || (code == 0 && owner->uid.n && !there);
    fed_kobj_unref(owner);
    if (there) {
        job_end(j, 0);
    } else if (gone) {
        note_absent(j->gc, o->uid);
        j->next_owner++;
        judge_owners(j);
    } else {
        job_end(j, code ? code : FED_E_CORRUPT);
    }
}

/* Goes on until an owner is found that is there, or must be asked for; past the last all are proven gone. */
static void judge_owners(struct job *j)
{
    struct fed_gc *gc = j->gc;
    for (; j->next_owner < j->obj->n_owners; j->next_owner++) {
        const struct fed_owner *o = &j->obj->owners[j->next_owner];
        const struct node *n = fed_map_find(&gc->nodes, o->uid);
        const struct fed_resource *r = resource_of(gc, o);
        if (fed_map_has(&gc->absent, o->uid))
            continue;
        if (!o->uid.n || !r || (n && n->obj)) {
            job_end(j, 0);
            return;
        }
        j->call = fed_client_get(gc->t, r, r->namespaced ? j->obj->ns : FED_STR(""), o->name, owner_answered, j);
        return;
    }
    j->call =
        fed_client_delete(gc->t, j->resource, j->obj->ns, j->obj->name, "Background", j->obj->uid, job_answered, j);
}

static void work(void *ud, const char *uid)
{
    struct fed_gc *gc = ud;
    struct node *n = fed_map_find(&gc->nodes, fed_str(uid));
    if (!n || !n->obj) {
        fed_workqueue_done(gc->queue, uid, 0);
        return;
    }
    struct job *j = FED_NEW(struct job);
    j->gc = gc;
    j->uid = fed_strdup(uid);
    j->obj = fed_kobj_ref(n->obj);
    j->resource = n->resource;
    fed_list_push_back(&gc->jobs, &j->link);
    if (is_finalizing(gc, n->obj) && fed_kobj_has_finalizer(n->obj, "orphan"))
        orphan(j, n);
    else if (is_finalizing(gc, n->obj))
        delete_dependents(j, n);
    else if (!n->obj->deleting && n->n_edges)
        judge_owners(j);
    else
        job_end(j, 0);
}

/* --- life --- */

static void begin_judging(struct fed_gc *gc)
{
    if (gc->judging)
        return;
    gc->judging = true;
    fed_timer_stop(gc->t->env, &gc->impatience);
    FED_MAP_EACH(e, &gc->nodes)
        consider(gc, e->value);
}

static void synced(void *ud)
{
    struct gc_resource *r = ud;
    r->synced = true;
    if (++r->gc->n_synced == r->gc->n_resources)
        begin_judging(r->gc);
}

/* A kind that cannot be listed must not stop all others: judging an owner asks the server anyway. */
static void impatient(struct fed_timer *timer)
{
    begin_judging(fed_container_of(timer, struct fed_gc, impatience));
}

static struct gc_resource *add_resource(struct fed_gc *gc, const struct fed_resource *resource)
{
    struct gc_resource *r = FED_NEW(struct gc_resource);
    r->gc = gc;
    r->resource = resource;
    r->informer = fed_informer_new(&(struct fed_informer_conf){.transport = gc->t, .resource = resource});
    fed_informer_add_handlers(r->informer,
                              &(struct fed_informer_handlers){.changed = changed, .synced = synced, .ud = r});
    gc->resources = fed_realloc(gc->resources, (gc->n_resources + 1) * sizeof(struct gc_resource *));
    gc->resources[gc->n_resources++] = r;
    return r;
}

void fed_gc_add(struct fed_gc *gc, const struct fed_resource *resource)
{
    fed_informer_start(add_resource(gc, resource)->informer);
}

/* Its objects are gone, as far as we are concerned; what was to be done with them is not done any more. */
static void leave_resource(struct gc_resource *r)
{
    struct fed_gc *gc = r->gc;
    FED_LIST_EACH_SAFE(l, &gc->jobs) {
        struct job *j = fed_container_of(l, struct job, link);
        if (j->resource != r->resource)
            continue;
        fed_call_cancel(j->call);
        job_end(j, 0);
    }
    for (bool again = true; again;) { /* nodes come and go with each */
        again = false;
        FED_MAP_EACH(e, &gc->nodes) {
            struct node *n = e->value;
            if (!n->obj || n->resource != r->resource)
                continue;
            struct fed_kobj *o = fed_kobj_ref(n->obj);
            changed(r, o, NULL);
            fed_kobj_unref(o);
            again = true;
            break;
        }
    }
}

void fed_gc_remove(struct fed_gc *gc, const struct fed_resource *resource)
{
    for (size_t i = 0; i < gc->n_resources; i++) {
        struct gc_resource *r = gc->resources[i];
        if (r->resource != resource)
            continue;
        fed_informer_free(r->informer);
        leave_resource(r);
        gc->n_synced -= r->synced;
        memmove(&gc->resources[i], &gc->resources[i + 1], (gc->n_resources - i - 1) * sizeof(struct gc_resource *));
        gc->n_resources--;
        free(r);
        break;
    }
    if (gc->n_resources && all_synced(gc))
        begin_judging(gc);
}

struct fed_gc *fed_gc_new(const struct fed_gc_conf *conf)
{
    struct fed_gc *gc = FED_NEW(struct fed_gc);
    gc->t = conf->transport;
    gc->hold_for = conf->hold_for;
    fed_list_init(&gc->jobs);
    gc->queue = fed_workqueue_new(&(struct fed_workqueue_conf){
        .env = gc->t->env, .name = "gc", .concurrency = 20, .base_ms = 50, .work = work, .ud = gc});
    for (size_t i = 0; i < conf->n_resources; i++)
        (void)add_resource(gc, &conf->resources[i]);
    return gc;
}

void fed_gc_start(struct fed_gc *gc)
{
    for (size_t i = 0; i < gc->n_resources; i++)
        fed_informer_start(gc->resources[i]->informer);
    fed_timer_start(gc->t->env, &gc->impatience, IMPATIENT_MS, impatient);
}

void fed_gc_free(struct fed_gc *gc)
{
    if (!gc)
        return;
    fed_timer_stop(gc->t->env, &gc->impatience);
    for (size_t i = 0; i < gc->n_resources; i++)
        fed_informer_free(gc->resources[i]->informer);
    FED_LIST_EACH_SAFE(l, &gc->jobs) {
        struct job *j = fed_container_of(l, struct job, link);
        fed_call_cancel(j->call);
        fed_kobj_unref(j->obj);
        free(j->uid);
        free(j);
    }
    fed_workqueue_free(gc->queue);
    FED_MAP_EACH(e, &gc->nodes)
        node_free(e->value);
    fed_map_release(&gc->nodes);
    fed_map_release(&gc->absent);
    for (size_t i = 0; i < gc->n_resources; i++)
        free(gc->resources[i]);
    free(gc->resources);
    free(gc);
}

bool fed_gc_synced(const struct fed_gc *gc)
{
    return all_synced(gc);
}

bool fed_gc_idle(const struct fed_gc *gc)
{
    return fed_workqueue_idle(gc->queue);
}
