/* SPDX-License-Identifier: Apache-2.0 */
/* status.c: one queue of keys; changes within a few milliseconds become one write. The annotation goes along with a status,
 * so that it moves no generation. Where there is none, or a write of it leaves annotations as they are (custom kinds,
 * definitions), it is written to the object itself. */
#include "fedapi/controllers/status.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fedapi/controllers/aggregate.h"
#include "fedapi/controllers/endpoints.h"
#include "fedapi/controllers/jobs.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/rounds.h"

struct fapi_status {
    struct fapi_federation *fed;
    struct fed_workqueue *queue;
    struct fapi_jobs jobs;
};

static const char *state_text(enum fapi_sync_state s)
{
    switch (s) {
    case FAPI_SYNC_SYNCED:
        return "Synced";
    case FAPI_SYNC_CONFLICT:
        return "Conflict";
    case FAPI_SYNC_FAILED:
        return "Failed";
    case FAPI_SYNC_PENDING:
        return "Pending";
    default:
        return "Unknown";
    }
}

/* False while a cluster has not been asked yet, or has answered but this object was not looked at there: what was
 * reported before stands. Whatever ends that brings the key back. */
static bool known(const struct fapi_assignment *as)
{
    for (size_t i = 0; i < as->n; i++) {
        const struct fapi_share *share = &as->shares[i];
        if (!share->placed || share->member->deleting)
            continue;
        if (share->member->health == FAPI_UNKNOWN ||
            (share->member->health == FAPI_READY && share->state == FAPI_SYNC_UNKNOWN))
            return false;
    }
    return as->decided || as->problem;
}

/* Whether the cluster's own definition is used. While it cannot be seen, what was told stands: it is asked for when the
 * definition goes. */
static bool uses_own(struct fapi_status *s, const struct fapi_share *share, const struct fed_kobj *hub)
{
    struct fapi_kind *of = fapi_kinds_defined(s->fed, hub->name);
    const char *why;
    if (!of || !fapi_kinds_definition(of) || !fed_str_eq(fapi_kinds_definition(of)->uid, hub->uid))
        return false; /* not a definition */
    enum fapi_served served = fapi_member_serves(share->member, of, &why);
    if (served == FAPI_SERVED_UNKNOWN)
        return fapi_aggregate_own(hub, share->member->name);
    struct fed_kobj *there = fapi_member_definition(share->member, of);
    enum fapi_whose whose = there ? fapi_whose(there, fed_str(s->fed->uid), hub->uid) : FAPI_OURS;
    return served == FAPI_SERVED && (whose == FAPI_NOBODYS || whose == FAPI_OTHERS);
}

/* One report for each cluster that should have the object. */
static size_t collect(struct fapi_status *s, struct fed_arena *a, const struct fapi_kind *k, const struct fed_kobj *hub,
                      const struct fapi_assignment *as, struct fapi_report *reports)
{
    size_t n = 0;
    for (size_t i = 0; i < as->n; i++) {
        const struct fapi_share *share = &as->shares[i];
        if (!share->placed || share->member->deleting)
            continue;
        struct fed_kobj *have = fapi_member_find(share->member, k, hub->ns, hub->name);
        bool ours = have && fapi_whose(have, fed_str(s->fed->uid), hub->uid) == FAPI_OURS &&
                    !fapi_round_closed(hub, fed_str(share->member->name), have->uid);
        enum fapi_sync_state state = share->member->health == FAPI_READY ? share->state : FAPI_SYNC_UNKNOWN;
        reports[n++] = (struct fapi_report){
            .cluster = fed_str(share->member->name),
            .state = state_text(state),
            .message = fed_str(share->message),
            .own = uses_own(s, share, hub),
            .replicas = k->spread == FAPI_SPREAD_DIVIDE ? share->replicas : -1,
            /* An Offline cluster's last word is not counted: its pods may be gone. */
            .object =
                ours && !share->member->lost && share->member->health != FAPI_OFFLINE ? fed_kobj_parse(have, a) : NULL};
    }
    return n;
}

