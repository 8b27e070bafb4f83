/* SPDX-License-Identifier: Apache-2.0 */
/* server_priv.h: the control thread's state, shared by server.c, engine.c and metrics.c. */
#ifndef GDNS_IO_SERVER_PRIV_H
#define GDNS_IO_SERVER_PRIV_H

#include "base/metrics.h"
#include "dns/io/server.h"
#include "dns/io/worker.h"
#include "kube/remote.h"
#include "net/httpd.h"
#include "traffic/builder.h"
#include "traffic/probe.h"

#define GDNS_LOG         "dns"
#define GDNS_MAX_WORKERS 256

struct gdns_stamp { /* of a watched file: differs when it was changed */
    uint64_t mtime_ns, size, inode;
};
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
    /* engine.c */
    struct fed_targets *targets;
    struct fed_builder *builder;
    struct fed_prober *prober;
    struct fed_transport *transport;
    char *engine_cluster, *state_file;
    bool hosts_stale; /* zones changed: the hosts of the snapshot before may not be shared */
    /* watched files */
    struct fed_timer second;
    struct gdns_stamp kubeconfig_seen, objects_seen, settings_seen;
    /* metrics.c */
    struct gdns_metrics *metrics;
    struct fed_httpd *httpd;
    uint64_t reload_failures;
};

bool gdns_stamp_file(const char *path, struct gdns_stamp *out); /* false: absent */

void gdns_engine_start(struct gdns_server *s); /* builder, saved snapshot, prober */
void gdns_engine_stop(struct gdns_server *s);
void gdns_engine_connect(struct gdns_server *s); /* (re)reads the kubeconfig if it changed */
void gdns_engine_objects(struct gdns_server *s); /* (re)reads --objects if it changed */

FED_MUST_USE int gdns_metrics_open(struct gdns_server *s, struct fed_err *err);
void gdns_metrics_close(struct gdns_server *s);

#endif
