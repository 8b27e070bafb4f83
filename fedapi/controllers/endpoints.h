/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.h: publishes, for each federated Service, where traffic enters each cluster and which pods stand behind, as
 * ServiceImport and EndpointSlice objects (docs/internals/traffic-objects.md), which DNS and the balancers watch.
 * A cluster that cannot be seen keeps what was published. Threads: the state thread. */
#ifndef FAPI_CONTROLLERS_ENDPOINTS_H
#define FAPI_CONTROLLERS_ENDPOINTS_H

#include "fedapi/controllers/member.h"

struct fapi_endpoints *fapi_endpoints_new(struct fapi_federation *f);
void fapi_endpoints_start(struct fapi_endpoints *e);
void fapi_endpoints_free(struct fapi_endpoints *e);

/* Addresses of the balancers of clusters that are not Offline, sorted, for Ingress status; *out is in the arena. */
size_t fapi_endpoints_balancers(struct fapi_endpoints *e, struct fed_arena *a, const struct fed_str **out);

#endif