static int annotated(struct fapi_job *job FED_UNUSED, int code, const struct fed_call_response *res FED_UNUSED,
                     const struct fed_err *err FED_UNUSED)
{
    return code == FED_E_NOT_FOUND || code == FED_E_CONFLICT ? 0 : code;
}

/* The schema of the hub may not allow what a cluster's does. Trying again would not help. */
static int status_taken(struct fapi_job *job, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct fapi_status *s = job->ud;
    struct fapi_kind *k;
    struct fed_str ns, name;
    if (code != FED_E_INVALID)
        return annotated(job, code, res, err);
    struct fed_kobj *hub =
        fapi_key_parse(s->fed, job->key, &k, &ns, &name) ? fed_informer_find(k->hub, ns, name) : NULL;
    if (hub)
        fed_event_warning(s->fed->recorder, hub, "StatusNotTaken", "%s", err->text);
    return 0;
}

static struct fed_json *annotation_patch(struct fed_arena *a, const struct fed_kobj *hub, struct fed_str text)
{
    struct fed_str was = fed_kobj_annotation(hub, FAPI_ANN_CLUSTERS);
    struct fed_json *patch = fed_json_object(a);
    if (fed_str_eq(was, text) && (was.p == NULL) == (text.p == NULL))
        return NULL;
    struct fed_json *annotations =
        fed_json_ensure_object(a, fed_json_ensure_object(a, patch, "metadata"), "annotations");
    fed_json_set(annotations, FAPI_ANN_CLUSTERS, text.p ? fed_json_new_str(a, text) : fed_json_null(a));
    return patch;
}

/* A merge patch cannot take members away by leaving them out, at any depth. */
static void null_removed(struct fed_arena *a, const struct fed_json *was, struct fed_json *now)
{
    if (!was || was->type != FED_JSON_OBJECT || now->type != FED_JSON_OBJECT)
        return;
    FED_JSON_EACH(m, was) {
        struct fed_json *left = fed_json_find_str(now, m->key);
        if (left)
            null_removed(a, m, left);
        else
            fed_json_set_str(now, m->key, fed_json_null(a));
    }
}

static struct fed_json *status_patch(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status)
{
    const struct fed_json *was = fed_json_find(in->tree, "status"), *now = was ? was : fed_json_object(a);
    /* Of a kind of Kubernetes' own the hub writes zero values too; they are not ours to take away. */
    if (!status || (in->custom ? fed_json_equal(now, status) : fed_json_equal_filled(status, now)))
        return NULL;
    null_removed(a, was, status);
    struct fed_json *patch = fed_json_object(a);
    fed_json_set(patch, "status", status);
    return patch;
}

/* ttlSecondsAfterFinished of a Job is the hub's business: its copies go with it. True when the delete was started. */
static bool look_at_ttl(struct fapi_status *s, const char *key, const struct fapi_kind *k, const struct fed_kobj *hub,
                        const struct fapi_aggregate_in *in)
{
    static const char *const ends[] = {"Complete", "Failed"};
    int64_t ttl = fed_json_int(fed_json_at(in->tree, "spec", "ttlSecondsAfterFinished", NULL), -1), at;
    if (ttl < 0 || !fed_str_is(fapi_kind_name(k), "Job") || hub->deleting)
        return false;
    for (size_t i = 0; i < FED_ARRAY_LEN(ends); i++) {
        const struct fed_json *c = fed_obj_condition(fed_json_find(in->tree, "status"), ends[i]);
        if (!fed_str_is(fed_json_find_text(c, "status"), "True") ||
            fed_time_parse(fed_json_find_text(c, "lastTransitionTime"), &at) < 0)
            continue;
        int64_t left = at + ttl * 1000 - in->now_ms;
        if (left > 0) {
            fed_workqueue_add_after(s->queue, fed_str(key), (uint64_t)left + 10);
            return false;
        }
        struct fapi_job *job = fapi_job_new(&s->jobs, s->queue, key, s);
        job->finish = annotated;
        job->call = fed_client_delete(s->fed->hub, &k->resource, hub->ns, hub->name, "Background", hub->uid,
                                      fapi_job_answered, job);
        return true;
    }
    return false;
}

