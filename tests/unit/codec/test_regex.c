/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions: {pattern, text, first match or NULL}. */
#include "unit/unit.h"

#include "codec/regex.h"

static void finds(void **state)
{
    static const struct {
        const char *pattern, *text, *want;
    } rows[] = {
        {"", "abc", ""},
        {"b", "abc", "b"},
        {"a|ab", "ab", "a"},
        {"ab|a", "ab", "ab"},
        {"(a|ab)(c|bcd)", "abcd", "abcd"},
        {"a*", "aaa", "aaa"},
        {"a*?", "aaa", ""},
        {"a+?b", "aab", "aab"},
        {"(?U)a+", "aaa", "a"},
        {"a{2}", "aaa", "aa"},
        {"a{2,}", "aaaa", "aaaa"},
        {"a{1,2}?", "aaa", "a"},
        {"a{1,3}b", "aaaab", "aaab"},
        {"^(ab){0,2}c", "ababc", "ababc"},
        {"^(ab){2,4}?", "ababab", "abab"},
        {"^a{0,3}$", "aaaa", NULL},
        {"a{,2}", "a{,2}", "a{,2}"},
        {"x{0}y", "xy", "y"},
        {"^abc$", "abc", "abc"},
        {"^abc$", "abcd", NULL},
        {"^b", "a\nb", NULL},
        {"(?m)^b$", "a\nb\nc", "b"},
        {"a.b", "a\nb", NULL},
        {"(?s)a.b", "a\nb", "a\nb"},
        {"(?i)HeLLo", "hEllO", "hEllO"},
        {"(?i)[a-c]+", "ABCd", "ABC"},
        {"(?i:a)b", "Ab", "Ab"},
        {"(?i:a)b", "AB", NULL},
        {"[^a-z]+", "abcDEF1", "DEF1"},
        {"[]a]+", "]a", "]a"},
        {"[a\\]]+", "]a", "]a"},
        {"[a-]+", "-a", "-a"},
        {"[[:alpha:]_]+", "1ab_2", "ab_"},
        {"[^[:digit:]]+", "12ab", "ab"},
        {"\\d+", "ab12", "12"},
        {"\\D+", "12ab", "ab"},
        {"[\\D]+", "12ab", "ab"},
        {"\\w+", "-a_1-", "a_1"},
        {"\\W+", "a-!b", "-!"},
        {"\\s", "a\tb", "\t"},
        {"\\bcat\\b", "a cat sat", "cat"},
        {"\\bcat\\b", "concat", NULL},
        {"\\Bcat", "concat", "cat"},
        {"\\x41\\x{42}", "AB", "AB"},
        {"\\Qa.b\\E+", "a.bbb", "a.bbb"},
        {"\\.", "a.b", "."},
        {"(?P<name>a)(?<b>b)", "ab", "ab"},
        {"(?:ab)+", "ababa", "abab"},
        {"\xc3\xa9+", "caf\xc3\xa9\xc3\xa9", "\xc3\xa9\xc3\xa9"},
        {"^.{3}$", "h\xc3\xa9l", "h\xc3\xa9l"},
        {"[\xc3\xa0-\xc3\xbf]", "x\xc3\xa9", "\xc3\xa9"},
        {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
        {"(a|b)*c|(a|ab)*c", "abc", "abc"},
        {"()*", "a", ""},
        {"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", "my-app.example.com",
         "my-app.example.com"},
        {"^(\\*\\.)?[a-z]+$", "*.abc", "*.abc"},
        {"\\A\\w\\z", "a", "a"},
        {"^[\\w\\-.]+$", "a-b.c", "a-b.c"},
        {"^[\\w\\-.]+$", "a b", NULL},
        {"^(?:\\d{2,3}|x)$", "1", NULL},
        {"^[^\\]/]+$", "a]b", NULL},
        {"^a\\/b$", "a/b", "a/b"},
        {"^[[:alpha:]^-]*?$", "a^-", "a^-"},
        {"^{}$", "{}", "{}"},
    };

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct fed_regex *re = NULL;
        size_t start = 0, end = 0;
        uint64_t steps = 0;
        int rc;

        CHECK(rows[i].pattern, fed_regex_compile(&a, fed_str(rows[i].pattern), &re, NULL) == 0);
        rc = fed_regex_find(re, fed_str(rows[i].text), 0, &start, &end, &steps, 1 << 20);
        CHECK(rows[i].pattern, rc == (rows[i].want != NULL));
        if (rc)
            CHECK_TEXT(rows[i].pattern, fed_str_n(rows[i].text + start, end - start), rows[i].want);
        CHECK(rows[i].pattern, fed_regex_find(re, fed_str(rows[i].text), 0, NULL, NULL, &steps, 1 << 20) == rc);
        fed_arena_release(&a);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *pattern;
        int code;
    } rows[] = {{"(", FED_E_INVALID},           {")", FED_E_INVALID},
                {"[", FED_E_INVALID},           {"[a", FED_E_INVALID},
                {"*a", FED_E_INVALID},          {"a**", FED_E_INVALID},
                {"a{2}{3}", FED_E_INVALID},     {"a{1001}", FED_E_INVALID},
                {"a{3,2}", FED_E_INVALID},      {"[z-a]", FED_E_INVALID},
                {"\\", FED_E_INVALID},          {"\\1", FED_E_INVALID},
                {"(?=a)", FED_E_INVALID},       {"(?<=a)", FED_E_INVALID},
                {"(?P<a", FED_E_INVALID},       {"\\q", FED_E_INVALID},
                {"[[:nope:]]", FED_E_INVALID},  {"\\p{L}", FED_E_UNSUPPORTED},
                {"[\\pN]", FED_E_UNSUPPORTED},  {"((a{1000}){1000})", FED_E_LIMIT},
                {"\\x{110000}", FED_E_INVALID}, {"(a)\\1", FED_E_INVALID}};

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct fed_regex *re;
        struct fed_err err = {0};

        CHECK(rows[i].pattern, fed_regex_compile(&a, fed_str(rows[i].pattern), &re, &err) == rows[i].code);
        CHECK(rows[i].pattern, err.text[0] != 0);
        fed_arena_release(&a);
    }
}

/* Time grows with the text, whatever the expression. */
static void is_linear(void **state)
{
    static const char *const patterns[] = {"(a*)*b", "(a|a)*b", "(a+)+$b", "(x+x+)+y|a*a*a*a*b"};
    struct fed_arena a = {0};
    char *text = fed_arena_alloc(&a, 20000);

    (void)state;
    memset(text, 'a', 20000);
    for (size_t i = 0; i < FED_ARRAY_LEN(patterns); i++) {
        struct fed_regex *re = NULL;
        uint64_t half = 0, whole = 0;

        assert_int_equal(fed_regex_compile(&a, fed_str(patterns[i]), &re, NULL), 0);
        assert_int_equal(fed_regex_find(re, fed_str_n(text, 10000), 0, NULL, NULL, &half, UINT64_MAX), 0);
        assert_int_equal(fed_regex_find(re, fed_str_n(text, 20000), 0, NULL, NULL, &whole, UINT64_MAX), 0);
        CHECK(patterns[i], whole < half * 21 / 10);
        assert_int_equal(fed_regex_find(re, fed_str_n(text, 20000), 0, NULL, NULL, &whole, 1000), FED_E_LIMIT);
    }
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds), cmocka_unit_test(refuses), cmocka_unit_test(is_linear)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
