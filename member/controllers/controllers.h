/* SPDX-License-Identifier: Apache-2.0 */
/* controllers.h: the controllers of an included cluster. Each has a work queue of keys and informer handlers; it reads
 * through the informers and writes what differs. Level-triggered: any of them may be restarted at any moment. */
#ifndef MEMBER_CONTROLLERS_CONTROLLERS_H
#define MEMBER_CONTROLLERS_CONTROLLERS_H

#include "member/controllers/ctl.h"

/* The informers must be made (they may still be empty). */
struct mbr_controllers *mbr_controllers_new(struct mbr *m);
void mbr_controllers_free(struct mbr_controllers *c);
/* Only those of `which` (init functions below), for tests. */
struct mbr_controllers *mbr_controllers_some(struct mbr *m, void (*const *which)(struct mbr_ctl *), size_t n);

/* Each makes one; the table is in controllers.c. */
void mbr_deployment_init(struct mbr_ctl *c);
void mbr_replicaset_init(struct mbr_ctl *c);
void mbr_replication_init(struct mbr_ctl *c); /* ReplicationControllers: the same as ReplicaSets */
void mbr_daemonset_init(struct mbr_ctl *c);
void mbr_statefulset_init(struct mbr_ctl *c);
void mbr_jobs_init(struct mbr_ctl *c);
void mbr_cronjob_init(struct mbr_ctl *c);
void mbr_claims_init(struct mbr_ctl *c);   /* PersistentVolumeClaims and volumes */
void mbr_budget_init(struct mbr_ctl *c);   /* PodDisruptionBudgets */
void mbr_taints_init(struct mbr_ctl *c);   /* NoExecute */
void mbr_nodelife_init(struct mbr_ctl *c); /* nodes whose agents are silent; conditions as taints */
void mbr_podgc_init(struct mbr_ctl *c);    /* pods of nodes that are gone */
void mbr_autoscaler_init(struct mbr_ctl *c);
/* Admission of new claims and volumes: the default class, and the finalizers that hold them while they are used. */
void mbr_claims_admit(struct mbr *m, struct fed_arena *a, const struct fed_kind *kind, struct fed_json *obj);
void mbr_scheduler_init(struct mbr_ctl *c);
void mbr_endpoints_init(struct mbr_ctl *c);
void mbr_mirror_init(struct mbr_ctl *c);    /* slices of Endpoints that users write */
void mbr_namespace_init(struct mbr_ctl *c); /* default ServiceAccount, kube-root-ca.crt, token Secrets */
void mbr_service_init(struct mbr_ctl *c);   /* load balancer status, Service kubernetes */

#endif
