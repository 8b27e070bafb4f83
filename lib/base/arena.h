/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h: memory for things that die together (one request, one reconcile, one parse).
 * Allocation never returns NULL; nothing is freed singly. Not thread-safe. Results are 16-byte aligned. */
#ifndef FED_BASE_ARENA_H
#define FED_BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct fed_arena_chunk;
struct fed_arena { /* zero-initialised = empty */
    struct fed_arena_chunk *chunks;
    size_t used; /* bytes handed out since init or reset */
};

void fed_arena_release(struct fed_arena *a);           /* frees all; the arena is empty and usable again */
void fed_arena_reset(struct fed_arena *a);             /* like release but keeps one chunk for reuse */
void *fed_arena_alloc(struct fed_arena *a, size_t n);  /* not zeroed */
void *fed_arena_zalloc(struct fed_arena *a, size_t n); /* zeroed */
struct fed_str fed_arena_dup(struct fed_arena *a, struct fed_str s); /* copy, NUL-terminated beyond n */
char *fed_arena_dupz(struct fed_arena *a, struct fed_str s);         /* the same, as a C string */
struct fed_str fed_arena_printf(struct fed_arena *a, const char *fmt, ...) FED_PRINTF(2, 3); /* NUL-terminated */

#define FED_ARENA_NEW(a, type)      ((type *)fed_arena_zalloc((a), sizeof(type)))
#define FED_ARENA_ARRAY(a, type, n) ((type *)fed_arena_zalloc((a), sizeof(type) * (n)))

/* Of an array that grows: a copy of `used` bytes with `size` bytes in all, the rest zeroed; the old one stays in the arena. */
void *fed_arena_grown(struct fed_arena *a, const void *old, size_t used, size_t size);
/* Room for v[n]: when n == cap the array is twice as long, `first` long the first time. */
#define FED_ARENA_ROOM(a, v, n, cap, first)                                                                            \
    do {                                                                                                               \
        if ((n) == (cap)) {                                                                                            \
            (cap) = (cap) ? (cap)*2 : (first);                                                                         \
            (v) = fed_arena_grown((a), (v), (n) * sizeof(*(v)), (cap) * sizeof(*(v)));                                 \
        }                                                                                                              \
    } while (0)

#endif
