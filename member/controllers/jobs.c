/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs, by jobplan.h. No end of a pod is lost or counted twice: each pod bears a finalizer; an ended pod's uid is first
 * written to status.uncountedTerminatedPods, then the finalizer is taken off, then the uid becomes one more of the count.
 * The status is written with the revision it was made from. */
#include "base/mem.h"
#include "member/controllers/controllers.h"
#include "member/controllers/choice.h"
#include "member/controllers/jobplan.h"
#include "member/controllers/owner.h"

#define TRACKING "batch.kubernetes.io/job-tracking"
#define INDEX    "batch.kubernetes.io/job-completion-index"
enum { BURST = 500 };

struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj;
    struct fed_json *tree, *spec, *status; /* status: the new one */
    struct fed_kobj **pods;
    size_t n_pods;
    struct mbr_victim *active;
    size_t n_active;
    struct fed_json *uncounted_ok, *uncounted_failed;
    int64_t ready, terminating;
    struct mbr_jobplan plan;
    const char *shift; /* "Suspended" or "Resumed" now */
    bool over;         /* its end is written now */
};

static struct fed_json *without_tracking(struct fed_arena *a, const struct fed_kobj *pod)
{
    struct fed_json *patch = fed_kobj_patch_without_finalizer(a, pod, TRACKING), *meta = fed_obj_metadata(a, patch);
    if (!fed_json_find(meta, "finalizers")
             ->n) /* none of others that could be lost: whatever else changed, off with it */
        fed_json_remove(fed_json_find(meta, "resourceVersion"));
    return patch;
}

static void strip(struct mbr_job *job, const struct fed_kobj *pod)
{
    if (fed_kobj_has_finalizer(pod, TRACKING))
        mbr_job_merge(job, MBR_PODS, pod->ns, pod->name, "", without_tracking(&job->arena, pod));
}

static bool list_has(const struct fed_json *list, struct fed_str uid)
{
    FED_JSON_EACH(u, list)
        if (fed_str_eq(fed_json_str(u), uid))
            return true;
    return false;
}

/* --- counting --- */

/* Uids whose pod has lost its finalizer become part of the count; the others stay in the list. */
static struct fed_json *settle(struct work *w, const char *list, const char *count)
{
    const struct fed_json *old = fed_json_at(w->tree, "status", "uncountedTerminatedPods", list, NULL);
    struct fed_json *kept = fed_json_array(w->a);
    int64_t n = fed_json_int(fed_json_at(w->tree, "status", count, NULL), 0);
    FED_JSON_EACH(u, old) {
        struct fed_kobj *pod = NULL;
        for (size_t i = 0; i < w->n_pods && !pod; i++)
            if (fed_str_eq(w->pods[i]->uid, fed_json_str(u)))
                pod = w->pods[i];
        if (pod && fed_kobj_has_finalizer(pod, TRACKING)) {
            fed_json_push(kept, fed_json_copy(w->a, u));
            strip(w->job, pod); /* it stands in the stored status */
        } else {
            n++;
        }
    }
    fed_json_set(w->status, count, fed_json_new_int(w->a, n));
    return kept;
}

static int64_t index_of(const struct fed_kobj *pod)
{
    int64_t i;
    return fed_str_i64(fed_kobj_annotation(pod, INDEX), &i) == 0 ? i : -1;
}

static int64_t finished_ms(struct work *w, const struct fed_kobj *pod)
{
    int64_t last = mbr_pod_info_get(w->c->m, pod)->created_ms, ms;
    FED_JSON_EACH(s, fed_json_at(fed_kobj_parse(pod, w->a), "status", "containerStatuses", NULL))
        if (fed_time_parse(fed_json_str(fed_json_at(s, "state", "terminated", "finishedAt", NULL)), &ms) == 0)
            last = FED_MAX(last, ms);
    return last;
}

