/* SPDX-License-Identifier: Apache-2.0 */
/* json_make.c: making nodes and changing trees. */
#include "codec/json_priv.h"

#include <stdarg.h>
#include <stdio.h>

static struct fed_json *new_node(struct fed_arena *a, enum fed_json_type type)
{
    struct fed_json *v = FED_ARENA_NEW(a, struct fed_json);
    v->type = type;
    return v;
}

struct fed_json *fed_json_null(struct fed_arena *a)
{
    return new_node(a, FED_JSON_NULL);
}

struct fed_json *fed_json_new_bool(struct fed_arena *a, bool b)
{
    struct fed_json *v = new_node(a, FED_JSON_BOOL);
    v->boolean = b;
    return v;
}

struct fed_json *fed_json_new_int(struct fed_arena *a, int64_t n)
{
    struct fed_json *v = new_node(a, FED_JSON_NUMBER);
    v->s = fed_arena_printf(a, "%lld", (long long)n);
    return v;
}

struct fed_json *fed_json_new_number(struct fed_arena *a, struct fed_str text)
{
    struct fed_json *v = new_node(a, FED_JSON_NUMBER);
    v->s = text;
    return v;
}

struct fed_json *fed_json_new_str(struct fed_arena *a, struct fed_str s)
{
    struct fed_json *v = new_node(a, FED_JSON_STRING);
    v->s = s.p ? s : FED_STR(""); /* a string node is never "absent" */
    return v;
}

struct fed_json *fed_json_new_strz(struct fed_arena *a, const char *z)
{
    return fed_json_new_str(a, fed_str(z));
}

struct fed_json *fed_json_new_strf(struct fed_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    FED_REQUIRE(n >= 0);
    char *text = fed_arena_alloc(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return fed_json_new_str(a, fed_str_n(text, (size_t)n));
}

struct fed_json *fed_json_array(struct fed_arena *a)
{
    return new_node(a, FED_JSON_ARRAY);
}

struct fed_json *fed_json_object(struct fed_arena *a)
{
    return new_node(a, FED_JSON_OBJECT);
}

static struct fed_json *copy_one(struct fed_arena *a, const struct fed_json *v)
{
    struct fed_json *c = new_node(a, v->type);
    c->boolean = v->boolean;
    if (v->s.p)
        c->s = fed_arena_dup(a, v->s);
    return c;
}

struct fed_json *fed_json_copy(struct fed_arena *a, const struct fed_json *root)
{
    struct fed_json *copy = copy_one(a, root), *into = copy;
    const struct fed_json *v = root;
    for (;;) {
        if (v->first) {
            v = v->first;
        } else {
            while (v != root && !v->next) {
                v = v->parent;
                if (v == root)
                    return copy;
                into = into->parent;
            }
            if (v == root)
                return copy;
            v = v->next;
        }
        struct fed_json *c = copy_one(a, v);
        if (v->key.p)
            c->key = fed_arena_dup(a, v->key);
        fed_json_append(into, c);
        if (v->first)
            into = c;
    }
}

static bool is_container(const struct fed_json *v, enum fed_json_type type)
{
    return v && v->type == type;
}

struct fed_json *fed_json_add(struct fed_json *obj, struct fed_str key, struct fed_json *child)
{
    if (!is_container(obj, FED_JSON_OBJECT))
        return child;
    FED_REQUIRE(!child->parent);
    child->key = key.p ? key : FED_STR("");
    fed_json_append(obj, child);
    return child;
}

struct fed_json *fed_json_set_str(struct fed_json *obj, struct fed_str key, struct fed_json *child)
{
    if (!is_container(obj, FED_JSON_OBJECT))
        return child;
    struct fed_json *old = fed_json_find_str(obj, key);
    if (old == child)
        return child;
    FED_REQUIRE(!child->parent);
    if (old) {
        fed_json_replace(old, child);
        child->key = key;
        return child;
    }
    child->key = key.p ? key : FED_STR("");
    fed_json_append(obj, child);
    return child;
}

struct fed_json *fed_json_set(struct fed_json *obj, const char *key, struct fed_json *child)
{
    return fed_json_set_str(obj, fed_str(key), child);
}

static struct fed_json *ensure(struct fed_arena *a, struct fed_json *obj, const char *key, enum fed_json_type type)
{
    if (!is_container(obj, FED_JSON_OBJECT))
        return NULL;
    struct fed_json *v = fed_json_find(obj, key);
    if (v && v->type != FED_JSON_NULL)
        return v->type == type ? v : NULL;
    return fed_json_set(obj, key, new_node(a, type));
}

struct fed_json *fed_json_ensure_object(struct fed_arena *a, struct fed_json *obj, const char *key)
{
    return ensure(a, obj, key, FED_JSON_OBJECT);
}

struct fed_json *fed_json_ensure_array(struct fed_arena *a, struct fed_json *obj, const char *key)
{
    return ensure(a, obj, key, FED_JSON_ARRAY);
}

struct fed_json *fed_json_push(struct fed_json *arr, struct fed_json *child)
{
    if (!is_container(arr, FED_JSON_ARRAY))
        return child;
    FED_REQUIRE(!child->parent);
    child->key = fed_str_n(NULL, 0);
    fed_json_append(arr, child);
    return child;
}

struct fed_json *fed_json_insert(struct fed_json *arr, struct fed_json *before, struct fed_json *child)
{
    if (!before || !is_container(arr, FED_JSON_ARRAY))
        return fed_json_push(arr, child);
    FED_REQUIRE(!child->parent && before->parent == arr);
    child->key = fed_str_n(NULL, 0);
    child->parent = arr;
    child->next = before;
    child->prev = before->prev;
    if (before->prev)
        before->prev->next = child;
    else
        arr->first = child;
    before->prev = child;
    arr->n++;
    return child;
}

static void forget_place(struct fed_json *v)
{
    v->parent = v->prev = v->next = NULL;
    v->key = fed_str_n(NULL, 0);
}

void fed_json_remove(struct fed_json *child)
{
    if (!child->parent)
        return;
    fed_json_unlink(child);
    forget_place(child);
}

bool fed_json_remove_key(struct fed_json *obj, const char *key)
{
    struct fed_json *v = fed_json_find(obj, key);
    if (v)
        fed_json_remove(v);
    return v != NULL;
}

void fed_json_replace(struct fed_json *child, struct fed_json *with)
{
    struct fed_json *parent = child->parent;
    if (child == with || !parent)
        return;
    FED_REQUIRE(!with->parent);
    with->key = child->key;
    with->parent = parent;
    with->prev = child->prev;
    with->next = child->next;
    if (child->prev)
        child->prev->next = with;
    else
        parent->first = with;
    if (child->next)
        child->next->prev = with;
    else
        parent->last = with;
    forget_place(child);
}
