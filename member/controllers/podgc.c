/* SPDX-License-Identifier: Apache-2.0 */
/* Pods that no agent will ever end: those of a node that is gone for a while, and deleted ones of a node that somebody declared
 * out of service (the taint node.kubernetes.io/out-of-service). They are taken away without waiting. */
#include "base/mem.h"
#include "member/controllers/controllers.h"

#define OUT_OF_SERVICE "node.kubernetes.io/out-of-service"
enum { QUARANTINE_MS = 40000 }; /* a node that is made anew at once keeps its pods */

struct own {
    struct fed_map gone; /* pod uid -> since when its node is (uint64_t *), monotonic */
};

static bool out_of_service(struct fed_kobj *node, struct fed_arena *a)
{
    const struct fed_json *tree = fed_kobj_parse(node, a);
    if (fed_str_is(fed_json_find_text(fed_obj_condition(fed_json_find(tree, "status"), "Ready"), "status"), "True"))
        return false;
    FED_JSON_EACH(t, fed_json_at(tree, "spec", "taints", NULL))
        if (fed_str_is(fed_json_find_text(t, "key"), OUT_OF_SERVICE))
            return true;
    return false;
}

static void take_away(struct mbr_ctl *c, struct mbr_job *job, struct fed_kobj *pod, bool lost)
{
    struct fed_json *status = fed_json_object(&job->arena);
    if (!mbr_pod_info_get(c->m, pod)->ended) {
        fed_json_set(status, "phase", fed_json_new_strz(&job->arena, "Failed"));
        if (lost)
            mbr_job_disrupt(job, pod, "DeletionByPodGC", "PodGC: node no longer exists");
        mbr_job_merge_status(job, MBR_PODS, pod, status);
    }
    mbr_job_delete_now(job, MBR_PODS, pod);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct own *own = c->own;
    struct fed_kobj *pod = mbr_find(c->m, MBR_PODS, ns, name);
    struct fed_str at = pod ? mbr_pod_info_get(c->m, pod)->node : FED_STR("");
    struct fed_kobj *node = at.n ? mbr_find(c->m, MBR_NODES, FED_STR(""), at) : NULL;
    if (!at.n || node) {
        if (pod)
            free(fed_map_remove(&own->gone, pod->uid));
        if (node && pod->deleting && out_of_service(node, &job->arena))
            take_away(c, job, pod, false);
        return mbr_job_end(job, 0);
    }
    uint64_t now = fed_mono_ms(c->m->env), *since = fed_map_find(&own->gone, pod->uid);
    if (!since) {
        fed_map_set(&own->gone, pod->uid, since = FED_NEW(uint64_t));
        *since = now;
    }
    if (now < *since + QUARANTINE_MS)
        fed_workqueue_add_after(c->queue, fed_str(job->key), *since + QUARANTINE_MS - now);
    else
        take_away(c, job, pod, true);
    mbr_job_end(job, 0);
}

static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct own *own = c->own;
    if (!now) {
        free(fed_map_remove(&own->gone, old->uid));
        return;
    }
    struct fed_str at = mbr_pod_info_get(c->m, now)->node;
    if (at.n && (now->deleting || !mbr_find(c->m, MBR_NODES, FED_STR(""), at)))
        mbr_ctl_add(c, now->ns, now->name);
}

static void node_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct fed_arena a = {0};
    if (!now || out_of_service(now, &a))
        mbr_ctl_add_pods_of(c, (now ? now : old)->name);
    fed_arena_release(&a);
}

static void release(struct mbr_ctl *c)
{
    struct own *own = c->own;
    FED_MAP_EACH(e, &own->gone)
        free(e->value);
    fed_map_release(&own->gone);
}

void mbr_podgc_init(struct mbr_ctl *c)
{
    c->own = FED_NEW(struct own);
    c->release = release;
    mbr_ctl_queue(c, "pod-garbage-collector", reconcile);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
    mbr_ctl_watch(c, MBR_NODES, node_changed);
}
