/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/revision.h"

#include "base/mem.h"
#include "control/revisions.h"
#include "kube/selector.h"

static int by_number(const void *pa, const void *pb)
{
    const struct mbr_revision *a = pa, *b = pb;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void read_owned(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *owner, struct mbr_revisions *out)
{
    size_t n;
    struct fed_kobj **list = mbr_owned(c->m, &job->arena, MBR_REVISIONS, owner, &n);
    out->list = FED_ARENA_ARRAY(&job->arena, struct mbr_revision, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct fed_json *tree = fed_kobj_parse(list[i], &job->arena);
        if (list[i]->deleting || !fed_json_find(tree, "data"))
            continue;
        out->list[out->n++] = (struct mbr_revision){list[i], fed_json_find(tree, "data"),
                                                    fed_json_int(fed_json_find(tree, "revision"), 0)};
    }
    qsort(out->list, out->n, sizeof(*out->list), by_number);
}

struct adopting {
    struct mbr_ctl *c;
    struct mbr_job *job;
    const struct fed_kobj *owner;
    struct fed_selector sel;
    bool any;
};

static bool adopt_one(void *ud, struct fed_kobj *lost)
{
    struct adopting *x = ud;
    if (lost->deleting || fed_kobj_controller(lost) || !fed_selector_matches(&x->sel, lost->labels, lost->n_labels))
        return true;
    struct fed_json *patch = fed_json_object(&x->job->arena);
    fed_obj_set_controller(&x->job->arena, patch, x->owner);
    mbr_job_merge(x->job, MBR_REVISIONS, lost->ns, lost->name, "", patch);
    x->any = true;
    return true;
}

/* Those without an owner were left by a set that was deleted without its pods: a set that has none takes them all. */
static bool adopt(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *owner, const struct fed_json *tree)
{
    struct adopting x = {c, job, owner, .any = false};
    if (fed_selector_from_json(&job->arena, fed_json_at(tree, "spec", "selector", NULL), &x.sel, NULL) == 0)
        fed_informer_each(c->m->informers[MBR_REVISIONS], owner->ns, adopt_one, &x);
    return x.any;
}

void mbr_revisions_sync(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *owner,
                        const struct fed_json *tree, struct mbr_revisions *out)
{
    struct fed_arena *a = &job->arena;
    struct fed_json *data = fed_revision_data(a, tree);
    int64_t number;
    char hash[11];
    *out = (struct mbr_revisions){0};
    read_owned(c, job, owner, out);
    struct fed_past *past = FED_ARENA_ARRAY(a, struct fed_past, out->n + 1);
    for (size_t i = 0; i < out->n; i++)
        past[i] = (struct fed_past){out->list[i].data, out->list[i].number};
    int at = fed_revision_find(past, out->n, data, &number);
    if (at >= 0) {
        const struct mbr_revision *r = &out->list[at];
        out->name = r->obj->name;
        out->hash = fed_revision_hash(r->obj);
        if (r->number != number) {
            struct fed_json *patch = fed_json_object(a);
            fed_json_set(patch, "revision", fed_json_new_int(a, number));
            mbr_job_merge(job, MBR_REVISIONS, owner->ns, r->obj->name, "", patch);
        }
        return;
    }
    fed_template_hash(fed_json_at(tree, "spec", "template", NULL), "", hash);
    out->hash = fed_arena_dup(a, fed_str(hash));
    out->name = fed_arena_printf(a, "%.*s-%s", FED_STR_ARG(owner->name), hash);
    out->adopting = !out->n && adopt(c, job, owner, tree);
    if (!out->adopting)
        mbr_job_create(job, MBR_REVISIONS, owner->ns, fed_revision_new(a, owner, tree, hash, number, NULL));
}

struct fed_json *mbr_revision_template(struct fed_arena *a, const struct mbr_revisions *r, struct fed_str name)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct fed_json *t = fed_json_at(r->list[i].data, "spec", "template", NULL);
        if (!fed_str_eq(r->list[i].obj->name, name) || !t)
            continue;
        struct fed_json *copy = fed_json_copy(a, t);
        fed_json_remove_key(copy, "$patch");
        return copy;
    }
    return NULL;
}

void mbr_revisions_forget(struct mbr_job *job, const struct mbr_revisions *r, const struct fed_json *spec,
                          const struct fed_str *live, size_t n_live)
{
    int64_t limit = fed_revision_limit(spec), spare = 0;
    bool *keep = FED_ARENA_ARRAY(&job->arena, bool, r->n + 1);
    for (size_t i = 0; i < r->n; i++) {
        struct fed_str name = r->list[i].obj->name, hash = fed_revision_hash(r->list[i].obj);
        keep[i] = fed_str_eq(name, r->name);
        for (size_t k = 0; k < n_live && !keep[i]; k++)
            keep[i] = live[k].n && (fed_str_eq(name, live[k]) || fed_str_eq(hash, live[k]));
        spare += !keep[i];
    }
    for (size_t i = 0; i < r->n && spare > limit; i++)
        if (!keep[i]) {
            mbr_job_delete(job, MBR_REVISIONS, r->list[i].obj);
            spare--;
        }
}
