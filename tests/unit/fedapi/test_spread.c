/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs, CronJobs and autoscalers: each cluster's part, where it goes, and what the parts make together. */
#include "fedapi/controllers/aggregate.h"
#include "fedapi/controllers/marks.h"
#include "fedapi/controllers/placement.h"
#include "fedapi/controllers/rounds.h"
#include "fedapi/controllers/spread.h"
#include "tests/unit/trees.h"

static void test_parts(void **state)
{
    static const struct {
        const char *kind, *spec;
        int64_t number, part;
        const char *want;
    } cases[] = {
        {"Deployment", "{\"replicas\":6}", 6, 2, "{\"replicas\":2}"},
        {"Job", "{\"completions\":6,\"parallelism\":3}", 6, 2, "{\"completions\":2,\"parallelism\":1}"},
        {"Job", "{\"completions\":5,\"parallelism\":2}", 5, 3, "{\"completions\":3,\"parallelism\":2}"},
        {"Job", "{\"parallelism\":4}", 4, 1, "{\"parallelism\":1}"},
        {"Job", "{\"completions\":5,\"parallelism\":0}", 5, 3, "{\"completions\":3,\"parallelism\":0}"},
        {"CronJob", "{\"jobTemplate\":{\"spec\":{\"completions\":4,\"parallelism\":4}}}", 4, 2,
         "{\"jobTemplate\":{\"spec\":{\"completions\":2,\"parallelism\":2}}}"},
        {"CronJob", "{\"jobTemplate\":{\"spec\":{}}}", 1, 1, "{\"jobTemplate\":{\"spec\":{\"parallelism\":1}}}"},
        {"HorizontalPodAutoscaler", "{\"minReplicas\":3,\"maxReplicas\":9}", 9, 3,
         "{\"minReplicas\":1,\"maxReplicas\":3}"},
        {"HorizontalPodAutoscaler", "{\"minReplicas\":9,\"maxReplicas\":9}", 9, 1,
         "{\"minReplicas\":1,\"maxReplicas\":1}"},
        {"ConfigMap", "{}", -1, -1, "{}"},
        {"StatefulSet", "{\"replicas\":3}", -1, -1, "{\"replicas\":3}"},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_str whole = fed_arena_printf(&a, "{\"spec\":%s}", cases[i].spec);
        struct fed_json *tree = tree_of(&a, whole.p);
        CHECK(cases[i].spec, fapi_spread_number(fed_str(cases[i].kind), tree) == cases[i].number);
        fapi_spread_apply(&a, fed_str(cases[i].kind), tree, cases[i].part);
        CHECK_TEXT(cases[i].spec, text_of(&a, fed_json_find(tree, "spec")), cases[i].want);
        fed_arena_release(&a);
    }
}

struct place_case {
    const char *name, *kind, *spec, *status;
    int64_t current[3]; /* of the clusters; -1: no copy */
    int64_t sum;        /* of all parts */
    size_t placed;
    int64_t first; /* part of the first cluster; -1: whatever */
};
static const struct place_case places[] = {
    {"a Job is divided", "Job", "{\"completions\":6}", "{}", {-1, -1, -1}, 6, 3, 2},
    {"one completion: one cluster", "Job", "{\"completions\":1}", "{}", {-1, -1, -1}, 1, 1, -1},
    {"what was made stays", "Job", "{\"completions\":6}", "{}", {5, -1, -1}, 6, 2, 5},
    {"all was given out", "Job", "{\"completions\":6}", "{}", {3, 3, -1}, 6, 2, 3},
    {"an ended one is not begun again",
     "Job",
     "{\"completions\":6}",
     "{\"conditions\":[{\"type\":\"Complete\",\"status\":\"True\"}]}",
     {3, -1, -1},
     3,
     1,
     3},
    {"nothing to complete", "Job", "{\"completions\":0}", "{}", {-1, -1, -1}, 0, 3, 0},
    {"by index: one cluster",
     "Job",
     "{\"completions\":6,\"completionMode\":\"Indexed\"}",
     "{}",
     {-1, -1, -1},
     6,
     1,
     -1},
    {"by index: where it is", "Job", "{\"completions\":6,\"completionMode\":\"Indexed\"}", "{}", {6, -1, -1}, 6, 1, 6},
    {"a CronJob may move", "CronJob", "{\"jobTemplate\":{\"spec\":{\"completions\":6}}}", "{}", {-1, -1, -1}, 6, 3, 2},
    {"an autoscaler", "HorizontalPodAutoscaler", "{\"maxReplicas\":2}", "{}", {-1, -1, -1}, 2, 2, -1},
    {"a StatefulSet is copied", "StatefulSet", "{\"replicas\":2}", "{}", {-1, -1, -1}, -3, 3, -1},
};

