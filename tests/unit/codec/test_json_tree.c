/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "codec/json.h"

static struct fed_arena arena;

static int teardown(void **state)
{
    (void)state;
    fed_arena_release(&arena);
    return 0;
}

static struct fed_json *parse(const char *text)
{
    struct fed_json *v;
    struct fed_err err = {0};
    int rc = fed_json_parse(&arena, fed_str(text), NULL, &v, &err);
    CHECK(text, rc == 0);
    return v;
}

static void check_json(const char *name, const struct fed_json *v, const char *want)
{
    struct fed_buf out = {0};
    fed_json_write(&out, v);
    CHECK_TEXT(name, fed_buf_str(&out), want);
    fed_buf_release(&out);
}

static void test_look(void **state)
{
    struct fed_json *v = parse("{\"a\":{\"b\":{\"c\":\"x\"}},\"l\":[0,1,2,3,4],\"t\":true,\"n\":null,\"\":9}");
    (void)state;
    assert_true(fed_str_is(fed_json_str(fed_json_at(v, "a", "b", "c", NULL)), "x"));
    assert_null(fed_json_at(v, "a", "x", "c", NULL));
    assert_null(fed_json_at(v, "l", "x", NULL));
    assert_null(fed_json_find(NULL, "a"));
    assert_int_equal(fed_json_int(fed_json_find(v, ""), 0), 9);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(fed_json_int(fed_json_item(fed_json_find(v, "l"), i), -1), i);
    assert_null(fed_json_item(fed_json_find(v, "l"), 5));
    assert_null(fed_json_item(v, 0));
    assert_true(fed_json_bool(fed_json_find(v, "t"), false));
    assert_true(fed_json_bool(NULL, true));
    assert_null(fed_json_find_text(v, "t").p);
    assert_null(fed_json_str(NULL).p);
}

static void test_ints(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } cases[] = {
        {"3", true, 3},
        {"3.0", true, 3},
        {"3e0", true, 3},
        {"3.000e2", true, 300},
        {"1.5e1", true, 15},
        {"1.5", false, 0},
        {"-0", true, 0},
        {"-0.0e5", true, 0},
        {"150e-1", true, 15},
        {"155e-2", false, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775807.0", true, INT64_MAX},
        {"1e18", true, 1000000000000000000},
        {"1e19", false, 0},
        {"1e999999999999", false, 0},
        {"0e999999999999", true, 0},
        {"1e-999999999999", false, 0},
        {"100000000000000000000000e-20", true, 1000},
        {"0.0000000000000000000000001e25", true, 1},
        {"1000000000000000000000", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        int64_t got = 0;
        struct fed_json *v = parse(cases[i].text);
        CHECK(cases[i].text, fed_json_is_int(v, &got) == cases[i].ok && got == cases[i].want);
        CHECK(cases[i].text, fed_json_int(v, -7) == (cases[i].ok ? cases[i].want : -7));
    }
    assert_true(fed_json_double(parse("2.5e-1"), 0) == 0.25);
    assert_true(fed_json_double(parse("1e999"), 7) == 7);
    assert_true(fed_json_double(parse("\"1\""), 7) == 7);
}

static void test_equal(void **state)
{
    static const struct {
        const char *a, *b;
        bool want;
    } cases[] = {
        {"1", "1.0", true},
        {"1", "1e0", true},
        {"0.5", "5e-1", true},
        {"1", "2", false},
        {"1", "\"1\"", false},
        {"1e999", "1e998", false},
        {"[1,2]", "[2,1]", false},
        {"[1]", "[1,1]", false},
        {"null", "false", false},
        {"{\"a\":1,\"b\":[{}]}", "{\"b\":[{}],\"a\":1}", true},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"{\"a\":1,\"b\":1}", "{\"a\":1,\"c\":1}", false},
        {"\"\\u0061\"", "\"a\"", true},
        {"{}", "[]", false},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        CHECK(cases[i].a, fed_json_equal(parse(cases[i].a), parse(cases[i].b)) == cases[i].want);
        CHECK(cases[i].a, fed_json_equal(parse(cases[i].b), parse(cases[i].a)) == cases[i].want);
    }
    /* Large and in reverse order: through the index. */
    struct fed_json *x = fed_json_object(&arena), *y = fed_json_object(&arena);
    for (int i = 0; i < 300; i++) {
        struct fed_str k = fed_arena_printf(&arena, "k%d", i), l = fed_arena_printf(&arena, "k%d", 299 - i);
        fed_json_set_str(x, k, fed_json_new_int(&arena, i));
        fed_json_set_str(y, l, fed_json_new_int(&arena, 299 - i));
    }
    assert_true(fed_json_equal(x, y));
    fed_json_set(y, "k7", fed_json_null(&arena));
    assert_false(fed_json_equal(x, y));
    assert_true(fed_json_equal(NULL, NULL));
    assert_false(fed_json_equal(x, NULL));
}

