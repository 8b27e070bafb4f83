/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h: a thread with its own loop that proxies what comes in on its own listening sockets (SO_REUSEPORT), with its
 * own connections to the backends. It takes no lock, and allocates nothing for a request that outlives it.
 *
 * Life:    new (sockets are opened, so that failures are told at once) -> start -> stop (finishes running requests for
 *          the grace time) -> join -> free.
 * Threads: all functions: the control thread; counters are read by it at any time. */
#ifndef GLB_IO_WORKER_H
#define GLB_IO_WORKER_H

#include <stdatomic.h>

#include "base/metrics.h"
#include "globallb/proxy/tries.h"
#include "globallb/route/table.h"
#include "net/stream.h"

enum { GLB_MAX_WORKERS = 64, GLB_MAX_LISTEN = 8, GLB_CODES = 500 /* 100 … 599 */ };

struct glb_limits { /* settings of all workers, fixed while they run */
    struct glb_tries_conf tries;
    uint32_t connect_ms, hedge_min_ms, hedge_max_ms;
    uint32_t idle_ms;  /* keep-alive of clients */
    uint32_t head_ms;  /* for a request's head */
    uint32_t stall_ms; /* a body that does not move, either way */
    uint32_t upstream_idle_ms;
    uint32_t retry_percent, retry_per_second;
    uint64_t max_body;                             /* of a request; 0: none */
    uint32_t max_clients;                          /* connections of a worker */
    uint32_t max_in_flight, max_in_flight_per_pod; /* of a cluster, over all workers; 0: none */
    uint32_t grace_ms;                             /* at stop */
    bool access_log;
};

struct glb_codes { /* answers by status */
    atomic_uint_fast64_t n[GLB_CODES];
};
struct glb_counters { /* written by one worker only */
    atomic_uint_fast64_t retries, hedges, hedges_denied, hedges_won, ejections, resets;
    atomic_uint_fast64_t connects, connect_failures, reused, clients_total;
    atomic_int_fast64_t in_flight, clients, idle_connections, connections;
    atomic_int cluster_in_flight[FED_MAX_CLUSTERS];
    _Atomic(struct glb_codes *) codes[FED_MAX_CLUSTERS + 1]; /* last: answered by us; made at first use */
};

struct glb_worker;
struct glb_shared { /* what the workers read */
    struct fed_routing routing;
    struct glb_limits limits;
    struct fed_addr source;                      /* of connections to other balancers; AF_UNSPEC: any */
    struct glb_worker *workers[GLB_MAX_WORKERS]; /* all, before any starts */
    size_t n_workers;
};

struct glb_worker_conf {
    struct fed_metric *latency; /* NULL: not observed */
    const struct fed_addr *plain, *tls;
    size_t n_plain, n_tls;
    struct fed_tls_conf pair; /* default certificate: cert_pem and key_pem, or files */
};
/* *out is to be freed also after a failure. */
FED_MUST_USE int glb_worker_new(struct glb_shared *shared, const struct glb_worker_conf *conf, struct glb_worker **out,
                                struct fed_err *err);
FED_MUST_USE int glb_worker_start(struct glb_worker *w, struct fed_err *err);
void glb_worker_stop(struct glb_worker *w); /* any thread */
void glb_worker_join(struct glb_worker *w); /* all are joined before any is freed: they read each other's counters */
void glb_worker_free(struct glb_worker *w);
struct glb_counters *glb_worker_counters(struct glb_worker *w);
/* The address bound for listen address i (port 0 became a port); tls: of the TLS ones. */
const struct fed_addr *glb_worker_addr(const struct glb_worker *w, bool tls, size_t i);

#endif
