/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"

struct fake {
    struct fed_env env;
    uint64_t now_ns, random;
    int rearms;
};

static uint64_t fake_mono(struct fed_env *env)
{
    return fed_container_of(env, struct fake, env)->now_ns;
}
static int64_t fake_wall(struct fed_env *env)
{
    (void)env;
    return 0;
}
static void fake_random(struct fed_env *env, void *out, size_t n)
{
    struct fake *f = fed_container_of(env, struct fake, env);
    for (size_t i = 0; i < n; i++) {
        f->random = f->random * 6364136223846793005u + 1442695040888963407u;
        ((unsigned char *)out)[i] = (unsigned char)(f->random >> 56);
    }
}
static void fake_rearm(struct fed_env *env)
{
    fed_container_of(env, struct fake, env)->rearms++;
}
static const struct fed_env_ops ops = {
    .mono_ns = fake_mono, .wall_ms = fake_wall, .random = fake_random, .rearm = fake_rearm};

static struct fake f;
static char trace[64];
static size_t trace_n;

static int setup(void **state)
{
    (void)state;
    f = (struct fake){.now_ns = 1000, .random = 1};
    fed_env_init(&f.env, &ops);
    memset(trace, 0, sizeof(trace));
    trace_n = 0;
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    fed_env_release(&f.env);
    return 0;
}

struct item {
    struct fed_timer timer;
    struct fed_task task;
    char name;
    struct item *other;
};

static void note(char c)
{
    trace[trace_n++] = c;
}
static void on_timer(struct fed_timer *t)
{
    note(fed_container_of(t, struct item, timer)->name);
}
static void on_timer_again(struct fed_timer *t)
{
    on_timer(t);
    fed_timer_start(&f.env, t, 0, on_timer_again);
}
static void on_timer_free(struct fed_timer *t)
{
    on_timer(t);
    free(fed_container_of(t, struct item, timer));
}
static void on_timer_stop_other(struct fed_timer *t)
{
    struct item *it = fed_container_of(t, struct item, timer);
    on_timer(t);
    fed_timer_stop(&f.env, &it->other->timer);
    free(it->other);
}
static void on_task(struct fed_task *t)
{
    note(fed_container_of(t, struct item, task)->name);
}
static void on_task_again(struct fed_task *t)
{
    on_task(t);
    fed_task_post(&f.env, t, on_task_again);
}
static void on_task_cancel_other(struct fed_task *t)
{
    on_task(t);
    fed_task_cancel(&fed_container_of(t, struct item, task)->other->task);
}
static void on_timer_post(struct fed_timer *t)
{
    struct item *it = fed_container_of(t, struct item, timer);
    on_timer(t);
    fed_task_post(&f.env, &it->other->task, on_task);
}

static void test_timers(void **state)
{
    struct item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    (void)state;
    assert_true(fed_env_next_ms(&f.env) == UINT64_MAX);
    fed_timer_start(&f.env, &b.timer, 20, on_timer);
    fed_timer_start(&f.env, &a.timer, 10, on_timer);
    fed_timer_start(&f.env, &c.timer, 20, on_timer);
    assert_int_equal(f.rearms, 2); /* c changed nothing */
    assert_int_equal(fed_env_next_ms(&f.env), 10);
    f.now_ns += 1; /* still 10: never early */
    assert_int_equal(fed_env_next_ms(&f.env), 10);
    fed_env_run_due(&f.env);
    assert_string_equal(trace, "");
    f.now_ns += 20000000;
    assert_int_equal(fed_env_next_ms(&f.env), 0);
    fed_timer_stop(&f.env, &c.timer);
    fed_timer_stop(&f.env, &c.timer);
    fed_env_run_due(&f.env);
    assert_string_equal(trace, "ab");
    assert_false(fed_timer_active(&a.timer));
    fed_timer_start(&f.env, &a.timer, UINT64_MAX, on_timer); /* does not wrap */
    fed_env_run_due(&f.env);
    assert_true(fed_timer_active(&a.timer));
    fed_timer_stop(&f.env, &a.timer);
    assert_string_equal(trace, "ab");
}

