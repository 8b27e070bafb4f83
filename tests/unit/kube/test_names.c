/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kube/names.h"
#include "kube/quantity.h"
#include "kube/status.h"

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *(*check)(struct fed_str);
        const char *good[6], *bad[8];
    } cases[] = {
        {fed_name_check_label, {"a", "a-1", "0", A63}, {"", "A", "-a", "a-", "a.b", A63 "a", "a_b"}},
        {fed_name_check_subdomain, {"a", "a.b-c.0", A63 "." A63}, {"", ".a", "a.", "a..b", "A", "a_b"}},
        {fed_name_check_1035, {"a", "a-1"}, {"", "1a", "a.b", A63 "a"}},
        {fed_name_check_path_segment, {"a", "system:x", "A.b"}, {"", ".", "..", "a/b", "a%2f"}},
        {fed_name_check_qualified, {"a", "a.b/C_d", "A", "x.y/0"}, {"", "/a", "a/", "a/b/c", "A/b", "a/-", A63 "a"}},
        {fed_name_check_label_value, {"", "a", "A_b.c-d"}, {"-a", "a-", "a b", A63 "a"}},
        {fed_name_check_port, {"http", "a-1", "0a"}, {"", "1", "a--b", "-a", "a-", "aaaaaaaaaaaaaaaa", "A"}},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        for (int k = 0; k < 6 && cases[i].good[k]; k++) {
            if (cases[i].check(fed_str(cases[i].good[k])))
                fail_msg("row %zu: '%s' refused", i, cases[i].good[k]);
        }
        for (int k = 0; k < 8 && cases[i].bad[k]; k++) {
            if (!cases[i].check(fed_str(cases[i].bad[k])))
                fail_msg("row %zu: '%s' passed", i, cases[i].bad[k]);
        }
    }
    char h1[11], h2[11];
    fed_name_hash(FED_STR("x"), h1);
    fed_name_hash(FED_STR("y"), h2);
    assert_int_equal(strlen(h1), 10);
    assert_string_not_equal(h1, h2);
}

/* Each fault is told, in order; a name that is well has none. */
static void all_faults(void **state)
{
    (void)state;
    static const struct {
        const char *(*check)(struct fed_str);
        const char *name;
        size_t n;
        const char *last; /* a part of it */
    } cases[] = {
        {fed_name_check_label, "a", 0, NULL},
        {fed_name_check_label, "a.b", 1, "must not contain dots"},
        {fed_name_check_label, A63 "_", 2, "RFC 1123 label"},
        {fed_name_check_1035, A63 "_", 2, "DNS-1035"},
        {fed_name_check_qualified, "/", 3, "name part must consist"},
        {fed_name_check_qualified, "A/" A63 "_", 3, "name part must consist"},
        {fed_name_check_qualified, "a/b/c", 1, "optional DNS subdomain prefix"},
        {fed_name_check_path_segment, "a/b%", 2, "may not contain '%'"},
        {fed_name_check_label_value, A63 "_", 2, "a valid label"},
        {fed_name_check_config_key, "../", 2, "must not start with '..'"},
        {fed_name_check_port, "-A--0000000000000", 5, "must not begin or end"},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        const char *why[FED_NAME_FAULTS];
        size_t n = fed_name_faults(cases[i].check, fed_str(cases[i].name), why);
        if (n != cases[i].n || (n && !strstr(why[n - 1], cases[i].last)))
            fail_msg("row %zu: %zu, %s", i, n, n ? why[n - 1] : "");
        assert_true(!n == !cases[i].check(fed_str(cases[i].name)));
    }
}

