/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/revisions.h"

#include <stdlib.h>

#include "base/mem.h"
#include "control/revisions.h"
#include "fedapi/controllers/history.h"
#include "fedapi/controllers/jobs.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/member.h"

enum {
    COALESCE_MS = 100, /* of changes of a status */
    UNSEEN_MS = 5000   /* after which a write that no informer shows was of something that is gone */
};

static const struct fed_resource revisions_resource = {"apps", "v1", "controllerrevisions", "ControllerRevision", true};

struct records { /* of one kind */
    struct fapi_revisions *r;
    const struct fed_resource *resource;
    struct fed_informer *informer;
    struct fed_map lost; /* uid -> kobj (referenced): records that nobody controls, few */
};
struct owners { /* of one kind */
    struct fapi_kind *kind;
    struct records *records;
};
struct unseen { /* a record that was written, until its informer shows it */
    char *name;
    uint64_t rev, until_ms;
};
struct fapi_revisions {
    struct fapi_federation *fed;
    struct fed_workqueue *queue; /* keys of workloads, and of ReplicaSets without a Deployment */
    struct fapi_jobs jobs;
    struct owners owners[3];
    size_t n_owners;
    struct records sets, revisions;
    struct fed_informer *own; /* of ControllerRevisions */
    struct fapi_kind *set_kind;
    struct fed_map unseen; /* key -> struct unseen */
};

static bool synced(const struct fapi_revisions *r)
{
    for (size_t i = 0; i < r->n_owners; i++)
        if (!fed_informer_synced(r->owners[i].kind->hub))
            return false;
    return fed_informer_synced(r->sets.informer) && fed_informer_synced(r->revisions.informer);
}

static struct owners *owners_of(struct fapi_revisions *r, const struct fapi_kind *k)
{
    for (size_t i = 0; i < r->n_owners; i++)
        if (r->owners[i].kind == k)
            return &r->owners[i];
    return NULL;
}

/* --- what was written and not seen yet --- */

static void forget_unseen(struct fapi_revisions *r, const char *key)
{
    struct unseen *u = fed_map_remove(&r->unseen, fed_str(key));
    if (u)
        free(u->name);
    free(u);
}

static void note_unseen(struct fapi_revisions *r, const char *key, const struct fed_call_response *res)
{
    struct fed_kobj *o = NULL;
    forget_unseen(r, key);
    if (fed_kobj_new(res->body, (struct fed_str){0}, (struct fed_str){0}, &o, NULL) != 0)
        return;
    struct unseen *u = FED_NEW(struct unseen);
    *u = (struct unseen){fed_strdup_str(o->name), o->rev, fed_mono_ms(r->fed->env) + UNSEEN_MS};
    fed_map_set(&r->unseen, fed_str(key), u);
    fed_kobj_unref(o);
}

/* True while the informer is behind: what it shows next brings the key back. */
static bool is_behind(struct fapi_revisions *r, const struct records *records, const char *key, struct fed_str ns)
{
    struct unseen *u = fed_map_find(&r->unseen, fed_str(key));
    if (!u)
        return false;
    struct fed_kobj *o = fed_informer_find(records->informer, ns, fed_str(u->name));
    uint64_t now = fed_mono_ms(r->fed->env);
    if ((!o || o->rev < u->rev) && now < u->until_ms) {
        fed_workqueue_add_after(r->queue, fed_str(key), u->until_ms - now);
        return true;
    }
    forget_unseen(r, key);
    return false;
}

/* --- a look --- */

struct look {
    struct fed_arena arena;
    struct records *records;
    struct fed_kobj **list;
    size_t n, cap;
    struct fed_str ns;
};

static bool pick(void *ud, struct fed_kobj *o)
{
    struct look *l = ud;
    bool ours = l->records != &l->records->r->sets || fapi_is_history(o);
    if (o->deleting || !ours)
        return true;
    FED_ARENA_ROOM(&l->arena, l->list, l->n, l->cap, 8);
    l->list[l->n++] = o;
    return true;
}

static bool is_taken(void *ud, struct fed_str name)
{
    const struct look *l = ud;
    return fed_informer_find(l->records->informer, l->ns, name) != NULL;
}

static bool has_looked(const struct fed_kobj *copy)
{
    struct fed_arena a = {0};
    const struct fed_json *status = fed_json_find(fed_kobj_parse(copy, &a), "status");
    bool looked = fed_json_int(fed_json_find(status, "observedGeneration"), 0) >= copy->generation;
    fed_arena_release(&a);
    return looked;
}

