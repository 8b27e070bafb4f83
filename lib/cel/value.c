/* SPDX-License-Identifier: Apache-2.0 */
/* value.c: looking into values: scalars of trees, items and members, walks. Large containers of trees get an index the
 * first time that something is looked up in them, kept for the run. */
#include "base/mem.h"
#include "cel/cel_priv.h"
#include "codec/base64.h"

enum { FEW = 8 };

struct index { /* of an array or an object of the tree */
    const struct fed_json **items;
    struct fed_json_index members;
};

/* --- the run --- */

void fed_cel_run_init(struct fed_cel_run *r)
{
    *r = (struct fed_cel_run){.limit = FED_CEL_CALL_LIMIT};
}

void fed_cel_run_reset(struct fed_cel_run *r)
{
    fed_arena_reset(&r->arena);
    r->slots = NULL;
    r->error = (struct fed_str){NULL, 0};
}

void fed_cel_run_release(struct fed_cel_run *r)
{
    FED_MAP_EACH(e, &r->found)
        fed_json_index_release(&((struct index *)e->value)->members);
    fed_map_release(&r->found);
    fed_arena_release(&r->indexes);
    fed_arena_release(&r->arena);
}

static struct index *index_of(struct fed_cel_run *r, const struct fed_json *json)
{
    struct fed_str key = {(const char *)&json, sizeof(json)};
    struct index *ix = fed_map_find(&r->found, key);
    uint32_t n = 0;

    if (ix)
        return ix;
    ix = FED_ARENA_NEW(&r->indexes, struct index);
    fed_map_set(&r->found, key, ix);
    if (json->type != FED_JSON_ARRAY) {
        fed_json_index_build(&ix->members, json);
        return ix;
    }
    ix->items = FED_ARENA_ARRAY(&r->indexes, const struct fed_json *, json->n);
    FED_JSON_EACH(it, json)
        ix->items[n++] = it;
    return ix;
}

static const struct fed_json *json_item(struct fed_cel_run *r, const struct fed_json *json, uint32_t i)
{
    return json->n <= FEW ? fed_json_item(json, i) : index_of(r, json)->items[i];
}

static const struct fed_json *json_member(struct fed_cel_run *r, const struct fed_json *json, struct fed_str key)
{
    if (json->n <= FEW)
        return fed_json_find_str(json, key);
    return fed_json_index_find(&index_of(r, json)->members, json, key);
}

/* --- trees --- */

static void from_untyped(const struct fed_json *json, struct fed_cel_value *out)
{
    int64_t i;

    switch (json->type) {
    case FED_JSON_NULL:
        *out = (struct fed_cel_value){.kind = FED_CEL_NULL};
        return;
    case FED_JSON_BOOL:
        *out = fed_cel_bool(json->boolean);
        return;
    case FED_JSON_NUMBER:
        *out = fed_json_is_int(json, &i) ? fed_cel_int(i) : fed_cel_double(fed_json_double(json, 0));
        return;
    case FED_JSON_STRING:
        *out = fed_cel_str(json->s);
        return;
    default:
        *out = (struct fed_cel_value){.kind = json->type == FED_JSON_ARRAY ? FED_CEL_LIST : FED_CEL_MAP, .tree = true};
        out->of.json = json;
        out->of.type = fed_cel_plain(FED_CEL_DYN);
    }
}

void fed_cel_from_json(struct fed_cel_run *r, const struct fed_json *json, const struct fed_cel_type *type,
                       struct fed_cel_value *out)
{
    from_untyped(json, out);
    switch (type->kind) {
    case FED_CEL_DOUBLE:
        if (out->kind == FED_CEL_INT)
            *out = fed_cel_double(fed_json_double(json, 0));
        return;
    case FED_CEL_BYTES:
        if (out->kind == FED_CEL_STRING) {
            out->kind = FED_CEL_BYTES;
            if (fed_base64_decode(&r->arena, json->s, &out->s))
                out->s = (struct fed_str){NULL, 0};
        }
        return;
    case FED_CEL_TIMESTAMP:
        if (out->kind == FED_CEL_STRING && !(type->date ? fed_cel_date_read : fed_cel_timestamp_read)(json->s, out))
            *out = fed_cel_str(json->s);
        return;
    case FED_CEL_DURATION:
        if (out->kind == FED_CEL_STRING && !fed_cel_duration_read(json->s, true, out))
            *out = fed_cel_str(json->s);
        return;
    case FED_CEL_LIST:
    case FED_CEL_MAP:
    case FED_CEL_OBJECT:
        if (out->tree) {
            out->of.type = type;
            if (json->type == FED_JSON_OBJECT)
                out->kind = (uint8_t)(type->kind == FED_CEL_OBJECT ? FED_CEL_OBJECT : FED_CEL_MAP);
        }
        return;
    default:
        return;
    }
}

