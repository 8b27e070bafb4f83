/* SPDX-License-Identifier: Apache-2.0 */
/* Stories told in order, each over a few seeds: restart, loss of a cluster, deletion, adoption, selectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/sim.h"

#define WEB "/api/v1/namespaces/web"
#define DEPLOYMENTS "/apis/apps/v1/namespaces/web/deployments"

static uint64_t seed_of(int i)
{
    const char *only = getenv("HANSA_SIM_SEED");
    return only ? strtoull(only, NULL, 10) : (uint64_t)i + 1;
}

static int rounds(int n)
{
    return getenv("HANSA_SIM_SEED") ? 1 : n;
}

static const char *all_ready(struct sim *s, void *ud FED_UNUSED)
{
    for (unsigned i = 0; i < SIM_CLUSTERS; i++) {
        const char *name = s->clusters[i].name;
        const struct fed_json *c = sim_get(s, s->user, sim_path(s, "/apis/federation/v1beta1/clusters/%s", name));
        const struct fed_json *ready = fed_obj_condition(fed_json_find(c, "status"), "Ready");
        if (!fed_str_is(fed_json_find_text(ready, "status"), "True"))
            return sim_path(s, "cluster %s is not Ready", name);
    }
    return NULL;
}

static void begin(struct sim *s, uint64_t seed)
{
    sim_init(s, seed);
    sim_join(s, 0, "'tier':'web'");
    sim_join(s, 1, "'tier':'web'");
    sim_join(s, 2, "");
    sim_until(s, 30000, "clusters become Ready", all_ready, NULL);
}

static void make_namespace(struct sim *s, const char *name)
{
    sim_must(s, s->user, "POST", "/api/v1/namespaces",
             "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'%s'}}", name);
}

static void make_deployment(struct sim *s, const char *name, int replicas, const char *annotations)
{
    sim_must(s, s->user, "POST", DEPLOYMENTS,
             "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'%s','annotations':{%s}},'spec':{"
             "'replicas':%d,'selector':{'matchLabels':{'app':'%s'}},'template':{'metadata':{'labels':{'app':'%s'}},"
             "'spec':{'containers':[{'name':'c','image':'hansa/echo:v1'}]}}}}",
             name, annotations, replicas, name, name);
}

static void make_map(struct sim *s, const char *name, const char *annotations, int value)
{
    sim_must(s, s->user, "POST", WEB "/configmaps",
             "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'%s','annotations':{%s}},'data':{'v':'%d'}}", name,
             annotations, value);
}

static void make_service(struct sim *s, const char *name)
{
    sim_must(s, s->user, "POST", WEB "/services",
             "{'apiVersion':'v1','kind':'Service','metadata':{'name':'%s'},'spec':{'type':'LoadBalancer','selector':{"
             "'app':'%s'},'ports':[{'name':'http','port':80}]}}",
             name, name);
}

static int64_t replicas_in(struct sim *s, unsigned cluster, const char *name)
{
    const struct fed_json *d = sim_get(s, s->clusters[cluster].admin, sim_path(s, DEPLOYMENTS "/%s", name));
    return d ? fed_json_int(fed_json_at(d, "spec", "replicas", NULL), -1) : -1;
}

/* --- the deployment "app": so many replicas, all reported --- */

struct spread {
    const char *name;
    int64_t want;
    int lost; /* cluster that does not count; -1: none */
};

static const char *spread_is(struct sim *s, void *ud)
{
    const struct spread *w = ud;
    int64_t sum = 0;
    for (unsigned i = 0; i < SIM_CLUSTERS; i++)
        sum += (int)i == w->lost ? 0 : FED_MAX(0, replicas_in(s, i, w->name));
    const struct fed_json *hub = sim_get(s, s->user, sim_path(s, DEPLOYMENTS "/%s", w->name));
    int64_t ready = fed_json_int(fed_json_at(hub, "status", "readyReplicas", NULL), 0);
    if (sum != w->want || ready != w->want)
        return sim_path(s, "%s: %d replicas in members, status shows %d ready, want %d", w->name, (int)sum, (int)ready,
                        (int)w->want);
    return NULL;
}

static const char *all_there(struct sim *s, void *ud FED_UNUSED)
{
    struct spread w = {"app", 9, -1};
    const char *word = spread_is(s, &w);
    for (unsigned i = 0; i < SIM_CLUSTERS && !word; i++) {
        struct fed_transport *t = s->clusters[i].admin;
        if (!sim_get(s, t, WEB "/configmaps/settings") || !sim_get(s, t, WEB "/services/app"))
            word = sim_path(s, "not all in %s", s->clusters[i].name);
    }
    const struct fed_json *import =
        sim_get(s, s->user, "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/web/serviceimports/app");
    const struct fed_json *clusters = fed_json_at(import, "status", "clusters", NULL);
    if (!word && (!clusters || clusters->n != SIM_CLUSTERS))
        word = "the ServiceImport does not name all clusters";
    return word;
}

static void fill(struct sim *s)
{
    make_namespace(s, "web");
    make_deployment(s, "app", 9, "");
    make_map(s, "settings", "", 1);
    make_service(s, "app");
    sim_until(s, 60000, "everything is everywhere", all_there, NULL);
}

/* --- stories --- */

static void test_propagates(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(3); i++) {
        struct sim s;
        begin(&s, seed_of(i));
        fill(&s);
        for (unsigned c = 0; c < SIM_CLUSTERS; c++)
            assert_int_equal(replicas_in(&s, c, "app"), 3);
        sim_release(&s);
    }
}

static void nothing_is_written(struct sim *s, uint64_t ms, const char *when)
{
    size_t members = sim_member_writes(s), hub = sim_hub_writes(s);
    sim_run(s, ms);
    if (sim_member_writes(s) != members || sim_hub_writes(s) != hub)
        sim_fail(s, "%s: %zu writes to members and %zu to the hub with nothing changed", when,
                 sim_member_writes(s) - members, sim_hub_writes(s) - hub);
}

static void test_restart_writes_nothing(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(10); i++) {
        struct sim s;
        begin(&s, seed_of(i));
        fill(&s);
        sim_run(&s, 5000);
        nothing_is_written(&s, 60000, "at rest");
        for (int kill = 0; kill < 2; kill++) {
            sim_hub_stop(&s, kill);
            sim_run(&s, 1000 + sim_random_below(&s.chance, 5000));
            sim_hub_start(&s);
            nothing_is_written(&s, 60000, "after a restart");
        }
        sim_release(&s);
    }
}

static int release_kinds(void **state FED_UNUSED)
{
    sim_kinds_release();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_propagates),
        cmocka_unit_test(test_restart_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, release_kinds);
}
