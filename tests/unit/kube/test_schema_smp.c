/* SPDX-License-Identifier: Apache-2.0 */
/* Strategic merge patch: object, patch, result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/yaml.h"
#include "kube/schema.h"

#define POD(spec) "{apiVersion: v1, kind: Pod, spec: " spec "}"

static const struct {
    const char *name, *doc, *patch, *want; /* want: spec or an error that starts with '!' */
} cases[] = {
    {"new containers come first, as kubectl users know",
     POD("{containers: [{name: a, image: x}, {name: b, image: w}]}"), "{spec: {containers: [{name: c, image: z}]}}",
     "{\"containers\":[{\"name\":\"c\",\"image\":\"z\"},{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":"
     "\"w\"}]}"},
    {"by name", POD("{containers: [{name: a, image: x}, {name: b, image: w}]}"),
     "{spec: {containers: [{name: b, image: z}]}}",
     "{\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":\"z\"}]}"},
    {"set image", POD("{containers: [{name: a, image: x}, {name: b, image: w}]}"),
     "{spec: {$setElementOrder/containers: [{name: a}, {name: b}], containers: [{name: a, image: z}]}}",
     "{\"containers\":[{\"name\":\"a\",\"image\":\"z\"},{\"name\":\"b\",\"image\":\"w\"}]}"},
    {"order", POD("{containers: [{name: a}, {name: s}, {name: b}]}"),
     "{spec: {$setElementOrder/containers: [{name: b}, {name: a}]}}",
     "{\"containers\":[{\"name\":\"s\"},{\"name\":\"b\"},{\"name\":\"a\"}]}"},
    {"delete element", POD("{containers: [{name: a}, {name: b}]}"), "{spec: {containers: [{$patch: delete, name: a}]}}",
     "{\"containers\":[{\"name\":\"b\"}]}"},
    {"replace list", POD("{containers: [{name: a}, {name: b}]}"),
     "{spec: {containers: [{name: c}, {$patch: replace}]}}", "{\"containers\":[{\"name\":\"c\"}]}"},
    {"atomic lists are replaced", POD("{tolerations: [{key: a}], containers: [{name: a, args: [x, w]}]}"),
     "{spec: {tolerations: [{key: b}], containers: [{name: a, args: [z]}]}}",
     "{\"tolerations\":[{\"key\":\"b\"}],\"containers\":[{\"name\":\"a\",\"args\":[\"z\"]}]}"},
    {"null removes", POD("{nodeName: n, priority: 1}"), "{spec: {nodeName: null, hostPID: null}}", "{\"priority\":1}"},
    {"replace map", POD("{nodeSelector: {a: b, c: d}}"), "{spec: {nodeSelector: {$patch: replace, e: f}}}",
     "{\"nodeSelector\":{\"e\":\"f\"}}"},
    {"retain keys", POD("{volumes: [{name: v, emptyDir: {}}]}"),
     "{spec: {volumes: [{name: v, $retainKeys: [name, hostPath], hostPath: {path: /x}}]}}",
     "{\"volumes\":[{\"name\":\"v\",\"hostPath\":{\"path\":\"/x\"}}]}"},
    {"missing key", POD("{containers: [{name: a}]}"), "{spec: {containers: [{image: z}]}}",
     "!map: map[image:z] does not contain declared merge key: name"},
    {"nested lists", POD("{containers: [{name: a, env: [{name: X, value: \"1\"}, {name: Z, value: \"2\"}]}]}"),
     "{spec: {containers: [{name: a, env: [{name: Z, value: \"3\"}, {name: X, $patch: delete}]}]}}",
     "{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"Z\",\"value\":\"3\"}]}]}"},
    {"ports by number", POD("{containers: [{name: a, ports: [{containerPort: 80, name: w}]}]}"),
     "{spec: {containers: [{name: a, ports: [{containerPort: 80, name: x}]}]}}",
     "{\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":80,\"name\":\"x\"}]}]}"},
    {"directives in new maps leave no trace", POD("{}"), "{spec: {nodeSelector: {$patch: replace, a: null, b: c}}}",
     "{}"},
    {"nulls in new maps leave no trace", POD("{}"), "{spec: {nodeSelector: {a: null, b: c}}}",
     "{\"nodeSelector\":{\"b\":\"c\"}}"},
    {"a map with a directive is not merged into nothing", POD("{containers: [{name: a}]}"),
     "{spec: {containers: [{name: a, resources: {$patch: delete}, env: [{name: X}, {name: Z, $patch: delete}]}]}}",
     "{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"X\"}]}]}"},
    {"unknown directive", POD("{nodeSelector: {a: b}}"), "{spec: {nodeSelector: {$patch: merge, c: d}}}",
     "!unknown patch type: merge in map: map[$patch:merge c:d]"},
    {"unknown directive in a list", POD("{containers: [{name: a}]}"), "{spec: {containers: [{$patch: x, name: a}]}}",
     "!unknown patch type: x in map: map[$patch:x name:a]"},
    {"merge in a list", POD("{containers: [{name: a}]}"), "{spec: {containers: [{$patch: merge, name: a}]}}",
     "!merging lists cannot yet be specified in the patch"},
    {"other fields than those retained", POD("{volumes: [{name: v, emptyDir: {}}]}"),
     "{spec: {volumes: [{name: v, $retainKeys: [name], hostPath: {path: /x}}]}}",
     "!invalid patch format of retainKeys"},
    {"another order than that asked for", POD("{containers: [{name: a}, {name: b}]}"),
     "{spec: {$setElementOrder/containers: [{name: a}, {name: b}], containers: [{name: b}, {name: a}]}}",
     "!The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:a] "
     "map[name:b]]\n"},
    {"order of no list", POD("{}"), "{spec: {$setElementOrder/containers: x}}",
     "!expected a []interface {}, but received a string"},
    {"order of what is not there", POD("{}"), "{spec: {$setElementOrder/bogus: []}}",
     "!unable to find api field in struct PodSpec for the json field \"bogus\""},
    {"elements of two types", POD("{containers: [{name: a}]}"), "{spec: {containers: [x]}}",
     "!list element types are not identical: [[map[name:a]] [x]]"},
    {"a key that is null is a key", POD("{containers: [{name: a}]}"), "{spec: {containers: [{name: null}]}}",
     "{\"containers\":[{\"name\":null},{\"name\":\"a\"}]}"},
    {"scalars from a list that is not merged", POD("{containers: [{name: a, args: [x, w, z]}]}"),
     "{spec: {containers: [{name: a, $deleteFromPrimitiveList/args: [w]}]}}",
     "{\"containers\":[{\"name\":\"a\",\"args\":[\"x\",\"z\"]}]}"},
};