static void test_places(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(places); i++) {
        const struct place_case *c = &places[i];
        struct fed_arena a = {0};
        struct fapi_cluster clusters[3];
        struct fapi_placement p;
        struct fed_kobj *o;
        struct fed_str text = fed_arena_printf(
            &a,
            "{\"apiVersion\":\"batch/v1\",\"kind\":\"%s\",\"metadata\":{\"name\":\"x\",\"namespace\":\"n\"},"
            "\"spec\":%s,\"status\":%s}",
            c->kind, c->spec, c->status);
        int64_t sum = 0;
        size_t placed = 0;
        for (size_t k = 0; k < 3; k++)
            clusters[k] = (struct fapi_cluster){.name = fed_str(names[k]), .current = c->current[k], .capacity = -1};
        assert_int_equal(fed_kobj_new(text, (struct fed_str){0}, (struct fed_str){0}, &o, NULL), 0);
        assert_int_equal(fapi_place(&a, o, fed_kobj_parse(o, &a), clusters, 3, &p, NULL), 0);
        for (size_t k = 0; k < 3; k++) {
            sum += p.spots[k].replicas;
            placed += p.spots[k].selected;
        }
        CHECK(c->name, sum == c->sum);
        CHECK(c->name, placed == c->placed);
        CHECK(c->name, c->first < 0 || p.spots[0].replicas == c->first);
        fed_kobj_unref(o);
        fed_arena_release(&a);
    }
}

struct round_case {
    const char *name, *spec, *notes;
    struct {
        int64_t part, succeeded; /* part -1: no copy */
        bool complete, offline;
    } at[3];            /* clusters a, b, c; their copies have the uids ua, ub, uc */
    const char *closed; /* the notes after it; NULL: nothing is to be closed */
    int64_t parts[3];   /* what is decided when nothing is */
};
#define NOTE(cluster, done, uid) "\"" cluster "\":{\"done\":" done ",\"copy\":\"" uid "\"}"
static const struct round_case round_cases[] = {
    {"nothing wrong", "{\"completions\":6}", "", {{2, 1, 0, 0}, {2, 2, 1, 0}, {2, 0, 0, 0}}, NULL, {2, 2, 2}},
    {"a part is lost",
     "{\"completions\":6}",
     "",
     {{2, 1, 0, 1}, {2, 2, 1, 0}, {2, 0, 0, 0}},
     "{" NOTE("a", "1", "ua") "}",
     {0}},
    {"it waits until somebody is through",
     "{\"completions\":6}",
     "{" NOTE("a", "1", "ua") "}",
     {{-1, 0, 0, 1}, {2, 1, 0, 0}, {2, 1, 0, 0}},
     NULL,
     {0, 2, 2}},
    {"somebody is through",
     "{\"completions\":6}",
     "{" NOTE("a", "1", "ua") "}",
     {{-1, 0, 0, 1}, {2, 2, 1, 0}, {2, 1, 0, 0}},
     "{" NOTE("a", "1", "ua") "," NOTE("b", "2", "ub") "}",
     {0}},
    {"and takes it",
     "{\"completions\":6}",
     "{" NOTE("a", "1", "ua") "," NOTE("b", "2", "ub") "}",
     {{-1, 0, 0, 1}, {-1, 0, 0, 0}, {2, 1, 0, 0}},
     NULL,
     {0, 1, 2}},
    {"one without a copy takes it",
     "{\"completions\":2}",
     "{" NOTE("a", "0", "ua") "}",
     {{-1, 0, 0, 1}, {1, 1, 1, 0}, {-1, 0, 0, 0}},
     NULL,
     {0, 1, 1}},
    {"all is done",
     "{\"completions\":2}",
     "{" NOTE("a", "1", "ua") "}",
     {{-1, 0, 0, 0}, {1, 1, 1, 0}, {-1, 0, 0, 0}},
     NULL,
     {0, 1, 0}},
    {"all are lost", "{\"completions\":6}", "", {{2, 1, 0, 1}, {2, 2, 1, 1}, {2, 0, 0, 1}}, NULL, {2, 2, 2}},
    {"by index it begins anew",
     "{\"completions\":3,\"completionMode\":\"Indexed\"}",
     "",
     {{3, 2, 0, 1}, {-1, 0, 0, 0}, {-1, 0, 0, 0}},
     "{" NOTE("a", "0", "ua") "}",
     {0}},
    {"without completions the others go on",
     "{\"parallelism\":3}",
     "",
     {{1, 0, 0, 1}, {1, 0, 0, 0}, {1, 0, 0, 0}},
     "{" NOTE("a", "1", "ua") "}",
     {0}},
    {"nonsense counts as nothing",
     "{\"completions\":6}",
     "[",
     {{2, 1, 0, 0}, {2, 2, 1, 0}, {2, 0, 0, 0}},
     NULL,
     {2, 2, 2}},
};