static void count_active(struct work *w, struct fed_kobj *pod, const struct mbr_pod_info *p)
{
    w->active[w->n_active++] = mbr_pod_victim(p, pod);
    w->ready += p->ready;
    w->plan.restarts += p->restarts;
    int64_t i = index_of(pod);
    if (w->plan.indexed && i >= 0 && i < w->plan.completions)
        w->plan.running[i] = true;
}

static void count_failed(struct work *w, const struct fed_kobj *pod)
{
    if (!list_has(w->uncounted_failed, pod->uid))
        fed_json_push(w->uncounted_failed, fed_json_new_str(w->a, pod->uid));
}

/* An end that is not in the status yet. Of an indexed Job the index is the count. */
static void count_end(struct work *w, const struct fed_kobj *pod, bool ok)
{
    int64_t i = index_of(pod);
    if (!fed_kobj_has_finalizer(pod, TRACKING))
        return;
    if (ok && w->plan.indexed) {
        if (i < 0 || i >= w->plan.completions)
            return strip(w->job, pod);
        if (w->plan.completed[i])
            strip(w->job, pod);
        w->plan.completed[i] = true;
        return;
    }
    struct fed_json *list = ok ? w->uncounted_ok : w->uncounted_failed;
    if (!list_has(list, pod->uid))
        fed_json_push(list, fed_json_new_str(w->a, pod->uid));
}

static int64_t total(const struct work *w, const char *count, const struct fed_json *uncounted)
{
    return fed_json_int(fed_json_find(w->status, count), 0) + (int64_t)uncounted->n;
}

static void count_pods(struct work *w)
{
    struct mbr_jobplan *p = &w->plan;
    int64_t last_ok = 0;
    w->uncounted_ok = settle(w, "succeeded", "succeeded");
    w->uncounted_failed = settle(w, "failed", "failed");
    if (p->indexed) { /* what stands in the status may lose its finalizer now; see count_end */
        struct fed_str done = fed_json_str(fed_json_at(w->tree, "status", "completedIndexes", NULL));
        p->completed = FED_ARENA_ARRAY(w->a, bool, (size_t)p->completions + 1);
        p->running = FED_ARENA_ARRAY(w->a, bool, (size_t)p->completions + 1);
        mbr_indexes_parse(done, p->completed, p->completions);
    }
    w->active = FED_ARENA_ARRAY(w->a, struct mbr_victim, w->n_pods + 1);
    for (size_t i = 0; i < w->n_pods; i++) {
        const struct mbr_pod_info *info = mbr_pod_info_get(w->c->m, w->pods[i]);
        if (info->ended || info->deleting) {
            bool ok = fed_str_is(info->phase, "Succeeded");
            w->terminating += info->deleting && !info->ended;
            count_end(w, w->pods[i], ok);
            if (ok)
                last_ok = FED_MAX(last_ok, finished_ms(w, w->pods[i]));
        } else {
            count_active(w, w->pods[i], info);
        }
    }
    for (size_t i = 0; i < w->n_pods; i++) {
        const struct mbr_pod_info *info = mbr_pod_info_get(w->c->m, w->pods[i]);
        int64_t at = fed_str_is(info->phase, "Failed") ? finished_ms(w, w->pods[i]) : 0;
        p->failures_in_a_row += at > last_ok;
        p->last_failure_ms = FED_MAX(p->last_failure_ms, at);
    }
    p->active = (int64_t)w->n_active;
    p->failed = total(w, "failed", w->uncounted_failed);
    p->succeeded = total(w, "succeeded", w->uncounted_ok);
    if (p->indexed) {
        p->succeeded = 0;
        for (int64_t i = 0; i < p->completions; i++)
            p->succeeded += p->completed[i];
    }
}

/* --- pods --- */

