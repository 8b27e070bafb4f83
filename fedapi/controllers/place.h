/* SPDX-License-Identifier: Apache-2.0 */
/* place.h: what a Cluster object says about its cluster: conditions, region, zones. Pure but for the member it reads. */
#ifndef FAPI_CONTROLLERS_PLACE_H
#define FAPI_CONTROLLERS_PLACE_H

#include "fedapi/controllers/member.h"

/* Merge patch for the Cluster's /status, or NULL when nothing changed. Region and zones come from the Cluster's
 * annotations, else from the labels of the nodes (topology.kubernetes.io, then failure-domain.beta.kubernetes.io);
 * a cluster that cannot be seen keeps those it had. */
struct fed_json *fapi_place_status(struct fed_arena *a, const struct fapi_member *m, const struct fed_kobj *object);
/* Whether labels, addresses, readiness and schedulability of a Node are the same. */
bool fapi_place_same_node(const struct fed_kobj *a, const struct fed_kobj *b);
bool fapi_place_same_labels(const struct fed_kobj *a, const struct fed_kobj *b);
/* True while the member has objects that we made. */
bool fapi_place_has_objects(const struct fapi_member *m);

#endif
