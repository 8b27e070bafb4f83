/* SPDX-License-Identifier: Apache-2.0 */
/* The life of nodes: one whose agent has been silent for the grace period has conditions that nobody knows, its pods are
 * not ready, and taints keep new pods away and send those that are there off (taints.c); all that ends when the agent speaks
 * again. Conditions and `unschedulable` are taints too, as the scheduler of every cluster reads them.
 *
 * Model:      an agent speaks by its lease (kube-node-lease) and by the heartbeat of the Ready condition. What counts is when
 *             we saw the change, on the monotonic clock: clocks of nodes may differ, and after a restart of ours every
 *             node has the whole grace period again. So it has when we come much too late to look: then this process was
 *             stopped (SIGSTOP, a paused virtual machine), and nobody could be heard.
 * Invariants: where no node is ready nobody is sent off (we are the ones who are cut off, more likely), nor where more than
 *             two nodes of a zone and 55 % of them are silent; else one node each ten seconds.
 * One write of the node a turn; its news brings the next. */
#include "base/mem.h"
#include "member/controllers/controllers.h"
#include "member/controllers/nodetaints.h"

#define LEASES_NS FED_STR("kube-node-lease")
enum {
    STARTUP_MS = 60000,
    EVICT_EACH_MS = 10000,
    STOPPED_MS = 1000,
    PATIENCE_MS = 5000 /* before anybody is sent off: who fell silent with this one shows by then */
};

struct seen {
    char *uid;
    char renewed[40], beat[40]; /* as they were last */
    uint64_t heard_ms;          /* when one of them changed; monotonic */
    uint64_t look_ms;           /* when it is looked at next, at the latest; 0: at its news only */
};
struct own {
    struct fed_map nodes; /* name -> struct seen */
    uint64_t next_eviction_ms;
};
struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *node;
    struct fed_json *tree;
};

static struct seen *seen_of(struct own *own, const struct fed_kobj *node, uint64_t now, bool *new)
{
    struct seen *s = fed_map_find(&own->nodes, node->name);
    *new = !s || !fed_str_is(node->uid, s->uid);
    if (*new &&s) {
        free(s->uid);
        *s = (struct seen){0};
    } else if (*new) {
        fed_map_set(&own->nodes, node->name, s = FED_NEW(struct seen));
    }
    if (*new) {
        s->uid = fed_strdup_str(node->uid);
        s->heard_ms = now;
    }
    return s;
}

static bool note(char *was, size_t room, struct fed_str is)
{
    if (!is.n || fed_str_is(is, was))
        return false;
    snprintf(was, room, "%.*s", FED_STR_ARG(fed_str_head(is, FED_MIN(is.n, room - 1))));
    return true;
}

static struct fed_json *ready_of(const struct fed_json *tree)
{
    return fed_obj_condition(fed_json_find(tree, "status"), "Ready");
}

static bool is_ready(const struct fed_json *tree)
{
    return fed_str_is(fed_json_find_text(ready_of(tree), "status"), "True");
}

static void hear(struct work *w, struct seen *s, uint64_t now)
{
    struct fed_kobj *lease = mbr_find(w->c->m, MBR_LEASES, LEASES_NS, w->node->name);
    struct fed_str renewed = FED_STR("");
    if (lease)
        renewed = fed_json_str(fed_json_at(fed_kobj_parse(lease, w->a), "spec", "renewTime", NULL));
    bool spoke = note(s->renewed, sizeof(s->renewed), renewed);
    if (note(s->beat, sizeof(s->beat), fed_json_find_text(ready_of(w->tree), "lastHeartbeatTime")) || spoke)
        s->heard_ms = now;
}

/* When the node's grace period ends. */
static uint64_t due(struct work *w, struct seen *s, uint64_t now)
{
    uint64_t grace = (uint64_t)w->c->m->conf->node_grace_ms;
    if (!ready_of(w->tree))
        grace = FED_MAX(grace, STARTUP_MS);
    if (s->look_ms && now > s->look_ms + STOPPED_MS)
        s->heard_ms = now;
    uint64_t at = s->heard_ms + grace;
    s->look_ms = now < at ? at : 0;
    if (now < at)
        fed_workqueue_add_after(w->c->queue, fed_str(w->job->key), at - now);
    return at;
}

