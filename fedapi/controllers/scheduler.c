/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler.c: placement of each federated object, and the end of those being deleted.
 *
 * A key waits while a cluster that counts has not shown its objects yet: dividing replicas without knowing where they
 * run would move them. An object being deleted keeps our finalizer until every cluster that can be seen has let it go;
 * a cluster that cannot be seen is swept when it returns (replicator.c), but for what is orphaned it is waited for.
 */
#include "fedapi/controllers/scheduler.h"

#include <stdlib.h>

#include "base/mem.h"
#include "control/revisions.h"
#include "fedapi/controllers/aggregate.h"
#include "fedapi/controllers/due.h"
#include "fedapi/controllers/jobs.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/member_priv.h"
#include "fedapi/controllers/place.h"
#include "fedapi/controllers/placement.h"
#include "fedapi/controllers/rounds.h"
#include "fedapi/controllers/spread.h"
#include "kube/crd.h"

struct fapi_scheduler {
    struct fapi_federation *fed;
    struct fed_workqueue *queue;
    struct fapi_jobs jobs;
    struct fed_task drained;
};

/* --- what a cluster has now --- */

static int64_t last_known_replicas(struct fed_arena *a, const struct fed_kobj *hub, const char *cluster)
{
    struct fed_str text = fed_kobj_annotation(hub, FAPI_ANN_CLUSTERS);
    struct fed_json *all;
    if (!text.n || fed_json_parse(a, text, NULL, &all, NULL) != 0)
        return -1;
    return fed_json_int(fed_json_find(fed_json_find(all, cluster), "replicas"), -1);
}

/* What was decided counts, not what the informer shows: that lags behind our own writes, and replicas would be moved
 * back and forth. Observed is a cluster of which nothing was decided yet, or that was away. */
static bool is_decided(const struct fapi_share *share)
{
    return share && share->placed && !share->stale && share->replicas >= 0 && share->state != FAPI_SYNC_FAILED &&
           share->state != FAPI_SYNC_CONFLICT;
}

/* False when its copy was closed since: what was decided was about that one. */
static bool knows_round(struct fed_arena *a, const struct fapi_share *share, const struct fapi_member *m,
                        const struct fed_kobj *hub)
{
    struct fapi_round r;
    return !fapi_round_find(a, hub, fed_str(m->name), &r) || fed_str_eq(r.copy, fed_str(share->closed));
}

static int64_t current_replicas(struct fed_arena *a, const struct fapi_member *m, const struct fapi_kind *k,
                                const struct fed_kobj *hub)
{
    struct fapi_assignment *as = fapi_assignment_find(m->fed, fapi_key(a, k, hub->ns, hub->name).p);
    const struct fapi_share *share = as && as->decided ? fapi_assignment_share(as, m) : NULL;
    if (is_decided(share) && knows_round(a, share, m, hub))
        return share->replicas;
    struct fed_kobj *have = fapi_member_find(m, k, hub->ns, hub->name);
    if (have && !fapi_round_closed(hub, fed_str(m->name), have->uid))
        return fapi_kind_number(k, fed_kobj_parse(have, a));
    return have || fapi_member_sees(m, k) ? -1 : last_known_replicas(a, hub, m->name);
}

/* A Job's part in a lost cluster counts only as a copy that was seen there: what was never begun is nobody's yet. */
static bool never_begun(struct fed_arena *a, const struct fapi_member *m, const struct fapi_kind *k,
                        const struct fed_kobj *hub)
{
    const struct fapi_spread_rule *rule = fapi_spread_find(hub->kind);
    if (!rule || !rule->fixed || !m->lost || fapi_member_find(m, k, hub->ns, hub->name))
        return false;
    struct fapi_copy told = fapi_copy_told(a, hub, fed_str(m->name));
    return !told.uid.n || fapi_round_closed(hub, fed_str(m->name), told.uid);
}

/* What another object runs under the name is counted once that is to be taken over. */
static void describe_conflict(struct fapi_federation *f, const struct fapi_member *m, const struct fapi_kind *k,
                              const struct fed_kobj *hub, struct fapi_cluster *out)
{
    struct fed_arena a = {0};
    struct fapi_assignment *as = fapi_assignment_find(f, fapi_key(&a, k, hub->ns, hub->name).p);
    const struct fapi_share *share = as ? fapi_assignment_share(as, m) : NULL;
    if (share && share->state == FAPI_SYNC_CONFLICT) {
        out->conflict = !fed_str_is(fed_kobj_annotation(hub, FAPI_ADOPT), "true");
        out->current = share->found;
    }
    fed_arena_release(&a);
}

