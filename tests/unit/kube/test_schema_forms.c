/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion between versions, table rows, ages, JSON paths, preparation. */
#include "base/env.h"
#include "tests/unit/kube/core_kinds.h"

/* There and back again gives the same. */
static const struct {
    const char *in, *to, *want;
} conversions[] = {
    {"{apiVersion: extensions/v1beta1, kind: Ingress, spec: {backend: {serviceName: d, servicePort: http}, rules: "
     "[{host: h, http: {paths: [{path: /, backend: {serviceName: s, servicePort: 80}}]}}]}}",
     "networking.k8s.io/v1",
     "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"Ingress\",\"spec\":{\"rules\":[{\"host\":\"h\",\"http\":{"
     "\"paths\":[{\"path\":\"/\",\"backend\":{\"service\":{\"name\":\"s\",\"port\":{\"number\":80}}}}]}}],"
     "\"defaultBackend\":{\"service\":{\"name\":\"d\",\"port\":{\"name\":\"http\"}}}}}"},
    {"{apiVersion: extensions/v1beta1, kind: Deployment, metadata: {name: a}, spec: {rollbackTo: {revision: 3}}}",
     "apps/v1",
     "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\",\"annotations\":{"
     "\"deprecated.deployment.rollback.to\":\"3\"}},\"spec\":{}}"},
    {"{apiVersion: extensions/v1beta1, kind: DaemonSet, metadata: {name: a}, spec: {templateGeneration: 2}}", "apps/v1",
     "{\"apiVersion\":\"apps/v1\",\"kind\":\"DaemonSet\",\"metadata\":{\"name\":\"a\",\"annotations\":{"
     "\"deprecated.daemonset.template.generation\":\"2\"}},\"spec\":{}}"},
    {"{apiVersion: events.k8s.io/v1, kind: Event, note: words, regarding: {name: a}, reportingController: c}", "v1",
     "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"involvedObject\":{\"name\":\"a\"},\"message\":\"words\","
     "\"reportingComponent\":\"c\"}"},
    {"{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, spec: {maxReplicas: 3, "
     "targetCPUUtilizationPercentage: 50}}",
     "autoscaling/v2",
     "{\"apiVersion\":\"autoscaling/v2\",\"kind\":\"HorizontalPodAutoscaler\",\"spec\":{\"maxReplicas\":3,"
     "\"metrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":\"Utilization\","
     "\"averageUtilization\":50}}}]}}"},
};

static void test_convert(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(conversions); i++) {
        struct fed_json *obj = yaml_of(&arena, conversions[i].in), *orig = fed_json_copy(&arena, obj);
        const struct fed_kind_version *from = version_of(obj);
        const struct fed_kind_version *to =
            fed_kinds_by_kind(kinds, fed_str(conversions[i].to), fed_json_find_text(obj, "kind"));

        assert_int_equal(fed_kind_convert(&arena, obj, from, to, NULL), 0);
        assert_string_equal(text_of(&arena, obj).p, conversions[i].want);
        assert_int_equal(fed_kind_convert(&arena, obj, to, from, NULL), 0);
        if (!fed_json_equal(obj, orig))
            fail_msg("back: %s", text_of(&arena, obj).p);
    }
}

/* Between two versions of which neither is stored. */
static void test_convert_through_storage(void **state)
{
    struct fed_json *obj =
        yaml_of(&arena, "{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: a}, spec: {rollbackTo: "
                        "{revision: 1}}}");
    const struct fed_kind_version *to = fed_kinds_by_kind(kinds, FED_STR("extensions/v1beta1"), FED_STR("Deployment"));

    (void)state;
    assert_int_equal(fed_kind_convert(&arena, obj, version_of(obj), to, NULL), 0);
    assert_string_equal(text_of(&arena, obj).p,
                        "{\"apiVersion\":\"extensions/v1beta1\",\"kind\":\"Deployment\",\"metadata\":{"
                        "\"name\":\"a\"},\"spec\":{\"rollbackTo\":{\"revision\":1}}}");
}