/* As the status says, or but for clusters that are Offline, of which it counts nothing. */
static bool is_confirmed(struct fapi_federation *f, const char *key, const struct fapi_kind *k,
                         const struct fed_kobj *hub, const struct fed_json *tree)
{
    const struct fapi_assignment *as = fapi_assignment_find(f, key);
    if (fed_json_int(fed_json_at(tree, "status", "observedGeneration", NULL), 0) >= hub->generation)
        return true;
    bool any = false;
    for (size_t i = 0; as && as->decided && i < as->n; i++) {
        const struct fapi_share *share = &as->shares[i];
        const struct fapi_member *m = share->member;
        if (!share->placed || m->deleting)
            continue;
        any |= m->health == FAPI_OFFLINE || m->lost;
        if (m->health == FAPI_OFFLINE || m->lost)
            continue;
        const struct fed_kobj *copy = fapi_member_find(m, k, hub->ns, hub->name);
        if (share->state != FAPI_SYNC_SYNCED || !copy || !has_looked(copy))
            return false;
    }
    return any;
}

static int wrote(struct fapi_job *job, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct fapi_revisions *r = job->ud;
    struct fapi_kind *k;
    struct fed_str ns, name;
    if (code == 0)
        note_unseen(r, job->key, res);
    if (code == FED_E_ALREADY_EXISTS || code == FED_E_CONFLICT) /* the informer is behind */
        fed_workqueue_add_after(r->queue, fed_str(job->key), COALESCE_MS);
    if (code == 0 || code == FED_E_NOT_FOUND || code == FED_E_CONFLICT || code == FED_E_ALREADY_EXISTS)
        return 0;
    struct fed_kobj *hub =
        fapi_key_parse(r->fed, job->key, &k, &ns, &name) ? fed_informer_find(k->hub, ns, name) : NULL;
    if (hub && (code == FED_E_FORBIDDEN || code == FED_E_INVALID || code == FED_E_BAD_REQUEST))
        fed_event_warning(r->fed->recorder, hub, "HistoryNotKept", "%s", err->text);
    return code;
}

/* The owner and what goes by its name alone: nothing to wait for. */
static int told(struct fapi_job *job FED_UNUSED, int code, const struct fed_call_response *res FED_UNUSED,
                const struct fed_err *err FED_UNUSED)
{
    return code == FED_E_NOT_FOUND || code == FED_E_CONFLICT ? 0 : code;
}

/* True when a call was started that finishes the key. */
static bool carry_out(struct fapi_revisions *r, const char *key, const struct fed_resource *records,
                      const struct fapi_kind *k, const struct fed_kobj *hub, const struct fapi_due_write *due)
{
    struct fed_transport *t = r->fed->hub;
    if (due->what == FAPI_WRITE_NONE)
        return false;
    struct fapi_job *job = fapi_job_new(&r->jobs, r->queue, key, r);
    bool owner = due->what == FAPI_WRITE_OWNER;
    job->finish = owner || due->what == FAPI_WRITE_DELETE ? told : wrote;
    if (due->what == FAPI_WRITE_CREATE)
        job->call = fed_client_create(t, records, hub->ns, due->body, fapi_job_answered, job);
    else if (owner)
        job->call = fed_client_patch(t, &k->resource, hub->ns, hub->name, "status", "merge", due->body, "",
                                     fapi_job_answered, job);
    else if (due->what == FAPI_WRITE_DELETE)
        job->call = fed_client_delete(t, records, due->of->ns, due->of->name, "Background", due->of->uid,
                                      fapi_job_answered, job);
    else
        job->call =
            fed_client_patch(t, records, due->of->ns, due->of->name, due->what == FAPI_WRITE_STATUS ? "status" : "",
                             "merge", due->body, "", fapi_job_answered, job);
    return true;
}

/* A ReplicaSet whose Deployment went without it. */
static bool look_at_lost(struct fapi_revisions *r, const char *key, struct fed_str ns, struct fed_str name)
{
    struct fed_kobj *set = fed_informer_find(r->sets.informer, ns, name);
    struct fed_arena a = {0};
    if (!set)
        forget_unseen(r, key);
    if (!set || set->deleting || !fed_map_has(&r->sets.lost, set->uid) || is_behind(r, &r->sets, key, ns))
        return false;
    struct fapi_due_write due = fapi_history_lost(&a, set);
    bool started = carry_out(r, key, r->sets.resource, r->set_kind, set, &due);
    fed_arena_release(&a);
    return started;
}

