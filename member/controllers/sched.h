/* SPDX-License-Identifier: Apache-2.0 */
/* sched.h: the scheduler's parts: what it remembers, what it sees for one pod, and how it makes room.
 *
 * Ownership: a struct mbr_sched_pod lives for one reconcile: its lists in the job's arena, its map until mbr_sched_look_end.
 */
#ifndef MEMBER_CONTROLLERS_SCHED_H
#define MEMBER_CONTROLLERS_SCHED_H

#include "member/controllers/ctl.h"
#include "member/controllers/loads.h"
#include "member/controllers/preempt.h"

struct mbr_sched {
    struct mbr_loads loads;
    struct fed_map stuck;    /* keys of pods that fit nowhere -> priority: tried again when anything changes for them */
    struct fed_map speaking; /* uids of pods with rules about pods */
};
struct mbr_sched_pod {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct mbr_sched *own;
    struct fed_kobj *pod;
    const struct mbr_pod_info *info;
    const struct fed_json *tree, *spec;
    struct mbr_pod_need need;
    struct mbr_node_state *nodes;
    size_t n_nodes;
    struct fed_map places; /* node -> place + 1 */
    struct mbr_refusal *refusals;
    struct mbr_peers peers;
    struct mbr_peer *list; /* all pods that have a node; only where they matter */
    struct mbr_lesser *lessers;
    struct fed_kobj **pods; /* of the list */
    size_t n_list;
    bool listed;
};
/* Reads the nodes, and the pods when rules speak of them. */
void mbr_sched_look(struct mbr_sched_pod *w);
void mbr_sched_look_end(struct mbr_sched_pod *w);
void mbr_sched_list(struct mbr_sched_pod *w);  /* the pods, if not done yet */
int mbr_sched_choose(struct mbr_sched_pod *w); /* the node's place, or -1: see refusals */
/* Gives up lesser pods for this one where that helps. The node that it is to get, empty: none; then *why tells. */
struct fed_str mbr_sched_make_room(struct mbr_sched_pod *w, struct fed_buf *why);

#endif
