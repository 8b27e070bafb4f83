/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.h: API calls made while a key of a work queue is worked on, so that all of them can be called off together.
 *
 * Ownership: a job frees itself when its last call answered; fapi_jobs_cancel frees those that still run, without
 *            telling their queue. Threads: the state thread.
 */
#ifndef FAPI_CONTROLLERS_JOBS_H
#define FAPI_CONTROLLERS_JOBS_H

#include "base/list.h"
#include "kube/client.h"
#include "kube/workqueue.h"

#define FAPI_JOB_GOES_ON 1 /* finish started another call in job->call */

struct fapi_job {
    struct fed_list link;
    struct fed_workqueue *queue;
    char *key;
    void *ud;
    struct fed_call *call;
    /* Judges the answer: the code for fed_workqueue_done, or FAPI_JOB_GOES_ON. NULL: the code of the answer. */
    int (*finish)(struct fapi_job *job, int code, const struct fed_call_response *res, const struct fed_err *err);
};
struct fapi_jobs {
    struct fed_list running;
};
void fapi_jobs_init(struct fapi_jobs *jobs);
void fapi_jobs_cancel(struct fapi_jobs *jobs);
struct fapi_job *fapi_job_new(struct fapi_jobs *jobs, struct fed_workqueue *queue, const char *key, void *ud);
/* The fed_call_cb of a job's calls; ud = the job. */
void fapi_job_answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err);

#endif
