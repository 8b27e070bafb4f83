/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_dns.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void *derive(void *ud, const struct fed_snapshot *s, const struct fed_snapshot *prev)
{
    struct sim_dns *d = ud;
    return gdns_hosts_new(&d->conf.zones, s, prev ? prev->derived : NULL);
}

static void derive_free(void *ud FED_UNUSED, void *derived)
{
    gdns_hosts_unref(derived);
}

void sim_dns_init(struct sim_dns *d, struct test_env *t, const char *own_cluster)
{
    static const char *const networks[] = {"192.0.2.0/24=us-east1", "198.51.100.0/24=europe-west1",
                                           "203.0.113.0/24=asia-east1"};
    struct fed_geo_conf geo = {.networks = networks, .n_networks = FED_ARRAY_LEN(networks)};
    struct fed_err err = {0};
    memset(d, 0, sizeof(*d));
    fed_routing_init(&d->routing, 1);
    d->targets = fed_targets_new();
    d->conf.ttl = 10;
    snprintf(d->conf.zones.federation, sizeof(d->conf.zones.federation), "fed");
    snprintf(d->conf.own, sizeof(d->conf.own), "%s", own_cluster);
    if (gdns_zones_add(&d->conf.zones, FED_STR("example.com."), true, &err) || fed_geo_new(&geo, &d->geo, &err))
        fail_msg("DNS: %s", err.text);
    d->builder = fed_builder_new(&(struct fed_builder_conf){.env = &t->env,
                                                            .routing = &d->routing,
                                                            .targets = d->targets,
                                                            .own_cluster = own_cluster,
                                                            .derive = derive,
                                                            .derive_free = derive_free,
                                                            .ud = d});
}

void sim_dns_release(struct sim_dns *d)
{
    fed_builder_free(d->builder);
    fed_routing_release(&d->routing);
    fed_targets_free(d->targets);
    fed_geo_free(d->geo);
}

void sim_dns_watch(struct sim_dns *d, struct fed_transport *hub)
{
    fed_builder_watch(d->builder, hub);
}

/* --- bytes --- */

static size_t put16(uint8_t *p, size_t at, unsigned v)
{
    p[at] = (uint8_t)(v >> 8);
    p[at + 1] = (uint8_t)v;
    return at + 2;
}

static size_t make_query(const char *name, const struct fed_addr *client, uint8_t *p)
{
    static const uint8_t head[12] = {0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1};
    struct fed_str rest = fed_str(name), label;
    size_t at = sizeof(head);
    memcpy(p, head, sizeof(head));
    while (rest.n) {
        (void)fed_str_cut(&rest, '.', &label);
        p[at++] = (uint8_t)label.n;
        memcpy(p + at, label.p, label.n);
        at += label.n;
    }
    p[at++] = 0;
    at = put16(p, at, 1); /* A */
    at = put16(p, at, 1);
    p[at++] = 0; /* OPT with the client's subnet, 24 bits */
    at = put16(p, at, 41);
    at = put16(p, at, 1232);
    at = put16(p, put16(p, at, 0), 0);
    at = put16(p, at, 11);
    at = put16(p, put16(p, at, 8), 7);
    at = put16(p, at, 1);
    p[at++] = 24;
    p[at++] = 0;
    memcpy(p + at, &client->in.sin_addr, 3);
    return at + 3;
}

static size_t skip_name(const uint8_t *p, size_t at)
{
    while (p[at] && p[at] < 0xc0)
        at += p[at] + 1u;
    return at + (p[at] ? 2 : 1);
}

static unsigned get16(const uint8_t *p, size_t at)
{
    return (unsigned)p[at] << 8 | p[at + 1];
}

static void read_answer(const uint8_t *p, struct sim_dns_answer *out)
{
    size_t at = skip_name(p, 12) + 4;
    out->rcode = p[3] & 15;
    for (unsigned i = get16(p, 6); i; i--) {
        at = skip_name(p, at);
        unsigned type = get16(p, at), len = get16(p, at + 8);
        if (type == 1 && out->n < FED_ARRAY_LEN(out->addrs)) {
            struct fed_addr *a = &out->addrs[out->n++];
            memset(a, 0, sizeof(*a));
            a->in.sin_family = AF_INET;
            memcpy(&a->in.sin_addr, p + at + 10, 4);
        }
        at += 10 + len;
    }
}

struct sim_dns_answer sim_dns_ask(struct sim_dns *d, const char *name, const char *client)
{
    uint8_t query[512], reply[4096];
    struct fed_addr peer, subnet;
    struct sim_dns_answer out = {.rcode = 2};
    if (fed_addr_parse(FED_STR("127.0.0.1"), 4242, &peer) || fed_addr_parse(fed_str(client), 0, &subnet))
        fail_msg("%s is no address", client);
    size_t n = make_query(name, &subnet, query);
    struct gdns_request rq = {.msg = query, .n = n, .peer = &peer};
    n = gdns_answer(&d->conf, fed_routing_current(&d->routing), d->geo, &rq, reply, 1232, NULL);
    if (n >= 12)
        read_answer(reply, &out);
    return out;
}
