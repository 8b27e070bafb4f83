/* SPDX-License-Identifier: Apache-2.0 */
/* What is there although nobody wrote it: the zero values that Go always writes; a short name for all defaults of a
 * schema together: an object that was stored under the same name lacks none of them. */
#include "base/mem.h"
#include "kube/schema_priv.h"

/* --- zero values --- */

static bool zeros_below(const struct fed_schema *s)
{
    return s && (s->zero || fed_shape_has_zeros(s->shape));
}

/* A shape that refers to itself answers "yes" while being computed: the walk then ends with the object's depth. */
bool fed_shape_has_zeros(struct fed_shape *shape)
{
    bool yes = false;

    if (shape->has_zeros)
        return shape->has_zeros != 1;
    shape->has_zeros = 3;
    for (uint32_t i = 0; i < shape->n_props && !yes; i++)
        yes = zeros_below(&shape->props[i].schema);
    yes = yes || zeros_below(shape->items) || zeros_below(shape->additional);
    shape->has_zeros = yes ? 2 : 1;
    return yes;
}

static void add_zeros(struct fed_arena *a, const struct fed_shape *shape, struct fed_json *obj)
{
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, obj);
    for (uint32_t i = 0; i < shape->n_props; i++) {
        const struct fed_prop *p = &shape->props[i];
        struct fed_json *have = p->schema.zero ? fed_json_index_find(&ix, obj, p->name) : NULL;

        if (p->schema.zero && !have) {
            fed_json_add(obj, p->name, fed_json_copy(a, p->schema.zero));
        } else if (have && have->type == FED_JSON_NULL && p->schema.zero->type != FED_JSON_NULL) {
            fed_json_replace(have, fed_json_copy(a, p->schema.zero));
            have->key = p->name; /* the index still points there */
        }
    }
    fed_json_index_release(&ix);
}

void fed_schema_zeros(struct fed_arena *a, const struct fed_schema *s, struct fed_json *obj)
{
    if (!s || !obj || !fed_shape_has_zeros(s->shape))
        return;
    if (obj->type == FED_JSON_OBJECT) {
        add_zeros(a, s->shape, obj);
        FED_JSON_EACH(child, obj)
            fed_schema_zeros(a, fed_schema_property(s, child->key), child);
    } else if (obj->type == FED_JSON_ARRAY) {
        FED_JSON_EACH(child, obj)
            fed_schema_zeros(a, s->shape->items, child);
    }
}

/* --- the name of the defaults --- */

struct walk {
    const struct fed_shape **seen; /* shapes refer to themselves: each counts once, later by its place here */
    size_t n, cap;
    uint64_t sum;
};

static void mix(struct walk *w, struct fed_str s)
{
    w->sum = fed_str_hash(s, w->sum * 31 + s.n);
}

static void mix_number(struct walk *w, size_t n)
{
    char text[24];
    snprintf(text, sizeof text, "#%zu", n);
    mix(w, fed_str(text));
}

static bool seen(struct walk *w, const struct fed_shape *shape)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->seen[i] == shape) {
            mix_number(w, i);
            return true;
        }
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 32;
        w->seen = fed_realloc(w->seen, w->cap * sizeof *w->seen);
    }
    w->seen[w->n++] = shape;
    return false;
}

static void walk_shape(struct walk *w, struct fed_shape *shape);

static void walk_place(struct walk *w, struct fed_str name, const struct fed_schema *s)
{
    bool own = s->dflt || s->dflt_from.n || s->zero;
    if (!own && !fed_shape_has_defaults(s->shape) && !fed_shape_has_zeros(s->shape))
        return;
    mix(w, name);
    if (own) {
        struct fed_buf text = {0};
        if (s->dflt)
            fed_json_write(&text, s->dflt);
        mix(w, fed_buf_str(&text));
        mix(w, s->dflt_if);
        mix(w, s->dflt_from);
        if (s->zero && s->zero != s->dflt)
            mix(w, FED_STR("zero"));
        fed_buf_release(&text);
    }
    if (fed_shape_has_defaults(s->shape) || fed_shape_has_zeros(s->shape))
        walk_shape(w, s->shape);
    mix(w, FED_STR("."));
}

static void walk_shape(struct walk *w, struct fed_shape *shape)
{
    if (seen(w, shape))
        return;
    for (uint32_t i = 0; i < shape->n_props; i++)
        walk_place(w, shape->props[i].name, &shape->props[i].schema);
    if (shape->items)
        walk_place(w, FED_STR("[]"), shape->items);
    if (shape->additional)
        walk_place(w, FED_STR("{}"), shape->additional);
}

struct fed_str fed_kind_defaults_id(const struct fed_kind *kind)
{
    char *id = kind->defaults_id;
    struct fed_shape *shape = fed_kind_storage(kind)->schema ? fed_kind_storage(kind)->schema->shape : NULL;
    if (!id || !shape ||
        !(fed_shape_has_defaults(shape) || fed_shape_has_zeros(shape) || fed_shape_has_quantities(shape)))
        return (struct fed_str){NULL, 0};
    if (!*id) {
        struct walk w = {.sum = fed_shape_has_quantities(shape) ? 4 : 3}; /* 4: they are stored in one form */
        walk_shape(&w, shape);
        free(w.seen);
        snprintf(id, FED_DEFAULTS_ID, "%08x", (unsigned)(w.sum ^ w.sum >> 32));
    }
    return fed_str(id);
}
