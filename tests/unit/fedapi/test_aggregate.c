/* SPDX-License-Identifier: Apache-2.0 */
/* The status of a federated object from what clusters report. */
#include "fedapi/controllers/aggregate.h"
#include "fedapi/controllers/rounds.h"
#include "tests/unit/trees.h"

struct world {
    struct fed_arena a;
    struct fed_kobj *hub;
    struct fapi_report reports[3];
    struct fapi_aggregate_in in;
};

static void setup(struct world *w, const char *hub)
{
    *w = (struct world){0};
    struct fed_json *tree = tree_of(&w->a, hub);
    assert_int_equal(fed_kobj_from_tree(tree, 5, &w->hub, NULL), 0);
    w->in = (struct fapi_aggregate_in){.hub = w->hub, .tree = tree, .reports = w->reports, .now_ms = 1767225600000};
}

static void add(struct world *w, const char *cluster, const char *state, int64_t replicas, const char *object)
{
    w->reports[w->in.n++] = (struct fapi_report){.cluster = fed_str(cluster),
                                                 .state = state,
                                                 .replicas = replicas,
                                                 .object = object ? tree_of(&w->a, object) : NULL};
}

static void teardown(struct world *w)
{
    fed_kobj_unref(w->hub);
    fed_arena_release(&w->a);
}

static struct fed_str condition(const struct fed_json *status, const char *type, const char *member)
{
    return fed_json_find_text(fed_obj_condition(status, type), member);
}

#define DEPLOYMENT "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'d','namespace':'n','generation':4}}"
#define MEMBER(n, ready)                                                                                               \
    "{'metadata':{'generation':2},'status':{'observedGeneration':2,'replicas':" n ",'readyReplicas':" ready            \
    ",'conditions':[{'type':'Available','status':'True'}]}}"

static void sums(void **state FED_UNUSED)
{
    struct world w;
    setup(&w, DEPLOYMENT);
    add(&w, "a", "Synced", 3, MEMBER("3", "2"));
    add(&w, "b", "Synced", 4, MEMBER("4", "4"));
    const struct fed_json *s = fapi_aggregate_status(&w.a, &w.in);
    assert_int_equal(fed_json_int(fed_json_find(s, "replicas"), -1), 7);
    assert_int_equal(fed_json_int(fed_json_find(s, "readyReplicas"), -1), 6);
    assert_int_equal(fed_json_int(fed_json_find(s, "observedGeneration"), -1), 4);
    assert_true(fed_str_is(condition(s, "Propagated", "status"), "True"));
    assert_true(fed_str_is(condition(s, "Available", "status"), "True"));
    teardown(&w);
}

#define PROGRESSING(status, reason)                                                                                    \
    "{'status':{'conditions':[{'type':'Progressing','status':'" status "','reason':'" reason "','message':'why'}]}}"

/* kubectl rollout status gives up for a reason, so it must be told. */
static void reasons(void **state FED_UNUSED)
{
    static const struct {
        const char *name, *a, *b, *status, *reason, *message;
    } rows[] = {
        {"all are through", PROGRESSING("True", "NewReplicaSetAvailable"),
         PROGRESSING("True", "NewReplicaSetAvailable"), "True", "NewReplicaSetAvailable", "in every cluster"},
        {"one goes on", PROGRESSING("True", "NewReplicaSetAvailable"), PROGRESSING("True", "ReplicaSetUpdated"), "True",
         "ReplicaSetUpdated", "cluster b: why"},
        {"one is stuck", PROGRESSING("True", "NewReplicaSetAvailable"),
         PROGRESSING("False", "ProgressDeadlineExceeded"), "False", "ProgressDeadlineExceeded", "cluster b: why"},
        {"paused", PROGRESSING("Unknown", "DeploymentPaused"), PROGRESSING("Unknown", "DeploymentPaused"), "Unknown",
         "DeploymentPaused", "cluster a: why"},
        {"not known", PROGRESSING("True", "NewReplicaSetAvailable"), "{}", "Unknown", "ReplicaSetUpdated",
         "not in every cluster"},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct world w;
        setup(&w, DEPLOYMENT);
        add(&w, "a", "Synced", 1, rows[i].a);
        add(&w, "b", "Synced", 1, rows[i].b);
        const struct fed_json *s = fapi_aggregate_status(&w.a, &w.in);
        CHECK_TEXT(rows[i].name, condition(s, "Progressing", "status"), rows[i].status);
        CHECK_TEXT(rows[i].name, condition(s, "Progressing", "reason"), rows[i].reason);
        CHECK_TEXT(rows[i].name, condition(s, "Progressing", "message"), rows[i].message);
        teardown(&w);
    }
}

