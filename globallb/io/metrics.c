/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: /metrics, /healthz, /readyz. Workers count for themselves; sums are made when somebody asks. */
#include <stdio.h>

#include "base/mem.h"
#include "globallb/io/server_priv.h"

static const double buckets[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

struct sum_row {
    const char *name, *help;
    size_t offset;
    enum fed_metric_type type;
};
#define COUNT(member) offsetof(struct glb_counters, member)
static const struct sum_row rows[] = {
    {"hansa_globallb_retries_total", "Requests sent again after a failed try.", COUNT(retries), FED_METRIC_COUNTER},
    {"hansa_globallb_hedges_total", "Requests sent a second time because the first place was silent.", COUNT(hedges),
     FED_METRIC_COUNTER},
    {"hansa_globallb_hedges_won_total", "Requests whose second try answered first.", COUNT(hedges_won),
     FED_METRIC_COUNTER},
    {"hansa_globallb_hedges_denied_total", "Second tries that the budget did not allow.", COUNT(hedges_denied),
     FED_METRIC_COUNTER},
    {"hansa_globallb_ejections_total", "Targets taken out because requests to them failed.", COUNT(ejections),
     FED_METRIC_COUNTER},
    {"hansa_globallb_cut_answers_total", "Answers that a backend did not complete.", COUNT(resets), FED_METRIC_COUNTER},
    {"hansa_globallb_backend_connects_total", "Connections begun to backends.", COUNT(connects), FED_METRIC_COUNTER},
    {"hansa_globallb_backend_connect_failures_total", "Connections to backends that failed.", COUNT(connect_failures),
     FED_METRIC_COUNTER},
    {"hansa_globallb_backend_reuses_total", "Requests sent on a connection kept from before.", COUNT(reused),
     FED_METRIC_COUNTER},
    {"hansa_globallb_client_connections_total", "Connections accepted from clients.", COUNT(clients_total),
     FED_METRIC_COUNTER},
    {"hansa_globallb_in_flight", "Requests under way.", COUNT(in_flight), FED_METRIC_GAUGE},
    {"hansa_globallb_client_connections", "Connections of clients now.", COUNT(clients), FED_METRIC_GAUGE},
    {"hansa_globallb_backend_connections", "Connections to backends now.", COUNT(connections), FED_METRIC_GAUGE},
    {"hansa_globallb_backend_idle_connections", "Connections to backends that wait for a request.",
     COUNT(idle_connections), FED_METRIC_GAUGE},
};

struct glb_metrics {
    struct fed_metrics *registry;
    struct fed_metric_family *requests, *latency, *cluster_in_flight;
    struct fed_metric *sums[FED_ARRAY_LEN(rows)];
    struct fed_metric *reload_failures;
    struct fed_edge_metrics *traffic;
    struct fed_edge_page *page; /* NULL: nobody asks */
};

void glb_metrics_init(struct glb_server *s)
{
    struct glb_metrics *m = s->metrics = FED_NEW(struct glb_metrics);
    struct fed_metrics *r = m->registry = fed_metrics_new();
    m->requests = fed_metrics_family(r, FED_METRIC_COUNTER, "hansa_globallb_requests_total",
                                     "Requests by status and by the cluster that answered (empty: we did).",
                                     "code,cluster", NULL, 0);
    m->latency = fed_metrics_family(r, FED_METRIC_HISTOGRAM, "hansa_globallb_request_seconds",
                                    "Time from a request's head to the end of its answer.", "worker", buckets,
                                    FED_ARRAY_LEN(buckets));
    m->cluster_in_flight = fed_metrics_family(r, FED_METRIC_GAUGE, "hansa_globallb_cluster_in_flight",
                                              "Tries under way to a cluster.", "cluster", NULL, 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++)
        m->sums[i] = rows[i].type == FED_METRIC_GAUGE ? fed_metrics_gauge(r, rows[i].name, rows[i].help)
                                                      : fed_metrics_counter(r, rows[i].name, rows[i].help);
    m->traffic = fed_edge_metrics_new(r);
    m->reload_failures =
        fed_metrics_counter(r, "hansa_globallb_reload_failures_total", "Settings refused at a reload.");
}

struct fed_metric *glb_metrics_latency(struct glb_server *s, size_t worker)
{
    char text[24];
    snprintf(text, sizeof(text), "%zu", worker);
    return fed_metric_get(s->metrics->latency, (struct fed_str[]){fed_str(text)}, 1);
}

static int64_t sum(const struct glb_server *s, size_t offset)
{
    int64_t total = 0;
    for (size_t i = 0; i < s->shared.n_workers; i++)
        total += atomic_load_explicit(
            (const atomic_int_fast64_t *)((const char *)glb_worker_counters(s->shared.workers[i]) + offset),
            memory_order_relaxed);
    return total;
}

static void collect_codes(struct glb_server *s, uint16_t slot, struct fed_str cluster)
{
    for (unsigned code = 0; code < GLB_CODES; code++) {
        uint64_t total = 0;
        for (size_t i = 0; i < s->shared.n_workers; i++) {
            const struct glb_codes *c =
                atomic_load_explicit(&glb_worker_counters(s->shared.workers[i])->codes[slot], memory_order_acquire);
            total += c ? atomic_load_explicit(&c->n[code], memory_order_relaxed) : 0;
        }
        if (!total)
            continue;
        char text[16];
        snprintf(text, sizeof(text), "%u", code + 100);
        fed_metric_raise(fed_metric_get(s->metrics->requests, (struct fed_str[]){fed_str(text), cluster}, 2), total);
    }
}

static void collect_clusters(struct glb_server *s)
{
    for (size_t slot = 0; slot < fed_targets_slots(s->targets); slot++) {
        struct fed_str name = fed_targets_slot_name(s->targets, (uint16_t)slot);
        int64_t n = 0;
        for (size_t i = 0; i < s->shared.n_workers; i++)
            n += atomic_load_explicit(&glb_worker_counters(s->shared.workers[i])->cluster_in_flight[slot],
                                      memory_order_relaxed);
        fed_metric_set(fed_metric_get(s->metrics->cluster_in_flight, &name, 1), n);
        collect_codes(s, (uint16_t)slot, name);
    }
    collect_codes(s, FED_MAX_CLUSTERS, FED_STR(""));
}

static void collect(void *ud)
{
    struct glb_server *s = ud;
    struct glb_metrics *m = s->metrics;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        if (rows[i].type == FED_METRIC_GAUGE)
            fed_metric_set(m->sums[i], sum(s, rows[i].offset));
        else
            fed_metric_raise(m->sums[i], (uint64_t)sum(s, rows[i].offset));
    }
    fed_metric_raise(m->reload_failures, s->reload_failures);
    collect_clusters(s);
}

int glb_metrics_open(struct glb_server *s, struct fed_err *err)
{
    struct glb_metrics *m = s->metrics;
    if (!s->setup->set.metrics)
        return 0;
    return fed_edge_page_open(&(struct fed_edge_page_conf){.loop = s->loop,
                                                           .address = s->setup->set.metrics,
                                                           .routing = &s->shared.routing,
                                                           .registry = m->registry,
                                                           .metrics = m->traffic,
                                                           .edge = &s->edge,
                                                           .collect = collect,
                                                           .ud = s},
                              &m->page, err);
}

void glb_metrics_close(struct glb_server *s)
{
    struct glb_metrics *m = s->metrics;
    fed_edge_page_close(m->page);
    fed_edge_metrics_free(m->traffic);
    fed_metrics_free(m->registry);
    free(m);
    s->metrics = NULL;
}
