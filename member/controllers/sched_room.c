/* SPDX-License-Identifier: Apache-2.0 */
/* Making room for a pod: preempt.h with the cluster's pods and budgets. */
#include "base/mem.h"
#include "kube/selector.h"
#include "member/controllers/sched.h"

struct guard {
    struct mbr_sched_pod *w;
    const struct fed_kobj *pod;
    bool holds;
};

static bool holds(void *ud, struct fed_kobj *budget)
{
    struct guard *g = ud;
    struct fed_selector sel;
    const struct fed_json *tree = fed_kobj_parse(budget, g->w->a);
    if (fed_selector_from_json(g->w->a, fed_json_at(tree, "spec", "selector", NULL), &sel, NULL) == 0 &&
        fed_selector_matches(&sel, g->pod->labels, g->pod->n_labels))
        g->holds = fed_json_int(fed_json_at(tree, "status", "disruptionsAllowed", NULL), 0) <= 0;
    return !g->holds;
}

static bool has_lesser(const struct mbr_sched_pod *w)
{
    FED_MAP_EACH(e, &w->own->loads.pods)
        if (((struct mbr_load *)e->value)->priority < w->info->priority)
            return true;
    return false;
}

static void give_up(struct mbr_sched_pod *w, const struct fed_kobj *victim, struct fed_str node)
{
    if (victim->deleting)
        return;
    mbr_job_disrupt(w->job, victim, "PreemptionByScheduler",
                    "default-scheduler: preempting to accommodate a higher priority pod");
    mbr_job_delete(w->job, MBR_PODS, victim);
    fed_event_normal(w->c->events, victim, "Preempted", "Preempted by pod %.*s on node %.*s", FED_STR_ARG(w->pod->uid),
                     FED_STR_ARG(node));
}

/* What was given up for it before is still going. */
static bool waits_already(const struct mbr_sched_pod *w, struct fed_str node)
{
    for (size_t i = 0; i < w->n_list && node.n; i++)
        if (w->list[i].deleting && w->lessers[i].priority < w->info->priority &&
            fed_str_eq(w->nodes[w->list[i].node].name, node))
            return true;
    return false;
}

struct fed_str mbr_sched_make_room(struct mbr_sched_pod *w, struct fed_buf *why)
{
    struct fed_str none = {0}, before = fed_json_str(fed_json_at(w->tree, "status", "nominatedNodeName", NULL));
    if (fed_str_is(fed_json_find_text(w->spec, "preemptionPolicy"), "Never")) {
        fed_buf_addz(why, " preemption: not eligible due to preemptionPolicy=Never.");
        return none;
    }
    struct mbr_preempt p = {.refusals = w->refusals, .priority = w->info->priority, .node = -1};
    if (has_lesser(w)) {
        mbr_sched_list(w);
        if (waits_already(w, before))
            return before;
        for (size_t i = 0; i < w->n_list; i++) {
            struct guard g = {.w = w, .pod = w->pods[i]};
            if (w->lessers[i].priority < w->info->priority)
                fed_informer_each(w->c->m->informers[MBR_BUDGETS], w->pods[i]->ns, holds, &g);
            w->lessers[i].guarded = g.holds;
        }
        p.peers = w->peers;
        p.list = w->list;
        p.lessers = w->lessers;
        mbr_preempt_make(w->a, &p);
    }
    if (p.node < 0) {
        mbr_preempt_explain(w->refusals, w->n_nodes, why);
        mbr_loads_unname(&w->own->loads, w->pod->uid);
        return none;
    }
    struct fed_str node = w->nodes[p.node].name;
    for (size_t i = 0; i < p.n_victims; i++)
        give_up(w, w->pods[p.victims[i]], node);
    mbr_loads_nominate(&w->own->loads, w->pod->uid, node, w->info);
    return node;
}
