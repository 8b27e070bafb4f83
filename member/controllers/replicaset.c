/* SPDX-License-Identifier: Apache-2.0 */
/* ReplicaSets: as many pods as spec.replicas, made from the template, surplus deleted by choice.h; adopts pods without
 * an owner that match, and counts what it has. */
#include "base/mem.h"
#include "kube/selector.h"
#include "member/controllers/choice.h"
#include "member/controllers/controllers.h"

enum { BURST = 500 }; /* pods made or deleted in one pass */

struct own {
    struct fed_map orphans; /* uid -> kobj (referenced): pods without a controller, few */
};
struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj;
    struct fed_json *tree, *spec;
    struct mbr_victim *pods; /* active ones */
    size_t n;
    struct fed_str key;
};

static void orphan_set(struct own *own, const struct fed_kobj *pod, struct fed_kobj *keep)
{
    struct fed_kobj *old =
        keep ? fed_map_set(&own->orphans, pod->uid, fed_kobj_ref(keep)) : fed_map_remove(&own->orphans, pod->uid);
    fed_kobj_unref(old);
}

struct sets_of_orphan {
    struct mbr_ctl *c;
    const struct fed_kobj *pod;
};

static bool enqueue_if_matching(void *ud, struct fed_kobj *rs)
{
    struct sets_of_orphan *x = ud;
    struct fed_arena a = {0};
    struct fed_selector sel;
    if (fed_selector_from_json(&a, fed_json_at(fed_kobj_parse(rs, &a), "spec", "selector", NULL), &sel, NULL) == 0 &&
        fed_selector_matches(&sel, x->pod->labels, x->pod->n_labels))
        mbr_ctl_add(x->c, rs->ns, rs->name);
    fed_arena_release(&a);
    return true;
}

static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct own *own = c->own;
    struct fed_kobj *pod = now ? now : old;
    const struct fed_owner *o = fed_kobj_controller(pod);
    orphan_set(own, pod, !o && now && !now->deleting ? now : NULL);
    if (!o) {
        if (now && !now->deleting)
            fed_informer_each(c->m->informers[MBR_REPLICASETS], pod->ns, enqueue_if_matching,
                              &(struct sets_of_orphan){c, pod});
        return;
    }
    if (!fed_str_is(o->kind, "ReplicaSet"))
        return;
    struct fed_arena a = {0};
    struct fed_str key = mbr_key(&a, pod->ns, o->name);
    if (!old)
        mbr_expect_created(&c->expect, key);
    if ((!now && !old->deleting) || (now && now->deleting && old && !old->deleting))
        mbr_expect_deleted(&c->expect, key);
    fed_workqueue_add(c->queue, key);
    fed_arena_release(&a);
}

static void adopt(struct work *w)
{
    struct own *own = w->c->own;
    struct fed_selector sel;
    if (!fed_map_count(&own->orphans) ||
        fed_selector_from_json(w->a, fed_json_find(w->spec, "selector"), &sel, NULL) < 0)
        return;
    FED_MAP_EACH(e, &own->orphans) {
        struct fed_kobj *pod = e->value;
        if (!fed_str_eq(pod->ns, w->obj->ns) || !fed_selector_matches(&sel, pod->labels, pod->n_labels))
            continue;
        struct fed_json *patch = fed_json_object(w->a);
        fed_obj_set_controller(w->a, patch, w->obj);
        fed_json_set(fed_obj_metadata(w->a, patch), "uid", fed_json_new_str(w->a, pod->uid));
        mbr_job_merge(w->job, MBR_PODS, pod->ns, pod->name, "", patch);
    }
}

static void read_pods(struct work *w)
{
    size_t n;
    struct fed_kobj **list = mbr_owned(w->c->m, w->a, MBR_PODS, w->obj, &n);
    w->pods = FED_ARENA_ARRAY(w->a, struct mbr_victim, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct mbr_pod_info *p = mbr_pod_info_get(w->c->m, list[i]);
        if (p->deleting || p->ended)
            continue;
        struct mbr_victim *v = &w->pods[w->n++];
        *v = (struct mbr_victim){.assigned = p->node.n,
                                 .running = fed_str_is(p->phase, "Running"),
                                 .ready = p->ready,
                                 .ready_ms = p->ready_ms,
                                 .restarts = p->restarts,
                                 .created_ms = p->created_ms,
                                 .pod = list[i]};
        if (fed_str_i64(fed_kobj_annotation(list[i], "controller.kubernetes.io/pod-deletion-cost"), &v->cost) < 0)
            v->cost = 0;
    }
}

static void count_siblings(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct fed_str node = mbr_pod_info_get(w->c->m, w->pods[i].pod)->node;
        for (size_t k = 0; k < w->n; k++)
            w->pods[i].siblings += fed_str_eq(node, mbr_pod_info_get(w->c->m, w->pods[k].pod)->node);
    }
}

