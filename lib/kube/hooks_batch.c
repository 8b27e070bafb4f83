/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_batch.c: Job and CronJob. */
#include "base/env.h"
#include "kube/kind_rules.h"
#include "kube/cron.h"
#include "kube/podspec.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

/* --- preparation --- */

static void put_text(struct fed_arena *a, struct fed_json *o, const char *key, struct fed_str s)
{
    fed_json_set(o, key, fed_json_new_str(a, s));
}

/* A Job finds its pods by its own uid, unless its maker asked to choose the selector. */
static void own_selector(struct fed_arena *a, struct fed_json *obj, struct fed_json *spec)
{
    struct fed_str uid = fed_obj_uid(obj), name = fed_obj_name(obj);
    struct fed_json *template, *meta, *labels, *sel, *match;

    if (fed_json_bool(fed_json_find(spec, "manualSelector"), false) || !uid.n)
        return;
    template = fed_json_ensure_object(a, spec, "template");
    meta = template ? fed_json_ensure_object(a, template, "metadata") : NULL;
    labels = meta ? fed_json_ensure_object(a, meta, "labels") : NULL;
    if (!labels)
        return;
    put_text(a, labels, "controller-uid", uid);
    put_text(a, labels, "batch.kubernetes.io/controller-uid", uid);
    put_text(a, labels, "job-name", name);
    put_text(a, labels, "batch.kubernetes.io/job-name", name);
    sel = fed_json_ensure_object(a, spec, "selector");
    match = sel ? fed_json_ensure_object(a, sel, "matchLabels") : NULL;
    if (match && !fed_json_find(match, "batch.kubernetes.io/controller-uid")) /* another's is refused below */
        put_text(a, match, "batch.kubernetes.io/controller-uid", uid);
}

/* Kubernetes reads a Job without labels as one with its template's. */
static void label_as_template(struct fed_arena *a, struct fed_json *obj, const struct fed_json *spec)
{
    const struct fed_json *labels = fed_json_at(spec, "template", "metadata", "labels", NULL);
    const struct fed_json *have = fed_json_at(obj, "metadata", "labels", NULL);

    if (labels && labels->n && (!have || !have->n))
        fed_json_set(fed_obj_metadata(a, obj), "labels", fed_json_copy(a, labels));
}

/* Whoever lets it be made may not choose it too. */
static void check_own_selector(const struct fed_json *obj, const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *selector = fed_json_find(spec, "selector");
    struct fed_json *labels = fed_json_object(c->arena);
    struct fed_selector sel = {0};

    if (fed_json_bool(fed_json_find(spec, "manualSelector"), false) || !selector)
        return;
    put_text(c->arena, labels, "controller-uid", fed_obj_uid(obj));
    put_text(c->arena, labels, "batch.kubernetes.io/controller-uid", fed_obj_uid(obj));
    put_text(c->arena, labels, "job-name", fed_obj_name(obj));
    put_text(c->arena, labels, "batch.kubernetes.io/job-name", fed_obj_name(obj));
    if (fed_selector_from_json(c->arena, selector, &sel, NULL) == 0 && !fed_selector_matches_json(&sel, labels))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.selector"), fed_shown(c->arena, selector),
                       "`selector` will be auto-generated");
}

static void default_counts(struct fed_arena *a, struct fed_json *spec)
{
    bool parallel = fed_json_find(spec, "parallelism") != NULL;

    if (!fed_json_find(spec, "completions") && !parallel)
        fed_json_set(spec, "completions", fed_json_new_int(a, 1));
    if (!parallel)
        fed_json_set(spec, "parallelism", fed_json_new_int(a, 1));
}

static int default_job(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(obj, "spec");

    (void)ud;
    (void)err;
    if (w->subresource.n || !spec)
        return 0;
    default_counts(w->arena, spec);
    fed_podspec_prepare(w->arena, fed_json_at(spec, "template", "spec", NULL), true);
    return 0;
}

static int prepare_job(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(obj, "spec");

    (void)ud;
    (void)err;
    if (w->subresource.n || !spec)
        return 0;
    if (!w->old)
        own_selector(w->arena, obj, spec);
    label_as_template(w->arena, obj, spec);
    return 0;
}

static int default_cronjob(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *pod = fed_json_at(obj, "spec", "jobTemplate", "spec", "template", "spec", NULL);

    (void)ud;
    (void)err;
    if (!w->subresource.n)
        fed_podspec_prepare(w->arena, pod, true);
    return 0;
}

/* --- validation --- */

static const char *const counts[] = {"parallelism", "completions", "backoffLimit", "activeDeadlineSeconds",
                                     "ttlSecondsAfterFinished"};

