/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/probe_rule.h"

#define HOLD_MS           1000
#define HOLD_MAX_MS       30000
#define PASSIVE_FORGET_MS 60000

void fed_probe_sent(struct fed_probe_seen *p, uint64_t now)
{
    if (!p->unanswered++)
        p->silent_since = now;
}

static void heard(struct fed_probe_seen *p, uint64_t now)
{
    p->heard_at = now;
    p->unanswered = 0;
    p->silent_since = 0;
}

void fed_probe_answered(struct fed_probe_seen *p, uint64_t now)
{
    heard(p, now);
    p->answers_run++;
    p->refused_run = 0;
}

void fed_probe_refused(struct fed_probe_seen *p, uint64_t now)
{
    heard(p, now);
    p->refused_run++;
    p->answers_run = 0;
}

void fed_probe_passive_down(struct fed_probe_seen *p, uint64_t now)
{
    if (p->passive_at && now - p->passive_at < PASSIVE_FORGET_MS)
        p->passive_run++;
    else
        p->passive_run = 0;
    uint64_t hold = (uint64_t)HOLD_MS << (p->passive_run < 5 ? p->passive_run : 5);
    p->hold_until = now + FED_MIN(hold, (uint64_t)HOLD_MAX_MS);
    p->passive_at = now;
    p->answers_run = 0;
}

void fed_probe_forgive(struct fed_probe_seen *p, uint64_t ms)
{
    if (p->silent_since)
        p->silent_since += ms;
}

enum fed_probe_verdict fed_probe_judge(const struct fed_probe_seen *p, enum fed_health was, uint64_t now,
                                       uint32_t timeout_ms)
{
    if (was != FED_HEALTH_DOWN) {
        if (p->refused_run >= 2)
            return FED_PROBE_DOWN;
        if (p->unanswered >= 2 && now >= p->silent_since && now - p->silent_since >= timeout_ms)
            return FED_PROBE_SILENT;
    }
    if (was == FED_HEALTH_UNKNOWN && p->answers_run >= 1)
        return FED_PROBE_UP;
    if (was == FED_HEALTH_DOWN && p->answers_run >= 2 && now >= p->hold_until)
        return FED_PROBE_UP;
    return FED_PROBE_KEEP;
}

bool fed_probe_witness(const struct fed_probe_place *places, size_t n, uint16_t own, uint16_t cluster, uint64_t since)
{
    bool other_up = false;
    if (cluster == own)
        return true;
    for (size_t i = 0; i < n; i++) {
        if (i == own)
            continue;
        if (places[i].heard_at >= since && places[i].heard_at)
            return true;
        if (i != cluster && places[i].up)
            other_up = true;
    }
    return !other_up;
}
