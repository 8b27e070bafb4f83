/* SPDX-License-Identifier: Apache-2.0 */
/* replicator.c: one cluster's queue of object keys.
 *
 *   key ─> hub object? placed? what does the member have, and whose is it? ─> create | patch | delete | unmark | nothing
 *
 * Failure cases: the cluster away -> the key waits for its return (everything is added again then); refused by the
 * member -> FAILED with its words, tried again with back-off; somebody else's object -> CONFLICT, never touched; an
 * object of ours without its federated object -> deleted, but only while the hub's own list is complete.
 */
#include "fedapi/controllers/replicator.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fedapi/controllers/aggregate.h"
#include "fedapi/controllers/desired.h"
#include "fedapi/controllers/diff.h"
#include "fedapi/controllers/due.h"
#include "fedapi/controllers/jobs.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/member_priv.h"
#include "fedapi/controllers/replicator_priv.h"
#include "fedapi/controllers/rounds.h"
#include "fedapi/controllers/spread.h"

#define LOOK_AGAIN_MS 60000 /* at a conflict */

/* --- state of a share --- */

struct fapi_share *fapi_replicator_share(struct fapi_replicator *r, const char *key)
{
    struct fapi_assignment *as = fapi_assignment_find(r->member->fed, key);
    return as ? fapi_assignment_share(as, r->member) : NULL;
}

void fapi_replicator_set(struct fapi_replicator *r, const char *key, enum fapi_sync_state state, const char *message)
{
    struct fapi_share *share = fapi_replicator_share(r, key);
    if (!share)
        return;
    bool same_text = message ? share->message && strcmp(share->message, message) == 0 : share->message == NULL;
    if (share->state == state && same_text)
        return;
    if ((share->state == FAPI_SYNC_CONFLICT) != (state == FAPI_SYNC_CONFLICT)) /* a conflict runs no replicas of ours */
        fapi_due_decide(r->member->fed, fed_str(key));
    share->state = state;
    if (!same_text) {
        free(share->message);
        share->message = message ? fed_strdup(message) : NULL;
    }
    fapi_due_status(r->member->fed, fed_str(key));
}

/* A write begins. What went wrong before stands until it is known how this one ends: a retry is no news. */
void fapi_replicator_pending(struct fapi_replicator *r, const char *key)
{
    const struct fapi_share *share = fapi_replicator_share(r, key);
    if (share && share->state != FAPI_SYNC_FAILED && share->state != FAPI_SYNC_CONFLICT)
        fapi_replicator_set(r, key, FAPI_SYNC_PENDING, NULL);
}

struct fed_kobj *fapi_replicator_hub(struct fapi_replicator *r, const char *key, struct fapi_kind **k)
{
    struct fed_str ns, name;
    if (!fapi_key_parse(r->member->fed, key, k, &ns, &name))
        return NULL;
    return fed_informer_find((*k)->hub, ns, name);
}

void fapi_replicator_conflict(struct fapi_replicator *r, const char *key, const struct fapi_kind *k,
                              struct fed_kobj *hub, const struct fed_kobj *there)
{
    struct fapi_share *share = fapi_replicator_share(r, key);
    struct fed_arena a = {0};
    static const char text[] =
        "an object of this name is there that the federation did not make; annotate with " FAPI_ADOPT
        "=true to take it over";
    if (share && share->state != FAPI_SYNC_CONFLICT && !fapi_aggregate_told(hub, r->member->name, fed_str(text)))
        fed_event_warning(r->member->fed->recorder, hub, "Conflict", "cluster %s: %s", r->member->name, text);
    if (share)
        share->found = fapi_kind_number(k, fed_kobj_parse(there, &a));
    fapi_replicator_set(r, key, FAPI_SYNC_CONFLICT, text);
    fed_workqueue_add_after(r->queue, fed_str(key), LOOK_AGAIN_MS); /* our watch does not show its end */
    fed_arena_release(&a);
}

void fapi_replicator_failed(struct fapi_replicator *r, const char *key, const char *what, const struct fed_err *err)
{
    struct fapi_kind *k;
    struct fed_kobj *hub = fapi_replicator_hub(r, key, &k);
    struct fapi_share *share = fapi_replicator_share(r, key);
    const char *text = err && err->text[0] ? err->text : "no reason given";
    bool news = share && (share->state != FAPI_SYNC_FAILED || !share->message || strcmp(share->message, text) != 0);
    if (hub && news && !fapi_aggregate_told(hub, r->member->name, fed_str(text)))
        fed_event_warning(r->member->fed->recorder, hub, what, "cluster %s: %s", r->member->name, text);
    fapi_replicator_set(r, key, FAPI_SYNC_FAILED, text);
}

/* --- answers of the member --- */

