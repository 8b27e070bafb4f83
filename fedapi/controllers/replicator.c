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
        return fapi_replicator_judge(job, code, err, "CreateInClusterFailed");
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
        return fapi_replicator_judge(job, code, err, "CreateInClusterFailed");
    job->finish = met_existing;
    job->call =
        fed_client_get(r->member->transport, fapi_member_resource(r->member, k), ns, name, fapi_job_answered, job);
    return FAPI_JOB_GOES_ON;
}

/* --- what to do about a key --- */

static void look_at_existing(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub)
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

static void delete_copy(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub,
                        struct fed_kobj *have)
{
    fapi_replicator_pending(r, key);
    fapi_replicator_delete(r, fapi_job_new(&r->jobs, r->queue, key, r), k, hub, have);
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
static bool place_copy(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub,
                       struct fed_kobj *have, struct fapi_share *share)
{
    if (!have) {
        if (share->state == FAPI_SYNC_CONFLICT)
            look_at_existing(r, key, k, hub);
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

/* A definition should be there. The watch of it, whoever made it, comes before that of what we made. */
static bool place_definition(struct fapi_replicator *r, const char *key, struct fapi_kind *k, struct fed_kobj *hub,
                             struct fed_kobj *have, struct fapi_share *share)
{
    struct fapi_member *m = r->member;
    const struct fapi_kind *of = fapi_kinds_defined(m->fed, hub->name);
    const char *why;
    if (!of || fapi_member_serves(m, of, &why) == FAPI_SERVED_UNKNOWN)
        return false; /* it brings the key back when it is known */
    struct fed_kobj *there = fapi_member_definition(m, of);
    enum fapi_whose whose = there ? fapi_whose(there, fed_str(m->fed->uid), hub->uid) : FAPI_OURS;
    if (whose == FAPI_NOBODYS && fed_str_is(fed_kobj_annotation(hub, FAPI_ADOPT), "true")) {
        look_at_existing(r, key, k, hub);
        return true;
    }
    if (whose == FAPI_NOBODYS || whose == FAPI_OTHERS) {
        fapi_definition_use(r, key, k, hub, there);
        return false;
    }
    if (!have != !there)
        return false; /* one of the watches lags, and brings the key back */
    return place_copy(r, key, k, hub, have, share);
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
        return place_definition(r, key, k, hub, have, share);
    return (!k->custom || fapi_definition_serves(r, key, k)) && place_copy(r, key, k, hub, have, share);
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
    struct fed_workqueue_conf conf = {.env = r->member->fed->env,
                                      .name = "replicator",
                                      .metrics = r->member->fed->metrics,
                                      .concurrency = 64,
                                      .work = reconcile,
                                      .ud = r};
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
