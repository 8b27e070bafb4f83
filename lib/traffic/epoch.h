/* SPDX-License-Identifier: Apache-2.0 */
/* epoch.h: when may memory that other threads read without locks be freed? After every reader has left what it read.
 *
 * Model:      one owner thread publishes new versions and retires old ones; each reader thread has a slot. A reader
 *             brackets what it reads by enter and leave (two atomic stores); between them every pointer that it loads
 *             stays valid. Outside them the reader holds nothing, so a sleeping thread delays nobody.
 *
 *                 owner: publish(new) -> retire(old) -> poll … poll frees old once no reader entered before retire
 *
 * Invariants: retired memory is freed on the owner's thread, in order of retirement, never while a reader that entered
 *             before the retirement is still inside.
 * Threads:    enter/leave: the reader's own thread; all else: the owner's.
 */
#ifndef FED_TRAFFIC_EPOCH_H
#define FED_TRAFFIC_EPOCH_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/def.h"

struct fed_epochs;
struct fed_epoch_reader {                   /* one cache line each: readers do not disturb one another */
    _Alignas(64) atomic_uint_fast64_t seen; /* epoch at enter, 0 outside */
    const atomic_uint_fast64_t *now;
};

struct fed_epochs *fed_epochs_new(size_t max_readers);
void fed_epochs_free(struct fed_epochs *e); /* all readers have ended: frees whatever is still retired */
/* A slot for one reader thread, for the life of the epochs. NULL when max_readers are taken. */
struct fed_epoch_reader *fed_epochs_reader(struct fed_epochs *e);

static inline void fed_epoch_enter(struct fed_epoch_reader *r)
{
    /* Sequentially consistent: the store must be visible before any pointer is loaded. */
    atomic_store(&r->seen, atomic_load_explicit(r->now, memory_order_relaxed));
}
static inline void fed_epoch_leave(struct fed_epoch_reader *r)
{
    atomic_store_explicit(&r->seen, 0, memory_order_release);
}

/* `p` is no longer reachable for new readers: release(p) later, when no reader can hold it. */
void fed_epochs_retire(struct fed_epochs *e, void *p, void (*release)(void *p));
/* Frees what may be freed; returns how many retired things are left. Call now and then (a timer, or each publish). */
size_t fed_epochs_poll(struct fed_epochs *e);

#endif
