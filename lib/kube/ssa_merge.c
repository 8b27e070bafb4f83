/* SPDX-License-Identifier: Apache-2.0 */
/* ssa_merge.c: laying an applied configuration over an object, and taking fields out of one. */
#include "kube/ssa_priv.h"

/* --- merging --- */

/* A value that is not there is NULL; the result, too. live is changed. */
static struct fed_json *merge(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                              const struct fed_json *applied);

static void merge_object(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                         const struct fed_json *applied)
{
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, live);
    FED_JSON_EACH(it, applied) {
        struct fed_json *have = fed_json_index_find(&ix, live, it->key), *made;

        if (!have) {
            fed_json_add(live, fed_arena_dup(a, it->key), fed_json_copy(a, it));
            continue;
        }
        made = merge(a, fed_schema_property(s, it->key), have, it);
        if (made == have)
            continue;
        fed_json_replace(have, made);
        have->key = it->key; /* the index still points there */
    }
    fed_json_index_release(&ix);
}

/* The items of both lists, each known by the place of its element in the configuration. */
struct zip {
    struct fed_json **live;
    const struct fed_json **applied;
    size_t n_live, n_applied;
    ptrdiff_t *place;        /* of live items in the configuration; -1: not there */
    struct fed_json **first; /* of applied items: the live one to merge with; NULL: none */
    bool *shared, *done;     /* of applied items: the object has it; it is in the result */
};

static void zip_live(struct fed_arena *a, const struct fed_schema *s, const struct fed_map *places, struct zip *z,
                     const struct fed_json *live)
{
    FED_JSON_EACH(it, live) {
        struct fed_str e = fed_fields_element(a, s, it);
        size_t *place = e.n ? fed_map_find(places, e) : NULL, i = z->n_live++;

        z->live[i] = it;
        z->place[i] = place ? (ptrdiff_t)*place : -1;
        if (!place)
            continue;
        z->first[*place] = z->shared[*place] ? NULL : it; /* what is there twice is replaced */
        z->shared[*place] = true;
    }
}

static void zip_up(struct fed_arena *a, const struct fed_schema *s, struct zip *z, const struct fed_json *live,
                   const struct fed_json *applied)
{
    struct fed_map places = {0};
    size_t *numbers = FED_ARENA_ARRAY(a, size_t, applied->n);

    z->live = FED_ARENA_ARRAY(a, struct fed_json *, live->n);
    z->place = FED_ARENA_ARRAY(a, ptrdiff_t, live->n);
    z->applied = FED_ARENA_ARRAY(a, const struct fed_json *, applied->n);
    z->first = FED_ARENA_ARRAY(a, struct fed_json *, applied->n);
    z->shared = FED_ARENA_ARRAY(a, bool, applied->n);
    z->done = FED_ARENA_ARRAY(a, bool, applied->n);
    FED_JSON_EACH(it, applied) {
        struct fed_str e = fed_fields_element(a, s, it);
        size_t i = z->n_applied++;

        numbers[i] = i;
        z->applied[i] = it;
        if (e.n)
            fed_map_set(&places, e, &numbers[i]);
    }
    zip_live(a, s, &places, z, live);
    fed_map_release(&places);
}

static size_t next_shared(const struct zip *z, size_t from)
{
    while (from < z->n_applied && !z->shared[from])
        from++;
    return from;
}

static void take_applied(struct fed_arena *a, const struct fed_schema *s, struct zip *z, size_t i, struct fed_json *out)
{
    struct fed_json *have = z->first[i];

    z->done[i] = true;
    if (have)
        fed_json_remove(have);
    fed_json_push(out, have ? merge(a, s->shape->items, have, z->applied[i]) : fed_json_copy(a, z->applied[i]));
}

/* Elements that both have come in the configuration's order; those of one only stay where they are between them. */
static struct fed_json *merge_list(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                                   const struct fed_json *applied)
{
    struct zip z = {0};
    struct fed_json *out = fed_json_array(a);
    size_t l = 0, r = 0, wanted;

