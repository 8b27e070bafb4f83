/* SPDX-License-Identifier: Apache-2.0 */
/* member.h: one included cluster: what its parts share.
 *
 * Model:      main fills a mbr_conf; mbr_start brings the parts up in order (lock and range, keys, store, engine,
 *             informers, hooks' memory, listener, controllers, agents, proxy) and mbr_stop takes them down in reverse.
 *             Every part is a client of the engine through `client` and the shared informers.
 * Ownership:  the parts belong to struct mbr; all pointers live as long as it does.
 * Threads:    the loop's.
 */
#ifndef MEMBER_MEMBER_H
#define MEMBER_MEMBER_H

#include "apiserver/access.h"
#include "apiserver/apiserver.h"
#include "apiserver/serving.h"
#include "codec/settings.h"
#include "kube/informer.h"
#include "kube/pki_dir.h"
#include "kube/recorder.h"
#include "kube/workqueue.h"
#include "member/range.h"
#include "net/loop.h"

enum mbr_runtime_kind { MBR_RUNTIME_PROCESS, MBR_RUNTIME_HOLLOW };
struct mbr_conf {
    const char *name, *dir, *region, *zone, *coordinates, *encryption;
    struct fed_strings labels, sans;
    int64_t nodes, port, max_pods, max_reads, max_writes, node_grace_ms;
    int runtime;
    bool stop_pods, verbose, rewrite_paths;
    struct fed_access_settings access;
    struct fed_serving_settings serving;
};

#define MBR_SERVICE_NAME "kubernetes.io/service-name" /* label of EndpointSlices */

enum mbr_kind {
    MBR_NODES,
    MBR_PODS,
    MBR_SERVICES,
    MBR_ENDPOINTS,
    MBR_SLICES,
    MBR_CONFIGMAPS,
    MBR_SECRETS,
    MBR_NAMESPACES,
    MBR_SERVICEACCOUNTS,
    MBR_DEPLOYMENTS,
    MBR_REPLICASETS,
    MBR_DAEMONSETS,
    MBR_STATEFULSETS,
    MBR_CONTROLLERS,
    MBR_REVISIONS,
    MBR_JOBS,
    MBR_CRONJOBS,
    MBR_BUDGETS,
    MBR_AUTOSCALERS,
    MBR_CLAIMS,
    MBR_VOLUMES,
    MBR_CLASSES,
    MBR_LEASES,
    MBR_N_KINDS
};

struct mbr_pods;
struct mbr_services;
struct mbr_controllers;
struct mbr_agents;
struct mbr_proxy;
struct mbr_usage;

struct mbr {
    const struct mbr_conf *conf;
    char *dir;     /* absolute, resolved */
    char *bin_dir; /* where our own executable lies */
    int lock_fd;
    struct mbr_range range;
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_metrics *metrics;
    struct fed_pki_dir *pki;
    struct store *store;
    struct fed_kinds *kinds;
    struct mbr_services *services; /* addresses and node ports of Services */
    struct fed_access *access;
    struct fed_api *api;
    struct fed_tls *tls;
    struct fed_httpd *httpd;
    struct fed_transport *client; /* as system:masters */
    struct fed_transport *binder; /* may set a pod's node; virtuals.c */
    struct fed_informer *informers[MBR_N_KINDS];
    struct fed_list jobs;    /* job.h */
    struct fed_list streams; /* streams/streams.h */
    struct mbr_pods *pods;   /* podinfo.h */
    struct mbr_controllers *controllers;
    struct mbr_agents *agents;
    struct mbr_proxy *proxy;
    struct mbr_usage *usage;        /* agent/usage.h */
    struct fed_resource *resources; /* all built-in kinds */
    size_t n_resources;
    struct fed_gc *gc;
    struct fed_nsctl *nsctl;
    struct fed_eventttl *eventttl;
    struct fed_crdctl *crdctl;
    struct fed_aggregate *aggregate;
    struct fed_satoken *satoken;
    struct fed_csrctl *csrctl;
    struct fed_timer renew_timer;
    char *sans[16];
    struct fed_virtual virtuals[24];
    size_t n_virtuals;
    bool running, stopping;
    int exit_status;
};

FED_MUST_USE int mbr_start(struct mbr *m, const struct mbr_conf *conf, struct fed_loop *loop, struct fed_err *err);
/* Orderly: ends watches, stops the pods when conf says so, closes the store; then the loop is stopped. */
void mbr_stop(struct mbr *m, int exit_status);
void mbr_release(struct mbr *m);
/* `hansa-member stop`: ends the running member of `dir` (none is success) and, when asked, its pods. Blocking. */
FED_MUST_USE int mbr_stop_running(const char *dir, bool stop_pods, struct fed_err *err);

/* --- kinds.c, on which every part stands --- */
const struct fed_resource *mbr_resource(enum mbr_kind kind);
/* "NS/NAME", or "NAME" without a namespace; borrowed slices of the key. */
struct fed_str mbr_key(struct fed_arena *a, struct fed_str ns, struct fed_str name);
void mbr_key_split(struct fed_str key, struct fed_str *ns, struct fed_str *name);
/* As the informer has it, borrowed; NULL: it is not there. */
struct fed_kobj *mbr_find(const struct mbr *m, enum mbr_kind kind, struct fed_str ns, struct fed_str name);

#endif