/* Failures of the way there are the cluster's health's business; only words of the member are the object's. NotFound is
 * neither: the namespace is on its way. */
static bool is_refusal(int code)
{
    return code == FED_E_INVALID || code == FED_E_BAD_REQUEST || code == FED_E_FORBIDDEN || code == FED_E_TOO_LARGE ||
           code == FED_E_UNAUTHORIZED || code == FED_E_METHOD_NOT_ALLOWED || code == FED_E_UNSUPPORTED_MEDIA ||
           code == FED_E_INTERNAL;
}

static int judge(struct fapi_job *job, int code, const struct fed_err *err, const char *what)
{
    struct fapi_replicator *r = job->ud;
    if (code == 0)
        fapi_replicator_set(r, job->key, FAPI_SYNC_SYNCED, NULL);
    else if (is_refusal(code))
        fapi_replicator_failed(r, job->key, what, err);
    fapi_due_settle(r->member);
    return code;
}

static int patched(struct fapi_job *job, int code, const struct fed_call_response *res FED_UNUSED,
                   const struct fed_err *err)
{
    return judge(job, code, err, "UpdateInClusterFailed");
}

static int deleted(struct fapi_job *job, int code, const struct fed_call_response *res FED_UNUSED,
                   const struct fed_err *err)
{
    struct fapi_replicator *r = job->ud;
    if (code == FED_E_NOT_FOUND)
        code = 0;
    if (code && is_refusal(code))
        fapi_replicator_failed(r, job->key, "DeleteInClusterFailed", err);
    fapi_due_settle(r->member);
    return code;
}

void fapi_replicator_patch(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
                           struct fed_str ns, struct fed_str name, const struct fed_json *patch)
{
    job->finish = patched;
    job->call = fed_client_patch(r->member->transport, fapi_member_resource(r->member, k), ns, name, "", "merge", patch,
                                 "", fapi_job_answered, job);
}

static enum fapi_diff_rule rule_of(const struct fapi_kind *k)
{
    if (k->custom)
        return FAPI_DIFF_CUSTOM;
    return k == k->fed->definitions ? FAPI_DIFF_DEFINITION : FAPI_DIFF_OWN;
}

static struct fed_json *make_desired(struct fapi_replicator *r, struct fed_arena *a, const struct fapi_kind *k,
                                     struct fed_kobj *hub, const struct fed_json *member,
                                     const struct fapi_share *share)
{
    struct fapi_desired_conf conf = {.source = fed_kobj_parse(hub, a),
                                     .member = member,
                                     .federation_uid = fed_str(r->member->fed->uid),
                                     .replicas = share->replicas,
                                     .scaled = fapi_is_scaled(r->member->fed, k, hub),
                                     .custom = k->custom};
    if (k->custom)
        conf.api_version = fed_resource_api_version(a, fapi_member_resource(r->member, k));
    return fapi_desired(a, &conf);
}

/* The patch that is due at the member's object; NULL: none. */
static struct fed_json *make_patch(struct fapi_replicator *r, struct fed_arena *a, const struct fapi_kind *k,
                                   struct fed_kobj *hub, const struct fed_kobj *have, const struct fapi_share *share)
{
    struct fed_json *member = fed_kobj_parse(have, a);
    return fapi_diff_by(a, rule_of(k), make_desired(r, a, k, hub, member, share), member);
}

/* The object was there although our informer, which sees marked objects only, did not show it. */
static int met_existing(struct fapi_job *job, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct fapi_replicator *r = job->ud;
    struct fapi_kind *k;
    struct fed_kobj *hub = fapi_replicator_hub(r, job->key, &k), *have = NULL;
    struct fapi_share *share = fapi_replicator_share(r, job->key);
    struct fed_arena a = {0};
    if (code == FED_E_NOT_FOUND) { /* gone meanwhile: made at the next turn */
        fapi_replicator_set(r, job->key, FAPI_SYNC_PENDING, NULL);
        fapi_due_settle(r->member);
        return FED_E_CONFLICT;
    }
    if (code || !hub || !share || hub->deleting)
        return judge(job, code, err, "CreateInClusterFailed");
    code = fed_kobj_new(res->body, (struct fed_str){0}, (struct fed_str){0}, &have, NULL);
    if (code)
        return code;
    enum fapi_whose whose = fapi_whose(have, fed_str(r->member->fed->uid), hub->uid);
    bool adopt = whose == FAPI_NOBODYS && fed_str_is(fed_kobj_annotation(hub, FAPI_ADOPT), "true");
    if (whose == FAPI_NOBODYS && k->spread == FAPI_SPREAD_NAMESPACE && !adopt) {
        fapi_replicator_set(r, job->key, FAPI_SYNC_SYNCED,
                            NULL); /* a shared namespace is used as it is, and never deleted */
    } else if (whose == FAPI_OTHERS || (whose == FAPI_NOBODYS && !adopt)) {
        if (k == r->member->fed->definitions)
            fapi_definition_use(r, job->key, k, hub, have);
        else
            fapi_replicator_conflict(r, job->key, k, hub, have);
    } else {
        struct fed_json *patch = make_patch(r, &a, k, hub, have, share);
        if (patch) {
            fapi_replicator_patch(r, job, k, have->ns, have->name, patch);
            code = FAPI_JOB_GOES_ON;
        }
    }
    fed_kobj_unref(have);
    fed_arena_release(&a);
    if (code != FAPI_JOB_GOES_ON)
        fapi_due_settle(r->member);
    return code;
}

