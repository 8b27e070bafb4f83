/* SPDX-License-Identifier: Apache-2.0 */
/* preempt.h: which pods of lower priority to give up so that a pod fits. Pure.
 *
 * Rules (as the scheduler of Kubernetes): on each node where it could help, all pods of lower priority are thought away; when the
 * pod then fits, as many as possible are put back, those that a disruption budget holds and the more important ones
 * first. Of the nodes the one with the fewest held by a budget, then the least important victims, then the fewest.
 */
#ifndef MEMBER_CONTROLLERS_PREEMPT_H
#define MEMBER_CONTROLLERS_PREEMPT_H

#include "member/controllers/peers.h"

struct mbr_lesser { /* what a peer is to preemption; the same place as in peers.list */
    const struct mbr_pod_need *load;
    int64_t priority, since_ms;
    bool guarded; /* a budget allows no disruption */
};
struct mbr_preempt {
    struct mbr_peers peers;
    struct mbr_peer *list; /* = peers.list; `gone` is used and left false */
    const struct mbr_lesser *lessers;
    const struct mbr_refusal *refusals; /* of each node */
    int64_t priority;
    /* the answer */
    int node; /* -1: none */
    size_t *victims, n_victims;
};
void mbr_preempt_make(struct fed_arena *a, struct mbr_preempt *p);
/* "No preemption victims found for incoming pod" and "Preemption is not helpful for scheduling", node by node. */
void mbr_preempt_explain(const struct mbr_refusal *refusals, size_t n, struct fed_buf *out);

#endif
