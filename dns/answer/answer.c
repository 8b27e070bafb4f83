/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/answer/answer.h"

#include <stdio.h>

#include "dns/answer/records.h"
#include "dns/wire/cookie.h"

#define MAX_ADDRS 64

/* --- the parts of an answer --- */

static void nodata(struct gdns_reply *r)
{
    r->section = GDNS_AUTHORITY;
    gdns_rr_soa(r);
}

/* Addresses in rotating order, so that clients which take the first spread over all. */
static size_t put_addresses(struct gdns_reply *r, const struct gdns_choice *c, int family)
{
    const struct fed_addr *addrs[MAX_ADDRS];
    size_t n = gdns_collect(r->s, c, family, addrs, MAX_ADDRS);
    for (size_t i = 0; i < n; i++)
        gdns_rr_address(r, r->owner, addrs[(i + r->q->id) % n]);
    return n;
}

static bool is_address_type(uint16_t type)
{
    return type == GDNS_A || type == GDNS_AAAA;
}

/* RFC 8482: the smallest answer to ANY. */
static void put_hinfo(struct gdns_reply *r)
{
    size_t mark = gdns_rr_begin(r, r->owner, GDNS_HINFO, r->conf->ttl);
    gdns_put(&r->w, "\007RFC8482\000", 9);
    gdns_rr_end(r, mark);
}

/* A name as label "192-0-2-1" below the service's global name. */
static void put_address_name(struct gdns_reply *r, const struct fed_service *svc, const struct fed_addr *a)
{
    char text[48];
    fed_addr_format_ip(a, text);
    for (char *p = text; *p; p++)
        if (*p == '.' || *p == ':')
            *p = '-';
    const struct fed_str labels[] = {fed_str(text), svc->name, svc->ns, fed_str(r->conf->zones.federation),
                                     FED_STR("svc")};
    for (size_t i = 0; i < FED_ARRAY_LEN(labels); i++) {
        gdns_put8(&r->w, (uint8_t)FED_MIN(labels[i].n, (size_t)63));
        gdns_put(&r->w, labels[i].p, FED_MIN(labels[i].n, (size_t)63));
    }
    gdns_rr_pointer(r, r->zone_at);
}

struct srv {
    const struct fed_addr *addr;
    uint16_t port, name_at;
};

static size_t collect_srv(struct gdns_reply *r, const struct gdns_node *node, const struct gdns_choice *c,
                          struct srv out[MAX_ADDRS])
{
    const struct fed_service_port *want = &node->svc->ports[node->port];
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        for (size_t g = 0; g < c->shards[i]->n_groups; g++) {
            const struct fed_group *group = &c->shards[i]->groups[g];
            int port = fed_ports_find(group->ports, group->n_ports, want->name, 0);
            for (size_t e = 0; port >= 0 && e < group->n_endpoints && n < MAX_ADDRS; e++) {
                const struct fed_endpoint *ep = &group->endpoints[e];
                if (ep->addr.sa.sa_family == AF_UNSPEC ||
                    fed_endpoint_use(r->s, c->shards[i], ep, group->n_ports, -1) != c->use)
                    continue;
                size_t k = 0;
                while (k < n && (out[k].port != group->ports[port].real || !fed_addr_equal(out[k].addr, &ep->addr)))
                    k++;
                if (k == n)
                    out[n++] = (struct srv){&ep->addr, group->ports[port].real, 0};
            }
        }
    }
    return n;
}

static size_t put_srv(struct gdns_reply *r, const struct gdns_node *node, const struct gdns_choice *c)
{
    struct srv list[MAX_ADDRS];
    size_t n = collect_srv(r, node, c, list);
    for (size_t i = 0; i < n; i++) {
        size_t mark = gdns_rr_begin(r, r->owner, GDNS_SRV, r->conf->ttl);
        gdns_put16(&r->w, 0); /* priority: all in one cluster are equal */
        gdns_put16(&r->w, 1);
        gdns_put16(&r->w, list[i].port);
        list[i].name_at = (uint16_t)r->w.n;
        put_address_name(r, node->svc, list[i].addr);
        gdns_rr_end(r, mark);
    }
    if (r->w.full)
        return n;
    r->section = GDNS_ADDITIONAL;
    size_t before = r->w.n;
    for (size_t i = 0; i < n; i++)
        gdns_rr_address(r, list[i].name_at, list[i].addr);
    if (r->w.full) {
        r->w.full = false;
        r->w.n = before;
        r->count[GDNS_ADDITIONAL] = 0;
    }
    return n;
}