static void test_make(void **state)
{
    struct fed_json *v = fed_json_object(&arena), *l;
    (void)state;
    fed_json_set(v, "s", fed_json_new_strz(&arena, "x"));
    fed_json_set(v, "f", fed_json_new_strf(&arena, "%d-%s", 1, "y"));
    fed_json_set(v, "i", fed_json_new_int(&arena, INT64_MIN));
    fed_json_set(v, "b", fed_json_new_bool(&arena, true));
    fed_json_set(v, "d", fed_json_new_number(&arena, FED_STR("1.50")));
    fed_json_set(v, "e", fed_json_new_str(&arena, fed_str(NULL)));
    fed_json_set(v, "s", fed_json_null(&arena)); /* keeps its place */
    check_json("make", v, "{\"s\":null,\"f\":\"1-y\",\"i\":-9223372036854775808,\"b\":true,\"d\":1.50,\"e\":\"\"}");
    fed_json_push(fed_json_ensure_array(&arena, fed_json_ensure_object(&arena, v, "s"), "l"), fed_json_null(&arena));
    assert_null(fed_json_ensure_array(&arena, v, "b"));
    assert_null(fed_json_ensure_array(&arena, NULL, "b"));
    l = fed_json_at(v, "s", "l", NULL);
    fed_json_insert(l, l->first, fed_json_new_int(&arena, 1));
    fed_json_insert(l, l->last, fed_json_new_int(&arena, 2));
    fed_json_insert(l, NULL, fed_json_new_int(&arena, 3));
    check_json("list", l, "[1,2,null,3]");
    struct fed_json *two = fed_json_item(l, 1);
    fed_json_remove(two);
    fed_json_remove(two); /* idempotent */
    fed_json_replace(l->last, two);
    check_json("list", l, "[1,null,2]");
    FED_JSON_EACH_SAFE(it, l)
        fed_json_remove(it);
    check_json("list", l, "[]");
    assert_true(fed_json_remove_key(v, "i"));
    assert_false(fed_json_remove_key(v, "i"));
    assert_int_equal(v->n, 5);
    /* A tree from outside may have anything where an object was hoped for. */
    struct fed_json *text = fed_json_find(v, "f"), *child = fed_json_null(&arena);
    assert_ptr_equal(fed_json_set(text, "x", child), child);
    assert_ptr_equal(fed_json_push(text, child), child);
    assert_ptr_equal(fed_json_set(NULL, "x", child), child);
    assert_null(child->parent);
    struct fed_json *moved = fed_json_find(v, "d");
    fed_json_remove(moved);
    assert_null(moved->key.p); /* a root has no key */
    check_json("after", v, "{\"s\":{\"l\":[]},\"f\":\"1-y\",\"b\":true,\"e\":\"\"}");
    struct fed_json *copy = fed_json_copy(&arena, fed_json_find(v, "s"));
    assert_true(!copy->parent && !copy->key.p);
    check_json("copy", copy, "{\"l\":[]}");
}

static void test_path(void **state)
{
    struct fed_json *v = parse("{\"spec\":{\"containers\":[{},{\"image\":1,\"a.b\":{\"c\":1}}]}}");
    struct fed_json *c = fed_json_item(fed_json_at(v, "spec", "containers", NULL), 1);
    struct fed_buf out = {0};
    (void)state;
    fed_json_path(v, &out);
    assert_string_equal(fed_buf_z(&out), "");
    fed_json_path(fed_json_find(c, "image"), &out);
    assert_string_equal(fed_buf_z(&out), "spec.containers[1].image");
    fed_buf_reset(&out);
    fed_json_path(fed_json_at(c, "a.b", "c", NULL), &out);
    assert_string_equal(fed_buf_z(&out), "spec.containers[1][a.b].c");
    fed_buf_release(&out);
}

