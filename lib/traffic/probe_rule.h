/* SPDX-License-Identifier: Apache-2.0 */
/* probe_rule.h: when is a target up or down, from what its questions brought: pure.
 *
 *   down  2 refusals in a row; or silence: at least 2 questions unanswered and the first of them older than timeout
 *   up    2 answers in a row, 1 from UNKNOWN; after a passive down (a worker's report) not before `hold_until`
 *
 * The silence that makes DOWN still needs a witness that the network works (fed_probe_witness): the prober asks. */
#ifndef FED_TRAFFIC_PROBE_RULE_H
#define FED_TRAFFIC_PROBE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "traffic/target.h"

struct fed_probe_seen {    /* zero-initialised = nothing yet; times in ms */
    uint64_t silent_since; /* when the first question without answer was sent; 0: none */
    uint32_t unanswered;
    uint32_t answers_run, refused_run;
    uint64_t heard_at; /* last answer or refusal */
    uint64_t hold_until, passive_at;
    uint32_t passive_run; /* passive downs close to one another: each doubles the hold */
};
void fed_probe_sent(struct fed_probe_seen *p, uint64_t now);
void fed_probe_answered(struct fed_probe_seen *p, uint64_t now);
void fed_probe_refused(struct fed_probe_seen *p, uint64_t now);
void fed_probe_passive_down(struct fed_probe_seen *p, uint64_t now);
/* Our own thread stood still for so long: silence during it says nothing. */
void fed_probe_forgive(struct fed_probe_seen *p, uint64_t ms);

enum fed_probe_verdict {
    FED_PROBE_KEEP,
    FED_PROBE_UP,
    FED_PROBE_DOWN,
    FED_PROBE_SILENT /* DOWN if there is a witness */
};
enum fed_probe_verdict fed_probe_judge(const struct fed_probe_seen *p, enum fed_health was, uint64_t now,
                                       uint32_t timeout_ms);

struct fed_probe_place { /* of one cluster */
    bool up;             /* some probed target of it is not down */
    uint64_t heard_at;   /* the last time that anything of it was heard */
};
/* May silence of something in `cluster` since `since` be believed? places[own] never witnesses for others. True when
 * anything foreign was heard since, or when no other foreign cluster was up anyway. */
bool fed_probe_witness(const struct fed_probe_place *places, size_t n, uint16_t own, uint16_t cluster, uint64_t since);

#endif