/* A step to the next wider level: the labels left of the one that goes, then what is right of it. */
static void put_step(struct gdns_reply *r, unsigned gone)
{
    const struct gdns_name *name = &r->q->name;
    size_t mark = gdns_rr_begin(r, r->owner, GDNS_CNAME, r->conf->ttl);
    uint16_t target = (uint16_t)r->w.n;
    /* Region and zone are the rightmost labels, so a name without one of them ends in a part of the question. */
    unsigned left = r->q->name.n - r->zone->name.n;
    unsigned service_end = left - 1;
    while (service_end > 0 && !fed_str_is(gdns_label(name, service_end), "svc"))
        service_end--;
    gdns_put(&r->w, r->q->raw, name->off[service_end + 1]);
    gdns_rr_pointer(r, (uint16_t)(GDNS_HEADER + name->off[gone + 1]));
    gdns_rr_end(r, mark);
    r->owner = target;
}

static void answer_service(struct gdns_reply *r, const struct gdns_node *node)
{
    struct gdns_choice c;
    enum gdns_level level = node->level;
    uint16_t type = r->q->type;
    for (;;) {
        gdns_select(r->s, node->svc, level, node, &r->client, &c);
        if (c.n || level == GDNS_GLOBAL)
            break;
        put_step(r, level == GDNS_AZ ? node->az_at : node->region_at);
        level = level == GDNS_AZ ? GDNS_REGION : GDNS_GLOBAL;
        if (type == GDNS_CNAME || type == GDNS_ANY)
            return;
    }
    size_t n = 0;
    if (type == GDNS_ANY) {
        put_hinfo(r);
        n = 1;
    } else if (node->kind == GDNS_NODE_SERVICE && is_address_type(type)) {
        n = put_addresses(r, &c, type == GDNS_A ? AF_INET : AF_INET6);
    } else if (node->kind == GDNS_NODE_SRV && type == GDNS_SRV) {
        n = put_srv(r, node, &c);
    }
    if (!n)
        nodata(r);
}

static void answer_host(struct gdns_reply *r)
{
    struct gdns_choice c;
    size_t n = 0;
    gdns_select(r->s, r->s->balancers, GDNS_GLOBAL, NULL, &r->client, &c);
    if (is_address_type(r->q->type))
        n = put_addresses(r, &c, r->q->type == GDNS_A ? AF_INET : AF_INET6);
    if (!n)
        nodata(r);
}

static void answer_ns_address(struct gdns_reply *r, const struct gdns_node *node)
{
    const struct fed_shard *sh = fed_service_shard(r->s->dns, node->cluster->slot);
    int family = r->q->type == GDNS_A ? AF_INET : AF_INET6;
    for (size_t g = 0; is_address_type(r->q->type) && g < sh->n_groups; g++)
        for (size_t e = 0; e < sh->groups[g].n_endpoints; e++)
            if (sh->groups[g].endpoints[e].addr.sa.sa_family == family)
                gdns_rr_address(r, r->owner, &sh->groups[g].endpoints[e].addr);
    if (!r->count[GDNS_ANSWER])
        nodata(r);
}

static void answer_address(struct gdns_reply *r, const struct gdns_node *node)
{
    if (r->q->type == (node->addr.sa.sa_family == AF_INET6 ? GDNS_AAAA : GDNS_A))
        gdns_rr_address(r, r->owner, &node->addr);
    else
        nodata(r);
}

