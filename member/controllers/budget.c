/* SPDX-License-Identifier: Apache-2.0 */
/* PodDisruptionBudgets: their status. member/evict.c spends what it allows and notes the pod in disruptedPods, which
 * counts as gone until it is. */
#include "member/controllers/budget.h"

#include "control/revisions.h"
#include "kube/selector.h"
#include "member/controllers/controllers.h"

void mbr_budget_count(struct mbr_budget *b, const struct fed_json *spec)
{
    const struct fed_json *min = fed_json_find(spec, "minAvailable"), *max = fed_json_find(spec, "maxUnavailable");
    b->expected = b->scale;
    if (max) {
        b->desired = FED_MAX(b->expected - fed_int_or_percent(max, 0, b->expected, true), 0);
    } else if (min && min->type == FED_JSON_NUMBER) {
        b->expected = b->pods;
        b->desired = fed_json_int(min, 0);
    } else {
        b->desired = fed_int_or_percent(min, 0, b->expected, true);
    }
    if (!min && !max) /* as minAvailable 1 */
        b->desired = 1;
    b->allowed = b->expected > 0 ? FED_MAX(b->healthy - b->desired, 0) : 0;
}

enum mbr_eviction mbr_eviction_decide(const struct fed_json *budget, bool ready)
{
    const struct fed_json *status = fed_json_find(budget, "status");
    int64_t generation = fed_json_int(fed_json_at(budget, "metadata", "generation", NULL), 0);
    int64_t healthy = fed_json_int(fed_json_find(status, "currentHealthy"), 0);
    int64_t desired = fed_json_int(fed_json_find(status, "desiredHealthy"), 0);
    struct fed_str policy = fed_json_str(fed_json_at(budget, "spec", "unhealthyPodEvictionPolicy", NULL));
    if (!ready && (fed_str_is(policy, "AlwaysAllow") || (healthy >= desired && desired > 0)))
        return MBR_EVICT_FREE;
    if (fed_json_int(fed_json_find(status, "observedGeneration"), 0) < generation)
        return MBR_EVICT_UNSETTLED;
    return fed_json_int(fed_json_find(status, "disruptionsAllowed"), 0) > 0 ? MBR_EVICT : MBR_EVICT_REFUSED;
}

struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj;
    struct fed_json *tree;
    struct fed_selector sel;
    struct fed_json *disrupted; /* those that still count */
    struct mbr_budget count;
    struct fed_map seen; /* uids of controllers */
    int64_t unmanaged;   /* pods without a controller */
    int64_t now_ms, wait_ms;
};

static int64_t replicas_of(struct work *w, enum mbr_kind kind, const struct fed_owner *o, struct fed_kobj **obj)
{
    *obj = mbr_find(w->c->m, kind, w->obj->ns, o->name);
    if (!*obj || !fed_str_eq((*obj)->uid, o->uid))
        return -1;
    return fed_json_int(fed_json_at(fed_kobj_parse(*obj, w->a), "spec", "replicas", NULL), 1);
}

/* What the pod's controller wants, once for each controller; a pod without one that we know stands for itself. */
static int64_t scale_of(struct work *w, const struct fed_kobj *pod)
{
    static const struct {
        const char *kind;
        enum mbr_kind of;
    } kinds[] = {
        {"ReplicaSet", MBR_REPLICASETS}, {"StatefulSet", MBR_STATEFULSETS}, {"ReplicationController", MBR_CONTROLLERS}};
    const struct fed_owner *o = fed_kobj_controller(pod), *up;
    struct fed_kobj *owner = NULL;
    int64_t n = -1;
    w->unmanaged += !o;
    if (!o)
        return 0; /* nobody would make it again: it is not expected */
    for (size_t i = 0; i < FED_ARRAY_LEN(kinds); i++)
        if (fed_str_is(o->kind, kinds[i].kind))
            n = replicas_of(w, kinds[i].of, o, &owner);
    if (n < 0)
        return 1;
    up = fed_kobj_controller(owner);
    if (up && fed_str_is(up->kind, "Deployment")) {
        int64_t above = replicas_of(w, MBR_DEPLOYMENTS, up, &owner);
        if (above >= 0) {
            n = above;
            o = up;
        }
    }
    if (fed_map_has(&w->seen, o->uid))
        return 0;
    fed_map_set(&w->seen, o->uid, NULL);
    return n;
}

static bool is_disrupted(struct work *w, const struct fed_kobj *pod)
{
    const struct fed_json *at = fed_json_find_str(fed_json_at(w->tree, "status", "disruptedPods", NULL), pod->name);
    int64_t ms, left;
    if (!at || fed_time_parse(fed_json_str(at), &ms) < 0)
        return false;
    left = ms + MBR_DISRUPTED_MS - w->now_ms;
    if (left <= 0 || pod->deleting)
        return false;
    fed_json_set_str(w->disrupted, pod->name, fed_json_copy(w->a, at));
    if (w->wait_ms < 0 || left < w->wait_ms)
        w->wait_ms = left;
    return true;
}

static bool count_pod(void *ud, struct fed_kobj *pod)
{
    struct work *w = ud;
    const struct mbr_pod_info *p;
    if (!fed_selector_matches(&w->sel, pod->labels, pod->n_labels))
        return true;
    p = mbr_pod_info_get(w->c->m, pod);
    if (p->ended)
        return true;
    w->count.pods++;
    w->count.scale += scale_of(w, pod);
    w->count.healthy += p->ready && !pod->deleting && !is_disrupted(w, pod);
    return true;
}

