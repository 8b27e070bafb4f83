/* SPDX-License-Identifier: Apache-2.0 */
/* target_priv.h: the table's side of a target, for target.c and probe.c only. Threads: control thread. */
#ifndef FED_TRAFFIC_TARGET_PRIV_H
#define FED_TRAFFIC_TARGET_PRIV_H

#include "base/list.h"
#include "base/map.h"
#include "traffic/target.h"

struct fed_target_entry {
    struct fed_target t; /* first */
    struct fed_list link;
    unsigned refs;
    void *probe; /* the prober's own */
};
struct fed_targets {
    struct fed_map by_key;
    struct fed_list all;         /* live entries */
    struct fed_list dead;        /* without reference, still pinned by a worker */
    struct fed_map slot_by_name; /* value: slot + 1 */
    char *slot_names[FED_MAX_CLUSTERS];
    atomic_uint words[FED_MAX_CLUSTERS];
    size_t n_slots;
    /* The prober's hooks; NULL without one. */
    void (*added)(void *ud, struct fed_target_entry *e);
    void (*removed)(void *ud, struct fed_target_entry *e);
    void *ud;
};

#endif
