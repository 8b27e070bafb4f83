/* SPDX-License-Identifier: Apache-2.0 */
/* rollout.h: the arithmetic of a Deployment: how large each of its ReplicaSets should be now. Pure.
 *
 * Rules (as kube-controller-manager's): never more than replicas + maxSurge pods, never fewer than
 * replicas - maxUnavailable available ones by our own doing; the new set grows first, then old ones shrink, unhealthy
 * pods of old sets first; a change of replicas in the middle of a rollout is spread in proportion.
 */
#ifndef MEMBER_CONTROLLERS_ROLLOUT_H
#define MEMBER_CONTROLLERS_ROLLOUT_H

#include "codec/json.h"

struct mbr_rollout_set {
    int64_t spec, actual, ready, available; /* spec.replicas and status */
    int64_t created_ms;
    int64_t most; /* replicas and surge when it was scaled last; 0: not known */
    int64_t want; /* the answer */
    bool noted;   /* the answer: what it was scaled for is to be written to it */
    bool stale;   /* the status is of an earlier spec: it may have pods that it does not count yet */
};
struct mbr_rollout {
    int64_t replicas, surge, unavailable; /* resolved; unavailable is 0 for Recreate */
    int64_t counted;                      /* pods of all sets, as the Deployment's status says */
    bool recreate, paused, scaling;       /* scaling: replicas differs from what the sets were made for */
    struct mbr_rollout_set *fresh;        /* the set of the current template; NULL: not made yet */
    struct mbr_rollout_set **old;         /* oldest first */
    size_t n_old;
};
/* Surge and unavailable from spec.strategy; never both 0. */
void mbr_rollout_limits(struct mbr_rollout *r, const struct fed_json *strategy);
/* Sets `want` of each set. Returns true when a new set may be made now (recreate waits for the old pods to go). */
bool mbr_rollout_plan(struct mbr_rollout *r);
/* Replicas that a set made now begins with. */
int64_t mbr_rollout_first(const struct mbr_rollout *r);

#endif
