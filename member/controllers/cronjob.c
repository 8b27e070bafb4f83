/* SPDX-License-Identifier: Apache-2.0 */
/* CronJobs, by cronplan.h. A Job's name is made of the time it is for, so that one time never starts two. Ended Jobs
 * are kept up to the history limits. */
#include "base/mem.h"
#include "member/controllers/controllers.h"
#include "member/controllers/cronplan.h"

#define SCHEDULED "batch.kubernetes.io/cronjob-scheduled-timestamp"

struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj;
    struct fed_json *tree, *spec, *status;
    struct fed_kobj **jobs;
    size_t n_jobs;
    struct fed_kobj **active;
    size_t n_active;
};

static const char *end_of(struct work *w, const struct fed_kobj *job, int64_t *created_ms)
{
    const struct fed_json *tree = fed_kobj_parse(job, w->a), *status = fed_json_find(tree, "status");
    static const char *const types[] = {"Complete", "Failed"};
    if (fed_time_parse(fed_json_str(fed_json_at(tree, "metadata", "creationTimestamp", NULL)), created_ms) < 0)
        *created_ms = 0;
    for (size_t i = 0; i < 2; i++)
        if (fed_str_is(fed_json_find_text(fed_obj_condition(status, types[i]), "status"), "True"))
            return types[i];
    return NULL;
}

struct done {
    struct fed_kobj *job;
    int64_t created_ms;
    bool failed;
};

static int newest_first(const void *pa, const void *pb)
{
    const struct done *a = pa, *b = pb;
    return a->created_ms > b->created_ms ? -1 : a->created_ms < b->created_ms;
}

static bool was_active(const struct work *w, const struct fed_kobj *job)
{
    FED_JSON_EACH(r, fed_json_at(w->tree, "status", "active", NULL))
        if (fed_str_eq(fed_json_find_text(r, "uid"), job->uid))
            return true;
    return false;
}

static void saw_end(struct work *w, const struct fed_kobj *job, const char *type)
{
    int64_t ms, last = 0;
    if (was_active(w, job))
        fed_event_normal(w->c->events, w->obj, "SawCompletedJob", "Saw completed job: %.*s, condition: %s",
                         FED_STR_ARG(job->name), type);
    struct fed_str at = fed_json_str(fed_json_at(fed_kobj_parse(job, w->a), "status", "completionTime", NULL));
    if (fed_time_parse(fed_json_find_text(w->status, "lastSuccessfulTime"), &last) < 0)
        last = 0;
    if (fed_str_is(fed_str(type), "Complete") && fed_time_parse(at, &ms) == 0 && ms > last)
        mbr_set_time(w->a, w->status, "lastSuccessfulTime", ms);
}

/* Sorts the Jobs into running and ended, and deletes what the limits do not keep. */
static void keep_history(struct work *w)
{
    struct done *done = FED_ARENA_ARRAY(w->a, struct done, w->n_jobs + 1);
    int64_t keep[2] = {fed_json_int(fed_json_find(w->spec, "successfulJobsHistoryLimit"), 3),
                       fed_json_int(fed_json_find(w->spec, "failedJobsHistoryLimit"), 1)};
    size_t n = 0;
    w->active = FED_ARENA_ARRAY(w->a, struct fed_kobj *, w->n_jobs + 1);
    for (size_t i = 0; i < w->n_jobs; i++) {
        int64_t created;
        const char *end = end_of(w, w->jobs[i], &created);
        if (w->jobs[i]->deleting)
            continue;
        if (!end) {
            w->active[w->n_active++] = w->jobs[i];
            continue;
        }
        saw_end(w, w->jobs[i], end);
        done[n++] = (struct done){w->jobs[i], created, fed_str_is(fed_str(end), "Failed")};
    }
    qsort(done, n, sizeof(*done), newest_first);
    for (size_t i = 0; i < n; i++) {
        if (keep[done[i].failed]-- > 0)
            continue;
        mbr_job_delete(w->job, MBR_JOBS, done[i].job);
        mbr_job_normal(w->job, w->c->events, w->obj, "SuccessfulDelete", "Deleted job %.*s",
                       FED_STR_ARG(done[i].job->name));
    }
}

static void start_job(struct work *w, int64_t at)
{
    const struct fed_json *template = fed_json_find(w->spec, "jobTemplate"),
                          *meta = fed_json_find(template, "metadata");
    static const char *const keep[] = {"labels", "annotations"};
    char text[21];
    struct fed_str name = fed_arena_printf(w->a, "%.*s-%lld", FED_STR_ARG(w->obj->name), (long long)(at / 60));
    struct fed_json *job = fed_obj_new(w->a, "batch/v1", "Job", w->obj->ns, name), *to = fed_obj_metadata(w->a, job);
    const struct fed_json *v;
    for (size_t i = 0; i < FED_ARRAY_LEN(keep); i++)
        if ((v = fed_json_find(meta, keep[i])))
            fed_json_set(to, keep[i], fed_json_copy(w->a, v));
    fed_time_format(at * 1000, text);
    fed_obj_set_annotation(w->a, job, SCHEDULED, fed_arena_dup(w->a, fed_str(text)));
    fed_obj_set_controller(w->a, job, w->obj);
    v = fed_json_find(template, "spec");
    fed_json_set(job, "spec", v ? fed_json_copy(w->a, v) : fed_json_object(w->a));
    mbr_job_create(w->job, MBR_JOBS, w->obj->ns, job);
    mbr_job_normal(w->job, w->c->events, w->obj, "SuccessfulCreate", "Created job %.*s", FED_STR_ARG(name));
    mbr_set_time(w->a, w->status, "lastScheduleTime", at * 1000);
}

