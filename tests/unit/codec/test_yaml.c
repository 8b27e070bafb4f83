/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "codec/yaml.h"

/* All documents as JSON; want NULL: an error at line:col. What scalars mean was compared with kubectl 1.33. */
static const struct {
    const char *in, *want;
    int line, col;
} cases[] = {
    {"", "[]", 0, 0},
    {"# only a comment\n", "[]", 0, 0},
    {"---\n---\n# x\n---\na: 1\n---\n", "[{\"a\":1}]", 0, 0},
    {"a: 1\n---\n- b\n...\n---\nc\n", "[{\"a\":1},[\"b\"],\"c\"]", 0, 0},
    {"null\n", "[null]", 0, 0},
    {"a:\n  b: c # comment\n  \"d\": 'it''s'\n", "[{\"a\":{\"b\":\"c\",\"d\":\"it's\"}}]", 0, 0},
    {"a: {b: c, d: [1, 'x', {e: f}], g: {}}\n", "[{\"a\":{\"b\":\"c\",\"d\":[1,\"x\",{\"e\":\"f\"}],\"g\":{}}}]", 0, 0},
    {"- a\n- - b\n  - c: d\n    e: f\n-\n", "[[\"a\",[\"b\",{\"c\":\"d\",\"e\":\"f\"}],null]]", 0, 0},
    {"ports:\n- containerPort: 80\n  name: http\n", "[{\"ports\":[{\"containerPort\":80,\"name\":\"http\"}]}]", 0, 0},
    {"a: |\n  one\n    two\n\n  three\n", "[{\"a\":\"one\\n  two\\n\\nthree\\n\"}]", 0, 0},
    {"a: |-\n  x\nb: |+\n  y\n\nc: >\n  f\n  g\n\n  h\nd: >-\n  i\n",
     "[{\"a\":\"x\",\"b\":\"y\\n\\n\",\"c\":\"f g\\nh\\n\",\"d\":\"i\"}]", 0, 0},
    {"a: \"x\\ty\\u00e9\\x41\"\n",
     "[{\"a\":\"x\\ty\xc3\xa9"
     "A\"}]",
     0, 0},
    {"image: nginx:1.27\nurl: http://x/#y\ntime: 12:30\n",
     "[{\"image\":\"nginx:1.27\",\"url\":\"http://x/#y\",\"time\":\"12:30\"}]", 0, 0},
    /* scalars of YAML 1.1 */
    {"[y, Yes, on, TRUE, n, no, OFF, false]", "[[true,true,true,true,false,false,false,false]]", 0, 0},
    {"['y', \"on\", !!str no, yEs]", "[[\"y\",\"on\",\"no\",\"yEs\"]]", 0, 0},
    {"[~, null, Null, '', \"~\"]", "[[null,null,null,\"\",\"~\"]]", 0, 0},
    {"[010, 0o17, 0x1F, 0b11, -0x1f, 08, 1_000, +5, 0_7]", "[[8,15,31,3,-31,8,1000,5,7]]", 0, 0},
    {"[1.50, .5, 5., 1e3, -1.5e-3, 123456789012345678901]", "[[1.50,0.5,5,1e3,-1.5e-3,123456789012345678901]]", 0, 0},
    {"[0x, 1.2.3, 1e, 1e999, -, _1, 2001-01-01, '5', 10.0.0.1]",
     "[[\"0x\",\"1.2.3\",\"1e\",\"1e999\",\"-\",\"_1\",\"2001-01-01\",\"5\",\"10.0.0.1\"]]", 0, 0},
    {"[!!int \"7\", !!float 1.5, !!bool \"yes\", !!null '']", "[[7,1.5,true,null]]", 0, 0},
    {"y: 1\n5: 2\n1.5: 3\nno: 4\n", "[{\"true\":1,\"5\":2,\"1.5\":3,\"false\":4}]", 0, 0},
    {"a: .inf\n", NULL, 1, 4},
    {"a: !!int x\n", NULL, 1, 4},
    {"a: !custom x\n", NULL, 1, 4},
    {"a: !!binary aGk=\n", NULL, 1, 4},
    {"~: 1\n", NULL, 1, 1},
    {"? [a]\n: b\n", NULL, 1, 3},
    {"? a\n: b\n", "[{\"a\":\"b\"}]", 0, 0},
    /* anchors, aliases, merges */
    {"a: &x {p: 1}\nb: *x\nc: &y z\n*y : 1\n", "[{\"a\":{\"p\":1},\"b\":{\"p\":1},\"c\":\"z\",\"z\":1}]", 0, 0},
    {"a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n", "[{\"a\":{\"p\":1,\"q\":2},\"b\":{\"q\":3,\"p\":1}}]", 0, 0},
    {"a: &x {p: 1}\nb: &y {p: 2, r: 3}\nc: {<<: [*x, *y]}\n",
     "[{\"a\":{\"p\":1},\"b\":{\"p\":2,\"r\":3},\"c\":{\"p\":1,\"r\":3}}]", 0, 0},
    {"a: {<<: &m {p: {q: 1}}}\nb: *m\n", "[{\"a\":{\"p\":{\"q\":1}},\"b\":{\"p\":{\"q\":1}}}]", 0, 0},
    {"\"<<\": {a: 1}\n", "[{\"<<\":{\"a\":1}}]", 0, 0},
    {"<<: 5\n", NULL, 0, 0},
    {"a: *nope\n", NULL, 1, 4},
    {"a: &x 1\n---\nb: *x\n", NULL, 3, 4}, /* anchors end with their document */
    {"&a [*a]\n", NULL, 1, 5},
    {"a: &b\n  c: *b\n", NULL, 2, 6},
    /* mistakes */
    {"a:\n\tb: 1\n", NULL, 2, 1},
    {"a: 1\n b: 2\n", NULL, 2, 3},
    {"a: [1, 2\n", NULL, 2, 1},
    {"a: \"x\n", NULL, 0, 0},
    {"a: b: c\n", NULL, 1, 5},
    {"a: @x\n", NULL, 1, 4},
    {"a: 1\nb: 2\na: 3\n", NULL, 3, 1},
    {"s:\n  - n: 1\n    n: 2\n", NULL, 3, 5},
    {"a: \xff\n", NULL, 0, 0},
    {"a: \x01\n", NULL, 0, 0},
    /* JSON is YAML */
    {"{\"a\": \"\\ud83d\\ude00\",\t\"b\": [1]}", "[{\"a\":\"\xf0\x9f\x98\x80\",\"b\":[1]}]", 0, 0},
    {"{\"a\": 1, b: 2}", "[{\"a\":1,\"b\":2}]", 0, 0},
    {"{\"a\": 1, \"a\": 2}", NULL, 0, 0},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_err err = {0};
        struct fed_json *v;
        struct fed_buf out = {0};
        int rc = fed_yaml_parse_all(&a, fed_str(cases[i].in), NULL, &v, &err);
        if (cases[i].want) {
            if (rc)
                print_error("%s: %s\n", cases[i].in, err.text);
            CHECK(cases[i].in, rc == 0);
            fed_json_write(&out, v);
            CHECK_TEXT(cases[i].in, fed_buf_str(&out), cases[i].want);
        } else {
            CHECK(cases[i].in, rc == FED_E_SYNTAX && !v && err.code == rc);
            if (cases[i].line && (err.line != cases[i].line || err.col != cases[i].col)) {
                print_error("%s: error at %d:%d (%s)\n", cases[i].in, err.line, err.col, err.text);
                fail();
            }
        }
        fed_buf_release(&out);
        fed_arena_release(&a);
    }
}

