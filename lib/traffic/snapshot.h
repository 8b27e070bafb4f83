/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h: the routing state of a moment: clusters, services with their endpoints, ingresses, TLS secrets.
 *
 * Model:      the builder (builder.h) makes a new snapshot for each change, sharing all parts that did not change, and
 *             publishes it by one pointer in struct fed_routing. Everything here is immutable but the health words
 *             behind `target` and `health` pointers, which move without a new snapshot.
 * Invariants: cluster slots (target.h) index `clusters`; a slot whose Cluster object is gone holds NULL. Shards of a
 *             service are sorted by slot, one for each cluster. Hosts are lower case without a final dot.
 * Ownership:  readers borrow everything between fed_epoch_enter and fed_epoch_leave and copy what they need longer.
 * Threads:    any for reading; made and retired on the control thread.
 */
#ifndef FED_TRAFFIC_SNAPSHOT_H
#define FED_TRAFFIC_SNAPSHOT_H

#include <stdatomic.h>

#include "base/str.h"
#include "kube/obj.h"
#include "traffic/epoch.h"
#include "traffic/target.h"
#include "traffic/verdict.h"

#define FED_EDGE_NS       "federation-edge"
#define FED_EDGE_BALANCER "globallb"
#define FED_EDGE_DNS      "dns"

struct fed_cluster {
    struct fed_str name, region; /* region may be empty: unknown */
    const struct fed_str *zones;
    size_t n_zones;
    bool has_place;
    double latitude, longitude;    /* degrees, when has_place */
    double xyz[3];                 /* the same as a unit vector: nearer = larger dot product */
    bool ready, offline, cordoned; /* offline: condition Offline True, or Ready False */
    uint16_t slot;
    const atomic_uint *health; /* enum fed_health: our probes of its edge */
};

enum fed_service_type {
    FED_SERVICE_CLUSTER_IP,
    FED_SERVICE_NODE_PORT,
    FED_SERVICE_LOAD_BALANCER,
    FED_SERVICE_HEADLESS,
    FED_SERVICE_EXTERNAL_NAME
};
enum fed_transport_proto { FED_PROTO_TCP, FED_PROTO_UDP, FED_PROTO_SCTP };

struct fed_service_port {
    struct fed_str name; /* "" when the only one has none */
    enum fed_transport_proto proto;
    uint16_t port; /* of the Service */
    uint16_t real; /* where the endpoints of the group listen (group ports only) */
    struct fed_str app_protocol;
};
struct fed_endpoint {
    struct fed_addr addr;    /* port 0; family AF_UNSPEC when only a host name is known yet */
    struct fed_str hostname; /* of an FQDN slice; its addresses stand as endpoints of their own beside it */
    struct fed_str zone;
    bool ready;
    struct fed_target *const *targets; /* one for each port of the group; NULL entries: no address */
};
struct fed_group { /* the endpoints of one EndpointSlice: they share ports */
    const struct fed_service_port *ports;
    size_t n_ports;
    const struct fed_endpoint *endpoints;
    size_t n_endpoints;
};
struct fed_shard {                  /* one service in one cluster */
    uint16_t cluster;               /* slot */
    int32_t ready_pods;             /* behind it; -1: not told */
    const struct fed_group *groups; /* scope global: where traffic from anywhere enters the cluster */
    size_t n_groups;
    const struct fed_group *local; /* scope local: the pods themselves; only those of our own cluster are kept */
    size_t n_local;
};
struct fed_service {
    struct fed_str ns, name;
    enum fed_service_type type;
    const struct fed_service_port *ports; /* of the Service (port; real = 0) */
    size_t n_ports;
    const struct fed_shard *shards;
    size_t n_shards;
    const uint16_t
        *clusters; /* slots of the clusters that have the Service, entrance or not (ServiceImport's status) */
    size_t n_clusters;
    uint64_t hash;
};

