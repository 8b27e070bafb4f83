/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json_priv.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

#define SMALL 16 /* up to here a walk is faster than hashing */

/* Slots for n members, at most half full, all empty. */
static void make_slots(struct fed_json_index *ix, size_t n)
{
    size_t want = 64;
    while (want < n * 2)
        want *= 2;
    if (ix->cap < want) {
        free(ix->slots);
        ix->slots = fed_calloc(want, sizeof(struct fed_json *));
        ix->cap = want;
    } else { /* no more than is needed: many small objects may follow a large one */
        memset(ix->slots, 0, want * sizeof(struct fed_json *));
    }
    ix->mask = want - 1;
}

/* The slot that holds a member of this key, or the empty one where it belongs. */
static struct fed_json **slot_of(const struct fed_json_index *ix, struct fed_str key)
{
    size_t at = fed_map_hash(key) & ix->mask;
    while (ix->slots[at] && !fed_str_eq(ix->slots[at]->key, key))
        at = (at + 1) & ix->mask;
    return &ix->slots[at];
}

void fed_json_index_build(struct fed_json_index *ix, const struct fed_json *obj)
{
    ix->n = obj && obj->type == FED_JSON_OBJECT ? obj->n : 0;
    ix->hashed = ix->n > SMALL;
    ix->built = true;
    if (!ix->hashed)
        return;
    make_slots(ix, obj->n);
    FED_JSON_EACH(it, obj) {
        struct fed_json **slot = slot_of(ix, it->key);
        if (!*slot)
            *slot = it;
    }
}

struct fed_json *fed_json_index_find(const struct fed_json_index *ix, const struct fed_json *obj, struct fed_str key)
{
    if (ix->hashed)
        return *slot_of(ix, key);
    if (!ix->built)
        return fed_json_find_str(obj, key);
    struct fed_json *it = ix->n ? obj->first : NULL;
    for (uint32_t i = 0; it && i < ix->n; i++, it = it->next) /* not those that were added since */
        if (fed_str_eq(it->key, key))
            return it;
    return NULL;
}

void fed_json_index_release(struct fed_json_index *ix)
{
    free(ix->slots);
    *ix = (struct fed_json_index){0};
}

/* One bit of 64 for a key, cheaply: members without a common bit cannot be equal. */
static uint64_t key_bit(struct fed_str key)
{
    unsigned sum = (unsigned)key.n;
    if (key.n)
        sum +=
            (unsigned char)key.p[0] * 5u + (unsigned char)key.p[key.n - 1] * 3u + (unsigned char)key.p[key.n / 2] * 11u;
    return (uint64_t)1 << (sum & 63);
}

static struct fed_json *find_before(const struct fed_json *obj, const struct fed_json *it)
{
    for (struct fed_json *e = obj->first; e != it; e = e->next)
        if (fed_str_eq(e->key, it->key))
            return e;
    return NULL;
}

void fed_json_drop_duplicates(struct fed_json_index *scratch, struct fed_json *obj, bool keep_first,
                              void (*seen)(void *ud, struct fed_json *earlier, struct fed_json *later), void *ud)
{
    bool hashed = obj->n > SMALL;
    uint64_t bits = 0;
    if (hashed)
        make_slots(scratch, obj->n);
    FED_JSON_EACH_SAFE(it, obj) {
        struct fed_json *earlier = NULL;
        if (hashed) {
            struct fed_json **slot = slot_of(scratch, it->key);
            earlier = *slot;
            if (!earlier || !keep_first)
                *slot = it;
        } else {
            uint64_t bit = key_bit(it->key);
            if (bits & bit)
                earlier = find_before(obj, it);
            bits |= bit;
        }
        if (!earlier)
            continue;
        if (seen)
            seen(ud, earlier, it);
        fed_json_unlink(keep_first ? it : earlier);
    }
}
