/* SPDX-License-Identifier: Apache-2.0 */
/* CustomResourceDefinitions: structural rules, patterns, formats, defaults and pruning of custom kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kube/crd.h"
#include "kube/format.h"
#include "kube/schema.h"

static struct fed_json *parse(struct fed_arena *a, const char *text)
{
    struct fed_json *v = NULL;
    struct fed_err err = {0};

    if (fed_json_parse(a, fed_str(text), NULL, &v, &err))
        fail_msg("%s: %s", err.text, text);
    return v;
}

/* A schema at "s" and the first complaint about it; NULL: none. */
static void test_structural(void **state)
{
    static const struct {
        const char *schema, *want;
    } cases[] = {
        {"{\"type\":\"object\"}", NULL},
        {"{}", "s.type: Required value: must not be empty at the root"},
        {"{\"type\":\"string\"}", "s.type: Invalid value: \"string\": must be object at the root"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}}}",
         "s.properties[a].type: Required value: must not be empty for specified object fields"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{}}}}",
         "s.properties[a].items.type: Required value: must not be empty for specified array items"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"x-kubernetes-int-or-string\":true}}}", NULL},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"x-kubernetes-preserve-unknown-fields\":true}}}", NULL},
        {"{\"type\":\"object\",\"$ref\":\"#/x\"}", "s.$ref: Forbidden: $ref is not supported"},
        {"{\"type\":\"object\",\"additionalProperties\":false}",
         "s.additionalProperties: Forbidden: must not be used at the root"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"anyOf\":[{\"properties\":{\"b\":{"
         "\"minimum\":1}}}]}}}",
         NULL},
        {"{\"type\":\"object\",\"nullable\":true}", "s.nullable: Forbidden: nullable cannot be true at the root"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"default\":null}}}", NULL},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"default\":5}}}",
         "s.properties[a].default: Invalid value: \"integer\":  in body must be of type string: \"integer\""},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"text\"}}}",
         "s.properties[a].type: Unsupported value: \"text\": supported values: \"array\", \"boolean\", \"integer\", "
         "\"number\", \"object\", \"string\""},
        {"{\"type\":\"object\",\"anyOf\":[{\"properties\":{\"b\":{\"minimum\":1}}}]}",
         "s.properties[b]: Required value: because it is defined in s.anyOf[0].properties[b]"},
        {"{\"type\":\"object\",\"anyOf\":[{\"description\":\"x\"}]}",
         "s.anyOf[0].description: Forbidden: must be empty to be structural"},
        {"{\"type\":\"object\",\"properties\":{\"metadata\":{\"type\":\"object\",\"properties\":{\"labels\":{\"type\":"
         "\"object\"}}}}}",
         "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata "
         "is implicitly specified"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"default\":3}}}", NULL},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"default\":{\"x\":1}}}}",
         "s.properties[a].default: Invalid value: {\"x\":1}: must not have unknown fields"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\",\"items\":{"
         "\"type\":\"object\"}}}}",
         "s.properties[a].items.x-kubernetes-map-type: Invalid value: \"null\": must be atomic as item of a list with "
         "x-kubernetes-list-type=set"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"[a\"}}}",
         "s.properties[a].pattern: Invalid value: \"[a\": must be a valid regular expression, but isn't: error "
         "parsing regexp: missing closing ]: `[a`"},
    };

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_causes causes = {.arena = &a};
        struct fed_str got = {NULL, 0};

        fed_crd_schema_check(parse(&a, cases[i].schema), FED_STR("s"), false, &causes, NULL, NULL);
        if (causes.n)
            got = fed_arena_printf(&a, "%.*s: %.*s", FED_STR_ARG(causes.items[0].field),
                                   FED_STR_ARG(causes.items[0].message));
        if (cases[i].want ? !fed_str_is(got, cases[i].want) : got.n != 0)
            fail_msg("%s\n  says %.*s\n  not  %s", cases[i].schema, FED_STR_ARG(got), cases[i].want);
        fed_arena_release(&a);
    }
}

