/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kube/fake.h"
#include "kube/workqueue.h"

struct world {
    struct fed_fake_env env;
    struct fed_workqueue *q;
    struct fed_buf log;
    int code;       /* what done is told */
    bool later;     /* done comes from the test */
    bool add_again; /* the work adds its own key */
};

static void work(void *ud, const char *key)
{
    struct world *w = ud;
    fed_buf_addf(&w->log, "%s ", key);
    if (w->add_again)
        fed_workqueue_add(w->q, fed_str(key));
    if (!w->later)
        fed_workqueue_done(w->q, key, w->code);
}

static void setup(struct world *w, uint32_t concurrency)
{
    *w = (struct world){0};
    fed_fake_env_init(&w->env, 3);
    w->q = fed_workqueue_new(
        &(struct fed_workqueue_conf){.env = &w->env.env, .concurrency = concurrency, .work = work, .ud = w});
}
static void teardown(struct world *w)
{
    fed_workqueue_free(w->q);
    fed_fake_env_release(&w->env);
    fed_buf_release(&w->log);
}
static void expect(struct world *w, uint64_t ms, const char *want)
{
    fed_fake_run(&w->env, ms);
    assert_string_equal(fed_buf_z(&w->log), want);
    fed_buf_reset(&w->log);
}

static void keys_coalesce(void **state)
{
    (void)state;
    struct world w;
    setup(&w, 0);
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_workqueue_add(w.q, FED_STR("b"));
    fed_workqueue_add(w.q, FED_STR("a"));
    assert_int_equal(fed_workqueue_depth(w.q), 2);
    expect(&w, 0, "a b ");
    assert_true(fed_workqueue_idle(w.q));
    teardown(&w);
}

static void one_worker_on_a_key(void **state)
{
    (void)state;
    struct world w;
    setup(&w, 2);
    w.later = true;
    fed_workqueue_add(w.q, FED_STR("a"));
    expect(&w, 0, "a ");
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_workqueue_add(w.q, FED_STR("b"));
    fed_workqueue_add(w.q, FED_STR("c"));
    expect(&w, 1000, "b ");
    fed_workqueue_done(w.q, "b", 0);
    expect(&w, 0, "c ");
    fed_workqueue_done(w.q, "a", 0);
    expect(&w, 0, "a ");
    fed_workqueue_done(w.q, "a", 0);
    fed_workqueue_done(w.q, "c", 0);
    expect(&w, 1000, "");
    assert_true(fed_workqueue_idle(w.q));
    teardown(&w);
}

static void failures_back_off(void **state)
{
    (void)state;
    struct world w;
    setup(&w, 0);
    w.code = FED_E_CONFLICT;
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_fake_run(&w.env, 120000);
    size_t tries = w.log.n / 2;
    assert_in_range(tries, 13, 20);
    assert_false(fed_workqueue_idle(w.q));
    fed_buf_reset(&w.log);
    w.code = 0;
    fed_workqueue_add(w.q, FED_STR("a")); /* news do not wait for the back-off */
    expect(&w, 0, "a ");
    expect(&w, 120000, "");
    assert_true(fed_workqueue_idle(w.q));
    teardown(&w);
}

static void delays(void **state)
{
    (void)state;
    struct world w;
    setup(&w, 0);
    fed_workqueue_add_after(w.q, FED_STR("a"), 5000);
    fed_workqueue_add_after(w.q, FED_STR("a"), 1000);
    fed_workqueue_add_after(w.q, FED_STR("a"), 9000);
    expect(&w, 999, "");
    expect(&w, 1, "a ");
    expect(&w, 20000, "");
    fed_workqueue_add_after(w.q, FED_STR("a"), 1000);
    fed_workqueue_add(w.q, FED_STR("a"));
    expect(&w, 0, "a ");
    expect(&w, 1000, "a "); /* what was asked for is kept */
    w.later = true;
    fed_workqueue_add(w.q, FED_STR("x")); /* freed while running and delayed */
    fed_workqueue_add_after(w.q, FED_STR("y"), 10);
    fed_fake_run(&w.env, 0);
    teardown(&w);
}

static void a_busy_key_leaves_room(void **state)
{
    (void)state;
    struct world w;
    setup(&w, 0);
    w.add_again = true;
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_workqueue_add(w.q, FED_STR("b"));
    fed_env_run_due(&w.env.env); /* ends, although the keys add themselves for ever */
    w.add_again = false;
    fed_fake_run(&w.env, 10);
    assert_true(fed_workqueue_idle(w.q));
    teardown(&w);
}

static void check_line(struct fed_metrics *m, const char *line)
{
    struct fed_buf out = {0};
    fed_metrics_render(m, &out);
    if (!strstr(fed_buf_z(&out), line))
        fail_msg("%s not in\n%s", line, fed_buf_z(&out));
    fed_buf_release(&out);
}

static void metrics(void **state)
{
    (void)state;
    struct world w;
    struct fed_metrics *m = fed_metrics_new();
    setup(&w, 0);
    fed_workqueue_free(w.q);
    w.q = fed_workqueue_new(&(struct fed_workqueue_conf){
        .env = &w.env.env, .name = "q", .metrics = m, .concurrency = 1, .work = work, .ud = &w});
    w.later = true;
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_workqueue_add(w.q, FED_STR("b"));
    fed_workqueue_add(w.q, FED_STR("b"));
    check_line(m, "workqueue_depth{name=\"q\"} 2\n");
    fed_fake_run(&w.env, 0); /* a runs */
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_fake_run(&w.env, 2000);
    check_line(m, "workqueue_depth{name=\"q\"} 2\n");
    check_line(m, "workqueue_adds_total{name=\"q\"} 3\n");
    check_line(m, "workqueue_unfinished_work_seconds{name=\"q\"} 2\n");
    check_line(m, "workqueue_longest_running_processor_seconds{name=\"q\"} 2\n");
    fed_workqueue_done(w.q, "a", 0);
    fed_fake_run(&w.env, 0);
    fed_workqueue_done(w.q, "b", FED_E_IO);
    fed_fake_run(&w.env, 0);
    check_line(m, "workqueue_retries_total{name=\"q\"} 1\n");
    check_line(m, "workqueue_unfinished_work_seconds{name=\"q\"} 0\n");
    check_line(m, "workqueue_work_duration_seconds_bucket{name=\"q\",le=\"1\"} 1\n");
    check_line(m, "workqueue_queue_duration_seconds_count{name=\"q\"} 3\n");
    teardown(&w);
    check_line(m, "workqueue_depth{name=\"q\"} 0\n");
    fed_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_coalesce),          cmocka_unit_test(one_worker_on_a_key),
                                       cmocka_unit_test(failures_back_off),      cmocka_unit_test(delays),
                                       cmocka_unit_test(a_busy_key_leaves_room), cmocka_unit_test(metrics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