static bool look_at(struct fapi_revisions *r, const char *key)
{
    struct fapi_kind *k;
    struct fed_str ns, name;
    if (!synced(r) || !fapi_key_parse(r->fed, key, &k, &ns, &name))
        return false; /* that everything was listed adds every key */
    const struct owners *o = owners_of(r, k);
    if (!o)
        return look_at_lost(r, key, ns, name);
    struct fed_kobj *hub = fed_informer_find(k->hub, ns, name);
    if (!hub) {
        forget_unseen(r, key);
        return false;
    }
    if (hub->deleting || !fapi_kind_goes(k, hub) || is_behind(r, o->records, key, ns))
        return false;
    struct look l = {.records = o->records, .ns = ns};
    struct fapi_history h = {.owner = hub, .tree = fed_kobj_parse(hub, &l.arena), .taken = is_taken, .ud = &l};
    h.confirmed = is_confirmed(r->fed, key, k, hub, h.tree);
    FED_MAP_EACH(e, &o->records->lost)
        if (fed_str_eq(((struct fed_kobj *)e->value)->ns, ns))
            (void)pick(&l, e->value);
    h.lost = l.list;
    h.n_lost = l.n;
    l.list = NULL;
    l.n = l.cap = 0;
    fed_informer_each_owned(o->records->informer, hub->uid, pick, &l);
    h.past = l.list;
    h.n_past = l.n;
    struct fapi_due_write due =
        o->records == &r->sets ? fapi_history_sets(&l.arena, &h) : fapi_history_revisions(&l.arena, &h);
    bool started = carry_out(r, key, o->records->resource, k, hub, &due);
    fed_arena_release(&l.arena);
    return started;
}

static void reconcile(void *ud, const char *key)
{
    struct fapi_revisions *r = ud;
    if (!look_at(r, key))
        fed_workqueue_done(r->queue, key, 0);
}

/* --- who must be looked at --- */

static void due(struct fapi_revisions *r, const struct fapi_kind *k, struct fed_str ns, struct fed_str name,
                uint64_t delay_ms)
{
    struct fed_arena a = {0};
    struct fed_str key = fapi_key(&a, k, ns, name);
    if (delay_ms)
        fed_workqueue_add_after(r->queue, key, delay_ms);
    else
        fed_workqueue_add(r->queue, key);
    fed_arena_release(&a);
}

/* Anything but the status, and what the hub's controllers note of it. */
static bool means_much(const struct fed_kobj *old, const struct fed_kobj *now)
{
    if (!old || old->generation != now->generation || old->n_annotations != now->n_annotations)
        return true;
    for (size_t i = 0; i < now->n_annotations; i++)
        if (!fed_str_eq(old->annotations[i].key, now->annotations[i].key) ||
            (!fed_str_eq(old->annotations[i].value, now->annotations[i].value) &&
             !fed_str_is(now->annotations[i].key, FAPI_ANN_CLUSTERS)))
            return true;
    return false;
}

static void owner_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fapi_kind *k = ud;
    struct fapi_revisions *r = k->fed->revisions;
    const struct fed_kobj *o = now ? now : old;
    bool much = !now || means_much(old, now), counts = owners_of(r, k)->records == &r->sets;
    counts = counts || fed_str_is(o->kind, "StatefulSet");
    if (synced(r) && (much || counts))
        due(r, k, o->ns, o->name, much ? 0 : COALESCE_MS);
}

struct takers {
    struct fapi_kind *kind;
    const struct fed_kobj *record;
};

static bool add_taker(void *ud, struct fed_kobj *o)
{
    const struct takers *t = ud;
    struct fed_arena a = {0};
    if (!o->deleting && fapi_history_takes(fed_kobj_parse(o, &a), t->record))
        due(t->kind->fed->revisions, t->kind, o->ns, o->name, 0);
    fed_arena_release(&a);
    return true;
}

/* A record without an owner: one that its selector matches takes it. */
static void look_for_owner(struct records *records, const struct fed_kobj *record)
{
    struct fapi_revisions *r = records->r;
    for (size_t i = 0; i < r->n_owners; i++) {
        struct takers t = {r->owners[i].kind, record};
        if (r->owners[i].records == records)
            fed_informer_each(t.kind->hub, record->ns, add_taker, &t);
    }
    if (records == &r->sets)
        due(r, r->set_kind, record->ns, record->name, COALESCE_MS);
}

static void note_lost(struct records *records, const struct fed_kobj *record, struct fed_kobj *keep)
{
    struct fed_kobj *was = keep ? fed_map_set(&records->lost, record->uid, fed_kobj_ref(keep))
                                : fed_map_remove(&records->lost, record->uid);
    fed_kobj_unref(was);
}