/* A cluster that cannot be seen counts for nothing, and the whole is not said to be observed. */
static void a_cluster_is_away(void **state FED_UNUSED)
{
    struct world w;
    setup(&w, DEPLOYMENT);
    add(&w, "a", "Synced", 3, MEMBER("3", "3"));
    add(&w, "b", "Unknown", 4, NULL);
    const struct fed_json *s = fapi_aggregate_status(&w.a, &w.in);
    assert_int_equal(fed_json_int(fed_json_find(s, "readyReplicas"), -1), 3);
    assert_null(fed_json_find(s, "observedGeneration"));
    assert_true(fed_str_is(condition(s, "Propagated", "status"), "False"));
    assert_true(fed_str_is(condition(s, "Available", "status"), "Unknown"));
    teardown(&w);
}

static void problems_are_told_once(void **state FED_UNUSED)
{
    struct world w;
    setup(&w, DEPLOYMENT);
    w.in.problem = FED_STR("NoClusterMatches: none of 3");
    const struct fed_json *s = fapi_aggregate_status(&w.a, &w.in);
    assert_true(fed_str_is(condition(s, "Propagated", "reason"), "NoClusterMatches"));
    assert_true(fed_str_is(condition(s, "Propagated", "message"), "none of 3"));
    assert_false(fapi_aggregate_told(w.hub, "*", w.in.problem));
    struct fed_json *tree = fed_kobj_parse(w.hub, &w.a);
    fed_obj_set_annotation(&w.a, tree, "federation.hansa.io/clusters", fapi_aggregate_annotation(&w.a, &w.in));
    struct fed_kobj *told;
    assert_int_equal(fed_kobj_from_tree(tree, 6, &told, NULL), 0);
    assert_true(fapi_aggregate_told(told, "*", w.in.problem));
    assert_false(fapi_aggregate_told(told, "*", FED_STR("another")));
    assert_false(fapi_aggregate_told(told, "a", w.in.problem));
    fed_kobj_unref(told);
    teardown(&w);
}

/* What a Job's copy had completed is still told when its cluster cannot be seen, also by a hub that never saw it. */
static void a_job_out_of_sight(void **state FED_UNUSED)
{
    struct world w;
    setup(&w,
          "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':'j','namespace':'n'},'spec':{'completions':6}}");
    add(&w, "a", "Synced", 3, "{'metadata':{'uid':'ua'},'status':{'succeeded':2}}");
    add(&w, "b", "Pending", 3, NULL);
    for (int round = 0; round < 2; round++) {
        struct fed_json *tree = fed_kobj_parse(w.hub, &w.a);
        fed_obj_set_annotation(&w.a, tree, "federation.hansa.io/clusters", fapi_aggregate_annotation(&w.a, &w.in));
        fed_kobj_unref(w.hub);
        assert_int_equal(fed_kobj_from_tree(tree, 6, &w.hub, NULL), 0);
        struct fapi_copy told = fapi_copy_told(&w.a, w.hub, FED_STR("a"));
        assert_true(fed_str_is(told.uid, "ua") && told.part == 3 && told.succeeded == 2 && !told.complete);
        assert_false(fapi_copy_told(&w.a, w.hub, FED_STR("b")).uid.n);
        w.in.hub = w.hub;
        w.reports[0].state = w.reports[1].state = "Unknown";
        w.reports[0].object = NULL;
    }
    w.reports[0].state = "Synced"; /* seen, and gone */
    assert_true(fed_str_find(fapi_aggregate_annotation(&w.a, &w.in), FED_STR("ua"), 0) < 0);
    teardown(&w);
}

static void addresses(void **state FED_UNUSED)
{
    struct world w;
    struct fed_buf text = {0};
    setup(&w, "{'apiVersion':'v1','kind':'Service','metadata':{'name':'s','namespace':'n'},"
              "'status':{'loadBalancer':{'ingress':[{'ip':'9.9.9.9'}]}}}");
    add(&w, "a", "Synced", -1, "{'status':{'loadBalancer':{'ingress':[{'ip':'2.2.2.2'},{'hostname':'lb.test'}]}}}");
    add(&w, "b", "Synced", -1, "{'status':{'loadBalancer':{'ingress':[{'ip':'1.1.1.1'},{'ip':'2.2.2.2'}]}}}");
    fed_json_write(&text, fapi_aggregate_status(&w.a, &w.in));
    assert_string_equal(fed_buf_z(&text), "{\"loadBalancer\":{\"ingress\":[{\"ip\":\"1.1.1.1\"},{\"ip\":\"2.2.2.2\"},"
                                          "{\"hostname\":\"lb.test\"}]}}");
    fed_buf_release(&text);
    w.in.n = 0;
    fed_json_write(&text, fapi_aggregate_status(&w.a, &w.in));
    assert_string_equal(fed_buf_z(&text), "{\"loadBalancer\":{}}");
    assert_null(fapi_aggregate_annotation(&w.a, &w.in).p);
    fed_buf_release(&text);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums),
                                       cmocka_unit_test(reasons),
                                       cmocka_unit_test(a_cluster_is_away),
                                       cmocka_unit_test(problems_are_told_once),
                                       cmocka_unit_test(a_job_out_of_sight),
                                       cmocka_unit_test(addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
