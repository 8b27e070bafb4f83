/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int fed_str_cmp(struct fed_str a, struct fed_str b)
{
    size_t n = FED_MIN(a.n, b.n);
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

size_t fed_str_insert(struct fed_str *list, size_t n, struct fed_str s)
{
    size_t i = 0;
    while (i < n && fed_str_cmp(list[i], s) < 0)
        i++;
    if (i < n && fed_str_eq(list[i], s))
        return n;
    memmove(&list[i + 1], &list[i], (n - i) * sizeof(*list));
    list[i] = s;
    return n + 1;
}

bool fed_str_ieq(struct fed_str a, struct fed_str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

bool fed_str_starts(struct fed_str s, struct fed_str prefix)
{
    return s.n >= prefix.n && fed_str_eq(fed_str_head(s, prefix.n), prefix);
}

bool fed_str_ends(struct fed_str s, struct fed_str suffix)
{
    return s.n >= suffix.n && fed_str_eq(fed_str_from(s, s.n - suffix.n), suffix);
}

struct fed_str fed_str_trim(struct fed_str s)
{
    while (s.n && blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

ptrdiff_t fed_str_chr(struct fed_str s, char c, size_t from)
{
    if (from >= s.n)
        return -1;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit ? hit - s.p : -1;
}

ptrdiff_t fed_str_find(struct fed_str s, struct fed_str sub, size_t from)
{
    if (from > s.n)
        return -1;
    if (sub.n == 0)
        return (ptrdiff_t)from;
    if (from == s.n)
        return -1;
    const char *hit = memmem(s.p + from, s.n - from, sub.p, sub.n);
    return hit ? hit - s.p : -1;
}

bool fed_str_cut(struct fed_str *rest, char sep, struct fed_str *piece)
{
    if (!rest->p)
        return false;
    ptrdiff_t at = fed_str_chr(*rest, sep, 0);
    if (at < 0) {
        *piece = *rest;
        *rest = fed_str_n(NULL, 0);
    } else {
        *piece = fed_str_head(*rest, (size_t)at);
        *rest = fed_str_from(*rest, (size_t)at + 1);
    }
    return true;
}

int fed_str_u64(struct fed_str s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return -1;
    }
    *out = v;
    return 0;
}

int fed_str_i64(struct fed_str s, int64_t *out)
{
    bool minus = s.n && s.p[0] == '-';
    uint64_t v;
    if (fed_str_u64(minus ? fed_str_from(s, 1) : s, &v) != 0)
        return -1;
    if (v > (uint64_t)INT64_MAX + minus)
        return -1;
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

uint64_t fed_str_hash(struct fed_str s, uint64_t seed)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return h;
}
