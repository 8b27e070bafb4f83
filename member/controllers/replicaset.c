/* SPDX-License-Identifier: Apache-2.0 */
/* ReplicaSets and ReplicationControllers: as many pods as spec.replicas, made from the template, surplus deleted by
 * choice.h; adopts pods without an owner that match, and counts what it has. */
#include "base/mem.h"
#include "member/controllers/controllers.h"
#include "member/controllers/choice.h"
#include "member/controllers/owner.h"

enum { BURST = 500 }; /* pods made or deleted in one pass */

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
        *v = mbr_pod_victim(p, list[i]);
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

static void scale(struct work *w, int64_t want)
{
    int64_t have = (int64_t)w->n;
    if (have < want) {
        const struct fed_json *template = fed_json_find(w->spec, "template");
        int64_t burst = mbr_owner_refused(w->c, w->key) ? 1 : BURST; /* one tries whether it works again */
        for (int64_t i = 0; i < FED_MIN(want - have, burst); i++)
            mbr_owner_create(w->c, w->job, w->obj, mbr_pod_from_template(w->c, w->a, w->obj, template));
    } else if (have > want) {
        if (want > 0)
            count_siblings(w);
        qsort(w->pods, w->n, sizeof(*w->pods), mbr_victim_cmp);
        for (int64_t i = 0; i < FED_MIN(have - want, BURST); i++)
            mbr_owner_delete(w->c, w->job, w->obj, w->pods[i].pod);
    }
}

/* ReplicaFailure while pods are refused. The message names a pod that never was: the first one stands. */
static void set_failure(struct work *w, struct fed_json *status)
{
    const char *why = mbr_owner_refused(w->c, w->key);
    const struct fed_json *now = fed_json_find(w->tree, "status");
    if (why && fed_json_find(now, "conditions"))
        fed_json_set(status, "conditions", fed_json_copy(w->a, fed_json_find(now, "conditions")));
    else if (why)
        fed_obj_set_condition(w->a, status, "ReplicaFailure", "True", "FailedCreate", fed_str(why),
                              fed_wall_ms(w->c->m->env));
    else
        fed_json_set(status, "conditions", fed_json_null(w->a));
}

static void write_status(struct work *w)
{
    struct fed_json *status = fed_json_object(w->a);
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
    set_failure(w, status);
    if (mbr_patch_differs(fed_json_find(w->tree, "status"), status))
        mbr_job_merge_status(w->job, w->c->kind, w->obj, status);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena, .key = fed_str(job->key)};
    w.obj = mbr_find(c->m, c->kind, ns, name);
    if (!w.obj) {
        mbr_owner_forget(c, w.key);
        return mbr_job_end(job, 0);
    }
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    bool moving = !w.obj->deleting && mbr_owner_adopt(c, job, w.obj, w.tree, NULL);
    read_pods(&w);
    if (mbr_owner_ready(c, w.key) && !w.obj->deleting && !moving)
        scale(&w, fed_json_int(fed_json_find(w.spec, "replicas"), 1));
    write_status(&w);
    mbr_job_end(job, 0);
}

void mbr_replicaset_init(struct mbr_ctl *c)
{
    mbr_owner_init(c, "replicaset-controller", MBR_REPLICASETS, MBR_PODS, true, reconcile);
}

void mbr_replication_init(struct mbr_ctl *c)
{
    mbr_owner_init(c, "replication-controller", MBR_CONTROLLERS, MBR_PODS, true, reconcile);
}