static void test_read(void **state)
{
    struct fed_json *v = parse("{\"c\":{\"s\":\"x\",\"i\":5,\"b\":true,\"z\":null}}"), *c = fed_json_find(v, "c");
    struct fed_str s;
    struct fed_err err = {0};
    int64_t i;
    bool b;
    (void)state;
    assert_int_equal(fed_json_read_str(c, "s", NULL, &s, &err), 0);
    assert_true(fed_str_is(s, "x"));
    assert_int_equal(fed_json_read_str(c, "none", "dflt", &s, &err), 0);
    assert_true(fed_str_is(s, "dflt"));
    assert_int_equal(fed_json_read_str(c, "z", NULL, &s, &err), FED_E_INVALID);
    assert_string_equal(err.text, "c.z: required");
    assert_int_equal(fed_json_read_str(c, "i", "", &s, &err), FED_E_INVALID);
    assert_string_equal(err.text, "c.i: must be a string");
    assert_int_equal(fed_json_read_int(c, "i", 1, 1, 9, &i, &err), 0);
    assert_int_equal(i, 5);
    assert_int_equal(fed_json_read_int(c, "x", 1, 1, 9, &i, &err), 0);
    assert_int_equal(i, 1);
    assert_int_equal(fed_json_read_int(c, "i", 1, 6, 9, &i, &err), FED_E_INVALID);
    assert_string_equal(err.text, "c.i: must be an integer from 6 to 9");
    assert_int_equal(fed_json_read_bool(c, "b", false, &b, &err), 0);
    assert_true(b);
    assert_int_equal(fed_json_read_bool(v, "c", false, &b, &err), FED_E_INVALID);
    assert_string_equal(err.text, "c: must be true or false");
    assert_int_equal(fed_json_read_bool(NULL, "c", true, &b, NULL), 0);
    assert_true(b);
}

static void test_write(void **state)
{
    struct fed_json *v = parse("{\"a\":[1,{\"b\":[]}],\"c\":{}}");
    struct fed_buf out = {0};
    (void)state;
    fed_json_write_indent(&out, v, 2);
    assert_string_equal(fed_buf_z(&out), "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}");
    fed_buf_reset(&out);
    fed_json_write(&out, fed_json_find(v, "a")); /* a part of a tree, without its key */
    assert_string_equal(fed_buf_z(&out), "[1,{\"b\":[]}]");
    fed_buf_reset(&out);
    fed_json_write_string(&out, FED_STR("bad \xff\xc3 end \xe2\x82"));
    assert_string_equal(fed_buf_z(&out), "\"bad \\ufffd\\ufffd end \\ufffd\\ufffd\"");
    fed_buf_release(&out);
    for (size_t max = 1; max < 40; max++) { /* a limit anywhere is kept, and exactly enough is enough */
        struct fed_buf cut = {.max = max};
        fed_json_write(&cut, v);
        assert_true(cut.n <= max && cut.failed == (max < 25));
        fed_buf_release(&cut);
    }
}

static void test_equal_filled(void **state)
{
    static const struct {
        const char *want, *have;
        bool equal;
    } cases[] = {
        {"{}", "{\"a\":null,\"b\":\"\",\"c\":0,\"d\":false,\"e\":{\"f\":[]}}", true},
        {"{\"a\":1}", "{\"b\":0,\"a\":1}", true},
        {"{\"a\":0}", "{}", false}, /* what is wanted must be there */
        {"{\"a\":null}", "{}", true},
        {"{\"a\":[],\"b\":{}}", "{}", true},
        {"{\"a\":[]}", "{\"a\":null}", true},
        {"{\"a\":[]}", "{\"a\":[0]}", false},
        {"{\"a\":null}", "{\"a\":0}", true},
        {"{\"a\":null}", "{\"a\":1}", false},
        {"{}", "{\"a\":1}", false},
        {"{}", "{\"a\":{\"b\":true}}", false},
        {"[{\"a\":1},{}]", "[{\"a\":1,\"b\":null},{\"b\":\"\"}]", true},
        {"[{\"a\":1}]", "[{\"a\":1},{}]", false},
        {"{\"a\":\"\"}", "{\"a\":0}", false},
    };

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        CHECK(cases[i].have, fed_json_equal_filled(parse(cases[i].want), parse(cases[i].have)) == cases[i].equal);
    assert_true(fed_json_equal_filled(NULL, parse("{}")));
    assert_false(fed_json_equal_filled(NULL, parse("1")));
    assert_false(fed_json_equal_filled(parse("{}"), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look),         cmocka_unit_test(test_ints),  cmocka_unit_test(test_equal),
        cmocka_unit_test(test_equal_filled), cmocka_unit_test(test_make),  cmocka_unit_test(test_path),
        cmocka_unit_test(test_read),         cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
