/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments: finds, adopts or makes the ReplicaSet of the current template, sizes all sets by rollout.h, keeps revisions
 * and the status. Spec changes of ReplicaSets go as merge patches: nobody else changes the replicas of an owned set. */
#include "base/mem.h"
#include "control/revisions.h"
#include "member/controllers/controllers.h"
#include "member/controllers/owner.h"
#include "member/controllers/rollout.h"

enum { AGAIN_MS = 1000 };

struct set {
    struct mbr_rollout_set size; /* first */
    struct fed_kobj *obj;
    struct fed_json *tree;
    int64_t revision;
};
struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj;
    struct fed_json *tree, *spec, *template;
    struct set *sets;
    size_t n_sets;
    struct set *fresh;
    struct mbr_rollout plan;
    int64_t revision;    /* of the fresh set */
    int64_t collisions;  /* names that were taken by strangers */
    struct fed_str made; /* name of the set that is being made: its status comes later */
};

static int64_t count(const struct fed_json *tree, const char *key)
{
    return fed_json_int(fed_json_at(tree, "status", key, NULL), 0);
}

static int older(const void *pa, const void *pb)
{
    const struct set *a = pa, *b = pb;
    if (a->size.created_ms != b->size.created_ms)
        return a->size.created_ms < b->size.created_ms ? -1 : 1;
    return a->revision < b->revision ? -1 : a->revision > b->revision;
}

static void read_sets(struct work *w)
{
    size_t n;
    struct fed_kobj **list = mbr_owned(w->c->m, w->a, MBR_REPLICASETS, w->obj, &n);
    w->sets = FED_ARENA_ARRAY(w->a, struct set, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (list[i]->deleting)
            continue;
        struct set *s = &w->sets[w->n_sets++];
        s->obj = list[i];
        s->tree = fed_kobj_parse(list[i], w->a);
        s->size.spec = fed_json_int(fed_json_at(s->tree, "spec", "replicas", NULL), 1);
        s->size.actual = count(s->tree, "replicas");
        s->size.stale = count(s->tree, "observedGeneration") < s->obj->generation;
        s->size.ready = count(s->tree, "readyReplicas");
        s->size.available = count(s->tree, "availableReplicas");
        if (fed_str_i64(fed_kobj_annotation(list[i], FED_MAX_REPLICAS), &s->size.most) < 0)
            s->size.most = 0;
        (void)!fed_time_parse(fed_json_str(fed_json_at(s->tree, "metadata", "creationTimestamp", NULL)),
                              &s->size.created_ms);
        s->revision = fed_replicaset_revision(list[i]);
    }
    qsort(w->sets, w->n_sets, sizeof(*w->sets), older);
    struct fed_past *past = FED_ARENA_ARRAY(w->a, struct fed_past, w->n_sets + 1);
    for (size_t i = 0; i < w->n_sets; i++)
        past[i] = (struct fed_past){fed_json_at(w->sets[i].tree, "spec", "template", NULL), w->sets[i].revision};
    int at = fed_revision_find(past, w->n_sets, w->template, &w->revision);
    w->fresh = at >= 0 ? &w->sets[at] : NULL;
}

static void make_plan(struct work *w)
{
    struct mbr_rollout *p = &w->plan;
    p->replicas = fed_json_int(fed_json_find(w->spec, "replicas"), 1);
    p->counted = count(w->tree, "replicas");
    p->paused = fed_json_bool(fed_json_find(w->spec, "paused"), false);
    mbr_rollout_limits(p, fed_json_find(w->spec, "strategy"));
    p->fresh = w->fresh ? &w->fresh->size : NULL;
    p->old = FED_ARENA_ARRAY(w->a, struct mbr_rollout_set *, w->n_sets + 1);
    for (size_t i = 0; i < w->n_sets; i++) {
        struct set *s = &w->sets[i];
        uint64_t desired;
        if (s->size.spec > 0 && fed_str_u64(fed_kobj_annotation(s->obj, FED_DESIRED_REPLICAS), &desired) == 0 &&
            (int64_t)desired != p->replicas)
            p->scaling = true;
        if (s != w->fresh)
            p->old[p->n_old++] = &s->size;
    }
}

