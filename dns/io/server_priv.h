/* SPDX-License-Identifier: Apache-2.0 */
/* server_priv.h: the control thread's state, shared by server.c and metrics.c. */
#ifndef GDNS_IO_SERVER_PRIV_H
#define GDNS_IO_SERVER_PRIV_H

#include "base/metrics.h"
#include "dns/io/server.h"
#include "dns/io/worker.h"
#include "traffic/edge.h"

#define GDNS_LOG         "dns"
#define GDNS_MAX_WORKERS 256

struct gdns_metrics;

struct gdns_server {
    int argc;
    char **argv;
    struct fed_loop *loop;
    struct fed_env *env;
    struct gdns_shared shared;
    struct gdns_world *world; /* the current one */
    struct gdns_worker *workers[GDNS_MAX_WORKERS];
    size_t n_workers;
    struct fed_targets *targets;
    struct fed_edge *edge;
    bool hosts_stale; /* zones changed: the hosts of the snapshot before may not be shared */
    struct fed_timer second;
    struct fed_file_stamp settings_seen;
    struct gdns_metrics *metrics; /* NULL: nobody asks for them */
    uint64_t reload_failures;
};

FED_MUST_USE int gdns_metrics_open(struct gdns_server *s, struct fed_err *err);
void gdns_metrics_close(struct gdns_server *s);

#endif
