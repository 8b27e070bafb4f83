/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler.h: decides for each federated object which clusters have it and with how many replicas, by the pure planner,
 * and hands the object to the replicators. Threads: the state thread. */
#ifndef FAPI_CONTROLLERS_SCHEDULER_H
#define FAPI_CONTROLLERS_SCHEDULER_H

#include "fedapi/controllers/member.h"

struct fapi_scheduler *fapi_scheduler_new(struct fapi_federation *f);
void fapi_scheduler_free(struct fapi_scheduler *s);
void fapi_scheduler_add(struct fapi_scheduler *s, struct fed_str key);
void fapi_scheduler_add_all(struct fapi_scheduler *s);
void fapi_scheduler_add_kind(struct fapi_scheduler *s, struct fapi_kind *k); /* all objects of it */
/* A cluster joined, left, changed labels, was lost or returned: everything is decided again (and moves little). */
void fapi_scheduler_cluster_changed(struct fapi_scheduler *s, struct fapi_member *m);
/* A cluster that was away has shown all that it has: what was decided for it is void. */
void fapi_scheduler_cluster_returned(struct fapi_scheduler *s, struct fapi_member *m);
/* The member's copy of an object changed: matters while the federated object is being deleted. */
void fapi_scheduler_member_changed(struct fapi_scheduler *s, struct fed_str key);
/* True for a Namespace that is not empty yet (spec.finalizers), or a definition that still has objects: they go after
 * their contents. */
bool fapi_has_contents(const struct fapi_kind *k, const struct fed_kobj *hub);
/* Nothing is due now (what waits for a back-off apart). */
bool fapi_scheduler_settled(const struct fapi_scheduler *s);

#endif
