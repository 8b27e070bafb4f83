/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/owner.h"

#include "base/mem.h"

enum { GIVE_UP_MS = 31000 /* a little after the expectations themselves end */, AGAIN_MS = 1000 };

int mbr_owner_selector(enum mbr_kind kind, struct fed_arena *a, const struct fed_json *owner, struct fed_selector *out)
{
    const struct fed_json *sel = fed_json_at(owner, "spec", "selector", NULL);
    if (kind != MBR_CONTROLLERS)
        return fed_selector_from_json(a, sel, out, NULL);
    fed_selector_from_map(a, sel, out);
    return 0;
}

static void orphan_set(struct mbr_ctl *c, const struct fed_kobj *child, struct fed_kobj *keep)
{
    struct fed_kobj *old =
        keep ? fed_map_set(&c->orphans, child->uid, fed_kobj_ref(keep)) : fed_map_remove(&c->orphans, child->uid);
    fed_kobj_unref(old);
}

struct owners_of_orphan {
    struct mbr_ctl *c;
    const struct fed_kobj *child;
};

static bool enqueue_if_matching(void *ud, struct fed_kobj *owner)
{
    struct owners_of_orphan *x = ud;
    struct fed_arena a = {0};
    struct fed_selector sel;
    if (mbr_owner_selector(x->c->kind, &a, fed_kobj_parse(owner, &a), &sel) == 0 &&
        fed_selector_matches(&sel, x->child->labels, x->child->n_labels))
        mbr_ctl_add(x->c, owner->ns, owner->name);
    fed_arena_release(&a);
    return true;
}

static void child_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct fed_kobj *child = now ? now : old;
    const struct fed_owner *o = fed_kobj_controller(child);
    bool orphan = c->adopts && !o && now && !now->deleting;
    orphan_set(c, child, orphan ? now : NULL);
    if (orphan)
        fed_informer_each(c->m->informers[c->kind], child->ns, enqueue_if_matching,
                          &(struct owners_of_orphan){c, child});
    if (!o && old) /* it was let go: its owner may want another */
        mbr_ctl_enqueue_controller(c, NULL, old);
    if (!o || !fed_str_is(o->kind, mbr_resource(c->kind)->kind))
        return;
    struct fed_arena a = {0};
    struct fed_str key = mbr_key(&a, child->ns, o->name);
    if (!old)
        mbr_expect_created(&c->expect, key);
    if ((!now && !old->deleting) || (now && now->deleting && old && !old->deleting))
        mbr_expect_deleted(&c->expect, key);
    fed_workqueue_add(c->queue, key);
    fed_arena_release(&a);
}

void mbr_owner_init(struct mbr_ctl *c, const char *queue, enum mbr_kind kind, enum mbr_kind owned, bool adopts,
                    mbr_reconcile reconcile)
{
    c->kind = kind;
    c->owned = owned;
    c->adopts = adopts;
    mbr_ctl_queue(c, queue, reconcile);
    mbr_ctl_watch(c, kind, mbr_ctl_enqueue_self);
    mbr_ctl_watch(c, owned, child_changed);
}

static void adopt(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_kobj *child)
{
    struct fed_json *patch = fed_json_object(&job->arena);
    fed_obj_set_controller(&job->arena, patch, obj);
    fed_json_set(fed_obj_metadata(&job->arena, patch), "uid", fed_json_new_str(&job->arena, child->uid));
    mbr_job_merge(job, c->owned, child->ns, child->name, "", patch);
}

/* Other owners stay; the list is written as a whole, so by the revision that was read. */
static void let_go(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_kobj *child)
{
    struct fed_arena *a = &job->arena;
    struct fed_json *patch = fed_json_object(a), *meta = fed_obj_metadata(a, patch), *left = fed_json_array(a);
    FED_JSON_EACH_SAFE(o, fed_json_at(fed_kobj_parse(child, a), "metadata", "ownerReferences", NULL)) {
        if (fed_str_eq(fed_json_find_text(o, "uid"), obj->uid))
            continue;
        fed_json_remove(o);
        fed_json_push(left, o);
    }
    fed_json_set(meta, "uid", fed_json_new_str(a, child->uid));
    fed_json_set(meta, "resourceVersion", fed_json_new_strf(a, "%llu", (unsigned long long)child->rev));
    fed_json_set(meta, "ownerReferences", left->n ? left : fed_json_null(a));
    mbr_job_merge(job, c->owned, child->ns, child->name, "", patch);
}

