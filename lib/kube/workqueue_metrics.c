/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/workqueue_metrics.h"

static struct fed_metric *series(const struct fed_workqueue_conf *conf, enum fed_metric_type type, const char *name,
                                 const char *help, int64_t divide)
{
    static const double buckets[] = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000};
    bool histogram = type == FED_METRIC_HISTOGRAM;
    struct fed_str label = fed_str(conf->name);
    struct fed_metric_family *f = fed_metrics_family(
        conf->metrics, type, name, help, "name", histogram ? buckets : NULL, histogram ? FED_ARRAY_LEN(buckets) : 0);
    if (divide)
        fed_metric_family_divide(f, divide);
    return fed_metric_get(f, &label, 1);
}

/* Queues of one name would overwrite each other: each adds its own and takes back what it said before. */
static void collect(struct fed_metrics_collector *c)
{
    struct fed_workqueue_metrics *m = fed_container_of(c, struct fed_workqueue_metrics, collector);
    uint64_t now = fed_mono_ns(m->env), sum = 0, longest = 0;
    for (struct fed_list *l = m->working.next; l != &m->working; l = l->next) {
        uint64_t ns = now - fed_container_of(l, struct fed_workqueue_turn, link)->begun_ns;
        sum += ns;
        longest = FED_MAX(longest, ns);
    }
    fed_metric_add(m->unfinished, (int64_t)(sum / 1000) - m->said_unfinished);
    fed_metric_add(m->longest, (int64_t)(longest / 1000) - m->said_longest);
    m->said_unfinished = (int64_t)(sum / 1000);
    m->said_longest = (int64_t)(longest / 1000);
}

void fed_workqueue_metrics_init(struct fed_workqueue_metrics *m, const struct fed_workqueue_conf *conf)
{
    fed_list_init(&m->working);
    if (!conf->metrics || !conf->name)
        return;
    m->env = conf->env;
    m->depth = series(conf, FED_METRIC_GAUGE, "workqueue_depth", "Keys that wait for a turn.", 0);
    m->adds = series(conf, FED_METRIC_COUNTER, "workqueue_adds_total", "Keys added.", 0);
    m->retries = series(conf, FED_METRIC_COUNTER, "workqueue_retries_total", "Keys to be added later.", 0);
    m->waited = series(conf, FED_METRIC_HISTOGRAM, "workqueue_queue_duration_seconds",
                       "How long keys waited for their turn.", 0);
    m->worked =
        series(conf, FED_METRIC_HISTOGRAM, "workqueue_work_duration_seconds", "How long keys were worked on.", 0);
    m->unfinished = series(conf, FED_METRIC_GAUGE, "workqueue_unfinished_work_seconds",
                           "How long all that is worked on has been so.", 1000000);
    m->longest = series(conf, FED_METRIC_GAUGE, "workqueue_longest_running_processor_seconds",
                        "How long the oldest of that has been worked on.", 1000000);
    m->collector.collect = collect;
    fed_metrics_collect(conf->metrics, &m->collector);
}

void fed_workqueue_metrics_release(struct fed_workqueue_metrics *m)
{
    if (!m->env || !fed_list_linked(&m->collector.link)) /* never, or the registry went first */
        return;
    fed_list_remove(&m->collector.link);
    fed_metric_add(m->unfinished, -m->said_unfinished);
    fed_metric_add(m->longest, -m->said_longest);
    fed_metric_add(m->depth, -m->waiting);
}

void fed_workqueue_metrics_added(struct fed_workqueue_metrics *m, struct fed_workqueue_turn *t)
{
    if (!m->env)
        return;
    t->added_ns = fed_mono_ns(m->env);
    m->waiting++;
    fed_metric_add(m->adds, 1);
    fed_metric_add(m->depth, 1);
}

void fed_workqueue_metrics_begun(struct fed_workqueue_metrics *m, struct fed_workqueue_turn *t)
{
    if (!m->env)
        return;
    t->begun_ns = fed_mono_ns(m->env);
    fed_list_push_back(&m->working, &t->link);
    m->waiting--;
    fed_metric_add(m->depth, -1);
    fed_metric_observe(m->waited, (double)(t->begun_ns - t->added_ns) / 1e9);
}

void fed_workqueue_metrics_done(struct fed_workqueue_metrics *m, struct fed_workqueue_turn *t)
{
    if (!m->env)
        return;
    fed_list_remove(&t->link);
    fed_metric_observe(m->worked, (double)(fed_mono_ns(m->env) - t->begun_ns) / 1e9);
}

void fed_workqueue_metrics_retried(struct fed_workqueue_metrics *m)
{
    if (m->env)
        fed_metric_add(m->retries, 1);
}
