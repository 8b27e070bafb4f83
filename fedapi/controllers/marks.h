/* SPDX-License-Identifier: Apache-2.0 */
/* marks.h: the names by which the federation speaks on objects, and whose an object in a member is.
 *
 * Model:      an object that the federation made in a member bears three marks from its creation on. Only a marked
 * object is ever changed or deleted there. Threads:    pure.
 */
#ifndef FAPI_CONTROLLERS_MARKS_H
#define FAPI_CONTROLLERS_MARKS_H

#include "kube/obj.h"

/* On members' objects. */
#define FAPI_FEDERATION_UID "federation.hansa.io/federation-uid" /* annotation */
#define FAPI_SOURCE_UID     "federation.hansa.io/source-uid"     /* annotation: uid of the federated object */
#define FAPI_APPLIED_FIELDS "federation.hansa.io/applied-fields" /* annotation: what was written last (diff.h) */
#define FAPI_MANAGED        "federation.hansa.io/managed"        /* label, "true" */
/* On federated objects, by users. */
#define FAPI_ADOPT             "federation.hansa.io/adopt"           /* "true": take over objects of the same name */
#define FAPI_RETAIN_REPLICAS   "federation.hansa.io/retain-replicas" /* "true": members own spec.replicas */
#define FAPI_CLUSTER_SELECTOR  "federation.alpha.kubernetes.io/cluster-selector"
#define FAPI_HPA_TARGETS       "federation.kubernetes.io/hpa-target-cluster-list"
#define FAPI_SERVICE_INGRESSES "federation.kubernetes.io/service-ingresses"
/* On federated objects, by us. */
#define FAPI_FINALIZER    "federation.kubernetes.io/delete-from-underlying-clusters"
#define FAPI_ANN_CLUSTERS "federation.hansa.io/clusters"   /* JSON: state in each cluster, written by status */
#define FAPI_JOB_ROUNDS   "federation.hansa.io/job-rounds" /* rounds.h */
#define FAPI_HISTORY      "federation.hansa.io/history" /* label of ReplicaSets, "true": a record of the hub (history.h) */
/* On Cluster objects. */
#define FAPI_CORDONED "federation.hansa.io/cordoned" /* "true" */

/* Whether it is a record of what a Deployment was, which lives at the hub alone: it bears the label. Admission gives it to
 * every ReplicaSet that is made as a Deployment's, and keeps it there, so that none that is let go starts pods. */
bool fapi_is_history(const struct fed_kobj *o);

enum fapi_whose {
    FAPI_NOBODYS, /* no mark: never touched unless the federated object says adopt */
    FAPI_OURS,    /* made from this very federated object */
    FAPI_STALE,   /* ours, from an earlier federated object of the same name: may be taken over */
    FAPI_OTHERS   /* another federation's: never touched */
};
/* True for an object (NULL: false) that bears the label: what a cluster's informers show of every kind. */
bool fapi_is_marked(const struct fed_kobj *o);
enum fapi_whose fapi_whose(const struct fed_kobj *member_obj, struct fed_str federation_uid, struct fed_str source_uid);

/* True for namespaces that are a cluster's own affair (federation-system, kube-*): nothing inside is propagated. */
bool fapi_ns_is_private(struct fed_str ns);
/* Whether an object of the federation goes to members at all; false and *why (static) when not: a private namespace,
 * the Namespace object `default`, what each cluster makes for itself (ServiceAccount `default`, ConfigMap
 * kube-root-ca.crt), a service account token, or a Helm release, which is the record of the whole federation.
 * custom: of a kind that users defined; then its name says nothing. Definitions themselves: custom.h. */
bool fapi_propagates(const struct fed_kobj *obj, bool custom, const char **why);
/* The same by its parts; kind empty: a custom one; type: of a Secret. NULL: it goes. */
const char *fapi_stays(struct fed_str kind, struct fed_str ns, struct fed_str name, struct fed_str type);

#endif
