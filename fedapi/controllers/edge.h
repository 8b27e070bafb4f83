/* SPDX-License-Identifier: Apache-2.0 */
/* edge.h: gives each joined cluster what its DNS server and balancer need: namespace federation-edge, ConfigMap `edge`
 * (who and where the cluster is, how the federation is reached) and Secret `edge-credentials` (a kubeconfig with a
 * client certificate of this cluster's own, renewed at two thirds of its life).
 *
 * The objects are written straight to the member, not propagated: each cluster's differ. Threads: the state thread.
 */
#ifndef FAPI_CONTROLLERS_EDGE_H
#define FAPI_CONTROLLERS_EDGE_H

#include "fedapi/controllers/member.h"

struct fapi_issuer {
    /* A kubeconfig (YAML) for the identity, and when it ends. */
    int (*issue)(void *ud, struct fed_str cn, struct fed_str org, struct fed_buf *kubeconfig, struct fed_err *err);
    const char *server; /* the federation's public URL */
    void *ud;
};
struct fapi_edge;
struct fapi_edge *fapi_edge_new(struct fapi_federation *f, const struct fapi_issuer *issuer);
void fapi_edge_free(struct fapi_edge *e);

#endif