static void test_formats(void **state)
{
    static const struct {
        const char *format, *yes, *no;
    } cases[] = {{"ipv4", "10.0.0.1", "10.0.0"},        {"ipv6", "::1", "1"},
                 {"cidr", "10.0.0.0/8", "10.0.0.0/33"}, {"uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810"},
                 {"uri", "https://a/b", "a b"},         {"email", "a@b.c", "a@"},
                 {"hostname", "a-b.c", "-a"},           {"date", "2024-02-29", "2023-02-29"},
                 {"duration", "1h30m", "1x"},           {"mac", "00:11:22:33:44:55", "00:11"}};

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        if (!fed_format_ok(fed_str(cases[i].format), fed_str(cases[i].yes)) ||
            fed_format_ok(fed_str(cases[i].format), fed_str(cases[i].no)))
            fail_msg("%s", cases[i].format);
    assert_true(fed_format_ok(FED_STR("unheard-of"), FED_STR("x")));
}

static const char crd[] =
    "{\"metadata\":{\"name\":\"a.b.c\"},\"spec\":{\"group\":\"b.c\",\"scope\":\"Namespaced\",\"names\":{\"plural\":"
    "\"as\",\"kind\":\"A\"},\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{"
    "\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{"
    "\"n\":{\"type\":\"integer\",\"default\":3},\"k\":{\"type\":\"string\",\"nullable\":true,\"default\":\"x\"},"
    "\"list\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"d\":{\"type\":\"boolean\","
    "\"default\":true}}}},\"free\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true,\"properties\":{"
    "\"in\":{\"type\":\"object\",\"properties\":{\"y\":{\"type\":\"string\"}}}}}}}}}}}]}}";

/* What an object looks like after pruning and defaulting; the kind lives by its references. */
static void test_objects(void **state)
{
    static const char *const cases[][2] = {
        {"{\"spec\":{}}", "{\"spec\":{\"k\":\"x\",\"n\":3}}"},
        {"{\"spec\":{\"n\":null,\"k\":null}}", "{\"spec\":{\"k\":null,\"n\":3}}"},
        {"{\"spec\":{\"n\":1,\"k\":\"\",\"list\":[{},{\"d\":false,\"e\":1}]},\"other\":1}",
         "{\"spec\":{\"n\":1,\"k\":\"\",\"list\":[{\"d\":true},{\"d\":false}]}}"},
        {"{\"spec\":{\"n\":1,\"k\":\"\",\"free\":{\"a\":[1],\"in\":{\"y\":\"\",\"z\":1}}}}",
         "{\"spec\":{\"n\":1,\"k\":\"\",\"free\":{\"a\":[1],\"in\":{\"y\":\"\"}}}}"},
    };
    struct fed_kinds *kinds = fed_kinds_new();
    struct fed_arena a = {0};
    struct fed_kind *kind = NULL;
    struct fed_err err = {0};

    (void)state;
    if (fed_kind_compile(kinds, fed_crd_document(&a, parse(&a, crd)), &kind, &err))
        fail_msg("%s", err.text);
    fed_kinds_put(kinds, kind);
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_json *obj = parse(&a, cases[i][0]);
        const struct fed_schema *s = fed_kind_storage(kind)->schema;
        struct fed_buf b = {0};

        fed_schema_prune(s, obj, NULL, NULL);
        fed_schema_default(&a, s, obj);
        fed_json_write(&b, obj);
        if (!fed_json_equal(obj, parse(&a, cases[i][1])))
            fail_msg("%s becomes %s", cases[i][0], fed_buf_z(&b));
        fed_buf_release(&b);
    }
    assert_non_null(fed_kinds_by_kind(kinds, FED_STR("b.c/v1"), FED_STR("A")));
    assert_true(fed_kinds_remove(kinds, FED_STR("b.c"), FED_STR("as")));
    assert_null(fed_kinds_by_kind(kinds, FED_STR("b.c/v1"), FED_STR("A")));
    assert_true(fed_str_is(kind->kind, "A")); /* ours still */
    fed_kind_unref(kind);
    fed_arena_release(&a);
    fed_kinds_free(kinds);
}

