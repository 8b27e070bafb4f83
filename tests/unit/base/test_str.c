/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

static void test_numbers(void **state)
{
    static const struct {
        const char *in;
        int rc;
        int64_t want;
    } cases[] = {
        {"0", 0, 0},
        {"-1", 0, -1},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -1, 0},
        {"-9223372036854775809", -1, 0},
        {"", -1, 0},
        {"-", -1, 0},
        {"+1", -1, 0},
        {" 1", -1, 0},
        {"1 ", -1, 0},
        {"0x1", -1, 0},
        {"18446744073709551616", -1, 0},
        {"--1", -1, 0},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        int64_t got = 0;
        CHECK(cases[i].in, fed_str_i64(fed_str(cases[i].in), &got) == cases[i].rc && got == cases[i].want);
    }
    uint64_t u;
    assert_int_equal(fed_str_u64(FED_STR("18446744073709551615"), &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(fed_str_u64(FED_STR("18446744073709551616"), &u), -1);
    assert_int_equal(fed_str_u64(FED_STR("-0"), &u), -1);
}

static void test_cut(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {{"a/b/c", "a|b|c|"}, {"", "|"}, {"/", "||"}, {"a/", "a||"}, {"//x", "||x|"}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        char got[32];
        size_t n = 0;
        struct fed_str rest = fed_str(cases[i].in), piece;
        while (fed_str_cut(&rest, '/', &piece)) {
            if (piece.n)
                memcpy(got + n, piece.p, piece.n);
            n += piece.n;
            got[n++] = '|';
        }
        CHECK_TEXT(cases[i].in, fed_str_n(got, n), cases[i].want);
    }
    struct fed_str none = {0}, piece;
    assert_false(fed_str_cut(&none, '/', &piece));
}

static void test_find(void **state)
{
    struct fed_str s = FED_STR("abcabc");
    (void)state;
    assert_int_equal(fed_str_chr(s, 'c', 0), 2);
    assert_int_equal(fed_str_chr(s, 'c', 3), 5);
    assert_int_equal(fed_str_chr(s, 'x', 0), -1);
    assert_int_equal(fed_str_chr(s, 'a', 99), -1);
    assert_int_equal(fed_str_chr(fed_str(NULL), 'a', 0), -1);
    assert_int_equal(fed_str_find(s, FED_STR("bc"), 2), 4);
    assert_int_equal(fed_str_find(s, FED_STR(""), 6), 6);
    assert_int_equal(fed_str_find(s, FED_STR("a"), 7), -1);
    assert_int_equal(fed_str_find(s, FED_STR("abcabcd"), 0), -1);
}

static void test_compare(void **state)
{
    (void)state;
    assert_true(fed_str_cmp(FED_STR("a"), FED_STR("b")) < 0);
    assert_true(fed_str_cmp(FED_STR("ab"), FED_STR("a")) > 0);
    assert_true(fed_str_cmp(fed_str(NULL), FED_STR("")) == 0);
    assert_true(fed_str_cmp(FED_STR("\x7f"), FED_STR("\x80")) < 0); /* bytes have no sign */
    assert_true(fed_str_ieq(FED_STR("Host"), FED_STR("hOST")));
    assert_false(fed_str_ieq(FED_STR("a@"), FED_STR("a`")));
    assert_true(fed_str_starts(FED_STR("/api/v1"), FED_STR("/api")));
    assert_true(fed_str_ends(FED_STR("x.svc"), FED_STR(".svc")));
    assert_false(fed_str_ends(FED_STR("svc"), FED_STR(".svc")));
    assert_true(fed_str_is(fed_str_trim(FED_STR(" \t a b\r\n")), "a b"));
    assert_int_equal(fed_str_trim(FED_STR(" \n")).n, 0);
    assert_int_equal(fed_str_from(FED_STR("ab"), 9).n, 0);
    assert_true(fed_str_hash(FED_STR("a"), 1) != fed_str_hash(FED_STR("a"), 2));
}

static void test_insert(void **state)
{
    static const char *const in[] = {"m", "z", "a", "m", "", "z", "mm"};
    static const char *const want[] = {"", "a", "m", "mm", "z"};
    struct fed_str list[FED_ARRAY_LEN(in)];
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(in); i++)
        n = fed_str_insert(list, n, fed_str(in[i]));
    assert_int_equal(n, FED_ARRAY_LEN(want));
    for (size_t i = 0; i < n; i++)
        assert_true(fed_str_is(list[i], want[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_cut),    cmocka_unit_test(test_find),
        cmocka_unit_test(test_compare), cmocka_unit_test(test_insert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
