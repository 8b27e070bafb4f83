/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: looking into a tree and comparing trees. */
#include "codec/json_priv.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/mem.h"

#define MAX_EQUAL_DEPTH 1000 /* of recursion; parsed documents end at 100 */

struct fed_json *fed_json_find_str(const struct fed_json *obj, struct fed_str key)
{
    if (!obj || obj->type != FED_JSON_OBJECT)
        return NULL;
    FED_JSON_EACH(it, obj)
        if (it->key.n == key.n && (key.n == 0 || memcmp(it->key.p, key.p, key.n) == 0))
            return it;
    return NULL;
}

struct fed_json *fed_json_find(const struct fed_json *obj, const char *key)
{
    return fed_json_find_str(obj, fed_str(key));
}

struct fed_json *fed_json_at(const struct fed_json *v, ...)
{
    va_list ap;
    va_start(ap, v);
    struct fed_json *at = (struct fed_json *)v;
    for (const char *key; at && (key = va_arg(ap, const char *));)
        at = fed_json_find(at, key);
    va_end(ap);
    return at;
}

struct fed_json *fed_json_item(const struct fed_json *arr, uint32_t i)
{
    if (!arr || arr->type != FED_JSON_ARRAY || i >= arr->n)
        return NULL;
    struct fed_json *it;
    if (i < arr->n / 2) {
        for (it = arr->first; i; i--)
            it = it->next;
    } else {
        it = arr->last;
        for (i = arr->n - 1 - i; i; i--)
            it = it->prev;
    }
    return it;
}

struct fed_str fed_json_str(const struct fed_json *v)
{
    return v && v->type == FED_JSON_STRING ? v->s : fed_str_n(NULL, 0);
}

struct fed_str fed_json_find_text(const struct fed_json *obj, const char *key)
{
    return fed_json_str(fed_json_find(obj, key));
}

bool fed_json_bool(const struct fed_json *v, bool dflt)
{
    return v && v->type == FED_JSON_BOOL ? v->boolean : dflt;
}

/* *v * 10^zeros + digit. */
static bool shift_in(uint64_t *v, int64_t zeros, unsigned digit)
{
    if (*v == 0)
        zeros = 0;
    for (; zeros > 0; zeros--)
        if (__builtin_mul_overflow(*v, 10, v))
            return false;
    return !__builtin_mul_overflow(*v, 10, v) && !__builtin_add_overflow(*v, digit, v);
}

/* The exponent behind 'e', clamped: whatever is beyond has no integer near. */
static bool take_exponent(struct fed_str s, int64_t *out)
{
    bool minus = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = fed_str_from(s, 1);
    int64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v < 100000000 ? v * 10 + (s.p[i] - '0') : v;
    }
    *out = minus ? -v : v;
    return true;
}

/* Value of decimal text with fraction and exponent, when it is integral: "3.0", "1.5e1". Zeros are counted, not
 * multiplied in, until a digit follows, so that "1.000…" and "0.00…e9" do not overflow. */
static bool decimal_int(struct fed_str s, int64_t *out)
{
    bool minus = s.n && s.p[0] == '-', fraction = false;
    uint64_t v = 0;
    int64_t zeros = 0, scale = 0, exponent = 0;
    for (size_t i = minus; i < s.n; i++) {
        char c = s.p[i];
        if (c == '.' && !fraction) {
            fraction = true;
        } else if (c == 'e' || c == 'E') {
            if (!take_exponent(fed_str_from(s, i + 1), &exponent))
                return false;
            break;
        } else if (c < '0' || c > '9') {
            return false;
        } else {
            scale += fraction;
            if (c == '0') {
                zeros++;
            } else {
                if (!shift_in(&v, zeros, (unsigned)(c - '0')))
                    return false;
                zeros = 0;
            }
        }
    }
    int64_t power = v ? exponent + zeros - scale : 0;
    if (power < 0)
        return false;
    for (; power > 0; power--)
        if (__builtin_mul_overflow(v, 10, &v))
            return false;
    if (v > (uint64_t)INT64_MAX + minus)
        return false;
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool fed_json_is_int(const struct fed_json *v, int64_t *out)
{
    int64_t n;
    if (!v || v->type != FED_JSON_NUMBER || v->s.n == 0)
        return false;
    if (fed_str_i64(v->s, &n) != 0 && !decimal_int(v->s, &n))
        return false;
    if (out)
        *out = n;
    return true;
}

int64_t fed_json_int(const struct fed_json *v, int64_t dflt)
{
    int64_t n;
    return fed_json_is_int(v, &n) ? n : dflt;
}

double fed_json_double(const struct fed_json *v, double dflt)
{
    if (!v || v->type != FED_JSON_NUMBER || v->s.n == 0)
        return dflt;
    char *text = fed_strdup_str(v->s);
    double d = strtod(text, NULL); /* no program of the house calls setlocale: the point is a point */
    free(text);
    return isfinite(d) ? d : dflt;
}

/* --- equality --- */

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