static void check_restart(const struct fed_json *pod, const char *at, struct fed_causes *c)
{
    struct fed_str policy = fed_json_find_text(pod, "restartPolicy");

    if (!policy.n || fed_str_is(policy, "Always"))
        fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.restartPolicy", at),
                       (struct fed_str){NULL, 0}, "valid values: \"OnFailure\", \"Never\"");
    else if (!fed_str_is(policy, "OnFailure") && !fed_str_is(policy, "Never"))
        fed_bad(c, FED_CAUSE_NOT_SUPPORTED, fed_quoted(c->arena, policy), "supported values: \"OnFailure\", \"Never\"",
                "%s.restartPolicy", at);
}

/* A Job by index may grow and shrink, as wide as it is long. */
static void validate_completions(const struct fed_json *old, const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *was = fed_json_find(old, "completions"), *is = fed_json_find(spec, "completions");
    bool same = was && is ? fed_json_equal(was, is) : !was && !is;

    if (same)
        return;
    if (!fed_str_is(fed_json_find_text(spec, "completionMode"), "Indexed") || !was || !is)
        fed_check_immutable(old, spec, "spec", "completions", c);
    else if (fed_json_int(is, 0) != fed_json_int(fed_json_find(spec, "parallelism"), 1))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.completions"), fed_shown(c->arena, is),
                       "can only be modified in tandem with spec.parallelism");
}

static void validate_job(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const fixed[] = {"completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
                                        "successPolicy"};
    const struct fed_json *spec = fed_json_find(obj, "spec"), *old = fed_json_find(w->old, "spec");
    const struct fed_json *template = fed_json_find(spec, "template");

    (void)ud;
    if (w->subresource.n) {
        fed_rules_counts(w, obj, c);
        fed_rules_job_status(w, obj, c);
        return;
    }
    if (!template) {
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.template.spec.containers"), (struct fed_str){NULL, 0}, "%s",
                       "");
        check_restart(NULL, "spec.template.spec", c);
        return;
    }
    for (size_t i = 0; i < FED_ARRAY_LEN(counts); i++)
        fed_check_nonnegative(spec, "spec", counts[i], c);
    if (fed_json_find(spec, "selector"))
        fed_template_validate(spec, NULL, c);
    else
        fed_podspec_validate(fed_json_find(template, "spec"), "spec.template.spec", c);
    check_restart(fed_json_find(template, "spec"), "spec.template.spec", c);
    fed_rules_job(spec, "spec", c);
    if (!old) {
        check_own_selector(obj, spec, c);
        return;
    }
    fed_check_immutable(old, spec, "spec", "selector", c);
    if (!fed_json_bool(fed_json_find(old, "suspend"), false))
        fed_check_immutable(old, spec, "spec", "template", c);
    for (size_t i = 0; i < FED_ARRAY_LEN(fixed); i++)
        fed_check_immutable(old, spec, "spec", fixed[i], c);
    validate_completions(old, spec, c);
}

static void check_zone(const struct fed_json *zone, struct fed_causes *c)
{
    struct fed_str name = fed_json_str(zone), at = FED_STR("spec.timeZone");
    if (!name.n)
        fed_causes_add(c, FED_CAUSE_INVALID, at, fed_shown(c->arena, zone), "timeZone must be nil or non-empty string");
    else if (fed_str_ieq(name, FED_STR("Local")))
        fed_causes_add(c, FED_CAUSE_INVALID, at, fed_shown(c->arena, zone),
                       "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
    else if (!fed_zone_known(c->arena, name))
        fed_causes_add(c, FED_CAUSE_INVALID, at, fed_shown(c->arena, zone), "unknown time zone %.*s",
                       FED_STR_ARG(name));
}

static void validate_cronjob(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    const struct fed_json *pod = fed_json_at(spec, "jobTemplate", "spec", "template", "spec", NULL);
    const struct fed_json *zone = fed_json_find(spec, "timeZone");
    const struct fed_json *was = w->old ? fed_json_at(w->old, "spec", "timeZone", NULL) : NULL;
    struct fed_str schedule = fed_json_find_text(spec, "schedule");
    struct fed_err err = {0};
    struct fed_cron cron;

    (void)ud;
    if (w->subresource.n)
        return;
    if (fed_str_find(schedule, FED_STR("TZ="), 0) >= 0)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.schedule"),
                       fed_shown(c->arena, fed_json_find(spec, "schedule")),
                       "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    else if (schedule.n && fed_cron_parse(schedule, &cron, &err) < 0)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.schedule"),
                       fed_shown(c->arena, fed_json_find(spec, "schedule")), "%s", err.text);
    if (zone && (!was || !fed_json_equal(was, zone))) /* a database may lose a zone */
        check_zone(zone, c);
    fed_check_nonnegative(spec, "spec", "startingDeadlineSeconds", c);
    fed_check_nonnegative(spec, "spec", "successfulJobsHistoryLimit", c);
    fed_check_nonnegative(spec, "spec", "failedJobsHistoryLimit", c);
    if (fed_obj_name(obj).n > 52) /* a Job's name, and its pods', is made of it */
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("metadata.name"),
                       fed_shown(c->arena, fed_json_at(obj, "metadata", "name", NULL)),
                       "must be no more than 52 characters");
    const struct fed_json *job = fed_json_at(spec, "jobTemplate", "spec", NULL);
    for (size_t i = 0; i < FED_ARRAY_LEN(counts); i++)
        fed_check_nonnegative(job, "spec.jobTemplate.spec", counts[i], c);
    fed_rules_job(job, "spec.jobTemplate.spec", c);
    fed_template_check_metadata(fed_json_find(job, "template"), "spec.jobTemplate.spec.template", c);
    if (pod) {
        fed_podspec_validate(pod, "spec.jobTemplate.spec.template.spec", c);
        check_restart(pod, "spec.jobTemplate.spec.template.spec", c);
    }
}

