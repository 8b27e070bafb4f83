/* SPDX-License-Identifier: Apache-2.0 */
/* Server-side apply: stories of several managers. */
#include "tests/unit/kube/core_kinds.h"

static const struct fed_kind_version *deploy;

static int setup(void **state)
{
    if (core_kinds_setup(state))
        return -1;
    deploy = fed_kinds_by_kind(kinds, FED_STR("apps/v1"), FED_STR("Deployment"));
    return 0;
}

static struct fed_json *apply(const struct fed_json *live, const char *config, const char *manager, bool force,
                              int want, struct fed_err *err)
{
    struct fed_json *out = NULL;
    struct fed_causes c = {.arena = &arena};

    assert_int_equal(fed_ssa_apply(&arena, deploy, live, yaml_of(&arena, config),
                                   &(struct fed_ssa_write){.manager = fed_str(manager), .force = force, .now_ms = 1000},
                                   &out, &c, err),
                     want);
    if (want == FED_E_CONFLICT)
        assert_true(c.n > 0);
    return out;
}

static const struct fed_json *set_of(const struct fed_json *obj, const char *manager)
{
    FED_JSON_EACH(it, fed_json_at(obj, "metadata", "managedFields", NULL))
        if (fed_str_is(fed_json_find_text(it, "manager"), manager))
            return fed_json_find(it, "fieldsV1");
    return NULL;
}

#define HEAD "apiVersion: apps/v1, kind: Deployment, metadata: {name: a, labels: {app: a}}"
static const char first[] = "{" HEAD ", spec: {replicas: 2, template: {spec: {containers: [{name: c, image: x, ports: "
                            "[{containerPort: 80}]}]}}}}";

static void test_create(void **state)
{
    struct fed_json *o = apply(NULL, first, "kubectl", false, 0, NULL);

    (void)state;
    assert_string_equal(
        text_of(&arena, set_of(o, "kubectl")).p,
        "{\"f:metadata\":{\"f:labels\":{\"f:app\":{}}},\"f:spec\":{\"f:replicas\":{},\"f:template\":{\"f:spec\":{"
        "\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},\"f:image\":{},\"f:name\":{},\"f:ports\":{"
        "\"k:{\\\"containerPort\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},\"f:containerPort\":{}}}}}}}}}");
}

/* A field left out of the configuration goes when nobody else owns it. */
static void test_removal(void **state)
{
    struct fed_json *o = apply(NULL, first, "kubectl", false, 0, NULL);

    (void)state;
    o = apply(o, "{" HEAD ", spec: {template: {spec: {containers: [{name: c, image: z}]}}}}", "kubectl", false, 0,
              NULL);
    assert_string_equal(text_of(&arena, fed_json_find(o, "spec")).p,
                        "{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"z\"}]}}}");
}

static void test_conflict(void **state)
{
    struct fed_err err = {0};
    struct fed_json *o = apply(NULL, first, "kubectl", false, 0, NULL), *old = fed_json_copy(&arena, o), *out;

    (void)state;
    /* Another writer scales: it owns replicas now. */
    fed_json_set(fed_json_find(o, "spec"), "replicas", fed_json_new_int(&arena, 5));
    fed_ssa_track(&arena, deploy, deploy, old, o, &(struct fed_ssa_write){.manager = FED_STR("curl"), .now_ms = 0});
    assert_string_equal(text_of(&arena, set_of(o, "curl")).p, "{\"f:spec\":{\"f:replicas\":{}}}");
    assert_null(fed_json_at(set_of(o, "kubectl"), "f:spec", "f:replicas", NULL));
    apply(o, first, "kubectl", false, FED_E_CONFLICT, &err);
    assert_string_equal(err.text, "Apply failed with 1 conflict: conflict with \"curl\" using apps/v1: .spec.replicas");
    out = apply(o, first, "kubectl", true, 0, NULL);
    assert_null(set_of(out, "curl"));
    assert_int_equal(fed_json_int(fed_json_at(out, "spec", "replicas", NULL), 0), 2);
    /* The same value is no conflict: both own it, and it stays when one lets go. */
    out = apply(o, "{" HEAD ", spec: {replicas: 5}}", "other", false, 0, NULL);
    out = apply(out, "{" HEAD "}", "other", false, 0, NULL);
    assert_int_equal(fed_json_int(fed_json_at(out, "spec", "replicas", NULL), 0), 5);
}

