/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test_env.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

struct test_wakeup {
    struct fed_list link;
    struct fed_wakeup *wakeup;
    bool signaled;
};

static struct test_env *self(struct fed_env *env)
{
    return fed_container_of(env, struct test_env, env);
}
static uint64_t mono_ns(struct fed_env *env)
{
    return self(env)->mono_ns;
}
static int64_t wall_ms(struct fed_env *env)
{
    return self(env)->wall_start_ms + (int64_t)(self(env)->mono_ns / 1000000);
}
static void random_bytes(struct fed_env *env, void *out, size_t n)
{
    struct test_env *t = self(env);
    for (size_t i = 0; i < n; i++) { /* xorshift64: repeatable */
        t->seed ^= t->seed << 13;
        t->seed ^= t->seed >> 7;
        t->seed ^= t->seed << 17;
        ((unsigned char *)out)[i] = (unsigned char)(t->seed >> 24);
    }
}
static void rearm(struct fed_env *env FED_UNUSED)
{
}
static void wakeup_open(struct fed_env *env, struct fed_wakeup *w)
{
    struct test_wakeup *tw = FED_NEW(struct test_wakeup);
    tw->wakeup = w;
    w->impl = tw;
    fed_list_push_back(&self(env)->wakeups, &tw->link);
}
static void wakeup_signal(struct fed_wakeup *w)
{
    struct test_env *t = self(w->env);
    pthread_mutex_lock(&t->lock);
    ((struct test_wakeup *)w->impl)->signaled = true;
    pthread_cond_signal(&t->signaled);
    pthread_mutex_unlock(&t->lock);
}
static void wakeup_close(struct fed_wakeup *w)
{
    struct test_wakeup *tw = w->impl;
    fed_list_remove(&tw->link);
    free(tw);
}

static const struct fed_env_ops ops = {
    .mono_ns = mono_ns,
    .wall_ms = wall_ms,
    .random = random_bytes,
    .rearm = rearm,
    .wakeup_open = wakeup_open,
    .wakeup_signal = wakeup_signal,
    .wakeup_close = wakeup_close,
};

void test_env_init(struct test_env *t, uint64_t seed)
{
    memset(t, 0, sizeof(*t));
    fed_env_init(&t->env, &ops);
    t->seed = seed ? seed : 88172645463325252ull;
    t->mono_ns = 1000000000;
    t->wall_start_ms = 1767225600000; /* 2026-01-01T00:00:00Z */
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->signaled, NULL);
    fed_list_init(&t->wakeups);
}

void test_env_release(struct test_env *t)
{
    fed_env_release(&t->env);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->signaled);
}

static struct fed_wakeup *take_signaled(struct test_env *t)
{
    struct fed_wakeup *found = NULL;
    pthread_mutex_lock(&t->lock);
    FED_LIST_EACH(node, &t->wakeups) {
        struct test_wakeup *tw = FED_LIST_ENTRY(node, struct test_wakeup, link);
        if (tw->signaled) {
            tw->signaled = false;
            found = tw->wakeup;
            break;
        }
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

void test_env_drain(struct test_env *t)
{
    struct fed_wakeup *w;
    fed_env_run_due(&t->env);
    while ((w = take_signaled(t))) {
        w->cb(w);
        fed_env_run_due(&t->env);
    }
}

/* False when nothing was signaled within 5 s. */
static bool wait_signal(struct test_env *t)
{
    struct timespec end;
    int rc = 0;
    bool any = false;
    timespec_get(&end, TIME_UTC);
    end.tv_sec += 5;
    pthread_mutex_lock(&t->lock);
    while (!any && rc != ETIMEDOUT) {
        FED_LIST_EACH(node, &t->wakeups)
            any |= FED_LIST_ENTRY(node, struct test_wakeup, link)->signaled;
        if (!any)
            rc = pthread_cond_timedwait(&t->signaled, &t->lock, &end);
    }
    pthread_mutex_unlock(&t->lock);
    return any;
}

bool test_env_run(struct test_env *t, bool (*until)(void *ud), void *ud)
{
    for (int turns = 0; turns < 1000000; turns++) {
        test_env_drain(t);
        if (until(ud))
            return true;
        uint64_t next = fed_env_next_ms(&t->env);
        if (next != UINT64_MAX)
            t->mono_ns += next * 1000000;
        else if (fed_list_empty(&t->wakeups) || !wait_signal(t))
            return false;
    }
    return false;
}

void test_env_advance(struct test_env *t, uint64_t ms)
{
    uint64_t end = t->mono_ns + ms * 1000000;
    for (;;) {
        test_env_drain(t);
        uint64_t next = fed_env_next_ms(&t->env);
        if (next == UINT64_MAX || t->mono_ns + next * 1000000 > end)
            break;
        t->mono_ns += next * 1000000;
    }
    t->mono_ns = end;
    test_env_drain(t);
}
