/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/route/table.h"

#include "base/arena.h"
#include "base/mem.h"
#include "globallb/route/certs.h"
#include "traffic/geo.h"

/* ---- places ---- */

/* The index in the group's ports of the Service port that is asked for, or -1. An Ingress names a port of the Service by
 * name or number; groups carry both. */
static int group_port(const struct fed_group *g, struct fed_str name, uint16_t number)
{
    int i = fed_ports_find(g->ports, g->n_ports, name, number);
    return i >= 0 && g->ports[i].proto == FED_PROTO_TCP ? i : -1;
}

static size_t add_places(struct glb_place *out, const struct fed_shard *sh, const struct fed_group *groups,
                         size_t n_groups, struct fed_str name, uint16_t number)
{
    size_t n = 0;
    for (size_t g = 0; g < n_groups; g++) {
        int port = group_port(&groups[g], name, number);
        for (size_t i = 0; port >= 0 && i < groups[g].n_endpoints; i++) {
            const struct fed_endpoint *ep = &groups[g].endpoints[i];
            if (!ep->targets || !ep->targets[port])
                continue; /* a host name that is not resolved yet */
            if (out)
                out[n] = (struct glb_place){ep->targets[port], sh, ep, groups[g].n_ports, port};
            n++;
        }
    }
    return n;
}

static bool take_places(struct fed_arena *a, struct glb_region *r, const struct fed_shard *sh,
                        const struct fed_group *groups, size_t n_groups, struct fed_str name, uint16_t number)
{
    size_t n = add_places(NULL, sh, groups, n_groups, name, number);
    if (n == 0)
        return false;
    struct glb_place *places = FED_ARENA_ARRAY(a, struct glb_place, n);
    r->n_places = add_places(places, sh, groups, n_groups, name, number);
    r->places = places;
    return true;
}

struct wanted { /* the port, by all names that a group may know it by */
    const struct fed_service *service;
    struct fed_str name;
    uint16_t number;
};

/* Local groups may know the port by its name only. */
static bool take_either(struct fed_arena *a, struct glb_region *r, const struct fed_shard *sh,
                        const struct fed_group *groups, size_t n_groups, const struct wanted *w)
{
    return (w->number && take_places(a, r, sh, groups, n_groups, w->name, w->number)) ||
           take_places(a, r, sh, groups, n_groups, w->name, 0);
}

static bool has_service(const struct fed_service *svc, uint16_t slot)
{
    for (size_t i = 0; i < svc->n_clusters; i++)
        if (svc->clusters[i] == slot)
            return svc->type != FED_SERVICE_EXTERNAL_NAME;
    return false;
}

static bool fill_region(struct fed_arena *a, const struct fed_snapshot *s, struct glb_region *r, const struct wanted *w)
{
    uint16_t slot = r->cluster->slot;
    const struct fed_shard *sh = fed_service_shard(w->service, slot);
    r->ready_pods = sh ? sh->ready_pods : -1;
    if (sh && r->own && take_either(a, r, sh, sh->local, sh->n_local, w))
        return true;
    if (sh && take_either(a, r, sh, sh->groups, sh->n_groups, w))
        return true;
    /* Only inside its cluster: through the balancer there. */
    const struct fed_shard *edge =
        r->own || (sh && sh->n_groups) || !has_service(w->service, slot) ? NULL : fed_service_shard(s->balancers, slot);
    r->hop = edge && take_places(a, r, edge, edge->groups, edge->n_groups, FED_STR("http"), 0);
    return r->hop;
}

static void bind_backend(struct fed_arena *a, const struct fed_snapshot *s, const uint16_t *order, size_t n_order,
                         struct glb_bound *b)
{
    struct wanted w = {fed_snapshot_service(s, b->backend->ns, b->backend->service), b->backend->port_name,
                       b->backend->port};
    int port = w.service ? fed_ports_find(w.service->ports, w.service->n_ports, w.name, w.number) : -1;
    if (port < 0)
        return;
    b->known = true;
    w.name = w.service->ports[port].name;
    w.number = w.service->ports[port].port;
    struct glb_region *regions = FED_ARENA_ARRAY(a, struct glb_region, n_order + 1);
    for (size_t i = 0; i < n_order; i++) {
        struct glb_region r = {.cluster = s->clusters[order[i]], .own = order[i] == s->own};
        if (fill_region(a, s, &r, &w))
            regions[b->n_regions++] = r;
    }
    b->regions = regions;
}

