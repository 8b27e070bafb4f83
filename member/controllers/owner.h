/* SPDX-License-Identifier: Apache-2.0 */
/* owner.h: what the controllers that own pods (or, a Deployment, ReplicaSets) share: children without an owner are adopted
 * by the set whose selector matches them, and let go when it does not any more; pods are made and deleted with an event
 * and an expectation (job.h), and each change of a child queues its owner.
 *
 * Invariants: after mbr_owner_create or _delete the owner's key is "expecting" until the informer has shown it, so a
 *             reconcile that asks mbr_expect_met first never makes a pod twice. Threads: the loop's.
 */
#ifndef MEMBER_CONTROLLERS_OWNER_H
#define MEMBER_CONTROLLERS_OWNER_H

#include "kube/selector.h"
#include "member/controllers/ctl.h"

/* Queue `queue` with watches of the owners and of what they own. adopts false: no orphan is taken. */
void mbr_owner_init(struct mbr_ctl *c, const char *queue, enum mbr_kind kind, enum mbr_kind owned, bool adopts,
                    mbr_reconcile reconcile);
/* spec.selector of an owner: an object with matchLabels, or a plain map (ReplicationController). */
FED_MUST_USE int mbr_owner_selector(enum mbr_kind kind, struct fed_arena *a, const struct fed_json *owner,
                                    struct fed_selector *out);
/* Takes children without an owner that match, and lets go those of obj that do not match any more (a pod whose label
 * was changed to look into it). fits (may be NULL) has the last word on taking. True when anything is being written: the
 * children change. */
bool mbr_owner_adopt(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_json *tree,
                     bool (*fits)(const struct fed_kobj *obj, const struct fed_kobj *child));
void mbr_owner_create(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_json *pod);
/* Why the last pod of the owner with this key could not be made (a quota, an admission webhook); NULL: it could. */
const char *mbr_owner_refused(const struct mbr_ctl *c, struct fed_str key);
void mbr_owner_forget(struct mbr_ctl *c, struct fed_str key); /* the owner is gone */
void mbr_owner_delete(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *obj, const struct fed_kobj *pod);
/* True when all that was asked for was seen; else the key is queued for when the wait is given up. */
bool mbr_owner_ready(struct mbr_ctl *c, struct fed_str key);
void mbr_owner_release(struct mbr_ctl *c);

#endif
