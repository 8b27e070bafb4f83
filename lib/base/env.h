/* SPDX-License-Identifier: Apache-2.0 */
/* env.h: where a component gets time, randomness and timers from. main makes one on the libuv loop (net/loop.h);
 * tests/sim supplies virtual time. Nothing else in the house calls a clock or an entropy source.
 *
 * Units:   mono in nanoseconds since an arbitrary start, never goes back; wall in milliseconds since 1970 UTC.
 *          Wall clock is for timestamps and certificates only; leases and timeouts use mono.
 * Threads: an env belongs to one thread; timers fire on it. wake() alone may be called from any thread.
 */
#ifndef FED_BASE_ENV_H
#define FED_BASE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/str.h"

struct fed_env;

struct fed_timer { /* zero-initialised = stopped; embed it in the owner */
    struct fed_heap_node node;
    void (*cb)(struct fed_timer *timer); /* owner by fed_container_of; may restart or free the timer */
};
/* Work to run on the env's thread after the current callback returns (breaks recursion). */
struct fed_task {
    struct fed_list link;
    void (*cb)(struct fed_task *task);
};

/* Lets another thread wake the env's thread: cb runs there, once or more after each signal (signals coalesce). */
struct fed_wakeup {
    struct fed_env *env;
    void (*cb)(struct fed_wakeup *wakeup);
    void *impl; /* the env's own */
};

struct fed_env_ops {
    uint64_t (*mono_ns)(struct fed_env *env);
    int64_t (*wall_ms)(struct fed_env *env);
    void (*random)(struct fed_env *env, void *out, size_t n); /* cryptographic in production, seeded in sim */
    void (*rearm)(struct fed_env *env);                       /* the earliest deadline or the task list changed */
    void (*wakeup_open)(struct fed_env *env, struct fed_wakeup *w);
    void (*wakeup_signal)(struct fed_wakeup *w); /* any thread */
    void (*wakeup_close)(struct fed_wakeup *w);  /* env's thread; no cb after it returns */
};
struct fed_env {
    const struct fed_env_ops *ops;
    struct fed_heap timers;
    struct fed_list tasks;
};

void fed_env_init(struct fed_env *env, const struct fed_env_ops *ops);
void fed_env_release(struct fed_env *env);

static inline uint64_t fed_mono_ns(struct fed_env *env)
{
    return env->ops->mono_ns(env);
}
static inline uint64_t fed_mono_ms(struct fed_env *env)
{
    return env->ops->mono_ns(env) / 1000000;
}
static inline int64_t fed_wall_ms(struct fed_env *env)
{
    return env->ops->wall_ms(env);
}
static inline void fed_random(struct fed_env *env, void *out, size_t n)
{
    env->ops->random(env, out, n);
}
uint64_t fed_random_below(struct fed_env *env, uint64_t n); /* uniform in [0, n); n > 0 */

void fed_timer_start(struct fed_env *env, struct fed_timer *t, uint64_t delay_ms, void (*cb)(struct fed_timer *));
void fed_timer_stop(struct fed_env *env, struct fed_timer *t); /* idempotent */
static inline bool fed_timer_active(const struct fed_timer *t)
{
    return t->node.place != 0;
}
void fed_task_post(struct fed_env *env, struct fed_task *task, void (*cb)(struct fed_task *)); /* once until it ran */
void fed_task_cancel(struct fed_task *task);

void fed_wakeup_open(struct fed_env *env, struct fed_wakeup *w, void (*cb)(struct fed_wakeup *));
void fed_wakeup_signal(struct fed_wakeup *w);
void fed_wakeup_close(struct fed_wakeup *w);

/* For the driver of an env: milliseconds until the next timer (UINT64_MAX: none, 0 also when tasks wait),
 * and run what is due: first tasks, then timers, then tasks they posted. */
uint64_t fed_env_next_ms(struct fed_env *env);
void fed_env_run_due(struct fed_env *env);

/* RFC 3339 UTC seconds, "2026-11-21T08:00:00Z" (the form of metav1.Time); out has room for 21 bytes. */
void fed_time_format(int64_t wall_ms, char out[21]);
/* With microseconds, "2026-11-21T08:00:00.000000Z" (metav1.MicroTime); 28 bytes. */
void fed_time_format_micro(int64_t wall_ms, char out[28]);
FED_MUST_USE int fed_time_parse(struct fed_str s, int64_t *wall_ms); /* RFC 3339 with any offset; 0 or FED_E_SYNTAX */

/* The proleptic Gregorian calendar: days since 1970-01-01 of a day, and back. month 1–12, day 1–31. */
int64_t fed_days_from_civil(int64_t year, int month, int day);
void fed_civil_from_days(int64_t days, int *year, int *month, int *day);

/* A version 4 UUID in text (RFC 9562), 37 bytes with NUL. */
void fed_uuid(struct fed_env *env, char out[37]);

#endif
