/* SPDX-License-Identifier: Apache-2.0 */
/* cronplan.h: what a CronJob does now: start a Job for which time, hold back, or wait. Pure; times in seconds. */
#ifndef MEMBER_CONTROLLERS_CRONPLAN_H
#define MEMBER_CONTROLLERS_CRONPLAN_H

#include "kube/cron.h"

enum mbr_cron_policy { MBR_CRON_ALLOW, MBR_CRON_FORBID, MBR_CRON_REPLACE };
struct mbr_cronplan {
    const struct fed_cron *cron;
    const struct fed_zone *zone;
    enum mbr_cron_policy policy;
    bool suspended;
    int64_t now, since /* last time scheduled, else created */, deadline /* startingDeadlineSeconds; -1: none */;
    size_t active; /* Jobs that run */
    /* the answer */
    int64_t start;                    /* the time to start a Job for, or -1 */
    bool replace;                     /* delete the active ones first */
    bool held, too_late, many_missed; /* why not, for events: forbidden by a running one; past the deadline; clock? */
    int64_t next;                     /* look again at this second, or -1 */
};
void mbr_cronplan_make(struct mbr_cronplan *p);

#endif