static struct fed_replicaset_conf set_conf(const struct work *w, int64_t revision, bool sized)
{
    return (struct fed_replicaset_conf){.owner = w->obj,
                                        .tree = w->tree,
                                        .revision = revision,
                                        .max_replicas = sized ? w->plan.replicas + w->plan.surge : -1};
}

/* The hash that names the set to be made. A set of that name that is not ours counts as a collision: the next name is
 * taken. */
static void new_hash(struct work *w, char hash[11])
{
    for (;; w->collisions++) {
        /* the revision: a deleted set's name may still be on its way out */
        struct fed_str salt = fed_arena_printf(w->a, "%lld/%lld", (long long)w->revision, (long long)w->collisions);
        fed_template_hash(w->template, salt.p, hash);
        struct fed_str name = fed_arena_printf(w->a, "%.*s-%s", FED_STR_ARG(w->obj->name), hash);
        if (!mbr_find(w->c->m, MBR_REPLICASETS, w->obj->ns, name))
            return;
    }
}

static void create_set(struct work *w)
{
    char hash[11];
    struct fed_replicaset_conf conf = set_conf(w, w->revision, true);
    int64_t first = mbr_rollout_first(&w->plan);
    new_hash(w, hash);
    struct fed_json *rs = fed_replicaset_new(w->a, &conf, hash, first);
    w->made = fed_obj_name(rs);
    mbr_job_create(w->job, MBR_REPLICASETS, w->obj->ns, rs);
    fed_workqueue_add_after(w->c->queue, fed_str(w->job->key), AGAIN_MS); /* the name may have been taken meanwhile */
    if (first > 0)
        mbr_job_normal(w->job, w->c->events, w->obj, "ScalingReplicaSet", "Scaled up replica set %.*s from 0 to %lld",
                       FED_STR_ARG(w->made), (long long)first);
}

/* The set of the present template has its Deployment's annotations; the others keep what theirs said then. */
static struct fed_json *annotations_of(struct work *w, const struct set *s, const struct fed_json *have)
{
    struct fed_replicaset_conf conf = set_conf(w, w->revision, s->size.noted);
    if (s == w->fresh)
        return fed_replicaset_annotations(w->a, &conf, have);
    struct fed_json *to = fed_json_object(w->a);
    if (!s->size.noted)
        return to;
    fed_json_set(to, FED_DESIRED_REPLICAS, fed_json_new_strf(w->a, "%lld", (long long)w->plan.replicas));
    fed_json_set(to, FED_MAX_REPLICAS, fed_json_new_strf(w->a, "%lld", (long long)conf.max_replicas));
    return to;
}

static void patch_set(struct work *w, struct set *s)
{
    struct fed_json *patch = fed_json_object(w->a), *meta = fed_json_object(w->a), *spec = fed_json_object(w->a);
    const struct fed_json *have = fed_json_at(s->tree, "metadata", "annotations", NULL);
    struct fed_json *annotations = annotations_of(w, s, have);
    bool sized = s->size.want != s->size.spec;
    int64_t wait = fed_json_int(fed_json_find(w->spec, "minReadySeconds"), 0);
    if (s == w->fresh && wait != fed_json_int(fed_json_at(s->tree, "spec", "minReadySeconds", NULL), 0))
        mbr_patch_count(w->a, spec, "minReadySeconds", wait);
    if (sized)
        fed_json_set(spec, "replicas", fed_json_new_int(w->a, s->size.want));
    if (!spec->n && !mbr_patch_differs(have, annotations))
        return;
    fed_json_set(meta, "annotations", annotations);
    fed_json_set(patch, "metadata", meta);
    if (spec->n)
        fed_json_set(patch, "spec", spec);
    mbr_job_merge(w->job, MBR_REPLICASETS, w->obj->ns, s->obj->name, "", patch);
    if (sized)
        mbr_job_normal(w->job, w->c->events, w->obj, "ScalingReplicaSet",
                       "Scaled %s replica set %.*s from %lld to %lld", s->size.want > s->size.spec ? "up" : "down",
                       FED_STR_ARG(s->obj->name), (long long)s->size.spec, (long long)s->size.want);
}

