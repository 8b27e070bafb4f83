/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "fedapi/controllers/planner.h"

enum { MAX_CLUSTERS = 6 };

struct row {
    const char *name;
    const char *prefs;
    int64_t replicas;
    const char *key;
    /* current and capacity by cluster A, B, C…; -1 where not known */
    int64_t current[MAX_CLUSTERS], capacity[MAX_CLUSTERS];
    int n;
    int64_t want[MAX_CLUSTERS];
    int64_t unplaced;
};
#define NONE                                                                                                           \
    {                                                                                                                  \
        -1, -1, -1, -1, -1, -1                                                                                         \
    }
#define STAR "{\"clusters\":{\"*\":{\"weight\":1}}}"

static const struct row rows[] = {
    {"equal, order by FNV-1", STAR, 50, "", NONE, NONE, 3, {16, 17, 17}, 0},
    {"nothing to divide", STAR, 0, "", NONE, NONE, 3, {0, 0, 0}, 0},
    {"one", STAR, 1, "", NONE, NONE, 3, {0, 0, 1}, 0},
    {"no cluster", STAR, 5, "", NONE, NONE, 0, {0}, 5},
    {"default", "", 6, "k", NONE, NONE, 3, {2, 2, 2}, 0},
    {"weights", "{\"clusters\":{\"A\":{\"weight\":1},\"B\":{\"weight\":2}}}", 60, "", NONE, NONE, 3, {20, 40, 0}, 0},
    {"any case of names",
     "{\"Clusters\":{\"A\":{\"WEIGHT\":1},\"B\":{\"Weight\":3}}}",
     4,
     "",
     NONE,
     NONE,
     2,
     {1, 3},
     0},
    {"minimum first", "{\"clusters\":{\"*\":{\"minReplicas\":2,\"weight\":0}}}", 50, "", NONE, NONE, 3, {2, 2, 2}, 44},
    {"minimum, not enough",
     "{\"clusters\":{\"*\":{\"minReplicas\":20,\"weight\":0}}}",
     50,
     "",
     NONE,
     NONE,
     3,
     {10, 20, 20},
     0},
    {"minimum and weight",
     "{\"clusters\":{\"A\":{\"minReplicas\":10,\"weight\":1},\"B\":{\"weight\":1}}}",
     20,
     "",
     NONE,
     NONE,
     2,
     {15, 5},
     0},
    {"maximum", "{\"clusters\":{\"*\":{\"maxReplicas\":2,\"weight\":1}}}", 50, "", NONE, NONE, 3, {2, 2, 2}, 44},
    {"maximum zero",
     "{\"clusters\":{\"A\":{\"maxReplicas\":0,\"weight\":5},\"B\":{\"weight\":1}}}",
     7,
     "",
     NONE,
     NONE,
     2,
     {0, 7},
     0},
    {"rest beyond a maximum",
     "{\"clusters\":{\"A\":{\"weight\":10000,\"maxReplicas\":10},\"B\":{\"weight\":1},\"C\":{\"weight\":1}}}",
     50,
     "",
     NONE,
     NONE,
     3,
     {10, 20, 20},
     0},
    {"kept where they run", STAR, 10, "", {10, 0, -1}, NONE, 3, {10, 0, 0}, 0},
    {"rebalanced",
     "{\"rebalance\":true,\"clusters\":{\"*\":{\"weight\":1}}}",
     9,
     "",
     {9, 0, -1},
     NONE,
     3,
     {3, 3, 3},
     0},
    {"scaled up: evened out", STAR, 30, "", {10, 0, 0}, NONE, 3, {10, 10, 10}, 0},
    {"scaled down: towards the shares", STAR, 6, "", {6, 6, 6}, NONE, 3, {2, 2, 2}, 0},
    {"scaled down: none grows", STAR, 6, "", {9, 1, 0}, NONE, 3, {5, 1, 0}, 0},
    {"scaled down: a minimum grows",
     "{\"clusters\":{\"*\":{\"weight\":1},\"C\":{\"weight\":1,\"minReplicas\":2}}}",
     6,
     "",
     {9, 1, 0},
     NONE,
     3,
     {3, 1, 2},
     0},
    {"scaled down: weights",
     "{\"clusters\":{\"A\":{\"weight\":1},\"B\":{\"weight\":2}}}",
     6,
     "",
     {8, 8, -1},
     NONE,
     2,
     {2, 4},
     0},
    {"scaled down: without weight goes first",
     "{\"clusters\":{\"A\":{\"weight\":0},\"B\":{\"weight\":1}}}",
     7,
     "",
     {5, 5, -1},
     NONE,
     2,
     {2, 5},
     0},
    {"scaled down to nothing", STAR, 0, "", {6, 6, 6}, NONE, 3, {0, 0, 0}, 0},
    {"a cluster returns: its share back", STAR, 9, "", {3, 5, 4}, NONE, 3, {3, 3, 3}, 0},
    {"a cluster returns empty: nothing moves", STAR, 9, "", {-1, 5, 4}, NONE, 3, {0, 5, 4}, 0},
    {"a cluster returns, more than wanted even so", STAR, 4, "", {3, 5, 4}, NONE, 3, {0, 2, 2}, 0},
    {"capacity", STAR, 50, "", NONE, {-1, -1, 5}, 3, {22, 23, 5}, 0},
    {"capacity of all: the rest waits", STAR, 12, "", NONE, {2, 2, 2}, 3, {4, 4, 4}, 0},
    {"current beyond capacity moves", STAR, 10, "", {10, 0, -1}, {4, -1, -1}, 3, {4, 3, 3}, 0},
    {"named none", "{\"clusters\":{\"X\":{\"weight\":1}}}", 5, "", NONE, NONE, 2, {0, 0}, 5},
};

