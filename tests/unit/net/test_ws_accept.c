/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "net/ws_accept.h"

static void test_key(void **state)
{
    (void)state;
    char out[29];
    assert_int_equal(fed_ws_accept(FED_STR("dGhlIHNhbXBsZSBub25jZQ=="), out), 0); /* of RFC 6455 1.3 */
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(fed_ws_accept(FED_STR("short"), out), FED_E_SYNTAX);
    assert_int_equal(fed_ws_accept(FED_STR(""), out), FED_E_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
