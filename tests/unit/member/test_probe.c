/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of probe results and what they come to; restarts and their back-off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "member/agent/probe.h"

struct row {
    const char *name;
    enum mbr_probe_kind kind;
    const char *spec;
    const char *results; /* '+' and '-', one each `apart_ms` */
    uint32_t apart_ms;
    const char *verdicts; /* after each: '?', 'P', 'F' */
};
static const struct row rows[] = {
    {"ready at once", MBR_PROBE_READINESS, "{\"periodSeconds\":1}", "+", 1000, "P"},
    {"eager failures do not count", MBR_PROBE_READINESS, "{\"periodSeconds\":1,\"failureThreshold\":2}", "---+", 20,
     "???P"},
    {"but one of each period does", MBR_PROBE_READINESS, "{\"periodSeconds\":1,\"failureThreshold\":3}", "---", 1000,
     "??F"},
    {"a blip is forgiven", MBR_PROBE_READINESS, "{\"periodSeconds\":1}", "+--+---", 1000, "PPPPPPF"},
    {"success threshold", MBR_PROBE_READINESS, "{\"periodSeconds\":1,\"successThreshold\":2}", "+-++", 1000, "???P"},
    {"liveness fails", MBR_PROBE_LIVENESS, "{\"periodSeconds\":5}", "+---", 5000, "PPPF"},
    {"liveness has one success", MBR_PROBE_LIVENESS, "{\"successThreshold\":9}", "+", 10000, "P"},
    {"startup gives up", MBR_PROBE_STARTUP, "{\"periodSeconds\":2,\"failureThreshold\":2}", "---", 2000, "?FF"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct fed_json *spec;
        struct mbr_probe p;
        bool counted;
        assert_int_equal(fed_json_parse(&a, fed_str(rows[i].spec), NULL, &spec, NULL), 0);
        mbr_probe_init(&p, rows[i].kind, spec);
        print_message("%s\n", rows[i].name);
        for (size_t k = 0; rows[i].results[k]; k++) {
            uint32_t wait = mbr_probe_result(&p, rows[i].results[k] == '+', 5000 + k * rows[i].apart_ms, &counted);
            assert_true(wait > 0 && wait <= p.period_ms);
            assert_int_equal("?PF"[p.verdict], rows[i].verdicts[k]);
        }
        fed_arena_release(&a);
    }
}

static void test_first(void **state)
{
    static const struct {
        enum mbr_probe_kind kind;
        uint32_t delay_s, want_ms;
    } t[] = {{MBR_PROBE_READINESS, 0, 0},
             {MBR_PROBE_READINESS, 2, 2000},
             {MBR_PROBE_STARTUP, 0, 0},
             {MBR_PROBE_LIVENESS, 0, 10000},
             {MBR_PROBE_LIVENESS, 3, 3000}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++) {
        struct mbr_probe p;
        mbr_probe_init(&p, t[i].kind, NULL);
        p.delay_ms = t[i].delay_s * 1000;
        assert_int_equal(mbr_probe_first(&p), t[i].want_ms);
    }
}

static void test_eager_waits(void **state)
{
    struct mbr_probe p;
    bool counted;
    uint32_t total = 0, n = 0;
    (void)state;
    mbr_probe_init(&p, MBR_PROBE_READINESS, NULL);
    while (total < 10000) {
        total += mbr_probe_result(&p, false, 1 + total, &counted);
        n++;
    }
    assert_in_range(n, 5, 12); /* eager, but no hammering */
}

static void test_backoff(void **state)
{
    static const uint32_t want[] = {0, 10000, 20000, 40000, 80000, 160000, 300000, 300000};
    uint32_t delay = 0;
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(want); i++)
        assert_int_equal(mbr_backoff_next(&delay, 1000), want[i]);
    assert_int_equal(mbr_backoff_next(&delay, 600000), 0);
    assert_int_equal(mbr_backoff_next(&delay, 1000), 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_first),
                                       cmocka_unit_test(test_eager_waits), cmocka_unit_test(test_backoff)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
