/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults, pruning and validation of core kinds, as tables of YAML in and words out. */
#include "tests/unit/kube/core_kinds.h"

static void to_text(const struct fed_json *v, struct fed_buf *b)
{
    fed_buf_reset(b);
    fed_json_write(b, v);
    fed_buf_z(b);
}

/* --- defaults --- */

static const struct {
    const char *name, *in, *path, *want;
} default_cases[] = {
    {"replicas", "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{name: a}]}}}}",
     "spec.replicas", "1"},
    {"strategy v1", "{apiVersion: apps/v1, kind: Deployment, spec: {}}", "spec.strategy",
     "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":\"25%\",\"maxUnavailable\":\"25%\"}}"},
    {"strategy extensions", "{apiVersion: extensions/v1beta1, kind: Deployment, spec: {}}", "spec.strategy",
     "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1,\"maxUnavailable\":1}}"},
    {"recreate", "{apiVersion: apps/v1, kind: Deployment, spec: {strategy: {type: Recreate}}}", "spec.strategy",
     "{\"type\":\"Recreate\"}"},
    {"revision limit v1", "{apiVersion: apps/v1, kind: Deployment, spec: {}}", "spec.revisionHistoryLimit", "10"},
    {"revision limit beta1", "{apiVersion: apps/v1beta1, kind: Deployment, spec: {}}", "spec.revisionHistoryLimit",
     "2"},
    {"daemonset extensions", "{apiVersion: extensions/v1beta1, kind: DaemonSet, spec: {}}", "spec.updateStrategy",
     "{\"type\":\"OnDelete\"}"},
    {"pod", "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, ports: [{containerPort: 1}]}]}}",
     "spec.containers",
     "[{\"name\":\"a\",\"ports\":[{\"containerPort\":1,\"protocol\":\"TCP\"}],\"resources\":{},"
     "\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\"}]"},
    {"service", "{apiVersion: v1, kind: Service, spec: {ports: [{port: 80}]}}", "spec",
     "{\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"targetPort\":80}],\"sessionAffinity\":\"None\","
     "\"type\":\"ClusterIP\",\"internalTrafficPolicy\":\"Cluster\"}"},
    {"affinity", "{apiVersion: v1, kind: Service, spec: {type: NodePort, sessionAffinity: ClientIP}}", "spec",
     "{\"type\":\"NodePort\",\"sessionAffinity\":\"ClientIP\",\"externalTrafficPolicy\":\"Cluster\","
     "\"internalTrafficPolicy\":\"Cluster\",\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":10800}}}"},
    {"ingress beta", "{apiVersion: extensions/v1beta1, kind: Ingress, spec: {rules: [{http: {paths: [{path: /}]}}]}}",
     "spec.rules",
     "[{\"http\":{\"paths\":[{\"path\":\"/\",\"backend\":{},\"pathType\":\"ImplementationSpecific\"}]}}]"},
    {"secret", "{apiVersion: v1, kind: Secret}", "type", "\"Opaque\""},
    {"subject",
     "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, subjects: [{kind: User, name: a}, "
     "{kind: ServiceAccount, name: b}]}",
     "subjects",
     "[{\"kind\":\"User\",\"name\":\"a\",\"apiGroup\":\"rbac.authorization.k8s.io\"},"
     "{\"kind\":\"ServiceAccount\",\"name\":\"b\"}]"},
    {"probe", "{apiVersion: v1, kind: Pod, spec: {containers: [{livenessProbe: {httpGet: {port: 1}}}]}}",
     "spec.containers",
     "[{\"livenessProbe\":{\"httpGet\":{\"port\":1,\"path\":\"/\",\"scheme\":\"HTTP\"},\"failureThreshold\":3,"
     "\"periodSeconds\":10,\"successThreshold\":1,\"timeoutSeconds\":1},\"resources\":{},"
     "\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\"}]"},
};

static const struct fed_json *at_path(const struct fed_json *v, const char *path)
{
    struct fed_str rest = fed_str(path), name;

    while (v && rest.p && fed_str_cut(&rest, '.', &name))
        v = fed_json_find_str(v, name);
    return v;
}

static void test_defaults(void **state)
{
    struct fed_arena a = {0};
    struct fed_buf b = {0};

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(default_cases); i++) {
        struct fed_json *obj = yaml_of(&a, default_cases[i].in);

        fed_schema_default(&a, version_of(obj)->schema, obj);
        to_text(at_path(obj, default_cases[i].path), &b);
        if (strcmp(b.p, default_cases[i].want))
            fail_msg("%s: got %s, want %s", default_cases[i].name, b.p, default_cases[i].want);
    }
    fed_buf_release(&b);
    fed_arena_release(&a);
}

