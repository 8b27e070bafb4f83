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