static void describe_cluster(struct fed_arena *a, struct fapi_federation *f, const struct fapi_member *m,
                             const struct fapi_kind *k, const struct fed_kobj *hub, struct fapi_cluster *out)
{
    const struct fed_kobj *object = fapi_clusters_object(f->clusters, fed_str(m->name));
    *out = (struct fapi_cluster){
        .name = fed_str(m->name), .offline = m->lost || m->deleting, .current = -1, .capacity = -1};
    if (object) {
        out->labels = object->labels;
        out->n_labels = object->n_labels;
        out->cordoned = fed_str_is(fed_kobj_annotation(object, FAPI_CORDONED), "true");
    }
    if (k->spread == FAPI_SPREAD_DIVIDE)
        out->current = never_begun(a, m, k, hub) ? -1 : current_replicas(a, m, k, hub);
    describe_conflict(f, m, k, hub, out);
}

/* False while a cluster that may run replicas has not shown them. */
static bool everything_seen(struct fapi_federation *f, const struct fapi_kind *k)
{
    if (!fapi_clusters_synced(f->clusters))
        return false;
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(f->clusters, m));) {
        bool settled = m->lost || m->health == FAPI_OFFLINE || m->health == FAPI_NOT_READY;
        if (k->spread == FAPI_SPREAD_DIVIDE && !settled && !fapi_member_sees(m, k))
            return false;
    }
    return true;
}

/* --- the hash of what members get --- */

static uint64_t content_hash(struct fed_arena *a, struct fed_json *tree)
{
    static const char *const bookkeeping[] = {"resourceVersion", "managedFields", "generation", "finalizers"};
    struct fed_buf b;
    struct fed_json *copy = fed_json_copy(a, tree);
    fed_json_remove_key(copy, "status");
    for (size_t i = 0; i < FED_ARRAY_LEN(bookkeeping); i++)
        fed_json_remove_key(fed_json_find(copy, "metadata"), bookkeeping[i]);
    static const char *const annotations[] = {FAPI_ANN_CLUSTERS, FAPI_SERVICE_INGRESSES, FED_REVISION};
    for (size_t i = 0; i < FED_ARRAY_LEN(annotations); i++)
        fed_json_remove_key(fed_json_at(copy, "metadata", "annotations", NULL), annotations[i]);
    fed_buf_init(&b, 0);
    fed_json_write(&b, copy);
    uint64_t hash = fed_str_hash(fed_buf_str(&b), 0);
    fed_buf_release(&b);
    return hash;
}

/* --- deciding --- */

static void set_text(char **slot, const char *text)
{
    free(*slot);
    *slot = text ? fed_strdup(text) : NULL;
}

/* Notes a problem once; the same one again is no news. */
static void note_problem(struct fapi_scheduler *s, struct fapi_assignment *as, const struct fed_kobj *hub,
                         const char *reason, struct fed_str message)
{
    char text[600];
    if (!reason) {
        set_text(&as->problem, NULL);
        return;
    }
    snprintf(text, sizeof(text), "%s: %.*s", reason, FED_STR_ARG(message));
    if (as->problem && strcmp(as->problem, text) == 0)
        return;
    set_text(&as->problem, text);
    if (fapi_aggregate_told(hub, "*", fed_str(text)))
        return;
    fed_event_warning(s->fed->recorder, hub, reason, "%.*s", FED_STR_ARG(message));
}

/* Replicas that move although the object did not change: its own events are the place where one looks for why. */
static void tell_moves(struct fapi_scheduler *s, struct fapi_assignment *as, const struct fed_kobj *hub,
                       const struct fapi_placement *p)
{
    struct fed_buf text;
    fed_buf_init(&text, 900);
    for (size_t i = 0; i < p->n; i++) {
        const struct fapi_spot *spot = &p->spots[i];
        const struct fapi_member *m = fapi_clusters_find(s->fed->clusters, spot->cluster->name);
        const struct fapi_share *share = m ? fapi_assignment_share(as, m) : NULL;
        int64_t was = share && share->placed ? FED_MAX(share->replicas, 0) : 0;
        int64_t now = spot->selected ? FED_MAX(spot->replicas, 0) : 0;
        if (share && was != now)
            fed_buf_addf(&text, "%s%s from %lld to %lld (%.*s)", text.n ? "; " : "", m->name, (long long)was,
                         (long long)now, FED_STR_ARG(spot->why));
    }
    if (text.n)
        fed_event_normal(s->fed->recorder, hub, "ReplicasMoved", "%s", fed_buf_z(&text));
    fed_buf_release(&text);
}

