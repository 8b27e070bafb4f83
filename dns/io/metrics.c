/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c: /metrics, /healthz, /readyz. Workers count for themselves; sums are made when somebody asks. */
#include "base/mem.h"
#include "dns/io/server_priv.h"

static const char *const rcode_names[GDNS_COUNT_RCODES] = {
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "6",  "7",      "8",
    "NOTAUTH", "10",      "11",       "12",       "13",     "14",      "15", "BADVERS"};

struct gdns_metrics {
    struct fed_metrics *registry;
    struct fed_metric *queries[2], *rcodes[GDNS_COUNT_RCODES], *truncated, *ecs, *dropped, *tcp_connections;
    struct fed_metric *snapshot_gen, *published, *objects, *build_ns, *saves, *save_failures, *connected, *synced,
        *stale;
    struct fed_metric *targets, *targets_down, *clusters_down, *suspects, *probes[4], *reload_failures;
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
    m->snapshot_gen = fed_metrics_gauge(r, "hansa_traffic_snapshot_generation",
                                        "Generation of the snapshot that is served; 0: none.");
    m->published = fed_metrics_counter(r, "hansa_traffic_snapshots_total", "Snapshots published.");
    m->objects = fed_metrics_gauge(r, "hansa_traffic_objects", "API objects kept.");
    m->build_ns = fed_metrics_gauge(r, "hansa_traffic_snapshot_build_nanoseconds", "Time that the last snapshot took.");
    m->saves = fed_metrics_counter(r, "hansa_traffic_saves_total", "Snapshots saved to disk.");
    m->save_failures =
        fed_metrics_counter(r, "hansa_traffic_save_failures_total", "Snapshots that could not be saved.");
    m->connected = fed_metrics_gauge(r, "hansa_traffic_connected", "1 while the watch of the federation is live.");
    m->synced = fed_metrics_gauge(r, "hansa_traffic_synced", "1 after the federation has told everything once.");
    m->stale =
        fed_metrics_gauge(r, "hansa_traffic_control_stale", "1 when the federation has been out of reach for long.");
    m->targets = fed_metrics_gauge(r, "hansa_traffic_targets", "Targets known.");
    m->targets_down = fed_metrics_gauge(r, "hansa_traffic_targets_down", "Targets found down.");
    m->clusters_down = fed_metrics_gauge(r, "hansa_traffic_clusters_down", "Clusters whose edge is lost.");
    m->suspects =
        fed_metrics_gauge(r, "hansa_traffic_prober_suspects_itself",
                          "1 while everything outside this cluster is silent and the last good state is kept.");
    f = fed_metrics_family(r, FED_METRIC_COUNTER, "hansa_traffic_probes_total", "Probes by result.", "result", NULL, 0);
    static const char *const results[] = {"sent", "answered", "refused", "silent"};
    for (size_t i = 0; i < 4; i++)
        m->probes[i] = fed_metric_get(f, (struct fed_str[]){fed_str(results[i])}, 1);
    m->reload_failures = fed_metrics_counter(r, "hansa_dns_reload_failures_total", "Settings refused at a reload.");
}

/* A counter that is a sum kept elsewhere. */
static void set_counter(struct fed_metric *c, uint64_t total)
{
    int64_t more = (int64_t)total - fed_metric_value(c);
    if (more > 0)
        fed_metric_add(c, more);
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

static void collect(struct gdns_server *s)
{
    struct gdns_metrics *m = s->metrics;
    for (size_t i = 0; i < 2; i++)
        set_counter(m->queries[i], sum(s, offsetof(struct gdns_counters, queries) + i * sizeof(atomic_uint_fast64_t)));
    for (size_t i = 0; i < GDNS_COUNT_RCODES; i++)
        set_counter(m->rcodes[i], sum(s, offsetof(struct gdns_counters, rcodes) + i * sizeof(atomic_uint_fast64_t)));
    set_counter(m->truncated, sum(s, offsetof(struct gdns_counters, truncated)));
    set_counter(m->ecs, sum(s, offsetof(struct gdns_counters, ecs)));
    set_counter(m->dropped, sum(s, offsetof(struct gdns_counters, dropped)));
    set_counter(m->tcp_connections, sum(s, offsetof(struct gdns_counters, tcp_connections)));
    set_counter(m->reload_failures, s->reload_failures);
    struct fed_builder_stats b;
    fed_builder_stats(s->builder, &b);
    const struct fed_snapshot *snap = atomic_load(&s->shared.routing.current);
    fed_metric_set(m->snapshot_gen, snap ? (int64_t)snap->gen : 0);
    set_counter(m->published, b.published);
    fed_metric_set(m->objects, (int64_t)b.objects);
    fed_metric_set(m->build_ns, (int64_t)b.build_ns_last);
    set_counter(m->saves, b.saves);
    set_counter(m->save_failures, b.save_failures);
    fed_metric_set(m->connected, fed_builder_connected(s->builder));
    fed_metric_set(m->synced, fed_builder_synced(s->builder));
    fed_metric_set(m->stale, atomic_load(&s->shared.routing.control_stale));
    struct fed_prober_stats p = {0};
    if (s->prober)
        fed_prober_stats(s->prober, &p);
    fed_metric_set(m->targets, (int64_t)fed_targets_count(s->targets));
    fed_metric_set(m->targets_down, (int64_t)p.targets_down);
    fed_metric_set(m->clusters_down, (int64_t)p.clusters_down);
    fed_metric_set(m->suspects, s->prober && fed_prober_suspects_self(s->prober));
    const uint64_t probes[] = {p.sent, p.answered, p.refused, p.silent};
    for (size_t i = 0; i < 4; i++)
        set_counter(m->probes[i], probes[i]);
}

static void handle(void *ud, struct fed_http_exchange *x)
{
    struct gdns_server *s = ud;
    struct fed_str path = fed_http_request(x)->path;
    if (fed_str_is(path, "/metrics")) {
        struct fed_buf out = {0};
        collect(s);
        fed_metrics_render(s->metrics->registry, &out);
        fed_http_respond(x, 200, "text/plain; version=0.0.4", fed_buf_str(&out));
        fed_buf_release(&out);
    } else if (fed_str_is(path, "/healthz")) {
        fed_http_respond(x, 200, "text/plain", FED_STR("ok\n"));
    } else if (fed_str_is(path, "/readyz")) {
        bool ready = atomic_load(&s->shared.routing.current) != NULL;
        fed_http_respond(x, ready ? 200 : 503, "text/plain", ready ? FED_STR("ok\n") : FED_STR("no snapshot yet\n"));
    } else {
        fed_http_respond(x, 404, "text/plain", FED_STR("not found\n"));
    }
}

int gdns_metrics_open(struct gdns_server *s, struct fed_err *err)
{
    if (!s->world->set.metrics)
        return 0;
    struct fed_httpd_conf conf = {.handle = handle, .ud = s};
    if (fed_addr_parse_hostport(fed_str(s->world->set.metrics), &conf.listen.addr))
        return fed_err_set(err, FED_E_INVALID, "metrics: \"%s\" is not like 192.0.2.1:9153", s->world->set.metrics);
    s->metrics = FED_NEW(struct gdns_metrics);
    make(s->metrics);
    return fed_httpd_open(s->loop, &conf, &s->httpd, err);
}

void gdns_metrics_close(struct gdns_server *s)
{
    if (s->httpd)
        fed_httpd_close(s->httpd, 0, NULL, NULL);
    s->httpd = NULL;
    if (s->metrics)
        fed_metrics_free(s->metrics->registry);
    free(s->metrics);
    s->metrics = NULL;
}
