/* SPDX-License-Identifier: Apache-2.0 */
/* DaemonSets: one pod on each node that suits. Pods are bound by us (spec.nodeName), so no other pod can take the
 * place. An update replaces pods node by node, the old one first: they may hold host ports; with maxSurge the new one first, the
 * old one goes when that is available. */
#include "control/revisions.h"
#include "member/controllers/controllers.h"
#include "member/controllers/choice.h"
#include "member/controllers/owner.h"
#include "member/controllers/revision.h"

struct place {
    struct fed_kobj *node;
    struct fed_kobj *pod; /* the one kept; may be deleting */
    struct fed_kobj *old; /* with maxSurge: of another revision, beside a new one */
    bool wanted;
};
struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj;
    struct fed_json *tree, *spec, *template;
    struct place *places;
    size_t n;
    struct mbr_revisions revisions;
    struct fed_str key;
    int64_t surge;   /* nodes that may have two pods at once */
    int64_t wait_ms; /* until one more is available; -1: none */
    bool look_only;  /* what was asked for is not seen yet */
};

static bool add_node(void *ud, struct fed_kobj *node)
{
    struct work *w = ud;
    struct fed_json *tree = fed_kobj_parse(node, w->a);
    const struct fed_json *pod_spec = fed_json_find(w->template, "spec");
    struct place *p = &w->places[w->n++];
    p->node = node;
    /* Not ready, full and cordoned nodes keep theirs: a daemon belongs to the node. */
    struct mbr_node_state state = {.name = node->name,
                                   .ready = true,
                                   .pods = 1,
                                   .labels = node->labels,
                                   .n_labels = node->n_labels,
                                   .cpu_milli = INT64_MAX,
                                   .memory = INT64_MAX};
    struct mbr_pod_need need = {.node_selector = fed_json_find(pod_spec, "nodeSelector"),
                                .affinity = fed_json_find(pod_spec, "affinity"),
                                .tolerations = fed_json_find(pod_spec, "tolerations")};
    struct fed_json *kept = fed_json_array(w->a);
    FED_JSON_EACH(t, fed_json_at(tree, "spec", "taints", NULL))
        if (!fed_str_starts(fed_json_find_text(t, "key"), FED_STR("node.kubernetes.io/")))
            fed_json_push(kept, fed_json_copy(w->a, t));
    state.taints = kept;
    struct mbr_refusal refusal;
    mbr_node_judge(w->a, &state, &need, &refusal);
    p->wanted = !node->deleting && !refusal.n;
    return true;
}

static void delete_pod(struct work *w, struct fed_kobj *pod)
{
    if (pod->deleting || w->look_only)
        return;
    mbr_owner_delete(w->c, w->job, w->obj, pod);
}

/* A daemon does not end. */
static void delete_ended(struct work *w, struct fed_kobj *pod, const struct mbr_pod_info *p)
{
    bool ok = fed_str_is(p->phase, "Succeeded");
    if (pod->deleting || w->look_only)
        return;
    delete_pod(w, pod);
    if (ok)
        mbr_job_normal(w->job, w->c->events, w->obj, "SucceededDaemonPod",
                       "Found succeeded daemon pod %.*s/%.*s on node %.*s, will try to delete it", FED_STR_ARG(pod->ns),
                       FED_STR_ARG(pod->name), FED_STR_ARG(p->node));
    else
        mbr_job_warning(w->job, w->c->events, w->obj, "FailedDaemonPod",
                        "Found failed daemon pod %.*s/%.*s on node %.*s, will try to kill it", FED_STR_ARG(pod->ns),
                        FED_STR_ARG(pod->name), FED_STR_ARG(p->node));
}

static bool current(const struct work *w, const struct fed_kobj *pod)
{
    return fed_str_eq(fed_kobj_label(pod, FED_REVISION_HASH), w->revisions.hash);
}