static struct fed_str cluster_name(int i)
{
    static const char names[] = "ABCDEF";
    return fed_str_n(names + i, 1);
}

static void table(void **state)
{
    (void)state;
    for (size_t r = 0; r < FED_ARRAY_LEN(rows); r++) {
        const struct row *row = &rows[r];
        struct fed_arena a = {0};
        struct fapi_preferences prefs;
        struct fapi_plan plan;
        struct fapi_plan_cluster cs[MAX_CLUSTERS];
        struct fed_err err = {0};
        if (fapi_preferences_parse(&a, fed_str(row->prefs), &prefs, &err) != 0)
            fail_msg("%s: %s", row->name, err.text);
        for (int i = 0; i < row->n; i++)
            cs[i] = (struct fapi_plan_cluster){cluster_name(i), NULL, row->current[i], row->capacity[i]};
        fapi_plan(&a, fed_str(row->key), row->replicas, cs, (size_t)row->n, &prefs, &plan);
        for (int i = 0; i < row->n; i++) {
            if (plan.parts[i].replicas != row->want[i])
                fail_msg("%s: cluster %c got %d, not %d (%.*s)", row->name, 'A' + i, (int)plan.parts[i].replicas,
                         (int)row->want[i], FED_STR_ARG(plan.parts[i].why));
            assert_true(plan.parts[i].why.n > 0);
        }
        if (plan.unplaced != row->unplaced)
            fail_msg("%s: unplaced %d", row->name, (int)plan.unplaced);
        fed_arena_release(&a);
    }
}

static void malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {"{",
                                      "[]",
                                      "3",
                                      "{\"clusters\":[]}",
                                      "{\"clusters\":{\"a\":1}}",
                                      "{\"clusters\":{\"a\":{\"weight\":-1}}}",
                                      "{\"clusters\":{\"a\":{\"weight\":\"1\"}}}",
                                      "{\"clusters\":{\"a\":{\"minReplicas\":3,\"maxReplicas\":2}}}",
                                      "{\"clusters\":{\"a\":{\"weight\":99999999999}}}"};
    for (size_t i = 0; i < FED_ARRAY_LEN(bad); i++) {
        struct fed_arena a = {0};
        struct fapi_preferences p;
        struct fed_err err = {0};
        if (fapi_preferences_parse(&a, fed_str(bad[i]), &p, &err) != FED_E_INVALID)
            fail_msg("%s passed", bad[i]);
        assert_true(err.text[0]);
        fed_arena_release(&a);
    }
}

static uint64_t seed = 42;
static int64_t below(int64_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((seed >> 33) % (uint64_t)n);
}

