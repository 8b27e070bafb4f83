/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "harness.h"

struct ctx {
    struct bench bench;
    struct fed_timer timers[3];
    struct fed_task task;
    struct fed_wakeup wakeup;
    char order[16];
    int n_woken, n_signals, n_events;
    int fds[2];
    bool worked, done;
    pthread_t worker;
};

static struct ctx *ctx_of_timer(struct fed_timer *t, size_t i)
{
    return fed_container_of(t - i, struct ctx, timers);
}
static void note(struct ctx *c, char what)
{
    size_t n = strlen(c->order);
    if (n + 1 < sizeof(c->order))
        c->order[n] = what;
}
static void on_timer0(struct fed_timer *t)
{
    note(ctx_of_timer(t, 0), '0');
}
static void on_timer1(struct fed_timer *t)
{
    note(ctx_of_timer(t, 1), '1');
}
static void on_task(struct fed_task *task)
{
    note(fed_container_of(task, struct ctx, task), 't');
}
static bool three_noted(void *ud)
{
    return strlen(((struct ctx *)ud)->order) >= 3;
}

static int setup(void **state)
{
    struct ctx *c = FED_NEW(struct ctx);
    c->bench.loop = fed_loop_new();
    *state = c;
    return 0;
}
static int teardown(void **state)
{
    struct ctx *c = *state;
    fed_loop_free(c->bench.loop);
    free(c);
    return 0;
}

static void test_timers_and_tasks(void **state)
{
    struct ctx *c = *state;
    struct fed_env *env = fed_loop_env(c->bench.loop);
    uint64_t t0 = fed_mono_ns(env);
    fed_timer_start(env, &c->timers[0], 30, on_timer0);
    fed_timer_start(env, &c->timers[1], 10, on_timer1);
    fed_timer_start(env, &c->timers[2], 1, on_timer0);
    fed_timer_stop(env, &c->timers[2]);
    fed_task_post(env, &c->task, on_task);
    BENCH_RUN(&c->bench, three_noted, c);
    assert_string_equal(c->order, "t10");
    assert_true(fed_mono_ns(env) - t0 >= 30000000);
}

static void test_env(void **state)
{
    struct ctx *c = *state;
    struct fed_env *env = fed_loop_env(c->bench.loop);
    unsigned char a[32] = {0}, b[32] = {0};
    fed_random(env, a, sizeof(a));
    fed_random(env, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_true(fed_wall_ms(env) > 1700000000000); /* after 2023 */
}

static void on_wakeup(struct fed_wakeup *w)
{
    fed_container_of(w, struct ctx, wakeup)->n_woken++;
}
static void *signal_often(void *ud)
{
    struct ctx *c = ud;
    for (int i = 0; i < 1000; i++)
        fed_wakeup_signal(&c->wakeup);
    return NULL;
}
static bool woken(void *ud)
{
    return ((struct ctx *)ud)->n_woken > 0;
}

static void test_wakeup(void **state)
{
    struct ctx *c = *state;
    fed_wakeup_open(fed_loop_env(c->bench.loop), &c->wakeup, on_wakeup);
    pthread_create(&c->worker, NULL, signal_often, c);
    BENCH_RUN(&c->bench, woken, c);
    pthread_join(c->worker, NULL);
    int before = c->n_woken;
    fed_wakeup_signal(&c->wakeup);
    fed_wakeup_close(&c->wakeup);
    fed_timer_start(fed_loop_env(c->bench.loop), &c->timers[0], 5, on_timer0);
    memcpy(c->order, "xx", 3);
    BENCH_RUN(&c->bench, three_noted, c);
    assert_int_equal(c->n_woken, before); /* none after close */
}

static void on_signal(void *ud, int signo)
{
    assert_int_equal(signo, SIGUSR2);
    ((struct ctx *)ud)->n_signals++;
}
static bool signaled(void *ud)
{
    return ((struct ctx *)ud)->n_signals > 0;
}

static void test_signal(void **state)
{
    struct ctx *c = *state;
    fed_loop_on_signal(c->bench.loop, SIGUSR2, on_signal, c);
    kill(getpid(), SIGUSR2);
    BENCH_RUN(&c->bench, signaled, c);
}

static void on_readable(void *ud, int events)
{
    struct ctx *c = ud;
    char byte;
    assert_true(events & FED_POLL_IN);
    c->n_events += (int)read(c->fds[0], &byte, 1);
}
static bool polled(void *ud)
{
    return ((struct ctx *)ud)->n_events >= 2;
}

static void test_poll(void **state)
{
    struct ctx *c = *state;
    assert_int_equal(pipe(c->fds), 0);
    struct fed_poll *poll = fed_poll_new(c->bench.loop, c->fds[0], on_readable, c);
    fed_poll_set(poll, FED_POLL_IN);
    assert_int_equal(write(c->fds[1], "ab", 2), 2);
    BENCH_RUN(&c->bench, polled, c);
    fed_poll_free(poll);
    close(c->fds[0]);
    close(c->fds[1]);
}

static void work(void *ud)
{
    ((struct ctx *)ud)->worked = true;
}
static void work_done(void *ud)
{
    struct ctx *c = ud;
    c->done = c->worked;
}
static bool is_done(void *ud)
{
    return ((struct ctx *)ud)->done;
}

static void test_work(void **state)
{
    struct ctx *c = *state;
    fed_loop_work(c->bench.loop, work, work_done, c);
    BENCH_RUN(&c->bench, is_done, c);
    c->done = false;
    fed_loop_work(c->bench.loop, work, work_done, c);
    fed_loop_free(c->bench.loop); /* waits for it */
    c->bench.loop = NULL;
    assert_true(c->done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_timers_and_tasks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_env, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wakeup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_poll, setup, teardown),
        cmocka_unit_test_setup_teardown(test_work, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
