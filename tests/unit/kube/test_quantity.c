/* SPDX-License-Identifier: Apache-2.0 */
/* The one form in which an amount is written back. */
#include "tests/unit/unit.h"

#include "kube/quantity.h"

static void test_canonical(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {{"0", "0"},           {"-0", "0"},           {"0Gi", "0"},
                {"1", "1"},           {"+1", "1"},           {"0.5", "500m"},
                {".5", "500m"},       {"1.", "1"},           {"1000m", "1"},
                {"1500m", "1500m"},   {"1.5", "1500m"},      {"-1500m", "-1500m"},
                {"1000", "1k"},       {"1024", "1024"},      {"1000000", "1M"},
                {"1500k", "1500k"},   {"2048M", "2048M"},    {"1000G", "1T"},
                {"1e3", "1e3"},       {"1E3", "1e3"},        {"1e9", "1e9"},
                {"1e10", "10e9"},     {"5e0", "5"},          {"1e-3", "1e-3"},
                {"1E", "1E"},         {"1000E", "1000E"},    {"1024Mi", "1Gi"},
                {"1000Ki", "1000Ki"}, {"0.5Gi", "512Mi"},    {"1.5Gi", "1536Mi"},
                {"1.5Ki", "1536"},    {"0.5Ki", "512"},      {"0.3Gi", "322122548"},
                {"1u", "1u"},         {"0.0000001", "100n"}, {"0.00000000001", "1n"},
                {"8Ei", "8Ei"}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_buf b = {0};
        assert_int_equal(fed_quantity_canonical(fed_str(rows[i].in), &b), 0);
        assert_string_equal(fed_buf_z(&b), rows[i].out);
        struct fed_buf again = {0};
        assert_int_equal(fed_quantity_canonical(fed_buf_str(&b), &again), 0);
        assert_true(fed_str_eq(fed_buf_str(&again), fed_buf_str(&b)));
        fed_buf_release(&again);
        fed_buf_release(&b);
    }
}

static void test_not_an_amount(void **state)
{
    static const char *const rows[] = {"", "m", "1x", "1ki", "--1", "1e", "1 ", "1e99"};
    struct fed_buf b = {0};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++)
        assert_true(fed_quantity_canonical(fed_str(rows[i]), &b) < 0);
    fed_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_canonical), cmocka_unit_test(test_not_an_amount)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
