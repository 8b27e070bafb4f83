/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate.h: the status of a federated object from the states in its clusters. Pure: trees in, a tree out. */
#ifndef FAPI_CONTROLLERS_AGGREGATE_H
#define FAPI_CONTROLLERS_AGGREGATE_H

#include "fedapi/controllers/custom.h"

struct fapi_report { /* of one cluster that has, or should have, the object */
    struct fed_str cluster;
    const char *state;             /* "Synced", "Pending", "Conflict", "Failed", "Unknown" */
    struct fed_str message;        /* of Conflict and Failed */
    int64_t replicas;              /* decided; -1: not divided */
    bool own;                      /* a definition that the cluster made itself is used */
    const struct fed_json *object; /* what the member shows; NULL: nothing */
};
struct fapi_aggregate_in {
    const struct fed_kobj *hub;
    const struct fed_json *tree; /* of hub */
    const struct fapi_report *reports;
    size_t n;
    int64_t done;                    /* rounds.h: completed by copies of a Job that were closed */
    struct fed_str problem;          /* of the placement; empty: none */
    const struct fed_str *balancers; /* addresses for Ingress status */
    size_t n_balancers;
    int64_t now_ms;
    const struct fapi_custom *custom; /* of a custom kind (custom.h) */
    bool custom_status;               /* it has a status subresource */
};
/* Whole new status for kinds that have one that we fill (Deployment, ReplicaSet, DaemonSet, Service, Ingress, those of
 * users), or NULL. */
struct fed_json *fapi_aggregate_status(struct fed_arena *a, const struct fapi_aggregate_in *in);
/* Text of the annotation federation.hansa.io/clusters; p == NULL: the annotation should not be there. Workloads always
 * have it, as have definitions and custom kinds with a status; other kinds only while a cluster has a problem. */
struct fed_str fapi_aggregate_annotation(struct fed_arena *a, const struct fapi_aggregate_in *in);
/* True when the object's annotation tells already that `cluster` ("*": the placement) has this problem, so that an event
 * about it, also before a restart, is no news. */
bool fapi_aggregate_told(const struct fed_kobj *hub, const char *cluster, struct fed_str message);

/* What the annotation of a definition says: the cluster's own is used. */
bool fapi_aggregate_own(const struct fed_kobj *hub, const char *cluster);

#endif
