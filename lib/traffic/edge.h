/* SPDX-License-Identifier: Apache-2.0 */
/* edge.h: the control half that the DNS server and the balancer share: what keeps the snapshot, and who may look at it.
 *
 * Model:      saved file, then the federation's API (or a file of objects instead of it) -> builder -> routing.current;
 *             beside it the prober. Files named by the settings are looked at by fed_edge_poll, once a second: a kubeconfig
 *             that changed is a new connection, a changed file of objects is read again.
 * Ownership:  strings are copied. routing and targets are borrowed: targets outlive the edge, because workers may hold on
 *             to them until they have stopped.
 * Threads:    control thread. It logs, as the programs' own component.
 * Failure:    a file that cannot be read or a credential that cannot be used is logged and the last good state stays.
 */
#ifndef FED_TRAFFIC_EDGE_H
#define FED_TRAFFIC_EDGE_H

#include "base/metrics.h"
#include "net/httpd.h"
#include "net/loop.h"
#include "traffic/builder.h"
#include "traffic/probe.h"

struct fed_edge;
struct fed_edge_conf {
    const char *component;  /* of log lines: "dns" */
    const char *user_agent; /* towards the federation: "hansa-dns" */
    struct fed_loop *loop;
    struct fed_routing *routing;
    struct fed_targets *targets;
    const char *own_cluster; /* NULL: in none */
    const char *state_dir;   /* NULL or empty: snapshots are not saved */
    const char *kubeconfig;  /* NULL: none */
    const char *objects;     /* a file of objects instead of the federation; NULL: none */
    bool probes;
    uint32_t probe_interval_ms, probe_timeout_ms;
    bool local_endpoints, secrets; /* as in builder.h */
    void *(*derive)(void *ud, const struct fed_snapshot *s, const struct fed_snapshot *prev);
    void (*derive_free)(void *ud, void *derived);
    void *ud;
};
/* Publishes the saved snapshot, reads the objects, begins to probe and to watch. */
struct fed_edge *fed_edge_new(const struct fed_edge_conf *conf);
void fed_edge_free(struct fed_edge *e); /* saves; publishes NULL. NULL is allowed */
/* True when both would keep the snapshot in the same way: a change of settings that needs no new edge. */
bool fed_edge_same(const struct fed_edge_conf *a, const struct fed_edge_conf *b);
/* Each second, and when told to look again: files that changed. Without a prober it also forgives targets that requests
 * have found down, each tenth time, since nobody else would try them again. */
void fed_edge_poll(struct fed_edge *e);
void fed_edge_flush(struct fed_edge *e); /* derives anew and publishes now, if anything was published before */

/* The metrics hansa_traffic_… in a registry, and their values. */
struct fed_edge_metrics;
struct fed_edge_metrics *fed_edge_metrics_new(struct fed_metrics *registry);
void fed_edge_metrics_free(struct fed_edge_metrics *m);

/* /metrics, /healthz and /readyz (a snapshot is there) on `address` ("192.0.2.1:9153"). collect is called before each
 * rendering. FED_E_INVALID and what fed_httpd_open says. */
struct fed_edge_page_conf {
    struct fed_loop *loop;
    const char *address;
    struct fed_routing *routing;
    struct fed_metrics *registry;
    struct fed_edge_metrics *metrics;
    struct fed_edge **edge; /* where the program keeps it: it may be replaced */
    void (*collect)(void *ud);
    void *ud;
};
struct fed_edge_page;
FED_MUST_USE int fed_edge_page_open(const struct fed_edge_page_conf *conf, struct fed_edge_page **out,
                                    struct fed_err *err);
void fed_edge_page_close(struct fed_edge_page *p); /* NULL is allowed */

#endif
