/* SPDX-License-Identifier: Apache-2.0 */
/* NoExecute taints: a pod whose node has one that it does not tolerate is deleted, at once or after its
 * tolerationSeconds, which count from when we first saw both. */
#include "base/mem.h"
#include "member/controllers/choice.h"
#include "member/controllers/controllers.h"

struct own {
    struct fed_map until; /* pod uid -> deadline (int64_t *), wall time */
};

static const struct fed_json *taints_of(struct mbr *m, struct fed_arena *a, struct fed_str node)
{
    struct fed_kobj *o = node.n ? mbr_find(m, MBR_NODES, FED_STR(""), node) : NULL;
    return o ? fed_json_at(fed_kobj_parse(o, a), "spec", "taints", NULL) : NULL;
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct own *own = c->own;
    struct fed_kobj *pod = mbr_find(c->m, MBR_PODS, ns, name);
    const struct mbr_pod_info *p = pod ? mbr_pod_info_get(c->m, pod) : NULL;
    if (!pod || pod->deleting || p->ended)
        return mbr_job_end(job, 0);
    const struct fed_json *taints = taints_of(c->m, &job->arena, p->node);
    const struct fed_json *spec = fed_json_find(fed_kobj_parse(pod, &job->arena), "spec");
    int64_t seconds = mbr_tolerated_for(fed_json_find(spec, "tolerations"), taints), now = fed_wall_ms(c->m->env);
    int64_t *until = fed_map_find(&own->until, pod->uid);
    if (seconds < 0) {
        if (until)
            fed_event_normal(c->events, pod, "TaintManagerEviction", "Cancelling deletion of Pod %.*s/%.*s",
                             FED_STR_ARG(ns), FED_STR_ARG(name));
        free(fed_map_remove(&own->until, pod->uid));
        return mbr_job_end(job, 0);
    }
    if (!until) {
        fed_map_set(&own->until, pod->uid, until = FED_NEW(int64_t));
        *until = now + seconds * 1000;
    }
    if (*until > now) {
        fed_workqueue_add_after(c->queue, fed_str(job->key), (uint64_t)(*until - now) + 10);
        return mbr_job_end(job, 0);
    }
    fed_event_normal(c->events, pod, "TaintManagerEviction", "Marking for deletion Pod %.*s/%.*s", FED_STR_ARG(ns),
                     FED_STR_ARG(name));
    mbr_job_disrupt(job, pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
    mbr_job_delete(job, MBR_PODS, pod);
    mbr_job_end(job, 0);
}

static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct own *own = c->own;
    if (!now) {
        free(fed_map_remove(&own->until, old->uid));
        return;
    }
    struct fed_arena a = {0};
    if (taints_of(c->m, &a, mbr_pod_info_get(c->m, now)->node))
        mbr_ctl_add(c, now->ns, now->name);
    fed_arena_release(&a);
}

static void node_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct fed_arena a = {0};
    const struct fed_json *was = old ? fed_json_at(fed_kobj_parse(old, &a), "spec", "taints", NULL) : NULL;
    const struct fed_json *is = now ? fed_json_at(fed_kobj_parse(now, &a), "spec", "taints", NULL) : NULL;
    if (now && (was || is) && !(was && is && fed_json_equal(was, is)))
        mbr_ctl_add_pods_of(c, now->name);
    fed_arena_release(&a);
}

static void release(struct mbr_ctl *c)
{
    struct own *own = c->own;
    FED_MAP_EACH(e, &own->until)
        free(e->value);
    fed_map_release(&own->until);
}

void mbr_taints_init(struct mbr_ctl *c)
{
    c->own = FED_NEW(struct own);
    c->release = release;
    mbr_ctl_queue(c, "taint-eviction-controller", reconcile);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
    mbr_ctl_watch(c, MBR_NODES, node_changed);
}
