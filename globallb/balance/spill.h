/* SPDX-License-Identifier: Apache-2.0 */
/* spill.h: which cluster gets a request: the nearest that is healthy and not saturated. Pure, integers only.
 *
 * Model:      clusters stand nearest first. health = min(100, 140 * healthy / all places): a cluster keeps all its load
 *             until less than 71 % of it is healthy. Each cluster takes its health's share of what nearer ones left;
 *             when all health together is below 100 the shares are scaled up to 100. (Envoy's priority levels.)
 *             A cluster at its in-flight limit passes what it would get to the nearest one with room; when none has room
 *             the least full one (in flight to limit) takes it: limits are soft, nothing is refused here.
 * Panic:      health together below 100 and less than half of a cluster's places healthy: use all its places.
 *             No health anywhere: all clusters share by their number of places.
 * Invariants: loads add up to 100 when any cluster has a place, else to 0. A cluster without places gets nothing.
 */
#ifndef GLB_BALANCE_SPILL_H
#define GLB_BALANCE_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GLB_SPILL_FACTOR = 140, GLB_PANIC_BELOW = 50, GLB_SPILL_MAX = 64 /* clusters looked at, the nearest */ };

struct glb_side {          /* one cluster */
    uint32_t healthy, all; /* places */
    int64_t in_flight;
    int64_t limit; /* of in_flight; 0: none */
    bool excluded; /* a try of this request has failed there: only when nothing else is left */
};
struct glb_spill {
    uint32_t load[GLB_SPILL_MAX]; /* percent */
    bool panic[GLB_SPILL_MAX];    /* use all places of the cluster */
};
void glb_spill_loads(const struct glb_side *sides, size_t n, struct glb_spill *out);
/* The cluster for one request, or -1 (no place at all). dice: uniform in 0 … 99. */
int glb_spill_choose(const struct glb_side *sides, size_t n, const struct glb_spill *spill, uint32_t dice);

#endif