/* What is to be written next, and through which subresource; NULL: nothing. */
static struct fed_json *due_patch(const struct fapi_kind *k, const struct fed_kobj *hub, struct fed_arena *a,
                                  const struct fapi_aggregate_in *in, const char **sub)
{
    struct fed_json *status = k->has_status ? status_patch(a, in, fapi_aggregate_status(a, in)) : NULL;
    struct fed_json *note = annotation_patch(a, hub, fapi_aggregate_annotation(a, in));
    if (k->status_annotates) {
        *sub = "status";
        if (!status || !note)
            return note ? note : status;
        struct fed_json *told = fed_json_find(status, "status");
        fed_json_remove(told);
        fed_json_set(note, "status", told);
        return note;
    }
    /* A status that the schema refuses must not hold up the annotation of a custom kind. */
    *sub = status && !(k->custom && note) ? "status" : "";
    return **sub ? status : note;
}

static void write_if_changed(struct fapi_status *s, const char *key, const struct fapi_kind *k,
                             const struct fed_kobj *hub, struct fed_arena *a, const struct fapi_aggregate_in *in)
{
    const char *sub;
    struct fed_json *patch = due_patch(k, hub, a, in, &sub);
    if (!patch && look_at_ttl(s, key, k, hub, in))
        return;
    if (!patch) {
        fed_workqueue_done(s->queue, key, 0);
        return;
    }
    /* The write's own event brings the key back for what is left to write. */
    struct fapi_job *job = fapi_job_new(&s->jobs, s->queue, key, s);
    job->finish = sub[0] && k->custom ? status_taken : annotated;
    job->call = fed_client_patch(s->fed->hub, &k->resource, hub->ns, hub->name, sub, "merge", patch, "",
                                 fapi_job_answered, job);
}

static void reconcile(void *ud, const char *key)
{
    struct fapi_status *s = ud;
    struct fapi_kind *k;
    struct fed_str ns, name;
    struct fed_arena a = {0};
    struct fapi_assignment *as = fapi_assignment_find(s->fed, key);
    struct fed_kobj *hub = fapi_key_parse(s->fed, key, &k, &ns, &name) ? fed_informer_find(k->hub, ns, name) : NULL;
    if (!hub || hub->deleting || !as || !known(as)) {
        fed_workqueue_done(s->queue, key, 0);
        return;
    }
    struct fapi_report *reports = FED_ARENA_ARRAY(&a, struct fapi_report, as->n + 1);
    struct fapi_aggregate_in in = {.hub = hub,
                                   .tree = fed_kobj_parse(hub, &a),
                                   .reports = reports,
                                   .done = fapi_rounds_done(&a, hub),
                                   .problem = fed_str(as->problem),
                                   .now_ms = fed_wall_ms(s->fed->env),
                                   .custom = k->custom,
                                   .custom_status = k->custom && k->has_status};
    in.n = collect(s, &a, k, hub, as, reports);
    if (fed_str_is(fapi_kind_name(k), "Ingress"))
        in.n_balancers = fapi_endpoints_balancers(s->fed->endpoints, &a, &in.balancers);
    write_if_changed(s, key, k, hub, &a, &in);
    fed_arena_release(&a);
}

struct fapi_status *fapi_status_new(struct fapi_federation *f)
{
    struct fapi_status *s = FED_NEW(struct fapi_status);
    struct fed_workqueue_conf conf = {
        .env = f->env, .name = "status", .metrics = f->metrics, .concurrency = 32, .work = reconcile, .ud = s};
    s->fed = f;
    s->queue = f->due.status = fed_workqueue_new(&conf);
    fapi_jobs_init(&s->jobs);
    return s;
}

void fapi_status_free(struct fapi_status *s)
{
    if (!s)
        return;
    fapi_jobs_cancel(&s->jobs);
    s->fed->due.status = NULL;
    fed_workqueue_free(s->queue);
    free(s);
}