static struct fed_json *new_pod(struct work *w, int64_t index)
{
    struct fed_json *pod = mbr_pod_from_template(w->c, w->a, w->obj, fed_json_find(w->spec, "template"));
    struct fed_json *meta = fed_obj_metadata(w->a, pod), *spec = fed_json_find(pod, "spec");
    fed_obj_add_finalizer(w->a, pod, TRACKING);
    if (index < 0)
        return pod;
    struct fed_str text = fed_arena_printf(w->a, "%lld", (long long)index), name = fed_obj_name(pod);
    struct fed_str host = fed_arena_printf(w->a, "%.*s-%lld", FED_STR_ARG(w->obj->name), (long long)index);
    fed_json_set(meta, "name",
                 fed_json_new_strf(w->a, "%.*s%.*s", FED_STR_ARG(host), 6, name.p + (name.n > 6 ? name.n - 6 : 0)));
    fed_json_set(meta, "generateName", fed_json_new_strf(w->a, "%.*s-", FED_STR_ARG(host)));
    fed_obj_set_annotation(w->a, pod, INDEX, text);
    fed_obj_set_label(w->a, pod, INDEX, text);
    if (!fed_json_find(spec, "hostname") && host.n <= 63)
        fed_json_set(spec, "hostname", fed_json_new_str(w->a, host));
    static const char *const lists[] = {"initContainers", "containers"};
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(ct, fed_json_find(spec, lists[i])) {
            struct fed_json *env = fed_json_ensure_array(w->a, ct, "env"), *e = fed_json_object(w->a);
            fed_json_set(e, "name", fed_json_new_strz(w->a, "JOB_COMPLETION_INDEX"));
            fed_json_set(e, "value", fed_json_new_str(w->a, text));
            if (env)
                fed_json_push(env, e);
        }
    return pod;
}

static void manage(struct work *w)
{
    struct mbr_jobplan *p = &w->plan;
    int64_t index = -1;
    qsort(w->active, w->n_active, sizeof(*w->active), mbr_victim_cmp);
    for (int64_t i = 0; i < FED_MIN(p->remove, BURST); i++) {
        if (p->ended) /* it did not succeed before the end */
            count_failed(w, w->active[i].pod);
        else /* given up by us: it counts for nothing */
            strip(w->job, w->active[i].pod);
        mbr_owner_delete(w->c, w->job, w->obj, w->active[i].pod);
    }
    for (int64_t i = 0; i < FED_MIN(p->create, BURST); i++) {
        if (p->indexed && (index = mbr_jobplan_next_index(p, index + 1)) < 0)
            return;
        mbr_owner_create(w->c, w->job, w->obj, new_pod(w, index));
    }
    if (p->remove)
        w->plan.active -= FED_MIN(p->remove, BURST);
}

/* --- status --- */

static const char *condition(const struct fed_json *status, const char *type)
{
    return fed_str_is(fed_json_find_text(fed_obj_condition(status, type), "status"), "True") ? type : NULL;
}

static void set_condition(struct work *w, const char *type, const char *value, const char *reason, const char *message)
{
    int64_t now = fed_wall_ms(w->c->m->env);
    fed_obj_set_condition(w->a, w->status, type, value, reason, fed_str(message), now);
    struct fed_json *c = fed_obj_condition(w->status, type);
    if (c && !fed_json_find(c, "lastProbeTime"))
        mbr_set_time(w->a, c, "lastProbeTime", now);
}

static void set_suspended(struct work *w)
{
    bool was = condition(w->status, "Suspended") != NULL;
    if (w->plan.suspended && !was) {
        set_condition(w, "Suspended", "True", "JobSuspended", "Job suspended");
        w->shift = "Suspended";
        fed_json_remove_key(w->status, "startTime");
    } else if (!w->plan.suspended && was) {
        set_condition(w, "Suspended", "False", "JobResumed", "Job resumed");
        w->shift = "Resumed";
    }
    if (!w->plan.suspended && !fed_json_find(w->status, "startTime"))
        mbr_set_time(w->a, w->status, "startTime", w->plan.now_ms);
}

/* What decides the end is said first, and stands while pods are still ending: the end itself, for the same reason, when
 * the last of them is gone and all are counted. */
static const char *const targets[][2] = {{"FailureTarget", "Failed"}, {"SuccessCriteriaMet", "Complete"}};

