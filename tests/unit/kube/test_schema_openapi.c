/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAPI v3 and v2: what kubectl looks for is there; the protobuf form says the same as the JSON form. */
#include "codec/pb.h"
#include "tests/unit/kube/core_kinds.h"

static const struct fed_json_limits limits = {.max_bytes = 16 << 20, .max_nodes = 2000000};

static struct fed_json *parse(struct fed_buf *b)
{
    struct fed_json *v = NULL;

    assert_int_equal(fed_json_parse(&arena, fed_arena_dup(&arena, fed_buf_str(b)), &limits, &v, NULL), 0);
    return v;
}

/* Every $ref of the document leads somewhere. */
static size_t check_refs(const struct fed_json *v, const char *prefix, const struct fed_json *models)
{
    struct fed_str ref = v->type == FED_JSON_OBJECT ? fed_json_find_text(v, "$ref") : (struct fed_str){NULL, 0};
    size_t n = 0;

    if (ref.n) {
        assert_true(fed_str_starts(ref, fed_str(prefix)));
        if (!fed_json_find_str(models, fed_str_from(ref, strlen(prefix))))
            fail_msg("%.*s leads nowhere", FED_STR_ARG(ref));
        n++;
    }
    if (v->type == FED_JSON_OBJECT || v->type == FED_JSON_ARRAY)
        FED_JSON_EACH(it, v)
            n += check_refs(it, prefix, models);
    return n;
}

static void test_v3(void **state)
{
    struct fed_buf b = {0};
    struct fed_json *doc, *models, *op, *index;
    bool validates = false;

    (void)state;
    assert_int_equal(fed_openapi_v3(kinds, FED_STR("apis/apps/v1"), &b), 0);
    doc = parse(&b);
    models = fed_json_at(doc, "components", "schemas", NULL);
    assert_true(check_refs(doc, "#/components/schemas/", models) > 50);
    assert_non_null(fed_json_at(models, "io.k8s.api.apps.v1.Deployment", "x-kubernetes-group-version-kind", NULL));
    assert_non_null(fed_json_at(models, "io.k8s.api.core.v1.PodSpec", "properties", "containers", NULL));
    op = fed_json_at(doc, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "patch", NULL);
    FED_JSON_EACH(p, fed_json_find(op, "parameters"))
        validates |= fed_str_is(fed_json_find_text(p, "name"), "fieldValidation");
    assert_true(validates);
    assert_true(
        fed_str_is(fed_json_find_text(fed_json_find(op, "x-kubernetes-group-version-kind"), "kind"), "Deployment"));
    assert_int_equal(fed_openapi_v3(kinds, FED_STR("apis/none/v1"), &b), FED_E_NOT_FOUND);
    assert_int_equal(fed_openapi_v3(kinds, FED_STR("x"), &b), FED_E_NOT_FOUND);
    fed_buf_reset(&b);
    fed_openapi_v3_index(kinds, &b);
    index = parse(&b);
    assert_non_null(fed_json_at(index, "paths", "api/v1", "serverRelativeURL", NULL));
    assert_non_null(fed_json_at(index, "paths", "apis/extensions/v1beta1", NULL));
    fed_buf_release(&b);
}

/* First field `number` of a message. */
static struct fed_str field(struct fed_str message, uint32_t number)
{
    struct fed_pb_reader r;
    struct fed_pb_field f;

    fed_pb_reader_init(&r, message);
    while (fed_pb_next(&r, &f))
        if (f.number == number && f.wire == 2)
            return f.data;
    assert_false(r.failed);
    return (struct fed_str){NULL, 0};
}

/* The value of the entry `name` in a message of repeated {1: name, 2: value}. */
static struct fed_str entry(struct fed_str list, uint32_t number, const char *name)
{
    struct fed_pb_reader r;
    struct fed_pb_field f;

    fed_pb_reader_init(&r, list);
    while (fed_pb_next(&r, &f))
        if (f.number == number && fed_str_is(field(f.data, 1), name))
            return field(f.data, 2);
    assert_false(r.failed);
    return (struct fed_str){NULL, 0};
}

static void test_v2(void **state)
{
    struct fed_buf json = {0}, pb = {0};
    struct fed_json *doc;
    struct fed_str definitions, deployment, spec, ext;
    struct fed_pb_reader r;
    struct fed_pb_field f;
    size_t n = 0;

    (void)state;
    fed_openapi_v2_json(kinds, &json);
    doc = parse(&json);
    assert_true(check_refs(doc, "#/definitions/", fed_json_find(doc, "definitions")) > 200);
    fed_openapi_v2_pb(kinds, &pb);
    print_message("openapi v2: %zu KiB JSON, %zu KiB protobuf\n", json.n / 1024, pb.n / 1024);
    assert_string_equal(fed_arena_dupz(&arena, field(fed_buf_str(&pb), 1)), "2.0");
    definitions = field(fed_buf_str(&pb), 9);
    fed_pb_reader_init(&r, definitions);
    while (fed_pb_next(&r, &f))
        n++;
    assert_false(r.failed);
    assert_int_equal(n, fed_json_find(doc, "definitions")->n);
    deployment = entry(definitions, 1, "io.k8s.api.apps.v1.Deployment");
    spec = entry(field(deployment, 25), 1, "spec");
    assert_string_equal(fed_arena_dupz(&arena, field(spec, 1)), "#/definitions/io.k8s.api.apps.v1.DeploymentSpec");
    ext = entry(deployment, 31, "x-kubernetes-group-version-kind");
    assert_string_equal(fed_arena_dupz(&arena, field(ext, 2)),
                        "[{\"group\":\"apps\",\"kind\":\"Deployment\",\"version\":\"v1\"}]");
    assert_true(pb.n < 400u << 10);
    fed_buf_release(&json);
    fed_buf_release(&pb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_v3), cmocka_unit_test(test_v2)};

    return cmocka_run_group_tests(tests, core_kinds_setup, core_kinds_teardown);
}