/* Two pods of a node of which one is new: both may stay. */
static bool surging(const struct work *w, struct place *at, struct fed_kobj *pod)
{
    if (!w->surge || !at->pod || at->old || at->pod->deleting || pod->deleting ||
        current(w, at->pod) == current(w, pod))
        return false;
    at->old = current(w, pod) ? at->pod : pod;
    at->pod = current(w, pod) ? pod : at->pod;
    return true;
}

static void sort_pods(struct work *w)
{
    size_t n;
    struct fed_kobj **list = mbr_owned(w->c->m, w->a, MBR_PODS, w->obj, &n);
    for (size_t i = 0; i < n; i++) {
        const struct mbr_pod_info *p = mbr_pod_info_get(w->c->m, list[i]);
        struct place *at = NULL;
        for (size_t k = 0; k < w->n; k++)
            if (fed_str_eq(w->places[k].node->name, p->node))
                at = &w->places[k];
        if (at && at->wanted && p->ended)
            delete_ended(w, list[i], p);
        else if (!at || !at->wanted)
            delete_pod(w, list[i]);
        if (at && at->wanted && !p->ended && surging(w, at, list[i]))
            continue;
        if (at && !at->pod)
            at->pod = list[i];
        else if (at && at->pod->deleting && !list[i]->deleting)
            at->pod = list[i];
        else if (at)
            delete_pod(w, list[i]);
    }
}

/* The node by its name, in place of what the template says of nodes: where it fits was judged already. */
static void name_node(struct work *w, struct fed_json *spec, struct fed_str node)
{
    struct fed_json *affinity = fed_json_ensure_object(w->a, spec, "affinity"), *required = fed_json_object(w->a);
    struct fed_json *to = affinity ? fed_json_ensure_object(w->a, affinity, "nodeAffinity") : NULL;
    struct fed_json *term = fed_json_object(w->a), *field = fed_json_object(w->a);
    if (!to)
        return;
    fed_json_set(field, "key", fed_json_new_strz(w->a, "metadata.name"));
    fed_json_set(field, "operator", fed_json_new_strz(w->a, "In"));
    fed_json_push(fed_json_ensure_array(w->a, field, "values"), fed_json_new_str(w->a, node));
    fed_json_push(fed_json_ensure_array(w->a, term, "matchFields"), field);
    fed_json_push(fed_json_ensure_array(w->a, required, "nodeSelectorTerms"), term);
    fed_json_set(to, "requiredDuringSchedulingIgnoredDuringExecution", required);
    fed_json_set(spec, "nodeName", fed_json_new_str(w->a, node));
}

static void tolerate(struct work *w, struct fed_json *list, const char *key, const char *effect)
{
    struct fed_json *t = fed_json_object(w->a);
    fed_json_set(t, "key", fed_json_new_strf(w->a, "node.kubernetes.io/%s", key));
    fed_json_set(t, "operator", fed_json_new_strz(w->a, "Exists"));
    fed_json_set(t, "effect", fed_json_new_strz(w->a, effect));
    FED_JSON_EACH(have, list)
        if (fed_json_equal(have, t))
            return;
    fed_json_push(list, t);
}

static void create_pod(struct work *w, const struct place *p)
{
    struct fed_json *pod = mbr_pod_from_template(w->c, w->a, w->obj, w->template), *spec = fed_json_find(pod, "spec");
    static const char *const keys[] = {"not-ready",    "unreachable",   "disk-pressure",      "memory-pressure",
                                       "pid-pressure", "unschedulable", "network-unavailable"};
    bool host = fed_json_bool(fed_json_find(spec, "hostNetwork"), false);
    struct fed_str generation = fed_kobj_annotation(w->obj, "deprecated.daemonset.template.generation");
    fed_obj_set_label(w->a, pod, FED_REVISION_HASH, w->revisions.hash);
    if (generation.n)
        fed_obj_set_label(w->a, pod, "pod-template-generation", generation);
    name_node(w, spec, p->node->name);
    struct fed_json *tolerations = fed_json_ensure_array(w->a, spec, "tolerations");
    for (size_t i = 0; tolerations && i < FED_ARRAY_LEN(keys) - !host; i++)
        tolerate(w, tolerations, keys[i], i < 2 ? "NoExecute" : "NoSchedule");
    mbr_owner_create(w->c, w->job, w->obj, pod);
}

