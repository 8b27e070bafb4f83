/* SPDX-License-Identifier: Apache-2.0 */
/* CronJobs and Jobs on virtual time: the controllers with a real engine, pods that end when the test says so. */
#include "kube/informer.h"
#include "member/controllers/controllers.h"
#include "store/store.h"
#include "support/test_env.h"
#include "tests/unit/unit.h"

#define CRONJOBS "/apis/batch/v1/namespaces/default/cronjobs"
#define JOBS     "/apis/batch/v1/namespaces/default/jobs"
enum { MINUTE = 60000 };

struct bench {
    struct test_env t;
    struct mbr m;
    bool ready, closed;
    struct fed_arena a;
};

static void on_ready(void *ud, int code, const struct fed_err *err)
{
    (void)err;
    assert_int_equal(code, 0);
    ((struct bench *)ud)->ready = true;
}

static void on_closed(void *ud)
{
    ((struct bench *)ud)->closed = true;
}

static bool is_ready(void *ud)
{
    return ((struct bench *)ud)->ready;
}

static bool is_closed(void *ud)
{
    return ((struct bench *)ud)->closed;
}

static void begin(struct bench *b)
{
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    static const char *const spaces[] = {"default", NULL};
    static void (*const which[])(struct mbr_ctl *) = {mbr_jobs_init, mbr_cronjob_init};
    const struct fed_identity who = {.user = FED_STR("member"), .groups = &masters, .n_groups = 1};
    *b = (struct bench){0};
    test_env_init(&b->t, 1);
    struct mbr *m = &b->m;
    m->env = &b->t.env;
    fed_list_init(&m->jobs);
    m->kinds = fed_kinds_new();
    assert_int_equal(fed_kinds_add_core(m->kinds, NULL, NULL), 0);
    m->store = store_mem_new(m->env, 0);
    m->api = fed_api_new(&(struct fed_api_conf){.env = m->env,
                                                .store = m->store,
                                                .kinds = m->kinds,
                                                .server_name = "clockwork",
                                                .git_version = "v1.29.0",
                                                .static_namespaces = spaces});
    fed_api_start(m->api, on_ready, b);
    assert_true(test_env_run(&b->t, is_ready, b));
    m->client = fed_api_local(m->api, &who);
    for (int k = 0; k < MBR_N_KINDS; k++)
        m->informers[k] = fed_informer_new(
            &(struct fed_informer_conf){.transport = m->client, .resource = mbr_resource((enum mbr_kind)k)});
    m->pods = mbr_pods_new(m);
    m->controllers = mbr_controllers_some(m, which, FED_ARRAY_LEN(which));
    for (int k = 0; k < MBR_N_KINDS; k++)
        fed_informer_start(m->informers[k]);
    test_env_advance(&b->t, 100);
}

static void end(struct bench *b)
{
    struct mbr *m = &b->m;
    mbr_controllers_free(m->controllers);
    for (int k = 0; k < MBR_N_KINDS; k++)
        fed_informer_free(m->informers[k]);
    mbr_pods_free(m->pods);
    fed_transport_free(m->client);
    mbr_jobs_release(m);
    m->store->ops->close(m->store, on_closed, b);
    assert_true(test_env_run(&b->t, is_closed, b));
    fed_api_free(m->api);
    fed_kinds_free(m->kinds);
    fed_arena_release(&b->a);
    test_env_release(&b->t);
}

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    (void)ud;
    (void)res;
    if (code < 0)
        fail_msg("%s", err ? err->text : "failed");
}

/* Single quotes are written as double ones. */
static void call(struct bench *b, const char *method, const char *path, const char *body)
{
    char *z = fed_arena_dupz(&b->a, fed_str(body ? body : ""));
    for (char *p = z; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    struct fed_call_request req = {.method = method, .path = fed_str(path), .body = fed_str(z)};
    if (strcmp(method, "PATCH") == 0)
        req.content_type = FED_STR("application/merge-patch+json");
    b->m.client->ops->call(b->m.client, &req, answered, b);
    test_env_advance(&b->t, 50);
}

static void make_cronjob(struct bench *b, const char *name, const char *more)
{
    call(
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
    call(&b, "PATCH", CRONJOBS "/five", "{'spec':{'suspend':true}}");
    test_env_advance(&b.t, 20 * MINUTE);
    assert_int_equal(finish_pods(&b, "Succeeded"), 0);
    end(&b);
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
        end(&b);
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
    end(&b);
}

static void test_backoff_and_deadline(void **state)
{
    struct bench b;
    (void)state;
    begin(&b);
    call(&b, "POST", JOBS,
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
    call(&b, "POST", JOBS,
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
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schedule_and_history), cmocka_unit_test(test_concurrency),
                                       cmocka_unit_test(test_zone), cmocka_unit_test(test_backoff_and_deadline)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