static void answer_apex(struct gdns_reply *r, bool host_too)
{
    if (r->q->type == GDNS_SOA)
        gdns_rr_soa(r);
    else if (r->q->type == GDNS_NS)
        gdns_rr_ns(r);
    else if (host_too)
        answer_host(r);
    else
        nodata(r);
}

/* Before the first snapshot only the servers' own names are known. */
static uint16_t answer_unknown(struct gdns_reply *r)
{
    const struct gdns_name *name = &r->q->name;
    char own[80];
    if (name->n == r->zone->name.n) {
        answer_apex(r, false);
        return GDNS_NOERROR;
    }
    snprintf(own, sizeof(own), "%s%s", r->conf->own[0] ? "ns-" : "ns", r->conf->own);
    if (name->n != r->zone->name.n + 1u || !fed_str_is(gdns_label(name, 0), own))
        return GDNS_SERVFAIL;
    for (size_t i = 0; i < r->conf->n_own_addrs; i++)
        if (r->q->type == (r->conf->own_addrs[i].sa.sa_family == AF_INET6 ? GDNS_AAAA : GDNS_A))
            gdns_rr_address(r, r->owner, &r->conf->own_addrs[i]);
    if (!r->count[GDNS_ANSWER])
        nodata(r);
    return GDNS_NOERROR;
}

static uint16_t answer_name(struct gdns_reply *r)
{
    struct gdns_node node;
    if (!r->s)
        return answer_unknown(r);
    gdns_zone_classify(&r->conf->zones, r->zone, r->s, &r->q->name, &node);
    if (node.kind == GDNS_NODE_NONE) {
        nodata(r);
        return GDNS_NXDOMAIN;
    }
    if (r->q->type == GDNS_ANY && node.kind != GDNS_NODE_SERVICE && node.kind != GDNS_NODE_SRV) {
        put_hinfo(r);
        return GDNS_NOERROR;
    }
    switch (node.kind) {
    case GDNS_NODE_APEX:
        answer_apex(r, node.host_too);
        break;
    case GDNS_NODE_SERVICE:
    case GDNS_NODE_SRV:
        answer_service(r, &node);
        break;
    case GDNS_NODE_HOST:
        answer_host(r);
        break;
    case GDNS_NODE_NS:
        answer_ns_address(r, &node);
        break;
    case GDNS_NODE_ADDRESS:
        answer_address(r, &node);
        break;
    default:
        nodata(r);
    }
    return GDNS_NOERROR;
}

/* --- around it --- */

static uint16_t answer_chaos(struct gdns_reply *r)
{
    static const char *const version_names[] = {"version.bind.", "version.server."};
    static const char *const id_names[] = {"hostname.bind.", "id.server."};
    struct gdns_name name;
    const char *text = NULL;
    for (size_t i = 0; i < 2; i++) {
        if (!gdns_name_parse(fed_str(version_names[i]), &name) && name.len == r->q->name.len &&
            memcmp(name.wire, r->q->name.wire, name.len) == 0)
            text = r->conf->version;
        if (!gdns_name_parse(fed_str(id_names[i]), &name) && name.len == r->q->name.len &&
            memcmp(name.wire, r->q->name.wire, name.len) == 0)
            text = r->conf->nsid[0] ? r->conf->nsid : NULL;
    }
    if (!text || (r->q->type != GDNS_TXT && r->q->type != GDNS_ANY))
        return GDNS_REFUSED;
    gdns_rr_pointer(r, GDNS_HEADER);
    gdns_put16(&r->w, GDNS_TXT);
    gdns_put16(&r->w, GDNS_CH);
    gdns_put32(&r->w, 0);
    size_t n = FED_MIN(strlen(text), (size_t)255);
    gdns_put16(&r->w, (uint16_t)(n + 1));
    gdns_put8(&r->w, (uint8_t)n);
    gdns_put(&r->w, text, n);
    r->count[GDNS_ANSWER] += !r->w.full;
    return GDNS_NOERROR;
}