/* As Go shows one. */
static struct fed_str shown_selector(struct work *w)
{
    const struct fed_json *sel = fed_json_at(w->tree, "spec", "selector", NULL);
    struct fed_buf b = {0};
    fed_buf_addf(&b, "&LabelSelector{MatchLabels:map[string]string{");
    FED_JSON_EACH(l, fed_json_find(sel, "matchLabels"))
        fed_buf_addf(&b, "%.*s: %.*s,", FED_STR_ARG(l->key), FED_STR_ARG(fed_json_str(l)));
    fed_buf_addf(&b, "},MatchExpressions:[]LabelSelectorRequirement{");
    FED_JSON_EACH(e, fed_json_find(sel, "matchExpressions")) {
        fed_buf_addf(&b, "LabelSelectorRequirement{Key:%.*s,Operator:%.*s,Values:[",
                     FED_STR_ARG(fed_json_find_text(e, "key")), FED_STR_ARG(fed_json_find_text(e, "operator")));
        FED_JSON_EACH(v, fed_json_find(e, "values"))
            fed_buf_addf(&b, "%s%.*s", v->prev ? " " : "", FED_STR_ARG(fed_json_str(v)));
        fed_buf_addf(&b, "],},");
    }
    fed_buf_addf(&b, "},}");
    struct fed_str text = fed_arena_dup(w->a, fed_buf_str(&b));
    fed_buf_release(&b);
    return text;
}

/* Not at each look: when it is new, and when the pods became others. */
static void tell(struct work *w)
{
    const struct fed_json *spec = fed_json_find(w->tree, "spec"), *least = fed_json_find(spec, "minAvailable");
    if (!w->count.pods)
        mbr_job_normal(w->job, w->c->events, w->obj, "NoPods", "No matching pods found");
    if (w->unmanaged && !(least && least->type == FED_JSON_NUMBER))
        mbr_job_warning(w->job, w->c->events, w->obj, "UnmanagedPods",
                        "Pods selected by this PodDisruptionBudget (selector: %.*s) were found to be unmanaged. As a "
                        "result, the status of the PDB cannot be calculated correctly, which may result in undefined "
                        "behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an "
                        "integer value.",
                        FED_STR_ARG(shown_selector(w)));
}

static void write_status(struct work *w)
{
    struct fed_json *status = mbr_status_copy(w->a, w->tree);
    bool ok = w->count.allowed > 0;
    fed_json_set(status, "observedGeneration", fed_json_new_int(w->a, w->obj->generation));
    fed_json_set(status, "disruptionsAllowed", fed_json_new_int(w->a, w->count.allowed));
    fed_json_set(status, "currentHealthy", fed_json_new_int(w->a, w->count.healthy));
    fed_json_set(status, "desiredHealthy", fed_json_new_int(w->a, w->count.desired));
    fed_json_set(status, "expectedPods", fed_json_new_int(w->a, w->count.expected));
    fed_json_remove_key(status, "disruptedPods");
    if (w->disrupted->n)
        fed_json_set(status, "disruptedPods", w->disrupted);
    fed_obj_set_condition(w->a, status, "DisruptionAllowed", ok ? "True" : "False",
                          ok ? "SufficientPods" : "InsufficientPods", FED_STR(""), w->now_ms);
    struct fed_json *c = fed_obj_condition(status, "DisruptionAllowed");
    if (c)
        fed_json_set(c, "observedGeneration", fed_json_new_int(w->a, w->obj->generation));
    const struct fed_json *was = fed_json_find(w->tree, "status");
    bool news = fed_json_int(fed_json_find(was, "observedGeneration"), 0) != w->obj->generation ||
                fed_json_int(fed_json_find(was, "expectedPods"), 0) != w->count.expected ||
                fed_json_int(fed_json_find(was, "currentHealthy"), 0) != w->count.healthy;
    mbr_job_update_status(w->job, MBR_BUDGETS, w->tree, status); /* an eviction may be writing too */
    if (news)
        tell(w);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena, .now_ms = fed_wall_ms(c->m->env), .wait_ms = -1};
    w.obj = mbr_find(c->m, MBR_BUDGETS, ns, name);
    if (!w.obj || w.obj->deleting)
        return mbr_job_end(job, 0);
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.disrupted = fed_json_object(w.a);
    if (fed_selector_from_json(w.a, fed_json_at(w.tree, "spec", "selector", NULL), &w.sel, NULL) == 0)
        fed_informer_each(c->m->informers[MBR_PODS], ns, count_pod, &w);
    mbr_budget_count(&w.count, fed_json_find(w.tree, "spec"));
    fed_map_release(&w.seen);
    if (w.wait_ms >= 0)
        fed_workqueue_add_after(c->queue, fed_str(job->key), (uint64_t)w.wait_ms + 10);
    write_status(&w);
    mbr_job_end(job, 0);
}

static bool enqueue(void *ud, struct fed_kobj *budget)
{
    mbr_ctl_add(ud, budget->ns, budget->name);
    return true;
}

/* Budgets are few: any change in a namespace has all of its budgets counted again. */
static void something_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    fed_informer_each(c->m->informers[MBR_BUDGETS], (now ? now : old)->ns, enqueue, c);
}

void mbr_budget_init(struct mbr_ctl *c)
{
    static const enum mbr_kind kinds[] = {MBR_PODS, MBR_DEPLOYMENTS, MBR_REPLICASETS, MBR_STATEFULSETS,
                                          MBR_CONTROLLERS};
    mbr_ctl_queue(c, "disruption-controller", reconcile);
    fed_recorder_free(c->events); /* Kubernetes tells its events by this name */
    c->events = fed_recorder_new(c->m->client, "controllermanager", "");
    mbr_ctl_watch(c, MBR_BUDGETS, mbr_ctl_enqueue_self);
    for (size_t i = 0; i < FED_ARRAY_LEN(kinds); i++)
        mbr_ctl_watch(c, kinds[i], something_changed);
}
