/* SPDX-License-Identifier: Apache-2.0 */
/* zone.h: which names exist, and what each stands for.
 *
 * Model:  the names of services follow from a pattern, so they need no table:
 *             SVC.NS.FED.svc.ZONE                        global
 *             SVC.NS.FED.svc.REGION.ZONE                 in a region
 *             SVC.NS.FED.svc.AZ.REGION.ZONE              in an availability zone
 *             _PORT._PROTO.SVC…                          SRV of each
 *             A-B-C-D.SVC.NS.FED.svc.ZONE                one address (targets of SRV; IPv6 with - for :)
 *             ns-CLUSTER.ZONE                            a cluster's DNS server
 *         Ingress hosts and namespaces come from a table made for each snapshot that changed them (gdns_hosts).
 *         Names between a name and the zone exist without data (empty non-terminals, RFC 8020).
 * Threads: immutable after making; any.
 */
#ifndef GDNS_ZONE_ZONE_H
#define GDNS_ZONE_ZONE_H

#include "dns/wire/query.h"
#include "traffic/snapshot.h"

#define GDNS_MAX_ZONES 64

struct gdns_zone {
    struct gdns_name name;
    bool federation; /* service names live here; the others hold Ingress hosts only */
};
struct gdns_zones {
    struct gdns_zone zones[GDNS_MAX_ZONES];
    size_t n;
    char federation[64]; /* label FED, lower case */
};
/* Appends; 0 or FED_E_INVALID. */
FED_MUST_USE int gdns_zones_add(struct gdns_zones *z, struct fed_str name, bool federation, struct fed_err *err);
/* The zone with the longest match, or NULL: not ours. */
const struct gdns_zone *gdns_zones_find(const struct gdns_zones *z, const struct gdns_name *name);

/* Ingress hosts and their ancestors, and the namespaces that have services. Shared by snapshots by counting. */
struct gdns_hosts;
enum gdns_host_flags { GDNS_HOST = 1, GDNS_HOST_WILD = 2 /* "*.NAME" is a host */, GDNS_HOST_ENT = 4 };
/* prev: those of the snapshot before, shared when nothing that they hold changed; may be NULL. One reference. */
struct gdns_hosts *gdns_hosts_new(const struct gdns_zones *z, const struct fed_snapshot *s, struct gdns_hosts *prev);
void gdns_hosts_unref(struct gdns_hosts *h); /* control thread */
/* Flags of the name that begins at label `from`. */
unsigned gdns_hosts_find(const struct gdns_hosts *h, const struct gdns_name *name, unsigned from);
bool gdns_hosts_has_namespace(const struct gdns_hosts *h, struct fed_str ns);

enum gdns_node_kind {
    GDNS_NODE_NONE,  /* NXDOMAIN */
    GDNS_NODE_EMPTY, /* exists, without data */
    GDNS_NODE_APEX,
    GDNS_NODE_SERVICE, /* addresses */
    GDNS_NODE_SRV,
    GDNS_NODE_ADDRESS, /* one address of a service */
    GDNS_NODE_NS,      /* a cluster's DNS server */
    GDNS_NODE_HOST     /* an Ingress host: addresses of balancers */
};
enum gdns_level { GDNS_GLOBAL, GDNS_REGION, GDNS_AZ };
struct gdns_node {
    enum gdns_node_kind kind;
    bool host_too;             /* APEX: also an Ingress host */
    enum gdns_level level;     /* SERVICE, SRV */
    unsigned region_at, az_at; /* labels of the name */
    struct fed_str region, az;
    const struct fed_service *svc;
    int port;                          /* SRV: index in svc->ports */
    struct fed_addr addr;              /* ADDRESS */
    const struct fed_cluster *cluster; /* NS */
};
/* What `name` is in `zone`. */
void gdns_zone_classify(const struct gdns_zones *zones, const struct gdns_zone *zone, const struct fed_snapshot *s,
                        const struct gdns_name *name, struct gdns_node *out);
/* "192-0-2-1" or "2001-db8--1" */
bool gdns_label_to_addr(struct fed_str label, struct fed_addr *out);

#endif
