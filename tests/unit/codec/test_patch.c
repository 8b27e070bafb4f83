/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "codec/patch.h"

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
    if (rc)
        print_error("%s: %s\n", text, err.text);
    CHECK(text, rc == 0);
    return v;
}

/* Most are the examples of RFC 6902 appendix A. */
static const struct {
    const char *doc, *patch, *want; /* want NULL: rc */
    int rc;
} patches[] = {
    {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]", "{\"baz\":\"qux\",\"foo\":\"bar\"}",
     0},
    {"{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
     "{\"foo\":[\"bar\",\"qux\",\"baz\"]}", 0},
    {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"remove\",\"path\":\"/baz\"}]", "{\"foo\":\"bar\"}", 0},
    {"{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]", "{\"foo\":[\"bar\",\"baz\"]}",
     0},
    {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]",
     "{\"baz\":\"boo\",\"foo\":\"bar\"}", 0},
    {"{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
     "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
     "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}", 0},
    {"{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}", "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
     "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}", 0},
    {"{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
     "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
     "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}", 0},
    {"{\"baz\":\"qux\"}", "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]", NULL, FED_E_INVALID},
    {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
     "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}", 0},
    {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]",
     "{\"foo\":\"bar\",\"baz\":\"qux\"}", 0},
    {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]", NULL, FED_E_INVALID},
    {"{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]", "{\"/\":9,\"~1\":10}", 0},
    {"{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":\"10\"}]", NULL, FED_E_INVALID},
    {"{\"foo\":[\"bar\"]}", "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
     "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}", 0},
    /* beyond the examples */
    {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}", 0},
    {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"\",\"value\":[1]}]", "[1]", 0},
    {"{\"a\":{\"b\":1}}",
     "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"},{\"op\":\"replace\",\"path\":\"/c/b\",\"value\":2}]",
     "{\"a\":{\"b\":1},\"c\":{\"b\":2}}", 0},
    {"{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]", "{\"a\":{\"b\":1}}", 0},
    {"{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"\"}]", "1", 0},
    {"{\"\":1,\"a/b\":2}", "[{\"op\":\"remove\",\"path\":\"/\"},{\"op\":\"remove\",\"path\":\"/a~1b\"}]", "{}", 0},
    {"{\"a\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]", NULL, FED_E_INVALID},
    {"{\"ab\":1,\"a\":2}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/ab\"}]", "{\"ab\":2}", 0},
    {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":1}]", NULL, FED_E_INVALID},
    {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/01\",\"value\":1}]", NULL, FED_E_INVALID},
    {"{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/a/-\"}]", NULL, FED_E_INVALID},
    {"{\"a\":[1]}", "[{\"op\":\"replace\",\"path\":\"/b\",\"value\":1}]", NULL, FED_E_INVALID},
    {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", NULL, FED_E_INVALID},
    {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"\"}]", NULL, FED_E_INVALID},
    {"{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/x\",\"value\":null}]", NULL, FED_E_INVALID},
    {"{}", "{}", NULL, FED_E_BAD_REQUEST},
    {"{}", "[1]", NULL, FED_E_BAD_REQUEST},
    {"{}", "[{\"path\":\"/a\"}]", NULL, FED_E_BAD_REQUEST},
    {"{}", "[{\"op\":\"add\",\"path\":\"/a\"}]", NULL, FED_E_BAD_REQUEST},
    {"{}", "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]", NULL, FED_E_BAD_REQUEST},
    {"{}", "[{\"op\":\"add\",\"path\":\"/a~2\",\"value\":1}]", NULL, FED_E_BAD_REQUEST},
    {"{}", "[{\"op\":\"add\",\"path\":7,\"value\":1}]", NULL, FED_E_BAD_REQUEST},
    {"{}", "[{\"op\":\"nop\",\"path\":\"\"}]", NULL, FED_E_BAD_REQUEST},
    {"{}", "[{\"op\":\"copy\",\"path\":\"/a\"}]", NULL, FED_E_BAD_REQUEST},
};

static void test_json_patch(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(patches); i++) {
        struct fed_json *doc = parse(patches[i].doc), *patch = parse(patches[i].patch);
        struct fed_err err = {0};
        int rc = fed_json_patch(&arena, &doc, patch, &err);
        CHECK(patches[i].patch, rc == patches[i].rc && err.code == rc);
        if (patches[i].want)
            CHECK(patches[i].patch, fed_json_equal(doc, parse(patches[i].want)));
        else
            CHECK(patches[i].patch, err.text[0]);
    }
}

