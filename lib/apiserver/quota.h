/* SPDX-License-Identifier: Apache-2.0 */
/* quota.h: ResourceQuota in the engine: what is used in each namespace that has one, who may still create, and the
 * quotas' status.
 *
 * Model:      for a namespace with quotas, what is used is counted once from the cache and then follows each change, so
 *             a decision costs nothing that grows with the namespace. A create that was admitted holds a reservation
 *             until its change arrives or it failed: decisions are made one after the other on the state thread, so any
 *             number of concurrent creates fill a quota exactly. Several servers on one etcd take turns: quota_guard.h.
 *             status.hard and status.used are written a moment after they changed.
 * Ownership:  reservations live in their operation's arena and are on the namespace's list. Threads: the state thread.
 */
#ifndef FED_APISERVER_QUOTA_H
#define FED_APISERVER_QUOTA_H

#include "apiserver/registry.h"

/* May the write go on? FED_E_FORBIDDEN or FED_E_TOO_MANY with op->err; FED_GUARD_WAITS: go_on(op) asks again, later.
 * Takes a reservation (none for a dry run). */
FED_MUST_USE int fed_quota_admit(struct fed_write_op *op, void (*go_on)(struct fed_write_op *op));
void fed_quota_settle(struct fed_write_op *op); /* committed or not: the reservation ends */
void fed_quota_start(struct fed_api *api);      /* after the load */
void fed_quota_change(struct fed_api *api, const struct fed_change *change);
void fed_quota_release(struct fed_api *api);

#endif
