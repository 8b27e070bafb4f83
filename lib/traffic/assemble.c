/* SPDX-License-Identifier: Apache-2.0 */
/* A service of a snapshot from its parsed import and slices. */
#include "base/mem.h"
#include "traffic/parts.h"

#define MAX_ADDRS_OF_HOST 16

static void drop_service(struct fed_part *part)
{
    struct fed_service_part *p = fed_container_of(part, struct fed_service_part, part);
    for (size_t i = 0; i < p->n_held; i++)
        fed_targets_unref(p->targets, p->held[i]);
    free(p->held);
}

static void hold(struct fed_service_part *p, struct fed_target *t)
{
    if (p->n_held == p->cap_held) {
        p->cap_held = p->cap_held ? p->cap_held * 2 : 8;
        p->held = fed_realloc(p->held, p->cap_held * sizeof(struct fed_target *));
    }
    p->held[p->n_held++] = t;
}

/* HTTP is known by the port's application protocol or name; a probe of anything else is a connection. */
static bool speaks_http(const struct fed_service_port *port)
{
    struct fed_str app = port->app_protocol.n ? port->app_protocol : port->name;
    return fed_str_is(app, "http") || fed_str_starts(app, FED_STR("http-")) || fed_str_is(app, "kubernetes.io/ws");
}

static enum fed_probe_kind probe_kind(const struct fed_service *s, const struct fed_service_port *port)
{
    if (fed_str_is(s->ns, FED_EDGE_NS)) {
        if (fed_str_is(s->name, FED_EDGE_BALANCER) && fed_str_is(port->name, "http"))
            return FED_PROBE_EDGE;
        if (fed_str_is(s->name, FED_EDGE_DNS) && port->proto == FED_PROTO_UDP)
            return FED_PROBE_DNS;
    }
    if (port->proto != FED_PROTO_TCP)
        return FED_PROBE_NONE;
    return speaks_http(port) ? FED_PROBE_HTTP : FED_PROBE_TCP;
}

static void add_targets(struct fed_service_part *p, const struct fed_slice_part *sl,
                        const struct fed_service_port *ports, struct fed_endpoint *ep)
{
    struct fed_target **targets = FED_ARENA_ARRAY(&p->part.arena, struct fed_target *, sl->n_ports + 1);
    ep->targets = targets;
    if (ep->addr.sa.sa_family == AF_UNSPEC)
        return;
    for (size_t i = 0; i < sl->n_ports; i++) {
        struct fed_addr a = ep->addr;
        fed_addr_set_port(&a, ports[i].real);
        targets[i] = fed_targets_ref(p->targets, probe_kind(&p->s, &ports[i]), &a, sl->cluster);
        hold(p, targets[i]);
    }
}

static void copy_ports(struct fed_arena *a, const struct fed_service_port *from, size_t n, struct fed_service_port *to)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
        to[i].name = fed_arena_dup(a, from[i].name);
        to[i].app_protocol = fed_arena_dup(a, from[i].app_protocol);
    }
}

static void make_group(struct fed_service_part *p, const struct fed_slice_part *sl, struct fed_group *g,
                       fed_resolved_cb resolved, void *ud)
{
    struct fed_arena *a = &p->part.arena;
    struct fed_service_port *ports = FED_ARENA_ARRAY(a, struct fed_service_port, sl->n_ports + 1);
    copy_ports(a, sl->ports, sl->n_ports, ports);
    size_t room = sl->n_endpoints, n = 0;
    for (size_t i = 0; i < sl->n_endpoints; i++)
        if (sl->endpoints[i].hostname.n)
            room += MAX_ADDRS_OF_HOST;
    struct fed_endpoint *eps = FED_ARENA_ARRAY(a, struct fed_endpoint, room + 1);
    for (size_t i = 0; i < sl->n_endpoints; i++) {
        const struct fed_endpoint *from = &sl->endpoints[i];
        struct fed_endpoint *ep = &eps[n++];
        *ep = *from;
        ep->hostname = fed_arena_dup(a, from->hostname);
        ep->zone = fed_arena_dup(a, from->zone);
        add_targets(p, sl, ports, ep);
        const struct fed_addr *addrs = NULL;
        size_t n_addrs = 0;
        if (!from->hostname.n || !resolved || !resolved(ud, from->hostname, &addrs, &n_addrs))
            continue;
        for (size_t k = 0; k < n_addrs && k < MAX_ADDRS_OF_HOST; k++) {
            eps[n] = *ep;
            eps[n].addr = addrs[k];
            fed_addr_set_port(&eps[n].addr, 0);
            add_targets(p, sl, ports, &eps[n]);
            n++;
        }
    }
    *g = (struct fed_group){ports, sl->n_ports, eps, n};
}

