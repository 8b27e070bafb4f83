/* SPDX-License-Identifier: Apache-2.0 */
/* rounds.h: how a Job in parts is ended by other clusters than those that began it.
 *
 * Model:      what a copy is to complete cannot be changed. So a copy is closed when its cluster is lost, or when it is
 *             through and more is left than the clusters without a copy may take. What it completed is noted on the
 *             federated Job (annotation federation.hansa.io/job-rounds: {"us-east1":{"done":2,"copy":"UID"}}), the copy
 *             is deleted as soon as it can be reached, and what is left is divided among clusters without an open copy.
 * Invariants: a copy counts once: by its own status while it is open, by the note from then on. What a lost cluster
 *             completes after it was last heard of is done twice: at least once is what a Job promises.
 *             A Job by index begins anew, a Job without completions leaves the rest to its other pods.
 *             What a copy had completed when it was last seen is told by the annotation federation.hansa.io/clusters
 *             (aggregate.h), so a hub that was restarted during the loss decides as the one before would have.
 * Failure:    a note that cannot be read counts as none; a copy that was never seen is as good as none once its cluster is
 *             lost. Threads: pure.
 */
#ifndef FAPI_CONTROLLERS_ROUNDS_H
#define FAPI_CONTROLLERS_ROUNDS_H

#include "fedapi/controllers/placement.h"

struct fapi_round {
    int64_t done;        /* by this cluster's closed copies */
    struct fed_str copy; /* uid of the last one closed */
};
struct fapi_copy {
    struct fed_str uid; /* empty: no copy */
    int64_t part, succeeded;
    bool complete;
};
/* Borrows. copy NULL: none. */
struct fapi_copy fapi_copy_of(struct fed_arena *a, const struct fed_kobj *copy);
/* The copy in a cluster that cannot be seen, as the federated Job tells of it. Text lives in the arena. */
struct fapi_copy fapi_copy_told(struct fed_arena *a, const struct fed_kobj *hub, struct fed_str cluster);
/* False: nothing was closed there. Text lives in the arena. */
bool fapi_round_find(struct fed_arena *a, const struct fed_kobj *hub, struct fed_str cluster, struct fapi_round *out);
/* By closed copies of all clusters, also those that left. */
int64_t fapi_rounds_done(struct fed_arena *a, const struct fed_kobj *hub);
bool fapi_round_closed(const struct fed_kobj *hub, struct fed_str cluster, struct fed_str copy_uid);
/* A merge patch of the federated Job that closes what is to be closed, or NULL. copies: of each cluster.
 * *lost: the cluster whose loss is the reason, empty: none. */
struct fed_json *fapi_rounds_close(struct fed_arena *a, const struct fed_kobj *hub, const struct fed_json *tree,
                                   const struct fapi_placement *p, const struct fapi_copy *copies,
                                   struct fed_str *lost);

#endif
