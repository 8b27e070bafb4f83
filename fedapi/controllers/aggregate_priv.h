/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate_priv.h: statuses whose parts are not only summed: Jobs, CronJobs, claims. Pure. */
#ifndef FAPI_CONTROLLERS_AGGREGATE_PRIV_H
#define FAPI_CONTROLLERS_AGGREGATE_PRIV_H

#include "fedapi/controllers/aggregate.h"

/* The latest (or earliest) of a time in all clusters' statuses; the member is taken out when none has it. */
void fapi_aggregate_times(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status,
                          const char *key, bool latest);
void fapi_aggregate_job(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status);
void fapi_aggregate_cronjob(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status);
void fapi_aggregate_claim(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status);
/* aggregate_custom.c: of an object of a kind that users defined. NULL: it stays as it is. */
struct fed_json *fapi_aggregate_custom(struct fed_arena *a, const struct fapi_aggregate_in *in);
/* A cluster's status for the annotation; NULL: none, or too much of it. *room: bytes that are left. */
struct fed_json *fapi_aggregate_shown(struct fed_arena *a, const struct fapi_aggregate_in *in,
                                      const struct fapi_report *r, size_t *room);
/* Every cluster has what was decided, and its controllers have looked at it. */
static inline bool fapi_aggregate_observed(const struct fapi_aggregate_in *in)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct fapi_report *r = &in->reports[i];
        int64_t generation = fed_json_int(fed_json_at(r->object, "metadata", "generation", NULL), 0);
        int64_t observed = fed_json_int(fed_json_at(r->object, "status", "observedGeneration", NULL), 0);
        if (!fed_str_is(fed_str(r->state), "Synced") || observed < generation)
            return false;
    }
    return in->n > 0;
}

#endif
