/* SPDX-License-Identifier: Apache-2.0 */
/* json_equal.c: comparing trees. */
#include "codec/json.h"

#define MAX_EQUAL_DEPTH 1000 /* of recursion; parsed documents end at 100 */

static bool equal(const struct fed_json *a, const struct fed_json *b, int depth);

static bool equal_objects(const struct fed_json *a, const struct fed_json *b, int depth)
{
    struct fed_json_index ix = {0};
    const struct fed_json *y = b->first;
    bool same = true, built = false;
    for (const struct fed_json *x = a->first; x && same; x = x->next) {
        /* Mostly the order is the same; only when it is not, members are looked up. */
        const struct fed_json *peer = y && fed_str_eq(x->key, y->key) ? y : NULL;
        if (!peer) {
            if (!built)
                fed_json_index_build(&ix, b);
            built = true;
            peer = fed_json_index_find(&ix, b, x->key);
        }
        same = peer && equal(x, peer, depth + 1);
        y = y ? y->next : NULL;
    }
    fed_json_index_release(&ix);
    return same;
}

static bool equal(const struct fed_json *a, const struct fed_json *b, int depth)
{
    int64_t x, y;
    if (a->type != b->type || a->n != b->n || depth > MAX_EQUAL_DEPTH)
        return false;
    switch (a->type) {
    case FED_JSON_BOOL:
        return a->boolean == b->boolean;
    case FED_JSON_STRING:
        return fed_str_eq(a->s, b->s);
    case FED_JSON_NUMBER:
        if (fed_str_eq(a->s, b->s))
            return true;
        if (fed_json_is_int(a, &x) && fed_json_is_int(b, &y))
            return x == y;
        return fed_json_double(a, 0) == fed_json_double(b, 1); /* 0.5 and 5e-1; two infinities differ */
    case FED_JSON_OBJECT:
        return equal_objects(a, b, depth);
    case FED_JSON_ARRAY:
        for (a = a->first, b = b->first; a && b; a = a->next, b = b->next)
            if (!equal(a, b, depth + 1))
                return false;
        return true;
    default:
        return true;
    }
}

bool fed_json_equal(const struct fed_json *a, const struct fed_json *b)
{
    if (!a || !b)
        return a == b;
    return a == b || equal(a, b, 0);
}

bool fed_json_blank(const struct fed_json *v)
{
    switch (v->type) {
    case FED_JSON_NULL:
        return true;
    case FED_JSON_BOOL:
        return !v->boolean;
    case FED_JSON_NUMBER:
        return fed_json_int(v, 1) == 0;
    case FED_JSON_STRING:
        return v->s.n == 0;
    case FED_JSON_ARRAY:
        return v->n == 0;
    case FED_JSON_OBJECT:
        FED_JSON_EACH(m, v) {
            if (!fed_json_blank(m))
                return false;
        }
        return true;
    }
    return false;
}

/* What a server may leave out, or keep as null. */
static bool is_empty(const struct fed_json *v)
{
    return v->type == FED_JSON_NULL || ((v->type == FED_JSON_ARRAY || v->type == FED_JSON_OBJECT) && v->n == 0);
}

static bool filled(const struct fed_json *want, const struct fed_json *have, int depth);

static bool filled_objects(const struct fed_json *want, const struct fed_json *have, int depth)
{
    struct fed_json_index ix = {0};
    bool same = true;
    fed_json_index_build(&ix, have);
    for (const struct fed_json *w = want->first; w && same; w = w->next) {
        const struct fed_json *h = fed_json_index_find(&ix, have, w->key);
        same = h ? filled(w, h, depth + 1) : is_empty(w);
    }
    fed_json_index_build(&ix, want);
    for (const struct fed_json *h = have->first; h && same; h = h->next)
        same = fed_json_index_find(&ix, want, h->key) || fed_json_blank(h);
    fed_json_index_release(&ix);
    return same;
}

static bool filled(const struct fed_json *want, const struct fed_json *have, int depth)
{
    if (depth > MAX_EQUAL_DEPTH)
        return false;
    if (is_empty(want) && fed_json_blank(have))
        return true;
    if (want->type == FED_JSON_OBJECT && have->type == FED_JSON_OBJECT)
        return filled_objects(want, have, depth);
    if (want->type != FED_JSON_ARRAY || have->type != FED_JSON_ARRAY || want->n != have->n)
        return equal(want, have, depth);
    for (want = want->first, have = have->first; want && have; want = want->next, have = have->next)
        if (!filled(want, have, depth + 1))
            return false;
    return true;
}

bool fed_json_equal_filled(const struct fed_json *want, const struct fed_json *have)
{
    if (!want || !have)
        return want == have || (have && fed_json_blank(have));
    return want == have || filled(want, have, 0);
}