    zip_up(a, s, &z, live, applied);
    wanted = next_shared(&z, 0);
    while (l < z.n_live || r < z.n_applied) {
        if (l < z.n_live && r < z.n_applied) {
            if (z.place[l] == (ptrdiff_t)r) {
                take_applied(a, s, &z, r, out);
                l++;
                r++;
                if (wanted < z.n_applied)
                    wanted = next_shared(&z, wanted + 1);
                continue;
            }
            if (z.place[l] >= 0 && wanted < z.n_applied && z.place[l] != (ptrdiff_t)wanted) {
                l++; /* both have it, but its turn comes later */
                continue;
            }
        }
        if (l < z.n_live && z.place[l] < 0) {
            fed_json_remove(z.live[l]);
            fed_json_push(out, z.live[l++]);
            continue;
        }
        if (l < z.n_live && z.done[z.place[l]])
            l++;
        if (r < z.n_applied) {
            take_applied(a, s, &z, r, out);
            if (wanted == r)
                wanted = next_shared(&z, wanted + 1);
            r++;
        }
    }
    return out;
}

static bool is_leaf(const struct fed_schema *s, const struct fed_json *v)
{
    if (v->type == FED_JSON_OBJECT)
        return !fed_fields_granular_map(s);
    return v->type != FED_JSON_ARRAY || !fed_fields_granular_list(s);
}

static struct fed_json *merge(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                              const struct fed_json *applied)
{
    /* Null and empty take nothing away from what may be changed in part. */
    bool nothing = applied->type == FED_JSON_NULL || (applied->type == live->type && !applied->n);

    if (is_leaf(s, live) || !live->n)
        return applied->type == live->type && live->type != FED_JSON_NULL && fed_json_equal(live, applied)
                   ? live
                   : fed_json_copy(a, applied);
    if (nothing)
        return live;
    if (applied->type != live->type)
        return fed_json_copy(a, applied);
    if (live->type == FED_JSON_ARRAY)
        return merge_list(a, s, live, applied);
    merge_object(a, s, live, applied);
    return live;
}

struct fed_json *fed_ssa_merge(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                               const struct fed_json *applied)
{
    return merge(a, s, live, applied);
}

/* --- removing --- */

static struct fed_json *without(struct fed_arena *a, const struct fed_schema *s, struct fed_json *v,
                                const struct fed_fields *set);

static void remove_child(struct fed_arena *a, const struct fed_schema *s, struct fed_json *child,
                         const struct fed_fields *node)
{
    struct fed_json *left;

    if (!node)
        return;
    if (node->member) {
        fed_json_remove(child);
        return;
    }
    left = without(a, s, child, node);
    if (left != child)
        fed_json_replace(child, left);
}

/* The nodes below one, for asking by name. */
static void index_nodes(struct fed_map *m, const struct fed_fields *node, char kind)
{
    for (const struct fed_fields *n = node->first; n; n = n->next)
        if (n->kind == kind)
            fed_map_set(m, n->text, (void *)n);
}

/* v, or null where nothing is left of it. */
static struct fed_json *without(struct fed_arena *a, const struct fed_schema *s, struct fed_json *v,
                                const struct fed_fields *set)
{
    struct fed_map nodes = {0};

    if (v->type != FED_JSON_OBJECT && v->type != FED_JSON_ARRAY)
        return v;
    if (is_leaf(s, v))
        return fed_json_null(a);
    if (v->type == FED_JSON_OBJECT) {
        index_nodes(&nodes, set, 'f');
        FED_JSON_EACH_SAFE(child, v)
            remove_child(a, fed_schema_property(s, child->key), child, fed_map_find(&nodes, child->key));
    } else {
        index_nodes(&nodes, set, fed_fields_element_kind(s));
        FED_JSON_EACH_SAFE(child, v) {
            struct fed_str e = fed_fields_element(a, s, child);

            remove_child(a, s->shape->items, child, e.n ? fed_map_find(&nodes, e) : NULL);
        }
    }
    fed_map_release(&nodes);
    return v->n ? v : fed_json_null(a);
}

void fed_ssa_remove(struct fed_arena *a, const struct fed_schema *s, struct fed_json *obj, const struct fed_fields *set)
{
    if (!fed_fields_empty(set))
        (void)without(a, s, obj, set);
}
