/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h: asks every target, again and again, whether it is there, and writes the words of targets and clusters.
 *
 * Model:      each probed target is asked every `interval_ms`; an answer is awaited for `timeout_ms`. Questions overlap:
 *             the next is sent whether or not the last was answered. Pure rules (probe_rule.h) turn what was seen into
 *             a word:
 *               down  after 2 refusals in a row (the second is asked 50 ms after the first), or when nothing was heard
 *                     for timeout_ms although at least 2 questions were sent: at most 650 ms after the loss by default
 *               up    after 2 answers in a row (1 from UNKNOWN)
 *             A cluster is lost when every edge target of it (balancer: GET /hansa/healthz; DNS server: a query) is down.
 * Self-suspicion: silence from outside our own cluster counts only if something of yet another foreign cluster was
 *             heard since the silence began (an answer, or a refusal: the network works), or if no other foreign cluster
 *             was up anyway. Else the last good state is kept and `suspects_self` is raised.
 * Bounds:     at most 8,000 questions a second: with more targets the interval grows. One socket a question.
 * Threads:    the loop's (control thread).
 */
#ifndef FED_TRAFFIC_PROBE_H
#define FED_TRAFFIC_PROBE_H

#include "net/loop.h"
#include "traffic/snapshot.h"

struct fed_prober;
struct fed_prober_conf {
    struct fed_loop *loop;
    struct fed_targets *targets;
    const char *own_cluster;                                                                    /* NULL: none */
    uint32_t interval_ms;                                                                       /* 0: 250 */
    uint32_t timeout_ms;                                                                        /* 0: 400 */
    void (*changed)(void *ud, const struct fed_target *t, enum fed_health was);                 /* may be NULL */
    void (*cluster_changed)(void *ud, uint16_t slot, enum fed_health was, enum fed_health now); /* may be NULL */
    void *ud;
};
struct fed_prober *fed_prober_new(const struct fed_prober_conf *conf);
void fed_prober_free(struct fed_prober *p);
bool fed_prober_suspects_self(const struct fed_prober *p);

struct fed_prober_stats {
    uint64_t sent, answered, refused, silent, suspicions;
    size_t targets, targets_down, clusters_down;
};
void fed_prober_stats(const struct fed_prober *p, struct fed_prober_stats *out);

#endif
