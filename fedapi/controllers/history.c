/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/history.h"

#include <stdlib.h>

#include "base/env.h"
#include "control/revisions.h"
#include "fedapi/controllers/marks.h"
#include "kube/selector.h"

struct set {
    const struct fed_kobj *obj;
    const struct fed_json *tree;
    int64_t created_ms, revision;
    int64_t replicas; /* spec.replicas that it should have */
    int64_t counted, ready, available;
};
struct work {
    struct fed_arena *a;
    const struct fapi_history *h;
    const struct fed_json *spec, *status; /* of the owner */
    struct set *sets;                     /* oldest first */
    size_t n;
    struct set *fresh;  /* of the present template; NULL: none, so far or while paused */
    struct set *newest; /* the same, or while there is none the last one that was */
    struct set *before; /* the one before the newest */
    int64_t revision;   /* of the present template */
    bool known;         /* how the pods divide among the sets */
};

static const struct fapi_due_write nothing = {FAPI_WRITE_NONE, NULL, NULL};

static int64_t number(const struct fed_json *obj, const char *key, int64_t dflt)
{
    return fed_json_int(fed_json_find(obj, key), dflt);
}

/* --- annotations --- */

/* Where and how replicas go, and what is to be done in the clusters. */
static bool is_placement(struct fed_str key)
{
    return fed_str_starts(key, FED_STR("federation."));
}

/* What the hub's controllers write of an object. */
static bool is_bookkeeping(struct fed_str key)
{
    return fed_str_is(key, FAPI_ANN_CLUSTERS) || fed_str_is(key, FAPI_JOB_ROUNDS) ||
           fed_str_is(key, FAPI_SERVICE_INGRESSES);
}

/* What makes the placement annotations of `have` those of the owner, into `to`. */
static void follow_placement(struct work *w, const struct fed_json *have, struct fed_json *to)
{
    const struct fed_json *want = fed_json_at(w->h->tree, "metadata", "annotations", NULL);
    FED_JSON_EACH(an, want)
        if (is_placement(an->key) && !is_bookkeeping(an->key))
            fed_json_set_str(to, an->key, fed_json_copy(w->a, an));
    FED_JSON_EACH(an, have)
        if (is_placement(an->key) && (is_bookkeeping(an->key) || !fed_json_find_str(want, an->key)))
            fed_json_set_str(to, an->key, fed_json_null(w->a));
}

/* Takes out of a patch what is so already. */
static void drop_same(struct fed_json *patch, const struct fed_json *have)
{
    FED_JSON_EACH_SAFE(p, patch) {
        const struct fed_json *now = fed_json_find_str(have, p->key);
        if (p->type == FED_JSON_NULL ? !now : now && fed_json_equal(p, now))
            fed_json_remove(p);
    }
}

static struct fed_replicaset_conf conf_of(const struct work *w)
{
    int64_t replicas = number(w->spec, "replicas", 1);
    return (struct fed_replicaset_conf){.owner = w->h->owner,
                                        .tree = w->h->tree,
                                        .revision = w->revision,
                                        .max_replicas =
                                            replicas + fed_rollout_surge(fed_json_find(w->spec, "strategy"), replicas),
                                        .skips = is_bookkeeping};
}

/* --- reading --- */

static int older(const void *pa, const void *pb)
{
    const struct set *a = pa, *b = pb;
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms ? -1 : 1;
    return a->revision < b->revision ? -1 : a->revision > b->revision;
}

static void read_sets(struct work *w)
{
    w->sets = FED_ARENA_ARRAY(w->a, struct set, w->h->n_past + 1);
    struct fed_past *past = FED_ARENA_ARRAY(w->a, struct fed_past, w->h->n_past + 1);
    for (size_t i = 0; i < w->h->n_past; i++) {
        struct set *s = &w->sets[w->n++];
        s->obj = w->h->past[i];
        s->tree = fed_kobj_parse(s->obj, w->a);
        s->revision = fed_replicaset_revision(s->obj);
        if (fed_time_parse(fed_json_str(fed_json_at(s->tree, "metadata", "creationTimestamp", NULL)), &s->created_ms) <
            0)
            s->created_ms = 0;
    }
    if (w->n)
        qsort(w->sets, w->n, sizeof(*w->sets), older);
    for (size_t i = 0; i < w->n; i++)
        past[i] = (struct fed_past){fed_json_at(w->sets[i].tree, "spec", "template", NULL), w->sets[i].revision};
    int at = fed_revision_find(past, w->n, fed_json_find(w->spec, "template"), &w->revision);
    w->fresh = w->newest = at >= 0 ? &w->sets[at] : NULL;
    for (size_t i = 0; i < w->n && !w->fresh; i++)
        if (!w->newest || w->sets[i].revision > w->newest->revision)
            w->newest = &w->sets[i];
    for (size_t i = 0; i < w->n; i++)
        if (&w->sets[i] != w->newest && (!w->before || w->sets[i].revision > w->before->revision))
            w->before = &w->sets[i];
}