static void test_merge(void **state)
{
    struct fed_kinds *k = fed_kinds_new();
    struct fed_arena a = {0};
    struct fed_buf b = {0};

    (void)state;
    assert_int_equal(fed_kinds_add_core(k, NULL, NULL), 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_json *doc, *patch, *out = NULL;
        struct fed_err err = {0};
        int rc;

        assert_int_equal(fed_yaml_parse(&a, fed_str(cases[i].doc), NULL, &doc, &err), 0);
        assert_int_equal(fed_yaml_parse(&a, fed_str(cases[i].patch), NULL, &patch, &err), 0);
        rc = fed_smp_apply(&a, fed_kinds_by_kind(k, FED_STR("v1"), FED_STR("Pod"))->schema, doc, patch, &out, &err);
        fed_buf_reset(&b);
        if (rc)
            fed_buf_addf(&b, "!%s", err.text);
        else
            fed_json_write(&b, fed_json_find(out, "spec"));
        if (strcmp(fed_buf_z(&b), cases[i].want))
            fail_msg("%s: got %s", cases[i].name, fed_buf_z(&b));
    }
    fed_buf_release(&b);
    fed_arena_release(&a);
    fed_kinds_free(k);
}

static void test_finalizers(void **state)
{
    struct fed_kinds *k = fed_kinds_new();
    struct fed_arena a = {0};
    struct fed_json *doc, *patch, *out = NULL;
    struct fed_buf b = {0};

    (void)state;
    assert_int_equal(fed_kinds_add_core(k, NULL, NULL), 0);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("{metadata: {finalizers: [a, b, c]}}"), NULL, &doc, NULL), 0);
    assert_int_equal(fed_yaml_parse(&a,
                                    FED_STR("{metadata: {$deleteFromPrimitiveList/finalizers: [a], finalizers: "
                                            "[d, b]}}"),
                                    NULL, &patch, NULL),
                     0);
    assert_int_equal(
        fed_smp_apply(&a, fed_kinds_by_kind(k, FED_STR("v1"), FED_STR("Pod"))->schema, doc, patch, &out, NULL), 0);
    fed_json_write(&b, out);
    assert_string_equal(fed_buf_z(&b), "{\"metadata\":{\"finalizers\":[\"d\",\"b\",\"c\"]}}");
    fed_buf_release(&b);
    fed_arena_release(&a);
    fed_kinds_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_merge), cmocka_unit_test(test_finalizers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