/* --- pruning --- */

static void note_unknown(void *ud, const char *path, const struct fed_json *value)
{
    struct fed_buf *b = ud;

    assert_true(value->key.n > 0);
    if (b->n)
        fed_buf_addc(b, ' ');
    fed_buf_addz(b, path);
}

static const struct {
    const char *in, *unknown, *out;
} prune_cases[] = {
    {"{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, creationTimestamp: null, nam: b}, spec: {replicaz: "
     "3, "
     "template: {spec: {containers: [{name: c, imag: x, resources: {limits: {cpu: 1}}}]}}}, extra: 1}",
     "metadata.nam spec.replicaz spec.template.spec.containers[0].imag extra",
     "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"template\":{"
     "\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":1}}}]}}}}"},
    {"{apiVersion: v1, kind: ConfigMap, data: {any.key: v, empty: '', nil: null}, binaryData: {}}", "",
     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"any.key\":\"v\",\"empty\":\"\",\"nil\":\"\"}}"},
    {"{apiVersion: v1, kind: Service, spec: {type: '', selector: {}, externalIPs: [], publishNotReadyAddresses: false, "
     "sessionAffinityConfig: {}, loadBalancerClass: '', ports: [null, {nodePort: 0, targetPort: 0}]}}",
     "",
     "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"spec\":{\"sessionAffinityConfig\":{},\"loadBalancerClass\":\"\","
     "\"ports\":[{},{\"targetPort\":0}]}}"},
    {"{apiVersion: apps/v1, kind: ControllerRevision, data: {spec: {anything: [1]}}, revision: 1}", "",
     "{\"apiVersion\":\"apps/v1\",\"kind\":\"ControllerRevision\",\"data\":{\"spec\":{\"anything\":[1]}},"
     "\"revision\":1}"},
};

static void test_prune(void **state)
{
    struct fed_arena a = {0};
    struct fed_buf b = {0}, unknown = {0};

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(prune_cases); i++) {
        struct fed_json *obj = yaml_of(&a, prune_cases[i].in);

        fed_buf_reset(&unknown);
        fed_kind_prune(version_of(obj), obj, note_unknown, &unknown);
        assert_string_equal(fed_buf_z(&unknown), prune_cases[i].unknown);
        to_text(obj, &b);
        assert_string_equal(b.p, prune_cases[i].out);
    }
    fed_buf_release(&b);
    fed_buf_release(&unknown);
    fed_arena_release(&a);
}

/* --- validation: schema and hooks together; want: "field: message" joined by "; " --- */

static const struct {
    const char *name, *in, *want;
} validate_cases[] = {
    {"good",
     "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {a: b}}, template: "
     "{metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d}]}}}}",
     ""},
    {"labels do not match",
     "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {a: b}}, template: "
     "{metadata: {labels: {a: x}}, spec: {containers: [{name: c, image: d}]}}}}",
     "spec.template.metadata.labels: Invalid value: {\"a\":\"x\"}: `selector` does not match template `labels`"},
    {"nothing", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {}}",
     "spec.selector: Required value; spec.template.spec.containers: Required value; spec.template.metadata.labels: "
     "Invalid value: null: `selector` does not match template `labels`"},
    {"no containers", "{apiVersion: v1, kind: Pod, spec: {containers: []}}", "spec.containers: Required value"},
    {"no image, twice the name", "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: b}, {name: a}]}}",
     "spec.containers[1].name: Duplicate value: \"a\"; spec.containers[1].image: Required value"},
    {"limits",
     "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: b, resources: {limits: {cpu: 100m}, "
     "requests: {cpu: 1}}}]}}",
     "spec.containers[0].resources.requests: Invalid value: \"1\": must be less than or equal to cpu limit of 100m"},
    {"enum", "{apiVersion: v1, kind: Service, spec: {type: Bad, ports: [{port: 80}]}}",
     "spec.type: Unsupported value: \"Bad\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", "
     "\"NodePort\""},
    {"ports", "{apiVersion: v1, kind: Service, spec: {ports: [{port: 70000}, {port: 81, name: a}]}}",
     "spec.ports[0].name: Required value; spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, "
     "inclusive; spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive"},
    {"config key", "{apiVersion: v1, kind: ConfigMap, data: {\"a b\": c}}",
     "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
     "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"},
    {"tls secret", "{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, data: {tls.crt: YQ==}}",
     "data[tls.key]: Required value"},
};

