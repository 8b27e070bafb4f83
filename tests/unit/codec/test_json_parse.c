/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "codec/json.h"

/* want NULL: an error at line:col (0: not checked). */
static const struct {
    const char *in, *want;
    int line, col;
} cases[] = {
    {"null", "null", 0, 0},
    {" \t\r\n true ", "true", 0, 0},
    {"[]", "[]", 0, 0},
    {"{ }", "{}", 0, 0},
    {"[1,[2,{}],\"x\"]", "[1,[2,{}],\"x\"]", 0, 0},
    {"{\n        \"a\" :          1 , \"b\":[ ] }", "{\"a\":1,\"b\":[]}", 0, 0},
    /* numbers keep their text */
    {"[0,-0,1.0,1e3,1E+3,-1.5e-10,123456789012345678901234567890]",
     "[0,-0,1.0,1e3,1E+3,-1.5e-10,123456789012345678901234567890]", 0, 0},
    {"01", NULL, 1, 2},
    {"-", NULL, 1, 2},
    {"1.", NULL, 1, 3},
    {".5", NULL, 1, 1},
    {"1e", NULL, 1, 3},
    {"+1", NULL, 1, 1},
    {"0x10", NULL, 1, 2},
    {"NaN", NULL, 1, 1},
    /* strings */
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"", 0, 0},
    {"\"\\u0041\\u00e9\\u20ac\\uD83D\\ude00\"", "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", 0, 0},
    {"\"\\u0000\\u001f\x7f\"", "\"\\u0000\\u001f\x7f\"", 0, 0},
    {"\"<>&\\u2028\xe2\x80\xa9\"", "\"<>&\\u2028\\u2029\"", 0, 0},
    {"\"12345678abcdefgh\\n12345678\xc3\xa9 tail\"", "\"12345678abcdefgh\\n12345678\xc3\xa9 tail\"", 0, 0},
    {"\"\\ud800\"", NULL, 1, 2},
    {"\"\\ud800x\"", NULL, 1, 2},
    {"\"\\ud800\\u0041\"", NULL, 1, 2},
    {"\"\\udc00\"", NULL, 1, 2},
    {"\"\\u12G4\"", NULL, 1, 2},
    {"\"\\u12\"", NULL, 1, 2},
    {"\"\\x41\"", NULL, 1, 2},
    {"\"a\nb\"", NULL, 1, 3},
    {"\"tab\there\"", NULL, 1, 5},
    {"\"\\", NULL, 1, 2},
    {"\"abc", NULL, 1, 5},
    {"'a'", NULL, 1, 1},
    /* UTF-8 (RFC 3629) */
    {"\"\xff\"", NULL, 1, 2},
    {"\"\xc0\x80\"", NULL, 1, 2},
    {"\"\xc1\xbf\"", NULL, 1, 2},
    {"\"\xe0\x9f\xbf\"", NULL, 1, 2},
    {"\"\xed\xa0\x80\"", NULL, 1, 2},
    {"\"\xf0\x8f\xbf\xbf\"", NULL, 1, 2},
    {"\"\xf4\x90\x80\x80\"", NULL, 1, 2},
    {"\"\xf5\x80\x80\x80\"", NULL, 1, 2},
    {"\"\x80\"", NULL, 1, 2},
    {"\"\xe2\x82\"", NULL, 1, 2},
    {"\"\xc3\xa9\xc3\xa9\xff\"", NULL, 1, 4}, /* columns are characters */
    {"\"\xf4\x8f\xbf\xbf\xee\x80\x80\"", "\"\xf4\x8f\xbf\xbf\xee\x80\x80\"", 0, 0},
    {"\xef\xbb\xbf{}", NULL, 1, 1}, /* byte order mark */
    /* structure */
    {"", NULL, 1, 1},
    {"  \n ", NULL, 2, 2},
    {"{\n  \"a\": 1,\n  b: 2\n}", NULL, 3, 3},
    {"{\"a\" 1}", NULL, 1, 6},
    {"{\"a\":1,}", NULL, 1, 8},
    {"[1,]", NULL, 1, 4},
    {"[1 2]", NULL, 1, 4},
    {"[1}", NULL, 1, 3},
    {"{\"a\":1]", NULL, 1, 7},
    {"[", NULL, 1, 2},
    {"{\"a\":", NULL, 1, 6},
    {"{} {}", NULL, 1, 4},
    {"nul", NULL, 1, 1},
    {"truee", NULL, 1, 5},
    {"[1] // x", NULL, 1, 5},
    /* the last of equal members stays */
    {"{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}", 0, 0},
    {"{\"a\":1,\"\\u0061\":2}", "{\"a\":2}", 0, 0},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_err err = {0};
        struct fed_json *v;
        struct fed_buf out = {0};
        char *exact = fed_arena_alloc(&a, strlen(cases[i].in)); /* no NUL behind: a sanitizer sees an overrun */
        memcpy(exact, cases[i].in, strlen(cases[i].in));
        int rc = fed_json_parse(&a, fed_str_n(exact, strlen(cases[i].in)), NULL, &v, &err);
        if (cases[i].want) {
            CHECK(cases[i].in, rc == 0);
            fed_json_write(&out, v);
            CHECK_TEXT(cases[i].in, fed_buf_str(&out), cases[i].want);
            CHECK(cases[i].in, fed_json_equal(v, fed_json_copy(&a, v)));
        } else {
            CHECK(cases[i].in, rc == FED_E_SYNTAX && !v && err.text[0]);
            if (err.line != cases[i].line || err.col != cases[i].col)
                print_error("%s: error at %d:%d (%s)\n", cases[i].in, err.line, err.col, err.text);
            CHECK(cases[i].in, err.line == cases[i].line && err.col == cases[i].col);
        }
        fed_buf_release(&out);
        fed_arena_release(&a);
    }
}

