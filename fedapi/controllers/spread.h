/* SPDX-License-Identifier: Apache-2.0 */
/* spread.h: which number of a federated object is divided among the clusters, and what a cluster's part of it looks like.
 *
 * Model:      kind                              number                        a cluster's part
 *             Deployment, ReplicaSet,           spec.replicas                 spec.replicas; 0 is a copy without pods
 *             ReplicationController
 *             Job                               completions, else parallelism both in proportion; none: no Job there;
 *                                                                             fixed once made: completions cannot change
 *             CronJob                           the same of its jobTemplate   the same, divided anew at any time
 *             HorizontalPodAutoscaler           spec.maxReplicas              max and min in proportion; none: not there
 *             anything else                     none                          a copy
 *             A Job by index (completionMode Indexed) is never cut: the cluster with the largest part runs all of it.
 * Threads:    pure.
 */
#ifndef FAPI_CONTROLLERS_SPREAD_H
#define FAPI_CONTROLLERS_SPREAD_H

#include "codec/json.h"
#include "kube/obj.h"

struct fapi_spread_rule {
    const char *kind, *preferences; /* annotation */
    bool skip_empty;                /* a cluster without a part does not get the object */
    bool fixed;                     /* what a cluster has stays its part */
};
/* NULL: the kind is not divided. */
const struct fapi_spread_rule *fapi_spread_find(struct fed_str kind);
/* The number of an object (the federated one, or a member's copy); -1: it has none. */
int64_t fapi_spread_number(struct fed_str kind, const struct fed_json *tree);
/* True when the object is to stay in one piece. */
bool fapi_spread_whole(struct fed_str kind, const struct fed_json *tree);
/* Writes a cluster's part into a copy of the federated object. */
void fapi_spread_apply(struct fed_arena *a, struct fed_str kind, struct fed_json *copy, int64_t part);

#endif
