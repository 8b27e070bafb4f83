/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"

#include <stdio.h>

#include "base/err.h"

#define NS_PER_MS 1000000u

void fed_env_init(struct fed_env *env, const struct fed_env_ops *ops)
{
    env->ops = ops;
    env->timers = (struct fed_heap){0};
    fed_list_init(&env->tasks);
}

void fed_env_release(struct fed_env *env)
{
    while (!fed_list_empty(&env->tasks))
        fed_list_remove(env->tasks.next);
    fed_heap_release(&env->timers);
}

static void rearm(struct fed_env *env)
{
    if (env->ops->rearm)
        env->ops->rearm(env);
}

uint64_t fed_random_below(struct fed_env *env, uint64_t n)
{
    FED_REQUIRE(n > 0);
    uint64_t skip = (0 - n) % n; /* the 2^64 mod n lowest values would make small results likelier */
    uint64_t v;
    do
        fed_random(env, &v, sizeof(v));
    while (v < skip);
    return v % n;
}

void fed_timer_start(struct fed_env *env, struct fed_timer *t, uint64_t delay_ms, void (*cb)(struct fed_timer *))
{
    uint64_t delay, at;
    if (__builtin_mul_overflow(delay_ms, NS_PER_MS, &delay) || __builtin_add_overflow(fed_mono_ns(env), delay, &at))
        at = UINT64_MAX;
    t->cb = cb;
    bool was_top = fed_heap_top(&env->timers) == &t->node;
    fed_heap_put(&env->timers, &t->node, at);
    if (was_top || fed_heap_top(&env->timers) == &t->node)
        rearm(env);
}

void fed_timer_stop(struct fed_env *env, struct fed_timer *t)
{
    bool was_top = t->node.place && fed_heap_top(&env->timers) == &t->node;
    fed_heap_remove(&env->timers, &t->node);
    if (was_top)
        rearm(env);
}

void fed_task_post(struct fed_env *env, struct fed_task *task, void (*cb)(struct fed_task *))
{
    task->cb = cb;
    if (fed_list_linked(&task->link))
        return;
    bool first = fed_list_empty(&env->tasks);
    fed_list_push_back(&env->tasks, &task->link);
    if (first)
        rearm(env);
}

void fed_task_cancel(struct fed_task *task)
{
    fed_list_remove(&task->link);
}

void fed_wakeup_open(struct fed_env *env, struct fed_wakeup *w, void (*cb)(struct fed_wakeup *))
{
    w->env = env;
    w->cb = cb;
    w->impl = NULL;
    env->ops->wakeup_open(env, w);
}

void fed_wakeup_signal(struct fed_wakeup *w)
{
    w->env->ops->wakeup_signal(w);
}

void fed_wakeup_close(struct fed_wakeup *w)
{
    if (!w->env) /* never opened, or closed already */
        return;
    w->env->ops->wakeup_close(w);
    w->env = NULL;
}

uint64_t fed_env_next_ms(struct fed_env *env)
{
    if (!fed_list_empty(&env->tasks))
        return 0;
    struct fed_heap_node *top = fed_heap_top(&env->timers);
    if (!top)
        return UINT64_MAX;
    uint64_t now = fed_mono_ns(env);
    if (top->key <= now)
        return 0;
    uint64_t ns = top->key - now;
    return ns / NS_PER_MS + (ns % NS_PER_MS != 0); /* upwards: a timer never fires early */
}

/* Runs the tasks posted so far. Those posted meanwhile wait for the next round, so a task that posts itself again
 * does not keep the thread; a task that another one cancels or frees leaves the local list like any other. */
static bool run_tasks(struct fed_env *env)
{
    struct fed_list round;
    if (fed_list_empty(&env->tasks))
        return false;
    round = env->tasks;
    round.next->prev = round.prev->next = &round;
    fed_list_init(&env->tasks);
    while (!fed_list_empty(&round)) {
        struct fed_task *task = FED_LIST_ENTRY(round.next, struct fed_task, link);
        fed_list_remove(&task->link);
        task->cb(task);
    }
    return true;
}

/* The top is looked up anew for each step: a callback may start, stop or free any timer. Timers (re)started within
 * this round carry a higher sequence number and wait for the next one, even with a delay of 0. */
static bool run_timers(struct fed_env *env)
{
    uint64_t now = fed_mono_ns(env);
    uint64_t last_seq = env->timers.seq;
    struct fed_heap_node *top;
    bool ran = false;
    while ((top = fed_heap_top(&env->timers)) && top->key <= now && top->seq <= last_seq) {
        struct fed_timer *t = fed_container_of(top, struct fed_timer, node);
        fed_heap_remove(&env->timers, top);
        ran = true;
        t->cb(t);
    }
    return ran;
}

void fed_env_run_due(struct fed_env *env)
{
    bool ran = run_tasks(env);
    if (run_timers(env)) {
        ran = true;
        run_tasks(env);
    }
    if (ran)
        rearm(env);
}

void fed_uuid(struct fed_env *env, char out[37])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char b[16];
    fed_random(env, b, sizeof(b));
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex[b[i] >> 4];
        *p++ = hex[b[i] & 15];
    }
    *p = '\0';
}
