/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h: answers on its own sockets (SO_REUSEPORT): one thread for each UDP address, which waits in the kernel and
 * answers in batches, and one thread with a loop for TCP, with pipelining and an idle timeout. No lock is taken, and
 * nothing is allocated for a query over UDP.
 *
 * Life:    new (sockets are opened, so that failures are told at once) -> start -> stop (drains) -> join -> free.
 * Threads: all functions: the control thread; counters are read by it at any time. */
#ifndef GDNS_IO_WORKER_H
#define GDNS_IO_WORKER_H

#include <stdatomic.h>

#define GDNS_MAX_LISTEN 16

#include "dns/io/settings.h"

struct gdns_shared {                    /* what the workers read */
    _Atomic(struct gdns_world *) world; /* under epochs, as the snapshot */
    struct fed_routing routing;
};
enum { GDNS_COUNT_RCODES = 17 };
struct gdns_counters {               /* written by one thread only */
    atomic_uint_fast64_t queries[2]; /* UDP, TCP */
    atomic_uint_fast64_t rcodes[GDNS_COUNT_RCODES];
    atomic_uint_fast64_t truncated, ecs, dropped, tcp_connections;
};
struct gdns_worker;
FED_MUST_USE int gdns_worker_new(struct gdns_shared *shared, const struct fed_addr *listen, size_t n_listen,
                                 struct gdns_worker **out, struct fed_err *err);
FED_MUST_USE int gdns_worker_start(struct gdns_worker *w, struct fed_err *err);
void gdns_worker_stop(struct gdns_worker *w); /* any thread */
void gdns_worker_free(struct gdns_worker *w); /* joins */
/* Counters of its thread number `lane` (from 0); NULL: there are no more. */
const struct gdns_counters *gdns_worker_counters(const struct gdns_worker *w, size_t lane);
/* Port that was bound for listen address i (when 0 was asked for). */
uint16_t gdns_worker_port(const struct gdns_worker *w, size_t i);

#endif
