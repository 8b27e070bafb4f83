/* SPDX-License-Identifier: Apache-2.0 */
/* workqueue_metrics.h: what a queue tells of itself, by the names that Kubernetes' controllers use. Queues of one name share their series.
 * Without a registry nothing is counted, and no clock is read. Threads: the queue's. */
#ifndef FED_KUBE_WORKQUEUE_METRICS_H
#define FED_KUBE_WORKQUEUE_METRICS_H

#include "kube/workqueue.h"

struct fed_workqueue_metrics {
    struct fed_metrics_collector collector;
    struct fed_env *env; /* NULL: none is wanted */
    struct fed_metric *depth, *adds, *retries, *waited, *worked, *unfinished, *longest;
    struct fed_list working;                        /* of struct fed_workqueue_turn */
    int64_t waiting, said_unfinished, said_longest; /* this queue's part of the series, times in microseconds */
};
struct fed_workqueue_turn { /* of one item */
    struct fed_list link;   /* while it is worked on */
    uint64_t added_ns, begun_ns;
};

void fed_workqueue_metrics_init(struct fed_workqueue_metrics *m, const struct fed_workqueue_conf *conf);
void fed_workqueue_metrics_release(struct fed_workqueue_metrics *m);
void fed_workqueue_metrics_added(struct fed_workqueue_metrics *m, struct fed_workqueue_turn *t);
void fed_workqueue_metrics_begun(struct fed_workqueue_metrics *m, struct fed_workqueue_turn *t);
void fed_workqueue_metrics_done(struct fed_workqueue_metrics *m, struct fed_workqueue_turn *t);
void fed_workqueue_metrics_retried(struct fed_workqueue_metrics *m);

#endif
