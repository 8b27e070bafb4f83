/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules: the grammar, the next times in zones with changing clocks, and how many were missed. */
#include <stdio.h>

#include "base/env.h"
#include "kube/cron.h"
#include "tests/unit/unit.h"

/* A TZif file without changes: only the rule. */
static struct fed_str zone_file(char *out, int32_t offset, const char *rule)
{
    size_t n = 0;
    for (int part = 0; part < 2; part++) {
        memset(out + n, 0, 44);
        memcpy(out + n, "TZif2", 5);
        out[n + 39] = 1; /* types */
        out[n + 43] = 4; /* chars */
        n += 44;
        for (int i = 3; i >= 0; i--)
            out[n++] = (char)((uint32_t)offset >> (8 * i));
        memset(out + n, 0, 6);
        n += 6;
    }
    n += (size_t)snprintf(out + n, 100, "\n%s\n", rule);
    return fed_str_n(out, n);
}

static int64_t at(const char *text)
{
    int64_t ms = -1000;
    if (fed_time_parse(fed_str(text), &ms) < 0)
        return -1;
    return ms / 1000;
}

struct next_case {
    const char *name, *schedule, *zone, *after, *want;
};
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define SYDNEY "AEST-10AEDT,M10.1.0,M4.1.0/3"
static const struct next_case nexts[] = {
    {"each minute", "* * * * *", "", "2026-11-21T08:00:00Z", "2026-11-21T08:01:00Z"},
    {"from within a minute", "* * * * *", "", "2026-11-21T08:00:59Z", "2026-11-21T08:01:00Z"},
    {"steps", "*/15 * * * *", "", "2026-11-21T08:31:00Z", "2026-11-21T08:45:00Z"},
    {"a step from a value", "10/20 * * * *", "", "2026-11-21T08:31:00Z", "2026-11-21T08:50:00Z"},
    {"a range with a step", "0-30/10 9-17 * * *", "", "2026-11-21T17:31:00Z", "2026-11-22T09:00:00Z"},
    {"a list", "5,35 4 * * *", "", "2026-11-21T04:05:00Z", "2026-11-21T04:35:00Z"},
    {"names", "0 0 * jan,Jul MON", "", "2026-11-21T00:00:00Z", "2027-01-04T00:00:00Z"},
    {"day or weekday", "0 0 13 * FRI", "", "2026-11-21T00:00:00Z", "2026-11-27T00:00:00Z"},
    {"day and any weekday", "0 0 13 * ?", "", "2026-11-21T00:00:00Z", "2026-12-13T00:00:00Z"},
    {"leap day", "0 0 29 2 *", "", "2026-11-21T00:00:00Z", "2028-02-29T00:00:00Z"},
    {"never", "0 0 31 2 *", "", "2026-11-21T00:00:00Z", ""},
    {"hourly", "@hourly", "", "2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z"},
    {"weekly", "@weekly", "", "2026-11-21T08:00:00Z", "2026-11-22T00:00:00Z"},
    {"every", "@every 1h30m", "", "2026-11-21T08:00:05Z", "2026-11-21T09:30:05Z"},
    {"winter", "30 8 * * *", BERLIN, "2026-11-21T08:00:00Z", "2026-11-22T07:30:00Z"},
    {"summer", "30 8 * * *", BERLIN, "2026-07-21T08:00:00Z", "2026-07-22T06:30:00Z"},
    {"in the hour that is left out", "30 2 * * *", BERLIN, "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"},
    {"over the hour that is left out", "0 0 * * *", BERLIN, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
    {"in the doubled hour, first", "30 2 * * *", BERLIN, "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z"},
    {"in the doubled hour, again", "30 2 * * *", BERLIN, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
    {"midnight after the doubled hour", "0 0 * * *", BERLIN, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
    {"south", "0 12 * * *", SYDNEY, "2026-01-10T02:00:00Z", "2026-01-11T01:00:00Z"},
    {"a zone without summer", "0 12 * * *", "<+0530>-5:30", "2026-01-10T02:00:00Z", "2026-01-10T06:30:00Z"},
};

static void test_next(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(nexts); i++) {
        const struct next_case *c = &nexts[i];
        struct fed_arena a = {0};
        struct fed_cron cron;
        struct fed_zone zone = {0};
        char file[256];
        CHECK(c->name, fed_cron_parse(fed_str(c->schedule), &cron, NULL) == 0);
        if (*c->zone)
            CHECK(c->name, fed_zone_parse(&a, zone_file(file, 3600, c->zone), &zone, NULL) == 0);
        int64_t got = fed_cron_next(&cron, &zone, at(c->after));
        char text[21] = "";
        if (got >= 0)
            fed_time_format(got * 1000, text);
        CHECK_TEXT(c->name, fed_str(text), c->want);
        fed_arena_release(&a);
    }
}

static void test_refusals(void **state)
{
    static const char *const wrong[] = {"",           "* * * *",    "* * * * * *", "60 * * * *",    "* 24 * * *",
                                        "* * 0 * *",  "* * * 13 *", "* * * * 7",   "5-1 * * * *",   "*/0 * * * *",
                                        "a * * * *",  "1, * * * *", "@never",      "@every",        "@every 1x",
                                        "@every -1h", "- * * * *",  "1/ * * * *",  "99999 * * * *", "* * * foo *"};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(wrong); i++) {
        struct fed_cron cron;
        struct fed_err err = {0};
        CHECK(wrong[i], fed_cron_parse(fed_str(wrong[i]), &cron, &err) < 0 && err.text[0]);
    }
    assert_false(fed_cron_zone_ok(FED_STR("../etc/passwd")));
    assert_false(fed_cron_zone_ok(FED_STR("/etc")));
    assert_true(fed_cron_zone_ok(FED_STR("America/Argentina/Buenos_Aires")));
}

static void test_last(void **state)
{
    struct fed_cron cron;
    struct fed_zone utc = {0};
    int missed;
    (void)state;
    assert_int_equal(fed_cron_parse(FED_STR("*/5 * * * *"), &cron, NULL), 0);
    assert_int_equal(fed_cron_last(&cron, &utc, at("2026-11-21T08:01:00Z"), at("2026-11-21T08:04:59Z"), &missed), -1);
    assert_int_equal(missed, 0);
    assert_int_equal(fed_cron_last(&cron, &utc, at("2026-11-21T08:01:00Z"), at("2026-11-21T08:12:00Z"), &missed),
                     at("2026-11-21T08:10:00Z"));
    assert_int_equal(missed, 2);
    assert_int_equal(fed_cron_last(&cron, &utc, at("2020-11-21T08:01:00Z"), at("2026-11-21T08:12:00Z"), &missed),
                     at("2026-11-21T08:10:00Z"));
    assert_int_equal(missed, 101);
}

static void test_broken_zones(void **state)
{
    struct fed_arena a = {0};
    struct fed_zone zone;
    char file[256];
    struct fed_str whole = zone_file(file, 3600, BERLIN);
    (void)state;
    for (size_t n = 0; n < 108; n++)
        assert_true(fed_zone_parse(&a, fed_str_n(whole.p, n), &zone, NULL) < 0);
    assert_int_equal(fed_zone_parse(&a, whole, &zone, NULL), 0);
    assert_true(fed_zone_parse(&a, zone_file(file, 3600, "CET-1CEST,M13.5.0,M10.5.0"), &zone, NULL) < 0);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_next), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_last), cmocka_unit_test(test_broken_zones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