static bool take_spot(struct fapi_share *share, const struct fapi_spot *spot)
{
    char why[256];
    bool changed = share->placed != spot->selected || share->replicas != spot->replicas;
    snprintf(why, sizeof(why), "%.*s", FED_STR_ARG(spot->why));
    if (!share->why || strcmp(share->why, why) != 0)
        set_text(&share->why, why);
    share->placed = spot->selected;
    share->replicas = spot->replicas;
    return changed;
}

static int finished(struct fapi_job *job FED_UNUSED, int code, const struct fed_call_response *res FED_UNUSED,
                    const struct fed_err *err FED_UNUSED)
{
    /* A conflict means that the object changed: its event brings the key back. */
    return code == FED_E_NOT_FOUND || code == FED_E_CONFLICT ? 0 : code;
}

static void patch_hub(struct fapi_scheduler *s, const char *key, const struct fapi_kind *k, const struct fed_kobj *hub,
                      const struct fed_json *patch)
{
    struct fapi_job *job = fapi_job_new(&s->jobs, s->queue, key, s);
    job->finish = finished;
    job->call =
        fed_client_patch(s->fed->hub, &k->resource, hub->ns, hub->name, "", "merge", patch, "", fapi_job_answered, job);
}

/* True when parts of a Job are being closed (rounds.h): the write's event brings the key back. */
static bool close_parts(struct fapi_scheduler *s, struct fed_arena *a, const char *key, struct fapi_kind *k,
                        struct fed_kobj *hub, const struct fed_json *tree, const struct fapi_placement *p)
{
    const struct fapi_spread_rule *rule = fapi_spread_find(fapi_kind_name(k));
    struct fapi_copy *copies = FED_ARENA_ARRAY(a, struct fapi_copy, p->n + 1);
    struct fed_str lost;
    if (!rule || !rule->fixed)
        return false;
    for (size_t i = 0; i < p->n; i++) {
        const struct fapi_member *m = fapi_clusters_find(s->fed->clusters, p->spots[i].cluster->name);
        struct fed_kobj *have = m ? fapi_member_find(m, k, hub->ns, hub->name) : NULL;
        if (have && fapi_whose(have, fed_str(s->fed->uid), hub->uid) == FAPI_OURS)
            copies[i] = fapi_copy_of(a, have);
        else if (m && !have && !fapi_member_sees(m, k))
            copies[i] = fapi_copy_told(a, hub, fed_str(m->name));
    }
    struct fed_json *patch = fapi_rounds_close(a, hub, tree, p, copies, &lost);
    if (!patch)
        return false;
    fed_json_set(fed_obj_metadata(a, patch), "resourceVersion",
                 fed_json_new_strf(a, "%llu", (unsigned long long)hub->rev));
    if (lost.n)
        fed_event_warning(s->fed->recorder, hub, "PartLost",
                          "cluster %.*s is lost: what it has not completed is done by others", FED_STR_ARG(lost));
    patch_hub(s, key, k, hub, patch);
    return true;
}

static int place(struct fed_arena *a, const struct fapi_kind *k, const struct fed_kobj *hub,
                 const struct fed_json *tree, const struct fapi_cluster *clusters, size_t n, struct fapi_placement *out,
                 struct fed_err *err)
{
    bool withdrawn = k->withdrawn;
    if (fapi_kind_is_withdrawn(k, hub)) { /* objects first */
        const struct fapi_kind *of = fapi_kinds_defined(k->fed, hub->name);
        withdrawn = !of || !fapi_kinds_bound(of);
    }
    if (withdrawn)
        fapi_place_nowhere(a, "objects of this kind live at the federation", clusters, n, out);
    else if (k->custom)
        return fapi_place_custom(a, hub, tree, k->custom, clusters, n, out, err);
    else
        return fapi_place(a, hub, tree, clusters, n, out, err);
    return 0;
}