/* What is wrong with an object, in the words of Kubernetes; "" for nothing. */
static void test_causes(void **state)
{
    static const struct {
        const char *props, *obj, *want; /* want: "field: message" of each, joined by '|' */
    } cases[] = {
        {"\"a\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "{\"a\":\"x\"}",
         "a: Invalid value: \"x\": a in body should be at least 2 chars long"},
        {"\"a\":{\"type\":\"string\",\"maxLength\":3}", "{\"a\":\"\xc3\xa4\xc3\xb6\xc3\xbc\"}", ""},
        {"\"a\":{\"type\":\"string\",\"maxLength\":3}", "{\"a\":\"abcd\"}", "a: Too long: may not be longer than 3"},
        {"\"a\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"integer\"}}", "{\"a\":[]}",
         "a: Invalid value: 0: a in body should have at least 1 items"},
        {"\"a\":{\"type\":\"array\",\"maxItems\":1,\"items\":{\"type\":\"integer\"}}", "{\"a\":[1,2]}",
         "a: Too many: 2: must have at most 1 items"},
        {"\"a\":{\"type\":\"object\",\"maxProperties\":0,\"additionalProperties\":{\"type\":\"integer\"}}",
         "{\"a\":{\"b\":1}}", "a: Too many: 1: must have at most 0 items"},
        {"\"a\":{\"type\":\"integer\",\"format\":\"int32\"}", "{\"a\":5000000000}", ""},
        {"\"a\":{\"type\":\"string\",\"format\":\"date-time\"}", "{\"a\":\"x\"}",
         "a: Invalid value: \"x\": a in body must be of type date-time: \"x\""},
        {"\"a\":{\"type\":\"string\",\"format\":\"byte\"}", "{\"a\":\"!\"}",
         "a: Invalid value: \"!\": a in body must be of type byte: \"!\""},
        {"\"a\":{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"string\"},\"c\":{\"type\":\"string\"}},"
         "\"oneOf\":[{\"required\":[\"b\"]},{\"required\":[\"c\"]}]}",
         "{\"a\":{}}",
         "<nil>: Invalid value: \"\": \"a\" must validate one and only one schema (oneOf). Found none valid|a.b: "
         "Required "
         "value"},
        {"\"a\":{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"string\"}},\"oneOf\":[{\"required\":"
         "[\"b\"]},{\"minProperties\":1}]}",
         "{\"a\":{\"b\":\"\"}}",
         "<nil>: Invalid value: \"\": \"a\" must validate one and only one schema (oneOf). Found 2 valid alternatives"},
        {"\"a\":{\"type\":\"integer\",\"not\":{\"enum\":[1]}}", "{\"a\":1}",
         "<nil>: Invalid value: \"\": \"a\" must not validate the schema (not)"},
        {"\"l\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"p\",\"k\"],"
         "\"items\":{\"type\":\"object\",\"required\":[\"p\"],\"properties\":{\"p\":{\"type\":\"integer\"},\"k\":{"
         "\"type\":\"string\",\"default\":\"x\"}}}}",
         "{\"l\":[{\"p\":1},{\"p\":1,\"k\":\"x\"},{\"p\":1,\"k\":\"y\"}]}",
         "l[1]: Duplicate value: map[string]interface {}{\"k\":\"x\", \"p\":1}"},
        {"\"t\":{\"type\":\"object\",\"x-kubernetes-embedded-resource\":true,"
         "\"x-kubernetes-preserve-unknown-fields\":true}",
         "{\"t\":{\"apiVersion\":\"a/b/c\"}}",
         "t.kind: Required value: must not be empty|t.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion "
         "string: a/b/c"},
        {"\"metadata\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":2}}},"
         "\"kind\":{\"type\":\"string\",\"enum\":[\"B\"]}",
         "{\"kind\":\"A\",\"metadata\":{\"name\":\"long\"}}",
         "kind: Unsupported value: \"A\": supported values: \"B\"|metadata.name: Too long: may not be longer than 2"},
    };
    struct fed_kinds *kinds = fed_kinds_new();
    struct fed_arena a = {0};
    struct fed_err err = {0};

    (void)state;
    assert_int_equal(fed_kinds_add_core(kinds, NULL, &err), 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_str text = fed_arena_printf(
            &a,
            "{\"spec\":{\"group\":\"b.c\",\"names\":{\"plural\":\"as\",\"kind\":\"A\"},\"versions\":[{\"name\":"
            "\"v1\",\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{%s}}}}]}}",
            cases[i].props);
        struct fed_json *obj = parse(&a, cases[i].obj);
        struct fed_causes causes = {.arena = &a};
        struct fed_kind *kind = NULL;
        struct fed_buf got = {0};

        if (fed_kind_compile(kinds, fed_crd_document(&a, parse(&a, text.p)), &kind, &err))
            fail_msg("%s: %s", cases[i].props, err.text);
        fed_schema_validate(fed_kind_storage(kind)->schema, obj, &causes, NULL);
        for (size_t k = 0; k < causes.n; k++)
            fed_buf_addf(&got, "%s%.*s: %.*s", k ? "|" : "", FED_STR_ARG(causes.items[k].field),
                         FED_STR_ARG(causes.items[k].message));
        if (strcmp(fed_buf_z(&got), cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].obj, fed_buf_z(&got));
        fed_buf_release(&got);
        fed_kind_unref(kind);
    }
    fed_arena_release(&a);
    fed_kinds_free(kinds);
}