bool mbr_owner_adopt(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_json *tree,
                     bool (*fits)(const struct fed_kobj *obj, const struct fed_kobj *child))
{
    struct fed_selector sel;
    bool any = false;
    size_t n;
    struct fed_kobj **have = mbr_owned(c->m, &job->arena, c->owned, obj, &n);
    if ((!n && !fed_map_count(&c->orphans)) || mbr_owner_selector(c->kind, &job->arena, tree, &sel) < 0 || sel.nothing)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct fed_owner *o = fed_kobj_controller(have[i]);
        if (!o || have[i]->deleting || !fed_str_eq(o->uid, obj->uid) ||
            fed_selector_matches(&sel, have[i]->labels, have[i]->n_labels))
            continue;
        let_go(c, job, obj, have[i]);
        any = true;
    }
    FED_MAP_EACH(e, &c->orphans) {
        struct fed_kobj *child = e->value;
        if (!fed_str_eq(child->ns, obj->ns) || !fed_selector_matches(&sel, child->labels, child->n_labels) ||
            (fits && !fits(obj, child)))
            continue;
        adopt(c, job, obj, child);
        any = true;
    }
    if (any) /* should the child go at this moment, nothing else would bring the key back */
        fed_workqueue_add_after(c->queue, fed_str(job->key), AGAIN_MS);
    return any;
}

struct making { /* of one pod; lives in the job's arena, as the name does */
    struct mbr_ctl *c;
    struct fed_str name;
};

static void made(struct mbr_ctl *c, const struct fed_kobj *owner, struct fed_str pod)
{
    if (c->kind == MBR_STATEFULSETS)
        fed_event_normal(c->events, owner, "SuccessfulCreate", "create Pod %.*s in StatefulSet %.*s successful",
                         FED_STR_ARG(pod), FED_STR_ARG(owner->name));
    else
        fed_event_normal(c->events, owner, "SuccessfulCreate", "Created pod: %.*s", FED_STR_ARG(pod));
}

static void not_made(struct mbr_ctl *c, const struct fed_kobj *owner, struct fed_str pod, const struct fed_err *err)
{
    if (c->kind == MBR_STATEFULSETS)
        fed_event_warning(c->events, owner, "FailedCreate", "create Pod %.*s in StatefulSet %.*s failed error: %s",
                          FED_STR_ARG(pod), FED_STR_ARG(owner->name), err->text);
    else
        fed_event_warning(c->events, owner, "FailedCreate", "Error creating: %s", err->text);
}

static void create_told(void *ud, const char *key, const struct fed_err *err)
{
    struct making *x = ud;
    struct mbr_ctl *c = x->c;
    struct fed_str ns, name;
    mbr_key_split(fed_str(key), &ns, &name);
    struct fed_kobj *owner = mbr_find(c->m, c->kind, ns, name);
    if (err)
        mbr_expect_created(&c->expect, fed_str(key)); /* it will not be seen */
    free(err && owner ? fed_map_set(&c->refused, fed_str(key), fed_strdup(err->text))
                      : fed_map_remove(&c->refused, fed_str(key)));
    if (owner && err)
        not_made(c, owner, x->name, err);
    else if (owner)
        made(c, owner, x->name);
}

void mbr_owner_create(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_json *pod)
{
    struct making *x = FED_ARENA_NEW(&job->arena, struct making);
    *x = (struct making){c, fed_arena_dup(&job->arena, fed_obj_name(pod))};
    mbr_expect_add(&c->expect, c->m->env, fed_str(job->key), 1, 0);
    mbr_job_create_told(job, MBR_PODS, obj->ns, pod, create_told, x);
}

const char *mbr_owner_refused(const struct mbr_ctl *c, struct fed_str key)
{
    return fed_map_find(&c->refused, key);
}

void mbr_owner_forget(struct mbr_ctl *c, struct fed_str key)
{
    mbr_expect_forget(&c->expect, key);
    free(fed_map_remove(&c->refused, key));
}

void mbr_owner_delete(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_kobj *pod)
{
    mbr_expect_add(&c->expect, c->m->env, fed_str(job->key), 0, 1);
    mbr_job_delete(job, MBR_PODS, pod);
    if (c->kind == MBR_STATEFULSETS)
        mbr_job_normal(job, c->events, obj, "SuccessfulDelete", "delete Pod %.*s in StatefulSet %.*s successful",
                       FED_STR_ARG(pod->name), FED_STR_ARG(obj->name));
    else
        mbr_job_normal(job, c->events, obj, "SuccessfulDelete", "Deleted pod: %.*s", FED_STR_ARG(pod->name));
}

bool mbr_owner_ready(struct mbr_ctl *c, struct fed_str key)
{
    if (mbr_expect_met(&c->expect, c->m->env, key))
        return true;
    fed_workqueue_add_after(c->queue, key, GIVE_UP_MS);
    return false;
}

void mbr_owner_release(struct mbr_ctl *c)
{
    FED_MAP_EACH(e, &c->orphans)
        fed_kobj_unref(e->value);
    fed_map_release(&c->orphans);
    FED_MAP_EACH(e, &c->refused)
        free(e->value);
    fed_map_release(&c->refused);
}