static const struct {
    const char *in, *want;
} rows[] = {
    {"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, creationTimestamp: 1970-01-01T00:00:00Z}, spec: "
     "{replicas: 3, selector: {matchLabels: {a: b}}, template: {spec: {containers: [{name: c, image: i}]}}}, status: "
     "{readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1}}",
     "[\"web\",\"1/3\",2,1,\"100s\",\"c\",\"i\",\"a=b\"]"},
    {"{apiVersion: v1, kind: Pod, metadata: {name: p, creationTimestamp: 1970-01-01T00:00:00Z}, spec: {containers: "
     "[{name: c}]}, status: {phase: Running, podIP: 10.0.0.1, containerStatuses: [{ready: true, restartCount: 2, "
     "state: "
     "{running: {}}, lastState: {terminated: {finishedAt: 1970-01-01T00:01:00Z}}}]}}",
     "[\"p\",\"1/1\",\"Running\",\"2 (40s ago)\",\"100s\",\"10.0.0.1\",\"<none>\",\"<none>\",\"<none>\"]"},
    {"{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c}]}, status: {phase: Pending, "
     "containerStatuses: [{restartCount: 0, state: {waiting: {reason: ImagePullBackOff}}}]}}",
     "[\"p\",\"0/1\",\"ImagePullBackOff\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]"},
    {"{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: LoadBalancer, clusterIP: 10.1.1.1, ports: "
     "[{port: 80, nodePort: 30080, protocol: TCP}], selector: {a: b}}, status: {loadBalancer: {ingress: [{ip: "
     "1.2.3.4}]}}}",
     "[\"s\",\"LoadBalancer\",\"10.1.1.1\",\"1.2.3.4\",\"80:30080/TCP\",\"<unknown>\",\"a=b\"]"},
    {"{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {node-role.kubernetes.io/worker: \"\"}}, spec: "
     "{unschedulable: true}, status: {conditions: [{type: Ready, status: \"True\"}], nodeInfo: {kubeletVersion: v1}}}",
     "[\"n1\",\"Ready,SchedulingDisabled\",\"worker\",\"<unknown>\",\"v1\",\"<none>\",\"<none>\",\"<unknown>\","
     "\"<unknown>\",\"<unknown>\"]"},
    {"{apiVersion: v1, kind: Endpoints, metadata: {name: e}, subsets: [{addresses: [{ip: 1.1.1.1}, {ip: 1.1.1.2}, {ip: "
     "1.1.1.3}, {ip: 1.1.1.4}], ports: [{port: 80}]}]}",
     "[\"e\",\"1.1.1.1:80,1.1.1.2:80,1.1.1.3:80 + 1 more...\",\"<unknown>\"]"},
    {"{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: i}, spec: {rules: [{host: a}, {host: b}], tls: "
     "[{}]}, status: {loadBalancer: {ingress: [{ip: 1.1.1.1}]}}}",
     "[\"i\",\"<none>\",\"a,b\",\"1.1.1.1\",\"80, 443\",\"<unknown>\"]"},
    {"{apiVersion: v1, kind: Event, metadata: {name: e}, type: Normal, reason: R, message: m, involvedObject: {kind: "
     "Pod, name: p}, count: 3, firstTimestamp: 1970-01-01T00:00:00Z, lastTimestamp: 1970-01-01T00:01:30Z, source: "
     "{component: c}}",
     "[\"10s\",\"Normal\",\"R\",\"pod/p\",\"\",\"c\",\"m\",\"100s\",3,\"e\"]"},
    {"{apiVersion: events.k8s.io/v1, kind: Event, metadata: {name: e}, type: Normal, reason: R, note: m, eventTime: "
     "1970-01-01T00:00:00Z, series: {count: 2, lastObservedTime: 1970-01-01T00:01:30Z}, reportingController: c, "
     "reportingInstance: i, regarding: {kind: Pod}}",
     "[\"10s\",\"Normal\",\"R\",\"pod\",\"\",\"c, i\",\"m\",\"100s\",3,\"e\"]"},
    {"{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c}], initContainers: [{name: s, "
     "restartPolicy: Always}, {name: i}]}, status: {phase: Pending, initContainerStatuses: [{name: s, started: true, "
     "ready: true, restartCount: 2, state: {running: {}}}, {name: i, restartCount: 1, state: {terminated: {exitCode: "
     "1, signal: 9}}}]}}",
     "[\"p\",\"1/2\",\"Init:Signal:9\",\"3\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]"},
    {"{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c}]}, status: {phase: Pending, "
     "conditions: [{type: PodScheduled, status: \"False\", reason: SchedulingGated}]}}",
     "[\"p\",\"0/1\",\"SchedulingGated\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]"},
    {"{apiVersion: v1, kind: Endpoints, metadata: {name: e}, subsets: [{notReadyAddresses: [{ip: 1.1.1.1}], ports: "
     "[{port: 80}]}]}",
     "[\"e\",\"\",\"<unknown>\"]"},
    {"{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: LoadBalancer, clusterIP: 10.1.1.1, "
     "externalIPs: [9.9.9.9]}, status: {loadBalancer: {ingress: [{hostname: z.example}, {ip: 4.4.4.4}, {ip: 3.3.3.3}, "
     "{ip: 3.3.3.3}]}}}",
     "[\"s\",\"LoadBalancer\",\"10.1.1.1\",\"3.3.3.3,4.4.4.4,z.example,9.9.9.9\",\"<none>\",\"<unknown>\",\"<none>\"]"},
    {"{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h}, spec: {maxReplicas: 5, "
     "scaleTargetRef: {kind: Deployment, name: d}, metrics: [{type: Pods, pods: {target: {averageValue: \"5\"}}}, "
     "{type: External, external: {target: {averageValue: \"3\"}}}, {type: Object}]}}",
     "[\"h\",\"Deployment/d\",\"<unknown>/5, <unknown>/3 (avg) + 1 more...\",\"<unset>\",5,0,\"<unknown>\"]"},
    {"{apiVersion: apps/v1, kind: ControllerRevision, metadata: {name: r, ownerReferences: [{apiVersion: apps/v1, "
     "kind: "
     "DaemonSet, name: d, controller: true}]}, revision: 7}",
     "[\"r\",\"daemonset.apps/d\",7,\"<unknown>\"]"},
    {"{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s, annotations: "
     "{storageclass.kubernetes.io/is-default-class: \"true\"}}, provisioner: p}",
     "[\"s (default)\",\"p\",\"\",\"\",false,\"<unknown>\"]"},
    {"{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: b}, binaryData: {c: \"\"}}",
     "[\"c\",2,\"<unknown>\"]"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_json *obj = yaml_of(&arena, rows[i].in);
        const struct fed_kind_version *v = version_of(obj);
        struct fed_json *row = fed_kind_row(&arena, v, obj, 100000);

        if (strcmp(text_of(&arena, row).p, rows[i].want))
            fail_msg("%zu: got %s", i, text_of(&arena, row).p);
        assert_int_equal(row->n, fed_kind_column_definitions(&arena, v)->n);
    }
}

