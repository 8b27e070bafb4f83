/* SPDX-License-Identifier: Apache-2.0 */
/* replicator_priv.h: the parts of the replicator. copies.c is below definitions.c, and that below replicator.c. */
#ifndef FAPI_CONTROLLERS_REPLICATOR_PRIV_H
#define FAPI_CONTROLLERS_REPLICATOR_PRIV_H

#include "fedapi/controllers/jobs.h"
#include "fedapi/controllers/replicator.h"

struct fapi_replicator {
    struct fapi_member *member;
    struct fed_workqueue *queue;
    struct fapi_jobs jobs;
    bool running;
};

/* --- copies.c --- */

/* State of the member's share in an object. */
struct fapi_share *fapi_replicator_share(struct fapi_replicator *r, const char *key); /* or NULL */
void fapi_replicator_set(struct fapi_replicator *r, const char *key, enum fapi_sync_state state, const char *message);
void fapi_replicator_pending(struct fapi_replicator *r, const char *key); /* a write begins */
void fapi_replicator_conflict(struct fapi_replicator *r, const char *key, const struct fapi_kind *k,
                              struct fed_kobj *hub, const struct fed_kobj *there);
/* what: reason of the event, if this is news. */
void fapi_replicator_failed(struct fapi_replicator *r, const char *key, const char *what, const struct fed_err *err);
struct fed_kobj *fapi_replicator_hub(struct fapi_replicator *r, const char *key, struct fapi_kind **k); /* or NULL */
/* A write of a job ended: notes it at the share. Returns code. what: reason of the event of a failure. */
int fapi_replicator_judge(struct fapi_job *job, int code, const struct fed_err *err, const char *what);
/* Calls of a job under way; each ends it. */
void fapi_replicator_patch(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
                           struct fed_str ns, struct fed_str name, const struct fed_json *patch);
void fapi_replicator_delete(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
                            const struct fed_kobj *hub, const struct fed_kobj *have);
/* Orphaning: the copy stays and becomes its cluster's own. */
void fapi_replicator_unmark(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
                            const struct fed_kobj *have);
/* --- definitions.c --- */

void fapi_definition_use(struct fapi_replicator *r, const char *key, const struct fapi_kind *k, struct fed_kobj *hub,
                         const struct fed_kobj *there);
void fapi_definition_delete(struct fapi_replicator *r, const char *key, struct fed_kobj *have);
bool fapi_definition_serves(struct fapi_replicator *r, const char *key, const struct fapi_kind *k);
bool fapi_definition_has_objects(const struct fapi_member *m, const struct fapi_kind *k, struct fed_str name);

#endif