static bool ready(const struct work *w, const struct fed_kobj *pod)
{
    return pod && !pod->deleting && mbr_pod_info_get(w->c->m, pod)->ready;
}

/* Ready for minReadySeconds; when the next one will be is noted. */
static bool available(struct work *w, const struct fed_kobj *pod)
{
    int64_t min_ready_ms = fed_json_int(fed_json_find(w->spec, "minReadySeconds"), 0) * 1000;
    if (!ready(w, pod) || !min_ready_ms)
        return ready(w, pod);
    int64_t left = mbr_pod_info_get(w->c->m, pod)->ready_ms + min_ready_ms - fed_wall_ms(w->c->m->env);
    if (left > 0 && (w->wait_ms < 0 || left < w->wait_ms))
        w->wait_ms = left;
    return left <= 0;
}

/* How many nodes may have a second pod while an update rolls; 0: the old pod goes first. */
static int64_t surge_of(const struct work *w, int64_t wanted)
{
    const struct fed_json *strategy = fed_json_find(w->spec, "updateStrategy");
    if (fed_str_is(fed_json_find_text(strategy, "type"), "OnDelete"))
        return 0;
    return fed_int_or_percent(fed_json_at(strategy, "rollingUpdate", "maxSurge", NULL), 0, wanted, true);
}

/* The new pod first. Where the old one is not available anyway, nobody counts. */
static void surge(struct work *w)
{
    int64_t may = w->surge;
    for (size_t i = 0; i < w->n; i++)
        may -= w->places[i].old && !available(w, w->places[i].pod);
    for (size_t i = 0; i < w->n; i++) {
        struct place *p = &w->places[i];
        if (!p->wanted || (p->pod && p->pod->deleting))
            continue;
        if (p->old && available(w, p->pod))
            delete_pod(w, p->old);
        else if (!p->pod || (!p->old && !current(w, p->pod) && (!available(w, p->pod) || may-- > 0)))
            create_pod(w, p);
    }
}

static void manage(struct work *w)
{
    const struct fed_json *strategy = fed_json_find(w->spec, "updateStrategy");
    int64_t wanted = 0, missing = 0;
    for (size_t i = 0; i < w->n; i++) {
        wanted += w->places[i].wanted;
        missing += w->places[i].wanted && !available(w, w->places[i].pod);
    }
    int64_t may = fed_int_or_percent(fed_json_at(strategy, "rollingUpdate", "maxUnavailable", NULL), 0, wanted, true);
    may = FED_MAX(may, 1) - missing;
    bool on_delete = fed_str_is(fed_json_find_text(strategy, "type"), "OnDelete");
    for (size_t i = 0; i < w->n; i++) {
        struct place *p = &w->places[i];
        if (!p->wanted || (p->pod && p->pod->deleting))
            continue; /* the place is free only when the old pod is gone */
        if (!p->pod)
            create_pod(w, p);
        else if (!on_delete && !current(w, p->pod)) {
            bool sick = !available(w, p->pod); /* already counted as missing: replacing it costs nothing */
            if (sick || may-- > 0)
                delete_pod(w, p->pod);
        }
    }
}

