/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static void test_parse(void **state)
{
    static const struct {
        const char *in;
        const char *want; /* NULL: refused */
    } cases[] = {
        {"192.0.2.1:80", "192.0.2.1:80"},
        {"[2001:db8::1]:443", "[2001:db8::1]:443"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:", NULL},
        {"192.0.2.1", NULL},
        {"2001:db8::1:80", NULL},
        {"[192.0.2.1]:80", NULL},
        {"[2001:db8::1]", NULL},
        {"name:80", NULL},
        {"192.0.2.1:+80", NULL},
        {"192.0.2.256:80", NULL},
        {":80", NULL},
        {"", NULL},
        {"[2001:db8:0:0:0:0:0:1]:1", "[2001:db8::1]:1"},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_addr a;
        char text[64] = "";
        int rc = fed_addr_parse_hostport(fed_str(cases[i].in), &a);
        if (rc == 0)
            fed_addr_format(&a, text);
        if ((rc == 0) != (cases[i].want != NULL) || (cases[i].want && strcmp(text, cases[i].want) != 0))
            fail_msg("%s: rc %d, %s", cases[i].in, rc, text);
    }
}

static void test_prefix(void **state)
{
    static const struct {
        const char *prefix, *addr;
        int want; /* -1: prefix refused */
    } cases[] = {
        {"10.0.0.0/8", "10.255.1.2", 1},
        {"10.0.0.0/8", "11.0.0.1", 0},
        {"10.0.0.1/8", "10.0.0.1", -1},
        {"10.0.0.0/33", "10.0.0.1", -1},
        {"10.0.0.0", "10.0.0.1", -1},
        {"192.0.2.128/25", "192.0.2.127", 0},
        {"192.0.2.128/25", "192.0.2.200", 1},
        {"0.0.0.0/0", "1.2.3.4", 1},
        {"0.0.0.0/0", "::1", 0},
        {"2001:db8::/33", "2001:db8:7fff::", 1},
        {"2001:db8::/33", "2001:db8:8000::", 0},
        {"::1/128", "::1", 1},
        {"192.0.2.1/32", "192.0.2.1", 1},
        {"192.0.2.1/32", "192.0.2.0", 0},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_prefix p;
        struct fed_addr a;
        assert_int_equal(fed_addr_parse(fed_str(cases[i].addr), 0, &a), 0);
        int got = fed_prefix_parse(fed_str(cases[i].prefix), &p) != 0 ? -1 : fed_prefix_contains(&p, &a);
        if (got != cases[i].want)
            fail_msg("%s %s: %d", cases[i].prefix, cases[i].addr, got);
    }
}

static void test_unmap(void **state)
{
    (void)state;
    struct fed_addr a, b;
    char text[64];
    assert_int_equal(fed_addr_parse(FED_STR("::ffff:192.0.2.7"), 53, &a), 0);
    fed_addr_unmap(&a);
    fed_addr_format(&a, text);
    assert_string_equal(text, "192.0.2.7:53");
    assert_int_equal(fed_addr_parse(FED_STR("192.0.2.7"), 53, &b), 0);
    assert_true(fed_addr_equal(&a, &b));
    fed_addr_set_port(&b, 54);
    assert_false(fed_addr_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_unmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
