/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts in objects are written in one form only, so that two clients that mean the same store the same. */
#include "kube/quantity.h"
#include "kube/schema_priv.h"

static bool below(const struct fed_schema *s)
{
    return s && (s->shape->format == FED_FORMAT_QUANTITY || fed_shape_has_quantities(s->shape));
}

/* A shape that refers to itself answers "yes" while being computed: the walk then ends with the object's depth. */
bool fed_shape_has_quantities(struct fed_shape *shape)
{
    bool yes = false;
    if (shape->has_quantities)
        return shape->has_quantities != 1;
    shape->has_quantities = 3;
    for (uint32_t i = 0; i < shape->n_props && !yes; i++)
        yes = below(&shape->props[i].schema);
    yes = yes || below(shape->items) || below(shape->additional);
    shape->has_quantities = yes ? 2 : 1;
    return yes;
}

static void rewrite(struct fed_arena *a, struct fed_json *v)
{
    char room[64];
    struct fed_buf b;
    if (v->type != FED_JSON_STRING && v->type != FED_JSON_NUMBER)
        return;
    fed_buf_init(&b, sizeof(room)); /* a longer one is no amount that anybody means */
    struct fed_str s = fed_str_trim(v->s);
    if (fed_quantity_canonical(s, &b) == 0 && !b.failed &&
        (v->type == FED_JSON_NUMBER || !fed_str_eq(v->s, fed_buf_str(&b))))
        fed_json_replace(v, fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&b))));
    fed_buf_release(&b);
}

void fed_schema_quantities(struct fed_arena *a, const struct fed_schema *s, struct fed_json *v)
{
    if (!s || !v || !below(s))
        return;
    if (s->shape->format == FED_FORMAT_QUANTITY) {
        rewrite(a, v);
    } else if (v->type == FED_JSON_OBJECT) {
        FED_JSON_EACH_SAFE(child, v)
            fed_schema_quantities(a, fed_schema_property(s, child->key), child);
    } else if (v->type == FED_JSON_ARRAY) {
        FED_JSON_EACH_SAFE(child, v)
            fed_schema_quantities(a, s->shape->items, child);
    }
}