static void test_borrowing(void **state)
{
    static const char text[] = "{\"key\": \"plain\", \"esc\": \"a\\nb\"}";
    struct fed_arena a = {0};
    struct fed_json *v;
    (void)state;
    assert_int_equal(fed_json_parse(&a, FED_STR(text), NULL, &v, NULL), 0);
    struct fed_json *plain = fed_json_find(v, "key"), *esc = fed_json_find(v, "esc");
    assert_ptr_equal(plain->s.p, text + 9);
    assert_false(esc->s.p >= text && esc->s.p < text + sizeof(text));
    assert_true(fed_str_eq(fed_str_n(text + plain->off, plain->end - plain->off), FED_STR("\"plain\"")));
    assert_true(v->off == 0 && v->end == sizeof(text) - 1);
    fed_arena_release(&a);
}

static int parse_with(struct fed_json_limits limits, const char *text)
{
    struct fed_arena a = {0};
    struct fed_json *v;
    struct fed_err err = {0};
    int rc = fed_json_parse(&a, fed_str(text), &limits, &v, &err);
    assert_int_equal(err.code, rc);
    fed_arena_release(&a);
    return rc;
}

static void test_limits(void **state)
{
    char deep[2 * 101 + 1];
    (void)state;
    memset(deep, '[', 101);
    memset(deep + 101, ']', 101);
    deep[202] = '\0';
    assert_int_equal(parse_with((struct fed_json_limits){0}, deep), FED_E_LIMIT);
    deep[201] = '\0';
    assert_int_equal(parse_with((struct fed_json_limits){0}, deep + 1), 0);                       /* 100 are allowed */
    assert_int_equal(parse_with((struct fed_json_limits){.max_depth = 101}, deep), FED_E_SYNTAX); /* one ] is missing */
    assert_int_equal(parse_with((struct fed_json_limits){.max_depth = 1}, "[1]"), 0);
    assert_int_equal(parse_with((struct fed_json_limits){.max_depth = 1}, "[[]]"), FED_E_LIMIT);
    assert_int_equal(parse_with((struct fed_json_limits){.max_nodes = 3}, "[1,2]"), 0);
    assert_int_equal(parse_with((struct fed_json_limits){.max_nodes = 3}, "[1,2,3]"), FED_E_LIMIT);
    assert_int_equal(parse_with((struct fed_json_limits){.max_bytes = 5}, "[1,2]"), 0);
    assert_int_equal(parse_with((struct fed_json_limits){.max_bytes = 5}, "[1,2] "), FED_E_LIMIT);
}

static void add_path(void *ud, const struct fed_json_duplicate *d)
{
    fed_buf_addf(ud, "%s;", d->path);
}

static void test_duplicates(void **state)
{
    static const struct {
        const char *in, *want;
    } dups[] = {
        {"{\"a\":1}", ""},
        {"{\"a\":1,\"a\":2,\"a\":3}", "a;a;"},
        {"{\"spec\":{\"replicas\":1,\"replicas\":2}}", "spec.replicas;"},
        {"{\"spec\":{\"containers\":[{},{\"name\":1,\"name\":2}]}}", "spec.containers[1].name;"},
        {"{\"m\":{\"a.b/c\":1,\"a.b/c\":2,\"\":1,\"\":2}}", "m[a.b/c];m[];"},
        {"[[{\"x\":1,\"x\":2}]]", "[0][0].x;"},
    };
    struct fed_buf got = {0};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(dups); i++) {
        fed_buf_reset(&got);
        assert_int_equal(parse_with((struct fed_json_limits){.on_duplicate = add_path, .ud = &got}, dups[i].in), 0);
        CHECK_TEXT(dups[i].in, fed_buf_str(&got), dups[i].want);
    }
    fed_buf_release(&got);
}

static void count_path(void *ud, const struct fed_json_duplicate *d)
{
    (void)d;
    ++*(int *)ud;
}

/* A large object goes through the hash table; the order of what stays is the source's. */
static void test_many_duplicates(void **state)
{
    enum { N = 100000 };
    struct fed_buf text = {0};
    struct fed_arena a = {0};
    struct fed_json *v;
    int reports = 0;
    struct fed_json_limits limits = {.on_duplicate = count_path, .ud = &reports};
    (void)state;
    fed_buf_addc(&text, '{');
    for (int i = 0; i < N; i++)
        fed_buf_addf(&text, "%s\"k%d\":%d", i ? "," : "", i % (N / 2), i);
    fed_buf_addc(&text, '}');
    assert_int_equal(fed_json_parse(&a, fed_buf_str(&text), &limits, &v, NULL), 0);
    assert_int_equal(v->n, N / 2);
    assert_int_equal(reports, 100); /* enough for any reader */
    int64_t want = N / 2;
    FED_JSON_EACH(it, v)
        assert_int_equal(fed_json_int(it, -1), want++);
    fed_arena_release(&a);
    fed_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),      cmocka_unit_test(test_borrowing),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_duplicates), cmocka_unit_test(test_many_duplicates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
