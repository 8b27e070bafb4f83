/* SPDX-License-Identifier: Apache-2.0 */
/* due.h: who must look again at what.
 *
 * Model:      each controller has a queue of keys and works it off by itself; whoever sees a change adds the key to the
 *             queues of those whom it concerns, and knows nothing else of them. Adding a key that is there already, or
 *             for a controller that does not run, is nothing.
 * Ownership:  the queues are their controllers', who put them into struct fapi_queues while they run.
 * Threads:    the state thread.
 */
#ifndef FAPI_CONTROLLERS_DUE_H
#define FAPI_CONTROLLERS_DUE_H

#include "fedapi/controllers/member.h"

/* --- which clusters have an object (scheduler.h) --- */
void fapi_due_decide(struct fapi_federation *f, struct fed_str key);
void fapi_due_decide_kind(struct fapi_kind *k); /* all objects of it */
/* A cluster joined, left, changed labels, was lost or returned: everything is decided again (and moves little). */
void fapi_due_decide_all(struct fapi_federation *f);
/* A member's copy of an object changed: matters while the federated object is being deleted. */
void fapi_due_decide_of_copy(struct fapi_federation *f, struct fed_str key);
/* Nothing is due now (what waits for a back-off apart). */
bool fapi_due_is_decided(const struct fapi_federation *f);

/* --- a cluster's copy (replicator.h) --- */
void fapi_due_replicate(struct fapi_member *m, struct fed_str key);
void fapi_due_replicate_everywhere(struct fapi_federation *f, struct fed_str key);
/* Every object of the hub, and every marked object of the member (whose source may be gone). */
void fapi_due_replicate_all(struct fapi_member *m);
/* The same for one kind; not before delay_ms. */
void fapi_due_replicate_kind(struct fapi_member *m, struct fapi_kind *k, uint64_t delay_ms);
/* The definition of a custom kind: objects of a kind that ends are gone, here or there. */
void fapi_due_definition(const struct fapi_kind *k);

/* --- the rest --- */
void fapi_due_status(struct fapi_federation *f, struct fed_str key);                      /* status.h */
void fapi_due_service(struct fapi_federation *f, struct fed_str ns, struct fed_str name); /* endpoints.h */
void fapi_due_services(struct fapi_federation *f);                                        /* all of them */
void fapi_due_edge(const struct fapi_member *m);                                          /* edge.h */
void fapi_due_report(const struct fapi_member *m); /* clusters.c: the Cluster's status, by health and place */
/* member.c: something that a returning cluster waits for may have come about. */
void fapi_due_settle(struct fapi_member *m);

#endif