static int by_revision(const void *pa, const void *pb)
{
    const struct set *a = *(struct set *const *)pa, *b = *(struct set *const *)pb;
    return a->revision < b->revision ? -1 : a->revision > b->revision;
}

struct totals {
    int64_t replicas, updated, ready, available;
};

static struct totals told(const struct work *w)
{
    return (struct totals){count(w->tree, "replicas"), count(w->tree, "updatedReplicas"),
                           count(w->tree, "readyReplicas"), count(w->tree, "availableReplicas")};
}

static bool complete(const struct work *w, const struct totals *t)
{
    return t->updated == w->plan.replicas && t->replicas == w->plan.replicas && t->available == w->plan.replicas;
}

/* Not while a rollout runs: its way back would be lost. */
static void forget_history(struct work *w)
{
    int64_t limit = fed_revision_limit(w->spec), n = 0;
    struct totals t = told(w);
    if (!w->plan.paused && (!complete(w, &t) || count(w->tree, "observedGeneration") < w->obj->generation))
        return;
    struct set **done = FED_ARENA_ARRAY(w->a, struct set *, w->n_sets + 1);
    for (size_t i = 0; i < w->n_sets; i++) {
        struct set *s = &w->sets[i];
        if (s != w->fresh && s->size.spec == 0 && s->size.actual == 0 && !s->size.stale)
            done[n++] = s;
    }
    qsort(done, (size_t)n, sizeof(*done), by_revision);
    for (int64_t i = 0; i < n - limit; i++)
        mbr_job_delete(w->job, MBR_REPLICASETS, done[i]->obj);
}

/* --- conditions --- */

/* One that says the same for the same reason stays as it is, its words included. */
static void set_condition(struct work *w, struct fed_json *status, const char *type, const char *value,
                          const char *reason, struct fed_str message)
{
    int64_t now = fed_wall_ms(w->c->m->env);
    struct fed_json *c = fed_obj_condition(status, type);
    if (c && fed_str_is(fed_json_find_text(c, "status"), value) && fed_str_is(fed_json_find_text(c, "reason"), reason))
        return;
    fed_obj_set_condition(w->a, status, type, value, reason, message, now);
    mbr_set_time(w->a, fed_obj_condition(status, type), "lastUpdateTime", now);
}

static int64_t deadline_of(const struct work *w)
{
    int64_t s = fed_json_int(fed_json_find(w->spec, "progressDeadlineSeconds"), INT32_MAX);
    return s < INT32_MAX ? s * 1000 : -1;
}

static struct fed_str about_set(const struct work *w, const char *what)
{
    bool set = w->fresh || w->made.n;
    struct fed_str name = w->fresh ? w->fresh->obj->name : w->made.n ? w->made : w->obj->name;
    return fed_arena_printf(w->a, "%s \"%.*s\" %s", set ? "ReplicaSet" : "Deployment", FED_STR_ARG(name), what);
}

static struct fed_str reason_of(const struct fed_json *status)
{
    return fed_json_find_text(fed_obj_condition(status, "Progressing"), "reason");
}

/* What happened to it before its progress is looked at: paused, resumed, a new set. A lack of progress that was told is
 * not told otherwise because of a pause. */
