/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/jobs.h"

#include <stdlib.h>

#include "base/mem.h"

static void free_job(struct fapi_job *job)
{
    fed_list_remove(&job->link);
    free(job->key);
    free(job);
}

void fapi_jobs_init(struct fapi_jobs *jobs)
{
    fed_list_init(&jobs->running);
}

void fapi_jobs_cancel(struct fapi_jobs *jobs)
{
    while (!fed_list_empty(&jobs->running)) {
        struct fapi_job *job = FED_LIST_ENTRY(jobs->running.next, struct fapi_job, link);
        fed_call_cancel(job->call);
        free_job(job);
    }
}

struct fapi_job *fapi_job_new(struct fapi_jobs *jobs, struct fed_workqueue *queue, const char *key, void *ud)
{
    struct fapi_job *job = FED_NEW(struct fapi_job);
    job->queue = queue;
    job->key = fed_strdup(key);
    job->ud = ud;
    fed_list_push_back(&jobs->running, &job->link);
    return job;
}

void fapi_job_answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct fapi_job *job = ud;
    job->call = NULL;
    if (job->finish)
        code = job->finish(job, code, res, err);
    if (code == FAPI_JOB_GOES_ON)
        return;
    fed_workqueue_done(job->queue, job->key, code);
    free_job(job);
}
