/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_cluster.h"

#include <stdarg.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fedapi/schema/schema.h"

static const char *const member_kinds[] = {"/namespaces",
                                           "/configmaps",
                                           "/secrets",
                                           "/services",
                                           "/serviceaccounts",
                                           "/events",
                                           "/nodes",
                                           "apps/deployments",
                                           "apps/replicasets",
                                           "apps/daemonsets",
                                           "batch/jobs",
                                           "networking.k8s.io/ingresses",
                                           "discovery.k8s.io/endpointslices",
                                           "apiextensions.k8s.io/customresourcedefinitions",
                                           NULL};
static const char *const member_namespaces[] = {"default", "kube-system", NULL};

static struct fed_kinds *kinds_of_members, *kinds_of_hub; /* the program's */

struct fed_kinds *sim_member_kinds(void)
{
    struct fed_err err = {0};
    if (kinds_of_members)
        return kinds_of_members;
    kinds_of_members = fed_kinds_new();
    if (fed_kinds_add_core(kinds_of_members, member_kinds, &err))
        fail_msg("kinds of members: %s", err.text);
    return kinds_of_members;
}

struct fed_kinds *sim_hub_kinds(void)
{
    struct fed_err err = {0};
    if (kinds_of_hub)
        return kinds_of_hub;
    kinds_of_hub = fed_kinds_new();
    if (fed_kinds_add_core(kinds_of_hub, fapi_core_kinds, &err) || fapi_kinds_add(kinds_of_hub, &err))
        fail_msg("kinds of the hub: %s", err.text);
    return kinds_of_hub;
}

void sim_kinds_release(void)
{
    fed_kinds_free(kinds_of_members);
    fed_kinds_free(kinds_of_hub);
    kinds_of_members = kinds_of_hub = NULL;
}

static void on_ready(void *ud, int code, const struct fed_err *err)
{
    struct sim_cluster *c = ud;
    if (code)
        fail_msg("%s: %s", c->name, err->text);
    c->ready = true;
}

static bool is_ready(void *ud)
{
    return ((struct sim_cluster *)ud)->ready;
}

static void add_node(struct sim_cluster *c, unsigned number)
{
    struct fed_arena a = {0};
    struct fed_call_request req = {.method = "POST", .path = FED_STR("/api/v1/nodes")};
    req.body =
        fed_arena_printf(&a,
                         "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"node-%s\",\"labels\":{"
                         "\"topology.kubernetes.io/region\":\"%s\",\"topology.kubernetes.io/zone\":\"%s-b\"}},"
                         "\"status\":{\"addresses\":[{\"type\":\"ExternalIP\",\"address\":\"192.0.2.%u\"}],"
                         "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
                         c->name, c->region, c->region, number + 1);
    c->admin->ops->call(c->admin, &req, NULL, NULL);
    test_env_advance(c->t, 2);
    fed_arena_release(&a);
}

void sim_cluster_init(struct sim_cluster *c, struct test_env *t, struct sim_random *chance, const char *name,
                      const char *region, unsigned number)
{
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    struct fed_identity who = {.user = FED_STR("admin"), .groups = &masters, .n_groups = 1};
    *c = (struct sim_cluster){.name = name, .region = region, .t = t};
    c->store = store_mem_new(&t->env, 0);
    struct fed_api_conf conf = {.env = &t->env,
                                .store = c->store,
                                .kinds = sim_member_kinds(),
                                .server_name = name,
                                .git_version = "v1.29.0+sim",
                                .static_namespaces = member_namespaces,
                                .allow_loopback_endpoints = true};
    c->api = fed_api_new(&conf);
    fed_api_start(c->api, on_ready, c);
    if (!test_env_run(t, is_ready, c))
        fail_msg("%s does not start", name);
    c->admin = fed_api_local(c->api, &who);
    who.user = FED_STR("federation");
    c->federation = fed_api_local(c->api, &who);
    sim_line_init(&c->line, &t->env, chance, c->federation, name);
    add_node(c, number);
    c->housekeeping = fapi_hub_start(c->admin, sim_member_kinds());
    c->hollow = sim_hollow_new(c->admin, chance, number);
}

static void closed(void *ud)
{
    ((struct sim_cluster *)ud)->store = NULL;
}

static bool is_closed(void *ud)
{
    return ((struct sim_cluster *)ud)->store == NULL;
}

void sim_cluster_release(struct sim_cluster *c)
{
    sim_hollow_free(c->hollow);
    fapi_hub_free(c->housekeeping);
    fed_transport_free(c->federation);
    fed_transport_free(c->admin);
    c->store->ops->close(c->store, closed, c);
    if (!test_env_run(c->t, is_closed, c))
        fail_msg("the store of %s does not close", c->name);
    fed_api_free(c->api);
}

bool sim_cluster_idle(const struct sim_cluster *c)
{
    return sim_hollow_idle(c->hollow);
}
