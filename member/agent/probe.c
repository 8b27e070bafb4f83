/* SPDX-License-Identifier: Apache-2.0 */
#include "member/agent/probe.h"

enum { EAGER_FIRST_MS = 20, BACKOFF_FIRST_MS = 10000, BACKOFF_MAX_MS = 300000, BACKOFF_FORGET_MS = 600000 };

static uint32_t number(const struct fed_json *spec, const char *key, int64_t dflt, int64_t min)
{
    int64_t v = fed_json_int(fed_json_find(spec, key), dflt);
    return (uint32_t)(v < min ? min : v > 1000000 ? 1000000 : v);
}

void mbr_probe_init(struct mbr_probe *p, enum mbr_probe_kind kind, const struct fed_json *spec)
{
    *p = (struct mbr_probe){
        .kind = kind,
        .delay_ms = number(spec, "initialDelaySeconds", 0, 0) * 1000,
        .period_ms = number(spec, "periodSeconds", 10, 1) * 1000,
        .timeout_ms = number(spec, "timeoutSeconds", 1, 1) * 1000,
        .failure = number(spec, "failureThreshold", 3, 1),
        .success = kind == MBR_PROBE_READINESS ? number(spec, "successThreshold", 1, 1) : 1,
        .eager_ms = kind == MBR_PROBE_LIVENESS ? 0 : EAGER_FIRST_MS,
    };
}

uint32_t mbr_probe_first(const struct mbr_probe *p)
{
    /* A liveness probe has nothing to tell before the process had a period to come up. */
    return p->kind == MBR_PROBE_LIVENESS && p->delay_ms == 0 ? p->period_ms : p->delay_ms;
}

uint32_t mbr_probe_result(struct mbr_probe *p, bool ok, uint64_t now_ms, bool *counted)
{
    *counted = true;
    if (ok) {
        p->eager_ms = 0;
        p->failures = 0;
        if (++p->successes >= p->success)
            p->verdict = MBR_PROBE_PASSED;
        return p->period_ms;
    }
    p->successes = 0;
    if (p->eager_ms) {
        uint32_t wait = p->eager_ms;
        *counted = p->counted_ms == 0 || now_ms - p->counted_ms >= p->period_ms;
        p->eager_ms = p->eager_ms * 2 > p->period_ms ? p->period_ms : p->eager_ms * 2;
        if (*counted) {
            p->counted_ms = now_ms ? now_ms : 1;
            if (++p->failures >= p->failure)
                p->verdict = MBR_PROBE_FAILED;
        }
        return wait;
    }
    if (++p->failures >= p->failure)
        p->verdict = MBR_PROBE_FAILED;
    return p->period_ms;
}

uint32_t mbr_backoff_next(uint32_t *delay_ms, int64_t ran_ms)
{
    if (ran_ms >= BACKOFF_FORGET_MS)
        *delay_ms = 0;
    uint32_t wait = *delay_ms;
    *delay_ms = wait == 0 ? BACKOFF_FIRST_MS : wait * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait * 2;
    return wait;
}