static int created(struct fapi_job *job, int code, const struct fed_call_response *res FED_UNUSED,
                   const struct fed_err *err)
{
    struct fapi_replicator *r = job->ud;
    struct fapi_kind *k;
    struct fed_str ns, name;
    if (code != FED_E_ALREADY_EXISTS || !fapi_key_parse(r->member->fed, job->key, &k, &ns, &name))
        return judge(job, code, err, "CreateInClusterFailed");
    job->finish = met_existing;
    job->call =
        fed_client_get(r->member->transport, fapi_member_resource(r->member, k), ns, name, fapi_job_answered, job);
    return FAPI_JOB_GOES_ON;
}

/* --- what to do about a key --- */

void fapi_replicator_meet(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub)
{
    struct fapi_job *job = fapi_job_new(&r->jobs, r->queue, key, r);
    job->finish = met_existing;
    job->call = fed_client_get(r->member->transport, fapi_member_resource(r->member, k), hub->ns, hub->name,
                               fapi_job_answered, job);
}

static void create(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub,
                   const struct fapi_share *share)
{
    struct fed_arena a = {0};
    struct fed_json *desired = make_desired(r, &a, k, hub, NULL, share);
    fapi_diff_record_by(&a, rule_of(k), desired);
    fapi_replicator_pending(r, key);
    struct fapi_job *job = fapi_job_new(&r->jobs, r->queue, key, r);
    job->finish = created;
    job->call = fed_client_create(r->member->transport, fapi_member_resource(r->member, k), hub->ns, desired,
                                  fapi_job_answered, job);
    fed_arena_release(&a);
}

/* True when a write was started. */
static bool bring_up_to_date(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub,
                             struct fed_kobj *have, const struct fapi_share *share)
{
    struct fed_arena a = {0};
    struct fed_json *patch = make_patch(r, &a, k, hub, have, share);
    if (patch) {
        fapi_replicator_pending(r, key);
        fapi_replicator_patch(r, fapi_job_new(&r->jobs, r->queue, key, r), k, have->ns, have->name, patch);
    } else {
        fapi_replicator_set(r, key, FAPI_SYNC_SYNCED, NULL);
    }
    fed_arena_release(&a);
    return patch != NULL;
}

void fapi_replicator_delete(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
                            const struct fed_kobj *hub, const struct fed_kobj *have)
{
    bool foreground = hub && fed_kobj_has_finalizer(hub, "foregroundDeletion");
    job->finish = deleted;
    job->call = fed_client_delete(r->member->transport, fapi_member_resource(r->member, k), have->ns, have->name,
                                  foreground ? "Foreground" : "Background", have->uid, fapi_job_answered, job);
}

static void delete_copy(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub,
                        struct fed_kobj *have)
{
    fapi_replicator_pending(r, key);
    fapi_replicator_delete(r, fapi_job_new(&r->jobs, r->queue, key, r), k, hub, have);
}

/* Orphaning: the copy stays and becomes its cluster's own. */
void fapi_replicator_unmark(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
                            const struct fed_kobj *have)
{
    struct fed_arena a = {0};
    struct fed_json *patch = fed_json_object(&a), *meta = fed_json_ensure_object(&a, patch, "metadata");
    struct fed_json *labels = fed_json_ensure_object(&a, meta, "labels");
    struct fed_json *annotations = fed_json_ensure_object(&a, meta, "annotations");
    fed_json_set(labels, FAPI_MANAGED, fed_json_null(&a));
    fed_json_set(annotations, FAPI_FEDERATION_UID, fed_json_null(&a));
    fed_json_set(annotations, FAPI_SOURCE_UID, fed_json_null(&a));
    fed_json_set(annotations, FAPI_APPLIED_FIELDS, fed_json_null(&a));
    fapi_replicator_patch(r, job, k, have->ns, have->name, patch);
    fed_arena_release(&a);
}

