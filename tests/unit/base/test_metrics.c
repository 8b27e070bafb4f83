/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <unistd.h>

#include "base/env.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/process.h"

static void test_render(void **state)
{
    static const double bounds[] = {0.1, 1};
    struct fed_metrics *m = fed_metrics_new();
    struct fed_buf out = {0};
    (void)state;
    fed_metric_add(fed_metrics_counter(m, "c_total", "A \\ and\nline."), 3);
    fed_metric_set(fed_metrics_gauge(m, "g", "G."), -2);
    struct fed_metric_family *f = fed_metrics_family(m, FED_METRIC_COUNTER, "r_total", "R.", "verb,code", NULL, 0);
    struct fed_str values[] = {FED_STR("GET"), FED_STR("a\"b\\\n")};
    fed_metric_add(fed_metric_get(f, values, 2), 1);
    fed_metric_add(fed_metric_get(f, values, 2), 1);
    f = fed_metrics_family(m, FED_METRIC_HISTOGRAM, "h", "H.", "x", bounds, 2);
    struct fed_metric *h = fed_metric_get(f, &FED_STR("y"), 1);
    fed_metric_observe(h, 0.1);
    fed_metric_observe(h, 0.5);
    fed_metric_observe(h, 7);
    assert_int_equal(fed_metric_value(h), 3);
    fed_metrics_render(m, &out);
    assert_string_equal(fed_buf_z(&out), "# HELP c_total A \\\\ and\\nline.\n# TYPE c_total counter\nc_total 3\n"
                                         "# HELP g G.\n# TYPE g gauge\ng -2\n"
                                         "# HELP r_total R.\n# TYPE r_total counter\n"
                                         "r_total{verb=\"GET\",code=\"a\\\"b\\\\\\n\"} 2\n"
                                         "# HELP h H.\n# TYPE h histogram\n"
                                         "h_bucket{x=\"y\",le=\"0.1\"} 1\nh_bucket{x=\"y\",le=\"1\"} 2\n"
                                         "h_bucket{x=\"y\",le=\"+Inf\"} 3\nh_sum{x=\"y\"} 7.6\nh_count{x=\"y\"} 3\n");
    fed_buf_release(&out);
    fed_metrics_free(m);
    fed_metrics_free(NULL);
}

static void test_overflow(void **state)
{
    struct fed_metrics *m = fed_metrics_new();
    struct fed_metric_family *f = fed_metrics_family(m, FED_METRIC_GAUGE, "g", "G.", "x", NULL, 0);
    struct fed_metric *last = NULL;
    struct fed_buf out = {0};
    (void)state;
    for (int i = 0; i < 1100; i++) {
        char *v = fed_asprintf("%d", i);
        last = fed_metric_get(f, &(struct fed_str){v, strlen(v)}, 1);
        fed_metric_add(last, 1);
        free(v);
    }
    assert_int_equal(fed_metric_value(last), 100);
    assert_int_equal(fed_metric_value(fed_metric_get(f, &FED_STR("5"), 1)), 1);
    fed_metrics_render(m, &out);
    assert_non_null(strstr(fed_buf_z(&out), "g{x=\"overflow\"} 100\n"));
    fed_buf_release(&out);
    fed_metrics_free(m);
}

struct msg {
    struct fed_list link;
    int sender, number;
};
enum { SENDERS = 4, EACH = 5000 };
struct sender {
    pthread_t thread;
    struct fed_mailbox *box;
    int id;
};
static _Atomic int notified;

static void notify(void *ud)
{
    (void)ud;
    notified++;
}
static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < EACH; i++) {
        struct msg *msg = FED_NEW(struct msg);
        msg->sender = s->id;
        msg->number = i;
        while (!fed_mailbox_put(s->box, &msg->link))
            sched_yield(); /* full: the receiver is at work */
    }
    return NULL;
}

static void test_mailbox(void **state)
{
    struct fed_mailbox box;
    struct sender senders[SENDERS];
    int next[SENDERS] = {0}, total = 0;
    (void)state;
    fed_mailbox_init(&box, 100, notify, NULL);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.box = &box, .id = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    while (total < SENDERS * EACH) {
        struct fed_list got;
        fed_list_init(&got);
        size_t n = fed_mailbox_take(&box, &got);
        assert_true(n <= 100);
        FED_LIST_EACH_SAFE(it, &got) {
            struct msg *msg = FED_LIST_ENTRY(it, struct msg, link);
            assert_int_equal(msg->number, next[msg->sender]++); /* in each sender's order */
            free(msg);
            total++;
            n--;
        }
        assert_int_equal(n, 0);
        sched_yield();
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    assert_true(notified > 0);
    struct msg late = {0};
    fed_mailbox_close(&box);
    assert_false(fed_mailbox_put(&box, &late.link));
    fed_mailbox_release(&box);
}

static void test_parts_and_process(void **state)
{
    struct fed_metrics *m = fed_metrics_new();
    struct fed_metric_family *f = fed_metrics_family(m, FED_METRIC_COUNTER, "x_seconds_total", "X.", "", NULL, 0);
    struct fed_process_metrics p;
    struct fed_buf out = {0};
    (void)state;
    fed_metric_family_divide(f, 100);
    fed_metric_add(fed_metric_get(f, NULL, 0), 1234);
    fed_metrics_render(m, &out);
    assert_non_null(strstr(fed_buf_z(&out), "\nx_seconds_total 12.34\n"));
    fed_process_metrics_make(&p, m);
    fed_process_metrics_scrape(&p);
    assert_true(fed_metric_value(p.resident) > 100000);
    assert_true(fed_metric_value(p.size) >= fed_metric_value(p.resident));
    assert_true(fed_metric_value(p.start) > 1500000000);
    assert_true(fed_metric_value(p.files) >= 3 && fed_metric_value(p.files) < fed_metric_value(p.max_files));
    fed_buf_release(&out);
    fed_metrics_free(m);
}

static void test_log_level(void **state)
{
    (void)state;
    assert_true(fed_log_on(FED_LOG_INFO));
    assert_false(fed_log_on(FED_LOG_DEBUG));
    fed_log_set_level(FED_LOG_ERROR);
    assert_false(fed_log_on(FED_LOG_WARN));
    fed_log_warn("test", "not %s", "shown");
    fed_log_set_level(FED_LOG_INFO);
}

static void test_log_line(void **state)
{
    int pipe_fds[2], saved = dup(STDERR_FILENO);
    char line[8192];
    int64_t when;
    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    fflush(stderr);
    dup2(pipe_fds[1], STDERR_FILENO);
    fed_log_info("store", "opened path=%s\nerror forged: line", "/x");
    fed_log_debug("store", "not %s", "shown");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipe_fds[1]);
    ssize_t n = read(pipe_fds[0], line, sizeof(line));
    close(pipe_fds[0]);
    assert_true(n > 25);
    assert_int_equal(fed_time_parse(fed_str_n(line, 24), &when), 0);
    CHECK_TEXT("line", fed_str_n(line + 24, (size_t)n - 24), " info store: opened path=/x error forged: line\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render),    cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_mailbox),   cmocka_unit_test(test_parts_and_process),
        cmocka_unit_test(test_log_level), cmocka_unit_test(test_log_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
