/* SPDX-License-Identifier: Apache-2.0 */
/* process.h: what Prometheus' clients say of their process (process_*), read from /proc at each scrape.
 *
 * Threads: that of the registry. Failure: what cannot be read stays as it was. */
#ifndef FED_BASE_PROCESS_H
#define FED_BASE_PROCESS_H

#include "base/metrics.h"

struct fed_process_metrics {
    struct fed_metric *cpu, *resident, *size, *start, *files, *max_files;
};
void fed_process_metrics_make(struct fed_process_metrics *p, struct fed_metrics *m);
void fed_process_metrics_scrape(const struct fed_process_metrics *p);

#endif
