/* SPDX-License-Identifier: Apache-2.0 */
/* str.h: a borrowed slice of bytes, passed by value across module borders.
 *
 * Model:     pointer and length; not NUL-terminated unless a function says so. {NULL,0} is the empty
 *            slice and means "absent" where a function says so.
 * Ownership: a slice owns nothing; it lives as long as what it points into.
 * Threads:   a value type; any thread.
 */
#ifndef FED_BASE_STR_H
#define FED_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/def.h"

struct fed_str {
    const char *p;
    size_t n;
};

/* A slice of a string literal; FED_STR_INIT for static initialisers. */
#define FED_STR(lit) ((struct fed_str){(lit), sizeof(lit) - 1})
#define FED_STR_INIT(lit)                                                                                              \
    {                                                                                                                  \
        (lit), sizeof(lit) - 1                                                                                         \
    }
/* For printf("%.*s", FED_STR_ARG(s)). */
#define FED_STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct fed_str fed_str(const char *z) /* z may be NULL: the empty slice */
{
    return (struct fed_str){z, z ? strlen(z) : 0};
}
static inline struct fed_str fed_str_n(const char *p, size_t n)
{
    return (struct fed_str){p, n};
}
static inline bool fed_str_eq(struct fed_str a, struct fed_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool fed_str_is(struct fed_str a, const char *z)
{
    return fed_str_eq(a, fed_str(z));
}
static inline struct fed_str fed_str_from(struct fed_str s, size_t off) /* off is clamped to s.n */
{
    return off >= s.n ? (struct fed_str){s.n ? s.p + s.n : s.p, 0} : (struct fed_str){s.p + off, s.n - off};
}
static inline struct fed_str fed_str_head(struct fed_str s, size_t n) /* at most n bytes */
{
    return (struct fed_str){s.p, n < s.n ? n : s.n};
}

int fed_str_cmp(struct fed_str a, struct fed_str b); /* byte order; <0, 0, >0 */
/* Puts s into the ascending list of n, which has room for one more, unless it is there; the list's new length. */
size_t fed_str_insert(struct fed_str *list, size_t n, struct fed_str s);
bool fed_str_ieq(struct fed_str a, struct fed_str b); /* ASCII case ignored */
bool fed_str_starts(struct fed_str s, struct fed_str prefix);
bool fed_str_ends(struct fed_str s, struct fed_str suffix);
struct fed_str fed_str_trim(struct fed_str s); /* space, tab, CR, LF at both ends */

/* Offset of the first c (or sub) at or after `from`, or -1. */
ptrdiff_t fed_str_chr(struct fed_str s, char c, size_t from);
ptrdiff_t fed_str_find(struct fed_str s, struct fed_str sub, size_t from);

/* Cuts the text before the first `sep` off *rest and moves *rest past it. False when *rest is used up
 * (rest->p == NULL); a trailing separator yields a last empty piece. */
bool fed_str_cut(struct fed_str *rest, char sep, struct fed_str *piece);

/* Strict decimal numbers, whole slice, no sign for the unsigned, no leading '+'. Return 0 or -1 (syntax or range). */
FED_MUST_USE int fed_str_u64(struct fed_str s, uint64_t *out);
FED_MUST_USE int fed_str_i64(struct fed_str s, int64_t *out);

/* FNV-1a 64, for hash maps. Not for untrusted keys in unbounded maps: those use fed_map, which is seeded. */
uint64_t fed_str_hash(struct fed_str s, uint64_t seed);

#endif
