/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <limits.h>

#include "base/err.h"

static void test_codes(void **state)
{
    static const struct {
        int status;
        const char *reason;
        int want;
    } cases[] = {
        {200, NULL, 0},
        {201, "x", 0},
        {404, "NotFound", FED_E_NOT_FOUND},
        {404, NULL, FED_E_NOT_FOUND},
        {409, "AlreadyExists", FED_E_ALREADY_EXISTS},
        {409, "Conflict", FED_E_CONFLICT},
        {409, NULL, FED_E_CONFLICT},
        {410, "Expired", FED_E_EXPIRED},
        {410, "Gone", FED_E_GONE},
        {410, NULL, FED_E_GONE},
        {422, "", FED_E_INVALID},
        {500, NULL, FED_E_INTERNAL},
        {503, NULL, FED_E_UNAVAILABLE},
        {504, NULL, FED_E_TIMEOUT},
        {502, NULL, FED_E_UNAVAILABLE},
        {418, NULL, FED_E_BAD_REQUEST},
        {413, NULL, FED_E_TOO_LARGE},
        {400, NULL, FED_E_BAD_REQUEST},
        {302, NULL, FED_E_INTERNAL},
        {599, "?", FED_E_INTERNAL},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        assert_int_equal(fed_code_from_status(cases[i].status, cases[i].reason), cases[i].want);
    assert_string_equal(fed_code_name(FED_E_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(fed_code_text(FED_E_EXPIRED), "resource version too old");
    assert_string_equal(fed_code_reason(FED_E_TOO_MANY), "TooManyRequests");
    assert_int_equal(fed_code_status(0), 200);
    assert_int_equal(fed_code_status(5), 500);
    assert_int_equal(fed_code_status(INT_MIN), 500);
    assert_string_equal(fed_code_name(-1000), "?");
    assert_int_equal(fed_code_from_errno(ENOENT), FED_E_NOT_FOUND);
    assert_int_equal(fed_code_from_errno(ENOSPC), FED_E_FULL);
    assert_int_equal(fed_code_from_errno(EIO), FED_E_IO);
}

static void test_text(void **state)
{
    struct fed_err e = {0};
    char wide[1024];
    (void)state;
    assert_int_equal(fed_err_set(NULL, FED_E_IO, "x"), FED_E_IO);
    assert_int_equal(fed_err_set(&e, FED_E_IO, "%s: %d", "read", 5), FED_E_IO);
    assert_string_equal(e.text, "read: 5");
    assert_int_equal(fed_err_wrap(&e, FED_E_INTERNAL, "open %s", "store"), FED_E_IO); /* keeps the first code */
    assert_string_equal(e.text, "open store: read: 5");
    fed_err_set(&e, FED_E_IO, "again: %s", e.text); /* from its own text */
    assert_string_equal(e.text, "again: open store: read: 5");
    assert_int_equal(fed_err_wrap(NULL, FED_E_TLS, "x"), FED_E_TLS);
    struct fed_err empty = {0};
    assert_int_equal(fed_err_wrap(&empty, FED_E_TLS, "x"), FED_E_TLS);
    assert_string_equal(empty.text, "x");
    for (size_t i = 0; i + 1 < sizeof(wide); i += 2)
        memcpy(wide + i, "\xc3\xa9", 2);
    wide[sizeof(wide) - 1] = '\0';
    wide[sizeof(wide) - 2] = '\0';
    fed_err_set(&e, FED_E_IO, "%s", wide);
    assert_int_equal(strlen(e.text), 510); /* 511 would cut a character in two */
    fed_err_wrap(&e, FED_E_IO, "o");
    assert_true(strlen(e.text) <= 511 && fed_str_starts(fed_str(e.text), FED_STR("o: \xc3\xa9")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_codes), cmocka_unit_test(test_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
