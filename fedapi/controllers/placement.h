/* SPDX-License-Identifier: Apache-2.0 */
/* placement.h: which clusters an object goes to, with how many replicas, and why.
 *
 * Model:      every cluster gets a spot. `selected` is the cluster selector's word alone: an unselected cluster must
 * not have the object; a selected one should, whether it can be reached now or not. Replicas of Deployments and
 *             ReplicaSets are divided over the selected clusters that can take them.
 * Failure:    a selector that cannot be read is an error: then nothing is known, and nothing may be changed.
 * Ownership:  results are in the arena and borrow the inputs. Threads: pure.
 */
#ifndef FAPI_CONTROLLERS_PLACEMENT_H
#define FAPI_CONTROLLERS_PLACEMENT_H

#include "fedapi/controllers/custom.h"

struct fapi_cluster { /* what decisions know of a member */
    struct fed_str name;
    const struct fed_kv *labels;
    size_t n_labels;
    bool offline;  /* not Ready for longer than the grace: its replicas are made up elsewhere */
    bool cordoned; /* keeps its objects, gets no replicas */
    bool conflict; /* an object that is not ours stands there */
    /* Of this object there: replicas that it has and that could start (spec.replicas less the unschedulable);
     * -1: none. And the most it can run; -1: unknown. */
    int64_t current, capacity;
};
struct fapi_spot {
    const struct fapi_cluster *cluster;
    bool selected;
    int64_t replicas; /* for spec.replicas; -1: not divided, as in the federated object */
    struct fed_str why;
};
struct fapi_placement {
    struct fapi_spot *spots; /* one for each cluster, in the order given */
    size_t n, n_selected;
    int64_t unplaced; /* of the number divided: no cluster may take it now */
    /* For a condition and an event; reason NULL: all well. "NoClusterMatches", "InvalidPreferences" (the default
     * division is used), "ReplicasUnplaced". */
    const char *reason;
    struct fed_str message;
};
/* obj: the federated object and its tree (storage version). FED_E_INVALID: the selector annotation is malformed. */
FED_MUST_USE int fapi_place(struct fed_arena *a, const struct fed_kobj *obj, const struct fed_json *tree,
                            const struct fapi_cluster *clusters, size_t n, struct fapi_placement *out,
                            struct fed_err *err);
/* The same for an object of a custom kind (custom.h). */
FED_MUST_USE int fapi_place_custom(struct fed_arena *a, const struct fed_kobj *obj, const struct fed_json *tree,
                                   const struct fapi_custom *custom, const struct fapi_cluster *clusters, size_t n,
                                   struct fapi_placement *out, struct fed_err *err);
/* To no cluster, whatever the object says. why: static. */
void fapi_place_nowhere(struct fed_arena *a, const char *why, const struct fapi_cluster *clusters, size_t n,
                        struct fapi_placement *out);

#endif