/* Random preferences and states: what must hold for all. */
static void properties(void **state)
{
    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct fed_arena a = {0};
        struct fapi_plan_cluster cs[MAX_CLUSTERS];
        struct fapi_preference items[MAX_CLUSTERS];
        struct fapi_preferences prefs = {.rebalance = below(2), .items = items};
        int n = 1 + (int)below(MAX_CLUSTERS);
        int64_t replicas = below(60), sum = 0, room = 0;
        bool unbounded = false;
        for (int i = 0; i < n; i++) {
            int64_t max = below(3) ? -1 : below(20);
            items[prefs.n++] =
                (struct fapi_preference){cluster_name(i), max < 0 ? below(5) : below(max + 1), max, below(4)};
            cs[i] = (struct fapi_plan_cluster){cluster_name(i), below(8) ? NULL : "offline", below(30) - 1,
                                               below(4) ? -1 : below(20)};
        }
        struct fapi_plan plan, twice;
        fapi_plan(&a, FED_STR("ns/x"), replicas, cs, (size_t)n, &prefs, &plan);
        fapi_plan(&a, FED_STR("ns/x"), replicas, cs, (size_t)n, &prefs, &twice);
        for (int i = 0; i < n; i++) {
            int64_t got = plan.parts[i].replicas;
            assert_int_equal(got, twice.parts[i].replicas);
            assert_true(got >= 0 && plan.parts[i].pending >= 0 && plan.parts[i].pending <= got);
            sum += got;
            if (cs[i].unusable) {
                assert_int_equal(got, 0);
                continue;
            }
            if (items[i].max >= 0)
                assert_true(got <= items[i].max);
            if (cs[i].capacity >= 0)
                assert_true(got - plan.parts[i].pending <= cs[i].capacity);
            if (items[i].weight > 0) {
                if (items[i].max < 0)
                    unbounded = true;
                else
                    room += items[i].max;
            }
        }
        assert_int_equal(sum + plan.unplaced, replicas);
        if (unbounded)
            assert_int_equal(plan.unplaced, 0);
        else if (room >= replicas)
            assert_int_equal(plan.unplaced, 0);
        /* The plan is a fixed point: carried out, nothing moves (capacity apart, which only measures can tell). */
        if (!prefs.rebalance) {
            bool known = false;
            for (int i = 0; i < n; i++) {
                known = known || cs[i].capacity >= 0;
                cs[i].current = plan.parts[i].replicas;
            }
            fapi_plan(&a, FED_STR("ns/x"), replicas, cs, (size_t)n, &prefs, &twice);
            for (int i = 0; i < n && !known; i++)
                assert_int_equal(plan.parts[i].replicas, twice.parts[i].replicas);
        }
        fed_arena_release(&a);
    }
}

/* A cluster that leaves or returns moves nothing between the others. */
static void minimal_movement(void **state)
{
    (void)state;
    for (int round = 0; round < 5000; round++) {
        struct fed_arena a = {0};
        struct fapi_plan_cluster cs[MAX_CLUSTERS];
        struct fapi_preferences prefs;
        struct fapi_plan before, after, back;
        int n = 2 + (int)below(MAX_CLUSTERS - 1), gone = (int)below(n);
        int64_t replicas = 1 + below(100);
        fapi_preferences_default(&a, &prefs);
        for (int i = 0; i < n; i++)
            cs[i] = (struct fapi_plan_cluster){cluster_name(i), NULL, -1, -1};
        fapi_plan(&a, FED_STR("ns/x"), replicas, cs, (size_t)n, &prefs, &before);
        for (int i = 0; i < n; i++)
            cs[i].current = before.parts[i].replicas;
        cs[gone].unusable = "offline";
        fapi_plan(&a, FED_STR("ns/x"), replicas, cs, (size_t)n, &prefs, &after);
        for (int i = 0; i < n; i++) {
            if (i != gone)
                assert_true(after.parts[i].replicas >= before.parts[i].replicas);
            cs[i].current = after.parts[i].replicas;
        }
        cs[gone].unusable = NULL;
        fapi_plan(&a, FED_STR("ns/x"), replicas, cs, (size_t)n, &prefs, &back);
        for (int i = 0; i < n; i++)
            assert_int_equal(back.parts[i].replicas, after.parts[i].replicas);
        fed_arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(malformed),
                                       cmocka_unit_test(properties), cmocka_unit_test(minimal_movement)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