static void create_failed(void *ud, const char *key, const struct fed_err *err)
{
    struct mbr_ctl *c = ud;
    struct fed_str ns, name;
    mbr_key_split(fed_str(key), &ns, &name);
    struct fed_kobj *rs = mbr_find(c->m, MBR_REPLICASETS, ns, name);
    mbr_expect_created(&c->expect, fed_str(key)); /* it will not be seen */
    if (rs)
        fed_event_warning(c->events, rs, "FailedCreate", "Error creating: %s", err ? err->text : "unknown");
}

static void scale(struct work *w, int64_t want)
{
    int64_t have = (int64_t)w->n;
    if (have < want) {
        int64_t n = FED_MIN(want - have, BURST);
        mbr_expect_add(&w->c->expect, w->c->m->env, w->key, (int)n, 0);
        const struct fed_json *template = fed_json_find(w->spec, "template");
        for (int64_t i = 0; i < n; i++) {
            struct fed_json *pod = mbr_pod_from_template(w->c, w->a, w->obj, template);
            mbr_job_create_told(w->job, MBR_PODS, w->obj->ns, pod, create_failed, w->c);
            fed_event_normal(w->c->events, w->obj, "SuccessfulCreate", "Created pod: %.*s",
                             FED_STR_ARG(fed_obj_name(pod)));
        }
    } else if (have > want) {
        int64_t n = FED_MIN(have - want, BURST);
        if (want > 0)
            count_siblings(w);
        qsort(w->pods, w->n, sizeof(*w->pods), mbr_victim_cmp);
        mbr_expect_add(&w->c->expect, w->c->m->env, w->key, 0, (int)n);
        for (int64_t i = 0; i < n; i++) {
            mbr_job_delete(w->job, MBR_PODS, w->pods[i].pod);
            fed_event_normal(w->c->events, w->obj, "SuccessfulDelete", "Deleted pod: %.*s",
                             FED_STR_ARG(w->pods[i].pod->name));
        }
    }
}

static void write_status(struct work *w)
{
    struct fed_json *status = fed_json_object(w->a), *patch = fed_json_object(w->a);
    int64_t min_ready_ms = fed_json_int(fed_json_find(w->spec, "minReadySeconds"), 0) * 1000, wait = -1;
    int64_t ready = 0, available = 0, now = fed_wall_ms(w->c->m->env);
    for (size_t i = 0; i < w->n; i++) {
        if (!w->pods[i].ready)
            continue;
        int64_t left = w->pods[i].ready_ms + min_ready_ms - now;
        ready++;
        if (min_ready_ms == 0 || left <= 0)
            available++;
        else if (wait < 0 || left < wait)
            wait = left;
    }
    if (wait >= 0)
        fed_workqueue_add_after(w->c->queue, w->key, (uint64_t)wait + 10);
    fed_json_set(status, "observedGeneration", fed_json_new_int(w->a, w->obj->generation));
    fed_json_set(status, "replicas", fed_json_new_int(w->a, (int64_t)w->n));
    mbr_patch_count(w->a, status, "fullyLabeledReplicas", (int64_t)w->n);
    mbr_patch_count(w->a, status, "readyReplicas", ready);
    mbr_patch_count(w->a, status, "availableReplicas", available);
    if (!mbr_patch_differs(fed_json_find(w->tree, "status"), status))
        return;
    fed_json_set(patch, "status", status);
    mbr_job_merge(w->job, MBR_REPLICASETS, w->obj->ns, w->obj->name, "status", patch);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena, .key = fed_str(job->key)};
    w.obj = mbr_find(c->m, MBR_REPLICASETS, ns, name);
    if (!w.obj) {
        mbr_expect_forget(&c->expect, w.key);
        return mbr_job_end(job, 0);
    }
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    if (!w.obj->deleting)
        adopt(&w);
    read_pods(&w);
    if (mbr_expect_met(&c->expect, c->m->env, w.key)) {
        if (!w.obj->deleting)
            scale(&w, fed_json_int(fed_json_find(w.spec, "replicas"), 1));
    } else {
        fed_workqueue_add_after(c->queue, w.key, 31000);
    }
    write_status(&w);
    mbr_job_end(job, 0);
}

static void release(struct mbr_ctl *c)
{
    struct own *own = c->own;
    FED_MAP_EACH(e, &own->orphans)
        fed_kobj_unref(e->value);
    fed_map_release(&own->orphans);
}

void mbr_replicaset_init(struct mbr_ctl *c)
{
    c->own = FED_NEW(struct own);
    c->release = release;
    mbr_ctl_queue(c, "replicaset-controller", reconcile);
    mbr_ctl_watch(c, MBR_REPLICASETS, mbr_ctl_enqueue_self);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
}
