/* SPDX-License-Identifier: Apache-2.0 */
/* budget.h: how many pods a PodDisruptionBudget lets go, and what an eviction may do. Pure. */
#ifndef MEMBER_CONTROLLERS_BUDGET_H
#define MEMBER_CONTROLLERS_BUDGET_H

#include "codec/json.h"

enum { MBR_DISRUPTED_MS = 120000 }; /* an eviction that did not become a deletion until then is forgotten */

struct mbr_budget {
    int64_t pods, scale, healthy; /* selected pods; what their controllers want; ready and not about to go */
    /* the answer */
    int64_t expected, desired, allowed;
};
void mbr_budget_count(struct mbr_budget *b, const struct fed_json *spec);

enum mbr_eviction {
    MBR_EVICT,          /* and take one off the budget */
    MBR_EVICT_FREE,     /* the pod is not healthy: nothing is lost */
    MBR_EVICT_REFUSED,  /* try again later */
    MBR_EVICT_UNSETTLED /* the budget's status is not of its spec yet */
};
/* budget: the whole object; ready: the pod's. */
enum mbr_eviction mbr_eviction_decide(const struct fed_json *budget, bool ready);

#endif
