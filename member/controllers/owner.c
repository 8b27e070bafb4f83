/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/owner.h"

enum { GIVE_UP_MS = 31000 }; /* a little after the expectations themselves end */

int mbr_owner_selector(enum mbr_kind kind, struct fed_arena *a, const struct fed_json *owner, struct fed_selector *out)
{
    const struct fed_json *sel = fed_json_at(owner, "spec", "selector", NULL);
    if (kind != MBR_CONTROLLERS)
        return fed_selector_from_json(a, sel, out, NULL);
    fed_selector_from_map(a, sel, out);
    return 0;
}

static void orphan_set(struct mbr_ctl *c, const struct fed_kobj *pod, struct fed_kobj *keep)
{
    struct fed_kobj *old =
        keep ? fed_map_set(&c->orphans, pod->uid, fed_kobj_ref(keep)) : fed_map_remove(&c->orphans, pod->uid);
    fed_kobj_unref(old);
}

struct owners_of_orphan {
    struct mbr_ctl *c;
    const struct fed_kobj *pod;
};

static bool enqueue_if_matching(void *ud, struct fed_kobj *owner)
{
    struct owners_of_orphan *x = ud;
    struct fed_arena a = {0};
    struct fed_selector sel;
    if (mbr_owner_selector(x->c->kind, &a, fed_kobj_parse(owner, &a), &sel) == 0 &&
        fed_selector_matches(&sel, x->pod->labels, x->pod->n_labels))
        mbr_ctl_add(x->c, owner->ns, owner->name);
    fed_arena_release(&a);
    return true;
}

static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct fed_kobj *pod = now ? now : old;
    const struct fed_owner *o = fed_kobj_controller(pod);
    bool orphan = c->adopts && !o && now && !now->deleting;
    orphan_set(c, pod, orphan ? now : NULL);
    if (orphan)
        fed_informer_each(c->m->informers[c->kind], pod->ns, enqueue_if_matching, &(struct owners_of_orphan){c, pod});
    if (!o || !fed_str_is(o->kind, mbr_resource(c->kind)->kind))
        return;
    struct fed_arena a = {0};
    struct fed_str key = mbr_key(&a, pod->ns, o->name);
    if (!old)
        mbr_expect_created(&c->expect, key);
    if ((!now && !old->deleting) || (now && now->deleting && old && !old->deleting))
        mbr_expect_deleted(&c->expect, key);
    fed_workqueue_add(c->queue, key);
    fed_arena_release(&a);
}

void mbr_owner_init(struct mbr_ctl *c, const char *queue, enum mbr_kind kind, bool adopts, mbr_reconcile reconcile)
{
    c->kind = kind;
    c->adopts = adopts;
    mbr_ctl_queue(c, queue, reconcile);
    mbr_ctl_watch(c, kind, mbr_ctl_enqueue_self);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
}

void mbr_owner_adopt(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_json *tree,
                     bool (*fits)(const struct fed_kobj *obj, const struct fed_kobj *pod))
{
    struct fed_arena *a = &job->arena;
    struct fed_selector sel;
    if (!fed_map_count(&c->orphans) || mbr_owner_selector(c->kind, a, tree, &sel) < 0)
        return;
    FED_MAP_EACH(e, &c->orphans) {
        struct fed_kobj *pod = e->value;
        if (!fed_str_eq(pod->ns, obj->ns) || !fed_selector_matches(&sel, pod->labels, pod->n_labels) ||
            (fits && !fits(obj, pod)))
            continue;
        struct fed_json *patch = fed_json_object(a);
        fed_obj_set_controller(a, patch, obj);
        fed_json_set(fed_obj_metadata(a, patch), "uid", fed_json_new_str(a, pod->uid));
        mbr_job_merge(job, MBR_PODS, pod->ns, pod->name, "", patch);
    }
}

static void create_failed(void *ud, const char *key, const struct fed_err *err)
{
    struct mbr_ctl *c = ud;
    struct fed_str ns, name;
    mbr_key_split(fed_str(key), &ns, &name);
    struct fed_kobj *owner = mbr_find(c->m, c->kind, ns, name);
    mbr_expect_created(&c->expect, fed_str(key)); /* it will not be seen */
    if (owner)
        fed_event_warning(c->events, owner, "FailedCreate", "Error creating: %s", err ? err->text : "unknown");
}

void mbr_owner_create(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_json *pod)
{
    struct fed_str name = fed_obj_name(pod);
    mbr_expect_add(&c->expect, c->m->env, fed_str(job->key), 1, 0);
    mbr_job_create_told(job, MBR_PODS, obj->ns, pod, create_failed, c);
    if (c->kind == MBR_STATEFULSETS)
        fed_event_normal(c->events, obj, "SuccessfulCreate", "create Pod %.*s in StatefulSet %.*s successful",
                         FED_STR_ARG(name), FED_STR_ARG(obj->name));
    else
        fed_event_normal(c->events, obj, "SuccessfulCreate", "Created pod: %.*s", FED_STR_ARG(name));
}

void mbr_owner_delete(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_kobj *pod)
{
    mbr_expect_add(&c->expect, c->m->env, fed_str(job->key), 0, 1);
    mbr_job_delete(job, MBR_PODS, pod);
    if (c->kind == MBR_STATEFULSETS)
        fed_event_normal(c->events, obj, "SuccessfulDelete", "delete Pod %.*s in StatefulSet %.*s successful",
                         FED_STR_ARG(pod->name), FED_STR_ARG(obj->name));
    else
        fed_event_normal(c->events, obj, "SuccessfulDelete", "Deleted pod: %.*s", FED_STR_ARG(pod->name));
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
}
