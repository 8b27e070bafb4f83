/* SPDX-License-Identifier: Apache-2.0 */
/* status.h: what the clusters report about an object becomes the federated object's status: sums of replicas, union of
 * load balancer addresses, and the annotation federation.hansa.io/clusters with the state in each cluster.
 * Writes only when something changed. Threads: the state thread. */
#ifndef FAPI_CONTROLLERS_STATUS_H
#define FAPI_CONTROLLERS_STATUS_H

#include "fedapi/controllers/member.h"

struct fapi_status *fapi_status_new(struct fapi_federation *f);
void fapi_status_free(struct fapi_status *s);

#endif
