/* SPDX-License-Identifier: Apache-2.0 */
/* CronJobs and Jobs on virtual time: the controllers with a real engine, pods that end when the test says so. */
#include "tests/unit/member/bench.h"

#define CRONJOBS "/apis/batch/v1/namespaces/default/cronjobs"
#define JOBS     "/apis/batch/v1/namespaces/default/jobs"
enum { MINUTE = 60000 };

static void begin(struct bench *b)
{
    static void (*const which[])(struct mbr_ctl *) = {mbr_jobs_init, mbr_cronjob_init};
    bench_begin(b, which, FED_ARRAY_LEN(which));
}

static void make_cronjob(struct bench *b, const char *name, const char *more)
{
    bench_call(
        b, "POST", CRONJOBS,
        fed_arena_printf(&b->a,
                         "{'apiVersion':'batch/v1','kind':'CronJob','metadata':{'name':'%s'},'spec':{%s,'jobTemplate':{"
                         "'spec':{'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}"
                         "}}}}}",
                         name, more)
            .p);
}

/* Waits until the wall clock shows a full minute (a multiple of `of`), and a little more. */
static void to_minute(struct bench *b, int64_t of)
{
    int64_t now = fed_wall_ms(b->m.env), step = of * MINUTE;
    test_env_advance(&b->t, (uint64_t)(step - now % step + 500));
}

struct tally {
    size_t n, ended;
    const char *phase; /* given to pods that run; NULL: only counted */
    struct bench *b;
};

static bool count(void *ud, struct fed_kobj *o)
{
    struct tally *t = ud;
    struct fed_arena a = {0};
    const struct fed_json *status = fed_json_find(fed_kobj_parse(o, &a), "status");
    t->n += !o->deleting;
    t->ended += fed_obj_condition(status, "Complete") || fed_obj_condition(status, "Failed");
    fed_arena_release(&a);
    return true;
}

static struct tally jobs(struct bench *b)
{
    struct tally t = {.b = b};
    fed_informer_each(b->m.informers[MBR_JOBS], FED_STR(""), count, &t);
    return t;
}

static bool finish_pod(void *ud, struct fed_kobj *o)
{
    struct tally *t = ud;
    struct fed_arena a = {0};
    struct fed_str phase = fed_json_str(fed_json_at(fed_kobj_parse(o, &a), "status", "phase", NULL));
    if (fed_str_is(phase, "Pending") && !o->deleting) {
        struct fed_json *patch = fed_json_object(&a), *status = fed_json_object(&a);
        fed_json_set(status, "phase", fed_json_new_strz(&a, t->phase));
        fed_json_set(patch, "status", status);
        fed_client_patch(t->b->m.client, mbr_resource(MBR_PODS), o->ns, o->name, "status", "merge", patch, "", NULL,
                         NULL);
        t->n++;
    }
    fed_arena_release(&a);
    return true;
}

static size_t finish_pods(struct bench *b, const char *phase)
{
    struct tally t = {.b = b, .phase = phase};
    fed_informer_each(b->m.informers[MBR_PODS], FED_STR(""), finish_pod, &t);
    test_env_advance(&b->t, 500);
    return t.n;
}

static void test_schedule_and_history(void **state)
{
    struct bench b;
    (void)state;
    begin(&b);
    make_cronjob(&b, "five", "'schedule':'*/5 * * * *','successfulJobsHistoryLimit':2");
    assert_int_equal(jobs(&b).n, 0);
    for (int i = 0; i < 4; i++) {
        to_minute(&b, 5);
        assert_int_equal(finish_pods(&b, "Succeeded"), 1);
        assert_int_equal(jobs(&b).n, (size_t)FED_MIN(i + 1, 2));
        test_env_advance(&b.t, 2 * MINUTE);
        assert_int_equal(finish_pods(&b, "Succeeded"), 0);
    }
    bench_call(&b, "PATCH", CRONJOBS "/five", "{'spec':{'suspend':true}}");
    test_env_advance(&b.t, 20 * MINUTE);
    assert_int_equal(finish_pods(&b, "Succeeded"), 0);
    bench_end(&b);
}

static void test_concurrency(void **state)
{
    static const struct {
        const char *policy;
        size_t after_two; /* Jobs after two times, none ended */
    } cases[] = {{"Allow", 2}, {"Forbid", 1}, {"Replace", 1}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct bench b;
        begin(&b);
        make_cronjob(&b, "each",
                     fed_arena_printf(&b.a, "'schedule':'* * * * *','concurrencyPolicy':'%s'", cases[i].policy).p);
        to_minute(&b, 1);
        CHECK(cases[i].policy, jobs(&b).n == 1);
        test_env_advance(&b.t, MINUTE);
        CHECK(cases[i].policy, jobs(&b).n == cases[i].after_two);
        bench_end(&b);
    }
}

static void test_zone(void **state)
{
    struct bench b;
    (void)state;
    begin(&b);
    make_cronjob(&b, "noon", "'schedule':'0 12 * * *','timeZone':'Asia/Tokyo'"); /* 03:00 UTC, the whole year */
    int64_t day = 24 * 60 * MINUTE, now = fed_wall_ms(b.m.env) % day, three = 3 * 60 * MINUTE;
    test_env_advance(&b.t, (uint64_t)((three - now + day) % day - MINUTE));
    size_t before = jobs(&b).n;
    test_env_advance(&b.t, 2 * MINUTE);
    assert_int_equal(jobs(&b).n, before + 1);
    bench_end(&b);
}

static void test_backoff_and_deadline(void **state)
{
    struct bench b;
    (void)state;
    begin(&b);
    bench_call(
        &b, "POST", JOBS,
        "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':'sad'},'spec':{'backoffLimit':2,'template':{'spec':{"
        "'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}}}");
    assert_int_equal(finish_pods(&b, "Failed"), 1);
    assert_int_equal(finish_pods(&b, "Failed"), 0); /* the pause of ten seconds */
    test_env_advance(&b.t, 11000);
    assert_int_equal(finish_pods(&b, "Failed"), 1);
    test_env_advance(&b.t, 11000);
    assert_int_equal(finish_pods(&b, "Failed"), 0); /* twenty now */
    test_env_advance(&b.t, 10000);
    assert_int_equal(finish_pods(&b, "Failed"), 1);
    assert_int_equal(jobs(&b).ended, 1);
    bench_call(
        &b, "POST", JOBS,
        "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':'late'},'spec':{'activeDeadlineSeconds':600,"
        "'ttlSecondsAfterFinished':3600,'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':"
        "'i'}]}}}}");
    test_env_advance(&b.t, 9 * MINUTE);
    assert_int_equal(jobs(&b).ended, 1);
    test_env_advance(&b.t, 2 * MINUTE);
    assert_int_equal(jobs(&b).ended, 2);
    test_env_advance(&b.t, 50 * MINUTE);
    assert_int_equal(jobs(&b).n, 2);
    test_env_advance(&b.t, 10 * MINUTE);
    assert_int_equal(jobs(&b).n, 1);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schedule_and_history), cmocka_unit_test(test_concurrency),
                                       cmocka_unit_test(test_zone), cmocka_unit_test(test_backoff_and_deadline)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
