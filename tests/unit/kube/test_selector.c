/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kube/selector.h"

static const struct fed_kv labels[] = {{FED_STR_INIT("app"), FED_STR_INIT("web")},
                                       {FED_STR_INIT("n"), FED_STR_INIT("7")},
                                       {FED_STR_INIT("example.com/x"), FED_STR_INIT("")}};

static void string_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want; /* 1 matches, 0 not, -1 error */
        const char *back_or_error;
    } cases[] = {
        {"", 1, ""},
        {"app=web", 1, "app=web"},
        {" app == web ", 1, "app=web"},
        {"app!=web", 0, "app!=web"},
        {"gone!=web", 1, NULL},
        {"app in (web, db)", 1, "app in (db,web)"},
        {"app in (web)", 1, "app in (web)"},
        {"app notin (db,web)", 0, NULL},
        {"gone notin (a)", 1, NULL},
        {"app", 1, "app"},
        {"!app", 0, "!app"},
        {"!gone,app", 1, "app,!gone"},
        {"n>6,n<8", 1, "n>6,n<8"},
        {"n>7", 0, NULL},
        {"app>1", 0, NULL},
        {"example.com/x=", 1, NULL},
        {"example.com/x", 1, NULL},
        {"in in (in)", 0, NULL},
        {"app in (,web)", 1, NULL},
        {"app==", 0, NULL},
        {"x===y", -1, "unable to parse requirement: found '=', expected: identifier"},
        {"=a", -1, "found '=', expected: !, identifier, or 'end of string'"},
        {"a,", -1, "found '', expected: identifier after ','"},
        {"a b", -1, "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
        {"a in ()", 0, "a in ()"},
        {"a in (b", -1, NULL},
        {"a>b", -1, NULL},
        {"a=b c", -1, "found 'c', expected: ',' or 'end of string'"},
        {"-a=b", -1, NULL},
        {"a=-b", -1, NULL},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_selector sel;
        struct fed_err err = {0};
        struct fed_buf back = {0};
        int code = fed_selector_parse(&a, fed_str(cases[i].text), &sel, &err);
        int got = code ? -1 : fed_selector_matches(&sel, labels, FED_ARRAY_LEN(labels));
        if (got != cases[i].want)
            fail_msg("'%s': got %d %s", cases[i].text, got, err.text);
        if (code == 0)
            fed_selector_format(&sel, &back);
        if (cases[i].back_or_error)
            assert_string_equal(code ? err.text : fed_buf_z(&back), cases[i].back_or_error);
        fed_buf_release(&back);
        fed_arena_release(&a);
    }
}

static void object_forms(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int want;
    } cases[] = {
        {"null", 0},
        {"{}", 1},
        {"{\"matchLabels\":{\"app\":\"web\"}}", 1},
        {"{\"matchLabels\":{\"app\":\"db\"}}", 0},
        {"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"web\"]}]}", 1},
        {"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"DoesNotExist\"}]}", 0},
        {"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"in\",\"values\":[\"web\"]}]}", -1},
        {"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\",\"values\":[\"web\"]}]}", -1},
        {"[]", -1},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_json *j;
        struct fed_selector sel;
        assert_int_equal(fed_json_parse(&a, fed_str(cases[i].json), NULL, &j, NULL), 0);
        int code = fed_selector_from_json(&a, j, &sel, NULL);
        int got = code ? -1 : fed_selector_matches(&sel, labels, FED_ARRAY_LEN(labels));
        if (got != cases[i].want)
            fail_msg("%s: got %d", cases[i].json, got);
        fed_arena_release(&a);
    }
}

static void annotation_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"", 1},
        {"[]", 1},
        {"[{\"key\":\"app\",\"operator\":\"in\",\"values\":[\"web\"]}]", 1},
        {"[{\"key\":\"app\",\"operator\":\"==\",\"values\":[\"web\"]},{\"key\":\"n\",\"operator\":\"Gt\",\"values\":["
         "\"9\"]}]",
         0},
        {"[{\"key\":\"n\",\"operator\":\"<\",\"values\":[\"9\"]}]", 1},
        {"[{\"key\":\"gone\",\"operator\":\"!\"}]", 1},
        {"[{\"key\":\"app\",\"operator\":\"=\",\"values\":[\"a\",\"b\"]}]", -1},
        {"[{\"key\":\"app\",\"operator\":\"like\",\"values\":[\"a\"]}]", -1},
        {"federation.kubernetes.io/federation-control-plane=true", -1},
        {"{}", -1},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_selector sel;
        struct fed_err err = {0};
        int code = fed_selector_from_annotation(&a, fed_str(cases[i].text), &sel, &err);
        int got = code == FED_E_INVALID ? -1 : fed_selector_matches(&sel, labels, FED_ARRAY_LEN(labels));
        if (got != cases[i].want)
            fail_msg("%s: got %d %s", cases[i].text, got, err.text);
        fed_arena_release(&a);
    }
}

static void field_selectors(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_field_selector f;
    assert_int_equal(fed_field_selector_parse(&a, FED_STR("metadata.name=a\\,b,status.phase!=Running,x==y,"), &f, NULL),
                     0);
    assert_int_equal(f.n, 3);
    assert_true(fed_str_is(f.reqs[0].path, "metadata.name") && fed_str_is(f.reqs[0].value, "a,b"));
    assert_true(f.reqs[1].not_equal && fed_str_is(f.reqs[1].value, "Running"));
    assert_true(fed_str_is(f.reqs[2].value, "y"));
    assert_int_equal(fed_field_selector_parse(&a, FED_STR(""), &f, NULL), 0);
    assert_int_equal(f.n, 0);
    assert_int_equal(fed_field_selector_parse(&a, FED_STR("abc"), &f, NULL), FED_E_BAD_REQUEST);
    assert_int_equal(fed_field_selector_parse(&a, FED_STR("a=b\\x"), &f, NULL), FED_E_BAD_REQUEST);
    assert_int_equal(fed_field_selector_parse(&a, FED_STR("a=b\\"), &f, NULL), FED_E_BAD_REQUEST);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(string_form), cmocka_unit_test(object_forms),
                                       cmocka_unit_test(annotation_form), cmocka_unit_test(field_selectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
