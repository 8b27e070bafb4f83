/* SPDX-License-Identifier: Apache-2.0 */
/* table.h: what a worker needs of a snapshot, laid out for one request: the routes, and behind each backend the clusters
 * nearest first with the places (address and port) where its requests may be sent.
 *
 * Model:      made by the builder's derive hook for each snapshot; the routes are shared with the snapshot before when
 *             no ingress changed, the certificates when no ingress and no secret changed.
 *             Our own cluster: the pods themselves (scope local), else its global endpoints. Another cluster: its global
 *             endpoints; a service that has none there is reached through that cluster's balancer (`hop`).
 * Invariants: immutable; pointers into the snapshot are valid as long as the snapshot.
 * Threads:    made and freed: control thread; reading: any, inside the epoch.
 */
#ifndef GLB_ROUTE_TABLE_H
#define GLB_ROUTE_TABLE_H

#include "globallb/route/route.h"
#include "net/tls.h"

struct glb_place { /* one address and port */
    struct fed_target *target;
    const struct fed_shard *shard; /* whose word counts: of the service, or of the balancers for a hop */
    const struct fed_endpoint *endpoint;
    size_t n_ports;
    int port; /* index in the group's ports */
};
struct glb_region { /* one cluster, as this backend sees it */
    const struct fed_cluster *cluster;
    bool own, hop;
    int32_t ready_pods; /* -1: not told */
    const struct glb_place *places;
    size_t n_places;
};
struct glb_bound { /* a backend in this snapshot */
    const struct glb_backend *backend;
    bool known;                       /* the service and its port exist */
    const struct glb_region *regions; /* nearest first */
    size_t n_regions;
};
struct glb_certs; /* certificates by host name */

struct glb_table {
    struct glb_routes *routes;
    const struct fed_snapshot *snapshot;
    const struct glb_bound *bounds; /* by backend index */
    struct glb_certs *certs;
    /* private */
    const struct fed_addr *balancers; /* addresses of all clusters' balancers, sorted */
    size_t n_balancers;
    struct fed_arena *arena;
};

struct glb_table_conf {
    const char *const *classes; /* ingress classes beside none */
    size_t n_classes;
    struct fed_env *env; /* for TLS contexts; NULL: no certificates */
};
/* prev: the table of the snapshot before, or NULL. The new table shares what did not change. */
struct glb_table *glb_table_new(const struct glb_table_conf *conf, const struct fed_snapshot *s,
                                const struct fed_snapshot *prev);
void glb_table_free(struct glb_table *t); /* NULL ok */

/* The backend of a request, or NULL: no rule (404). */
static inline const struct glb_bound *glb_table_find(const struct glb_table *t, struct fed_str host,
                                                     struct fed_str path)
{
    const struct glb_backend *b = glb_routes_find(t->routes, host, path);
    return b ? &t->bounds[b->index] : NULL;
}
enum fed_use glb_place_use(const struct fed_snapshot *s, const struct glb_place *p);
/* A balancer of the federation listens at this address (the port is not compared). */
bool glb_table_is_balancer(const struct glb_table *t, const struct fed_addr *addr);
/* The certificate for a server name (lower case): borrowed or NULL. */
struct fed_tls *glb_certs_find(const struct glb_certs *c, const char *server_name);
size_t glb_certs_failed(const struct glb_certs *c); /* secrets that hold no usable pair */

#endif