static uint16_t answer_question(struct gdns_reply *r)
{
    const struct gdns_query *q = r->q;
    if (q->class_ == GDNS_CH)
        return answer_chaos(r);
    if (q->class_ != GDNS_IN || q->type == GDNS_AXFR || q->type == GDNS_IXFR)
        return GDNS_REFUSED;
    r->zone = gdns_zones_find(&r->conf->zones, &q->name);
    if (!r->zone)
        return GDNS_REFUSED;
    r->zone_at = (uint16_t)(GDNS_HEADER + q->name.off[q->name.n - r->zone->name.n]);
    r->aa = true;
    uint16_t rcode = answer_name(r);
    if (rcode == GDNS_SERVFAIL)
        r->aa = false;
    return rcode;
}

/* Whom the answer is for: the subnet that the resolver tells, else the resolver. */
static void set_client(struct gdns_client *c, const struct gdns_query *q, const struct fed_addr *peer)
{
    if (!q->ecs) {
        c->addr = *peer;
        /* An IPv4 client on a dual-stack socket is still an IPv4 client. */
        if (peer->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&peer->in6.sin6_addr)) {
            memset(&c->addr, 0, sizeof(c->addr));
            c->addr.in.sin_family = AF_INET;
            memcpy(&c->addr.in.sin_addr, peer->in6.sin6_addr.s6_addr + 12, 4);
        }
        return;
    }
    memset(&c->addr, 0, sizeof(c->addr));
    if (!q->ecs_bits)
        return; /* asks not to be told apart */
    c->addr.sa.sa_family = q->ecs_family == 1 ? AF_INET : AF_INET6;
    if (q->ecs_family == 1)
        memcpy(&c->addr.in.sin_addr, q->ecs_addr, 4);
    else
        memcpy(&c->addr.in6.sin6_addr, q->ecs_addr, 16);
}

static void put_ecs(struct gdns_reply *r)
{
    const struct gdns_query *q = r->q;
    unsigned bytes = (q->ecs_bits + 7u) / 8;
    gdns_put16(&r->w, GDNS_OPT_ECS);
    gdns_put16(&r->w, (uint16_t)(4 + bytes));
    gdns_put16(&r->w, q->ecs_family);
    gdns_put8(&r->w, q->ecs_bits);
    /* RFC 7871 section 7.2.1: the prefix that the answer is good for; 0 when it is good for all. */
    gdns_put8(&r->w, r->client.used && q->ecs_bits ? r->client.place.bits : 0);
    gdns_put(&r->w, q->ecs_addr, bytes);
}

static void put_opt(struct gdns_reply *r, const struct gdns_request *rq, uint16_t rcode)
{
    const struct gdns_query *q = r->q;
    gdns_put8(&r->w, 0);
    gdns_put16(&r->w, GDNS_OPT);
    gdns_put16(&r->w, GDNS_MAX_UDP);
    gdns_put8(&r->w, (uint8_t)(rcode >> 4));
    gdns_put8(&r->w, 0);
    /* DO is copied only by servers that sign (RFC 3225 section 3): we do not. */
    gdns_put16(&r->w, 0);
    size_t mark = r->w.n;
    gdns_put16(&r->w, 0);
    if (q->version == 0 && rcode != GDNS_FORMERR) {
        if (q->ecs)
            put_ecs(r);
        if (q->nsid && r->conf->nsid[0]) {
            gdns_put16(&r->w, GDNS_OPT_NSID);
            gdns_put16(&r->w, (uint16_t)strlen(r->conf->nsid));
            gdns_put(&r->w, r->conf->nsid, strlen(r->conf->nsid));
        }
        if (q->cookie) {
            uint8_t cookie[GDNS_COOKIE_LEN];
            bool v6 = rq->peer->sa.sa_family == AF_INET6;
            gdns_cookie_make(r->conf->cookie_secret, q->cookie_client,
                             v6 ? rq->peer->in6.sin6_addr.s6_addr : (const uint8_t *)&rq->peer->in.sin_addr,
                             v6 ? 16 : 4, rq->now_s, cookie);
            gdns_put16(&r->w, GDNS_OPT_COOKIE);
            gdns_put16(&r->w, sizeof(cookie));
            gdns_put(&r->w, cookie, sizeof(cookie));
        }
    }
    gdns_patch16(&r->w, mark, (uint16_t)(r->w.n - mark - 2));
    r->count[GDNS_ADDITIONAL]++;
}