static void test_repeat_changes_nothing(void **state)
{
    struct fed_json *o = apply(NULL, first, "kubectl", false, 0, NULL);
    const char *before = text_of(&arena, o).p;
    struct fed_json *again, *copy;

    (void)state;
    assert_int_equal(fed_ssa_apply(&arena, deploy, o, yaml_of(&arena, first),
                                   &(struct fed_ssa_write){.manager = FED_STR("kubectl"), .now_ms = 99000000}, &again,
                                   NULL, NULL),
                     0);
    assert_string_equal(text_of(&arena, again).p, before);
    copy = fed_json_copy(&arena, o);
    fed_ssa_track(&arena, deploy, deploy, o, copy,
                  &(struct fed_ssa_write){.manager = FED_STR("x"), .now_ms = 99000000});
    assert_string_equal(text_of(&arena, copy).p, before);
}

static void test_two_managers_share_a_list(void **state)
{
    struct fed_json *o = apply(NULL, first, "kubectl", false, 0, NULL);

    (void)state;
    o = apply(o, "{" HEAD ", spec: {template: {spec: {containers: [{name: side, image: s}]}}}}", "mesh", false, 0,
              NULL);
    assert_int_equal(fed_json_at(o, "spec", "template", "spec", "containers", NULL)->n, 2);
    o = apply(o, "{" HEAD "}", "mesh", false, 0, NULL);
    assert_int_equal(fed_json_at(o, "spec", "template", "spec", "containers", NULL)->n, 1);
}

static void test_reset(void **state)
{
    struct fed_json *o = apply(NULL, first, "kubectl", false, 0, NULL), *copy = fed_json_copy(&arena, o);

    (void)state;
    fed_json_set(fed_json_find(copy, "metadata"), "managedFields", yaml_of(&arena, "[{}]"));
    fed_ssa_track(&arena, deploy, deploy, o, copy, &(struct fed_ssa_write){.manager = FED_STR("x"), .now_ms = 0});
    assert_null(fed_json_at(copy, "metadata", "managedFields", NULL));
}

static struct fed_str version_by(const struct fed_json *obj, const char *manager)
{
    FED_JSON_EACH(it, fed_json_at(obj, "metadata", "managedFields", NULL))
        if (fed_str_is(fed_json_find_text(it, "manager"), manager))
            return fed_json_find_text(it, "apiVersion");
    return (struct fed_str){NULL, 0};
}

/* A manager's fields are those of the version that it wrote in; who changes them in another version takes them. */
static void test_versions(void **state)
{
    const struct fed_kind_version *v1, *v2;
    struct fed_json *o, *old, *metrics, *out = NULL;
    struct fed_causes c = {.arena = &arena};
    struct fed_err err = {0};

    (void)state;
    v1 = fed_kinds_by_kind(kinds, FED_STR("autoscaling/v1"), FED_STR("HorizontalPodAutoscaler"));
    v2 = fed_kinds_by_kind(kinds, FED_STR("autoscaling/v2"), FED_STR("HorizontalPodAutoscaler"));
    o = yaml_of(&arena,
                "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: d}, spec: "
                "{maxReplicas: 5, scaleTargetRef: {kind: Deployment, name: w}, targetCPUUtilizationPercentage: 50}}");
    assert_int_equal(fed_kind_convert(&arena, o, v1, v2, NULL), 0);
    fed_ssa_track(&arena, v2, v1, NULL, o, &(struct fed_ssa_write){.manager = FED_STR("curl"), .now_ms = 0});
    assert_true(fed_str_is(version_by(o, "curl"), "autoscaling/v1"));
    assert_non_null(fed_json_at(set_of(o, "curl"), "f:spec", "f:targetCPUUtilizationPercentage", NULL));
    assert_null(fed_json_at(set_of(o, "curl"), "f:spec", "f:metrics", NULL));

    assert_int_equal(
        fed_ssa_apply(
            &arena, v2, o,
            yaml_of(&arena,
                    "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: "
                    "d}, spec: {metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, "
                    "averageUtilization: 70}}}]}}"),
            &(struct fed_ssa_write){.manager = FED_STR("kubectl")}, &out, &c, &err),
        FED_E_CONFLICT);
    assert_string_equal(err.text, "Apply failed with 1 conflict: conflict with \"curl\" using autoscaling/v1: "
                                  ".spec.targetCPUUtilizationPercentage");

    old = fed_json_copy(&arena, o);
    metrics = fed_json_at(o, "spec", "metrics", NULL);
    fed_json_set(fed_json_at(metrics->first, "resource", "target", NULL), "averageUtilization",
                 fed_json_new_int(&arena, 60));
    fed_ssa_track(&arena, v2, v2, old, o, &(struct fed_ssa_write){.manager = FED_STR("edit"), .now_ms = 0});
    assert_true(fed_str_is(version_by(o, "edit"), "autoscaling/v2"));
    assert_string_equal(text_of(&arena, set_of(o, "edit")).p, "{\"f:spec\":{\"f:metrics\":{}}}");
    assert_null(fed_json_at(set_of(o, "curl"), "f:spec", "f:targetCPUUtilizationPercentage", NULL));
    assert_non_null(fed_json_at(set_of(o, "curl"), "f:spec", "f:maxReplicas", NULL));
}