/* The pods among the sets. While a cluster has not looked at the present template the Deployment's numbers are of the one
 * before, and while a paused one has none for it, nobody's: then they say nothing, unless all pods can only be the newest
 * set's. */
static void divide(struct work *w)
{
    int64_t all = number(w->status, "replicas", 0), ready = number(w->status, "readyReplicas", 0);
    int64_t available = number(w->status, "availableReplicas", 0), updated = all;
    bool observed = w->h->confirmed, others = false;
    for (size_t i = 0; i < w->n; i++)
        others |= &w->sets[i] != w->newest && number(fed_json_find(w->sets[i].tree, "status"), "replicas", 0) > 0;
    w->known = !others || (observed && w->fresh);
    if (w->fresh && observed && w->before)
        updated = FED_MIN(number(w->status, "updatedReplicas", 0), all);
    for (size_t i = 0; i < w->n; i++) {
        struct set *s = &w->sets[i];
        s->replicas = w->known ? 0 : number(fed_json_find(s->tree, "spec"), "replicas", 1);
    }
    if (w->newest)
        w->newest->replicas = number(w->spec, "replicas", 1);
    if (!w->known || !w->newest)
        return;
    if (w->before) {
        w->before->replicas = w->before->counted = all - updated;
        w->before->ready = FED_MIN(all - updated, ready);
        w->before->available = FED_MIN(all - updated, available);
        ready -= w->before->ready;
        available -= w->before->available;
    }
    w->newest->counted = updated;
    w->newest->ready = FED_MIN(updated, ready);
    w->newest->available = FED_MIN(updated, available);
}

/* --- writing --- */

/* One that nobody controls and that the owner's selector matches. */
static struct fapi_due_write adopt(struct fed_arena *a, const struct fapi_history *h)
{
    for (size_t i = 0; i < h->n_lost; i++) {
        const struct fed_kobj *lost = h->lost[i];
        if (!fapi_history_takes(h->tree, lost))
            continue;
        struct fed_json *tree = fed_kobj_parse(lost, a), *patch = fed_json_object(a);
        struct fed_json *meta = fed_obj_metadata(a, patch);
        fed_obj_set_controller(a, tree, h->owner);
        fed_json_set(meta, "uid", fed_json_new_str(a, lost->uid));
        fed_json_set(meta, "resourceVersion", fed_json_new_strf(a, "%llu", (unsigned long long)lost->rev));
        fed_json_set(meta, "ownerReferences", fed_json_copy(a, fed_json_at(tree, "metadata", "ownerReferences", NULL)));
        return (struct fapi_due_write){FAPI_WRITE_PATCH, lost, patch};
    }
    return nothing;
}

/* A hash by which the record's name is free. */
static void free_hash(struct fed_arena *a, const struct fapi_history *h, char hash[11])
{
    const struct fed_json *template = fed_json_at(h->tree, "spec", "template", NULL);
    for (int i = 0;; i++) {
        fed_template_hash(template, i ? fed_arena_printf(a, "/%d", i).p : "", hash);
        if (!h->taken(h->ud, fed_arena_printf(a, "%.*s-%s", FED_STR_ARG(h->owner->name), hash)))
            return;
    }
}

static struct fapi_due_write create_set(struct work *w)
{
    char hash[11];
    struct fed_replicaset_conf conf = conf_of(w);
    free_hash(w->a, w->h, hash);
    struct fed_json *rs = fed_replicaset_new(w->a, &conf, hash, number(w->spec, "replicas", 1));
    fed_obj_set_label(w->a, rs, FAPI_HISTORY, FED_STR("true"));
    return (struct fapi_due_write){FAPI_WRITE_CREATE, NULL, rs};
}

