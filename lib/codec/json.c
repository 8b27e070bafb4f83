/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: looking into a tree. */
#include "codec/json_priv.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/mem.h"

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
