/* SPDX-License-Identifier: Apache-2.0 */
/* target.h: the places that traffic can go to, with one word of health each, shared by all snapshots.
 *
 * Model:      a target is (probe kind, address, port), made once however many services name it. Its word is written by
 *             the prober (control thread) and by passive reports of the workers, and read by everybody. Clusters have
 *             a word too: DOWN when every edge target of the cluster (its balancer and DNS servers) is lost.
 * Invariants: a target lives while something refers to it (reference count, control thread); the words of clusters
 *             live as long as the table, at a fixed place.
 * Ownership:  snapshots hold references; workers borrow a target as long as the snapshot (epoch.h) and copy addresses
 *             that they need longer. A worker that must report later takes a fed_target_pin.
 * Threads:    the table: control thread. Words, fed_target_report, pin and unpin: any thread.
 */
#ifndef FED_TRAFFIC_TARGET_H
#define FED_TRAFFIC_TARGET_H

#include <stdatomic.h>

#include "base/str.h"
#include "net/addr.h"

#define FED_MAX_CLUSTERS 1024 /* cluster slots of a process; slots are never reused for another name */
#define FED_NO_CLUSTER   UINT16_MAX

enum fed_health { FED_HEALTH_UNKNOWN, FED_HEALTH_UP, FED_HEALTH_DOWN };
enum fed_probe_kind {
    FED_PROBE_NONE, /* not probed: UNKNOWN unless passively found down (UDP services) */
    FED_PROBE_TCP,  /* a connection is accepted */
    FED_PROBE_HTTP, /* GET / and any byte of an answer (a stopped process still accepts connections) */
    FED_PROBE_EDGE, /* GET /hansa/healthz at a balancer, any byte of an answer */
    FED_PROBE_DNS,  /* a DNS query over UDP, any answer with its id */
};

struct fed_targets; /* the table */

/* Read-only for all but the table and the prober, except through the functions below. */
struct fed_target {
    atomic_uint word;          /* enum fed_health */
    atomic_uint passive_fails; /* consecutive failures reported since the last success */
    atomic_uint pins;
    struct fed_addr addr; /* with port */
    enum fed_probe_kind kind;
    uint16_t cluster; /* slot, FED_NO_CLUSTER when of none */
};

struct fed_targets *fed_targets_new(void);
void fed_targets_free(struct fed_targets *t); /* all references were given back */

/* The slot of a cluster name: stable for the life of the table. FED_NO_CLUSTER when all slots are taken. */
uint16_t fed_targets_slot(struct fed_targets *t, struct fed_str cluster);
struct fed_str fed_targets_slot_name(const struct fed_targets *t, uint16_t slot);
size_t fed_targets_slots(const struct fed_targets *t); /* how many are in use: slots are 0 … n-1 */
/* The cluster's word (enum fed_health), at a fixed place. */
atomic_uint *fed_targets_cluster_word(struct fed_targets *t, uint16_t slot);

/* Finds or makes; one more reference, given back by fed_targets_unref. */
struct fed_target *fed_targets_ref(struct fed_targets *t, enum fed_probe_kind kind, const struct fed_addr *addr,
                                   uint16_t cluster);
void fed_targets_unref(struct fed_targets *t, struct fed_target *target); /* NULL ok */
size_t fed_targets_count(const struct fed_targets *t);
void fed_targets_each(struct fed_targets *t, void (*each)(void *ud, struct fed_target *target), void *ud);

static inline enum fed_health fed_target_health(const struct fed_target *t) /* NULL: UNKNOWN */
{
    return t ? (enum fed_health)atomic_load_explicit(&t->word, memory_order_relaxed) : FED_HEALTH_UNKNOWN;
}

/* What a worker saw when it used the target. Three failures in a row without a success in between set the word DOWN
 * at once; the prober brings it up again. A success never overrides the prober. Any thread. */
void fed_target_report(struct fed_target *t, bool ok);
/* Keeps the target's memory past the epoch (a request under way). Take it inside the epoch; unpin from any thread. */
void fed_target_pin(struct fed_target *t);
void fed_target_unpin(struct fed_target *t);

#endif