static void read_target(struct work *w)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(targets); i++) {
        const struct fed_json *c = fed_obj_condition(w->status, targets[i][0]);
        if (condition(w->status, targets[i][0]))
            return mbr_jobplan_end(&w->plan, targets[i][1], fed_arena_dup(w->a, fed_json_find_text(c, "reason")).p,
                                   fed_arena_dup(w->a, fed_json_find_text(c, "message")).p);
    }
}

static void set_target(struct work *w)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(targets); i++)
        if (fed_str_is(fed_str(targets[i][1]), w->plan.ended) && !condition(w->status, targets[i][0]))
            set_condition(w, targets[i][0], "True", w->plan.reason, w->plan.message);
}

/* Whether nothing of the Job runs or is uncounted any more. */
static bool settled(const struct work *w)
{
    return !w->uncounted_ok->n && !w->uncounted_failed->n && !w->terminating && !w->plan.active;
}

static void set_end(struct work *w)
{
    set_condition(w, w->plan.ended, "True", w->plan.reason, w->plan.message);
    if (fed_str_is(fed_str(w->plan.ended), "Complete"))
        mbr_set_time(w->a, w->status, "completionTime", w->plan.now_ms);
    w->over = true;
}

/* After the status was asked to be written. */
static void tell(struct work *w)
{
    if (w->shift)
        mbr_job_normal(w->job, w->c->events, w->obj, w->shift, "Job %s",
                       fed_str_is(fed_str(w->shift), "Resumed") ? "resumed" : "suspended");
    if (w->over && fed_str_is(fed_str(w->plan.ended), "Complete"))
        mbr_job_normal(w->job, w->c->events, w->obj, "Completed", "Job completed");
    else if (w->over)
        mbr_job_warning(w->job, w->c->events, w->obj, w->plan.reason, "%s", w->plan.message);
}

static void set_count(struct work *w, const char *key, int64_t n)
{
    if (n)
        fed_json_set(w->status, key, fed_json_new_int(w->a, n));
    else
        fed_json_remove_key(w->status, key);
}

static void write_status(struct work *w)
{
    struct fed_json *uncounted = fed_json_object(w->a);
    if (w->uncounted_ok->n)
        fed_json_set(uncounted, "succeeded", w->uncounted_ok);
    if (w->uncounted_failed->n)
        fed_json_set(uncounted, "failed", w->uncounted_failed);
    fed_json_set(w->status, "uncountedTerminatedPods", uncounted);
    set_count(w, "active", w->plan.active);
    set_count(w, "failed", fed_json_int(fed_json_find(w->status, "failed"), 0));
    set_count(w, "succeeded",
              w->plan.indexed ? w->plan.succeeded : fed_json_int(fed_json_find(w->status, "succeeded"), 0));
    fed_json_set(w->status, "ready", fed_json_new_int(w->a, FED_MIN(w->ready, w->plan.active)));
    fed_json_set(w->status, "terminating", fed_json_new_int(w->a, w->terminating));
    if (w->plan.indexed) {
        struct fed_buf b = {0};
        mbr_indexes_format(w->plan.completed, w->plan.completions, &b);
        if (b.n)
            fed_json_set(w->status, "completedIndexes", fed_json_new_str(w->a, fed_arena_dup(w->a, fed_buf_str(&b))));
        fed_buf_release(&b);
    }
    mbr_job_update_status(w->job, MBR_JOBS, w->tree, w->status);
    tell(w);
}

/* --- the whole --- */

static void finished(struct work *w)
{
    const char *types[] = {"Complete", "Failed"};
    int64_t ttl = fed_json_int(fed_json_find(w->spec, "ttlSecondsAfterFinished"), -1), at = 0;
    for (size_t i = 0; i < w->n_pods; i++)
        strip(w->job, w->pods[i]);
    for (size_t i = 0; i < 2; i++)
        if (condition(w->status, types[i]))
            (void)!fed_time_parse(fed_json_find_text(fed_obj_condition(w->status, types[i]), "lastTransitionTime"),
                                  &at);
    if (ttl < 0)
        return;
    int64_t left = at + ttl * 1000 - fed_wall_ms(w->c->m->env);
    if (left <= 0)
        mbr_job_delete(w->job, MBR_JOBS, w->obj);
    else
        fed_workqueue_add_after(w->c->queue, fed_str(w->job->key), (uint64_t)left + 10);
}

