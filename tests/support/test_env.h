/* SPDX-License-Identifier: Apache-2.0 */
/* test_env.h: a fed_env for tests: virtual time that moves only when asked, seeded randomness, real wakeups.
 *
 * test_env_run(env, until, ud) runs tasks, due timers and wakeups; when nothing is left it jumps to the next timer, or
 * waits (5 s of real time at most) for another thread's wakeup. It returns false when the condition never came true.
 */
#ifndef TESTS_SUPPORT_TEST_ENV_H
#define TESTS_SUPPORT_TEST_ENV_H

#include <pthread.h>

#include "base/env.h"

struct test_env {
    struct fed_env env;
    uint64_t mono_ns, seed;
    int64_t wall_start_ms;
    pthread_mutex_t lock;
    pthread_cond_t signaled;
    struct fed_list wakeups; /* open ones */
};

void test_env_init(struct test_env *t, uint64_t seed);
void test_env_release(struct test_env *t);
bool test_env_run(struct test_env *t, bool (*until)(void *ud), void *ud);
void test_env_advance(struct test_env *t, uint64_t ms); /* runs everything due on the way */
void test_env_drain(struct test_env *t);                /* runs tasks and wakeups that are due now */

#endif
