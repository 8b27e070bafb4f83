/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/cronplan.h"

enum { MANY = 100 };

void mbr_cronplan_make(struct mbr_cronplan *p)
{
    int missed;
    p->start = p->next = -1;
    p->replace = p->held = p->too_late = p->many_missed = false;
    if (p->suspended)
        return;
    p->next = fed_cron_next(p->cron, p->zone, p->now);
    if (p->cron->every_s) /* counted from the last time, not from now */
        p->next = p->since + ((p->now - p->since) / p->cron->every_s + 1) * p->cron->every_s;
    int64_t due = fed_cron_last(p->cron, p->zone, p->since, p->now, &missed);
    p->many_missed = missed > MANY;
    if (due < 0)
        return;
    if (p->deadline >= 0 && due + p->deadline < p->now) {
        p->too_late = true;
        return;
    }
    if (p->policy == MBR_CRON_FORBID && p->active) {
        p->held = true;
        return;
    }
    p->replace = p->policy == MBR_CRON_REPLACE && p->active;
    p->start = due;
}
