/* SPDX-License-Identifier: Apache-2.0 */
/* When a job's key is worked on again, and when what it says of its writes is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/mem.h"
#include "kube/fake.h"
#include "member/job.h"

struct world {
    struct fed_fake_env env;
    struct mbr m;
    struct fed_workqueue *q;
    struct mbr_job *job; /* the last that began */
    struct fed_buf log;
    struct fed_task news;
    bool writes;
};

static void work(void *ud, const char *key)
{
    struct world *w = ud;
    fed_buf_addf(&w->log, "%s ", key);
    w->job = mbr_job_new(&w->m, w->q, key);
    if (w->writes)
        w->job->holds++;
    mbr_job_end(w->job, 0);
}

static void tell(struct fed_task *task)
{
    fed_buf_addz(&fed_container_of(task, struct world, news)->log, "news ");
}

static void tell_soon(struct fed_task *task)
{
    fed_task_post(&fed_container_of(task, struct world, news)->env.env, task, tell);
}

static void setup(struct world *w)
{
    *w = (struct world){0};
    fed_fake_env_init(&w->env, 1);
    w->m.env = &w->env.env;
    fed_list_init(&w->m.jobs);
    w->q = fed_workqueue_new(&(struct fed_workqueue_conf){.env = w->m.env, .concurrency = 2, .work = work, .ud = w});
}

static void teardown(struct world *w)
{
    fed_workqueue_free(w->q);
    mbr_jobs_release(&w->m);
    fed_fake_env_release(&w->env);
    fed_buf_release(&w->log);
}

/* The answer to the write of "a" comes when the queue's turn, and behind it the hub's for the write, are posted already. */
static void news_of_a_write_comes_before_the_next_turn(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    w.writes = true;
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_fake_run(&w.env, 0);
    struct mbr_job *a = w.job;
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_workqueue_add(w.q, FED_STR("b"));
    fed_task_post(w.m.env, &w.news, tell_soon);
    mbr_job_end(a, 0);
    fed_fake_run(&w.env, 0);
    assert_string_equal(fed_buf_z(&w.log), "a b news a ");
    mbr_job_end(w.job, 0); /* released before it came through */
    teardown(&w);
}

static void a_job_that_wrote_nothing_is_over_at_once(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    fed_workqueue_add(w.q, FED_STR("a"));
    fed_fake_run(&w.env, 0);
    assert_true(fed_list_empty(&w.m.jobs) && fed_workqueue_idle(w.q));
    teardown(&w);
}

/* What did not happen is not told: here the deletion of what is gone, and a create that is refused. */
static void an_event_is_told_when_its_write_succeeded(void **state)
{
    (void)state;
    static const struct fed_resource events = {"", "v1", "events", "Event", true};
    struct world w;
    setup(&w);
    struct fed_fake *f = fed_fake_new(&w.env.env);
    w.m.client = fed_fake_transport(f, false);
    struct fed_recorder *r = fed_recorder_new(w.m.client, "test", NULL);
    struct fed_kobj *o;
    assert_int_equal(fed_kobj_new(FED_STR("{\"metadata\":{\"name\":\"o\",\"namespace\":\"n\",\"uid\":\"u\"}}"),
                                  FED_STR("v1"), FED_STR("ConfigMap"), &o, NULL),
                     0);
    struct mbr_job *job = mbr_job_new(&w.m, w.q, "n/o");
    mbr_job_normal(job, r, o, "First", "before any write");
    fed_fake_run(&w.env, 0);
    assert_int_equal(fed_fake_count(f, &events), 1);
    mbr_job_delete(job, MBR_CONFIGMAPS, o);
    mbr_job_normal(job, r, o, "Deleted", "it is gone");
    fed_fake_run(&w.env, 10);
    assert_int_equal(fed_fake_count(f, &events), 1);
    mbr_job_create(job, MBR_CONFIGMAPS, FED_STR("n"),
                   fed_obj_new(&job->arena, "v1", "ConfigMap", FED_STR("n"), FED_STR("made")));
    mbr_job_warning(job, r, o, "Made", "it is there");
    mbr_job_normal(job, r, o, "Said", "so too");
    fed_fake_run(&w.env, 10);
    assert_int_equal(fed_fake_count(f, &events), 3);
    mbr_job_create(job, MBR_CONFIGMAPS, FED_STR("n"),
                   fed_obj_new(&job->arena, "v1", "ConfigMap", FED_STR("n"), FED_STR("made")));
    mbr_job_normal(job, r, o, "Again", "it was there already");
    fed_fake_run(&w.env, 10);
    assert_int_equal(fed_fake_count(f, &events), 3);
    fed_kobj_unref(o);
    teardown(&w); /* the job goes with it */
    fed_recorder_free(r);
    fed_transport_free(w.m.client);
    fed_fake_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(news_of_a_write_comes_before_the_next_turn),
                                       cmocka_unit_test(a_job_that_wrote_nothing_is_over_at_once),
                                       cmocka_unit_test(an_event_is_told_when_its_write_succeeded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
