/* SPDX-License-Identifier: Apache-2.0 */
/* sim_store.h: a store whose process can be killed: it stands over another that keeps the data and outlives it.
 *
 * Commits travel to the disk for a random time, in order. A kill cuts the queue at a random place: what was before it is
 * durable although nobody was told, what was after it never happened. What was acknowledged is always durable.
 * Ownership: the disk is borrowed. Threads: one. */
#ifndef TESTS_SUPPORT_SIM_STORE_H
#define TESTS_SUPPORT_SIM_STORE_H

#include "store/store.h"
#include "support/sim_random.h"

/* The disk: a store in memory. latency_max in ms. */
struct store *sim_store_new(struct fed_env *env, struct store *disk, struct sim_random *chance, uint32_t latency_max);
/* Ends it as kill -9 does; whoever waits is called with FED_E_CLOSED so that it can free itself. Frees the store. */
void sim_store_kill(struct store *s);
/* The same after everything queued reached the disk. */
void sim_store_end(struct store *s);
size_t sim_store_queued(const struct store *s);

#endif
