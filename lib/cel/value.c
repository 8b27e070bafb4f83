/* SPDX-License-Identifier: Apache-2.0 */
/* value.c: what is paid, and looking into values: scalars of trees, items and members, walks. Large containers of trees
 * get an index the first time that something is looked up in them, kept for the run. */
#include <math.h>
#include <stdarg.h>

#include "base/mem.h"
#include "cel/cel_priv.h"
#include "codec/base64.h"

enum { FEW = 8 };

struct index { /* of an array or an object of the tree */
    const struct fed_json **items;
    struct fed_json_index members;
};

bool fed_cel_fail(struct fed_cel_run *r, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (r->stopped)
        return false;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    r->error = fed_arena_dup(&r->arena, fed_str(text));
    return false;
}

bool fed_cel_no_overload(struct fed_cel_run *r)
{
    r->error = FED_STR("no such overload");
    return false;
}

bool fed_cel_pay(struct fed_cel_run *r, uint64_t cost)
{
    r->cost += FED_MIN(cost, (uint64_t)1 << 40);
    if (r->cost <= r->limit)
        return true;
    r->stopped = true;
    r->error = FED_STR("operation cancelled: actual cost limit exceeded");
    return false;
}

bool fed_cel_pay_text(struct fed_cel_run *r, size_t bytes)
{
    return fed_cel_pay(r, 1 + fed_cel_text_cost(bytes));
}

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

bool fed_cel_map_find(struct fed_cel_run *r, const struct fed_cel_value *map, const struct fed_cel_value *key,
                      struct fed_cel_value *out)
{
    const struct fed_json *json;
    const struct fed_cel_field *f;

    if (map->kind == FED_CEL_MAP && !map->tree) {
        if (!fed_cel_pay(r, map->map->n / FEW))
            return false;
        for (uint32_t i = 0; i < map->map->n; i++)
            if (fed_cel_equal(r, &map->map->keys[i], key)) {
                *out = map->map->values[i];
                return true;
            }
        return false;
    }
    if (key->kind != FED_CEL_STRING)
        return false;
    if (map->kind == FED_CEL_OBJECT) {
        f = fed_cel_field_find(map->of.type, key->s);
        json = f ? json_member(r, map->of.json, f->key) : NULL;
        if (json)
            fed_cel_from_json(r, json, f->type, out);
        return json != NULL;
    }
    json = json_member(r, map->of.json, key->s);
    if (json)
        fed_cel_from_json(r, json, elem_of(map->of.type), out);
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

/* --- text --- */

size_t fed_cel_utf8_length(struct fed_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

bool fed_cel_utf8_at(struct fed_str s, int64_t i, size_t *off)
{
    int64_t n = 0;

    if (i < 0)
        return false;
    for (*off = 0; *off < s.n; ++*off) {
        if (((unsigned char)s.p[*off] & 0xc0) == 0x80)
            continue;
        if (n++ == i)
            return true;
    }
    return n == i;
}

struct fed_str fed_cel_take(struct fed_cel_run *r, struct fed_buf *b)
{
    struct fed_str s = fed_arena_dup(&r->arena, fed_buf_str(b));

    fed_buf_release(b);
    return s;
}

/* The shortest digits that read back as d, with an exponent from 1e21 (as Go's %v writes numbers). */
void fed_cel_double_write(double d, struct fed_buf *out)
{
    char text[40];
    int exp, digits = 0; /* behind the point, in scientific form */

    if (isnan(d) || isinf(d)) {
        fed_buf_addz(out, isnan(d) ? "NaN" : d > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (; digits < 17; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    exp = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exp >= -4 && exp < 21)
        snprintf(text, sizeof(text), "%.*f", FED_MAX(0, digits - exp), d);
    fed_buf_addz(out, text);
}

static void write_string(struct fed_str s, struct fed_buf *out)
{
    fed_json_write_string(out, s);
}

void fed_cel_write(struct fed_cel_run *r, const struct fed_cel_value *v, struct fed_buf *out)
{
    struct fed_cel_walk w;
    struct fed_cel_value key, value;

    if (v->kind == FED_CEL_STRING) {
        write_string(v->s, out);
    } else if (v->kind == FED_CEL_NULL) {
        fed_buf_addz(out, "null");
    } else if (v->kind == FED_CEL_OBJECT) {
        fed_json_write(out, v->of.json);
    } else if (v->kind == FED_CEL_LIST || v->kind == FED_CEL_MAP) {
        bool map = v->kind == FED_CEL_MAP;

        fed_buf_addc(out, map ? '{' : '[');
        for (w = fed_cel_walk(v); fed_cel_next(r, &w, &key, &value);) {
            if (w.i > 1)
                fed_buf_addz(out, ", ");
            if (map) {
                fed_cel_write(r, &key, out);
                fed_buf_addz(out, ": ");
            }
            fed_cel_write(r, &value, out);
        }
        fed_buf_addc(out, map ? '}' : ']');
    } else if (v->kind == FED_CEL_OPTIONAL) {
        fed_buf_addz(out, v->inner ? "optional(" : "optional.none()");
        if (v->inner) {
            fed_cel_write(r, v->inner, out);
            fed_buf_addc(out, ')');
        }
    } else if (fed_cel_to_text(r, v, &value)) {
        fed_buf_add(out, value.s);
    } else {
        fed_buf_addz(out, fed_cel_kind_name((enum fed_cel_kind)v->kind));
    }
}
