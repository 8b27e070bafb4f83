/* SPDX-License-Identifier: Apache-2.0 */
/* A short name for all defaults of a schema together: an object that was stored under the same name lacks none of them. */
#include "base/mem.h"
#include "kube/schema_priv.h"

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
    bool own = s->dflt || s->dflt_from.n;
    if (!own && !fed_shape_has_defaults(s->shape))
        return;
    mix(w, name);
    if (own) {
        struct fed_buf text = {0};
        if (s->dflt)
            fed_json_write(&text, s->dflt);
        mix(w, fed_buf_str(&text));
        mix(w, s->dflt_if);
        mix(w, s->dflt_from);
        fed_buf_release(&text);
    }
    if (fed_shape_has_defaults(s->shape))
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
    if (!id || !shape || !(fed_shape_has_defaults(shape) || fed_shape_has_quantities(shape)))
        return (struct fed_str){NULL, 0};
    if (!*id) {
        struct walk w = {.sum = fed_shape_has_quantities(shape) ? 2 : 1}; /* 2: they are stored in one form */
        walk_shape(&w, shape);
        free(w.seen);
        snprintf(id, FED_DEFAULTS_ID, "%08x", (unsigned)(w.sum ^ w.sum >> 32));
    }
    return fed_str(id);
}
