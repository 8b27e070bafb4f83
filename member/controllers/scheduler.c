/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler: binds pods without a node by choice.h and peers.h, and makes room by preempt.h. What nodes carry is in
 * loads.h; its own bindings count until the informer shows them, so that a burst of pods spreads. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "member/controllers/controllers.h"
#include "member/controllers/sched.h"

/* --- what is watched --- */

struct stuck {
    struct fed_str key;
    int64_t priority;
};

static int most_important(const void *pa, const void *pb)
{
    const struct stuck *a = pa, *b = pb;
    return a->priority > b->priority ? -1 : a->priority < b->priority;
}

/* minds: only those that other pods may help. */
static void retry_stuck(struct mbr_ctl *c, bool minds)
{
    struct mbr_sched *own = c->own;
    size_t n = 0;
    if (!fed_map_count(&own->stuck))
        return;
    struct stuck *list = fed_calloc(fed_map_count(&own->stuck) + 1, sizeof(*list));
    FED_MAP_EACH(e, &own->stuck)
        if (!minds || ((intptr_t)e->value & 1))
            list[n++] = (struct stuck){e->key, (intptr_t)e->value / 2};
    qsort(list, n, sizeof(*list), most_important);
    for (size_t i = 0; i < n; i++)
        fed_workqueue_add(c->queue, list[i].key);
    for (size_t i = 0; i < n && minds; i++)
        fed_map_remove(&own->stuck, list[i].key);
    if (!minds) {
        fed_map_release(&own->stuck);
        own->stuck = (struct fed_map){0};
    }
    free(list);
}

static void forget(struct mbr_sched *own, struct fed_str uid)
{
    mbr_loads_drop(&own->loads, uid);
    mbr_loads_unname(&own->loads, uid);
    fed_map_remove(&own->speaking, uid);
}

static bool same_labels(const struct fed_kobj *a, const struct fed_kobj *b)
{
    for (size_t i = 0; i < a->n_labels && a->n_labels == b->n_labels; i++)
        if (!fed_str_eq(mbr_label(b->labels, b->n_labels, a->labels[i].key), a->labels[i].value))
            return false;
    return a->n_labels == b->n_labels;
}

static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct mbr_sched *own = c->own;
    if (!now) {
        forget(own, old->uid);
        return retry_stuck(c, false);
    }
    const struct mbr_pod_info *p = mbr_pod_info_get(c->m, now);
    if (p->ended) {
        forget(own, now->uid);
        retry_stuck(c, false);
    } else if (p->node.n) {
        bool news = !mbr_loads_find(&own->loads, now->uid);
        mbr_loads_set(&own->loads, now->uid, p->node, p);
        if (p->speaks)
            fed_map_set(&own->speaking, now->uid, NULL);
        if (news || (old && !same_labels(old, now))) /* who wants to be near it, or not */
            retry_stuck(c, true);
    } else if (!now->deleting && (!p->scheduler.n || fed_str_is(p->scheduler, "default-scheduler"))) {
        mbr_ctl_add(c, now->ns, now->name);
    }
}

/* Nodes and claims: each may be what a pod waits for. */
static void surroundings_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    (void)old;
    if (now)
        retry_stuck(ctl, false);
}

/* --- binding --- */

struct binding {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_str uid;
};

static void bound(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct binding *b = ud;
    (void)res;
    if (code < 0) {
        mbr_loads_drop(&((struct mbr_sched *)b->c->own)->loads, b->uid);
        fed_log_debug("scheduler", "%s: %s", b->job->key, err ? err->text : "");
    }
    mbr_job_end(b->job, code == FED_E_NOT_FOUND ? 0 : code);
}

static void bind_pod(struct mbr_sched_pod *w, struct fed_str node)
{
    struct mbr_ctl *c = w->c;
    struct mbr_job *job = w->job;
    struct fed_kobj *pod = w->pod;
    struct fed_arena *a = w->a;
    struct fed_json *o = fed_obj_new(a, "v1", "Binding", pod->ns, pod->name), *target = fed_json_object(a);
    struct fed_buf body = {0};
    struct binding *b = FED_ARENA_NEW(a, struct binding);
    *b = (struct binding){c, job, fed_arena_dup(a, pod->uid)};
    fed_json_set(fed_obj_metadata(a, o), "uid", fed_json_new_str(a, pod->uid));
    fed_json_set(target, "kind", fed_json_new_strz(a, "Node"));
    fed_json_set(target, "name", fed_json_new_str(a, node));
    fed_json_set(o, "target", target);
    fed_json_write(&body, o);
    struct fed_call_request req = {.method = "POST",
                                   .path =
                                       fed_resource_path(a, mbr_resource(MBR_PODS), pod->ns, pod->name, "binding", ""),
                                   .body = fed_buf_str(&body)};
    job->holds++;
    c->m->client->ops->call(c->m->client, &req, bound, b);
    fed_buf_release(&body);
    fed_event_normal(c->events, pod, "Scheduled", "Successfully assigned %.*s/%.*s to %.*s", FED_STR_ARG(pod->ns),
                     FED_STR_ARG(pod->name), FED_STR_ARG(node));
}