static void record_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct records *records = ud;
    struct fapi_revisions *r = records->r;
    struct fed_kobj *o = now ? now : old;
    const struct fed_owner *by = fed_kobj_controller(o);
    bool ours = records == &r->sets ? fapi_is_history(o) : fed_revision_hash(o).n > 0;
    bool lost = ours && !by && now && !now->deleting;
    note_lost(records, o, lost ? now : NULL);
    if (!synced(r))
        return;
    if (lost)
        look_for_owner(records, now);
    for (size_t i = 0; by && i < r->n_owners; i++)
        if (r->owners[i].records == records && fed_str_is(by->kind, r->owners[i].kind->resource.kind))
            due(r, r->owners[i].kind, o->ns, by->name, 0);
}

static bool add_owner(void *ud, struct fed_kobj *o)
{
    struct fapi_kind *k = ud;
    due(k->fed->revisions, k, o->ns, o->name, 0);
    return true;
}

/* Once, with the last of them. */
static void listed(struct fapi_revisions *r)
{
    if (!synced(r))
        return;
    for (size_t i = 0; i < r->n_owners; i++)
        fed_informer_each(r->owners[i].kind->hub, (struct fed_str){0}, add_owner, r->owners[i].kind);
    FED_MAP_EACH(e, &r->sets.lost)
        due(r, r->set_kind, ((struct fed_kobj *)e->value)->ns, ((struct fed_kobj *)e->value)->name, COALESCE_MS);
}

static void owners_listed(void *ud)
{
    listed(((struct fapi_kind *)ud)->fed->revisions);
}

static void records_listed(void *ud)
{
    listed(((struct records *)ud)->r);
}

/* --- life --- */

static void watch_owners(struct fapi_revisions *r, const char *plural, struct records *records)
{
    struct fapi_kind *k = fapi_kind_find(r->fed, "apps", plural);
    if (k)
        r->owners[r->n_owners++] = (struct owners){k, records};
}

struct fapi_revisions *fapi_revisions_new(struct fapi_federation *f)
{
    struct fapi_kind *sets = fapi_kind_find(f, "apps", "replicasets");
    if (!sets)
        return NULL; /* a hub of other kinds */
    struct fapi_revisions *r = FED_NEW(struct fapi_revisions);
    struct fed_workqueue_conf queue = {
        .env = f->env, .name = "revisions", .concurrency = 16, .work = reconcile, .ud = r};
    r->fed = f;
    r->set_kind = sets;
    r->own = fed_informer_new(&(struct fed_informer_conf){.transport = f->hub, .resource = &revisions_resource});
    r->sets = (struct records){.r = r, .resource = &sets->resource, .informer = sets->hub};
    r->revisions = (struct records){.r = r, .resource = &revisions_resource, .informer = r->own};
    watch_owners(r, "deployments", &r->sets);
    watch_owners(r, "daemonsets", &r->revisions);
    watch_owners(r, "statefulsets", &r->revisions);
    r->queue = fed_workqueue_new(&queue);
    fapi_jobs_init(&r->jobs);
    return r;
}

void fapi_revisions_start(struct fapi_revisions *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_owners; i++)
        fed_informer_add_handlers(r->owners[i].kind->hub, &(struct fed_informer_handlers){.changed = owner_changed,
                                                                                          .synced = owners_listed,
                                                                                          .ud = r->owners[i].kind});
    struct records *records[] = {&r->sets, &r->revisions};
    for (size_t i = 0; i < FED_ARRAY_LEN(records); i++)
        fed_informer_add_handlers(
            records[i]->informer,
            &(struct fed_informer_handlers){.changed = record_changed, .synced = records_listed, .ud = records[i]});
    fed_informer_start(r->own);
}

static void release_lost(struct records *records)
{
    FED_MAP_EACH(e, &records->lost)
        fed_kobj_unref(e->value);
    fed_map_release(&records->lost);
}

void fapi_revisions_free(struct fapi_revisions *r)
{
    if (!r)
        return;
    fapi_jobs_cancel(&r->jobs);
    fed_workqueue_free(r->queue);
    fed_informer_free(r->own);
    release_lost(&r->sets);
    release_lost(&r->revisions);
    FED_MAP_EACH(e, &r->unseen) {
        free(((struct unseen *)e->value)->name);
        free(e->value);
    }
    fed_map_release(&r->unseen);
    r->fed->revisions = NULL;
    free(r);
}
