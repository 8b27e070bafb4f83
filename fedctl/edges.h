/* SPDX-License-Identifier: Apache-2.0 */
/* edges.h: where each cluster's DNS server and balancer listen, as the federation's EndpointSlices tell. Pure. */
#ifndef FEDCTL_EDGES_H
#define FEDCTL_EDGES_H

#include "codec/json.h"

struct fctl_edge {
    const char *address; /* "127.70.0.1:20053"; NULL: not known */
    bool ready;
};
/* service "dns" or "globallb", port "dns" or "http"; slices: the list of namespace federation-edge. */
struct fctl_edge fctl_find_edge(struct fed_arena *a, const struct fed_json *slices, const char *service,
                                const char *cluster, const char *port);
/* "True", "False" or "Unknown" of a Cluster's condition Ready, and why when not. */
const char *fctl_cluster_ready(struct fed_arena *a, const struct fed_json *cluster, const char **why);

#endif