static void set_begun(struct work *w, struct fed_json *status)
{
    struct fed_str was = reason_of(status);
    bool paused = fed_str_is(was, "DeploymentPaused");
    if (!fed_str_is(was, "ProgressDeadlineExceeded") && w->plan.paused && !paused)
        set_condition(w, status, "Progressing", "Unknown", "DeploymentPaused", FED_STR("Deployment is paused"));
    else if (!w->plan.paused && paused)
        set_condition(w, status, "Progressing", "Unknown", "DeploymentResumed", FED_STR("Deployment is resumed"));
    if (w->made.n)
        set_condition(w, status, "Progressing", "True", "NewReplicaSetCreated",
                      fed_arena_printf(w->a, "Created new replica set \"%.*s\"", FED_STR_ARG(w->made)));
    else if (w->fresh && !fed_obj_condition(status, "Progressing"))
        set_condition(w, status, "Progressing", "True", "FoundNewReplicaSet",
                      fed_arena_printf(w->a, "Found new replica set \"%.*s\"", FED_STR_ARG(w->fresh->obj->name)));
}

/* Whether nothing happened for too long; else the key comes back then. */
static bool timed_out(struct work *w, const struct fed_json *status)
{
    const struct fed_json *c = fed_obj_condition(status, "Progressing");
    struct fed_str reason = reason_of(status);
    int64_t since, left;
    if (!c || fed_str_is(reason, "NewReplicaSetAvailable") ||
        fed_time_parse(fed_json_find_text(c, "lastUpdateTime"), &since) < 0)
        return false;
    left = since + deadline_of(w) - fed_wall_ms(w->c->m->env);
    if (left < 0 || fed_str_is(reason, "ProgressDeadlineExceeded"))
        return true;
    fed_workqueue_add_after(w->c->queue, fed_str(w->job->key), (uint64_t)left + 1000);
    return false;
}

/* A rollout that was through stays so, whatever becomes of its pods, until the next one. */
static void set_progressing(struct work *w, struct fed_json *status, const struct totals *t)
{
    struct totals was = told(w);
    if (t->replicas == t->updated && fed_str_is(reason_of(status), "NewReplicaSetAvailable"))
        return;
    if (complete(w, t)) {
        set_condition(w, status, "Progressing", "True", "NewReplicaSetAvailable",
                      about_set(w, "has successfully progressed."));
    } else if (t->updated > was.updated || t->replicas - t->updated < was.replicas - was.updated ||
               t->ready > was.ready || t->available > was.available) {
        set_condition(w, status, "Progressing", "True", "ReplicaSetUpdated", about_set(w, "is progressing."));
        mbr_set_time(w->a, fed_obj_condition(status, "Progressing"), "lastUpdateTime", fed_wall_ms(w->c->m->env));
    } else if (timed_out(w, status)) {
        set_condition(w, status, "Progressing", "False", "ProgressDeadlineExceeded",
                      about_set(w, "has timed out progressing."));
    }
    (void)timed_out(w, status); /* for when to look again */
}

static void set_available(struct work *w, struct fed_json *status, const struct totals *t)
{
    bool ok = t->available >= w->plan.replicas - w->plan.unavailable;
    set_condition(w, status, "Available", ok ? "True" : "False",
                  ok ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                  ok ? FED_STR("Deployment has minimum availability.")
                     : FED_STR("Deployment does not have minimum availability."));
}

/* What its newest set says of pods that are refused, else any set's. */
static void set_failure(struct work *w, struct fed_json *status)
{
    struct fed_json *now =
        w->fresh ? fed_obj_condition(fed_json_find(w->fresh->tree, "status"), "ReplicaFailure") : NULL;
    struct fed_json *have = fed_obj_condition(status, "ReplicaFailure");
    for (size_t i = 0; i < w->n_sets && !now; i++)
        now = fed_obj_condition(fed_json_find(w->sets[i].tree, "status"), "ReplicaFailure");
    if (now)
        set_condition(w, status, "ReplicaFailure", "True", "FailedCreate", fed_json_find_text(now, "message"));
    else if (have)
        fed_json_remove(have);
}