static void join(struct fed_buf *b, const struct fed_causes *c)
{
    fed_buf_reset(b);
    for (size_t i = 0; i < c->n; i++)
        fed_buf_addf(b, "%s%.*s: %.*s", i ? "; " : "", FED_STR_ARG(c->items[i].field),
                     FED_STR_ARG(c->items[i].message));
    fed_buf_z(b);
}

static void test_validate(void **state)
{
    struct fed_arena a = {0};
    struct fed_buf b = {0};

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(validate_cases); i++) {
        struct fed_json *obj = yaml_of(&a, validate_cases[i].in);
        const struct fed_kind_version *v = version_of(obj);
        struct fed_causes c = {.arena = &a};
        struct fed_write w = {.arena = &a, .kind = v->kind, .version = v, .subresource = FED_STR("")};
        struct fed_str type_error;

        fed_schema_default(&a, v->schema, obj);
        fed_schema_validate(v->schema, obj, &c, &type_error);
        assert_int_equal(type_error.n, 0);
        if (v->kind->hooks.validate)
            v->kind->hooks.validate(v->kind->hooks.ud, &w, obj, &c);
        join(&b, &c);
        if (strcmp(fed_buf_z(&b), validate_cases[i].want))
            fail_msg("%s: got %s", validate_cases[i].name, fed_buf_z(&b));
    }
    fed_buf_release(&b);
    fed_arena_release(&a);
}

static const struct {
    const char *in, *want;
} type_cases[] = {
    {"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: \"3\"}}",
     "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"},
    {"{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: {}}}}}",
     "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container"},
    {"{apiVersion: v1, kind: ConfigMap, data: {a: 1}}",
     "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"},
    {"{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, resources: {limits: {cpu: abc}}}]}}",
     "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"},
    {"{apiVersion: v1, kind: Secret, data: {a: \"***\"}}", "illegal base64 data at input byte 0"},
};

static void test_type_errors(void **state)
{
    struct fed_arena a = {0};

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(type_cases); i++) {
        struct fed_json *obj = yaml_of(&a, type_cases[i].in);
        struct fed_causes c = {.arena = &a};
        struct fed_str e;

        fed_schema_validate(version_of(obj)->schema, obj, &c, &e);
        assert_string_equal(fed_arena_dupz(&a, e), type_cases[i].want);
    }
    fed_arena_release(&a);
}

/* A custom kind follows its document to the letter. */
static void test_custom(void **state)
{
    static const char doc[] =
        "{group: example.com, kind: Widget, plural: widgets, namespaced: true, versions: [{name: v1, schema: {type: "
        "object, properties: {spec: {type: object, required: [size], properties: {size: {type: integer, minimum: 1, "
        "maximum: 5}, name: {type: string, pattern: '^[a-z]\\d+$', maxLength: 4}, set: {type: array, "
        "x-kubernetes-list-type: set, items: {type: string}}, color: {type: string, default: red}}}}}}]}";
    static const char in[] = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {size: 9, name: "
                             "b1x, set: [a, b, a]}}";
    struct fed_arena a = {0};
    struct fed_buf b = {0};
    struct fed_err err = {0};
    struct fed_causes c = {.arena = &a};
    struct fed_json *obj;

    (void)state;
    if (fed_kinds_add(kinds, yaml_of(&a, doc), &err))
        fail_msg("%s", err.text);
    obj = yaml_of(&a, in);
    fed_schema_default(&a, version_of(obj)->schema, obj);
    fed_schema_validate(version_of(obj)->schema, obj, &c, NULL);
    join(&b, &c);
    assert_string_equal(b.p, "spec.size: Invalid value: 9: spec.size in body should be less than or equal to 5; "
                             "spec.name: Invalid value: \"b1x\": spec.name in body should match '^[a-z]\\d+$'; "
                             "spec.set[2]: Duplicate value: \"a\"");
    assert_string_equal(fed_json_find_text(fed_json_find(obj, "spec"), "color").p, "red");
    assert_true(fed_kinds_remove(kinds, FED_STR("example.com"), FED_STR("widgets")));
    assert_null(fed_kinds_by_kind(kinds, FED_STR("example.com/v1"), FED_STR("Widget")));
    fed_buf_release(&b);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_prune),  cmocka_unit_test(test_validate),
        cmocka_unit_test(test_type_errors), cmocka_unit_test(test_custom),
    };

    return cmocka_run_group_tests(tests, core_kinds_setup, core_kinds_teardown);
}