static const struct fed_cel_type *elem_of(const struct fed_cel_type *t)
{
    return t->elem ? t->elem : fed_cel_plain(FED_CEL_DYN);
}

struct fed_cel_value fed_cel_optional(struct fed_cel_run *r, const struct fed_cel_value *v)
{
    struct fed_cel_value out = {.kind = FED_CEL_OPTIONAL}, *inner;

    if (v) {
        inner = FED_ARENA_NEW(&r->arena, struct fed_cel_value);
        *inner = *v;
        out.inner = inner;
    }
    return out;
}

struct fed_cel_value fed_cel_list(struct fed_cel_run *r, const struct fed_cel_value *items, uint32_t n)
{
    struct fed_cel_list *l = FED_ARENA_NEW(&r->arena, struct fed_cel_list);

    *l = (struct fed_cel_list){items, n};
    return (struct fed_cel_value){.kind = FED_CEL_LIST, .list = l};
}

uint32_t fed_cel_size(const struct fed_cel_value *v)
{
    if (v->kind == FED_CEL_OBJECT || v->tree)
        return v->of.json->n;
    return v->kind == FED_CEL_LIST ? v->list->n : v->map->n;
}

size_t fed_cel_weight(const struct fed_cel_value *v)
{
    switch (v->kind) {
    case FED_CEL_STRING:
    case FED_CEL_BYTES:
        return v->s.n;
    case FED_CEL_LIST:
    case FED_CEL_MAP:
    case FED_CEL_OBJECT:
        return fed_cel_size(v);
    default:
        return 1;
    }
}

void fed_cel_at(struct fed_cel_run *r, const struct fed_cel_value *list, uint32_t i, struct fed_cel_value *out)
{
    if (list->tree)
        fed_cel_from_json(r, json_item(r, list->of.json, i), elem_of(list->of.type), out);
    else
        *out = list->list->items[i];
}

bool fed_cel_member(struct fed_cel_run *r, const struct fed_cel_value *map, struct fed_str key,
                    struct fed_cel_value *out)
{
    const struct fed_cel_field *f = NULL;
    const struct fed_json *json;

    if (map->kind == FED_CEL_OBJECT && !(f = fed_cel_field_find(map->of.type, key)))
        return false;
    json = json_member(r, map->of.json, f ? f->key : key);
    if (json)
        fed_cel_from_json(r, json, f ? f->type : elem_of(map->of.type), out);
    return json != NULL;
}

/* --- walks --- */

struct fed_cel_walk fed_cel_walk(const struct fed_cel_value *v)
{
    return (struct fed_cel_walk){.of = v, .next = v->tree ? v->of.json->first : NULL, .n = fed_cel_size(v)};
}

bool fed_cel_next(struct fed_cel_run *r, struct fed_cel_walk *w, struct fed_cel_value *key, struct fed_cel_value *value)
{
    const struct fed_cel_value *of = w->of;

    if (w->i == w->n)
        return false;
    if (of->tree) {
        *key = of->kind == FED_CEL_MAP ? fed_cel_str(w->next->key) : fed_cel_int(w->i);
        fed_cel_from_json(r, w->next, elem_of(of->of.type), value);
        w->next = w->next->next;
    } else if (of->kind == FED_CEL_MAP) {
        *key = of->map->keys[w->i];
        *value = of->map->values[w->i];
    } else {
        *key = fed_cel_int(w->i);
        *value = of->list->items[w->i];
    }
    w->i++;
    return true;
}
