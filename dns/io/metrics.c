/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: what is counted. Workers count for themselves; sums are made when somebody asks. */
#include "base/mem.h"
#include "dns/io/server_priv.h"

static const char *const rcode_names[GDNS_COUNT_RCODES] = {
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "6",  "7",      "8",
    "NOTAUTH", "10",      "11",       "12",       "13",     "14",      "15", "BADVERS"};

struct gdns_metrics {
    struct fed_metrics *registry;
    struct fed_metric *queries[2], *rcodes[GDNS_COUNT_RCODES], *truncated, *ecs, *dropped, *tcp_connections;
    struct fed_metric *reload_failures;
    struct fed_edge_metrics *traffic;
    struct fed_edge_page *page;
};

static void make(struct gdns_metrics *m)
{
    struct fed_metrics *r = m->registry = fed_metrics_new();
    struct fed_metric_family *f =
        fed_metrics_family(r, FED_METRIC_COUNTER, "hansa_dns_queries_total", "Queries received.", "transport", NULL, 0);
    m->queries[0] = fed_metric_get(f, (struct fed_str[]){FED_STR("udp")}, 1);
    m->queries[1] = fed_metric_get(f, (struct fed_str[]){FED_STR("tcp")}, 1);
    f = fed_metrics_family(r, FED_METRIC_COUNTER, "hansa_dns_answers_total", "Answers by response code.", "rcode", NULL,
                           0);
    for (size_t i = 0; i < GDNS_COUNT_RCODES; i++)
        m->rcodes[i] = fed_metric_get(f, (struct fed_str[]){fed_str(rcode_names[i])}, 1);
    m->truncated =
        fed_metrics_counter(r, "hansa_dns_truncated_total", "Answers that did not fit and went out empty with TC.");
    m->ecs = fed_metrics_counter(r, "hansa_dns_client_subnet_total", "Queries with a client subnet.");
    m->dropped = fed_metrics_counter(r, "hansa_dns_dropped_total", "Messages that deserve no answer.");
    m->tcp_connections = fed_metrics_counter(r, "hansa_dns_tcp_connections_total", "TCP connections accepted.");
    m->traffic = fed_edge_metrics_new(r);
    m->reload_failures = fed_metrics_counter(r, "hansa_dns_reload_failures_total", "Settings refused at a reload.");
}

static uint64_t sum(const struct gdns_server *s, size_t offset)
{
    uint64_t total = 0;
    for (size_t i = 0; i < s->n_workers; i++) {
        const struct gdns_counters *c;
        for (size_t lane = 0; (c = gdns_worker_counters(s->workers[i], lane)); lane++)
            total +=
                atomic_load_explicit((const atomic_uint_fast64_t *)((const char *)c + offset), memory_order_relaxed);
    }
    return total;
}

static void collect(void *ud)
{
    struct gdns_server *s = ud;
    struct gdns_metrics *m = s->metrics;
    for (size_t i = 0; i < 2; i++)
        fed_metric_raise(m->queries[i],
                         sum(s, offsetof(struct gdns_counters, queries) + i * sizeof(atomic_uint_fast64_t)));
    for (size_t i = 0; i < GDNS_COUNT_RCODES; i++)
        fed_metric_raise(m->rcodes[i],
                         sum(s, offsetof(struct gdns_counters, rcodes) + i * sizeof(atomic_uint_fast64_t)));
    fed_metric_raise(m->truncated, sum(s, offsetof(struct gdns_counters, truncated)));
    fed_metric_raise(m->ecs, sum(s, offsetof(struct gdns_counters, ecs)));
    fed_metric_raise(m->dropped, sum(s, offsetof(struct gdns_counters, dropped)));
    fed_metric_raise(m->tcp_connections, sum(s, offsetof(struct gdns_counters, tcp_connections)));
    fed_metric_raise(m->reload_failures, s->reload_failures);
}

int gdns_metrics_open(struct gdns_server *s, struct fed_err *err)
{
    if (!s->world->set.metrics)
        return 0;
    struct gdns_metrics *m = s->metrics = FED_NEW(struct gdns_metrics);
    make(m);
    return fed_edge_page_open(&(struct fed_edge_page_conf){.loop = s->loop,
                                                           .address = s->world->set.metrics,
                                                           .routing = &s->shared.routing,
                                                           .registry = m->registry,
                                                           .metrics = m->traffic,
                                                           .edge = &s->edge,
                                                           .collect = collect,
                                                           .ud = s},
                              &m->page, err);
}

void gdns_metrics_close(struct gdns_server *s)
{
    struct gdns_metrics *m = s->metrics;
    if (!m)
        return;
    fed_edge_page_close(m->page);
    fed_edge_metrics_free(m->traffic);
    fed_metrics_free(m->registry);
    free(m);
    s->metrics = NULL;
}
