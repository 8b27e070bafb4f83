/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slab.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/list.h"

enum {
    SLAB = 64 * 1024,
    HEAD = 64,
    GRAB = 16,      /* slabs that are asked of the system at once */
    LARGEST = 8000, /* eight in a slab */
    FINE = 64,      /* places: from here on only every fourth number, so that small pieces share slabs */
    MOST = 316,
    PAGE = 4096,
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_OFF 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(SLAB_OFF)
static const bool on = false; /* a piece of its own shows who writes beyond it, or after its end */
#else
static const bool on = true;
#endif

struct slab { /* at the slab's own begin */
    struct fed_list link;
    uint32_t places, size, used;
    uint32_t fresh; /* places from here on were never given out, so their pages may not be there */
    void *free;     /* given back: each points to the next */
};
_Static_assert(sizeof(struct slab) <= HEAD, "the head of a slab");

/* The process's, as the heap is. */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct fed_list some[MOST + 1]; /* by places: slabs that have one free; zero: never used */
static struct fed_list empty;

static uint32_t places_for(size_t n)
{
    size_t room = (FED_MAX(n, (size_t)1) + 15) & ~(size_t)15, places = FED_MIN((SLAB - HEAD) / room, (size_t)MOST);
    return (uint32_t)(places > FINE ? places & ~(size_t)3 : places);
}

static void grab(void)
{
    size_t n = (size_t)(GRAB + 1) * SLAB;
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FED_REQUIRE(p != MAP_FAILED);
    size_t skip = (SLAB - (uintptr_t)p % SLAB) % SLAB;
    if (skip)
        munmap(p, skip);
    munmap(p + skip + (size_t)GRAB * SLAB, SLAB - skip);
    for (size_t i = GRAB; i-- > 0;) /* the lowest is used first */
        fed_list_push_front(&empty, &((struct slab *)(void *)(p + skip + i * SLAB))->link);
}

static struct slab *take_empty(uint32_t places)
{
    if (!empty.next)
        fed_list_init(&empty);
    if (fed_list_empty(&empty))
        grab();
    struct slab *s = FED_LIST_ENTRY(empty.next, struct slab, link);
    fed_list_remove(&s->link);
    s->places = places;
    s->size = (uint32_t)((SLAB - HEAD) / places & ~15u);
    s->used = s->fresh = 0;
    s->free = NULL;
    return s;
}

static void *take_place(struct slab *s)
{
    void *p = s->free;
    if (p)
        s->free = *(void **)p;
    else
        p = (char *)s + HEAD + (size_t)s->size * s->fresh++;
    if (++s->used == s->places)
        fed_list_remove(&s->link);
    return p;
}

void *fed_slab_alloc(size_t n)
{
    if (!on || n > LARGEST)
        return NULL;
    uint32_t places = places_for(n);
    struct fed_list *slabs = &some[places];
    pthread_mutex_lock(&guard);
    if (!slabs->next)
        fed_list_init(slabs);
    if (fed_list_empty(slabs))
        fed_list_push_front(slabs, &take_empty(places)->link);
    void *p = take_place(FED_LIST_ENTRY(slabs->next, struct slab, link));
    pthread_mutex_unlock(&guard);
    return p;
}

void fed_slab_free(void *p)
{
    struct slab *s = (struct slab *)(void *)((char *)p - (uintptr_t)p % SLAB);
    pthread_mutex_lock(&guard);
    *(void **)p = s->free;
    s->free = p;
    if (s->used-- == s->places)
        fed_list_push_back(&some[s->places], &s->link);
    if (s->used == 0) {
        fed_list_remove(&s->link);
        fed_list_push_front(&empty, &s->link);
    }
    pthread_mutex_unlock(&guard);
}

void fed_slab_trim(void)
{
    pthread_mutex_lock(&guard);
    for (struct fed_list *it = empty.next; it && it != &empty; it = it->next)
        (void)madvise((char *)FED_LIST_ENTRY(it, struct slab, link) + PAGE, SLAB - PAGE, MADV_DONTNEED);
    pthread_mutex_unlock(&guard);
}
