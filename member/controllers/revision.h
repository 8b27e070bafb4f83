/* SPDX-License-Identifier: Apache-2.0 */
/* revision.h: the history of a StatefulSet's or DaemonSet's template as ControllerRevisions, which `kubectl rollout
 * history` shows and `kubectl rollout undo` applies: data is a strategic merge patch of the owner.
 *
 * Model:      one revision for each template that was; the newest number is the current one, so a template that comes back
 *             gets its old revision with a new number. Older ones than revisionHistoryLimit are deleted unless pods
 *             still have them.
 * Ownership:  all lives in the job's arena or is borrowed from the informer. Threads: the loop's.
 */
#ifndef MEMBER_CONTROLLERS_REVISION_H
#define MEMBER_CONTROLLERS_REVISION_H

#include "member/controllers/ctl.h"

struct mbr_revision {
    struct fed_kobj *obj;
    const struct fed_json *data;
    int64_t number;
};
struct mbr_revisions {
    struct mbr_revision *list; /* oldest first */
    size_t n;
    struct fed_str name, hash; /* of the current template; the object may be on its way */
    bool adopting;             /* those that were left are being taken: nothing else is to be done now */
};
/* Finds or makes the revision of spec.template of `tree`, the whole owner. */
void mbr_revisions_sync(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *owner,
                        const struct fed_json *tree, struct mbr_revisions *out);
/* The template of the revision of that name, new in the arena; NULL: not there. */
struct fed_json *mbr_revision_template(struct fed_arena *a, const struct mbr_revisions *r, struct fed_str name);
/* Deletes what is past the limit; live: names or hashes that pods bear. */
void mbr_revisions_forget(struct mbr_job *job, const struct mbr_revisions *r, const struct fed_json *spec,
                          const struct fed_str *live, size_t n_live);

#endif