/* Small patches that ask for much: each must end, quickly, with an error. */
static void test_hostile(void **state)
{
    struct fed_buf b = {0};
    struct fed_json *doc = parse("{}");
    (void)state;
    fed_buf_addc(&b, '[');
    for (int i = 0; i < 60; i++)
        fed_buf_addf(&b, "%s{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a%d\"}", i ? "," : "", i);
    fed_buf_addc(&b, ']');
    assert_int_equal(fed_json_patch(&arena, &doc, parse(fed_buf_z(&b)), NULL), FED_E_LIMIT);
    fed_buf_reset(&b);
    fed_buf_addc(&b, '[');
    for (int i = 0; i < 300; i++) { /* one level deeper each */
        fed_buf_addf(&b, "%s{\"op\":\"add\",\"path\":\"", i ? "," : "");
        for (int j = 0; j <= i; j++)
            fed_buf_addz(&b, "/a");
        fed_buf_addz(&b, "\",\"value\":{}}");
    }
    fed_buf_addc(&b, ']');
    doc = parse("{}");
    assert_int_equal(fed_json_patch(&arena, &doc, parse(fed_buf_z(&b)), NULL), FED_E_LIMIT);
    fed_buf_reset(&b);
    fed_buf_addc(&b, '[');
    for (int i = 0; i < 10001; i++)
        fed_buf_addf(&b, "%s0", i ? "," : "");
    fed_buf_addc(&b, ']');
    assert_int_equal(fed_json_patch(&arena, &doc, parse(fed_buf_z(&b)), NULL), FED_E_LIMIT);
    fed_buf_release(&b);
}

/* RFC 7386 appendix A, all of it. */
static const struct {
    const char *doc, *patch, *want;
} merges[] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
    {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
    {"{\"a\":\"foo\"}", "null", "null"},
    {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
    {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
};

static void test_merge_patch(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(merges); i++) {
        struct fed_json *got = fed_json_merge_patch(&arena, parse(merges[i].doc), parse(merges[i].patch));
        CHECK(merges[i].patch, fed_json_equal(got, parse(merges[i].want)));
    }
    assert_true(fed_json_equal(fed_json_merge_patch(&arena, NULL, parse("{\"a\":1}")), parse("{\"a\":1}")));
}

static void test_merge_diff(void **state)
{
    static const struct {
        const char *from, *to, *want;
    } diffs[] = {
        {"{\"a\":1,\"b\":{\"c\":1}}", "{\"b\":{\"c\":1.0},\"a\":1}", "{}"},
        {"{\"a\":1,\"b\":{\"c\":1,\"d\":2}}", "{\"b\":{\"c\":2},\"e\":[1]}",
         "{\"b\":{\"c\":2,\"d\":null},\"e\":[1],\"a\":null}"},
        {"{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":{\"b\":null}}"},
        {"{\"a\":{\"b\":1}}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"{\"a\":[1]}", "{\"a\":[1,2]}", "{\"a\":[1,2]}"},
        {"1", "{\"a\":1}", "{\"a\":1}"},
        {"1", "1", "1"},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(diffs); i++) {
        struct fed_json *from = parse(diffs[i].from), *to = parse(diffs[i].to);
        struct fed_json *diff = fed_json_merge_diff(&arena, from, to);
        CHECK(diffs[i].to, fed_json_equal(diff, parse(diffs[i].want)));
        CHECK(diffs[i].to, fed_json_equal(fed_json_merge_patch(&arena, from, diff), to));
    }
}

/* Objects of 20,000 members both ways: linear, or the test's time limit strikes. */
static void test_large(void **state)
{
    struct fed_json *from = fed_json_object(&arena), *to = fed_json_object(&arena);
    struct fed_buf b = {0};
    (void)state;
    for (int side = 0; side < 2; side++) {
        fed_buf_reset(&b);
        fed_buf_addc(&b, '{');
        for (int i = 0; i < 20000; i++)
            fed_buf_addf(&b, "%s\"k%d\":%d", i ? "," : "", side ? 30000 - i : i, i % 10);
        fed_buf_addz(&b, ",\"\":0}");
        *(side ? &to : &from) = parse(fed_arena_dupz(&arena, fed_buf_str(&b)));
    }
    struct fed_json *diff = fed_json_merge_diff(&arena, from, to);
    assert_true(fed_json_equal(fed_json_merge_patch(&arena, from, diff), to));
    fed_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_patch), cmocka_unit_test(test_hostile), cmocka_unit_test(test_merge_patch),
        cmocka_unit_test(test_merge_diff), cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
