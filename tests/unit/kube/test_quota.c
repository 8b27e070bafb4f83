/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of resources, limit ranges and what objects cost a quota: tables of cases. */
#include "kube/limits.h"
#include "kube/quota.h"
#include "tests/unit/trees.h"

static const char *show(struct fed_arena *a, const struct fed_amounts *l)
{
    struct fed_buf b = {0};
    for (size_t i = 0; i < l->n; i++) {
        fed_buf_addf(&b, "%s%.*s=", i ? "," : "", FED_STR_ARG(l->items[i].name));
        fed_amount_format(&b, l->items[i].name, l->items[i].milli);
    }
    const char *s = fed_arena_dupz(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return s;
}

static void test_formats(void **state)
{
    static const struct {
        const char *name;
        int64_t milli;
        const char *want;
    } cases[] = {{"cpu", 0, "0"},
                 {"cpu", 1500, "1500m"},
                 {"cpu", 2000, "2"},
                 {"pods", 2000000, "2k"},
                 {"memory", 512ll * 1024 * 1024 * 1000, "512Mi"},
                 {"memory", 1000000, "1k"},
                 {"requests.storage", 3ll * 1024 * 1024 * 1024 * 1000, "3Gi"},
                 {"memory", 1, "1m"}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_buf b = {0};
        fed_amount_format(&b, fed_str(cases[i].name), cases[i].milli);
        assert_string_equal(fed_buf_z(&b), cases[i].want);
        fed_buf_release(&b);
    }
}

static void test_pods(void **state)
{
    static const struct {
        const char *spec, *want;
    } cases[] = {
        {"{containers: [{name: a, resources: {requests: {cpu: 100m}}}, {name: b, resources: {requests: {cpu: 1}}}]}",
         "cpu=1100m"},
        {"{containers: [{name: a, resources: {requests: {cpu: 100m}}}], initContainers: [{name: i, resources: "
         "{requests: {cpu: 2}}}]}",
         "cpu=2"},
        {"{containers: [{name: a, resources: {requests: {cpu: 1}}}], initContainers: [{name: s, restartPolicy: Always, "
         "resources: {requests: {cpu: 1}}}, {name: i, resources: {requests: {cpu: 500m}}}]}",
         "cpu=2"},
        {"{containers: [{name: a, resources: {requests: {cpu: 1}}}], overhead: {cpu: 250m}}", "cpu=1250m"},
        {"{containers: [{name: a, resources: {requests: {cpu: nonsense}}}]}", "cpu=0"},
        {"{}", ""}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_amounts l = {.arena = &a};
        fed_amounts_add_pod(&l, yaml_of(&a, cases[i].spec), "requests");
        assert_string_equal(show(&a, &l), cases[i].want);
        fed_arena_release(&a);
    }
}

static void test_limits(void **state)
{
    static const struct {
        const char *item, *resources, *want;
    } cases[] = {
        {"{type: Container, max: {cpu: 1}}", "{limits: {cpu: 1}}", ""},
        {"{type: Container, max: {cpu: 1}}", "{limits: {cpu: 1001m}}",
         "maximum cpu usage per Container is 1, but limit is 1001m"},
        {"{type: Container, max: {cpu: 1}}", "{}", "maximum cpu usage per Container is 1.  No limit is specified"},
        {"{type: Container, min: {memory: 1Gi}}", "{requests: {memory: 512Mi}}",
         "minimum memory usage per Container is 1Gi, but request is 512Mi"},
        {"{type: Container, min: {memory: 1Gi}}", "{}",
         "minimum memory usage per Container is 1Gi.  No request is specified"},
        {"{type: Container, maxLimitRequestRatio: {cpu: 2}}", "{requests: {cpu: 1}, limits: {cpu: 3}}",
         "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"},
        {"{type: Pod, max: {cpu: 1}}", "{limits: {cpu: 2}}", "maximum cpu usage per Pod is 1, but limit is 2"},
        {"{type: Container, min: {cpu: 1}, max: {memory: 1}}", "{requests: {cpu: 500m}, limits: {memory: 2}}",
         "[minimum cpu usage per Container is 1, but request is 500m, maximum memory usage per Container is 1, but "
         "limit "
         "is 2]"}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_json *range = yaml_of(&a, fed_arena_printf(&a, "{spec: {limits: [%s]}}", cases[i].item).p);
        struct fed_json *pod =
            yaml_of(&a, fed_arena_printf(&a, "{spec: {containers: [{name: c, resources: %s}]}}", cases[i].resources).p);
        struct fed_json *wrong = fed_json_array(&a);
        fed_limits_check(&a, range, pod, true, wrong);
        struct fed_str got = wrong->n ? fed_limits_join(&a, wrong) : FED_STR("");
        if (!fed_str_is(got, cases[i].want))
            fail_msg("case %zu: %.*s", i, FED_STR_ARG(got));
        fed_arena_release(&a);
    }
}

static void test_usage(void **state)
{
    static const struct {
        const char *group, *plural, *obj, *want;
    } cases[] = {
        {"apps", "deployments", "{}", "count/deployments.apps=1"},
        {"", "secrets", "{}", "count/secrets=1,secrets=1"},
        {"", "events", "{}", "count/events=1"},
        {"", "pods", "{status: {phase: Succeeded}}", "count/pods=1"},
        {"", "pods", "{spec: {containers: [{name: c, resources: {limits: {memory: 1Mi}}}]}}",
         "count/pods=1,pods=1,limits.memory=1Mi"},
        {"", "services", "{spec: {type: NodePort, ports: [{port: 1}, {port: 2}]}}",
         "count/services=1,services=1,services.loadbalancers=0,services.nodeports=2"},
        {"", "services", "{spec: {type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 1}]}}",
         "count/services=1,services=1,services.loadbalancers=1,services.nodeports=0"},
        {"", "persistentvolumeclaims", "{spec: {storageClassName: f, resources: {requests: {storage: 1Gi}}}}",
         "count/persistentvolumeclaims=1,persistentvolumeclaims=1,requests.storage=1Gi,f.storageclass.storage.k8s.io/"
         "requests.storage=1Gi,f.storageclass.storage.k8s.io/persistentvolumeclaims=1"}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_kind kind = {.group = fed_str(cases[i].group), .plural = fed_str(cases[i].plural)};
        struct fed_quota_kind k;
        struct fed_amounts l = {.arena = &a};
        fed_quota_kind_init(&k, &a, &kind);
        fed_quota_usage(&k, yaml_of(&a, cases[i].obj), &l);
        assert_string_equal(show(&a, &l), cases[i].want);
        fed_arena_release(&a);
    }
}

static void test_scopes(void **state)
{
    static const struct {
        const char *quota, *pod;
        bool want;
    } cases[] = {
        {"{}", "{}", true},
        {"{scopes: [BestEffort]}", "{spec: {containers: [{name: c}]}}", true},
        {"{scopes: [BestEffort]}", "{spec: {containers: [{name: c, resources: {limits: {cpu: 1}}}]}}", false},
        {"{scopes: [NotBestEffort, Terminating]}",
         "{spec: {activeDeadlineSeconds: 5, containers: [{name: c, resources: {requests: {cpu: 1}}}]}}", true},
        {"{scopes: [NotTerminating]}", "{spec: {activeDeadlineSeconds: 5}}", false},
        {"{scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}]}}",
         "{spec: {priorityClassName: high}}", true},
        {"{scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}]}}",
         "{spec: {priorityClassName: low}}", false},
        {"{scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: DoesNotExist}]}}", "{spec: {}}",
         true},
        {"{scopes: [CrossNamespacePodAffinity]}",
         "{spec: {affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{namespaces: [x]}]}}}}",
         true}};
    struct fed_arena a = {0};
    struct fed_kind pods = {.plural = FED_STR("pods")}, maps = {.plural = FED_STR("configmaps")};
    struct fed_quota_kind k, other;
    (void)state;
    fed_quota_kind_init(&k, &a, &pods);
    fed_quota_kind_init(&other, &a, &maps);
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        const struct fed_json *spec = yaml_of(&a, cases[i].quota);
        if (fed_quota_in_scope(&k, spec, yaml_of(&a, cases[i].pod)) != cases[i].want)
            fail_msg("case %zu", i);
        assert_int_equal(fed_quota_in_scope(&other, spec, NULL), i == 0);
    }
    struct fed_str said = fed_quota_unspecified(
        &a, yaml_of(&a, "{limits.cpu: 1, requests.memory: 1, pods: 1}"),
        yaml_of(&a, "{spec: {containers: [{name: x, resources: {requests: {memory: 1}}}, {name: z}]}}"));
    assert_string_equal(said.p, "must specify limits.cpu for: x,z; requests.memory for: z");
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formats), cmocka_unit_test(test_pods),
                                       cmocka_unit_test(test_limits), cmocka_unit_test(test_usage),
                                       cmocka_unit_test(test_scopes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
