/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h: a whole federation in one process on virtual time: the hub with its real engine and controllers, three hollow
 * clusters (sim_cluster.h), and faults on the lines between them (sim_line.h) and in the hub's life (sim_store.h).
 *
 * Model:      one seed gives one story. Time moves only by sim_run, sim_until and sim_do. A failed check prints seed and
 *             virtual time; HANSA_SIM_SEED=N runs that story alone, HANSA_SIM_TRACE=1 tells it.
 * Invariants: watched all the time: no write of the federation touches a member's own object (sim_own).
 * Ownership:  answers live until sim_forget. Threads: one.
 */
#ifndef TESTS_SUPPORT_SIM_H
#define TESTS_SUPPORT_SIM_H

#include "fedapi/controllers/federation.h"
#include "support/sim_cluster.h"
#include "support/sim_dns.h"

#define SIM_CLUSTERS 3
#define SIM_MAX_OWN  16
struct sim_own { /* an object that a cluster has of its own */
    unsigned cluster;
    const char *path;      /* "/api/v1/namespaces/web/configmaps/a" */
    struct fed_str before; /* metadata.uid, labels, annotations, spec and data at its creation */
    bool adopted;          /* the federation was told to take it */
};
struct sim {
    struct test_env t;
    uint64_t seed;
    struct sim_random chance;
    struct sim_cluster clusters[SIM_CLUSTERS];
    struct sim_own own[SIM_MAX_OWN];
    size_t n_own;
    /* the hub */
    struct store *disk, *store;
    struct fed_api *api;
    struct fed_transport *controllers, *user;
    struct sim_line hub_line; /* counts what the controllers write to the hub */
    struct fed_transport *hub_link;
    struct fed_metrics *metrics;
    struct fapi_hub *housekeeping;
    struct fapi_federation *fed;
    struct sim_dns dns; /* of cluster 0; without the hub it goes on with what it knew */
    struct fapi_timing timing;
    uint32_t store_latency_max;
    bool ready, trace;
    struct fed_arena arena, forever;
};
struct sim_answer {
    int code, status; /* code: of the Status or the way */
    const struct fed_json *body;
    struct fed_str text;
};

void sim_init(struct sim *s, uint64_t seed);
void sim_release(struct sim *s);
void sim_fail(struct sim *s, const char *fmt, ...) FED_PRINTF(2, 3) __attribute__((noreturn));
void sim_trace(struct sim *s, const char *fmt, ...) FED_PRINTF(2, 3);

/* --- the hub's life --- */
void sim_hub_start(struct sim *s);
void sim_hub_stop(struct sim *s, bool kill);
void sim_join(struct sim *s, unsigned cluster, const char *labels); /* labels: JSON members, "'tier':'web'" or "" */

/* --- time --- */
void sim_run(struct sim *s, uint64_t ms);
/* Until check(s, ud) says NULL; when `ms` have passed: fails with its last word. Answers are forgotten in between. */
void sim_until(struct sim *s, uint64_t ms, const char *what, const char *(*check)(struct sim *s, void *ud), void *ud);

/* --- API calls; single quotes in bodies are written as double ones --- */
struct sim_answer sim_do(struct sim *s, struct fed_transport *t, const char *method, const char *path, const char *body,
                         ...) FED_PRINTF(5, 6);
/* The same, failing unless 2xx. */
struct sim_answer sim_must(struct sim *s, struct fed_transport *t, const char *method, const char *path,
                           const char *body, ...) FED_PRINTF(5, 6);
const struct fed_json *sim_get(struct sim *s, struct fed_transport *t, const char *path); /* NULL: 404 */
const char *sim_path(struct sim *s, const char *fmt, ...) FED_PRINTF(2, 3);               /* until sim_forget */
void sim_forget(struct sim *s);

/* Creates an object in a member that is the member's own, and watches over it. path: of the collection. */
void sim_own(struct sim *s, unsigned cluster, const char *collection, const char *name, const char *body, ...)
    FED_PRINTF(5, 6);
void sim_check_own(struct sim *s);

/* --- what the federation wrote --- */
size_t sim_member_writes(const struct sim *s);
size_t sim_hub_writes(const struct sim *s);

/* --- DNS --- */
/* Which cluster's load balancer a client in the network of `client` is sent to: its number, -1: none, -2: an address
 * that belongs to no cluster (or several). */
int sim_dns_cluster(struct sim *s, const char *service, const char *ns, unsigned client);

/* --- the network --- */
void sim_calm(struct sim *s); /* lines as they are by default: 1 to 20 ms, no faults */

#endif