/* What is not known any more. False: that stands there already. */
static bool forget_conditions(struct work *w, struct fed_json *status)
{
    static const char *const types[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
    int64_t now = fed_wall_ms(w->c->m->env);
    bool any = false;
    for (size_t i = 0; i < FED_ARRAY_LEN(types); i++) {
        struct fed_json *c = fed_obj_condition(status, types[i]);
        if (c && fed_str_is(fed_json_find_text(c, "status"), "Unknown"))
            continue;
        any = true;
        fed_obj_set_condition(
            w->a, status, types[i], "Unknown", c ? "NodeStatusUnknown" : "NodeStatusNeverUpdated",
            c ? FED_STR("Kubelet stopped posting node status.") : FED_STR("Kubelet never posted node status."), now);
        if (!c)
            fed_json_set(
                fed_obj_condition(status, types[i]), "lastHeartbeatTime",
                fed_json_new_str(w->a, fed_json_str(fed_json_at(w->tree, "metadata", "creationTimestamp", NULL))));
    }
    return any;
}

struct zone {
    struct fed_str region, zone;
    size_t n, silent, ready; /* ready: in any zone */
};

static bool count_node(void *ud, struct fed_kobj *node)
{
    struct zone *z = ud;
    struct fed_arena a = {0};
    bool ready = is_ready(fed_kobj_parse(node, &a));
    z->ready += ready;
    if (fed_str_eq(fed_kobj_label(node, "topology.kubernetes.io/region"), z->region) &&
        fed_str_eq(fed_kobj_label(node, "topology.kubernetes.io/zone"), z->zone)) {
        z->n++;
        z->silent += !ready;
    }
    fed_arena_release(&a);
    return true;
}

/* Whether this node's pods may be sent off now (those that go already go on unless nobody is ready). Where only others were
 * sent off too recently, it is asked again. */
static bool may_evict(struct work *w, bool going, uint64_t lost_ms, uint64_t now)
{
    struct own *own = w->c->own;
    struct zone z = {.region = fed_kobj_label(w->node, "topology.kubernetes.io/region"),
                     .zone = fed_kobj_label(w->node, "topology.kubernetes.io/zone")};
    fed_informer_each(w->c->m->informers[MBR_NODES], FED_STR(""), count_node, &z);
    if (going || !mbr_node_eviction_allowed(z.ready, z.n, z.silent))
        return going && z.ready;
    uint64_t at = FED_MAX(own->next_eviction_ms, lost_ms + PATIENCE_MS);
    if (at > now)
        fed_workqueue_add_after(w->c->queue, fed_str(w->job->key), at - now);
    return at <= now;
}

/* Pods of a node that is not ready are not either, whatever they said last: nobody shall be sent to them. */
static bool unready_pod(void *ud, struct fed_kobj *pod)
{
    struct work *w = ud;
    const struct mbr_pod_info *p = mbr_pod_info_get(w->c->m, pod);
    if (!fed_str_eq(p->node, w->node->name) || !p->ready)
        return true;
    const struct fed_json *now = fed_json_at(fed_kobj_parse(pod, w->a), "status", "conditions", NULL);
    struct fed_json *status = fed_json_object(w->a);
    if (!now)
        return true;
    fed_json_set(status, "conditions", fed_json_copy(w->a, now));
    struct fed_json *c = fed_obj_condition(status, "Ready");
    if (!c)
        return true;
    fed_json_set(c, "status", fed_json_new_strz(w->a, "False"));
    mbr_set_time(w->a, c, "lastTransitionTime", fed_wall_ms(w->c->m->env));
    mbr_job_merge_status(w->job, MBR_PODS, pod, status);
    mbr_job_warning(w->job, w->c->events, pod, "NodeNotReady", "Node is not ready");
    return true;
}

static void write_taints(struct work *w, struct fed_json *taints)
{
    struct fed_json *spec = fed_json_ensure_object(w->a, w->tree, "spec");
    if (taints->n)
        fed_json_set(spec, "taints", taints);
    else
        fed_json_remove_key(spec, "taints");
    mbr_job_update(w->job, MBR_NODES, w->tree, "");
}

static void taint(struct work *w, uint64_t lost_ms, uint64_t now)
{
    struct own *own = w->c->own;
    const struct fed_json *have = fed_json_at(w->tree, "spec", "taints", NULL);
    bool going = mbr_node_sends_off(have);
    bool may = ready_of(w->tree) && !is_ready(w->tree) && may_evict(w, going, lost_ms, now);
    struct fed_json *taints = mbr_node_taints(w->a, w->tree, may, fed_wall_ms(w->c->m->env));
    if (have ? fed_json_equal(have, taints) : !taints->n)
        return;
    if (!going && mbr_node_sends_off(taints))
        own->next_eviction_ms = now + EVICT_EACH_MS;
    write_taints(w, taints);
}

static void forget(struct own *own, struct fed_str name)
{
    struct seen *s = fed_map_remove(&own->nodes, name);
    if (s)
        free(s->uid);
    free(s);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena, .node = mbr_find(c->m, MBR_NODES, FED_STR(""), name)};
    struct own *own = c->own;
    uint64_t now = fed_mono_ms(c->m->env);
    bool new;
    (void)ns;
    if (!w.node || w.node->deleting) {
        if (!w.node)
            forget(own, name);
        return mbr_job_end(job, 0);
    }
    struct seen *s = seen_of(own, w.node, now, &new);
    w.tree = fed_kobj_parse(w.node, w.a);
    if (new)
        mbr_job_normal(job, c->events, w.node, "RegisteredNode", "Node %.*s event: Registered Node %.*s in Controller",
                       FED_STR_ARG(name), FED_STR_ARG(name));
    hear(&w, s, now);
    uint64_t at = due(&w, s, now);
    if (now >= at) {
        bool was = is_ready(w.tree);
        if (forget_conditions(&w, fed_json_ensure_object(w.a, w.tree, "status"))) {
            mbr_job_update(job, MBR_NODES, w.tree, "status");
            if (was)
                mbr_job_normal(job, c->events, w.node, "NodeNotReady", "Node %.*s status is now: NodeNotReady",
                               FED_STR_ARG(name));
            return mbr_job_end(job, 0);
        }
    }
    if (ready_of(w.tree) && !is_ready(w.tree))
        fed_informer_each(c->m->informers[MBR_PODS], FED_STR(""), unready_pod, &w);
    taint(&w, now >= at ? at : 0, now);
    mbr_job_end(job, 0);
}