/* All slices of one cluster and scope, in name order, so that servers agree on the order of addresses. */
static struct fed_group *make_groups(struct fed_service_part *p, const struct fed_list *slices, uint16_t cluster,
                                     bool local, size_t *n_out, fed_resolved_cb resolved, void *ud)
{
    size_t n = 0;
    FED_LIST_EACH(it, slices) {
        const struct fed_slice_part *sl = FED_LIST_ENTRY(it, struct fed_slice_part, link);
        n += sl->cluster == cluster && sl->local == local;
    }
    struct fed_group *groups = FED_ARENA_ARRAY(&p->part.arena, struct fed_group, n + 1);
    const struct fed_slice_part *last = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct fed_slice_part *next = NULL;
        FED_LIST_EACH(it, slices) {
            const struct fed_slice_part *sl = FED_LIST_ENTRY(it, struct fed_slice_part, link);
            if (sl->cluster == cluster && sl->local == local && (!last || fed_str_cmp(sl->name, last->name) > 0) &&
                (!next || fed_str_cmp(sl->name, next->name) < 0))
                next = sl;
        }
        if (!next) /* two slices of one name cannot be */
            break;
        make_group(p, next, &groups[i], resolved, ud);
        last = next;
        *n_out = i + 1;
    }
    return groups;
}

static size_t collect_clusters(const struct fed_list *slices, uint16_t *slots)
{
    size_t n = 0;
    FED_LIST_EACH(it, slices) {
        uint16_t slot = FED_LIST_ENTRY(it, struct fed_slice_part, link)->cluster;
        size_t at = 0;
        while (at < n && slots[at] < slot)
            at++;
        if (at < n && slots[at] == slot)
            continue;
        memmove(&slots[at + 1], &slots[at], (n - at) * sizeof(*slots));
        slots[at] = slot;
        n++;
    }
    return n;
}

struct fed_service_part *fed_assemble_service(struct fed_targets *t, struct fed_str ns, struct fed_str name,
                                              const struct fed_import_part *import, const struct fed_list *slices,
                                              fed_resolved_cb resolved, void *ud)
{
    struct fed_service_part *p = fed_part_new(sizeof(*p), drop_service);
    struct fed_arena *a = &p->part.arena;
    struct fed_service *s = &p->s;
    p->targets = t;
    s->ns = fed_arena_dup(a, ns);
    s->name = fed_arena_dup(a, name);
    s->hash = fed_service_hash(ns, name);
    s->type = import->type;
    struct fed_service_port *ports = FED_ARENA_ARRAY(a, struct fed_service_port, import->n_ports + 1);
    copy_ports(a, import->ports, import->n_ports, ports);
    s->ports = ports;
    s->n_ports = import->n_ports;
    uint16_t *clusters = FED_ARENA_ARRAY(a, uint16_t, import->n_clusters + 1);
    if (import->n_clusters)
        memcpy(clusters, import->clusters, import->n_clusters * sizeof(*clusters));
    s->clusters = clusters;
    s->n_clusters = import->n_clusters;
    uint16_t slots[FED_MAX_CLUSTERS + 1];
    s->n_shards = collect_clusters(slices, slots);
    struct fed_shard *shards = FED_ARENA_ARRAY(a, struct fed_shard, s->n_shards + 1);
    for (size_t i = 0; i < s->n_shards; i++) {
        struct fed_shard *sh = &shards[i];
        sh->cluster = slots[i];
        sh->ready_pods = -1;
        FED_LIST_EACH(it, slices) {
            const struct fed_slice_part *sl = FED_LIST_ENTRY(it, struct fed_slice_part, link);
            if (sl->cluster == slots[i] && !sl->local && sl->ready_pods > sh->ready_pods)
                sh->ready_pods = sl->ready_pods;
        }
        sh->groups = make_groups(p, slices, slots[i], false, &sh->n_groups, resolved, ud);
        sh->local = make_groups(p, slices, slots[i], true, &sh->n_local, resolved, ud);
    }
    s->shards = shards;
    return p;
}
