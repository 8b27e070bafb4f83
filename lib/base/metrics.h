/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h: counters, gauges and histograms in the Prometheus text format (version 0.0.4).
 *
 * Model:   a registry holds families; a family has label names; a series is one set of label values. Series are made
 *          once (bounded number) and kept; adding is one relaxed atomic operation.
 * Threads: making families and series, and rendering: the thread of the registry. Adding and setting: any thread.
 */
#ifndef FED_BASE_METRICS_H
#define FED_BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"

struct fed_metrics;       /* registry */
struct fed_metric_family; /* borrowed from the registry */
struct fed_metric;        /* one series, borrowed from the registry */
enum fed_metric_type { FED_METRIC_COUNTER, FED_METRIC_GAUGE, FED_METRIC_HISTOGRAM };

struct fed_metrics *fed_metrics_new(void);
void fed_metrics_free(struct fed_metrics *m);

/* labels: comma-separated names, "" for none. buckets: ascending upper bounds for a histogram, else NULL. */
struct fed_metric_family *fed_metrics_family(struct fed_metrics *m, enum fed_metric_type type, const char *name,
                                             const char *help, const char *labels, const double *buckets,
                                             size_t n_buckets);
/* The series with these label values (as many as names); made at first use. Beyond 1,000 series of a family all new
 * sets share one series with every label "overflow". */
struct fed_metric *fed_metric_get(struct fed_metric_family *f, const struct fed_str *values, size_t n);
/* Values are kept as integers and shown divided: seconds that are counted in milliseconds. */
void fed_metric_family_divide(struct fed_metric_family *f, int64_t by);
/* A family without labels and its one series. */
struct fed_metric *fed_metrics_counter(struct fed_metrics *m, const char *name, const char *help);
struct fed_metric *fed_metrics_gauge(struct fed_metrics *m, const char *name, const char *help);

void fed_metric_add(struct fed_metric *s, int64_t v); /* counter or gauge */
void fed_metric_set(struct fed_metric *s, int64_t v); /* gauge */
/* A counter whose total is kept elsewhere: raises it to `total`, never lowers it. One thread. */
void fed_metric_raise(struct fed_metric *s, uint64_t total);
void fed_metric_observe(struct fed_metric *s, double v); /* histogram */
int64_t fed_metric_value(const struct fed_metric *s);    /* for tests and status */

/* What is only known when somebody asks: collect(c) is called before each rendering. The caller's memory; out by
 * fed_list_remove(&c->link), or when the registry is freed. */
struct fed_metrics_collector {
    struct fed_list link;
    void (*collect)(struct fed_metrics_collector *c);
};
void fed_metrics_collect(struct fed_metrics *m, struct fed_metrics_collector *c);
void fed_metrics_render(struct fed_metrics *m, struct fed_buf *out);

#endif
