/* SPDX-License-Identifier: Apache-2.0 */
/* member.h: one joined cluster: its credentials, transport, informers, health and replicator queue.
 *
 *   Cluster object + Secret ──> connect ──> probing ──> Ready: informers, replicator run
 *                                 ▲            │  3 failures or silence: Offline (caches are kept, nothing is deleted)
 *                                 └────────────┘  back: reconcile what waits, then Ready again
 *
 * Ownership: fapi_clusters owns members. Threads: the state thread.
 */
#ifndef FAPI_CONTROLLERS_MEMBER_H
#define FAPI_CONTROLLERS_MEMBER_H

#include "fedapi/controllers/federation.h"

struct fapi_replicator;
struct fapi_there;

struct fapi_member {
    struct fapi_federation *fed;
    struct fapi_member *next; /* by name: what is written must not depend on the order of joining */
    char *name;
    struct fed_transport *transport; /* NULL: no usable credentials yet */
    char *rest_fingerprint;          /* to see that credentials changed */
    struct fapi_there **there;       /* member_kinds.c: by kind index, with gaps; empty until connected */
    size_t n_there;
    struct fed_informer *nodes, *slices;
    struct fapi_replicator *replicator;
    struct fed_workqueue *due; /* the replicator's keys; NULL: it does not run */
    struct fed_task settle;

    enum fapi_health health;
    uint64_t health_since_ns; /* mono, of the last change of health */
    bool lost;                /* Offline for longer than the failure grace: its replicas are made up elsewhere */
    bool reconciling;         /* answers again, but its queue has not been worked off yet */
    bool listed;              /* while reconciling: everything was listed anew, decisions may rest on it */
    unsigned failures, successes;
    uint64_t latency_ms;
    char *reason, *message; /* of the present health */
    struct fed_timer probe_timer, grace_timer;
    struct fed_call *probe;
    uint64_t probe_started_ns;
    bool deleting; /* its Cluster object is being deleted */
};

/* Usable for new work: connected and answering. */
static inline bool fapi_member_reachable(const struct fapi_member *m)
{
    return m->transport && m->health == FAPI_READY;
}
/* May be written to. Before everything was listed anew, what was decided for a lost cluster (no replicas) stands. */
static inline bool fapi_member_writable(const struct fapi_member *m)
{
    return m->transport && (m->health == FAPI_READY || (m->reconciling && m->listed));
}
/* The member's copy of an object of a propagated kind, as the informer has it: borrowed or NULL. */
struct fed_kobj *fapi_member_find(const struct fapi_member *m, const struct fapi_kind *k, struct fed_str ns,
                                  struct fed_str name);
/* True when the informer of that kind has a complete list, or the kind is known not to be there: absence then means
 * absence. */
bool fapi_member_sees(const struct fapi_member *m, const struct fapi_kind *k);
/* The same for all kinds but those of users, each of which waits for itself. */
bool fapi_member_sees_all(const struct fapi_member *m);
/* Marked objects of the kind there: whether there is one, and each. */
bool fapi_member_has_any(const struct fapi_member *m, const struct fapi_kind *k);
void fapi_member_each(const struct fapi_member *m, const struct fapi_kind *k,
                      bool (*each)(void *ud, struct fed_kobj *o), void *ud);
/* How the kind is spoken to there: in a version that the cluster serves. */
const struct fed_resource *fapi_member_resource(const struct fapi_member *m, const struct fapi_kind *k);
/* Whether it takes objects of the kind; *why: of FAPI_SERVED_OTHER, valid until the next turn. */
enum fapi_served fapi_member_serves(const struct fapi_member *m, const struct fapi_kind *k, const char **why);
/* The definition of a custom kind there, whoever made it: borrowed or NULL. */
struct fed_kobj *fapi_member_definition(const struct fapi_member *m, const struct fapi_kind *k);

/* --- the set --- */
struct fapi_clusters *fapi_clusters_new(struct fapi_federation *f);
void fapi_clusters_start(struct fapi_clusters *c);
void fapi_clusters_free(struct fapi_clusters *c);
struct fapi_member *fapi_clusters_find(struct fapi_clusters *c, struct fed_str name);
/* The Cluster object of a member: borrowed or NULL. */
struct fed_kobj *fapi_clusters_object(struct fapi_clusters *c, struct fed_str name);
bool fapi_clusters_synced(const struct fapi_clusters *c);
size_t fapi_clusters_count(struct fapi_clusters *c);
/* Walks all members in the order of their names; after NULL: the first. */
struct fapi_member *fapi_clusters_next(struct fapi_clusters *c, const struct fapi_member *after);

#endif
