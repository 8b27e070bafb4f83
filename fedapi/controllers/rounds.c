/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/rounds.h"

#include "fedapi/controllers/marks.h"
#include "fedapi/controllers/spread.h"

static struct fed_json *notes_of(struct fed_arena *a, const struct fed_kobj *hub)
{
    struct fed_str text = fed_kobj_annotation(hub, FAPI_JOB_ROUNDS);
    struct fed_json *v = NULL;
    if (!text.n || fed_json_parse(a, fed_arena_dup(a, text), NULL, &v, NULL) != 0 || v->type != FED_JSON_OBJECT)
        return NULL;
    return v;
}

static int64_t done_of(const struct fed_json *note)
{
    int64_t n = fed_json_int(fed_json_find(note, "done"), 0);
    return FED_MIN(FED_MAX(n, 0), INT32_MAX);
}

bool fapi_round_find(struct fed_arena *a, const struct fed_kobj *hub, struct fed_str cluster, struct fapi_round *out)
{
    const struct fed_json *note = fed_json_find_str(notes_of(a, hub), cluster);
    *out = (struct fapi_round){done_of(note), fed_json_find_text(note, "copy")};
    return out->copy.n > 0;
}

int64_t fapi_rounds_done(struct fed_arena *a, const struct fed_kobj *hub)
{
    int64_t sum = 0;
    FED_JSON_EACH(note, notes_of(a, hub))
        sum += done_of(note);
    return FED_MIN(sum, INT32_MAX);
}

bool fapi_round_closed(const struct fed_kobj *hub, struct fed_str cluster, struct fed_str copy_uid)
{
    struct fed_arena a = {0};
    struct fapi_round r;
    bool closed = copy_uid.n && fapi_round_find(&a, hub, cluster, &r) && fed_str_eq(r.copy, copy_uid);
    fed_arena_release(&a);
    return closed;
}

static bool is_true(const struct fed_json *tree, const char *type)
{
    const struct fed_json *c = fed_obj_condition(fed_json_find(tree, "status"), type);
    return fed_str_is(fed_json_find_text(c, "status"), "True");
}

struct fapi_copy fapi_copy_of(struct fed_arena *a, const struct fed_kobj *copy)
{
    if (!copy)
        return (struct fapi_copy){0};
    const struct fed_json *tree = fed_kobj_parse(copy, a);
    return (struct fapi_copy){.uid = copy->uid,
                              .part = fapi_spread_number(copy->kind, tree),
                              .succeeded = fed_json_int(fed_json_at(tree, "status", "succeeded", NULL), 0),
                              .complete = is_true(tree, "Complete")};
}

struct fapi_copy fapi_copy_told(struct fed_arena *a, const struct fed_kobj *hub, struct fed_str cluster)
{
    struct fed_str text = fed_kobj_annotation(hub, FAPI_ANN_CLUSTERS);
    struct fed_json *all = NULL;
    if (!text.n || fed_json_parse(a, fed_arena_dup(a, text), NULL, &all, NULL) != 0)
        return (struct fapi_copy){0};
    const struct fed_json *one = fed_json_find_str(all, cluster);
    struct fapi_copy c = {.uid = fed_json_find_text(one, "copy"),
                          .part = FED_MAX(fed_json_int(fed_json_find(one, "replicas"), 0), 0),
                          .succeeded = FED_MAX(fed_json_int(fed_json_find(one, "ready"), 0), 0)};
    c.complete = c.uid.n && c.succeeded >= c.part;
    return c;
}

/* What counts as done of a copy that is given up or through. */
static int64_t worth(const struct fed_json *hub_tree, const struct fapi_copy *copy)
{
    const struct fed_json *all = fed_json_at(hub_tree, "spec", "completions", NULL);
    if (!all || all->type != FED_JSON_NUMBER)
        return copy->part;
    if (fapi_spread_whole(FED_STR("Job"), hub_tree) && !copy->complete)
        return 0;
    return FED_MIN(copy->succeeded, copy->part);
}

static bool somebody_can(const struct fapi_placement *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!p->spots[i].cluster->offline && !p->spots[i].cluster->cordoned && !p->spots[i].cluster->conflict)
            return true;
    return false;
}

static void note(struct fed_arena *a, struct fed_json *notes, struct fed_str cluster, struct fed_str copy, int64_t more)
{
    struct fed_json *n = fed_json_object(a);
    fed_json_set(n, "done", fed_json_new_int(a, done_of(fed_json_find_str(notes, cluster)) + more));
    fed_json_set(n, "copy", fed_json_new_str(a, copy));
    fed_json_set_str(notes, cluster, n);
}

struct fed_json *fapi_rounds_close(struct fed_arena *a, const struct fed_kobj *hub, const struct fed_json *tree,
                                   const struct fapi_placement *p, const struct fapi_copy *copies, struct fed_str *lost)
{
    struct fed_json *notes = notes_of(a, hub), *patch = fed_json_object(a);
    bool any = false, others = somebody_can(p);
    *lost = (struct fed_str){0};
    if (is_true(tree, "Complete") || is_true(tree, "Failed") || !others)
        return NULL;
    notes = notes ? notes : fed_json_object(a);
    for (size_t i = 0; i < p->n; i++) {
        const struct fapi_cluster *c = p->spots[i].cluster;
        const struct fapi_copy *copy = &copies[i];
        if (!copy->uid.n || c->conflict || fapi_round_closed(hub, c->name, copy->uid))
            continue;
        if (!c->offline && !(p->unplaced > 0 && copy->complete))
            continue;
        note(a, notes, c->name, copy->uid, worth(tree, copy));
        any = true;
        if (c->offline && !lost->n)
            *lost = c->name;
    }
    if (!any)
        return NULL;
    fed_obj_set_annotation(a, patch, FAPI_JOB_ROUNDS, fed_json_text(a, notes));
    return patch;
}