static void quantities(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t milli, units;
        int code;
    } cases[] = {
        {"100m", 100, 1, 0},
        {"1", 1000, 1, 0},
        {"1.5", 1500, 2, 0},
        {".5", 500, 1, 0},
        {"1Ki", 1024000, 1024, 0},
        {"1.5Gi", 1610612736000, 1610612736, 0},
        {"1e3", 1000000, 1000, 0},
        {"1E", INT64_MAX, 1000000000000000000, 0},
        {"8Ei", INT64_MAX, INT64_MAX, 0},
        {"1n", 1, 1, 0},
        {"-1500m", -1500, -2, 0},
        {"0", 0, 0, 0},
        {"1E-3", 1, 1, 0},
        {"1.0000000000000000000000000000000000000000001", 1001, 2, 0},
        {"99999999999999999999999999999999999999999999", INT64_MAX, INT64_MAX, 0},
        {"1.000000000000000000000000000000Gi", 1073741824000, 1073741824, 0},
        {"", 0, 0, FED_E_SYNTAX},
        {"m", 0, 0, FED_E_SYNTAX},
        {"1KiB", 0, 0, FED_E_SYNTAX},
        {"1..2", 0, 0, FED_E_SYNTAX},
        {"1e", 0, 0, FED_E_SYNTAX},
        {"1e+-2", 0, 0, FED_E_SYNTAX},
        {"1 ", 0, 0, FED_E_SYNTAX},
        {"0x10", 0, 0, FED_E_SYNTAX},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        int64_t m, u;
        int code = fed_quantity_milli(fed_str(cases[i].text), &m);
        if (code != cases[i].code || m != cases[i].milli || fed_quantity_units(fed_str(cases[i].text), &u) != code ||
            u != cases[i].units)
            fail_msg("'%s': code %d, %lld", cases[i].text, code, (long long)m);
    }
    struct fed_buf b = {0};
    fed_quantity_format_milli(&b, 100);
    fed_buf_addc(&b, ' ');
    fed_quantity_format_milli(&b, 2000);
    assert_string_equal(fed_buf_z(&b), "100m 2");
    fed_buf_release(&b);
}

static void statuses(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_buf b = {0};
    struct fed_err err;
    struct fed_status_details d = {.name = FED_STR("web"), .group = FED_STR("apps"), .kind = FED_STR("deployments")};
    fed_status_write(&b, FED_E_NOT_FOUND, NULL, &d);
    assert_string_equal(
        fed_buf_z(&b),
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":"
        "\"deployments.apps \\\"web\\\" not found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"web\","
        "\"group\":\"apps\",\"kind\":\"deployments\"},\"code\":404}");
    assert_int_equal(fed_status_read(404, fed_buf_str(&b), &err), FED_E_NOT_FOUND);
    assert_string_equal(err.text, "deployments.apps \"web\" not found");
    fed_buf_reset(&b);

    struct fed_causes causes = {.arena = &a};
    fed_causes_add(&causes, FED_CAUSE_INVALID, FED_STR("spec.replicas"), FED_STR("-1"), "must be %s", "positive");
    d.causes = &causes;
    d.kind = FED_STR("Deployment");
    fed_status_write(&b, FED_E_INVALID, NULL, &d);
    assert_int_equal(fed_status_read(422, fed_buf_str(&b), &err), FED_E_INVALID);
    assert_string_equal(err.text,
                        "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be positive");
    fed_causes_add(&causes, FED_CAUSE_REQUIRED, FED_STR("x"), FED_STR(""), NULL);
    fed_causes_add(&causes, FED_CAUSE_REQUIRED, FED_STR("x"), FED_STR(""), "say %s", "more");
    fed_causes_add(&causes, FED_CAUSE_REQUIRED, FED_STR("x"), FED_STR(""), NULL);
    assert_int_equal(causes.n, 2);
    assert_true(fed_str_is(causes.items[1].message, "Required value: say more")); /* who says more speaks for both */
    for (int i = 0; i < 300; i++)
        fed_causes_add(&causes, FED_CAUSE_INVALID, FED_STR("x"), FED_STR(""), NULL);
    assert_int_equal(causes.n, 100);
    fed_buf_reset(&b);
    fed_status_write(&b, FED_E_EXPIRED, "too old resource version: 1 (5)", NULL);
    assert_int_equal(fed_status_read(0, fed_buf_str(&b), &err), FED_E_EXPIRED);
    assert_int_equal(fed_status_read(502, FED_STR("<html>bad gateway</html>"), &err), fed_code_from_status(502, NULL));
    assert_int_equal(fed_status_read(409, FED_STR("{\"kind\":\"Status\",\"reason\":\"AlreadyExists\"}"), &err),
                     FED_E_ALREADY_EXISTS);
    fed_buf_release(&b);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(all_faults),
                                       cmocka_unit_test(quantities), cmocka_unit_test(statuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