/* --- refusing --- */

static void refuse(struct mbr_sched_pod *w, const char *reason, struct fed_str why, struct fed_str nominated)
{
    bool minds = w->info->speaks || fed_json_find(w->spec, "topologySpreadConstraints");
    const struct fed_json *now = fed_json_find(w->tree, "status"), *have = fed_json_find(now, "conditions");
    struct fed_json *status = fed_json_object(w->a);
    struct fed_str named = fed_json_find_text(now, "nominatedNodeName");
    fed_map_set(&w->own->stuck, fed_str(w->job->key), (void *)(intptr_t)(w->info->priority * 2 + minds));
    if (have)
        fed_json_set(status, "conditions", fed_json_copy(w->a, have));
    bool news = fed_obj_set_condition(w->a, status, "PodScheduled", "False", reason, why, fed_wall_ms(w->c->m->env));
    if (!news && fed_str_eq(named, nominated))
        return;
    if (nominated.n || named.n)
        fed_json_set(status, "nominatedNodeName",
                     nominated.n ? fed_json_new_str(w->a, nominated) : fed_json_null(w->a));
    mbr_job_merge_status(w->job, MBR_PODS, w->pod, status);
    if (news && strcmp(reason, "Unschedulable") == 0)
        fed_event_warning(w->c->events, w->pod, "FailedScheduling", "%.*s", FED_STR_ARG(why));
}

static void schedule(struct mbr_sched_pod *w)
{
    struct fed_buf why = {0};
    struct fed_str nominated = {0};
    mbr_sched_look(w);
    int at = mbr_sched_choose(w);
    if (at >= 0) {
        mbr_loads_set(&w->own->loads, w->pod->uid, w->nodes[at].name, w->info);
        if (w->info->speaks)
            fed_map_set(&w->own->speaking, w->pod->uid, NULL);
        bind_pod(w, w->nodes[at].name);
        retry_stuck(w->c, true);
    } else {
        if (w->n_nodes) {
            mbr_explain(w->refusals, w->n_nodes, &why);
            nominated = mbr_sched_make_room(w, &why);
        } else {
            fed_buf_addz(&why, "no nodes available to schedule pods");
        }
        refuse(w, "Unschedulable", fed_buf_str(&why), nominated);
    }
    fed_buf_release(&why);
    mbr_sched_look_end(w);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct mbr_sched_pod w = {.c = c, .job = job, .a = &job->arena, .own = c->own};
    w.pod = mbr_find(c->m, MBR_PODS, ns, name);
    if (w.pod && w.pod->deleting)
        mbr_loads_unname(&w.own->loads, w.pod->uid);
    /* A pod with a load was bound already, the informer only has not shown it yet. */
    if (!w.pod || w.pod->deleting || mbr_pod_info_get(c->m, w.pod)->node.n || mbr_loads_find(&w.own->loads, w.pod->uid))
        return mbr_job_end(job, 0);
    w.info = mbr_pod_info_get(c->m, w.pod);
    w.tree = fed_kobj_parse(w.pod, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    if (w.info->gated)
        refuse(&w, "SchedulingGated", FED_STR("Scheduling is blocked due to non-empty scheduling gates"),
               (struct fed_str){0});
    else
        schedule(&w);
    mbr_job_end(job, 0);
}

static void release(struct mbr_ctl *c)
{
    struct mbr_sched *own = c->own;
    mbr_loads_release(&own->loads);
    fed_map_release(&own->stuck);
    fed_map_release(&own->speaking);
}

void mbr_scheduler_init(struct mbr_ctl *c)
{
    static const enum mbr_kind awaited[] = {MBR_NODES, MBR_CLAIMS};
    c->own = FED_NEW(struct mbr_sched);
    c->release = release;
    mbr_ctl_queue(c, "default-scheduler", reconcile);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
    for (size_t i = 0; i < FED_ARRAY_LEN(awaited); i++)
        mbr_ctl_watch(c, awaited[i], surroundings_changed);
}
