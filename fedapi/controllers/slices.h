/* SPDX-License-Identifier: Apache-2.0 */
/* slices.h: builds the ServiceImport and EndpointSlices of one federated Service from what a cluster shows. Pure:
 * trees in, trees out; the contract of the objects is docs/internals/traffic-objects.md. */
#ifndef FAPI_CONTROLLERS_SLICES_H
#define FAPI_CONTROLLERS_SLICES_H

#include "codec/json.h"

#define FAPI_LABEL_SERVICE    "multicluster.kubernetes.io/service-name"
#define FAPI_LABEL_CLUSTER    "multicluster.kubernetes.io/source-cluster"
#define FAPI_LABEL_MANAGED_BY "endpointslice.kubernetes.io/managed-by"
#define FAPI_SLICES_MANAGER   "endpoints.federation.hansa.io"
#define FAPI_LABEL_SCOPE      "federation.hansa.io/scope"

struct fapi_slices_in {
    const struct fed_json *hub_service; /* the federated Service */
    struct fed_str cluster;
    const struct fed_json *service;       /* the member's Service */
    const struct fed_json *const *slices; /* the member's EndpointSlices of it, ordered by name */
    size_t n_slices;
    const struct fed_json *const *nodes; /* the member's Nodes */
    size_t n_nodes;
};
/* "LoadBalancer", "NodePort", "ClusterIP", "Headless", "ExternalName". */
struct fed_str fapi_service_type(const struct fed_json *service);
/* Appends the wanted EndpointSlice objects of this cluster to the array `out`. */
void fapi_slices_build(struct fed_arena *a, const struct fapi_slices_in *in, struct fed_json *out);
/* The ServiceImport: clusters are the names of those that have the Service. */
struct fed_json *fapi_service_import(struct fed_arena *a, const struct fed_json *hub_service,
                                     const struct fed_str *clusters, size_t n);
/* Federation v1's annotation service-ingresses of a Service of type LoadBalancer, from what is published of it (ordered by
 * name): {"items":[{"cluster":"c1","items":[{"ip":"192.0.2.1"}]}]}; a cluster without ready pods has items null. p == NULL:
 * there is nothing to tell. */
struct fed_str fapi_service_ingresses(struct fed_arena *a, const struct fed_json *hub_service,
                                      const struct fed_json *const *slices, size_t n);

#endif