/* Every kind prints as many cells as it has columns, also for an object without anything. */
static void test_empty_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < fed_kinds_count(kinds); i++) {
        const struct fed_kind *k = fed_kinds_at(kinds, i);

        for (size_t n = 0; n < k->n_versions; n++) {
            struct fed_json *obj = fed_obj_new(&arena, "v1", "X", FED_STR(""), FED_STR("name"));

            assert_int_equal(fed_kind_row(&arena, &k->versions[n], obj, 0)->n,
                             fed_kind_column_definitions(&arena, &k->versions[n])->n);
        }
    }
}

static void test_ages(void **state)
{
    static const struct {
        int64_t seconds;
        const char *want;
    } cases[] = {{0, "0s"},      {119, "119s"},    {120, "2m"},         {150, "2m30s"},
                 {601, "10m"},   {10799, "179m"},  {10800, "3h"},       {11100, "3h5m"},
                 {28800, "8h"},  {172799, "47h"},  {172800, "2d"},      {180000, "2d2h"},
                 {691200, "8d"}, {63072000, "2y"}, {64281600, "2y14d"}, {-5, "<invalid>"}};

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        assert_string_equal(fed_arena_dupz(&arena, fed_duration_human(&arena, cases[i].seconds * 1000)), cases[i].want);
}

