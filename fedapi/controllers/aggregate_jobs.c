/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"
#include "fedapi/controllers/aggregate_priv.h"

static const struct fed_json *of(const struct fapi_report *r, const char *key)
{
    return fed_json_at(r->object, "status", key, NULL);
}

void fapi_aggregate_times(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status,
                          const char *key, bool latest)
{
    const struct fed_json *best = NULL;
    int64_t best_ms = 0, ms;
    for (size_t i = 0; i < in->n; i++) {
        const struct fed_json *t = of(&in->reports[i], key);
        if (fed_time_parse(fed_json_str(t), &ms) < 0 || (best && (latest ? ms <= best_ms : ms >= best_ms)))
            continue;
        best = t;
        best_ms = ms;
    }
    if (best)
        fed_json_set(status, key, fed_json_copy(a, best));
    else
        fed_json_remove_key(status, key);
}

static void sum(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status, const char *key)
{
    int64_t n = 0;
    for (size_t i = 0; i < in->n; i++)
        n += fed_json_int(of(&in->reports[i], key), 0);
    if (n)
        fed_json_set(status, key, fed_json_new_int(a, n));
    else
        fed_json_remove_key(status, key);
}

static const struct fed_json *ended(const struct fapi_report *r, const char *type)
{
    const struct fed_json *c = fed_obj_condition(fed_json_find(r->object, "status"), type);
    return fed_str_is(fed_json_find_text(c, "status"), "True") ? c : NULL;
}

static bool finished(const struct fed_json *status)
{
    return fed_str_is(fed_json_find_text(fed_obj_condition(status, "Complete"), "status"), "True") ||
           fed_str_is(fed_json_find_text(fed_obj_condition(status, "Failed"), "status"), "True");
}

/* -1: none asked for. */
static int64_t completions(const struct fapi_aggregate_in *in)
{
    const struct fed_json *all = fed_json_at(in->tree, "spec", "completions", NULL);
    return all && all->type == FED_JSON_NUMBER ? fed_json_int(all, -1) : -1;
}

static int64_t succeeded(const struct fapi_aggregate_in *in)
{
    int64_t n = in->done;
    for (size_t i = 0; i < in->n; i++)
        n += fed_json_int(of(&in->reports[i], "succeeded"), 0);
    return n;
}

/* Complete when every part is and the parts are the whole; Failed as soon as one is. Neither is ever taken back. */
static void set_end(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status)
{
    size_t complete = 0;
    for (size_t i = 0; i < in->n; i++) {
        const struct fed_json *failed = ended(&in->reports[i], "Failed");
        complete += ended(&in->reports[i], "Complete") != NULL;
        if (!failed)
            continue;
        fed_obj_set_condition(a, status, "Failed", "True", fed_arena_dupz(a, fed_json_find_text(failed, "reason")),
                              fed_arena_printf(a, "cluster %.*s: %.*s", FED_STR_ARG(in->reports[i].cluster),
                                               FED_STR_ARG(fed_json_find_text(failed, "message"))),
                              in->now_ms);
        return;
    }
    if (complete < in->n || succeeded(in) < completions(in) || (!in->n && !in->done))
        return;
    fed_obj_set_condition(a, status, "Complete", "True", "CompletionsReached", FED_STR("in every cluster"), in->now_ms);
    fapi_aggregate_times(a, in, status, "completionTime", true);
}

static void set_suspended(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status)
{
    size_t n = 0;
    for (size_t i = 0; i < in->n; i++)
        n += ended(&in->reports[i], "Suspended") != NULL;
    if (n && n == in->n)
        fed_obj_set_condition(a, status, "Suspended", "True", "JobSuspended", FED_STR("Job suspended"), in->now_ms);
    else if (fed_obj_condition(status, "Suspended"))
        fed_obj_set_condition(a, status, "Suspended", "False", "JobResumed", FED_STR("Job resumed"), in->now_ms);
}

void fapi_aggregate_job(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status)
{
    static const char *const counts[] = {"active", "succeeded", "failed", "ready", "terminating"};
    if (finished(status)) /* copies may be gone since */
        return;
    for (size_t i = 0; i < FED_ARRAY_LEN(counts); i++)
        sum(a, in, status, counts[i]);
    if (in->done) {
        int64_t most = completions(in), n = most < 0 ? succeeded(in) - in->done : FED_MIN(succeeded(in), most);
        fed_json_set(status, "succeeded", fed_json_new_int(a, n));
    }
    if (!in->done || !fed_json_find(status, "startTime")) /* of the first round */
        fapi_aggregate_times(a, in, status, "startTime", false);
    set_suspended(a, in, status);
    fed_json_remove_key(status, "completedIndexes");
    for (size_t i = 0; i < in->n; i++) /* by index: one cluster has it all */
        if (of(&in->reports[i], "completedIndexes"))
            fed_json_set(status, "completedIndexes", fed_json_copy(a, of(&in->reports[i], "completedIndexes")));
    set_end(a, in, status);
}

void fapi_aggregate_cronjob(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status)
{
    struct fed_json *active = fed_json_array(a);
    fapi_aggregate_times(a, in, status, "lastScheduleTime", true);
    fapi_aggregate_times(a, in, status, "lastSuccessfulTime", true);
    for (size_t i = 0; i < in->n; i++)
        FED_JSON_EACH(r, of(&in->reports[i], "active"))
            fed_json_push(active, fed_json_copy(a, r));
    if (active->n)
        fed_json_set(status, "active", active);
    else
        fed_json_remove_key(status, "active");
}

/* Bound when it is everywhere; Lost when one is. */
void fapi_aggregate_claim(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status)
{
    static const char *const shown[] = {"accessModes", "capacity"};
    size_t bound = 0;
    bool lost = false;
    for (size_t i = 0; i < in->n; i++) {
        struct fed_str phase = fed_json_str(of(&in->reports[i], "phase"));
        bound += fed_str_is(phase, "Bound");
        lost = lost || fed_str_is(phase, "Lost");
        for (size_t k = 0; k < FED_ARRAY_LEN(shown) && fed_str_is(phase, "Bound"); k++)
            if (of(&in->reports[i], shown[k]))
                fed_json_set(status, shown[k], fed_json_copy(a, of(&in->reports[i], shown[k])));
    }
    fed_json_set(status, "phase", fed_json_new_strz(a, lost ? "Lost" : in->n && bound == in->n ? "Bound" : "Pending"));
}
