/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/answer/records.h"

#define NS_TTL_MIN 60 /* who serves the zone changes less often than where traffic goes */

void gdns_rr_pointer(struct gdns_reply *r, uint16_t offset)
{
    gdns_put16(&r->w, (uint16_t)(0xc000 | offset));
}

size_t gdns_rr_begin(struct gdns_reply *r, uint16_t owner, uint16_t type, uint32_t ttl)
{
    gdns_rr_pointer(r, owner);
    gdns_put16(&r->w, type);
    gdns_put16(&r->w, GDNS_IN);
    gdns_put32(&r->w, ttl);
    size_t mark = r->w.n;
    gdns_put16(&r->w, 0);
    return mark;
}

void gdns_rr_end(struct gdns_reply *r, size_t mark)
{
    if (r->w.full)
        return;
    gdns_patch16(&r->w, mark, (uint16_t)(r->w.n - mark - 2));
    r->count[r->section]++;
}

void gdns_name_in_zone(struct gdns_reply *r, const char *prefix, struct fed_str label)
{
    size_t p = strlen(prefix);
    size_t n = FED_MIN(p + label.n, (size_t)63);
    gdns_put8(&r->w, (uint8_t)n);
    gdns_put(&r->w, prefix, p);
    gdns_put(&r->w, label.p, n - p);
    gdns_rr_pointer(r, r->zone_at);
}

static bool same_ip(const struct fed_addr *a, const struct fed_addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == b->in.sin_addr.s_addr
                                      : memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
}

size_t gdns_collect(const struct fed_snapshot *s, const struct gdns_choice *c, int family, const struct fed_addr **out,
                    size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct fed_shard *sh = c->shards[i];
        for (size_t g = 0; g < sh->n_groups; g++) {
            for (size_t e = 0; e < sh->groups[g].n_endpoints && n < max; e++) {
                const struct fed_endpoint *ep = &sh->groups[g].endpoints[e];
                int f = ep->addr.sa.sa_family;
                if (f == AF_UNSPEC || (family && f != family) ||
                    fed_endpoint_use(s, sh, ep, sh->groups[g].n_ports, -1) != c->use)
                    continue;
                size_t k = 0;
                while (k < n && !same_ip(out[k], &ep->addr))
                    k++;
                if (k == n)
                    out[n++] = &ep->addr;
            }
        }
    }
    return n;
}

void gdns_rr_address(struct gdns_reply *r, uint16_t owner, const struct fed_addr *a)
{
    bool v6 = a->sa.sa_family == AF_INET6;
    size_t mark = gdns_rr_begin(r, owner, v6 ? GDNS_AAAA : GDNS_A, r->conf->ttl);
    gdns_put(&r->w, v6 ? (const void *)&a->in6.sin6_addr : (const void *)&a->in.sin_addr, v6 ? 16 : 4);
    gdns_rr_end(r, mark);
}

/* Clusters that serve the zone, by name: the same order on every server. Returns how many. */
static size_t server_clusters(const struct gdns_reply *r, const struct fed_cluster **out, size_t max)
{
    size_t n = 0;
    const struct fed_service *svc = r->s ? r->s->dns : NULL;
    for (size_t i = 0; svc && i < svc->n_shards && n < max; i++) {
        const struct fed_cluster *c = fed_snapshot_slot(r->s, svc->shards[i].cluster);
        if (!c)
            continue;
        size_t at = n++;
        for (; at > 0 && fed_str_cmp(out[at - 1]->name, c->name) > 0; at--)
            out[at] = out[at - 1];
        out[at] = c;
    }
    return n;
}

/* "ns-CLUSTER.ZONE" of the first server; before any is known our own, or "ns.ZONE". */
static void put_primary(struct gdns_reply *r)
{
    const struct fed_cluster *servers[64];
    if (server_clusters(r, servers, FED_ARRAY_LEN(servers)))
        gdns_name_in_zone(r, "ns-", servers[0]->name);
    else
        gdns_name_in_zone(r, r->conf->own[0] ? "ns-" : "ns", fed_str(r->conf->own));
}

void gdns_rr_soa(struct gdns_reply *r)
{
    size_t mark = gdns_rr_begin(r, r->zone_at, GDNS_SOA, r->conf->ttl);
    put_primary(r);
    gdns_name_in_zone(r, "hostmaster", (struct fed_str){NULL, 0});
    /* Nobody transfers this zone, so its serial says nothing; equal everywhere, it upsets no checker. */
    gdns_put32(&r->w, 1);
    gdns_put32(&r->w, 3600);
    gdns_put32(&r->w, 600);
    gdns_put32(&r->w, 604800);
    gdns_put32(&r->w, r->conf->ttl);
    gdns_rr_end(r, mark);
}

static uint16_t put_ns(struct gdns_reply *r, const char *prefix, struct fed_str label)
{
    size_t mark = gdns_rr_begin(r, r->zone_at, GDNS_NS, FED_MAX(r->conf->ttl, (uint32_t)NS_TTL_MIN));
    uint16_t at = (uint16_t)r->w.n;
    gdns_name_in_zone(r, prefix, label);
    gdns_rr_end(r, mark);
    return at;
}

static void put_glue(struct gdns_reply *r, uint16_t owner, const struct fed_shard *sh)
{
    for (size_t g = 0; sh && g < sh->n_groups; g++)
        for (size_t e = 0; e < sh->groups[g].n_endpoints; e++)
            if (sh->groups[g].endpoints[e].addr.sa.sa_family != AF_UNSPEC)
                gdns_rr_address(r, owner, &sh->groups[g].endpoints[e].addr);
}

void gdns_rr_ns(struct gdns_reply *r)
{
    const struct fed_cluster *servers[64];
    uint16_t at[64];
    size_t n = server_clusters(r, servers, FED_ARRAY_LEN(servers));
    for (size_t i = 0; i < n; i++)
        at[i] = put_ns(r, "ns-", servers[i]->name);
    if (!n)
        at[0] = put_ns(r, r->conf->own[0] ? "ns-" : "ns", fed_str(r->conf->own));
    if (r->w.full)
        return;
    r->section = GDNS_ADDITIONAL;
    size_t before = r->w.n;
    uint16_t count = r->count[GDNS_ADDITIONAL];
    for (size_t i = 0; i < n; i++)
        put_glue(r, at[i], fed_service_shard(r->s->dns, servers[i]->slot));
    for (size_t i = 0; !n && i < r->conf->n_own_addrs; i++)
        gdns_rr_address(r, at[0], &r->conf->own_addrs[i]);
    if (r->w.full) { /* glue is a help, not the answer */
        r->w.full = false;
        r->w.n = before;
        r->count[GDNS_ADDITIONAL] = count;
    }
}