/* Bytes that put_opt will need: they are kept free while records are written. */
static size_t opt_size(const struct gdns_conf *conf, const struct gdns_query *q)
{
    if (!q->edns)
        return 0;
    return 11 + (q->ecs ? 8 + (q->ecs_bits + 7u) / 8 : 0) + (q->nsid ? 4 + strlen(conf->nsid) : 0) +
           (q->cookie ? 4 + GDNS_COOKIE_LEN : 0);
}

static size_t reply_limit(const struct gdns_request *rq, const struct gdns_query *q, size_t room)
{
    size_t max = rq->tcp ? 65535 : FED_MIN(q->udp_size, GDNS_MAX_UDP);
    return FED_MIN(max, room);
}

static void put_head(struct gdns_reply *r)
{
    gdns_put(&r->w, "\0\0\0\0\0\0\0\0\0\0\0", GDNS_HEADER);
    if (!r->q->has_question)
        return;
    gdns_put(&r->w, r->q->raw, r->q->name.len);
    gdns_put16(&r->w, r->q->type);
    gdns_put16(&r->w, r->q->class_);
    r->owner = GDNS_HEADER;
}

static void patch_head(struct gdns_reply *r, uint16_t rcode, bool truncated)
{
    const struct gdns_query *q = r->q;
    uint16_t flags = (uint16_t)(GDNS_QR | q->opcode << 11 | (rcode & 15));
    if (q->opcode == 0)
        flags |= q->flags & (GDNS_RD | GDNS_CD);
    flags |= r->aa ? GDNS_AA : 0;
    flags |= truncated ? GDNS_TC : 0;
    gdns_patch16(&r->w, 0, q->id);
    gdns_patch16(&r->w, 2, flags);
    gdns_patch16(&r->w, 4, q->has_question ? 1 : 0);
    for (int i = 0; i < 3; i++)
        gdns_patch16(&r->w, (size_t)(6 + 2 * i), r->count[i]);
}

size_t gdns_answer(const struct gdns_conf *conf, const struct fed_snapshot *snap, const struct fed_geo *geo,
                   const struct gdns_request *rq, uint8_t *reply, size_t room, struct gdns_outcome *out)
{
    struct gdns_query q;
    struct gdns_reply r;
    enum gdns_parse parsed = gdns_query_parse(rq->msg, rq->n, &q);
    if (out)
        *out = (struct gdns_outcome){.dropped = parsed == GDNS_PARSE_DROP, .ecs = q.ecs, .type = q.type};
    /* A source port of 0 can only be forged, and could not be answered. */
    if (parsed == GDNS_PARSE_DROP || (!rq->tcp && fed_addr_port(rq->peer) == 0) || room < 512)
        return 0;
    memset(&r, 0, sizeof(r));
    r.conf = conf;
    r.s = snap;
    r.q = &q;
    r.client.geo = geo;
    set_client(&r.client, &q, rq->peer);
    r.w = (struct gdns_writer){.p = reply, .max = reply_limit(rq, &q, room) - opt_size(conf, &q)};
    put_head(&r);
    size_t after_question = r.w.n;
    uint16_t rcode = parsed == GDNS_PARSE_OK ? answer_question(&r) : q.rcode;
    bool truncated = r.w.full;
    if (truncated) { /* no partial sets: the client asks again over TCP */
        r.w.n = after_question;
        r.w.full = false;
        memset(r.count, 0, sizeof(r.count));
    }
    r.w.max = reply_limit(rq, &q, room);
    if (q.edns)
        put_opt(&r, rq, rcode);
    patch_head(&r, rcode, truncated);
    if (out) {
        out->rcode = rcode;
        out->truncated = truncated;
    }
    return r.w.n;
}
