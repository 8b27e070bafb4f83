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
    struct fed_metric *snapshot_gen, *published, *objects, *build_ns, *saves, *save_failures, *connected, *synced,
        *stale;
    struct fed_metric *targets, *targets_down, *clusters_down, *suspects, *probes[4], *reload_failures;
};

static struct fed_metric *gauge(struct fed_metrics *r, const char *name, const char *help)
{
    return fed_metrics_gauge(r, name, help);
}

static void make_traffic(struct glb_metrics *m)
{
    struct fed_metrics *r = m->registry;
    m->snapshot_gen =
        gauge(r, "hansa_traffic_snapshot_generation", "Generation of the snapshot that is served; 0: none.");
    m->published = fed_metrics_counter(r, "hansa_traffic_snapshots_total", "Snapshots published.");
    m->objects = gauge(r, "hansa_traffic_objects", "API objects kept.");
    m->build_ns = gauge(r, "hansa_traffic_snapshot_build_nanoseconds", "Time that the last snapshot took.");
    m->saves = fed_metrics_counter(r, "hansa_traffic_saves_total", "Snapshots saved to disk.");
    m->save_failures =
        fed_metrics_counter(r, "hansa_traffic_save_failures_total", "Snapshots that could not be saved.");
    m->connected = gauge(r, "hansa_traffic_connected", "1 while the watch of the federation is live.");
    m->synced = gauge(r, "hansa_traffic_synced", "1 after the federation has told everything once.");
    m->stale = gauge(r, "hansa_traffic_control_stale", "1 when the federation has been out of reach for long.");
    m->targets = gauge(r, "hansa_traffic_targets", "Targets known.");
    m->targets_down = gauge(r, "hansa_traffic_targets_down", "Targets found down.");
    m->clusters_down = gauge(r, "hansa_traffic_clusters_down", "Clusters whose edge is lost.");
    m->suspects = gauge(r, "hansa_traffic_prober_suspects_itself",
                        "1 while everything outside this cluster is silent and the last good state is kept.");
    struct fed_metric_family *f =
        fed_metrics_family(r, FED_METRIC_COUNTER, "hansa_traffic_probes_total", "Probes by result.", "result", NULL, 0);
    static const char *const results[] = {"sent", "answered", "refused", "silent"};
    for (size_t i = 0; i < 4; i++)
        m->probes[i] = fed_metric_get(f, (struct fed_str[]){fed_str(results[i])}, 1);
}

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
    make_traffic(m);
    m->reload_failures =
        fed_metrics_counter(r, "hansa_globallb_reload_failures_total", "Settings refused at a reload.");
}

struct fed_metric *glb_metrics_latency(struct glb_server *s, size_t worker)
{
    char text[24];
    snprintf(text, sizeof(text), "%zu", worker);
    return fed_metric_get(s->metrics->latency, (struct fed_str[]){fed_str(text)}, 1);
}

/* A counter that is a sum kept elsewhere. */
static void set_counter(struct fed_metric *c, uint64_t total)
{
    int64_t more = (int64_t)total - fed_metric_value(c);
    if (more > 0)
        fed_metric_add(c, more);
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
        set_counter(fed_metric_get(s->metrics->requests, (struct fed_str[]){fed_str(text), cluster}, 2), total);
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

static void collect_traffic(struct glb_server *s)
{
    struct glb_metrics *m = s->metrics;
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

static void collect(struct glb_server *s)
{
    struct glb_metrics *m = s->metrics;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        if (rows[i].type == FED_METRIC_GAUGE)
            fed_metric_set(m->sums[i], sum(s, rows[i].offset));
        else
            set_counter(m->sums[i], (uint64_t)sum(s, rows[i].offset));
    }
    set_counter(m->reload_failures, s->reload_failures);
    collect_clusters(s);
    collect_traffic(s);
}

static void handle(void *ud, struct fed_http_exchange *x)
{
    struct glb_server *s = ud;
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

int glb_metrics_open(struct glb_server *s, struct fed_err *err)
{
    if (!s->setup->set.metrics)
        return 0;
    struct fed_httpd_conf conf = {.handle = handle, .ud = s};
    if (fed_addr_parse_hostport(fed_str(s->setup->set.metrics), &conf.listen.addr))
        return fed_err_set(err, FED_E_INVALID, "metrics: \"%s\" is not like 192.0.2.1:9153", s->setup->set.metrics);
    return fed_httpd_open(s->loop, &conf, &s->httpd, err);
}

void glb_metrics_close(struct glb_server *s)
{
    if (s->httpd)
        fed_httpd_close(s->httpd, 0, NULL, NULL);
    s->httpd = NULL;
    if (s->metrics)
        fed_metrics_free(s->metrics->registry);
    free(s->metrics);
    s->metrics = NULL;
}
