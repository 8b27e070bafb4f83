/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of rollouts, by cases and by a simulated rollout whose bounds must never break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "member/controllers/rollout.h"

struct plan_case {
    const char *name;
    int64_t replicas, surge, unavailable;
    bool recreate, paused, scaling, has_fresh;
    struct mbr_rollout_set fresh, old[2];
    size_t n_old;
    int64_t want_fresh, want_old[2];
    bool may_make;
};

static const struct plan_case cases[] = {
    {"nothing yet", 3, 1, 0, .may_make = true},
    {"steady", 3, 1, 0, .has_fresh = true, .fresh = {3, 3, 3, 3}, .want_fresh = 3, .may_make = true},
    {"grows by the surge", 4, 1, 1, .has_fresh = true, .fresh = {0, 0, 0, 0}, .old = {{4, 4, 4, 4}}, .n_old = 1,
     .want_fresh = 1, .want_old = {4}, .may_make = true},
    {"new pods not available: old stay", 4, 1, 0, .has_fresh = true, .fresh = {1, 1, 0, 0}, .old = {{4, 4, 4, 4}},
     .n_old = 1, .want_fresh = 1, .want_old = {4}, .may_make = true},
    {"new pod available: one old goes", 4, 1, 0, .has_fresh = true, .fresh = {1, 1, 1, 1}, .old = {{4, 4, 4, 4}},
     .n_old = 1, .want_fresh = 1, .want_old = {3}, .may_make = true},
    {"sick old pods go first", 4, 1, 1, .has_fresh = true, .fresh = {1, 1, 0, 0}, .old = {{4, 4, 2, 2}}, .n_old = 1,
     .want_fresh = 1, .want_old = {3}, .may_make = true},
    {"recreate: old go first", 2, 0, 2, .recreate = true, .old = {{2, 2, 2, 2}}, .n_old = 1, .want_old = {0}},
    {"recreate: old still ending", 2, 0, 2, .recreate = true, .old = {{0, 1, 0, 0}}, .n_old = 1, .want_old = {0}},
    {"recreate: a pod that is just being made is not counted yet", 2, 0, 2, .recreate = true,
     .old = {{.spec = 0, .stale = true}}, .n_old = 1, .want_old = {0}},
    {"recreate: gone", 2, 0, 2, .recreate = true, .old = {{0, 0, 0, 0}}, .n_old = 1, .want_old = {0}, .may_make = true},
    {"paused: as it is", 3, 1, 0, .paused = true, .old = {{3, 3, 3, 3}}, .n_old = 1, .want_old = {3}},
    {"paused and scaled", 5, 1, 0, .paused = true, .scaling = true, .old = {{3, 3, 3, 3}}, .n_old = 1, .want_old = {5}},
    {"scaled in proportion", 20, 0, 2, .scaling = true, .has_fresh = true, .fresh = {5, 5, 5, 5, .most = 10},
     .old = {{5, 5, 5, 5, .most = 10}}, .n_old = 1, .want_fresh = 10, .want_old = {10}},
    {"in proportion, the larger first", 20, 6, 4, .scaling = true, .has_fresh = true, .fresh = {5, 5, 0, 0, .most = 13},
     .old = {{8, 8, 8, 8, .most = 13}}, .n_old = 1, .want_fresh = 10, .want_old = {16}},
    {"down in proportion", 5, 2, 1, .scaling = true, .has_fresh = true, .fresh = {10, 10, 0, 0, .most = 26},
     .old = {{16, 16, 16, 16, .most = 26}}, .n_old = 1, .want_fresh = 3, .want_old = {4}},
    {"recreate: several sets are not scaled, the old ones go", 4, 0, 0, .recreate = true, .scaling = true,
     .has_fresh = true, .fresh = {1, 1, 1, 1}, .old = {{2, 2, 2, 2}}, .n_old = 1, .want_fresh = 1, .want_old = {0}},
    {"scaled to nothing", 0, 1, 0, .scaling = true, .has_fresh = true, .fresh = {3, 3, 3, 3}, .old = {{2, 2, 2, 2}},
     .n_old = 1, .want_fresh = 0, .want_old = {0}},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        const struct plan_case *c = &cases[i];
        struct mbr_rollout_set fresh = c->fresh, old[2] = {c->old[0], c->old[1]}, *list[2] = {&old[0], &old[1]};
        struct mbr_rollout r = {.replicas = c->replicas,
                                .surge = c->surge,
                                .unavailable = c->unavailable,
                                .recreate = c->recreate,
                                .paused = c->paused,
                                .scaling = c->scaling,
                                .fresh = c->has_fresh ? &fresh : NULL,
                                .old = list,
                                .n_old = c->n_old};
        bool may = mbr_rollout_plan(&r);
        print_message("%s\n", c->name);
        assert_int_equal(may, c->may_make);
        if (c->has_fresh)
            assert_int_equal(fresh.want, c->want_fresh);
        for (size_t k = 0; k < c->n_old; k++)
            assert_int_equal(old[k].want, c->want_old[k]);
    }
}

/* Plays a rollout: each step the sets get what was planned, and pods become available one at a time. */
static void play(int64_t replicas, int64_t surge, int64_t unavailable)
{
    struct mbr_rollout_set fresh = {0},
                           old = {.spec = replicas, .actual = replicas, .ready = replicas, .available = replicas},
                           *list[1] = {&old};
    for (int step = 0; step < 1000; step++) {
        struct mbr_rollout r = {
            .replicas = replicas, .surge = surge, .unavailable = unavailable, .fresh = &fresh, .old = list, .n_old = 1};
        mbr_rollout_plan(&r);
        assert_true(fresh.want + old.want <= replicas + surge || fresh.want + old.want <= fresh.spec + old.spec);
        fresh.spec = fresh.actual = fresh.want;
        old.spec = old.actual = old.want;
        old.available = old.ready = FED_MIN(old.available, old.spec);
        fresh.available = FED_MIN(fresh.available, fresh.spec);
        assert_true(fresh.available + old.available >= replicas - unavailable);
        if (fresh.available < fresh.spec)
            fresh.available = ++fresh.ready;
        if (old.spec == 0 && fresh.available == replicas)
            return;
    }
    fail_msg("%lld replicas, surge %lld, unavailable %lld: never ends", (long long)replicas, (long long)surge,
             (long long)unavailable);
}

static void test_bounds(void **state)
{
    (void)state;
    for (int64_t replicas = 1; replicas <= 12; replicas++)
        for (int64_t surge = 0; surge <= 3; surge++)
            for (int64_t unavailable = surge ? 0 : 1; unavailable <= FED_MIN(replicas, 3); unavailable++)
                play(replicas, surge, unavailable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