static void test_limits(void **state)
{
    static const char laughs[] = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                                 "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                                 "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    struct fed_arena a = {0};
    struct fed_json *v;
    struct fed_err err = {0};
    struct fed_json_limits small = {.max_nodes = 4, .max_depth = 3, .max_bytes = 40};
    struct fed_buf text = {0};
    (void)state;
    assert_int_equal(fed_yaml_parse(&a, FED_STR(laughs), NULL, &v, &err), FED_E_LIMIT);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("[1, 2, 3]"), &small, &v, &err), 0);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("- 1\n- 2\n- 3\n"), &small, &v, &err), 0);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("- 1\n- 2\n- 3\n- 4\n"), &small, &v, &err), FED_E_LIMIT);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("a: {b: [c]}"), &small, &v, &err), 0);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("a: {b: [[]]}"), &small, &v, &err), FED_E_LIMIT);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("- &x [[1]]\n- [*x]"), &small, &v, &err), FED_E_LIMIT);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("a: 123456789012345678901234567890123456789"), &small, &v, &err),
                     FED_E_LIMIT);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("# nothing\n"), NULL, &v, &err), FED_E_SYNTAX);
    assert_int_equal(fed_yaml_parse(&a, FED_STR("a\n---\nb\n"), NULL, &v, &err), FED_E_SYNTAX);
    /* A long text repeated by aliases. */
    fed_buf_addz(&text, "- &x ");
    for (int i = 0; i < 100000; i++)
        fed_buf_addc(&text, 'x');
    for (int i = 0; i < 100; i++)
        fed_buf_addz(&text, "\n- *x");
    assert_int_equal(fed_yaml_parse(&a, fed_buf_str(&text), NULL, &v, &err), FED_E_LIMIT);
    fed_buf_release(&text);
    fed_arena_release(&a);
}