static void test_changes_within(void **state)
{
    struct item again = {.name = 'r'}, last = {.name = 'z'}, stopper = {.name = 's'};
    struct item *own = FED_NEW(struct item), *victim = FED_NEW(struct item);
    (void)state;
    own->name = 'f';
    victim->name = 'v';
    stopper.other = victim;
    fed_timer_start(&f.env, &again.timer, 0, on_timer_again);
    fed_timer_start(&f.env, &own->timer, 0, on_timer_free);
    fed_timer_start(&f.env, &stopper.timer, 0, on_timer_stop_other);
    fed_timer_start(&f.env, &victim->timer, 0, on_timer);
    fed_timer_start(&f.env, &last.timer, 0, on_timer);
    fed_env_run_due(&f.env);
    assert_string_equal(trace, "rfsz"); /* the restarted one waits for the next round */
    fed_env_run_due(&f.env);
    assert_string_equal(trace, "rfszr");
    fed_timer_stop(&f.env, &again.timer);
}

static void test_tasks(void **state)
{
    struct item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, t = {.name = 't'}, d = {.name = 'd'};
    (void)state;
    a.other = &b;
    t.other = &d;
    fed_task_post(&f.env, &a.task, on_task_cancel_other);
    fed_task_post(&f.env, &b.task, on_task);
    fed_task_post(&f.env, &c.task, on_task_again);
    fed_task_post(&f.env, &c.task, on_task_again); /* once until it ran */
    fed_timer_start(&f.env, &t.timer, 0, on_timer_post);
    assert_int_equal(fed_env_next_ms(&f.env), 0);
    fed_env_run_due(&f.env);
    assert_string_equal(trace, "actcd"); /* tasks, timers, then the tasks posted meanwhile */
    assert_int_equal(fed_env_next_ms(&f.env), 0);
    fed_task_cancel(&c.task);
    assert_true(fed_env_next_ms(&f.env) == UINT64_MAX);
}

static void test_time(void **state)
{
    static const struct {
        const char *in;
        int rc;
        int64_t want;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"2026-11-21T08:00:00Z", 0, 1795248000000},
        {"2026-11-21T09:00:00+01:00", 0, 1795248000000},
        {"2026-11-21T03:29:59.5-04:30", 0, 1795247999500},
        {"2026-11-21T08:00:00.123456Z", 0, 1795248000123},
        {"2024-02-29T00:00:00Z", 0, 1709164800000},
        {"2023-02-29T00:00:00Z", FED_E_SYNTAX, 0},
        {"1900-02-29T00:00:00Z", FED_E_SYNTAX, 0},
        {"2000-02-29t23:59:59z", 0, 951868799000},
        {"1969-12-31T23:59:59Z", 0, -1000},
        {"0001-01-01T00:00:00Z", 0, -62135596800000},
        {"2026-13-01T00:00:00Z", FED_E_SYNTAX, 0},
        {"2026-11-21T24:00:00Z", FED_E_SYNTAX, 0},
        {"2026-11-21T08:00:60Z", FED_E_SYNTAX, 0},
        {"2026-11-21T08:00:00", FED_E_SYNTAX, 0},
        {"2026-11-21 08:00:00Z", FED_E_SYNTAX, 0},
        {"2026-11-21T08:00:00.Z", FED_E_SYNTAX, 0},
        {"2026-11-21T08:00:00Zx", FED_E_SYNTAX, 0},
        {"2026-11-21T08:00:00+0100", FED_E_SYNTAX, 0},
        {"", FED_E_SYNTAX, 0},
    };
    char text[28];
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        int64_t got = 0;
        CHECK(cases[i].in, fed_time_parse(fed_str(cases[i].in), &got) == cases[i].rc && got == cases[i].want);
    }
    fed_time_format(1795248000999, text);
    assert_string_equal(text, "2026-11-21T08:00:00Z");
    fed_time_format_micro(1795248000007, text);
    assert_string_equal(text, "2026-11-21T08:00:00.007000Z");
    fed_time_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59Z");
    fed_time_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    fed_time_format(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00Z");
    /* Each day of eight centuries there and back. */
    for (int64_t day = -146097; day < 146097; day++) {
        int64_t got;
        fed_time_format(day * 86400000, text);
        assert_int_equal(fed_time_parse(fed_str(text), &got), 0);
        assert_true(got == day * 86400000);
    }
}

static void test_random(void **state)
{
    int hits[7] = {0};
    char a[37], b[37];
    (void)state;
    for (int i = 0; i < 7000; i++)
        hits[fed_random_below(&f.env, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(hits[i], 850, 1150);
    assert_int_equal(fed_random_below(&f.env, 1), 0);
    fed_uuid(&f.env, a);
    fed_uuid(&f.env, b);
    assert_int_equal(strlen(a), 36);
    assert_true(a[14] == '4' && a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-');
    assert_non_null(strchr("89ab", a[19]));
    assert_string_not_equal(a, b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_timers), T(test_changes_within), T(test_tasks), T(test_time),
                                       T(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
