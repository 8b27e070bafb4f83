/* SPDX-License-Identifier: Apache-2.0 */
/* sim_cluster.h: a member cluster in the test's own process: a real API engine over a store in memory, the real garbage
 * collector and namespace controller, and hollow controllers: workloads that become ready after a while, load balancers
 * that get an address, an EndpointSlice for each Service, nodes with labels. No pods.
 *
 * The federation reaches it over `line`; tests look at it through `admin`. Threads: one. */
#ifndef TESTS_SUPPORT_SIM_CLUSTER_H
#define TESTS_SUPPORT_SIM_CLUSTER_H

#include "apiserver/apiserver.h"
#include "fedapi/hub.h"
#include "support/sim_line.h"
#include "support/test_env.h"

struct sim_hollow;
struct sim_cluster {
    const char *name, *region;
    struct test_env *t;
    struct store *store;
    struct fed_api *api;
    struct fed_transport *admin, *federation; /* federation: what the line leads to */
    struct fapi_hub *housekeeping;
    struct sim_hollow *hollow;
    struct sim_line line;
    bool ready;
};
/* The kinds of members and of the hub, made once for the whole program (they cost some milliseconds). */
struct fed_kinds *sim_member_kinds(void);
struct fed_kinds *sim_hub_kinds(void);
void sim_kinds_release(void);

void sim_cluster_init(struct sim_cluster *c, struct test_env *t, struct sim_random *chance, const char *name,
                      const char *region, unsigned number);
void sim_cluster_release(struct sim_cluster *c);
/* Whether the hollow controllers have nothing to do. */
bool sim_cluster_idle(const struct sim_cluster *c);

/* --- sim_hollow.c --- */
struct sim_hollow *sim_hollow_new(struct fed_transport *admin, struct sim_random *chance, unsigned number);
void sim_hollow_free(struct sim_hollow *h);
bool sim_hollow_idle(const struct sim_hollow *h);

#endif