static struct fed_json *track(const struct fed_json *old, const char *obj, const char *manager)
{
    struct fed_json *o = yaml_of(&arena, obj);

    fed_ssa_track(&arena, deploy, deploy, old, o, &(struct fed_ssa_write){.manager = fed_str(manager)});
    return o;
}

/* Who makes a map or a list owns the node, not only what is in it; structures that are always there are nobody's. */
static void test_nodes_are_owned(void **state)
{
    struct fed_json *o =
        track(NULL,
              "{metadata: {labels: {a: b}}, spec: {strategy: {rollingUpdate: {maxSurge: 1}}, template: "
              "{spec: {containers: [{name: c, resources: {limits: {cpu: 1}}, ports: []}, {name: d}]}}}}",
              "curl");

    (void)state;
    /* Empty lists are not there, the structure of resources is. */
    assert_string_equal(
        text_of(&arena, set_of(o, "curl")).p,
        "{\"f:metadata\":{\"f:labels\":{\".\":{},\"f:a\":{}}},\"f:spec\":{\"f:strategy\":{\"f:rollingUpdate\":{"
        "\".\":{},\"f:maxSurge\":{}}},\"f:template\":{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{"
        "\".\":{},\"f:name\":{},\"f:resources\":{\".\":{},\"f:limits\":{\".\":{},\"f:cpu\":{}}}},"
        "\"k:{\\\"name\\\":\\\"d\\\"}\":{\".\":{},\"f:name\":{},\"f:resources\":{}}}}}}}");
    /* An applier owns what it applies and its items, not the map that they go to. */
    o = apply(o, "{metadata: {labels: {c: d}}}", "kubectl", false, 0, NULL);
    assert_string_equal(text_of(&arena, set_of(o, "kubectl")).p, "{\"f:metadata\":{\"f:labels\":{\"f:c\":{}}}}");
    /* The map stays its maker's when nothing of his is left in it; and its maker's only. */
    o = apply(o, "{metadata: {labels: {a: c}}}", "kubectl", true, 0, NULL);
    assert_string_equal(text_of(&arena, fed_json_at(set_of(o, "curl"), "f:metadata", NULL)).p, "{\"f:labels\":{}}");
    assert_string_equal(text_of(&arena, fed_json_at(o, "metadata", "labels", NULL)).p, "{\"a\":\"c\"}");
    o = apply(o, "{metadata: {}}", "kubectl", false, 0, NULL);
    assert_null(fed_json_at(o, "metadata", "labels", NULL)); /* what is left empty goes; it stays owned */
    assert_string_equal(text_of(&arena, fed_json_at(set_of(o, "curl"), "f:metadata", NULL)).p, "{\"f:labels\":{}}");
    /* Gone is gone for everybody. */
    o = track(o, "{metadata: {name: a, labels: {x: y}}}", "edit");
    o = track(o, "{metadata: {name: a}, spec: {strategy: {}}}", "edit");
    assert_null(fed_json_find(set_of(o, "curl"), "f:metadata"));
    assert_null(set_of(o, "kubectl"));
}

/* What every object of the kind has belongs to nobody, unless somebody gave it another value or applies it. */
static void test_zero_values_are_nobodys(void **state)
{
    static const struct {
        const char *given, *want;
    } cases[] = {
        {"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: {podSelector: {}, policyTypes: [Ingress]}}",
         "{\"f:spec\":{\"f:policyTypes\":{}}}"},
        {"{apiVersion: v1, kind: Event, involvedObject: {name: a}, reportingComponent: c, source: {}}",
         "{\"f:involvedObject\":{},\"f:reportingComponent\":{}}"},
        {"{apiVersion: rbac.authorization.k8s.io/v1, kind: Role}", ""},
        {"{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {minAvailable: 0}, status: {currentHealthy: 1}}",
         "{\"f:spec\":{\"f:minAvailable\":{}}}"},
    };

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_json *o = yaml_of(&arena, cases[i].given);
        const struct fed_kind_version *v =
            fed_kinds_by_kind(kinds, fed_json_find_text(o, "apiVersion"), fed_json_find_text(o, "kind"));

        fed_schema_zeros(&arena, v->schema, o);
        fed_ssa_track(&arena, v, v, NULL, o, &(struct fed_ssa_write){.manager = FED_STR("curl"), .now_ms = 1000});
        assert_string_equal(text_of(&arena, set_of(o, "curl")).p, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_repeat_changes_nothing),
        cmocka_unit_test(test_two_managers_share_a_list),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_nodes_are_owned),
        cmocka_unit_test(test_zero_values_are_nobodys),
    };

    return cmocka_run_group_tests(tests, setup, core_kinds_teardown);
}
