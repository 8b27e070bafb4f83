/* SPDX-License-Identifier: Apache-2.0 */
/* desired.h: the object that a member should have, made from the federated object and its place.
 *
 * Model:      name, namespace, labels, annotations and everything but status of the federated object; replicas of the
 *             plan; the marks. What belongs to the member is taken from the member's object: cluster addresses and node
 *             ports of Services (where the user chose none), secrets of ServiceAccounts, replicas where something in
 * the member scales it. Finalizers, owners, managed fields and annotations that only the hub needs are left out.
 * Ownership:  the result is a new tree in the arena and may borrow text of the inputs. Threads: pure.
 */
#ifndef FAPI_CONTROLLERS_DESIRED_H
#define FAPI_CONTROLLERS_DESIRED_H

#include "fedapi/controllers/custom.h"

struct fapi_desired_conf {
    const struct fed_json *source; /* the federated object in the version that the member is spoken to */
    const struct fed_json *member; /* what the member has now; NULL: nothing */
    struct fed_str federation_uid;
    int64_t replicas;                 /* the cluster's part by the plan (spread.h); -1: as in the source */
    bool scaled;                      /* an autoscaler has the last word on the replicas */
    const struct fapi_custom *custom; /* of a custom kind (custom.h); NULL: one of the program's own */
    struct fed_str api_version;       /* of a custom kind: as the member serves it */
};
struct fed_json *fapi_desired(struct fed_arena *a, const struct fapi_desired_conf *conf);

#endif
