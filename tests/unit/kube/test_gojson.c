/* SPDX-License-Identifier: Apache-2.0 */
/* Why a text is no JSON, in the words of Go's scanner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kube/gowords.h"

static const struct {
    const char *text, *want;
} cases[] = {
    {"{}", ""},
    {" [1, -2.5e+3, \"a\\u00e4\", true, null, {\"a\": []}] ", ""},
    {"", "unexpected end of JSON input"},
    {"{", "unexpected end of JSON input"},
    {"{\"a\":1", "unexpected end of JSON input"},
    {"\"a", "unexpected end of JSON input"},
    {"tru", "unexpected end of JSON input"},
    {"x", "invalid character 'x' looking for beginning of value"},
    {"hello", "invalid character 'h' looking for beginning of value"},
    {"\x1f\x8b", "invalid character '\\x1f' looking for beginning of value"},
    {"\xff", "invalid character '\xc3\xbf' looking for beginning of value"},
    {"{a:1}", "invalid character 'a' looking for beginning of object key string"},
    {"{\"a\" 1}", "invalid character '1' after object key"},
    {"{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair"},
    {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
    {"[1 2]", "invalid character '2' after array element"},
    {"[1,]", "invalid character ']' looking for beginning of value"},
    {"{} {}", "invalid character '{' after top-level value"},
    {"01", "invalid character '1' after top-level value"},
    {"trux", "invalid character 'x' in literal true (expecting 'e')"},
    {"-a", "invalid character 'a' in numeric literal"},
    {"1.a", "invalid character 'a' after decimal point in numeric literal"},
    {"1ea", "invalid character 'a' in exponent of numeric literal"},
    {"\"\n\"", "invalid character '\\n' in string literal"},
    {"\"\\x\"", "invalid character 'x' in string escape code"},
    {"\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"},
    {"['a']", "invalid character '\\'' looking for beginning of value"},
};

static void test_mistakes(void **state)
{
    struct fed_arena a = {0};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_str got = fed_go_json_mistake(&a, fed_str(cases[i].text));
        assert_string_equal(fed_arena_dupz(&a, got), cases[i].want);
    }
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
