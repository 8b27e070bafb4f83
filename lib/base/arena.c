/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c: chunks double from 4 KiB to 1 MiB; a piece larger than a chunk gets one of its own. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define ALIGN     16
#define CHUNK_MIN ((size_t)4096)
#define CHUNK_MAX ((size_t)1 << 20)

/* Under AddressSanitizer what is not handed out is poisoned, with a gap after each piece, so that overruns within
 * an arena are found too. The one place outside lib/net where the build shows. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(ARENA_ASAN)
#include <sanitizer/asan_interface.h>
#define GAP        16
#define HIDE(p, n) __asan_poison_memory_region(p, n)
#define SHOW(p, n) __asan_unpoison_memory_region(p, n)
#else
#define GAP        0
#define HIDE(p, n) ((void)(p), (void)(n))
#define SHOW(p, n) ((void)(p), (void)(n))
#endif

struct fed_arena_chunk {
    struct fed_arena_chunk *next;
    size_t used, cap;
    _Alignas(ALIGN) char data[];
};

static void free_chunks(struct fed_arena_chunk *c)
{
    while (c) {
        struct fed_arena_chunk *next = c->next;
        SHOW(c->data, c->cap);
        free(c);
        c = next;
    }
}

void fed_arena_release(struct fed_arena *a)
{
    free_chunks(a->chunks);
    *a = (struct fed_arena){0};
}

void fed_arena_reset(struct fed_arena *a)
{
    struct fed_arena_chunk *keep = a->chunks;
    a->used = 0;
    if (!keep)
        return;
    free_chunks(keep->next);
    keep->next = NULL;
    keep->used = 0;
    HIDE(keep->data, keep->cap);
    if (keep->cap > CHUNK_MAX) { /* one outsized request must not hold its memory for ever */
        free_chunks(keep);
        a->chunks = NULL;
    }
}

static struct fed_arena_chunk *new_chunk(size_t cap)
{
    struct fed_arena_chunk *c = fed_malloc(sizeof(*c) + cap);
    c->next = NULL;
    c->used = 0;
    c->cap = cap;
    HIDE(c->data, cap);
    return c;
}

/* A new head chunk with room for n; or, when n is outsized, a chunk of its own behind the head, so that the
 * head's rest stays in use. */
static struct fed_arena_chunk *chunk_for(struct fed_arena *a, size_t n)
{
    size_t cap = a->chunks ? FED_MIN(a->chunks->cap * 2, CHUNK_MAX) : CHUNK_MIN;
    if (a->chunks && n > cap / 4 && a->chunks->cap - a->chunks->used >= cap / 8) {
        struct fed_arena_chunk *own = new_chunk(n);
        own->next = a->chunks->next;
        a->chunks->next = own;
        return own;
    }
    struct fed_arena_chunk *c = new_chunk(FED_MAX(cap, n));
    c->next = a->chunks;
    a->chunks = c;
    return c;
}

void *fed_arena_alloc(struct fed_arena *a, size_t n)
{
    FED_REQUIRE(n < SIZE_MAX / 2);
    size_t room = ((n + ALIGN - 1) & ~(size_t)(ALIGN - 1)) + GAP;
    struct fed_arena_chunk *c = a->chunks;
    if (!c || c->cap - c->used < room)
        c = chunk_for(a, room);
    char *p = c->data + c->used;
    c->used += room;
    a->used += room;
    SHOW(p, n);
    return p;
}

void *fed_arena_zalloc(struct fed_arena *a, size_t n)
{
    return memset(fed_arena_alloc(a, n), 0, n);
}

char *fed_arena_dupz(struct fed_arena *a, struct fed_str s)
{
    char *copy = fed_arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

void *fed_arena_grown(struct fed_arena *a, const void *old, size_t used, size_t size)
{
    char *v = fed_arena_alloc(a, size);
    if (used)
        memcpy(v, old, used);
    memset(v + used, 0, size - used);
    return v;
}

struct fed_str fed_arena_dup(struct fed_arena *a, struct fed_str s)
{
    if (s.n == 0)
        return FED_STR("");
    return fed_str_n(fed_arena_dupz(a, s), s.n);
}

struct fed_str fed_arena_printf(struct fed_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    FED_REQUIRE(n >= 0);
    char *p = fed_arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return fed_str_n(p, (size_t)n);
}
