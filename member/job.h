/* SPDX-License-Identifier: Apache-2.0 */
/* job.h: one reconcile of one key: an arena, and writes under way; when the last is answered the key is done.
 *
 * Ownership: a job frees itself when its last hold is dropped; it starts with one hold, the reconciler's own, dropped by
 *            mbr_job_end. Trees given to writes may live in the job's arena. m->jobs lists all, for the shutdown.
 * Order:     the key of a job that wrote is done when the informers were told of the writes: two turns of the tasks after
 *            the last answer, which comes before them (watch.c, fan_out_soon). A key looked at in between would be looked
 *            at as it was before, and what was said of the write would be said twice.
 * Failure:   the worst code of its writes decides whether the key is tried again. A delete of what is gone, and a create
 *            of what is there already, count as done: the informers will show it.
 */
#ifndef MEMBER_JOB_H
#define MEMBER_JOB_H

#include "member/member.h"

struct mbr_said;  /* an event that waits */
struct mbr_write; /* one write that is under way */
struct mbr_job {
    struct fed_list link;
    struct mbr *m;
    struct fed_workqueue *queue;
    char *key;
    unsigned holds;
    bool wrote;
    int code;
    struct mbr_write *last; /* the write asked for last */
    struct fed_task over;
    struct fed_arena arena;
};
struct mbr_job *mbr_job_new(struct mbr *m, struct fed_workqueue *queue, const char *key);
void mbr_job_end(struct mbr_job *job, int code);
void mbr_job_create(struct mbr_job *job, enum mbr_kind kind, struct fed_str ns, const struct fed_json *obj);
/* The same, telling whether it worked (err is NULL then), once and while the job lives. */
void mbr_job_create_told(struct mbr_job *job, enum mbr_kind kind, struct fed_str ns, const struct fed_json *obj,
                         void (*told)(void *ud, const char *key, const struct fed_err *err), void *ud);
/* PUT with the resourceVersion that obj carries; a conflict is tried again from the new state. */
void mbr_job_update(struct mbr_job *job, enum mbr_kind kind, const struct fed_json *obj, const char *sub);
/* Creates it, or updates what is there when the labels or one of these members (a list that ends with NULL) differ; annotations go with such a
 * write, but are no reason for one. */
void mbr_job_put(struct mbr_job *job, enum mbr_kind kind, struct fed_json *want, const char *const *keys);
void mbr_job_merge(struct mbr_job *job, enum mbr_kind kind, struct fed_str ns, struct fed_str name, const char *sub,
                   const struct fed_json *patch);
/* The same of a resource that is not among ours. */
void mbr_job_merge_of(struct mbr_job *job, const struct fed_resource *r, struct fed_str ns, struct fed_str name,
                      const char *sub, const struct fed_json *patch);
/* The members of `status` into the object's; null removes one. */
void mbr_job_merge_status(struct mbr_job *job, enum mbr_kind kind, const struct fed_kobj *obj, struct fed_json *status);
/* The whole status, by the revision that `tree` carries; nothing when the tree has it already. Steals status. */
void mbr_job_update_status(struct mbr_job *job, enum mbr_kind kind, struct fed_json *tree, struct fed_json *status);
void mbr_job_delete(struct mbr_job *job, enum mbr_kind kind, const struct fed_kobj *obj);
/* The status with the condition DisruptionTarget, which tells why the pod is deleted next; NULL: it says so already. */
struct fed_json *mbr_disruption(struct fed_arena *a, const struct fed_kobj *pod, const char *reason,
                                const char *message, int64_t now_ms);
/* Writes it. */
void mbr_job_disrupt(struct mbr_job *job, const struct fed_kobj *pod, const char *reason, const char *message);
/* Without a grace period: nobody is there to end it. */
void mbr_job_delete_now(struct mbr_job *job, enum mbr_kind kind, const struct fed_kobj *obj);
/* An event about what was written last: told when that has succeeded. Before any write it is told at once. */
void mbr_job_normal(struct mbr_job *job, struct fed_recorder *r, const struct fed_kobj *about, const char *reason,
                    const char *fmt, ...) FED_PRINTF(5, 6);
void mbr_job_warning(struct mbr_job *job, struct fed_recorder *r, const struct fed_kobj *about, const char *reason,
                     const char *fmt, ...) FED_PRINTF(5, 6);
void mbr_jobs_release(struct mbr *m); /* after the transport was freed: no answer comes any more */

/* A copy of the tree's status to be changed; empty where there is none. */
struct fed_json *mbr_status_copy(struct fed_arena *a, const struct fed_json *tree);
/* Sets status[key] = v, or removes it when 0, as a merge patch needs it. */
void mbr_patch_count(struct fed_arena *a, struct fed_json *status, const char *key, int64_t v);
/* Only what differs from `now` of the members of `status` remains; false when nothing does. */
bool mbr_patch_differs(const struct fed_json *now, const struct fed_json *status);

/* Pods asked for or deleted and not yet seen by the informer, per owner key: a reconcile waits for them, so that a
 * stale informer never makes two pods for one. Given up after 30 s. */
struct mbr_expect {
    struct fed_map keys;
};
void mbr_expect_add(struct mbr_expect *e, struct fed_env *env, struct fed_str key, int creates, int deletes);
void mbr_expect_created(struct mbr_expect *e, struct fed_str key);
void mbr_expect_deleted(struct mbr_expect *e, struct fed_str key);
bool mbr_expect_met(struct mbr_expect *e, struct fed_env *env, struct fed_str key);
void mbr_expect_forget(struct mbr_expect *e, struct fed_str key);
void mbr_expect_release(struct mbr_expect *e);

#endif