static void test_rounds(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(round_cases); i++) {
        const struct round_case *c = &round_cases[i];
        struct fed_arena a = {0};
        struct fapi_cluster clusters[3];
        struct fed_kobj *hub, *objects[3] = {NULL};
        struct fapi_copy copies[3];
        struct fapi_placement p;
        struct fed_str lost;
        struct fed_json *o =
            tree_of(&a, "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"x\"}}");
        fed_obj_set_annotation(&a, o, FAPI_JOB_ROUNDS, fed_str(c->notes));
        fed_json_set(o, "spec", tree_of(&a, c->spec));
        assert_int_equal(fed_kobj_from_tree(o, 1, &hub, NULL), 0);
        for (size_t k = 0; k < 3; k++) {
            clusters[k] = (struct fapi_cluster){
                .name = fed_str(names[k]), .current = c->at[k].part, .capacity = -1, .offline = c->at[k].offline};
            copies[k] = (struct fapi_copy){0};
            if (c->at[k].part < 0)
                continue;
            struct fed_str text = fed_arena_printf(
                &a,
                "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"x\",\"uid\":\"u%s\"},\"spec\":{"
                "\"completions\":%d},\"status\":{\"succeeded\":%d,\"conditions\":[{\"type\":\"Complete\",\"status\":"
                "\"%s\"}]}}",
                names[k], (int)c->at[k].part, (int)c->at[k].succeeded, c->at[k].complete ? "True" : "False");
            assert_int_equal(fed_kobj_new(text, (struct fed_str){0}, (struct fed_str){0}, &objects[k], NULL), 0);
            copies[k] = fapi_copy_of(&a, objects[k]);
        }
        const struct fed_json *tree = fed_kobj_parse(hub, &a);
        assert_int_equal(fapi_place(&a, hub, tree, clusters, 3, &p, NULL), 0);
        struct fed_json *patch = fapi_rounds_close(&a, hub, tree, &p, copies, &lost);
        CHECK(c->name, !patch == !c->closed);
        if (c->closed)
            CHECK_TEXT(c->name, fed_obj_annotation(patch, FAPI_JOB_ROUNDS), c->closed);
        for (size_t k = 0; k < 3 && !c->closed; k++)
            CHECK(c->name, FED_MAX(p.spots[k].replicas, 0) == c->parts[k]);
        fed_kobj_unref(hub);
        for (size_t k = 0; k < 3; k++)
            fed_kobj_unref(objects[k]);
        fed_arena_release(&a);
    }
}