static struct fapi_due_write patch_set(struct work *w, const struct set *s)
{
    const struct fed_json *annotations = fed_json_at(s->tree, "metadata", "annotations", NULL);
    struct fed_replicaset_conf conf = conf_of(w);
    struct fed_json *patch = fed_json_object(w->a), *spec = fed_json_object(w->a);
    struct fed_json *an = s == w->fresh ? fed_replicaset_annotations(w->a, &conf, annotations) : fed_json_object(w->a);
    follow_placement(w, annotations, an);
    drop_same(an, annotations);
    fed_json_set(spec, "replicas", fed_json_new_int(w->a, s->replicas));
    if (s == w->fresh)
        fed_json_set(spec, "minReadySeconds", fed_json_new_int(w->a, number(w->spec, "minReadySeconds", 0)));
    if (number(fed_json_find(s->tree, "spec"), "minReadySeconds", 0) == number(spec, "minReadySeconds", 0))
        fed_json_remove_key(spec, "minReadySeconds");
    drop_same(spec, fed_json_find(s->tree, "spec"));
    if (an->n)
        fed_json_set(fed_obj_metadata(w->a, patch), "annotations", an);
    if (spec->n)
        fed_json_set(patch, "spec", spec);
    return patch->n ? (struct fapi_due_write){FAPI_WRITE_PATCH, s->obj, patch} : nothing;
}

static struct fapi_due_write tell_owner(struct work *w)
{
    struct fed_str text = fed_arena_printf(w->a, "%lld", (long long)w->revision);
    if (!w->fresh || fed_str_eq(fed_kobj_annotation(w->h->owner, FED_REVISION), text))
        return nothing;
    struct fed_json *patch = fed_json_object(w->a);
    fed_json_set(fed_obj_metadata(w->a, patch), "uid", fed_json_new_str(w->a, w->h->owner->uid));
    fed_obj_set_annotation(w->a, patch, FED_REVISION, text);
    return (struct fapi_due_write){FAPI_WRITE_OWNER, NULL, patch};
}

static void set_count(struct fed_arena *a, struct fed_json *patch, const struct fed_json *have, const char *key,
                      int64_t n)
{
    if (number(have, key, 0) != n)
        fed_json_set(patch, key, fed_json_new_int(a, n));
}

/* seen: that its spec was looked at is worth a write by itself. */
static struct fapi_due_write patch_status(struct fed_arena *a, const struct set *s, bool seen)
{
    const struct fed_json *have = fed_json_find(s->tree, "status");
    struct fed_json *patch = fed_json_object(a), *status = fed_json_object(a);
    set_count(a, status, have, "replicas", s->counted);
    set_count(a, status, have, "fullyLabeledReplicas", s->counted);
    set_count(a, status, have, "readyReplicas", s->ready);
    set_count(a, status, have, "availableReplicas", s->available);
    if (status->n || seen)
        set_count(a, status, have, "observedGeneration", s->obj->generation);
    if (!status->n)
        return nothing;
    fed_json_set(patch, "status", status);
    return (struct fapi_due_write){FAPI_WRITE_STATUS, s->obj, patch};
}

static int by_revision(const void *pa, const void *pb)
{
    const struct set *a = *(const struct set *const *)pa, *b = *(const struct set *const *)pb;
    return a->revision < b->revision ? -1 : a->revision > b->revision;
}

static struct fapi_due_write forget_set(struct work *w)
{
    size_t n = 0;
    const struct set **done = FED_ARENA_ARRAY(w->a, const struct set *, w->n + 1);
    for (size_t i = 0; i < w->n; i++) {
        const struct set *s = &w->sets[i];
        if (s != w->newest && number(fed_json_find(s->tree, "spec"), "replicas", 1) == 0 &&
            number(fed_json_find(s->tree, "status"), "replicas", 0) == 0)
            done[n++] = s;
    }
    if ((int64_t)n <= fed_revision_limit(w->spec))
        return nothing;
    qsort(done, n, sizeof(struct set *), by_revision);
    return (struct fapi_due_write){FAPI_WRITE_DELETE, done[0]->obj, NULL};
}

struct fapi_due_write fapi_history_sets(struct fed_arena *a, const struct fapi_history *h)
{
    struct work w = {
        .a = a, .h = h, .spec = fed_json_find(h->tree, "spec"), .status = fed_json_find(h->tree, "status")};
    struct fapi_due_write due = adopt(a, h);
    if (due.what)
        return due;
    read_sets(&w);
    if (!w.fresh && !fed_json_bool(fed_json_find(w.spec, "paused"), false))
        return create_set(&w);
    divide(&w);
    for (size_t i = 0; i < w.n && !due.what; i++)
        due = patch_set(&w, &w.sets[i]);
    if (!due.what)
        due = tell_owner(&w);
    bool seen = number(w.status, "observedGeneration", 0) >= h->owner->generation;
    for (size_t i = w.known ? w.n : 0; i-- > 0 && !due.what;)
        due = patch_status(a, &w.sets[i], seen);
    return due.what ? due : forget_set(&w);
}

