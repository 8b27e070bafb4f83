/* SPDX-License-Identifier: Apache-2.0 */
/* server_priv.h: the control thread's state, shared by server.c and metrics.c. */
#ifndef GLB_IO_SERVER_PRIV_H
#define GLB_IO_SERVER_PRIV_H

#include "base/metrics.h"
#include "globallb/io/server.h"
#include "globallb/io/settings.h"
#include "traffic/edge.h"

#define GLB_LOG "globallb"

struct glb_metrics;

struct glb_server {
    int argc;
    char **argv;
    struct fed_loop *loop;
    struct fed_env *env;
    struct glb_shared shared;
    struct glb_setup *setup;  /* as started, but for what a reload may change */
    struct fed_buf cert, key; /* the default certificate, when made by us */
    struct fed_targets *targets;
    struct fed_edge *edge;
    struct glb_table_conf table;
    size_t certs_failed;
    struct fed_timer second;
    struct fed_file_stamp settings_seen;
    struct glb_metrics *metrics;
    uint64_t reload_failures;
};

void glb_metrics_init(struct glb_server *s);
struct fed_metric *glb_metrics_latency(struct glb_server *s, size_t worker);
FED_MUST_USE int glb_metrics_open(struct glb_server *s, struct fed_err *err);
void glb_metrics_close(struct glb_server *s);

#endif