static void test_what_stays(void **state)
{
    static const struct {
        const char *kind, *ns, *name, *type;
        bool stays;
    } cases[] = {
        {"Secret", "shop", "sh.helm.release.v1.web.v1", "helm.sh/release.v1", true},
        {"Secret", "shop", "token", "kubernetes.io/service-account-token", true},
        {"Secret", "shop", "pass", "Opaque", false},
        {"ServiceAccount", "shop", "default", "", true},
        {"ServiceAccount", "shop", "web", "", false},
        {"ConfigMap", "shop", "kube-root-ca.crt", "", true},
        {"ConfigMap", "shop", "conf", "", false},
        {"ConfigMap", "kube-system", "conf", "", true},
        {"Namespace", "", "default", "", true},
        {"Namespace", "", "shop", "", false},
        {"Job", "shop", "default", "", false},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        CHECK(cases[i].name, (fapi_stays(fed_str(cases[i].kind), fed_str(cases[i].ns), fed_str(cases[i].name),
                                         fed_str(cases[i].type)) != NULL) == cases[i].stays);
}

static struct fed_str aggregated(struct fed_arena *a, const char *kind, const char *one, const char *two)
{
    struct fed_kobj *hub;
    struct fed_str text = fed_arena_printf(
        a, "{\"apiVersion\":\"batch/v1\",\"kind\":\"%s\",\"metadata\":{\"name\":\"x\",\"namespace\":\"n\"}}", kind);
    assert_int_equal(fed_kobj_new(text, (struct fed_str){0}, (struct fed_str){0}, &hub, NULL), 0);
    struct fapi_report reports[2] = {
        {.cluster = FED_STR("a"), .state = "Synced", .replicas = 2, .object = tree_of(a, one)},
        {.cluster = FED_STR("b"), .state = "Synced", .replicas = 2, .object = tree_of(a, two)}};
    struct fapi_aggregate_in in = {
        .hub = hub, .tree = fed_kobj_parse(hub, a), .reports = reports, .n = 2, .now_ms = 1000000};
    struct fed_json *status = fapi_aggregate_status(a, &in);
    fed_json_remove_key(status, "conditions");
    struct fed_str out = text_of(a, status);
    struct fed_json *again = fapi_aggregate_status(a, &in);
    FED_JSON_EACH(c, fed_json_find(again, "conditions"))
        if (!fed_str_is(fed_json_find_text(c, "type"), "Propagated"))
            out = fed_arena_printf(a, "%.*s %.*s=%.*s", FED_STR_ARG(out), FED_STR_ARG(fed_json_find_text(c, "type")),
                                   FED_STR_ARG(fed_json_find_text(c, "status")));
    fed_kobj_unref(hub);
    return out;
}

#define ENDED(type) "\"conditions\":[{\"type\":\"" type "\",\"status\":\"True\",\"reason\":\"R\",\"message\":\"m\"}]"

static void test_statuses(void **state)
{
    static const struct {
        const char *kind, *one, *two, *want;
    } cases[] = {
        {"Job", "{\"status\":{\"succeeded\":2,\"startTime\":\"2026-11-21T08:00:05Z\"," ENDED("Complete") "}}",
         "{\"status\":{\"succeeded\":1,\"active\":1,\"startTime\":\"2026-11-21T08:00:00Z\"}}",
         "{\"active\":1,\"succeeded\":3,\"startTime\":\"2026-11-21T08:00:00Z\"}"},
        {"Job", "{\"status\":{\"succeeded\":2,\"completionTime\":\"2026-11-21T08:00:05Z\"," ENDED("Complete") "}}",
         "{\"status\":{\"succeeded\":2,\"completionTime\":\"2026-11-21T08:00:07Z\"," ENDED("Complete") "}}",
         "{\"succeeded\":4,\"completionTime\":\"2026-11-21T08:00:07Z\"} Complete=True"},
        {"Job", "{\"status\":{\"succeeded\":2," ENDED("Complete") "}}",
         "{\"status\":{\"failed\":1," ENDED("Failed") "}}", "{\"succeeded\":2,\"failed\":1} Failed=True"},
        {"CronJob", "{\"status\":{\"lastScheduleTime\":\"2026-11-21T08:00:00Z\",\"active\":[{\"name\":\"j\"}]}}",
         "{\"status\":{\"lastScheduleTime\":\"2026-11-21T08:05:00Z\"}}",
         "{\"lastScheduleTime\":\"2026-11-21T08:05:00Z\",\"active\":[{\"name\":\"j\"}]}"},
        {"PersistentVolumeClaim", "{\"status\":{\"phase\":\"Bound\"}}", "{\"status\":{\"phase\":\"Pending\"}}",
         "{\"phase\":\"Pending\"}"},
        {"HorizontalPodAutoscaler", "{\"status\":{\"currentReplicas\":2,\"desiredReplicas\":3}}",
         "{\"status\":{\"currentReplicas\":1,\"desiredReplicas\":1}}", "{\"currentReplicas\":3,\"desiredReplicas\":4}"},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        CHECK_TEXT(cases[i].kind, aggregated(&a, cases[i].kind, cases[i].one, cases[i].two), cases[i].want);
        fed_arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_places),
                                       cmocka_unit_test(test_rounds), cmocka_unit_test(test_what_stays),
                                       cmocka_unit_test(test_statuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