struct fapi_due_write fapi_history_lost(struct fed_arena *a, const struct fed_kobj *set)
{
    struct set s = {.obj = set, .tree = fed_kobj_parse(set, a)};
    struct fed_json *patch = fed_json_object(a), *spec = fed_json_object(a);
    if (number(fed_json_find(s.tree, "spec"), "replicas", 1) == 0)
        return patch_status(a, &s, true);
    fed_json_set(spec, "replicas", fed_json_new_int(a, 0));
    fed_json_set(patch, "spec", spec);
    return (struct fapi_due_write){FAPI_WRITE_PATCH, set, patch};
}

bool fapi_history_takes(const struct fed_json *tree, const struct fed_kobj *record)
{
    struct fed_arena a = {0};
    struct fed_selector sel;
    bool takes = fed_selector_from_json(&a, fed_json_at(tree, "spec", "selector", NULL), &sel, NULL) == 0 &&
                 !sel.nothing && fed_selector_matches(&sel, record->labels, record->n_labels);
    fed_arena_release(&a);
    return takes;
}

/* --- ControllerRevisions --- */

/* The record that a name is of, or NULL. */
static const struct fed_kobj *record_named(const struct fapi_history *h, struct fed_str name)
{
    for (size_t i = 0; i < h->n_past; i++)
        if (name.n && fed_str_eq(h->past[i]->name, name))
            return h->past[i];
    return NULL;
}

/* A StatefulSet's status: the present record, and the one that all pods had last, which is the same once an update is
 * through everywhere. */
static struct fapi_due_write name_revisions(struct fed_arena *a, const struct fapi_history *h,
                                            const struct fed_kobj *present)
{
    const struct fed_json *have = fed_json_find(h->tree, "status");
    int64_t want = number(fed_json_find(h->tree, "spec"), "replicas", 1);
    bool through = h->confirmed && number(have, "updatedReplicas", 0) == want &&
                   number(have, "readyReplicas", 0) == want && number(have, "replicas", 0) == want;
    const struct fed_kobj *last = record_named(h, fed_json_find_text(have, "currentRevision"));
    if (!last || through)
        last = present;
    struct fed_json *patch = fed_json_object(a), *status = fed_json_object(a);
    fed_json_set(status, "currentRevision", fed_json_new_str(a, last->name));
    fed_json_set(status, "updateRevision", fed_json_new_str(a, present->name));
    drop_same(status, have);
    if (!status->n)
        return nothing;
    fed_json_set(patch, "status", status);
    return (struct fapi_due_write){FAPI_WRITE_OWNER, NULL, patch};
}

/* Not the present record, and not the one that pods had last. */
static bool is_spare(const struct fapi_history *h, size_t i, size_t at)
{
    struct fed_str last = fed_json_str(fed_json_at(h->tree, "status", "currentRevision", NULL));
    return i != at && !fed_str_eq(h->past[i]->name, last);
}

struct fapi_due_write fapi_history_revisions(struct fed_arena *a, const struct fapi_history *h)
{
    struct fed_past *past = FED_ARENA_ARRAY(a, struct fed_past, h->n_past + 1);
    struct fapi_due_write due = adopt(a, h);
    int64_t now;
    if (due.what)
        return due;
    for (size_t i = 0; i < h->n_past; i++) {
        const struct fed_json *tree = fed_kobj_parse(h->past[i], a);
        past[i] = (struct fed_past){fed_json_find(tree, "data"), number(tree, "revision", 0)};
    }
    int at = fed_revision_find(past, h->n_past, fed_revision_data(a, h->tree), &now);
    if (at < 0) {
        char hash[11];
        free_hash(a, h, hash);
        return (struct fapi_due_write){FAPI_WRITE_CREATE, NULL,
                                       fed_revision_new(a, h->owner, h->tree, hash, now, is_bookkeeping)};
    }
    if (past[at].number != now) {
        struct fed_json *patch = fed_json_object(a);
        fed_json_set(patch, "revision", fed_json_new_int(a, now));
        return (struct fapi_due_write){FAPI_WRITE_PATCH, h->past[at], patch};
    }
    if (fed_str_is(h->owner->kind, "StatefulSet"))
        due = name_revisions(a, h, h->past[at]);
    if (due.what)
        return due;
    int64_t spare = 0;
    size_t first = h->n_past;
    for (size_t i = 0; i < h->n_past; i++) {
        if (!is_spare(h, i, (size_t)at))
            continue;
        spare++;
        if (first == h->n_past || past[i].number < past[first].number)
            first = i;
    }
    return spare > fed_revision_limit(fed_json_find(h->tree, "spec"))
               ? (struct fapi_due_write){FAPI_WRITE_DELETE, h->past[first], NULL}
               : nothing;
}
