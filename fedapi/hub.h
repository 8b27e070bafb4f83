/* SPDX-License-Identifier: Apache-2.0 */
/* hub.h: the hub as a cluster of its own: which core kinds it serves, and the housekeeping controllers that every API
 * server needs (garbage collection, namespaces, expiry of Events). */
#ifndef FAPI_HUB_H
#define FAPI_HUB_H

#include "kube/client.h"
#include "kube/kind.h"

extern const char *const fapi_core_kinds[]; /* "group/plural", NULL-terminated */

struct fapi_hub;
struct fapi_hub *fapi_hub_start(struct fed_transport *t, const struct fed_kinds *kinds);
void fapi_hub_free(struct fapi_hub *h);

#endif
