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
#include "fedapi/controllers/rounds.h"
#include "fedapi/controllers/spread.h"

#define LOOK_AGAIN_MS 60000 /* at a conflict */

struct fapi_replicator {
    struct fapi_member *member;
    struct fed_workqueue *queue;
    struct fapi_jobs jobs;
    bool running;
};

/* --- state of a share --- */

static struct fapi_share *share_of(struct fapi_replicator *r, const char *key)
{
    struct fapi_assignment *as = fapi_assignment_find(r->member->fed, key);
    return as ? fapi_assignment_share(as, r->member) : NULL;
}

static void set_state(struct fapi_replicator *r, const char *key, enum fapi_sync_state state, const char *message)
{
    struct fapi_share *share = share_of(r, key);
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
static void set_pending(struct fapi_replicator *r, const char *key)
{
    const struct fapi_share *share = share_of(r, key);
    if (share && share->state != FAPI_SYNC_FAILED && share->state != FAPI_SYNC_CONFLICT)
        set_state(r, key, FAPI_SYNC_PENDING, NULL);
}

static struct fed_kobj *hub_object(struct fapi_replicator *r, const char *key, struct fapi_kind **k)
{
    struct fed_str ns, name;
    if (!fapi_key_parse(r->member->fed, key, k, &ns, &name))
        return NULL;
    return fed_informer_find((*k)->hub, ns, name);
}

static void report_conflict(struct fapi_replicator *r, const char *key, const struct fapi_kind *k, struct fed_kobj *hub,
                            const struct fed_kobj *there)
{
    struct fapi_share *share = share_of(r, key);
    struct fed_arena a = {0};
    char text[320];
    snprintf(text, sizeof(text),
             "cluster %s has an object of this name that the federation did not make; "
             "annotate with " FAPI_ADOPT "=true to take it over",
             r->member->name);
    if (share && share->state != FAPI_SYNC_CONFLICT && !fapi_aggregate_told(hub, r->member->name, fed_str(text)))
        fed_event_warning(r->member->fed->recorder, hub, "Conflict", "%s", text);
    if (share)
        share->found = fapi_kind_number(k, fed_kobj_parse(there, &a));
    set_state(r, key, FAPI_SYNC_CONFLICT, text);
    fed_workqueue_add_after(r->queue, fed_str(key), LOOK_AGAIN_MS); /* our watch does not show its end */
    fed_arena_release(&a);
}

static void report_failure(struct fapi_replicator *r, const char *key, const char *what, const struct fed_err *err)
{
    struct fapi_kind *k;
    struct fed_kobj *hub = hub_object(r, key, &k);
    struct fapi_share *share = share_of(r, key);
    const char *text = err && err->text[0] ? err->text : "no reason given";
    bool news = share && (share->state != FAPI_SYNC_FAILED || !share->message || strcmp(share->message, text) != 0);
    if (hub && news && !fapi_aggregate_told(hub, r->member->name, fed_str(text)))
        fed_event_warning(r->member->fed->recorder, hub, what, "cluster %s: %s", r->member->name, text);
    set_state(r, key, FAPI_SYNC_FAILED, text);
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
        set_state(r, job->key, FAPI_SYNC_SYNCED, NULL);
    else if (is_refusal(code))
        report_failure(r, job->key, what, err);
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
        report_failure(r, job->key, "DeleteInClusterFailed", err);
    fapi_due_settle(r->member);
    return code;
}

static void start_patch(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k, struct fed_str ns,
                        struct fed_str name, const struct fed_json *patch)
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

/* A definition that we did not make, and are not to take over: used as it is, when it serves the kind. */
static void use_definition(struct fapi_replicator *r, const char *key, const struct fapi_kind *k, struct fed_kobj *hub,
                           const struct fed_kobj *there)
{
    struct fed_arena a = {0};
    struct fed_str version, why;
    enum fapi_served served =
        fapi_custom_serves(&a, fed_kobj_parse(hub, &a), fed_kobj_parse(there, &a), &version, &why);
    if (served == FAPI_SERVED_OTHER)
        report_conflict(r, key, k, hub, there);
    else
        set_state(r, key, served == FAPI_SERVED ? FAPI_SYNC_SYNCED : FAPI_SYNC_PENDING, NULL);
    fed_arena_release(&a);
}

/* The object was there although our informer, which sees marked objects only, did not show it. */
static int met_existing(struct fapi_job *job, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct fapi_replicator *r = job->ud;
    struct fapi_kind *k;
    struct fed_kobj *hub = hub_object(r, job->key, &k), *have = NULL;
    struct fapi_share *share = share_of(r, job->key);
    struct fed_arena a = {0};
    if (code == FED_E_NOT_FOUND) { /* gone meanwhile: made at the next turn */
        set_state(r, job->key, FAPI_SYNC_PENDING, NULL);
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
        set_state(r, job->key, FAPI_SYNC_SYNCED, NULL); /* a shared namespace is used as it is, and never deleted */
    } else if (whose == FAPI_OTHERS || (whose == FAPI_NOBODYS && !adopt)) {
        if (k == r->member->fed->definitions)
            use_definition(r, job->key, k, hub, have);
        else
            report_conflict(r, job->key, k, hub, have);
    } else {
        struct fed_json *patch = make_patch(r, &a, k, hub, have, share);
        if (patch) {
            start_patch(r, job, k, have->ns, have->name, patch);
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
    set_pending(r, key);
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
        set_pending(r, key);
        start_patch(r, fapi_job_new(&r->jobs, r->queue, key, r), k, have->ns, have->name, patch);
    } else {
        set_state(r, key, FAPI_SYNC_SYNCED, NULL);
    }
    fed_arena_release(&a);
    return patch != NULL;
}

static void start_delete(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
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
    set_pending(r, key);
    start_delete(r, fapi_job_new(&r->jobs, r->queue, key, r), k, hub, have);
}

/* Orphaning: the copy stays and becomes its cluster's own. */
static void start_unmark(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
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
    start_patch(r, job, k, have->ns, have->name, patch);
    fed_arena_release(&a);
}

/* Whether the cluster has objects of the kind that are not ours is known: those keep the definition. */
static int others_counted(struct fapi_job *job, int code, const struct fed_call_response *res,
                          const struct fed_err *err FED_UNUSED)
{
    struct fapi_replicator *r = job->ud;
    struct fapi_kind *k;
    struct fed_kobj *hub = hub_object(r, job->key, &k), *have = NULL;
    struct fed_str ns, name;
    struct fed_arena a = {0};
    struct fed_json *list = NULL;
    if (code == FED_E_NOT_FOUND)
        code = 0; /* not served: there is nothing */
    else if (code == 0)
        code = fed_json_parse(&a, res->body, NULL, &list, NULL);
    const struct fed_json *items = fed_json_find(list, "items");
    if (code == 0 && fapi_key_parse(r->member->fed, job->key, &k, &ns, &name))
        have = fapi_member_find(r->member, k, ns, name);
    if (have && items && items->n) {
        if (hub)
            fed_event_warning(r->member->fed->recorder, hub, "KeptInCluster",
                              "cluster %s has objects of this kind that the federation did not make: its definition "
                              "stays there",
                              r->member->name);
        start_unmark(r, job, k, have);
    } else if (have) {
        start_delete(r, job, k, hub, have);
    }
    fed_arena_release(&a);
    if (!have)
        fapi_due_settle(r->member);
    return have ? FAPI_JOB_GOES_ON : code;
}

/* A definition takes all objects of its kind with it, also those that are not ours. */
static void delete_definition(struct fapi_replicator *r, const char *key, struct fed_kobj *have)
{
    struct fed_arena a = {0};
    struct fed_buf query = {0};
    const struct fed_json *spec = fed_json_find(fed_kobj_parse(have, &a), "spec");
    struct fed_resource of = {.group = fed_arena_dupz(&a, fed_json_find_text(spec, "group")),
                              .version = "",
                              .plural = fed_arena_dupz(&a, fed_json_find_text(fed_json_find(spec, "names"), "plural"))};
    FED_JSON_EACH(v, fed_json_find(spec, "versions"))
        if (!of.version[0] && fed_json_bool(fed_json_find(v, "served"), false))
            of.version = fed_arena_dupz(&a, fed_json_find_text(v, "name"));
    set_pending(r, key);
    fed_resource_query_add(&query, "labelSelector", FED_STR(FAPI_MANAGED "!=true"));
    fed_resource_query_add(&query, "limit", FED_STR("1"));
    struct fapi_job *job = fapi_job_new(&r->jobs, r->queue, key, r);
    job->finish = others_counted;
    job->call =
        fed_client_list(r->member->transport, &of, (struct fed_str){0}, fed_buf_z(&query), fapi_job_answered, job);
    fed_buf_release(&query);
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
        start_unmark(r, fapi_job_new(&r->jobs, r->queue, key, r), k, have);
        return true;
    }
    if (have->deleting)
        return false;
    if (k == r->member->fed->definitions)
        delete_definition(r, key, have);
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
        set_state(r, key, FAPI_SYNC_PENDING, NULL); /* its end brings the key back */
        return false;
    }
    if (fapi_round_closed(hub, fed_str(r->member->name), have->uid)) {
        delete_copy(r, key, k, hub, have); /* its end brings the key back */
        return true;
    }
    if (fapi_whose(have, fed_str(r->member->fed->uid), hub->uid) == FAPI_OTHERS) {
        report_conflict(r, key, k, hub, have);
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
        use_definition(r, key, k, hub, there);
        return false;
    }
    if (!have != !there)
        return false; /* one of the watches lags, and brings the key back */
    return place_copy(r, key, k, hub, have, share);
}