static void add_path(void *ud, const struct fed_json_duplicate *d)
{
    fed_buf_addf(ud, d->line ? "%s:%u;" : "%s;", d->path, d->line);
}

static void test_duplicates_reported(void **state)
{
    static const char *const texts[] = {"a: {b: 1, b: 2}\nc:\n- d: 1\n  d:\n    2\n",
                                        "{\"a\": {\"b\": 1, \"b\": 2}, \"c\": [{\"d\": 1, \"d\": 2}]}"};
    static const char *const want[] = {"a.b:1;c[0].d:4;", "a.b;c[0].d;"};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++) {
        struct fed_arena a = {0};
        struct fed_json *v;
        struct fed_buf got = {0}, out = {0};
        struct fed_json_limits limits = {.on_duplicate = add_path, .ud = &got};
        assert_int_equal(fed_yaml_parse(&a, fed_str(texts[i]), &limits, &v, NULL), 0);
        CHECK_TEXT(texts[i], fed_buf_str(&got), want[i]);
        fed_json_write(&out, v);
        CHECK_TEXT(texts[i], fed_buf_str(&out), "{\"a\":{\"b\":2},\"c\":[{\"d\":2}]}");
        fed_buf_release(&got);
        fed_buf_release(&out);
        fed_arena_release(&a);
    }
}

/* JSON in, the YAML expected, and back again. */
static const struct {
    const char *json, *yaml;
} writes[] = {
    {"null", "null\n"},
    {"{}", "{}\n"},
    {"[]", "[]\n"},
    {"\"\"", "\"\"\n"},
    {"{\"a\":1,\"b\":{\"c\":[],\"d\":{}}}", "a: 1\nb:\n  c: []\n  d: {}\n"},
    {"{\"l\":[{\"a\":1,\"b\":[1,2]},[3,[4]],\"x\"]}", "l:\n- a: 1\n  b:\n  - 1\n  - 2\n- - 3\n  - - 4\n- x\n"},
    {"[\"y\",\"No\",\"null\",\"~\",\"5\",\"0x1f\",\"1e3\",\".5\",\"1_0\",\"2026-11-21T08:00:00Z\",\"12:30\"]",
     "- \"y\"\n- \"No\"\n- \"null\"\n- \"~\"\n- \"5\"\n- \"0x1f\"\n- \"1e3\"\n- \".5\"\n- \"1_0\"\n"
     "- \"2026-11-21T08:00:00Z\"\n- \"12:30\"\n"},
    {"[\"10.0.0.1\",\"a b\",\"-x\",\"a:b\",\"a#b\",\"/x\",\"caf\xc3\xa9\"]",
     "- 10.0.0.1\n- a b\n- -x\n- a:b\n- a#b\n- /x\n- caf\xc3\xa9\n"},
    {"[\"a: b\",\"a #b\",\"- x\",\" x\",\"x \",\"x:\",\"#x\",\"*x\",\"{x\",\"--- "
     "x\",\"a\\tb\",\"a\\u007fb\\u0085\\ufeff\"]",
     "- \"a: b\"\n- \"a #b\"\n- \"- x\"\n- \" x\"\n- \"x \"\n- \"x:\"\n- \"#x\"\n- \"*x\"\n- \"{x\"\n- \"--- x\"\n"
     "- \"a\\tb\"\n- \"a\\x7Fb\\x85\\uFEFF\"\n"},
    {"{\"k\":\"one\\ntwo\\n\",\"l\":[\"a\\n\\nb\"],\"m\":\"x\\n\\n\",\"n\":\" x\\ny\",\"o\":\"\\n\"}",
     "k: |\n  one\n  two\nl:\n- |-\n  a\n\n  b\nm: |+\n  x\n\n\"n\": \" x\\ny\"\no: \"\\n\"\n"},
    {"{\"a.b/c\":1,\"y\":2,\"\":3,\"a: b\":4}", "a.b/c: 1\n\"y\": 2\n\"\": 3\n\"a: b\": 4\n"},
};

static void test_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(writes); i++) {
        struct fed_arena a = {0};
        struct fed_json *v, *back;
        struct fed_buf out = {0};
        struct fed_err err = {0};
        CHECK(writes[i].json, fed_json_parse(&a, fed_str(writes[i].json), NULL, &v, &err) == 0);
        fed_yaml_write(&out, v);
        CHECK_TEXT(writes[i].json, fed_buf_str(&out), writes[i].yaml);
        CHECK(writes[i].json, fed_yaml_parse(&a, fed_buf_str(&out), NULL, &back, &err) == 0);
        CHECK(writes[i].json, fed_json_equal(v, back));
        fed_buf_release(&out);
        fed_arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_duplicates_reported),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