/* --- cells --- */

static const char *job_status(const struct fed_json *obj)
{
    static const struct {
        const char *type, *word;
    } words[] = {{"Complete", "Complete"},
                 {"Failed", "Failed"},
                 {"Suspended", "Suspended"},
                 {"FailureTarget", "FailureTarget"},
                 {"SuccessCriteriaMet", "SuccessCriteriaMet"}};
    const struct fed_json *status = fed_json_find(obj, "status");

    for (size_t i = 0; i < FED_ARRAY_LEN(words); i++)
        if (fed_str_is(fed_json_find_text(fed_obj_condition(status, words[i].type), "status"), "True"))
            return words[i].word;
    return fed_json_at(obj, "metadata", "deletionTimestamp", NULL) ? "Terminating" : "Running";
}

static struct fed_str job_completions(struct fed_arena *a, const struct fed_json *obj)
{
    const struct fed_json *want = fed_json_at(obj, "spec", "completions", NULL);
    long long done = fed_json_int(fed_json_at(obj, "status", "succeeded", NULL), 0);
    long long parallel = fed_json_int(fed_json_at(obj, "spec", "parallelism", NULL), 0);

    if (want)
        return fed_arena_printf(a, "%lld/%lld", done, (long long)fed_json_int(want, 0));
    if (parallel > 1)
        return fed_arena_printf(a, "%lld/1 of %lld", done, parallel);
    return fed_arena_printf(a, "%lld/1", done);
}

static struct fed_str job_duration(struct fed_arena *a, const struct fed_json *obj, int64_t now_ms)
{
    const struct fed_json *status = fed_json_find(obj, "status");
    int64_t start, end = now_ms;

    if (fed_time_parse(fed_json_find_text(status, "startTime"), &start))
        return FED_STR("");
    if (fed_json_find(status, "completionTime") && fed_time_parse(fed_json_find_text(status, "completionTime"), &end))
        return FED_STR("");
    return fed_duration_human(a, end - start);
}

static void containers_cells(struct fed_arena *a, const struct fed_json *pod, const struct fed_json *sel,
                             struct fed_json *cells)
{
    fed_cell_str(a, cells, fed_cell_join(a, fed_json_find(pod, "containers"), "name"));
    fed_cell_str(a, cells, fed_cell_join(a, fed_json_find(pod, "containers"), "image"));
    fed_cell_str(a, cells, fed_cell_selector(a, sel));
}

static void job_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                      int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_strz(a, cells, job_status(obj));
    fed_cell_str(a, cells, job_completions(a, obj));
    fed_cell_str(a, cells, job_duration(a, obj, now_ms));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    containers_cells(a, fed_json_at(obj, "spec", "template", "spec", NULL), fed_json_at(obj, "spec", "selector", NULL),
                     cells);
}

static void cronjob_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                          int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *status = fed_json_find(obj, "status");
    const struct fed_json *active = fed_json_find(status, "active");
    struct fed_str last = fed_json_find_text(status, "lastScheduleTime");

    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_json_find_text(spec, "schedule"));
    fed_cell_or(a, cells, fed_json_find_text(spec, "timeZone"), "<none>");
    fed_cell_strz(a, cells, fed_json_bool(fed_json_find(spec, "suspend"), false) ? "True" : "False");
    fed_cell_int(a, cells, active ? active->n : 0);
    fed_cell_str(a, cells, last.n ? fed_cell_since(a, last, now_ms) : FED_STR("<none>"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    containers_cells(a, fed_json_at(spec, "jobTemplate", "spec", "template", "spec", NULL),
                     fed_json_at(spec, "jobTemplate", "spec", "selector", NULL), cells);
}

const struct fed_core_hooks fed_hooks_batch[] = {
    {"batch", "jobs", {.defaults = default_job, .prepare = prepare_job, .validate = validate_job, .cells = job_cells}},
    {"batch", "cronjobs", {.defaults = default_cronjob, .validate = validate_cronjob, .cells = cronjob_cells}},
    {NULL, NULL, {0}}};
