/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h: the pieces of a snapshot, each made once from API objects and shared by snapshots by reference count.
 * Private to lib/traffic. Threads: control thread. Bounds: see the MAX_ constants in parse.c; what is beyond is cut. */
#ifndef FED_TRAFFIC_PARTS_H
#define FED_TRAFFIC_PARTS_H

#include "base/arena.h"
#include "base/list.h"
#include "kube/obj.h"
#include "traffic/snapshot.h"

struct fed_part { /* first member of each; everything of a part lives in its arena, the part itself too */
    unsigned refs;
    struct fed_arena arena;
    void (*drop)(struct fed_part *part); /* gives back what is not memory; NULL: nothing */
};
void *fed_part_new(size_t size, void (*drop)(struct fed_part *part)); /* one reference, zeroed */
void *fed_part_ref(void *part);
void fed_part_unref(void *part); /* NULL ok */

struct fed_cluster_part {
    struct fed_part part;
    struct fed_cluster c;
};
struct fed_ingress_part {
    struct fed_part part;
    struct fed_ingress i;
};
struct fed_secret_part {
    struct fed_part part;
    struct fed_tls_secret s;
};
struct fed_service_part {
    struct fed_part part;
    struct fed_service s;
    struct fed_targets *targets;
    struct fed_target **held; /* references to give back */
    size_t n_held, cap_held;
};
/* A parsed ServiceImport. */
struct fed_import_part {
    struct fed_part part;
    enum fed_service_type type;
    struct fed_service_port *ports;
    size_t n_ports;
    uint16_t *clusters; /* that have the Service */
    size_t n_clusters;
};
/* A parsed EndpointSlice. */
struct fed_slice_part {
    struct fed_part part;
    struct fed_list link; /* in its service's list (builder) */
    struct fed_str ns, service, name;
    uint16_t cluster;
    bool local;
    int32_t ready_pods;
    struct fed_service_port *ports;
    size_t n_ports;
    struct fed_endpoint *endpoints; /* without targets */
    size_t n_endpoints;
};

/* Each returns a new part, or NULL when the object does not say what it must. */
struct fed_cluster_part *fed_parse_cluster(struct fed_targets *t, const struct fed_kobj *o);
struct fed_import_part *fed_parse_import(struct fed_targets *t, const struct fed_kobj *o);
struct fed_slice_part *fed_parse_slice(struct fed_targets *t, const struct fed_kobj *o);
struct fed_ingress_part *fed_parse_ingress(const struct fed_kobj *o);
struct fed_secret_part *fed_parse_secret(const struct fed_kobj *o);

/* Addresses of a host name as known now: false when none is. */
typedef bool (*fed_resolved_cb)(void *ud, struct fed_str host, const struct fed_addr **addrs, size_t *n);
/* A service from its import and the list of its slices (fed_slice_part.link). */
struct fed_service_part *fed_assemble_service(struct fed_targets *t, struct fed_str ns, struct fed_str name,
                                              const struct fed_import_part *import, const struct fed_list *slices,
                                              fed_resolved_cb resolved, void *ud);

#endif
