/* SPDX-License-Identifier: Apache-2.0 */
/* federation.h: what the federation's controllers share: the hub, the kinds that propagate, the member clusters.
 *
 * Model:     hub informers (local transport) and, for each cluster, member informers feed queues of object keys:
 *
 *              hub object ──> scheduler (placement, pure planner) ──> one replicator per cluster ──> member API
 *                    ▲                                                              │
 *                    └── status <── endpoints <──────────── member informers <──────┘
 *
 *            A key is "K/NS/NAME": K the id of the kind below. Everything is level-triggered: a key says only "look
 *            again", so it may be added at any time, and a restart adds all of them and then writes nothing.
 * Ownership: the federation owns its parts; parts borrow it. Threads: the state thread.
 */
#ifndef FAPI_CONTROLLERS_FEDERATION_H
#define FAPI_CONTROLLERS_FEDERATION_H

#include "base/map.h"
#include "base/metrics.h"
#include "fedapi/controllers/custom.h"
#include "fedapi/controllers/marks.h"
#include "kube/client.h"
#include "kube/informer.h"
#include "kube/kind.h"
#include "kube/kubeconfig.h"
#include "kube/recorder.h"
#include "kube/workqueue.h"

/* Annotations of the house besides those of marks.h. */
#define FAPI_SYSTEM_NS       "federation-system"
#define FAPI_EDGE_NS         "federation-edge"
#define FAPI_ANN_COORDINATES "federation.hansa.io/coordinates"
#define FAPI_ANN_REGION      "federation.hansa.io/region"
#define FAPI_ANN_ZONE        "federation.hansa.io/zone"
#define FAPI_ANN_CLEANUP     "federation.hansa.io/cleanup" /* on a Cluster: delete what we made when it leaves */

/* How objects of a kind spread over the clusters. */
enum fapi_spread {
    FAPI_SPREAD_COPY,   /* the same object everywhere */
    FAPI_SPREAD_DIVIDE, /* a number of it is divided (spread.h) */
    FAPI_SPREAD_NAMESPACE
};
struct fapi_kind {                     /* kinds.c */
    struct fed_resource resource;      /* storage version; text is owned */
    bool has_status, status_annotates; /* annotations are written along with a status */
    enum fapi_spread spread;
    struct fapi_federation *fed;
    struct fed_informer *hub;
    size_t index; /* in fed->kinds: used again when a custom kind went */
    uint64_t id;  /* in keys: never used again */
    /* Of a kind that users defined (custom.h); NULL: one of the program's own. */
    struct fapi_custom *custom;
    char *definition; /* name of its CustomResourceDefinition */
    char *shape;      /* all that a change of the definition would begin the kind anew for */
    bool withdrawn;   /* its objects are to live at the hub alone: copies go */
    bool ending;      /* withdrawn, or the definition is being deleted */
};

enum fapi_sync_state {
    FAPI_SYNC_UNKNOWN, /* not looked at yet, or the cluster cannot be seen */
    FAPI_SYNC_ABSENT,  /* not placed there, and not there */
    FAPI_SYNC_PENDING, /* a write is on its way or being retried */
    FAPI_SYNC_SYNCED,
    FAPI_SYNC_CONFLICT, /* an object that is not ours stands there */
    FAPI_SYNC_FAILED    /* the member refused it; tried again with back-off */
};

/* What was decided about one object, kept while the object exists (key -> assignment). */
struct fapi_share {
    struct fapi_member *member;
    bool placed;
    int64_t replicas; /* DIVIDE only */
    bool stale;       /* the cluster was away since: decided anew, by what it shows, before anything is written there */
    enum fapi_sync_state state;
    int64_t found; /* CONFLICT: spec.replicas of the object that stands there; -1: none */
    char *why;     /* planner's reason, for `kubefed why`; owned */
    char *message; /* of FAILED and CONFLICT; owned or NULL */
    char *closed;  /* rounds.h: uid of the closed copy that the decision knows of; owned or NULL */
};
struct fapi_assignment {
    char *key;
    struct fapi_share *shares;
    size_t n;
    bool decided;     /* placement computed for the present object */
    uint64_t content; /* hash of what members get from the object: status and bookkeeping left out */
    char *problem;    /* bad annotation, selector that matches nothing; owned or NULL */
};

enum fapi_health { FAPI_UNKNOWN, FAPI_READY, FAPI_NOT_READY, FAPI_OFFLINE };

