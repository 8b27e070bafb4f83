/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/spread.h"

#define JOB_PREFERENCES "federation.kubernetes.io/job-preferences"

static const struct fapi_spread_rule rules[] = {
    {"Deployment", "federation.kubernetes.io/deployment-preferences", false, false},
    {"ReplicaSet", "federation.kubernetes.io/replica-set-preferences", false, false},
    {"ReplicationController", "federation.kubernetes.io/replica-set-preferences", false, false},
    {"Job", JOB_PREFERENCES, true, true},
    {"CronJob", JOB_PREFERENCES, true, false},
    {"HorizontalPodAutoscaler", "federation.kubernetes.io/hpa-preferences", true, false},
};

const struct fapi_spread_rule *fapi_spread_find(struct fed_str kind)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(rules); i++)
        if (fed_str_is(kind, rules[i].kind))
            return &rules[i];
    return NULL;
}

/* The spec of the Job in a Job or CronJob; NULL: another kind. */
static struct fed_json *job_spec(struct fed_str kind, const struct fed_json *tree)
{
    if (fed_str_is(kind, "Job"))
        return fed_json_find(tree, "spec");
    return fed_str_is(kind, "CronJob") ? fed_json_at(tree, "spec", "jobTemplate", "spec", NULL) : NULL;
}

static int64_t job_number(const struct fed_json *spec)
{
    const struct fed_json *completions = fed_json_find(spec, "completions");
    if (completions && completions->type == FED_JSON_NUMBER)
        return fed_json_int(completions, 1);
    return fed_json_int(fed_json_find(spec, "parallelism"), 1);
}

int64_t fapi_spread_number(struct fed_str kind, const struct fed_json *tree)
{
    const struct fed_json *spec = fed_json_find(tree, "spec"), *job = job_spec(kind, tree);
    if (!tree || !fapi_spread_find(kind))
        return -1;
    if (job)
        return job_number(job);
    if (fed_str_is(kind, "CronJob") || fed_str_is(kind, "Job"))
        return 1;
    if (fed_str_is(kind, "HorizontalPodAutoscaler"))
        return fed_json_int(fed_json_find(spec, "maxReplicas"), 1);
    return fed_json_int(fed_json_find(spec, "replicas"), 1);
}

bool fapi_spread_whole(struct fed_str kind, const struct fed_json *tree)
{
    return fed_str_is(fed_json_find_text(job_spec(kind, tree), "completionMode"), "Indexed");
}

static void set(struct fed_arena *a, struct fed_json *spec, const char *key, int64_t n)
{
    fed_json_set(spec, key, fed_json_new_int(a, n));
}

static void apply_job(struct fed_arena *a, struct fed_json *spec, int64_t part)
{
    int64_t all = job_number(spec), wide = fed_json_int(fed_json_find(spec, "parallelism"), 1);
    const struct fed_json *completions = fed_json_find(spec, "completions");
    if (!completions || completions->type != FED_JSON_NUMBER) {
        set(a, spec, "parallelism", part);
        return;
    }
    set(a, spec, "completions", part);
    if (wide > 0 && all > 0) /* rounded up: each cluster that has work gets on with it */
        set(a, spec, "parallelism", FED_MIN((wide * part + all - 1) / all, wide));
}

static void apply_autoscaler(struct fed_arena *a, struct fed_json *spec, int64_t part)
{
    int64_t max = fed_json_int(fed_json_find(spec, "maxReplicas"), 1);
    int64_t min = fed_json_int(fed_json_find(spec, "minReplicas"), 1);
    set(a, spec, "maxReplicas", FED_MAX(part, 1));
    set(a, spec, "minReplicas", FED_MIN(FED_MAX(max > 0 ? min * part / max : 1, 1), FED_MAX(part, 1)));
}

void fapi_spread_apply(struct fed_arena *a, struct fed_str kind, struct fed_json *copy, int64_t part)
{
    struct fed_json *spec = fed_json_find(copy, "spec"), *job = job_spec(kind, copy);
    if (!spec || part < 0 || !fapi_spread_find(kind))
        return;
    if (job)
        apply_job(a, job, part);
    else if (fed_str_is(kind, "HorizontalPodAutoscaler"))
        apply_autoscaler(a, spec, part);
    else if (!fed_str_is(kind, "Job") && !fed_str_is(kind, "CronJob"))
        set(a, spec, "replicas", part);
}
