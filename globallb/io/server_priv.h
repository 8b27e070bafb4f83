/* SPDX-License-Identifier: Apache-2.0 */
/* server_priv.h: the control thread's state, shared by server.c, engine.c and metrics.c. */
#ifndef GLB_IO_SERVER_PRIV_H
#define GLB_IO_SERVER_PRIV_H

#include "base/metrics.h"
#include "globallb/io/server.h"
#include "globallb/io/settings.h"
#include "kube/remote.h"
#include "net/httpd.h"
#include "traffic/builder.h"
#include "traffic/probe.h"

#define GLB_LOG "globallb"

struct glb_stamp { /* of a watched file: differs when it was changed */
    int64_t mtime_ns, size, inode;
};
struct glb_metrics;

struct glb_server {
    int argc;
    char **argv;
    struct fed_loop *loop;
    struct fed_env *env;
    struct glb_shared shared;
    struct glb_setup *setup;  /* as started, but for what a reload may change */
    struct fed_buf cert, key; /* the default certificate, when made by us */
    /* engine.c */
    struct fed_targets *targets;
    struct fed_builder *builder;
    struct fed_prober *prober;
    struct fed_transport *transport;
    char *state_file;
    struct glb_table_conf table;
    size_t certs_failed;
    /* watched files */
    struct fed_timer second;
    unsigned seconds;
    struct glb_stamp kubeconfig_seen, objects_seen, settings_seen;
    /* metrics.c */
    struct glb_metrics *metrics;
    struct fed_httpd *httpd;
    uint64_t reload_failures;
};

bool glb_stamp_file(const char *path, struct glb_stamp *out); /* false: absent */

void glb_engine_start(struct glb_server *s); /* builder, saved snapshot, prober */
void glb_engine_stop(struct glb_server *s);
void glb_engine_connect(struct glb_server *s); /* (re)reads the kubeconfig if it changed */
void glb_engine_forgive(struct glb_server *s); /* each second */
void glb_engine_objects(struct glb_server *s); /* (re)reads --objects if it changed */

void glb_metrics_init(struct glb_server *s);
struct fed_metric *glb_metrics_latency(struct glb_server *s, size_t worker);
FED_MUST_USE int glb_metrics_open(struct glb_server *s, struct fed_err *err);
void glb_metrics_close(struct glb_server *s);

#endif
