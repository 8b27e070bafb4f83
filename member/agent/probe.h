/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h: when to probe a container next, and what a row of results means. Pure: the times are arguments.
 *
 * Model:   start -> (initialDelay) -> probe -> result -> (period) -> probe… A verdict changes after `failure` failures or
 *          `success` successes in a row. Until the first success a readiness or startup probe is in its eager phase:
 *          repeated after 20 ms doubling up to the period, and only one failure of each period counts.
 */
#ifndef MEMBER_AGENT_PROBE_H
#define MEMBER_AGENT_PROBE_H

#include "codec/json.h"

enum mbr_probe_kind { MBR_PROBE_STARTUP, MBR_PROBE_LIVENESS, MBR_PROBE_READINESS, MBR_N_PROBES };
enum mbr_probe_verdict { MBR_PROBE_UNKNOWN, MBR_PROBE_PASSED, MBR_PROBE_FAILED };

struct mbr_probe {
    enum mbr_probe_kind kind;
    uint32_t delay_ms, period_ms, timeout_ms, failure, success;
    /* state */
    uint32_t failures, successes, eager_ms;
    uint64_t counted_ms; /* when a failure counted last */
    enum mbr_probe_verdict verdict;
};
/* From the spec's probe object. */
void mbr_probe_init(struct mbr_probe *p, enum mbr_probe_kind kind, const struct fed_json *spec);
/* Milliseconds from the container's start to the first probe. */
uint32_t mbr_probe_first(const struct mbr_probe *p);
/* Takes a result; returns milliseconds until the next probe. *counted: the result counts (an event is due). */
uint32_t mbr_probe_result(struct mbr_probe *p, bool ok, uint64_t now_ms, bool *counted);

/* CrashLoopBackOff: milliseconds to wait before the next start; *delay_ms is kept per container (0 at first). A run of
 * ten minutes forgets it. */
uint32_t mbr_backoff_next(uint32_t *delay_ms, int64_t ran_ms);

#endif
