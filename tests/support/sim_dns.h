/* SPDX-License-Identifier: Apache-2.0 */
/* sim_dns.h: a DNS server of one cluster without its sockets: the real builder over a transport to the hub, and the real
 * answer function. It keeps what it knew while the hub is away. Threads: one. */
#ifndef TESTS_SUPPORT_SIM_DNS_H
#define TESTS_SUPPORT_SIM_DNS_H

#include "dns/answer/answer.h"
#include "support/test_env.h"
#include "traffic/builder.h"

struct sim_dns {
    struct fed_routing routing;
    struct fed_targets *targets;
    struct fed_builder *builder;
    struct fed_geo *geo;
    struct gdns_conf conf;
};
struct sim_dns_answer {
    unsigned rcode;
    struct fed_addr addrs[16]; /* of A records */
    size_t n;
};
/* Networks of clients: 192.0.2.0/24 us-east1, 198.51.100.0/24 europe-west1, 203.0.113.0/24 asia-east1. */
void sim_dns_init(struct sim_dns *d, struct test_env *t, const char *own_cluster);
void sim_dns_release(struct sim_dns *d);
/* NULL: the hub is away. The transport is borrowed. */
void sim_dns_watch(struct sim_dns *d, struct fed_transport *hub);
/* A record of `name` for a client of the network. */
struct sim_dns_answer sim_dns_ask(struct sim_dns *d, const char *name, const char *client);

#endif