/* True when a call was started that finishes the key. */
static bool decide(struct fapi_scheduler *s, const char *key, struct fapi_kind *k, struct fed_kobj *hub)
{
    struct fed_arena a = {0};
    struct fed_err err = {0};
    struct fapi_placement placement;
    struct fapi_assignment *as = fapi_assignment_get(s->fed, key);
    size_t n = fapi_clusters_count(s->fed->clusters), i = 0;
    struct fapi_cluster *clusters = FED_ARENA_ARRAY(&a, struct fapi_cluster, n + 1);
    struct fed_json *tree = fed_kobj_parse(hub, &a);
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(s->fed->clusters, m));)
        describe_cluster(&a, s->fed, m, k, hub, &clusters[i++]);
    if (place(&a, k, hub, tree, clusters, n, &placement, &err) != 0) {
        /* Nothing is known, so nothing is changed anywhere. */
        note_problem(s, as, hub, "InvalidClusterSelector", fed_str(err.text));
        fapi_due_status(s->fed, fed_str(key));
        fed_arena_release(&a);
        return false;
    }
    if (close_parts(s, &a, key, k, hub, tree, &placement)) {
        fed_arena_release(&a);
        return true;
    }
    uint64_t content = content_hash(&a, tree);
    bool all_changed = !as->decided || content != as->content;
    if (!all_changed && k->spread == FAPI_SPREAD_DIVIDE)
        tell_moves(s, as, hub, &placement);
    as->decided = true;
    as->content = content;
    for (i = 0; i < placement.n; i++) {
        struct fapi_member *m = fapi_clusters_find(s->fed->clusters, placement.spots[i].cluster->name);
        struct fapi_share *share = m ? fapi_assignment_share(as, m) : NULL;
        if (!share)
            continue;
        struct fapi_round round;
        set_text(&share->closed,
                 fapi_round_find(&a, hub, fed_str(m->name), &round) ? fed_arena_dupz(&a, round.copy) : NULL);
        bool due = take_spot(share, &placement.spots[i]) || all_changed || share->state == FAPI_SYNC_UNKNOWN;
        if (due || share->stale)
            fapi_due_replicate(m, fed_str(key));
        share->stale = false;
    }
    note_problem(s, as, hub, n ? placement.reason : NULL, placement.message);
    fapi_due_status(s->fed, fed_str(key));
    fed_arena_release(&a);
    return false;
}

/* --- deleting --- */

/* A definition of its own in a cluster that is away: no sweep of ours would end the objects there. */
static bool has_own_definition(const struct fapi_kind *k, const struct fed_kobj *hub, const char *cluster)
{
    return k == k->fed->definitions && fapi_aggregate_own(hub, cluster);
}

/* A definition goes after its objects. */
static bool has_objects(const struct fapi_kind *k, const struct fed_kobj *hub, const struct fapi_member *m)
{
    const struct fapi_kind *of = k == k->fed->definitions ? fapi_kinds_defined(k->fed, hub->name) : NULL;
    return of && (!fapi_member_sees(m, of) || fapi_member_has_any(m, of));
}

/* True while a cluster that can be seen still has our copy. What is orphaned or withdrawn must be let go in every
 * cluster: one that is away would take its copy for a leftover and delete it on its return, or find nobody who does. */
static bool still_somewhere(struct fapi_scheduler *s, const struct fapi_kind *k, const struct fed_kobj *hub)
{
    bool every = fed_kobj_has_finalizer(hub, "orphan") || !hub->deleting;
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(s->fed->clusters, m));) {
        struct fed_kobj *have;
        bool away = m->health == FAPI_OFFLINE || !m->transport;
        bool wait = every || has_own_definition(k, hub, m->name);
        if (away && !wait)
            continue;
        if (away && k == s->fed->definitions)
            return true;
        if (!fapi_member_sees(m, k)) {
            if (wait || m->health == FAPI_READY || m->health == FAPI_UNKNOWN)
                return true;
            continue;
        }
        have = fapi_member_find(m, k, hub->ns, hub->name);
        if ((have && fapi_whose(have, fed_str(s->fed->uid), hub->uid) == FAPI_OURS) || has_objects(k, hub, m))
            return true;
    }
    return false;
}

static void drop_finalizer(struct fapi_scheduler *s, const char *key, struct fapi_kind *k, struct fed_kobj *hub)
{
    struct fed_arena a = {0};
    struct fapi_job *job = fapi_job_new(&s->jobs, s->queue, key, s);
    job->finish = finished;
    job->call = fed_client_patch(s->fed->hub, &k->resource, hub->ns, hub->name, "", "merge",
                                 fed_kobj_patch_without_finalizer(&a, hub, FAPI_FINALIZER), "", fapi_job_answered, job);
    fed_arena_release(&a);
}

