/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/cache_index.h"

#include <endian.h>

#include "apiserver/tree.h"
#include "base/mem.h"

/* --- the hash index --- */

uint64_t fed_index_hash(const struct fed_cache *c, struct fed_str ns, struct fed_str name)
{
    return fed_str_hash(name, fed_str_hash(ns, c->seed) * 31 + 7);
}

static size_t slot_of(const struct fed_kcache *kc, struct fed_str ns, struct fed_str name)
{
    size_t i = fed_index_hash(kc->cache, ns, name) & (kc->cap - 1);
    while (kc->slots[i] && fed_tree_cmp(ns, name, kc->slots[i]) != 0)
        i = (i + 1) & (kc->cap - 1);
    return i;
}

/* For a key that is not there. */
static void add(struct fed_kcache *kc, struct fed_kobj *o)
{
    size_t i = fed_index_hash(kc->cache, o->ns, o->name) & (kc->cap - 1);
    while (kc->slots[i])
        i = (i + 1) & (kc->cap - 1);
    kc->slots[i] = o;
}

static void resize(struct fed_kcache *kc, size_t cap)
{
    struct fed_kobj **old = kc->slots;
    size_t old_cap = kc->cap;
    kc->cap = cap;
    kc->slots = fed_calloc(cap, sizeof *kc->slots);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i])
            add(kc, old[i]);
    free(old);
}

void fed_index_put(struct fed_kcache *kc, struct fed_kobj *o)
{
    if (kc->cap == 0 || kc->n * 10 >= kc->cap * 7)
        resize(kc, kc->cap ? kc->cap * 2 : 16);
    size_t i = slot_of(kc, o->ns, o->name);
    if (!kc->slots[i])
        kc->n++;
    kc->slots[i] = o;
}

void fed_index_remove(struct fed_kcache *kc, struct fed_str ns, struct fed_str name)
{
    if (!kc->cap)
        return;
    size_t i = slot_of(kc, ns, name), mask = kc->cap - 1;
    if (!kc->slots[i])
        return;
    kc->n--;
    kc->slots[i] = NULL;
    /* Close the gap, so that probing stays without tombstones. */
    for (size_t j = (i + 1) & mask; kc->slots[j]; j = (j + 1) & mask) {
        size_t home = fed_index_hash(kc->cache, kc->slots[j]->ns, kc->slots[j]->name) & mask;
        if (((j - home) & mask) >= ((j - i) & mask)) {
            kc->slots[i] = kc->slots[j];
            kc->slots[j] = NULL;
            i = j;
        }
    }
}

struct fed_kobj *fed_cache_find(const struct fed_kcache *kc, struct fed_str ns, struct fed_str name)
{
    return kc->cap ? kc->slots[slot_of(kc, ns, name)] : NULL;
}

/* --- both at once --- */

void fed_index_gather(struct fed_kcache *kc, struct fed_kobj *o)
{
    if (kc->n_gathered == kc->cap_gathered) {
        kc->cap_gathered = kc->cap_gathered ? kc->cap_gathered * 2 : 16;
        kc->gathered = fed_realloc(kc->gathered, kc->cap_gathered * sizeof *kc->gathered);
    }
    kc->gathered[kc->n_gathered++] = fed_kobj_ref(o);
}

/* To sort without looking into the objects: eight bytes of the name, past what all names have in common. */
struct entry {
    uint64_t part;
    struct fed_kobj *o;
};

static int by_key(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    if (a->part != b->part)
        return a->part < b->part ? -1 : 1;
    return fed_tree_cmp(a->o->ns, a->o->name, b->o);
}

static size_t common(struct fed_str a, struct fed_str b)
{
    size_t n = FED_MIN(a.n, b.n), i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

/* The parts order the entries of one namespace; objects of several are told apart by fed_tree_cmp alone. */
static void set_parts(struct entry *e, size_t n)
{
    size_t skip = e[0].o->name.n;
    for (size_t i = 1; i < n; i++) {
        __builtin_prefetch(e[FED_MIN(i + 8, n - 1)].o);
        if (!fed_str_eq(e[i].o->ns, e[0].o->ns))
            return;
        skip = FED_MIN(skip, common(e[0].o->name, e[i].o->name));
    }
    for (size_t i = 0; i < n; i++) {
        struct fed_str rest = fed_str_from(e[i].o->name, skip);
        __builtin_prefetch(e[FED_MIN(i + 8, n - 1)].o);
        memcpy(&e[i].part, rest.p, FED_MIN(rest.n, sizeof(e[i].part)));
        e[i].part = be64toh(e[i].part);
    }
}

static void sort(struct fed_kobj **objs, size_t n)
{
    struct entry *e = fed_calloc(n, sizeof *e);
    for (size_t i = 0; i < n; i++)
        e[i].o = objs[i];
    set_parts(e, n);
    qsort(e, n, sizeof *e, by_key);
    for (size_t i = 0; i < n; i++)
        objs[i] = e[i].o;
    free(e);
}

static void build(struct fed_kcache *kc, struct fed_kobj **objs, size_t n)
{
    size_t cap = 16;
    sort(objs, n);
    kc->root = fed_tree_build(objs, n);
    while (cap * 7 <= n * 10)
        cap *= 2;
    resize(kc, cap);
    for (size_t i = 0; i < n; i++)
        add(kc, objs[i]);
    kc->n = n;
}

void fed_index_build(struct fed_kcache *kc)
{
    struct fed_kobj **objs = kc->gathered;
    size_t n = kc->n_gathered;
    bool fresh = !kc->root;
    kc->gathered = NULL;
    kc->n_gathered = kc->cap_gathered = 0;
    if (n && fresh)
        build(kc, objs, n);
    for (size_t i = 0; i < n; i++) {
        if (!fresh) {
            fed_index_put(kc, objs[i]); /* first: the tree alone keeps the object that it replaces */
            kc->root = fed_tree_put(kc->root, objs[i]);
        }
        fed_kobj_unref(objs[i]);
    }
    free(objs);
}