enum fed_path_type { FED_PATH_PREFIX, FED_PATH_EXACT, FED_PATH_IMPLEMENTATION };
struct fed_ingress_backend {
    struct fed_str service;   /* empty: none */
    struct fed_str port_name; /* or */
    uint16_t port;
};
struct fed_ingress_path {
    struct fed_str path; /* "" or "/…" */
    enum fed_path_type type;
    struct fed_ingress_backend backend;
};
struct fed_ingress_rule {
    struct fed_str host; /* "" = any; "*.example.com" */
    const struct fed_ingress_path *paths;
    size_t n_paths;
};
struct fed_ingress_tls {
    const struct fed_str *hosts;
    size_t n_hosts;
    struct fed_str secret; /* name in the ingress' namespace; may be empty */
};
struct fed_ingress {
    struct fed_str ns, name, class_name; /* class: spec.ingressClassName or the old annotation; "" = none */
    int64_t created_ms;                  /* creationTimestamp: the older of two equal rules wins */
    struct fed_ingress_backend fallback; /* spec.defaultBackend */
    const struct fed_ingress_rule *rules;
    size_t n_rules;
    const struct fed_ingress_tls *tls;
    size_t n_tls;
    const struct fed_kv *annotations;
    size_t n_annotations;
};
struct fed_tls_secret { /* kubernetes.io/tls, only those that an Ingress names */
    struct fed_str ns, name, cert_pem, key_pem;
    uint64_t rev;
};

struct fed_snapshot {
    uint64_t gen;                                               /* 1, 2, … each publish */
    uint64_t cluster_gen, service_gen, ingress_gen, secret_gen; /* the gen at which that part last changed */
    const struct fed_cluster *const *clusters;                  /* by slot; NULL: not joined */
    size_t n_clusters;                                          /* slots */
    const struct fed_service *const *services;
    size_t n_services;
    const struct fed_ingress *const *ingresses; /* oldest first, then by namespace and name */
    size_t n_ingresses;
    const struct fed_tls_secret *const *secrets;
    size_t n_secrets;
    const struct fed_service *balancers; /* federation-edge/globallb, or NULL */
    const struct fed_service *dns;       /* federation-edge/dns, or NULL */
    uint16_t own;                        /* slot of our own cluster; FED_NO_CLUSTER: none */
    const atomic_bool *control_stale;
    void *derived; /* what the program's derive hook made of it (builder.h) */
    /* private to the builder */
    const struct fed_service *const *index; /* open addressing by hash */
    size_t index_size;                      /* power of two, or 0 */
};

/* Borrowed or NULL. ns and name exactly as Kubernetes has them (lower case). */
const struct fed_service *fed_snapshot_service(const struct fed_snapshot *s, struct fed_str ns, struct fed_str name);
uint64_t fed_service_hash(struct fed_str ns, struct fed_str name);
const struct fed_shard *fed_service_shard(const struct fed_service *svc, uint16_t slot); /* or NULL */
/* The index of the port with this number or (number 0) name in `ports`, or -1. */
int fed_ports_find(const struct fed_service_port *ports, size_t n, struct fed_str name, uint16_t number);
const struct fed_cluster *fed_snapshot_cluster(const struct fed_snapshot *s, struct fed_str name); /* or NULL */
static inline const struct fed_cluster *fed_snapshot_slot(const struct fed_snapshot *s, uint16_t slot)
{
    return slot < s->n_clusters ? s->clusters[slot] : NULL;
}
bool fed_cluster_has_zone(const struct fed_cluster *c, struct fed_str zone); /* ASCII case ignored */

/* The verdict for one endpoint in its shard; port: index in the group's ports, or -1: the address as a whole (down when
 * each of its probed ports is down, up when any is up). */
enum fed_use fed_endpoint_use(const struct fed_snapshot *s, const struct fed_shard *sh, const struct fed_endpoint *ep,
                              size_t n_ports, int port);
/* The best verdict of the shard's global endpoints (NEVER when it has none). */
enum fed_use fed_shard_use(const struct fed_snapshot *s, const struct fed_shard *sh);
/* The verdict for a cluster alone (as if it had one ready endpoint that we do not probe). */
enum fed_use fed_cluster_use(const struct fed_snapshot *s, uint16_t slot);

/* Where the current snapshot is found. */
struct fed_routing {
    _Atomic(const struct fed_snapshot *) current; /* NULL: nothing is known yet */
    struct fed_epochs *epochs;
    atomic_bool control_stale;
};
void fed_routing_init(struct fed_routing *r, size_t max_readers);
void fed_routing_release(struct fed_routing *r); /* after the builder was freed and all readers ended */
/* Inside fed_epoch_enter / leave. NULL: nothing is known yet. */
static inline const struct fed_snapshot *fed_routing_current(struct fed_routing *r)
{
    return atomic_load(&r->current); /* ordered after the store in fed_epoch_enter */
}

#endif
