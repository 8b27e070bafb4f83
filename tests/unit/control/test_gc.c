/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "control/eventttl.h"
#include "control/gc.h"
#include "control/namespace.h"
#include "kube/fake.h"

static const struct fed_resource kinds[] = {
    {"apps", "v1", "deployments", "Deployment", true},
    {"apps", "v1", "replicasets", "ReplicaSet", true},
    {"", "v1", "pods", "Pod", true},
    {"", "v1", "events", "Event", true},
    {"", "v1", "namespaces", "Namespace", false},
};
#define DEPLOYMENTS (&kinds[0])
#define REPLICASETS (&kinds[1])
#define PODS        (&kinds[2])
#define EVENTS      (&kinds[3])
#define NAMESPACES  (&kinds[4])

struct world {
    struct fed_fake_env env;
    struct fed_fake *fake;
    struct fed_transport *t, *user;
    struct fed_gc *gc;
};

static void setup(struct world *w)
{
    *w = (struct world){0};
    fed_fake_env_init(&w->env, 9);
    w->fake = fed_fake_new(&w->env.env);
    w->t = fed_fake_transport(w->fake, true);
    w->user = fed_fake_transport(w->fake, false);
    fed_fake_put(w->fake, DEPLOYMENTS, "{'metadata':{'name':'d','namespace':'n','uid':'ud'}}");
    fed_fake_put(w->fake, REPLICASETS,
                 "{'metadata':{'name':'r','namespace':'n','uid':'ur','ownerReferences':[{'apiVersion':"
                 "'apps/v1','kind':'Deployment','name':'d','uid':'ud','controller':true,"
                 "'blockOwnerDeletion':true}]}}");
    fed_fake_put(w->fake, PODS,
                 "{'metadata':{'name':'p','namespace':'n','uid':'up','ownerReferences':[{'apiVersion':"
                 "'apps/v1','kind':'ReplicaSet','name':'r','uid':'ur','controller':true,"
                 "'blockOwnerDeletion':true}]}}");
    w->gc =
        fed_gc_new(&(struct fed_gc_conf){.transport = w->t, .resources = kinds, .n_resources = FED_ARRAY_LEN(kinds)});
    fed_gc_start(w->gc);
    fed_fake_run(&w->env, 1000);
    assert_true(fed_gc_synced(w->gc));
    assert_int_equal(fed_fake_writes(w->fake), 0);
}

static void teardown(struct world *w)
{
    fed_gc_free(w->gc);
    fed_transport_free(w->t);
    fed_transport_free(w->user);
    fed_fake_free(w->fake);
    fed_fake_env_release(&w->env);
}

static void delete_d(struct world *w, const char *policy)
{
    fed_client_delete(w->user, DEPLOYMENTS, FED_STR("n"), FED_STR("d"), policy, FED_STR(""), NULL, NULL);
}

static void background(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    delete_d(&w, "Background");
    fed_fake_run(&w.env, 5000);
    assert_null(fed_fake_find(w.fake, REPLICASETS, "n", "r"));
    assert_null(fed_fake_find(w.fake, PODS, "n", "p"));
    assert_true(fed_gc_idle(w.gc));
    teardown(&w);
}

static void foreground(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    fed_fake_set_latency(w.fake, 20);
    delete_d(&w, "Foreground");
    for (int i = 0; i < 500 && fed_fake_find(w.fake, DEPLOYMENTS, "n", "d"); i++) {
        fed_fake_run(&w.env, 10);
        /* owners go after what they own */
        if (fed_fake_find(w.fake, PODS, "n", "p"))
            assert_non_null(fed_fake_find(w.fake, REPLICASETS, "n", "r"));
        if (fed_fake_find(w.fake, REPLICASETS, "n", "r"))
            assert_non_null(fed_fake_find(w.fake, DEPLOYMENTS, "n", "d"));
    }
    assert_null(fed_fake_find(w.fake, DEPLOYMENTS, "n", "d"));
    assert_null(fed_fake_find(w.fake, PODS, "n", "p"));
    fed_fake_run(&w.env, 100000);
    assert_true(fed_gc_idle(w.gc));
    teardown(&w);
}

static void orphaned(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    delete_d(&w, "Orphan");
    fed_fake_run(&w.env, 5000);
    assert_null(fed_fake_find(w.fake, DEPLOYMENTS, "n", "d"));
    const struct fed_kobj *r = fed_fake_find(w.fake, REPLICASETS, "n", "r");
    assert_non_null(r);
    assert_int_equal(r->n_owners, 0);
    assert_non_null(fed_fake_find(w.fake, PODS, "n", "p"));
    teardown(&w);
}