/* Whether others may be sent off depends on all nodes' readiness. */
static bool enqueue(void *ud, struct fed_kobj *node)
{
    mbr_ctl_enqueue_self(ud, NULL, node);
    return true;
}

static void node_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct fed_arena a = {0};
    bool was = old && is_ready(fed_kobj_parse(old, &a)), is = now && is_ready(fed_kobj_parse(now, &a));
    fed_arena_release(&a);
    if (old && !now)
        fed_event_normal(c->events, old, "RemovingNode", "Node %.*s event: Removing Node %.*s from Controller",
                         FED_STR_ARG(old->name), FED_STR_ARG(old->name));
    if (old && was != is)
        fed_informer_each(c->m->informers[MBR_NODES], FED_STR(""), enqueue, c);
    mbr_ctl_enqueue_self(c, old, now);
}

/* A lease of a node that we know only moves the time; the timer of the node looks when it is due. */
static void lease_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct own *own = c->own;
    struct seen *s = now && fed_str_eq(now->ns, LEASES_NS) ? fed_map_find(&own->nodes, now->name) : NULL;
    struct fed_arena a = {0};
    (void)old;
    if (s && note(s->renewed, sizeof(s->renewed),
                  fed_json_str(fed_json_at(fed_kobj_parse(now, &a), "spec", "renewTime", NULL))))
        s->heard_ms = fed_mono_ms(c->m->env);
    fed_arena_release(&a);
}

/* A pod that says it is ready on a node that is not. */
static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    const struct mbr_pod_info *p = now ? mbr_pod_info_get(c->m, now) : NULL;
    struct fed_kobj *node = p && p->ready ? mbr_find(c->m, MBR_NODES, FED_STR(""), p->node) : NULL;
    struct fed_arena a = {0};
    (void)old;
    if (node && !is_ready(fed_kobj_parse(node, &a)))
        mbr_ctl_enqueue_self(c, NULL, node);
    fed_arena_release(&a);
}

static void release(struct mbr_ctl *c)
{
    struct own *own = c->own;
    FED_MAP_EACH(e, &own->nodes) {
        free(((struct seen *)e->value)->uid);
        free(e->value);
    }
    fed_map_release(&own->nodes);
}

void mbr_nodelife_init(struct mbr_ctl *c)
{
    c->own = FED_NEW(struct own);
    c->release = release;
    mbr_ctl_queue(c, "node-controller", reconcile);
    mbr_ctl_watch(c, MBR_NODES, node_changed);
    mbr_ctl_watch(c, MBR_LEASES, lease_changed);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
}
