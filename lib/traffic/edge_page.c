/* SPDX-License-Identifier: Apache-2.0 */
/* edge_page.c: hansa_traffic_… and the HTTP page of an edge program. Sums are made when somebody asks. */
#include "base/mem.h"
#include "base/process.h"
#include "traffic/edge_priv.h"

enum row {
    GENERATION,
    PUBLISHED,
    OBJECTS,
    BUILD_NS,
    SAVES,
    SAVE_FAILURES,
    CONNECTED,
    SYNCED,
    STALE,
    TARGETS,
    TARGETS_DOWN,
    CLUSTERS_DOWN,
    SUSPECTS,
    N_ROWS
};
static const struct {
    const char *name, *help;
    bool counter;
} rows[N_ROWS] = {
    [GENERATION] = {"hansa_traffic_snapshot_generation", "Generation of the snapshot that is served; 0: none.", false},
    [PUBLISHED] = {"hansa_traffic_snapshots_total", "Snapshots published.", true},
    [OBJECTS] = {"hansa_traffic_objects", "API objects kept.", false},
    [BUILD_NS] = {"hansa_traffic_snapshot_build_nanoseconds", "Time that the last snapshot took.", false},
    [SAVES] = {"hansa_traffic_saves_total", "Snapshots saved to disk.", true},
    [SAVE_FAILURES] = {"hansa_traffic_save_failures_total", "Snapshots that could not be saved.", true},
    [CONNECTED] = {"hansa_traffic_connected", "1 while the watch of the federation is live.", false},
    [SYNCED] = {"hansa_traffic_synced", "1 after the federation has told everything once.", false},
    [STALE] = {"hansa_traffic_control_stale", "1 when the federation has been out of reach for long.", false},
    [TARGETS] = {"hansa_traffic_targets", "Targets known.", false},
    [TARGETS_DOWN] = {"hansa_traffic_targets_down", "Targets found down.", false},
    [CLUSTERS_DOWN] = {"hansa_traffic_clusters_down", "Clusters whose edge is lost.", false},
    [SUSPECTS] = {"hansa_traffic_prober_suspects_itself",
                  "1 while everything outside this cluster is silent and the last good state is kept.", false},
};
static const char *const results[] = {"sent", "answered", "refused", "silent"};

struct fed_edge_metrics {
    struct fed_metric *rows[N_ROWS], *probes[FED_ARRAY_LEN(results)];
    struct fed_process_metrics process;
};
struct fed_edge_page {
    struct fed_edge_page_conf conf;
    struct fed_httpd *httpd;
};

struct fed_edge_metrics *fed_edge_metrics_new(struct fed_metrics *r)
{
    struct fed_edge_metrics *m = FED_NEW(struct fed_edge_metrics);
    struct fed_metric_family *f =
        fed_metrics_family(r, FED_METRIC_COUNTER, "hansa_traffic_probes_total", "Probes by result.", "result", NULL, 0);
    for (size_t i = 0; i < N_ROWS; i++)
        m->rows[i] = rows[i].counter ? fed_metrics_counter(r, rows[i].name, rows[i].help)
                                     : fed_metrics_gauge(r, rows[i].name, rows[i].help);
    for (size_t i = 0; i < FED_ARRAY_LEN(results); i++)
        m->probes[i] = fed_metric_get(f, (struct fed_str[]){fed_str(results[i])}, 1);
    fed_process_metrics_make(&m->process, r);
    return m;
}

void fed_edge_metrics_free(struct fed_edge_metrics *m)
{
    free(m);
}

static void collect(const struct fed_edge_metrics *m, const struct fed_edge *e)
{
    struct fed_builder_stats b;
    struct fed_prober_stats p = {0};
    const struct fed_snapshot *snap = atomic_load(&e->routing->current);
    fed_builder_stats(e->builder, &b);
    fed_process_metrics_scrape(&m->process);
    if (e->prober)
        fed_prober_stats(e->prober, &p);
    const uint64_t values[N_ROWS] = {
        [GENERATION] = snap ? snap->gen : 0,
        [PUBLISHED] = b.published,
        [OBJECTS] = b.objects,
        [BUILD_NS] = b.build_ns_last,
        [SAVES] = b.saves,
        [SAVE_FAILURES] = b.save_failures,
        [CONNECTED] = fed_builder_connected(e->builder),
        [SYNCED] = fed_builder_synced(e->builder),
        [STALE] = atomic_load(&e->routing->control_stale),
        [TARGETS] = fed_targets_count(e->targets),
        [TARGETS_DOWN] = p.targets_down,
        [CLUSTERS_DOWN] = p.clusters_down,
        [SUSPECTS] = e->prober && fed_prober_suspects_self(e->prober),
    };
    const uint64_t probes[] = {p.sent, p.answered, p.refused, p.silent};
    for (size_t i = 0; i < N_ROWS; i++) {
        if (rows[i].counter)
            fed_metric_raise(m->rows[i], values[i]);
        else
            fed_metric_set(m->rows[i], (int64_t)values[i]);
    }
    for (size_t i = 0; i < FED_ARRAY_LEN(results); i++)
        fed_metric_raise(m->probes[i], probes[i]);
}

static void handle(void *ud, struct fed_http_exchange *x)
{
    struct fed_edge_page *p = ud;
    struct fed_str path = fed_http_request(x)->path;
    if (fed_str_is(path, "/metrics")) {
        struct fed_buf out = {0};
        if (*p->conf.edge)
            collect(p->conf.metrics, *p->conf.edge);
        p->conf.collect(p->conf.ud);
        fed_metrics_render(p->conf.registry, &out);
        fed_http_respond(x, 200, "text/plain; version=0.0.4", fed_buf_str(&out));
        fed_buf_release(&out);
    } else if (fed_str_is(path, "/healthz")) {
        fed_http_respond(x, 200, "text/plain", FED_STR("ok\n"));
    } else if (fed_str_is(path, "/readyz")) {
        bool ready = atomic_load(&p->conf.routing->current) != NULL;
        fed_http_respond(x, ready ? 200 : 503, "text/plain", ready ? FED_STR("ok\n") : FED_STR("no snapshot yet\n"));
    } else {
        fed_http_respond(x, 404, "text/plain", FED_STR("not found\n"));
    }
}

int fed_edge_page_open(const struct fed_edge_page_conf *conf, struct fed_edge_page **out, struct fed_err *err)
{
    struct fed_edge_page *p = FED_NEW(struct fed_edge_page);
    struct fed_httpd_conf http = {.handle = handle, .ud = p};
    int rc = 0;
    p->conf = *conf;
    if (fed_addr_parse_hostport(fed_str(conf->address), &http.listen.addr))
        rc = fed_err_set(err, FED_E_INVALID, "metrics: \"%s\" is not like 192.0.2.1:9153", conf->address);
    if (!rc)
        rc = fed_httpd_open(conf->loop, &http, &p->httpd, err);
    if (rc)
        free(p);
    else
        *out = p;
    return rc;
}

void fed_edge_page_close(struct fed_edge_page *p)
{
    if (!p)
        return;
    fed_httpd_close(p->httpd, 0, NULL, NULL);
    free(p);
}