static void absent_data_deletes_nothing(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    /* An owner that no list shows, of a kind that we do not know, and one that cannot be asked for. */
    fed_fake_put(w.fake, PODS,
                 "{'metadata':{'name':'q','namespace':'n','uid':'uq','ownerReferences':[{'apiVersion':"
                 "'other/v1','kind':'Thing','name':'t','uid':'ut'}]}}");
    fed_fake_fail(w.fake, "GET", "replicasets/x", FED_E_UNAVAILABLE, 5);
    fed_fake_put(w.fake, PODS,
                 "{'metadata':{'name':'s','namespace':'n','uid':'us','ownerReferences':[{'apiVersion':"
                 "'apps/v1','kind':'ReplicaSet','name':'x','uid':'ux'}]}}");
    fed_fake_run(&w.env, 500);
    assert_non_null(fed_fake_find(w.fake, PODS, "n", "s"));
    fed_fake_run(&w.env, 30000);
    assert_null(fed_fake_find(w.fake, PODS, "n", "s")); /* answered at last: 404 */
    assert_non_null(fed_fake_find(w.fake, PODS, "n", "q"));
    /* Same name, another uid: the owner is gone. */
    fed_fake_put(w.fake, PODS,
                 "{'metadata':{'name':'v','namespace':'n','uid':'uv','ownerReferences':[{'apiVersion':"
                 "'apps/v1','kind':'ReplicaSet','name':'r','uid':'old'}]}}");
    fed_fake_run(&w.env, 5000);
    assert_null(fed_fake_find(w.fake, PODS, "n", "v"));
    /* One of two owners stays. */
    fed_fake_put(w.fake, PODS,
                 "{'metadata':{'name':'z','namespace':'n','uid':'uz','ownerReferences':[{'apiVersion':"
                 "'apps/v1','kind':'ReplicaSet','name':'r','uid':'old'},{'apiVersion':'apps/v1','kind':"
                 "'ReplicaSet','name':'r','uid':'ur'}]}}");
    fed_fake_run(&w.env, 5000);
    assert_non_null(fed_fake_find(w.fake, PODS, "n", "z"));
    teardown(&w);
}

static void namespace_is_emptied(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    fed_fake_put(w.fake, NAMESPACES, "{'metadata':{'name':'n','uid':'un'},'spec':{'finalizers':['kubernetes']}}");
    fed_fake_put(w.fake, PODS, "{'metadata':{'name':'held','namespace':'n','uid':'uh','finalizers':['x/y']}}");
    fed_fake_put(w.fake, PODS, "{'metadata':{'name':'other','namespace':'m','uid':'uo'}}");
    struct fed_nsctl *c = fed_nsctl_new(
        &(struct fed_nsctl_conf){.transport = w.t, .resources = kinds, .n_resources = FED_ARRAY_LEN(kinds)});
    fed_nsctl_start(c);
    fed_client_delete(w.user, NAMESPACES, FED_STR(""), FED_STR("n"), "Background", FED_STR(""), NULL, NULL);
    fed_fake_run(&w.env, 10000);
    assert_null(fed_fake_find(w.fake, PODS, "n", "p"));
    assert_non_null(fed_fake_find(w.fake, NAMESPACES, "", "n")); /* the held pod holds it */
    fed_fake_remove(w.fake, PODS, "n", "held");
    fed_fake_fail(w.fake, "GET", "deployments", FED_E_UNAVAILABLE, 1);
    fed_fake_run(&w.env, 20000);
    assert_null(fed_fake_find(w.fake, NAMESPACES, "", "n"));
    assert_non_null(fed_fake_find(w.fake, PODS, "m", "other"));
    assert_true(fed_nsctl_idle(c));
    fed_nsctl_free(c);
    teardown(&w);
}

static void old_events_go(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    fed_fake_put(w.fake, EVENTS, "{'metadata':{'name':'old','namespace':'n'},'lastTimestamp':'2025-12-31T23:30:00Z'}");
    fed_fake_put(w.fake, EVENTS,
                 "{'metadata':{'name':'series','namespace':'n'},'lastTimestamp':null,'eventTime':"
                 "'2025-12-31T20:00:00Z','series':{'lastObservedTime':'2026-01-01T00:00:00.000000Z'}}");
    fed_fake_put(w.fake, EVENTS, "{'metadata':{'name':'timeless','namespace':'n'}}");
    struct fed_eventttl *e = fed_eventttl_new(w.t, 0);
    fed_fake_run(&w.env, 20 * 60000);
    assert_non_null(fed_fake_find(w.fake, EVENTS, "n", "old"));
    fed_fake_run(&w.env, 20 * 60000);
    assert_null(fed_fake_find(w.fake, EVENTS, "n", "old"));
    assert_non_null(fed_fake_find(w.fake, EVENTS, "n", "series"));
    fed_fake_run(&w.env, 40 * 60000);
    assert_null(fed_fake_find(w.fake, EVENTS, "n", "series"));
    assert_non_null(fed_fake_find(w.fake, EVENTS, "n", "timeless"));
    fed_eventttl_free(e);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(background),
        cmocka_unit_test(foreground),
        cmocka_unit_test(orphaned),
        cmocka_unit_test(absent_data_deletes_nothing),
        cmocka_unit_test(namespace_is_emptied),
        cmocka_unit_test(old_events_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
