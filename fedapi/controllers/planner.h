/* SPDX-License-Identifier: Apache-2.0 */
/* planner.h: divides replicas over clusters by preferences, and says why.
 *
 * Model:      the federation-v1 division: by weight, with a stable order of clusters for each object (FNV-1 of cluster
 *             and object), least and most counts, estimated capacity; `rebalance: false` leaves running replicas where
 *             they are as long as that is allowed.
 *             When no more are wanted than run, clusters shrink towards their shares and none grows (beyond its minimum).
 * Invariants: the sum of all parts is the number wanted, or less when every cluster is at its most (`unplaced` tells).
 *             Nobody gets more than maxReplicas, and with weight 0 no more than its minimum or what it runs. Capacity
 * is exceeded only by replicas that fit nowhere (they wait there as pending pods). A cluster that is not usable gets 0.
 * Same input, same output. Ownership:  results are in the arena and borrow the names given. Threads:    pure.
 */
#ifndef FAPI_CONTROLLERS_PLANNER_H
#define FAPI_CONTROLLERS_PLANNER_H

#include "codec/json.h"

struct fapi_preference { /* of one cluster, or "*" for those not named */
    struct fed_str cluster;
    int64_t min, max; /* max -1: none */
    int64_t weight;
};
struct fapi_preferences {
    bool rebalance;
    struct fapi_preference *items;
    size_t n;
};
/* The annotation's JSON {"rebalance":…, "clusters": {"name or *": {minReplicas, maxReplicas, weight}}}, member names in
 * any case. FED_E_INVALID with what is wrong. Empty text: the default, everything by equal weight. */
FED_MUST_USE int fapi_preferences_parse(struct fed_arena *a, struct fed_str text, struct fapi_preferences *out,
                                        struct fed_err *err);
void fapi_preferences_default(struct fed_arena *a, struct fapi_preferences *out);

struct fapi_plan_cluster {
    struct fed_str name;
    const char *unusable; /* NULL, or why it can get nothing: "offline", "cordoned" */
    int64_t current;      /* replicas that it has and that could start; -1: the object is not there */
    int64_t capacity;     /* most that it can run; -1: unknown */
};
struct fapi_part {
    struct fed_str cluster;
    int64_t replicas; /* for spec.replicas, what must wait for room included */
    int64_t pending;  /* of these: beyond the known capacity */
    struct fed_str why;
};
struct fapi_plan {
    struct fapi_part *parts; /* one for each cluster, in the order given */
    size_t n;
    int64_t unplaced; /* replicas that no cluster may take */
};
/* key: "namespace/name". */
void fapi_plan(struct fed_arena *a, struct fed_str key, int64_t replicas, const struct fapi_plan_cluster *clusters,
               size_t n, const struct fapi_preferences *prefs, struct fapi_plan *out);

#endif
