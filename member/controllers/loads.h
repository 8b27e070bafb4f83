/* SPDX-License-Identifier: Apache-2.0 */
/* loads.h: what each node carries, kept from pod events and from what was decided but not seen yet.
 *
 * Model:      a load is one pod with a node; totals of a node are kept as loads come and go. A pod that is to get room by
 *             preemption has a nomination: pods of lower priority see the node as if it were there.
 * Ownership:  loads belong to struct mbr_loads, borrowed until the next change. Threads: the loop's.
 */
#ifndef MEMBER_CONTROLLERS_LOADS_H
#define MEMBER_CONTROLLERS_LOADS_H

#include "base/map.h"
#include "member/podinfo.h"

struct mbr_load {
    char *node;
    int64_t priority;
    struct mbr_pod_need need; /* no trees; names are copies */
};
struct mbr_loads {
    struct fed_map pods;      /* uid -> struct mbr_load * */
    struct fed_map totals;    /* node -> sums */
    struct fed_map nominated; /* uid -> struct mbr_load * */
};
void mbr_loads_release(struct mbr_loads *l);
void mbr_loads_set(struct mbr_loads *l, struct fed_str uid, struct fed_str node, const struct mbr_pod_info *p);
void mbr_loads_drop(struct mbr_loads *l, struct fed_str uid);
const struct mbr_load *mbr_loads_find(const struct mbr_loads *l, struct fed_str uid);
void mbr_loads_nominate(struct mbr_loads *l, struct fed_str uid, struct fed_str node, const struct mbr_pod_info *p);
void mbr_loads_unname(struct mbr_loads *l, struct fed_str uid); /* the nomination is over; none is fine */
/* Fills what a node has in use, as a pod of that uid, need and priority sees it. name and allocatable are set. */
void mbr_loads_fill(const struct mbr_loads *l, struct fed_arena *a, struct mbr_node_state *n, struct fed_str uid,
                    const struct mbr_pod_need *need, int64_t priority);
/* Adds or takes away one pod. extras: those of the pod that asks. */
void mbr_node_carry(struct fed_arena *a, struct mbr_node_state *n, const struct mbr_pod_need *load,
                    const struct mbr_pod_need *asking, int sign);

#endif