static void let_go(struct fapi_scheduler *s, const char *key, struct fapi_kind *k, struct fed_kobj *hub)
{
    bool full = fapi_has_contents(k, hub);
    if (!full)
        fapi_due_replicate_everywhere(s->fed, fed_str(key));
    if (full || !fed_kobj_has_finalizer(hub, FAPI_FINALIZER) || still_somewhere(s, k, hub)) {
        fed_workqueue_done(s->queue, key, 0);
        return;
    }
    drop_finalizer(s, key, k, hub);
}

/* Objects of kinds of users come to be federated at any time, so some were made before there was anything to hold them
 * for. True when the write was started: its event brings the key back. */
static bool bind(struct fapi_scheduler *s, const char *key, struct fapi_kind *k, struct fed_kobj *hub)
{
    struct fed_arena a = {0};
    bool due = k->custom ? !k->withdrawn : k == s->fed->definitions && fapi_custom_in_members(hub);
    if (!due || fed_kobj_has_finalizer(hub, FAPI_FINALIZER))
        return false;
    patch_hub(s, key, k, hub, fed_kobj_patch_with_finalizer(&a, hub, FAPI_FINALIZER));
    fed_arena_release(&a);
    return true;
}

/* Withdrawn to the hub, and nowhere else any more. */
static bool is_let_go(struct fapi_scheduler *s, struct fapi_kind *k, struct fed_kobj *hub)
{
    bool definition = fapi_kind_is_withdrawn(k, hub);
    const struct fapi_kind *of = definition ? fapi_kinds_defined(s->fed, hub->name) : NULL;
    return (k->withdrawn || definition) && fed_kobj_has_finalizer(hub, FAPI_FINALIZER) &&
           !(of && fapi_kinds_bound(of)) && !still_somewhere(s, k, hub);
}

/* --- the queue --- */

/* A returning cluster waits until everything was decided anew. */
static void on_drained(struct fed_task *task)
{
    struct fapi_scheduler *s = fed_container_of(task, struct fapi_scheduler, drained);
    for (struct fapi_member *m = NULL; fapi_due_is_decided(s->fed) && (m = fapi_clusters_next(s->fed->clusters, m));)
        fapi_due_settle(m);
}

static void finish(struct fapi_scheduler *s, const char *key)
{
    fed_workqueue_done(s->queue, key, 0);
    fed_task_post(s->fed->env, &s->drained, on_drained);
}

static void reconcile(void *ud, const char *key)
{
    struct fapi_scheduler *s = ud;
    struct fapi_kind *k;
    struct fed_str ns, name;
    if (!fapi_key_parse(s->fed, key, &k, &ns, &name) || !fed_informer_synced(k->hub)) {
        finish(s, key); /* the hub's sync adds everything */
        return;
    }
    struct fed_kobj *hub = fed_informer_find(k->hub, ns, name);
    if (!hub) {
        fapi_assignment_drop(s->fed, key);
        fapi_due_replicate_everywhere(s->fed, fed_str(key));
        finish(s, key);
        return;
    }
    if (hub->deleting) {
        let_go(s, key, k, hub);
        return;
    }
    if (!fapi_kind_goes(k, hub)) { /* a definition that was withdrawn */
        fapi_assignment_drop(s->fed, key);
        finish(s, key);
        return;
    }
    if (is_let_go(s, k, hub)) {
        drop_finalizer(s, key, k, hub);
        return;
    }
    if (bind(s, key, k, hub))
        return;
    if (!everything_seen(s->fed, k) || !decide(s, key, k, hub))
        finish(s, key);
}

struct fapi_scheduler *fapi_scheduler_new(struct fapi_federation *f)
{
    struct fapi_scheduler *s = FED_NEW(struct fapi_scheduler);
    struct fed_workqueue_conf conf = {
        .env = f->env, .name = "scheduler", .metrics = f->metrics, .concurrency = 32, .work = reconcile, .ud = s};
    s->fed = f;
    s->queue = f->due.decide = fed_workqueue_new(&conf);
    fapi_jobs_init(&s->jobs);
    return s;
}

void fapi_scheduler_free(struct fapi_scheduler *s)
{
    if (!s)
        return;
    fed_task_cancel(&s->drained);
    fapi_jobs_cancel(&s->jobs);
    s->fed->due.decide = NULL;
    fed_workqueue_free(s->queue);
    free(s);
}