/* The object should not be there (any more). True when a write was started. */
static bool remove_copy(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub,
                        struct fed_kobj *have)
{
    struct fed_str source = hub ? hub->uid : fed_kobj_annotation(have, FAPI_SOURCE_UID);
    enum fapi_whose whose = fapi_whose(have, fed_str(r->member->fed->uid), source);
    if (whose != FAPI_OURS && whose != FAPI_STALE)
        return false;
    if (hub && hub->deleting && fed_kobj_has_finalizer(hub, "orphan")) {
        fapi_replicator_unmark(r, fapi_job_new(&r->jobs, r->queue, key, r), k, have);
        return true;
    }
    if (have->deleting)
        return false;
    if (k == r->member->fed->definitions)
        fapi_definition_delete(r, key, have);
    else
        delete_copy(r, key, k, hub, have);
    return true;
}

/* The object should be there. True when a write was started. */
bool fapi_replicator_place(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub,
                           struct fed_kobj *have, struct fapi_share *share)
{
    if (!have) {
        if (share->state == FAPI_SYNC_CONFLICT)
            fapi_replicator_meet(r, key, k, hub);
        else
            create(r, key, k, hub, share);
        return true;
    }
    if (have->deleting) {
        fapi_replicator_set(r, key, FAPI_SYNC_PENDING, NULL); /* its end brings the key back */
        return false;
    }
    if (fapi_round_closed(hub, fed_str(r->member->name), have->uid)) {
        delete_copy(r, key, k, hub, have); /* its end brings the key back */
        return true;
    }
    if (fapi_whose(have, fed_str(r->member->fed->uid), hub->uid) == FAPI_OTHERS) {
        fapi_replicator_conflict(r, key, k, hub, have);
        return false;
    }
    return bring_up_to_date(r, key, k, hub, have, share);
}

/* Decides about one key; true when a call was started that will finish it. */
static bool look_at(struct fapi_replicator *r, const char *key)
{
    struct fapi_member *m = r->member;
    struct fapi_kind *k;
    struct fed_str ns, name;
    if (!fapi_key_parse(m->fed, key, &k, &ns, &name) || !fed_informer_synced(k->hub))
        return false;
    if (!r->running || !fapi_member_sees(m, k) || !fapi_member_writable(m)) {
        fapi_replicator_set(r, key, FAPI_SYNC_UNKNOWN, NULL);
        return false;
    }
    struct fed_kobj *hub = fed_informer_find(k->hub, ns, name);
    struct fed_kobj *have = fapi_member_find(m, k, ns, name);
    struct fapi_assignment *as = fapi_assignment_find(m->fed, key);
    struct fapi_share *share = as ? fapi_assignment_share(as, m) : NULL;
    bool cleanup = m->deleting;
    bool going = !hub || cleanup || (hub->deleting && !fapi_has_contents(k, hub));
    if (!going && (!as || !as->decided || !share || share->stale))
        return false; /* the scheduler adds the key when it has decided */
    if (going || !share->placed) {
        if (have && going && fapi_definition_has_objects(m, k, name))
            return false; /* the last of them brings the key back */
        if (have)
            return remove_copy(r, key, k, hub, have);
        fapi_replicator_set(r, key, FAPI_SYNC_ABSENT, NULL);
        return false;
    }
    if (k == m->fed->definitions)
        return fapi_definition_place(r, key, k, hub, have, share);
    return (!k->custom || fapi_definition_serves(r, key, k)) && fapi_replicator_place(r, key, k, hub, have, share);
}

static void reconcile(void *ud, const char *key)
{
    struct fapi_replicator *r = ud;
    if (look_at(r, key))
        return;
    fed_workqueue_done(r->queue, key, 0);
    fapi_due_settle(r->member);
}

/* --- life --- */

struct fapi_replicator *fapi_replicator_new(struct fapi_member *m)
{
    struct fapi_replicator *r = FED_NEW(struct fapi_replicator);
    r->member = m;
    fapi_jobs_init(&r->jobs);
    return r;
}

void fapi_replicator_start(struct fapi_replicator *r)
{
    struct fed_workqueue_conf conf = {
        .env = r->member->fed->env, .name = r->member->name, .concurrency = 64, .work = reconcile, .ud = r};
    if (r->running)
        return;
    r->queue = r->member->due = fed_workqueue_new(&conf);
    r->running = true;
}

void fapi_replicator_stop(struct fapi_replicator *r)
{
    fapi_jobs_cancel(&r->jobs);
    if (r->queue)
        fed_workqueue_free(r->queue);
    r->queue = r->member->due = NULL;
    r->running = false;
}

void fapi_replicator_free(struct fapi_replicator *r)
{
    fapi_replicator_stop(r);
    free(r);
}

bool fapi_replicator_idle(const struct fapi_replicator *r)
{
    return !r->queue || (fed_workqueue_depth(r->queue) == 0 && fed_list_empty(&r->jobs.running));
}
