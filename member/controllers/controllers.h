/* SPDX-License-Identifier: Apache-2.0 */
/* controllers.h: the controllers of an included cluster. Each has a work queue of keys and informer handlers; it reads
 * through the informers and writes what differs. Level-triggered: any of them may be restarted at any moment. */
#ifndef MEMBER_CONTROLLERS_CONTROLLERS_H
#define MEMBER_CONTROLLERS_CONTROLLERS_H

#include "member/job.h"
#include "member/podinfo.h"

/* The informers must be made (they may still be empty). */
struct mbr_controllers *mbr_controllers_new(struct mbr *m);
void mbr_controllers_free(struct mbr_controllers *c);
struct mbr_ctl;
/* Only those of `which` (init functions below), for tests. */
struct mbr_controllers *mbr_controllers_some(struct mbr *m, void (*const *which)(struct mbr_ctl *), size_t n);

struct mbr_ctl { /* one controller */
    struct mbr *m;
    struct fed_workqueue *queue;
    struct fed_recorder *events;
    struct mbr_expect expect;
    enum mbr_kind kind;     /* owner.h: of the owners */
    enum mbr_kind owned;    /* owner.h: of what they own */
    bool adopts;            /* owner.h */
    struct fed_map orphans; /* owner.h: uid -> kobj (referenced): children without a controller, few */
    struct fed_map refused; /* owner.h: key -> text: why the last pod could not be made */
    void *own;              /* freed with free() after `release` */
    void (*release)(struct mbr_ctl *c);
};
typedef void (*mbr_reconcile)(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name);
/* Each makes one; NULL-terminated table in controllers.c. */
void mbr_deployment_init(struct mbr_ctl *c);
void mbr_replicaset_init(struct mbr_ctl *c);
void mbr_replication_init(struct mbr_ctl *c); /* ReplicationControllers: the same as ReplicaSets */
void mbr_daemonset_init(struct mbr_ctl *c);
void mbr_statefulset_init(struct mbr_ctl *c);
void mbr_jobs_init(struct mbr_ctl *c);
void mbr_cronjob_init(struct mbr_ctl *c);
void mbr_claims_init(struct mbr_ctl *c); /* PersistentVolumeClaims and volumes */
void mbr_budget_init(struct mbr_ctl *c); /* PodDisruptionBudgets */
void mbr_taints_init(struct mbr_ctl *c); /* NoExecute */
void mbr_autoscaler_init(struct mbr_ctl *c);
/* Admission of a claim without a class: the default one. */
void mbr_claims_default(struct mbr *m, struct fed_arena *a, struct fed_json *spec);
void mbr_scheduler_init(struct mbr_ctl *c);
void mbr_endpoints_init(struct mbr_ctl *c);
void mbr_namespace_init(struct mbr_ctl *c); /* default ServiceAccount, kube-root-ca.crt, token Secrets */
void mbr_service_init(struct mbr_ctl *c);   /* load balancer status, Service kubernetes */

/* For the init functions: the queue with its reconciler, and a handler set. */
void mbr_ctl_queue(struct mbr_ctl *c, const char *name, mbr_reconcile reconcile);
void mbr_ctl_watch(struct mbr_ctl *c, enum mbr_kind kind,
                   void (*changed)(void *ctl, struct fed_kobj *old, struct fed_kobj *now));
/* A `changed` that queues the object itself. */
void mbr_ctl_enqueue_self(void *ctl, struct fed_kobj *old, struct fed_kobj *now);
/* Queues the controller owner of the object, when it is of that kind. */
void mbr_ctl_enqueue_owner(struct mbr_ctl *c, const struct fed_kobj *obj, const char *kind);
void mbr_ctl_add(struct mbr_ctl *c, struct fed_str ns, struct fed_str name);

/* A new pod from a template, owned by `owner`; name empty: generated from the owner's. */
struct fed_json *mbr_pod_from_template(struct mbr_ctl *c, struct fed_arena *a, const struct fed_kobj *owner,
                                       const struct fed_json *template);
/* Objects that `owner` controls, as an arena array of borrowed kobjs. */
struct fed_kobj **mbr_owned(struct mbr *m, struct fed_arena *a, enum mbr_kind kind, const struct fed_kobj *owner,
                            size_t *n);
void mbr_set_time(struct fed_arena *a, struct fed_json *o, const char *key, int64_t ms);

#endif
