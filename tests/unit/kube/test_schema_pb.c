/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf bodies, built by hand as Go writes them. */
#include "codec/pb.h"
#include "tests/unit/kube/core_kinds.h"

static void put(struct fed_buf *b, uint32_t field, const char *z)
{
    fed_pb_put_bytes(b, field, fed_str(z));
}

static void envelope(struct fed_buf *out, const char *api_version, const char *kind, struct fed_str raw)
{
    size_t mark;

    fed_buf_append(out, "k8s\0", 4);
    mark = fed_pb_open(out, 1);
    put(out, 1, api_version);
    put(out, 2, kind);
    fed_pb_close(out, mark);
    fed_pb_put_bytes(out, 2, raw);
    put(out, 3, "");
    put(out, 4, "");
}

static const char *decoded(const char *api_version, const char *kind, const struct fed_buf *raw)
{
    struct fed_buf body = {0}, text = {0};
    struct fed_json *v = NULL;
    struct fed_err err = {0};
    const char *out;

    envelope(&body, api_version, kind, fed_buf_str(raw));
    if (fed_pb_to_json(&arena, kinds, fed_buf_str(&body), &v, &err))
        fail_msg("%s", err.text);
    fed_json_write(&text, v);
    out = fed_arena_dupz(&arena, fed_buf_str(&text));
    fed_buf_release(&body);
    fed_buf_release(&text);
    return out;
}

static void put_metadata(struct fed_buf *b, const char *name)
{
    size_t mark = fed_pb_open(b, 1);

    put(b, 1, name);
    put(b, 2, ""); /* Go writes what is no pointer, also when empty */
    put(b, 6, "");
    fed_pb_put_varint(b, 7, 0);
    put(b, 8, ""); /* creationTimestamp: Go's zero time */
    fed_pb_close(b, mark);
}

static void test_configmap(void **state)
{
    struct fed_buf b = {0};
    size_t mark;

    (void)state;
    put_metadata(&b, "c");
    mark = fed_pb_open(&b, 2);
    put(&b, 1, "key");
    put(&b, 2, "value");
    fed_pb_close(&b, mark);
    mark = fed_pb_open(&b, 2);
    put(&b, 1, "empty");
    fed_pb_close(&b, mark);
    mark = fed_pb_open(&b, 3);
    put(&b, 1, "bin");
    put(&b, 2, "\x01\xff");
    fed_pb_close(&b, mark);
    assert_string_equal(decoded("v1", "ConfigMap", &b),
                        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"},\"data\":{\"key\":"
                        "\"value\",\"empty\":\"\"},\"binaryData\":{\"bin\":\"Af8=\"}}");
    fed_buf_release(&b);
}

static void test_deployment(void **state)
{
    struct fed_buf b = {0};
    size_t spec, template, pod, container, port, resources, entry, quantity, volume, source, empty;

    (void)state;
    put_metadata(&b, "d");
    spec = fed_pb_open(&b, 2);
    fed_pb_put_varint(&b, 1, 0); /* replicas is a pointer: zero counts */
    template = fed_pb_open(&b, 3);
    pod = fed_pb_open(&b, 2);
    volume = fed_pb_open(&b, 1); /* Volume{1: name, 2: VolumeSource{2: EmptyDir}} is flat in JSON */
    put(&b, 1, "v");
    source = fed_pb_open(&b, 2);
    empty = fed_pb_open(&b, 2);
    fed_pb_close(&b, empty);
    fed_pb_close(&b, source);
    fed_pb_close(&b, volume);
    container = fed_pb_open(&b, 2);
    put(&b, 1, "c");
    put(&b, 2, "image");
    put(&b, 5, "");
    port = fed_pb_open(&b, 6);
    put(&b, 1, "");
    fed_pb_put_varint(&b, 2, 0);
    fed_pb_put_varint(&b, 3, 80);
    fed_pb_close(&b, port);
    resources = fed_pb_open(&b, 8);
    entry = fed_pb_open(&b, 1);
    put(&b, 1, "cpu");
    quantity = fed_pb_open(&b, 2);
    put(&b, 1, "100m");
    fed_pb_close(&b, quantity);
    fed_pb_close(&b, entry);
    fed_pb_close(&b, resources);
    fed_pb_close(&b, container);
    put(&b, 3, ""); /* restartPolicy */
    fed_pb_close(&b, pod);
    fed_pb_close(&b, template);
    fed_pb_put_varint(&b, 999, 1); /* unknown to us */
    fed_pb_close(&b, spec);
    assert_string_equal(
        decoded("apps/v1", "Deployment", &b),
        "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\"},\"spec\":{\"replicas\":0,"
        "\"template\":{\"spec\":{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"containers\":[{\"name\":\"c\","
        "\"image\":\"image\",\"ports\":[{\"containerPort\":80}],\"resources\":{\"limits\":{\"cpu\":\"100m\"}}}]}}}}");
    fed_buf_release(&b);
}

static void test_small_kinds(void **state)
{
    struct fed_buf b = {0};
    size_t mark, inner;

    (void)state;
    /* PodDisruptionBudget with IntOrString; DeleteOptions in the group of its resource; a Lease's MicroTime. */
    put_metadata(&b, "p");
    mark = fed_pb_open(&b, 2);
    inner = fed_pb_open(&b, 1);
    fed_pb_put_varint(&b, 1, 1);
    fed_pb_put_varint(&b, 2, 0);
    put(&b, 3, "50%");
    fed_pb_close(&b, inner);
    fed_pb_close(&b, mark);
    assert_string_equal(decoded("policy/v1", "PodDisruptionBudget", &b),
                        "{\"apiVersion\":\"policy/v1\",\"kind\":\"PodDisruptionBudget\",\"metadata\":{\"name\":\"p\"},"
                        "\"spec\":{\"minAvailable\":\"50%\"}}");
    fed_buf_reset(&b);
    put(&b, 4, "Background");
    assert_string_equal(decoded("apps/v1", "DeleteOptions", &b),
                        "{\"apiVersion\":\"apps/v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\"}");
    fed_buf_reset(&b);
    mark = fed_pb_open(&b, 2);
    put(&b, 1, "me");
    inner = fed_pb_open(&b, 4);
    fed_pb_put_varint(&b, 1, 1700000000);
    fed_pb_put_varint(&b, 2, 123456789);
    fed_pb_close(&b, inner);
    fed_pb_close(&b, mark);
    assert_string_equal(decoded("coordination.k8s.io/v1", "Lease", &b),
                        "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"spec\":{\"holderIdentity\":"
                        "\"me\",\"renewTime\":\"2023-11-14T22:13:20.123456Z\"}}");
    fed_buf_release(&b);
}

static void test_refused(void **state)
{
    static const struct {
        const char *body;
        size_t n;
        int want;
    } cases[] = {{"", 0, FED_E_BAD_REQUEST},
                 {"k8s", 3, FED_E_BAD_REQUEST},
                 {"k8s\0", 4, FED_E_BAD_REQUEST},
                 {"k8s\0\x0a\x08\x0a\x02v1\x12\x02No", 14, FED_E_UNSUPPORTED_MEDIA},
                 {"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x0a\x05", 19, FED_E_BAD_REQUEST}};
    struct fed_json *v;

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        assert_int_equal(fed_pb_to_json(&arena, kinds, fed_str_n(cases[i].body, cases[i].n), &v, NULL), cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_configmap), cmocka_unit_test(test_deployment),
                                       cmocka_unit_test(test_small_kinds), cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, core_kinds_setup, core_kinds_teardown);
}