/* Makes the transport to a member; the production one is kube/remote.h, tests/sim has its own. */
struct fapi_connector {
    struct fed_transport *(*connect)(void *ud, const char *cluster, const struct fed_rest_conf *rest,
                                     struct fed_err *err);
    void *ud;
};

struct fapi_timing { /* milliseconds */
    uint32_t probe_period, probe_timeout, failure_grace;
};

struct fapi_scheduler;
struct fapi_status;
struct fapi_endpoints;
struct fapi_clusters;
struct fapi_revisions;
struct fapi_edge;
struct fapi_issuer;
struct fapi_queues { /* of keys, where due.h adds them; NULL: the controller does not run */
    struct fed_workqueue *decide, *status, *services, *edges, *reports;
};
struct fapi_federation {
    struct fed_env *env;
    struct fed_transport *hub;
    struct fed_kinds *all_kinds;
    struct fed_metrics *metrics;
    struct fed_recorder *recorder;
    struct fapi_connector connector;
    struct fapi_timing timing;
    char *name, *zone_name;
    char uid[64];             /* uid of the hub's Namespace federation-system: lives and dies with the store */
    struct fapi_kind **kinds; /* with gaps: FAPI_KIND_EACH */
    size_t n_kinds, cap_kinds;
    uint64_t *rounds;              /* how often each index was given away */
    struct fapi_kind *definitions; /* the kind CustomResourceDefinition; NULL: not among them */
    struct fed_map defined;        /* name of a definition -> struct fapi_kind */
    struct fed_map assignments;    /* key -> struct fapi_assignment */
    struct fapi_queues due;
    struct fapi_clusters *clusters;
    struct fapi_scheduler *scheduler;
    struct fapi_status *status;
    struct fapi_endpoints *endpoints;
    struct fapi_revisions *revisions;
    struct fapi_edge *edge; /* NULL: no issuer */
    bool started;
};

/* struct fapi_kind *k walks the kinds that propagate. */
#define FAPI_KIND_EACH(k, f)                                                                                           \
    for (struct fapi_kind * k, **k##_at = (f)->kinds; k##_at < (f)->kinds + (f)->n_kinds && ((k = *k##_at), true);     \
         k##_at++)                                                                                                     \
        if (k)

struct fapi_federation_conf {
    struct fed_env *env;
    struct fed_transport *hub; /* identity system:federation-controllers in system:masters */
    struct fed_kinds *kinds;
    struct fed_metrics *metrics;
    struct fapi_connector connector;
    struct fapi_timing timing;        /* zeros: 1,000 / 1,000 / 30,000 */
    const char *name;                 /* of the federation */
    const char *zone_name;            /* "example.com." */
    const struct fapi_issuer *issuer; /* edge.h; NULL: edges get no credentials from here */
};
struct fapi_federation *fapi_federation_new(const struct fapi_federation_conf *conf);
void fapi_federation_start(struct fapi_federation *f);
void fapi_federation_free(struct fapi_federation *f);

/* Keys. */
struct fed_str fapi_key(struct fed_arena *a, const struct fapi_kind *k, struct fed_str ns, struct fed_str name);
/* Splits a key; false when it is none. */
bool fapi_key_parse(const struct fapi_federation *f, const char *key, struct fapi_kind **kind, struct fed_str *ns,
                    struct fed_str *name);
struct fapi_kind *fapi_kind_find(struct fapi_federation *f, const char *group, const char *plural); /* or NULL */
/* The kind's name for rules that go by it; empty: a custom kind, whose name says nothing. */
struct fed_str fapi_kind_name(const struct fapi_kind *k);

/* assignments.c. find: borrowed or NULL; get makes one with a share for every member known. */
struct fapi_assignment *fapi_assignment_find(struct fapi_federation *f, const char *key);
struct fapi_assignment *fapi_assignment_get(struct fapi_federation *f, const char *key);
void fapi_assignment_drop(struct fapi_federation *f, const char *key);
struct fapi_share *fapi_assignment_share(struct fapi_assignment *p, const struct fapi_member *m); /* or NULL */
void fapi_assignments_leave(struct fapi_federation *f, const struct fapi_member *m);              /* drops its shares */
void fapi_assignments_stale(struct fapi_federation *f,
                            const struct fapi_member *m); /* what was decided for it is void */
void fapi_assignments_release(struct fapi_federation *f);

#endif