static void set_conditions(struct work *w, struct fed_json *status, const struct totals *t)
{
    struct fed_json *c;
    set_available(w, status, t);
    if (deadline_of(w) >= 0)
        set_begun(w, status);
    if (w->plan.paused || w->plan.scaling)
        return;
    set_failure(w, status);
    if (deadline_of(w) >= 0)
        set_progressing(w, status, t);
    else if ((c = fed_obj_condition(status, "Progressing")))
        fed_json_remove(c);
}

static void write_status(struct work *w)
{
    struct totals t = {0};
    int64_t specified = 0;
    struct fed_json *status = fed_json_object(w->a);
    const struct fed_json *now = fed_json_find(w->tree, "status");
    for (size_t i = 0; i < w->n_sets; i++) {
        const struct mbr_rollout_set *s = &w->sets[i].size;
        t.replicas += s->actual;
        specified += s->spec;
        t.ready += s->ready;
        t.available += s->available;
    }
    t.updated = w->fresh ? w->fresh->size.actual : 0;
    fed_json_set(status, "observedGeneration", fed_json_new_int(w->a, w->obj->generation));
    mbr_patch_count(w->a, status, "replicas", t.replicas);
    mbr_patch_count(w->a, status, "updatedReplicas", t.updated);
    mbr_patch_count(w->a, status, "readyReplicas", t.ready);
    mbr_patch_count(w->a, status, "availableReplicas", t.available);
    mbr_patch_count(w->a, status, "unavailableReplicas", FED_MAX(specified - t.available, 0));
    if (w->collisions)
        fed_json_set(status, "collisionCount", fed_json_new_int(w->a, w->collisions));
    const struct fed_json *conditions = fed_json_find(now, "conditions");
    if (conditions)
        fed_json_set(status, "conditions", fed_json_copy(w->a, conditions));
    set_conditions(w, status, &t);
    if (mbr_patch_differs(now, status))
        mbr_job_merge_status(w->job, MBR_DEPLOYMENTS, w->obj, status);
}

static void write_revision(struct work *w)
{
    struct fed_str have = fed_kobj_annotation(w->obj, FED_REVISION);
    struct fed_str want = fed_arena_printf(w->a, "%lld", (long long)w->revision);
    if (fed_str_eq(have, want) || (!w->fresh && !w->made.n))
        return;
    struct fed_json *patch = fed_json_object(w->a);
    fed_obj_set_annotation(w->a, patch, FED_REVISION, want);
    mbr_job_merge(w->job, MBR_DEPLOYMENTS, w->obj->ns, w->obj->name, "status", patch); /* moves no generation */
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena};
    w.obj = mbr_find(c->m, MBR_DEPLOYMENTS, ns, name);
    if (!w.obj || w.obj->deleting)
        return mbr_job_end(job, 0);
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    w.template = fed_json_find(w.spec, "template");
    if (!w.template)
        return mbr_job_end(job, 0);
    if (mbr_owner_adopt(c, job, w.obj, w.tree, NULL)) /* a set is coming, and with it this key */
        return mbr_job_end(job, 0);
    w.collisions = count(w.tree, "collisionCount");
    read_sets(&w);
    make_plan(&w);
    bool may_make = mbr_rollout_plan(&w.plan);
    if (!w.fresh && may_make)
        create_set(&w);
    for (size_t i = 0; i < w.n_sets; i++)
        patch_set(&w, &w.sets[i]);
    forget_history(&w);
    write_revision(&w);
    write_status(&w);
    mbr_job_end(job, 0);
}

void mbr_deployment_init(struct mbr_ctl *c)
{
    mbr_owner_init(c, "deployment-controller", MBR_DEPLOYMENTS, MBR_REPLICASETS, true, reconcile);
}