static void read_spec(struct work *w)
{
    struct mbr_jobplan *p = &w->plan;
    const struct fed_json *spec = w->spec;
    *p = (struct mbr_jobplan){
        .parallelism = fed_json_int(fed_json_find(spec, "parallelism"), 1),
        .completions = fed_json_int(fed_json_find(spec, "completions"), -1),
        .backoff_limit = fed_json_int(fed_json_find(spec, "backoffLimit"), 6),
        .deadline_s = fed_json_int(fed_json_find(spec, "activeDeadlineSeconds"), -1),
        .indexed = fed_str_is(fed_json_find_text(spec, "completionMode"), "Indexed"),
        .suspended = fed_json_bool(fed_json_find(spec, "suspend"), false),
        .on_failure =
            fed_str_is(fed_json_str(fed_json_at(spec, "template", "spec", "restartPolicy", NULL)), "OnFailure"),
        .now_ms = fed_wall_ms(w->c->m->env),
    };
    if (p->indexed)
        p->completions = FED_MIN(FED_MAX(p->completions, 0), MBR_JOB_MAX_INDEXES);
    if (fed_time_parse(fed_json_find_text(w->status, "startTime"), &p->start_ms) < 0)
        p->start_ms = 0;
}

static bool strip_of_lost(void *ud, struct fed_kobj *pod)
{
    struct mbr_job *job = ud;
    struct fed_str ns, name;
    const struct fed_owner *o = fed_kobj_controller(pod);
    mbr_key_split(fed_str(job->key), &ns, &name);
    if (o && fed_str_is(o->kind, "Job") && fed_str_eq(o->name, name))
        strip(job, pod);
    return true;
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena};
    w.obj = mbr_find(c->m, MBR_JOBS, ns, name);
    if (!w.obj) {
        mbr_owner_forget(c, fed_str(job->key));
        fed_informer_each(c->m->informers[MBR_PODS], ns, strip_of_lost, job);
        return mbr_job_end(job, 0);
    }
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    w.status = mbr_status_copy(w.a, w.tree);
    w.pods = mbr_owned(c->m, w.a, MBR_PODS, w.obj, &w.n_pods);
    if (w.obj->deleting || condition(w.status, "Complete") || condition(w.status, "Failed")) {
        finished(&w);
        return mbr_job_end(job, 0);
    }
    read_spec(&w);
    count_pods(&w);
    set_suspended(&w);
    mbr_jobplan_make(&w.plan);
    read_target(&w);
    if (w.plan.ended)
        set_target(&w);
    if (mbr_owner_ready(c, fed_str(job->key)))
        manage(&w);
    if (w.plan.wait_ms >= 0)
        fed_workqueue_add_after(c->queue, fed_str(job->key), (uint64_t)w.plan.wait_ms + 10);
    if (w.plan.ended && settled(&w))
        set_end(&w);
    write_status(&w);
    mbr_job_end(job, 0);
}

/* Pods that were taken from their Job (--cascade=orphan) keep no finalizer of ours. */
static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct fed_arena a = {0};
    (void)old;
    if (now && !fed_kobj_controller(now) && fed_kobj_has_finalizer(now, TRACKING)) /* a failure: its next event */
        fed_client_patch(c->m->client, mbr_resource(MBR_PODS), now->ns, now->name, "", "merge",
                         without_tracking(&a, now), "", NULL, NULL);
    fed_arena_release(&a);
}

void mbr_jobs_init(struct mbr_ctl *c)
{
    mbr_owner_init(c, "job-controller", MBR_JOBS, MBR_PODS, false, reconcile);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
}
