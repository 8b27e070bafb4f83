/* SPDX-License-Identifier: Apache-2.0 */
/* workqueue.h: keys to reconcile: coalesced, never two workers on one key, failures retried with back-off.
 *
 * Model:   add(key) -> ready -> work(key) called -> done(key, again?) . A key added while it is worked on is worked on
 *          again afterwards. Back-off per key: base 5 ms doubling to 30 s (times jitter 0.8–1.2), reset on success.
 * Bounds:  keys coalesce, so the queue is bounded by the number of objects. Threads: the env's.
 */
#ifndef FED_KUBE_WORKQUEUE_H
#define FED_KUBE_WORKQUEUE_H

#include "base/env.h"
#include "base/metrics.h"
#include "base/str.h"

struct fed_workqueue;
struct fed_workqueue_conf {
    struct fed_env *env;
    const char *name;            /* for metrics and logs */
    struct fed_metrics *metrics; /* workqueue_* with this name, as controllers of Kubernetes have; NULL: none */
    uint32_t concurrency;        /* keys worked on at once; 0: 8 */
    uint32_t base_ms, max_ms;    /* back-off; 0: 5 and 30,000 */
    /* Starts work on the key (valid until done). Must call fed_workqueue_done exactly once, now or later. */
    void (*work)(void *ud, const char *key);
    void *ud;
};
struct fed_workqueue *fed_workqueue_new(const struct fed_workqueue_conf *conf);
void fed_workqueue_free(struct fed_workqueue *q); /* late fed_workqueue_done calls are the caller's to prevent */
void fed_workqueue_add(struct fed_workqueue *q, struct fed_str key);
void fed_workqueue_add_after(struct fed_workqueue *q, struct fed_str key, uint64_t delay_ms); /* earliest wins */
/* code 0: done, back-off forgotten. Otherwise the key is tried again after its back-off. */
void fed_workqueue_done(struct fed_workqueue *q, const char *key, int code);
size_t fed_workqueue_depth(const struct fed_workqueue *q);
bool fed_workqueue_idle(const struct fed_workqueue *q); /* nothing ready, running or delayed */

#endif