static void test_paths(void **state)
{
    static const struct {
        const char *path, *want;
    } cases[] = {{".status.phase", "Up"},
                 {"{.status.phase}", "Up"},
                 {".spec.ports[*].port", "80,443"},
                 {".spec.ports[1].port", "443"},
                 {".spec.ports[-1].port", "443"},
                 {".status.conditions[?(@.type==\"Ready\")].status", "True"},
                 {".status.conditions[?(@.type!='Ready')].status", "False"},
                 {".metadata.annotations['a.b/c']", "x"},
                 {".metadata.annotations.a\\.b/c", "x"},
                 {".none.at.all", ""},
                 {".status.conditions[?(@", ""},
                 {"", "{}"}};
    struct fed_json *obj = yaml_of(
        &arena, "{spec: {ports: [{port: 80}, {port: 443}]}, status: {phase: Up, conditions: [{type: Ready, status: "
                "\"True\"}, {type: Other, status: \"False\"}]}, metadata: {annotations: {a.b/c: x}}}");

    (void)state;
    for (size_t i = 0; i + 1 < FED_ARRAY_LEN(cases); i++)
        assert_string_equal(fed_arena_dupz(&arena, fed_json_path_text(&arena, obj, fed_str(cases[i].path))),
                            cases[i].want);
}

static const struct {
    const char *in, *old, *path, *want;
} prepared[] = {
    {"{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: i, resources: {limits: {cpu: 1}}}, {name: b, "
     "image: \"r:5000/x:v1\"}], volumes: [{name: v}]}}",
     NULL, "spec",
     "{\"containers\":[{\"name\":\"a\",\"image\":\"i\",\"resources\":{\"limits\":{\"cpu\":1},\"requests\":{\"cpu\":1}},"
     "\"imagePullPolicy\":\"Always\"},{\"name\":\"b\",\"image\":\"r:5000/x:v1\",\"imagePullPolicy\":\"IfNotPresent\"}],"
     "\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"enableServiceLinks\":true}"},
    {"{apiVersion: v1, kind: Secret, stringData: {a: b}, data: {c: ZA==}}", NULL, "data",
     "{\"c\":\"ZA==\",\"a\":\"Yg==\"}"},
    {"{apiVersion: v1, kind: Service, spec: {type: NodePort, ports: [{port: 80, protocol: TCP}]}}",
     "{spec: {type: NodePort, clusterIP: 10.0.0.1, ports: [{port: 80, protocol: TCP, nodePort: 30000}]}}", "spec",
     "{\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"nodePort\":30000}],\"clusterIP\":"
     "\"10.0.0.1\",\"clusterIPs\":[\"10.0.0.1\"]}"},
};

static void test_prepare(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(prepared); i++) {
        struct fed_json *obj = yaml_of(&arena, prepared[i].in),
                        *old = prepared[i].old ? yaml_of(&arena, prepared[i].old) : NULL;
        const struct fed_kind_version *v = version_of(obj);
        struct fed_write w = {.arena = &arena, .kind = v->kind, .version = v, .old = old, .subresource = FED_STR("")};

        if (v->kind->hooks.defaults)
            assert_int_equal(v->kind->hooks.defaults(v->kind->hooks.ud, &w, obj, NULL), 0);
        if (v->kind->hooks.prepare)
            assert_int_equal(v->kind->hooks.prepare(v->kind->hooks.ud, &w, obj, NULL), 0);
        assert_string_equal(text_of(&arena, fed_json_find(obj, prepared[i].path)).p, prepared[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_convert), cmocka_unit_test(test_convert_through_storage),
                                       cmocka_unit_test(test_rows),    cmocka_unit_test(test_empty_rows),
                                       cmocka_unit_test(test_ages),    cmocka_unit_test(test_paths),
                                       cmocka_unit_test(test_prepare)};

    return cmocka_run_group_tests(tests, core_kinds_setup, core_kinds_teardown);
}