/* OpenAPI v3 keeps what a definition says with allOf, anyOf, oneOf and not; v2 has no words for it. */
static void test_published(void **state)
{
    static const char text[] =
        "{\"spec\":{\"group\":\"b.c\",\"names\":{\"plural\":\"as\",\"kind\":\"A\"},\"versions\":[{\"name\":\"v1\","
        "\"storage\":true,\"served\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"p\":{"
        "\"x-kubernetes-int-or-string\":true,\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]},\"o\":{\"type\":"
        "\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}},\"oneOf\":[{\"required\":"
        "[\"a\"]},{\"required\":[\"b\"]}],\"not\":{\"properties\":{\"a\":{\"minimum\":7}}}}}}}}]}}";
    static const char *const kept[] = {
        "\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"x-kubernetes-int-or-string\":true}",
        "\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]",
        "\"not\":{\"properties\":{\"a\":{\"minimum\":7}}}",
    };
    struct fed_kinds *kinds = fed_kinds_new();
    struct fed_arena a = {0};
    struct fed_err err = {0};
    struct fed_kind *kind = NULL;
    struct fed_buf b = {0};

    (void)state;
    assert_int_equal(fed_kinds_add_core(kinds, NULL, &err), 0);
    if (fed_kind_compile(kinds, fed_crd_document(&a, parse(&a, text)), &kind, &err))
        fail_msg("%s", err.text);
    fed_kinds_put(kinds, kind);
    assert_int_equal(fed_openapi_v3(kinds, FED_STR("apis/b.c/v1"), &b), 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(kept); i++)
        if (fed_str_find(fed_buf_str(&b), fed_str(kept[i]), 0) < 0)
            fail_msg("%s: %.300s", kept[i], strstr(fed_buf_z(&b), "\"oneOf\""));
    fed_buf_reset(&b);
    fed_openapi_v2_json(kinds, &b);
    assert_true(fed_str_find(fed_buf_str(&b), FED_STR("\"oneOf\":["), 0) < 0);
    fed_buf_release(&b);
    fed_kind_unref(kind);
    fed_arena_release(&a);
    fed_kinds_free(kinds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published), cmocka_unit_test(test_structural),
                                       cmocka_unit_test(test_formats), cmocka_unit_test(test_objects),
                                       cmocka_unit_test(test_causes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