/* Whether the cluster takes objects of a custom kind now. Its definition's watch brings the key back when that changes. */
static bool is_served(struct fapi_replicator *r, const char *key, const struct fapi_kind *k)
{
    struct fapi_federation *f = r->member->fed;
    struct fed_arena a = {0};
    struct fed_err err = {.code = FED_E_INVALID};
    const char *why;
    enum fapi_served served = fapi_member_serves(r->member, k, &why);
    if (served == FAPI_SERVED)
        return true;
    struct fed_str definition = fapi_key(&a, f->definitions, (struct fed_str){0}, fed_str(k->definition));
    struct fapi_share *share = share_of(r, definition.p);
    if (served == FAPI_SERVED_NOT && share && !share->placed)
        why = "the definition of its kind is not placed there";
    snprintf(err.text, sizeof(err.text), "%s", why);
    if (why[0])
        report_failure(r, key, "KindNotServed", &err);
    else
        set_state(r, key, FAPI_SYNC_PENDING, NULL);
    fed_arena_release(&a);
    return false;
}

/* A definition goes after what we made of its kind. */
static bool has_objects(const struct fapi_member *m, const struct fapi_kind *k, struct fed_str name)
{
    const struct fapi_kind *of = k == m->fed->definitions ? fapi_kinds_defined(m->fed, name) : NULL;
    return of && fapi_member_count(m, of) > 0;
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
        set_state(r, key, FAPI_SYNC_UNKNOWN, NULL);
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
        if (have && going && has_objects(m, k, name))
            return false; /* the last of them brings the key back */
        if (have)
            return remove_copy(r, key, k, hub, have);
        set_state(r, key, FAPI_SYNC_ABSENT, NULL);
        return false;
    }
    if (k == m->fed->definitions)
        return place_definition(r, key, k, hub, have, share);
    return (!k->custom || is_served(r, key, k)) && place_copy(r, key, k, hub, have, share);
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