static void write_status(struct work *w)
{
    int64_t wanted = 0, scheduled = 0, misplaced = 0, n_ready = 0, n_available = 0, updated = 0;
    struct fed_json *status = fed_json_object(w->a);
    for (size_t i = 0; i < w->n; i++) {
        const struct place *p = &w->places[i];
        const struct fed_kobj *shown = p->old ? p->old : p->pod; /* as in Kubernetes: the older one */
        wanted += p->wanted;
        scheduled += p->wanted && p->pod;
        misplaced += !p->wanted && p->pod;
        n_ready += p->wanted && ready(w, shown);
        n_available += p->wanted && available(w, shown);
        updated += p->wanted && shown && current(w, shown);
    }
    fed_json_set(status, "observedGeneration", fed_json_new_int(w->a, w->obj->generation));
    fed_json_set(status, "currentNumberScheduled", fed_json_new_int(w->a, scheduled));
    fed_json_set(status, "desiredNumberScheduled", fed_json_new_int(w->a, wanted));
    fed_json_set(status, "numberMisscheduled", fed_json_new_int(w->a, misplaced));
    fed_json_set(status, "numberReady", fed_json_new_int(w->a, n_ready));
    mbr_patch_count(w->a, status, "updatedNumberScheduled", updated);
    mbr_patch_count(w->a, status, "numberAvailable", n_available);
    mbr_patch_count(w->a, status, "numberUnavailable", wanted - n_available);
    if (mbr_patch_differs(fed_json_find(w->tree, "status"), status))
        mbr_job_merge_status(w->job, MBR_DAEMONSETS, w->obj, status);
}

static void forget_history(struct work *w)
{
    struct fed_str *live = FED_ARENA_ARRAY(w->a, struct fed_str, 2 * w->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        live[n++] = w->places[i].pod ? fed_kobj_label(w->places[i].pod, FED_REVISION_HASH) : FED_STR("");
        if (w->places[i].old)
            live[n++] = fed_kobj_label(w->places[i].old, FED_REVISION_HASH);
    }
    mbr_revisions_forget(w->job, &w->revisions, w->spec, live, n);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena, .key = fed_str(job->key), .wait_ms = -1};
    int64_t wanted = 0;
    w.obj = mbr_find(c->m, MBR_DAEMONSETS, ns, name);
    if (!w.obj) {
        mbr_owner_forget(c, w.key);
        return mbr_job_end(job, 0);
    }
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    w.template = fed_json_find(w.spec, "template");
    if (!w.template || w.obj->deleting)
        return mbr_job_end(job, 0);
    mbr_revisions_sync(c, job, w.obj, w.tree, &w.revisions);
    if (w.revisions.adopting)
        return mbr_job_end(job, 0);
    w.places = FED_ARENA_ARRAY(w.a, struct place, fed_informer_count(c->m->informers[MBR_NODES]) + 1);
    fed_informer_each(c->m->informers[MBR_NODES], FED_STR(""), add_node, &w);
    w.look_only = mbr_owner_adopt(c, job, w.obj, w.tree, NULL);
    w.look_only = !mbr_owner_ready(c, w.key) || w.look_only;
    for (size_t i = 0; i < w.n; i++)
        wanted += w.places[i].wanted;
    w.surge = surge_of(&w, wanted);
    sort_pods(&w);
    if (!w.look_only && w.surge)
        surge(&w);
    else if (!w.look_only)
        manage(&w);
    forget_history(&w);
    write_status(&w);
    if (w.wait_ms >= 0)
        fed_workqueue_add_after(c->queue, w.key, (uint64_t)w.wait_ms + 10);
    mbr_job_end(job, 0);
}

static bool enqueue_set(void *ud, struct fed_kobj *set)
{
    mbr_ctl_enqueue_self(ud, NULL, set);
    return true;
}

static void node_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    (void)old;
    (void)now;
    fed_informer_each(c->m->informers[MBR_DAEMONSETS], FED_STR(""), enqueue_set, c);
}

void mbr_daemonset_init(struct mbr_ctl *c)
{
    mbr_owner_init(c, "daemonset-controller", MBR_DAEMONSETS, MBR_PODS, true, reconcile);
    mbr_ctl_watch(c, MBR_NODES, node_changed);
    mbr_ctl_watch(c, MBR_REVISIONS, mbr_ctl_enqueue_controller);
}
