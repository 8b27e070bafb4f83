/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/ctl.h"

#include "base/mem.h"
#include "kube/names.h"

static void work(void *ud, const char *key)
{
    struct mbr_ctl *c = ud;
    struct fed_str ns, name;
    mbr_key_split(fed_str(key), &ns, &name);
    c->reconcile(c, mbr_job_new(c->m, c->queue, key), ns, name);
}

void mbr_ctl_queue(struct mbr_ctl *c, const char *name, mbr_reconcile reconcile)
{
    c->reconcile = reconcile;
    c->queue = fed_workqueue_new(&(struct fed_workqueue_conf){
        .env = c->m->env, .name = name, .metrics = c->m->metrics, .concurrency = 16, .work = work, .ud = c});
    c->events = fed_recorder_new(c->m->client, name, "");
}

void mbr_ctl_watch(struct mbr_ctl *c, enum mbr_kind kind,
                   void (*changed)(void *ctl, struct fed_kobj *old, struct fed_kobj *now))
{
    fed_informer_add_handlers(c->m->informers[kind], &(struct fed_informer_handlers){.changed = changed, .ud = c});
}

void mbr_ctl_add(struct mbr_ctl *c, struct fed_str ns, struct fed_str name)
{
    struct fed_arena a = {0};
    fed_workqueue_add(c->queue, mbr_key(&a, ns, name));
    fed_arena_release(&a);
}

void mbr_ctl_enqueue_self(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    const struct fed_kobj *o = now ? now : old;
    mbr_ctl_add(ctl, o->ns, o->name);
}

struct on_node {
    struct mbr_ctl *c;
    struct fed_str node;
};

static bool add_pod_of(void *ud, struct fed_kobj *pod)
{
    struct on_node *x = ud;
    if (fed_str_eq(mbr_pod_info_get(x->c->m, pod)->node, x->node))
        mbr_ctl_add(x->c, pod->ns, pod->name);
    return true;
}

void mbr_ctl_add_pods_of(struct mbr_ctl *c, struct fed_str node)
{
    fed_informer_each(c->m->informers[MBR_PODS], FED_STR(""), add_pod_of, &(struct on_node){c, node});
}

void mbr_ctl_enqueue_controller(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    const struct fed_kobj *obj = now ? now : old;
    const struct fed_owner *o = fed_kobj_controller(obj);
    if (o && fed_str_is(o->kind, mbr_resource(c->kind)->kind))
        mbr_ctl_add(c, obj->ns, o->name);
}

struct fed_json *mbr_pod_from_template(struct mbr_ctl *c, struct fed_arena *a, const struct fed_kobj *owner,
                                       const struct fed_json *template)
{
    const struct fed_json *meta = fed_json_find(template, "metadata"), *v;
    struct fed_str base = fed_arena_printf(a, "%.*s-", FED_STR_ARG(owner->name));
    struct fed_json *pod = fed_obj_new(a, "v1", "Pod", owner->ns, fed_name_generate(c->m->env, a, base));
    struct fed_json *to = fed_obj_metadata(a, pod);
    static const char *const keep[] = {"labels", "annotations", "finalizers"};
    fed_json_set(to, "generateName", fed_json_new_str(a, base));
    for (size_t i = 0; i < FED_ARRAY_LEN(keep); i++)
        if ((v = fed_json_find(meta, keep[i])))
            fed_json_set(to, keep[i], fed_json_copy(a, v));
    fed_obj_set_controller(a, pod, owner);
    v = fed_json_find(template, "spec");
    fed_json_set(pod, "spec", v ? fed_json_copy(a, v) : fed_json_object(a));
    return pod;
}

void mbr_kobjs_add(struct mbr_kobjs *l, struct fed_kobj *o)
{
    FED_ARENA_ROOM(l->a, l->list, l->n, l->cap, 16);
    l->list[l->n++] = o;
}

static bool gather(void *ud, struct fed_kobj *o)
{
    mbr_kobjs_add(ud, o);
    return true;
}

struct fed_kobj **mbr_owned(struct mbr *m, struct fed_arena *a, enum mbr_kind kind, const struct fed_kobj *owner,
                            size_t *n)
{
    struct mbr_kobjs l = {.a = a};
    fed_informer_each_owned(m->informers[kind], owner->uid, gather, &l);
    *n = l.n;
    return l.list;
}

void mbr_set_time(struct fed_arena *a, struct fed_json *o, const char *key, int64_t ms)
{
    char text[21];
    fed_time_format(ms, text);
    fed_json_set(o, key, fed_json_new_strf(a, "%s", text));
}