static bool read_zone(struct work *w, struct fed_zone *zone, struct fed_err *err)
{
    struct fed_str name = fed_json_find_text(w->spec, "timeZone");
    *zone = (struct fed_zone){0};
    return !name.n || fed_zone_read(w->a, name, zone, err) == 0;
}

static int64_t seconds_of(const struct fed_json *v)
{
    int64_t ms;
    return fed_time_parse(fed_json_str(v), &ms) == 0 ? ms / 1000 : -1;
}

static void explain(struct work *w, const struct mbr_cronplan *p)
{
    if (p->many_missed)
        fed_event_warning(w->c->events, w->obj, "TooManyMissedTimes",
                          "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock "
                          "skew");
    if (p->held)
        fed_event_normal(w->c->events, w->obj, "JobAlreadyActive",
                         "Not starting job because prior execution is running and concurrency policy is Forbid");
    if (p->too_late)
        fed_event_warning(w->c->events, w->obj, "MissSchedule", "Missed scheduled time to start a job");
}

static void schedule(struct work *w)
{
    struct fed_cron cron;
    struct fed_zone zone;
    struct fed_err err = {0};
    struct fed_str policy = fed_json_find_text(w->spec, "concurrencyPolicy");
    if (fed_cron_parse(fed_json_find_text(w->spec, "schedule"), &cron, &err) < 0)
        return fed_event_warning(w->c->events, w->obj, "UnparseableSchedule", "unparseable schedule: %s", err.text);
    if (!read_zone(w, &zone, &err))
        return fed_event_warning(w->c->events, w->obj, "UnknownTimeZone", "invalid timeZone: %.*s: %s",
                                 FED_STR_ARG(fed_json_find_text(w->spec, "timeZone")), err.text);
    struct mbr_cronplan p = {
        .cron = &cron,
        .zone = &zone,
        .policy = fed_str_is(policy, "Forbid")    ? MBR_CRON_FORBID
                  : fed_str_is(policy, "Replace") ? MBR_CRON_REPLACE
                                                  : MBR_CRON_ALLOW,
        .suspended = fed_json_bool(fed_json_find(w->spec, "suspend"), false),
        .now = fed_wall_ms(w->c->m->env) / 1000,
        .since = seconds_of(fed_json_find(w->status, "lastScheduleTime")),
        .deadline = fed_json_int(fed_json_find(w->spec, "startingDeadlineSeconds"), -1),
        .active = w->n_active,
    };
    if (p.since < 0)
        p.since = seconds_of(fed_json_at(w->tree, "metadata", "creationTimestamp", NULL));
    mbr_cronplan_make(&p);
    explain(w, &p);
    for (size_t i = 0; i < w->n_active && p.replace; i++)
        mbr_job_delete(w->job, MBR_JOBS, w->active[i]);
    if (p.replace)
        w->n_active = 0;
    if (p.start >= 0)
        start_job(w, p.start);
    if (p.next >= 0) /* a little past the second, so that it has come */
        fed_workqueue_add_after(w->c->queue, fed_str(w->job->key),
                                (uint64_t)(p.next * 1000 - fed_wall_ms(w->c->m->env) + 50));
}

static void write_status(struct work *w)
{
    struct fed_json *active = fed_json_array(w->a);
    for (size_t i = 0; i < w->n_active; i++) {
        struct fed_json *r = fed_json_push(active, fed_json_object(w->a));
        const struct fed_kobj *j = w->active[i];
        fed_json_set(r, "kind", fed_json_new_strz(w->a, "Job"));
        fed_json_set(r, "namespace", fed_json_new_str(w->a, j->ns));
        fed_json_set(r, "name", fed_json_new_str(w->a, j->name));
        fed_json_set(r, "uid", fed_json_new_str(w->a, j->uid));
        fed_json_set(r, "apiVersion", fed_json_new_strz(w->a, "batch/v1"));
        fed_json_set(r, "resourceVersion", fed_json_new_strf(w->a, "%llu", (unsigned long long)j->rev));
    }
    const struct fed_json *old = fed_json_find(w->tree, "status"), *had = fed_json_find(old, "active");
    bool same = (had ? had->n : 0) == active->n;
    for (size_t i = 0; i < w->n_active && same; i++)
        same = was_active(w, w->active[i]);
    if (same && had) /* a Job's new revision alone is not worth a write */
        fed_json_set(w->status, "active", fed_json_copy(w->a, had));
    else if (active->n)
        fed_json_set(w->status, "active", active);
    else
        fed_json_remove_key(w->status, "active");
    mbr_job_update_status(w->job, MBR_CRONJOBS, w->tree, w->status);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena};
    w.obj = mbr_find(c->m, MBR_CRONJOBS, ns, name);
    if (!w.obj || w.obj->deleting)
        return mbr_job_end(job, 0);
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    w.status = mbr_status_copy(w.a, w.tree);
    w.jobs = mbr_owned(c->m, w.a, MBR_JOBS, w.obj, &w.n_jobs);
    keep_history(&w);
    schedule(&w);
    write_status(&w);
    mbr_job_end(job, 0);
}

void mbr_cronjob_init(struct mbr_ctl *c)
{
    c->kind = MBR_CRONJOBS;
    mbr_ctl_queue(c, "cronjob-controller", reconcile);
    mbr_ctl_watch(c, MBR_CRONJOBS, mbr_ctl_enqueue_self);
    mbr_ctl_watch(c, MBR_JOBS, mbr_ctl_enqueue_controller);
}