/* ---- balancers ---- */

static int by_ip(const void *pa, const void *pb)
{
    const struct fed_addr *a = pa, *b = pb;
    if (a->sa.sa_family != b->sa.sa_family)
        return a->sa.sa_family < b->sa.sa_family ? -1 : 1;
    return a->sa.sa_family == AF_INET6 ? memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16)
                                       : memcmp(&a->in.sin_addr, &b->in.sin_addr, 4);
}

static void collect_balancers(struct glb_table *t, const struct fed_snapshot *s)
{
    const struct fed_service *svc = s->balancers;
    size_t n = 0;
    for (size_t i = 0; svc && i < svc->n_shards; i++)
        for (size_t g = 0; g < svc->shards[i].n_groups; g++)
            n += svc->shards[i].groups[g].n_endpoints;
    struct fed_addr *list = FED_ARENA_ARRAY(t->arena, struct fed_addr, n + 1);
    for (size_t i = 0; svc && i < svc->n_shards; i++)
        for (size_t g = 0; g < svc->shards[i].n_groups; g++)
            for (size_t e = 0; e < svc->shards[i].groups[g].n_endpoints; e++)
                list[t->n_balancers++] = svc->shards[i].groups[g].endpoints[e].addr;
    qsort(list, t->n_balancers, sizeof(*list), by_ip);
    t->balancers = list;
}

bool glb_table_is_balancer(const struct glb_table *t, const struct fed_addr *addr)
{
    return t->n_balancers && bsearch(addr, t->balancers, t->n_balancers, sizeof(*addr), by_ip) != NULL;
}

/* ---- the table ---- */

struct glb_table *glb_table_new(const struct glb_table_conf *conf, const struct fed_snapshot *s,
                                const struct fed_snapshot *prev)
{
    const struct glb_table *before = prev ? prev->derived : NULL;
    bool same_rules = before && prev->ingress_gen == s->ingress_gen;
    struct glb_table *t = FED_NEW(struct glb_table);
    t->arena = FED_NEW(struct fed_arena);
    t->snapshot = s;
    t->routes = same_rules ? glb_routes_ref(before->routes) : glb_routes_new(s, conf->classes, conf->n_classes);
    if (conf->env)
        t->certs = same_rules && prev->secret_gen == s->secret_gen ? glb_certs_ref(before->certs)
                                                                   : glb_certs_new(conf->env, s);
    uint16_t *order = FED_ARENA_ARRAY(t->arena, uint16_t, s->n_clusters + 1);
    size_t n_order = 0, n = glb_routes_count(t->routes);
    for (size_t i = 0; i < s->n_clusters; i++)
        if (s->clusters[i])
            order[n_order++] = (uint16_t)i;
    struct fed_place nowhere = {.known = false}; /* nearest to our own cluster, itself first */
    fed_geo_order(s, &nowhere, order, n_order);
    struct glb_bound *bounds = FED_ARENA_ARRAY(t->arena, struct glb_bound, n + 1);
    for (size_t i = 0; i < n; i++) {
        bounds[i].backend = glb_routes_backend(t->routes, i);
        bind_backend(t->arena, s, order, n_order, &bounds[i]);
    }
    t->bounds = bounds;
    collect_balancers(t, s);
    return t;
}

void glb_table_free(struct glb_table *t)
{
    if (!t)
        return;
    glb_routes_unref(t->routes);
    glb_certs_unref(t->certs);
    fed_arena_release(t->arena);
    free(t->arena);
    free(t);
}

enum fed_use glb_place_use(const struct fed_snapshot *s, const struct glb_place *p)
{
    return fed_endpoint_use(s, p->shard, p->endpoint, p->n_ports, p->port);
}
