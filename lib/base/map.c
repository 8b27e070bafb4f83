/* SPDX-License-Identifier: Apache-2.0 */
/* map.c: dense entries in insertion order plus an open-addressing index over them. A removed entry stays in the
 * index as its own tombstone until the next growth, which drops the dead. */
#include "base/map.h"

#include <stdlib.h>
#include <sys/random.h>
#include <pthread.h>

#include "base/mem.h"

static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    size_t have = 0;
    while (have < sizeof(seed)) {
        ssize_t n = getrandom((char *)seed + have, sizeof(seed) - have, 0);
        FED_REQUIRE(n >= 0 || have == 0);
        if (n > 0)
            have += (size_t)n;
    }
}

static inline uint64_t rotl(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

/* SipHash-1-3: strong enough that keys from outside cannot be chosen to collide. */
uint64_t fed_map_hash(struct fed_str key)
{
    pthread_once(&seeded, make_seed);
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du, seed[0] ^ 0x6c7967656e657261u,
                     seed[1] ^ 0x7465646279746573u};
    size_t i = 0;
    uint64_t word;
    for (; i + 8 <= key.n; i += 8) {
        memcpy(&word, key.p + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)key.n << 56;
    if (key.n > i)
        memcpy(&word, key.p + i, key.n - i); /* little-endian hosts; elsewhere it is another good hash */
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int r = 0; r < 3; r++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void fed_map_release(struct fed_map *m)
{
    for (size_t i = 0; i < m->n_entries; i++)
        free((char *)m->entries[i].key.p);
    free(m->entries);
    free(m->index);
    *m = (struct fed_map){0};
}

static struct fed_map_entry *find(const struct fed_map *m, struct fed_str key, uint64_t hash)
{
    if (m->n_live == 0)
        return NULL;
    size_t mask = m->cap_index - 1;
    for (size_t at = hash & mask; m->index[at]; at = (at + 1) & mask) {
        struct fed_map_entry *e = &m->entries[m->index[at] - 1];
        if (e->hash == hash && e->key.p && fed_str_eq(e->key, key))
            return e;
    }
    return NULL;
}

static void index_entry(struct fed_map *m, size_t number)
{
    size_t mask = m->cap_index - 1;
    size_t at = m->entries[number].hash & mask;
    while (m->index[at])
        at = (at + 1) & mask;
    m->index[at] = (uint32_t)number + 1;
}

/* Drops dead entries; doubles only when at least half are alive. The index is twice the entries: half full at most. */
static void make_room(struct fed_map *m)
{
    size_t live = 0;
    for (size_t i = 0; i < m->n_entries; i++)
        if (m->entries[i].key.p)
            m->entries[live++] = m->entries[i];
    m->n_entries = live;
    if (live * 2 >= m->cap_entries) {
        m->cap_entries = m->cap_entries ? m->cap_entries * 2 : 8;
        FED_REQUIRE(m->cap_entries < UINT32_MAX / 4);
        m->entries = fed_realloc(m->entries, m->cap_entries * sizeof(*m->entries));
        free(m->index);
        m->cap_index = m->cap_entries * 2;
        m->index = fed_calloc(m->cap_index, sizeof(*m->index));
    } else {
        memset(m->index, 0, m->cap_index * sizeof(*m->index));
    }
    for (size_t i = 0; i < live; i++)
        index_entry(m, i);
}

void *fed_map_find(const struct fed_map *m, struct fed_str key)
{
    struct fed_map_entry *e = m->n_live ? find(m, key, fed_map_hash(key)) : NULL;
    return e ? e->value : NULL;
}

bool fed_map_has(const struct fed_map *m, struct fed_str key)
{
    return m->n_live && find(m, key, fed_map_hash(key));
}

void *fed_map_set(struct fed_map *m, struct fed_str key, void *value)
{
    uint64_t hash = fed_map_hash(key);
    struct fed_map_entry *e = find(m, key, hash);
    if (e) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    if (m->n_entries == m->cap_entries)
        make_room(m);
    m->entries[m->n_entries] = (struct fed_map_entry){{fed_strdup_str(key), key.n}, value, hash};
    index_entry(m, m->n_entries++);
    m->n_live++;
    return NULL;
}

void *fed_map_remove(struct fed_map *m, struct fed_str key)
{
    struct fed_map_entry *e = m->n_live ? find(m, key, fed_map_hash(key)) : NULL;
    if (!e)
        return NULL;
    void *value = e->value;
    free((char *)e->key.p); /* `key` may be this very text: not read again */
    e->key = fed_str_n(NULL, 0);
    e->value = NULL;
    m->n_live--;
    return value;
}
