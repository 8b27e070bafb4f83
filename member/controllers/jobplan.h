/* SPDX-License-Identifier: Apache-2.0 */
/* jobplan.h: what a Job needs now: pods to make and give up, or its end. Pure.
 *
 * Rules (as the Job controller of Kubernetes): no more active pods than parallelism and than are missing; after a failure
 * a pause of 10 s, doubled with each failure in a row, up to 6 minutes; more failures than backoffLimit, or running
 * longer than activeDeadlineSeconds, end the Job; a Job without completions is complete when a pod succeeded and none
 * runs.
 */
#ifndef MEMBER_CONTROLLERS_JOBPLAN_H
#define MEMBER_CONTROLLERS_JOBPLAN_H

#include "base/arena.h"
#include "base/buf.h"

enum { MBR_JOB_MAX_INDEXES = 100000 };

struct mbr_jobplan {
    /* asked for */
    int64_t parallelism, completions /* -1: none */, backoff_limit, deadline_s /* -1: none */;
    bool indexed, suspended, on_failure; /* on_failure: the pods restart their containers themselves */
    /* seen */
    int64_t succeeded, failed, active, restarts; /* restarts: of the active pods */
    int64_t start_ms, now_ms;                    /* start 0: not started */
    int64_t failures_in_a_row, last_failure_ms;
    bool *completed, *running; /* indexed: `completions` flags each */
    /* the answer */
    const char *ended, *reason, *message; /* condition "Complete" or "Failed"; NULL: goes on */
    int64_t create, remove;               /* pods; all active ones when it ended or is suspended */
    int64_t wait_ms;                      /* look again then; -1: when something changes */
};
void mbr_jobplan_make(struct mbr_jobplan *p);
/* It ends so, whatever its pods say by now. */
void mbr_jobplan_end(struct mbr_jobplan *p, const char *type, const char *reason, const char *message);
/* The next index to make a pod for, from `from` on, or -1. */
int64_t mbr_jobplan_next_index(const struct mbr_jobplan *p, int64_t from);

/* "0-2,5" <-> flags. Numbers past n are left out. */
void mbr_indexes_parse(struct fed_str text, bool *flags, int64_t n);
void mbr_indexes_format(const bool *flags, int64_t n, struct fed_buf *out);

#endif
