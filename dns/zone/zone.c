/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/zone/zone.h"

bool gdns_label_to_addr(struct fed_str label, struct fed_addr *out)
{
    char text[48];
    if (label.n < 2 || label.n >= sizeof(text))
        return false;
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < label.n; i++)
            text[i] = label.p[i] == '-' ? (v6 ? ':' : '.') : label.p[i];
        if (!fed_addr_parse(fed_str_n(text, label.n), 0, out))
            return true;
    }
    return false;
}

static bool same_ip(const struct fed_addr *a, const struct fed_addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == b->in.sin_addr.s_addr
                                      : memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
}

static bool has_address(const struct fed_service *svc, const struct fed_addr *a)
{
    for (size_t i = 0; i < svc->n_shards; i++)
        for (size_t g = 0; g < svc->shards[i].n_groups; g++)
            for (size_t e = 0; e < svc->shards[i].groups[g].n_endpoints; e++)
                if (same_ip(&svc->shards[i].groups[g].endpoints[e].addr, a))
                    return true;
    return false;
}

static bool proto_of_label(struct fed_str label, enum fed_transport_proto *out)
{
    static const char *const names[] = {"_tcp", "_udp", "_sctp"};
    for (unsigned i = 0; i < FED_ARRAY_LEN(names); i++) {
        if (fed_str_is(label, names[i])) {
            *out = (enum fed_transport_proto)i;
            return true;
        }
    }
    return false;
}

/* Labels left of a service's own: the count of them is `left`. */
static void classify_below_service(const struct gdns_name *name, unsigned left, struct gdns_node *out)
{
    const struct fed_service *svc = out->svc;
    enum fed_transport_proto proto;
    if (left == 0) {
        out->kind = GDNS_NODE_SERVICE;
        return;
    }
    struct fed_str nearest = gdns_label(name, left - 1);
    if (left == 1 && out->level == GDNS_GLOBAL && gdns_label_to_addr(nearest, &out->addr) &&
        has_address(svc, &out->addr)) {
        out->kind = GDNS_NODE_ADDRESS;
        return;
    }
    if (left > 2 || !proto_of_label(nearest, &proto))
        return;
    for (size_t i = 0; i < svc->n_ports; i++) {
        const struct fed_service_port *p = &svc->ports[i];
        if (p->proto != proto || !p->name.n)
            continue;
        if (left == 1) {
            out->kind = GDNS_NODE_EMPTY;
            return;
        }
        struct fed_str label = gdns_label(name, 0);
        if (label.n == p->name.n + 1 && label.p[0] == '_' && fed_str_eq(fed_str_from(label, 1), p->name)) {
            out->kind = GDNS_NODE_SRV;
            out->port = (int)i;
            return;
        }
    }
}

/* `left` labels stand left of "svc", which was found. */
static void classify_federation(const struct gdns_zones *zones, const struct fed_snapshot *s,
                                const struct gdns_name *name, unsigned left, struct gdns_node *out)
{
    out->kind = left == 0 ? GDNS_NODE_EMPTY : GDNS_NODE_NONE;
    if (left == 0 || !fed_str_is(gdns_label(name, left - 1), zones->federation))
        return;
    if (left == 1) {
        out->kind = GDNS_NODE_EMPTY;
        return;
    }
    struct fed_str ns = gdns_label(name, left - 2);
    if (left == 2) {
        out->kind = gdns_hosts_has_namespace(s->derived, ns) ? GDNS_NODE_EMPTY : GDNS_NODE_NONE;
        return;
    }
    out->svc = fed_snapshot_service(s, ns, gdns_label(name, left - 3));
    if (out->svc)
        classify_below_service(name, left - 3, out);
}

/* The region's (and zone's) own spelling is not needed: only whether some cluster is there. */
static bool known_place(const struct fed_snapshot *s, struct fed_str region, struct fed_str az)
{
    for (size_t i = 0; i < s->n_clusters; i++) {
        const struct fed_cluster *c = s->clusters[i];
        if (c && c->region.n && fed_str_ieq(c->region, region) && (!az.p || fed_cluster_has_zone(c, az)))
            return true;
    }
    return false;
}

static void classify_regional(const struct gdns_zones *zones, const struct fed_snapshot *s,
                              const struct gdns_name *name, unsigned below, struct gdns_node *out)
{
    out->region_at = below - 1;
    out->region = gdns_label(name, below - 1);
    if (!known_place(s, out->region, (struct fed_str){NULL, 0}))
        return;
    if (below == 1) {
        out->kind = GDNS_NODE_EMPTY;
        return;
    }
    struct fed_str next = gdns_label(name, below - 2);
    if (fed_str_is(next, "svc")) {
        out->level = GDNS_REGION;
        classify_federation(zones, s, name, below - 2, out);
        return;
    }
    if (!known_place(s, out->region, next))
        return;
    out->az = next;
    out->az_at = below - 2;
    out->level = GDNS_AZ;
    if (below == 2)
        out->kind = GDNS_NODE_EMPTY;
    else if (fed_str_is(gdns_label(name, below - 3), "svc"))
        classify_federation(zones, s, name, below - 3, out);
}

static void classify_ns(const struct fed_snapshot *s, struct fed_str label, struct gdns_node *out)
{
    if (!fed_str_starts(label, FED_STR("ns-")))
        return;
    const struct fed_cluster *c = fed_snapshot_cluster(s, fed_str_from(label, 3));
    if (c && fed_service_shard(s->dns, c->slot)) {
        out->kind = GDNS_NODE_NS;
        out->cluster = c;
    }
}

/* "*.NAME" of an Ingress covers exactly one label. */
static void classify_host(const struct fed_snapshot *s, const struct gdns_name *name, unsigned below,
                          struct gdns_node *out)
{
    unsigned flags = gdns_hosts_find(s->derived, name, 0);
    if (below == 0) {
        out->host_too = flags & GDNS_HOST;
        return;
    }
    if (flags & GDNS_HOST)
        out->kind = GDNS_NODE_HOST;
    else if (flags)
        out->kind = GDNS_NODE_EMPTY;
    else if (out->kind == GDNS_NODE_NONE && (gdns_hosts_find(s->derived, name, 1) & GDNS_HOST_WILD))
        out->kind = GDNS_NODE_HOST;
}

void gdns_zone_classify(const struct gdns_zones *zones, const struct gdns_zone *zone, const struct fed_snapshot *s,
                        const struct gdns_name *name, struct gdns_node *out)
{
    unsigned below = name->n - zone->name.n;
    memset(out, 0, sizeof(*out));
    if (below == 0) {
        out->kind = GDNS_NODE_APEX;
    } else if (zone->federation) {
        struct fed_str last = gdns_label(name, below - 1);
        if (fed_str_is(last, "svc"))
            classify_federation(zones, s, name, below - 1, out);
        else
            classify_regional(zones, s, name, below, out);
        if (out->kind == GDNS_NODE_NONE && below == 1)
            classify_ns(s, last, out);
    }
    if (out->kind == GDNS_NODE_NONE || out->kind == GDNS_NODE_EMPTY || below == 0)
        classify_host(s, name, below, out);
}
