/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of the choice of cluster and endpoint: shares add up, capacity is kept, nearer comes first. */
#include "unit/unit.h"

#include "base/def.h"
#include "globallb/balance/budget.h"
#include "globallb/balance/delay.h"
#include "globallb/balance/p2c.h"
#include "globallb/balance/spill.h"

static uint64_t seed = 42;
static uint32_t dice(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (uint32_t)((seed * 0x2545f4914f6cdd1du) >> 32);
}

static void test_shares(void **state)
{
    (void)state;
    /* Healthy percentages of clusters nearest first, and the shares of Envoy's priority levels. */
    static const struct {
        const char *name;
        uint32_t healthy[3], want[3];
    } rows[] = {
        {"all well", {100, 100, 100}, {100, 0, 0}},
        {"72 % is enough", {72, 72, 100}, {100, 0, 0}},
        {"71 %", {71, 71, 100}, {99, 1, 0}},
        {"half", {50, 50, 100}, {70, 30, 0}},
        {"half, weak second", {50, 25, 100}, {70, 30, 0}},
        {"quarter", {25, 100, 100}, {35, 65, 0}},
        {"quarters", {25, 25, 20}, {36, 36, 28}},
        {"quarter and third place", {25, 25, 100}, {35, 35, 30}},
        {"first gone", {0, 100, 100}, {0, 100, 0}},
        {"only the last, weakly", {0, 0, 10}, {0, 0, 100}},
        {"nothing", {0, 0, 0}, {33, 33, 33}},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct glb_side sides[3] = {0};
        struct glb_spill s;
        for (int k = 0; k < 3; k++)
            sides[k] = (struct glb_side){.healthy = rows[i].healthy[k], .all = 100};
        glb_spill_loads(sides, 3, &s);
        for (int k = 0; k < 3; k++)
            CHECK(rows[i].name, s.load[k] == rows[i].want[k] || (i == 10 && s.load[k] <= 34));
    }
}

static void test_shares_add_up(void **state)
{
    (void)state;
    for (int round = 0; round < 200000; round++) {
        struct glb_side sides[8] = {0};
        struct glb_spill s;
        size_t n = 1 + dice() % 8;
        uint32_t all = 0, sum = 0;
        for (size_t k = 0; k < n; k++) {
            sides[k].all = dice() % 5 ? dice() % 20 : 0;
            sides[k].healthy = sides[k].all ? dice() % (sides[k].all + 1) : 0;
            sides[k].excluded = dice() % 6 == 0;
            all += sides[k].all;
        }
        glb_spill_loads(sides, n, &s);
        for (size_t k = 0; k < n; k++) {
            sum += s.load[k];
            assert_true(sides[k].all > 0 || s.load[k] == 0);
        }
        assert_int_equal(sum, all ? 100 : 0);
        int c = glb_spill_choose(sides, n, &s, dice() % 100);
        assert_true(all ? c >= 0 && sides[c].all > 0 : c < 0);
    }
}

/* Requests come and go: no cluster is filled over its limit while any has room; nearer ones fill first. */
static void test_capacity(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct glb_side sides[4] = {0};
        size_t n = 2 + dice() % 3;
        int64_t room = 0;
        for (size_t k = 0; k < n; k++) {
            sides[k] = (struct glb_side){.healthy = 4, .all = 4, .limit = 1 + dice() % 50};
            room += sides[k].limit;
        }
        struct glb_spill s;
        glb_spill_loads(sides, n, &s);
        for (int64_t i = 0; i < room; i++) {
            int c = glb_spill_choose(sides, n, &s, dice() % 100);
            assert_true(sides[c].in_flight < sides[c].limit);
            for (int k = 0; k < c; k++)
                assert_true(sides[k].in_flight == sides[k].limit);
            sides[c].in_flight++;
        }
        /* All full: what more comes goes by how full they are. */
        for (int64_t i = 0; i < room; i++)
            sides[glb_spill_choose(sides, n, &s, dice() % 100)].in_flight++;
        for (size_t k = 0; k < n; k++)
            assert_true(sides[k].in_flight >= 2 * sides[k].limit - 1 - sides[k].limit / 2);
    }
}

static void test_excluded_only_when_nothing_else(void **state)
{
    (void)state;
    struct glb_side sides[2] = {{.healthy = 1, .all = 1, .excluded = true}, {.healthy = 1, .all = 1}};
    struct glb_spill s;
    glb_spill_loads(sides, 2, &s);
    assert_int_equal(s.load[1], 100);
    sides[1].healthy = 0;
    glb_spill_loads(sides, 2, &s);
    assert_int_equal(s.load[1], 100);
    sides[1].all = 0;
    glb_spill_loads(sides, 2, &s);
    assert_int_equal(s.load[0], 100);
}

static void test_p2c(void **state)
{
    (void)state;
    uint32_t load[10] = {0}, a, b;
    glb_p2c_pair(1, dice(), &a, &b);
    assert_true(a == 0 && b == 0);
    for (int i = 0; i < 100000; i++) {
        glb_p2c_pair(10, dice(), &a, &b);
        assert_true(a < 10 && b < 10 && a != b);
        load[glb_p2c_better(a, load[a], b, load[b])]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(load[i], 9990, 10010);
}

static void test_budget(void **state)
{
    (void)state;
    struct glb_budget b;
    uint64_t now = 1000;
    unsigned taken = 0;
    glb_budget_init(&b, 20, 10, now);
    while (glb_budget_take(&b, now))
        taken++;
    assert_in_range(taken, 1, 100);
    taken = 0;
    for (int s = 0; s < 10; s++, now += 1000) {
        for (int i = 0; i < 1000; i++) {
            glb_budget_request(&b);
            taken += glb_budget_take(&b, now);
        }
    }
    assert_in_range(taken, 2000, 2100); /* 20 % of 10,000, and 10 in each second */
    /* A quiet hour does not pay for a storm. */
    now += 3600000;
    for (taken = 0; glb_budget_take(&b, now); taken++)
        ;
    assert_true(taken <= 2200);
    now += 3600000;
    for (taken = 0; glb_budget_take(&b, now); taken++)
        ;
    assert_true(taken <= 100);
    glb_budget_init(&b, 0, 0, now);
    glb_budget_request(&b);
    assert_false(glb_budget_take(&b, now + 100000));
}

static void test_delay(void **state)
{
    (void)state;
    struct glb_delay d = {0};
    assert_int_equal(glb_delay_hedge_ms(&d, 100, 500), 250);
    for (int i = 0; i < 100; i++)
        glb_delay_sample(&d, 2000);
    assert_int_equal(glb_delay_hedge_ms(&d, 100, 500), 100);
    for (int i = 0; i < 100; i++)
        glb_delay_sample(&d, 60000 + (uint64_t)(i % 3) * 10000);
    assert_in_range(glb_delay_hedge_ms(&d, 100, 500), 200, 400);
    for (int i = 0; i < 100; i++)
        glb_delay_sample(&d, UINT64_MAX / 2);
    assert_int_equal(glb_delay_hedge_ms(&d, 100, 500), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),   cmocka_unit_test(test_shares_add_up),
        cmocka_unit_test(test_capacity), cmocka_unit_test(test_excluded_only_when_nothing_else),
        cmocka_unit_test(test_p2c),      cmocka_unit_test(test_budget),
        cmocka_unit_test(test_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
