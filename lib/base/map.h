/* SPDX-License-Identifier: Apache-2.0 */
/* map.h: a hash map from byte strings to pointers, seeded against crafted keys.
 *
 * Invariants: keys are copied into the map. Iteration is in insertion order of the live entries.
 * Ownership:  values belong to the caller; fed_map_release does not free them.
 * Threads:    one at a time. Removal during FED_MAP_EACH of the current entry is allowed; insertion is not.
 */
#ifndef FED_BASE_MAP_H
#define FED_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct fed_map_entry {
    struct fed_str key; /* NUL-terminated too; key.p == NULL marks a removed entry */
    void *value;
    uint64_t hash;
};
struct fed_map {                   /* zero-initialised = empty */
    struct fed_map_entry *entries; /* dense, insertion order */
    uint32_t *index;               /* open addressing: entry number + 1 */
    size_t n_entries, n_live, cap_entries, cap_index;
};

/* The seeded hash of the maps (a new seed in each process), for other tables with keys from outside. */
uint64_t fed_map_hash(struct fed_str key);

void fed_map_release(struct fed_map *m);
void *fed_map_find(const struct fed_map *m, struct fed_str key);       /* borrowed or NULL */
bool fed_map_has(const struct fed_map *m, struct fed_str key);         /* for maps that hold NULL values (sets) */
void *fed_map_set(struct fed_map *m, struct fed_str key, void *value); /* returns the value replaced, or NULL */
void *fed_map_remove(struct fed_map *m, struct fed_str key);           /* returns the value removed, or NULL */
static inline size_t fed_map_count(const struct fed_map *m)
{
    return m->n_live;
}
/* struct fed_map_entry *e walks the live entries. */
#define FED_MAP_EACH(e, m)                                                                                             \
    for (struct fed_map_entry *e = (m)->entries; e && e < (m)->entries + (m)->n_entries; e++)                          \
        if (e->key.p)

#endif
