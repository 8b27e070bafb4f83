/* SPDX-License-Identifier: Apache-2.0 */
/* hansa-echo: the included image hansa/echo: a small HTTP server that tells who answered, and can be made slow or sick.
 *
 * GET anything: JSON {cluster, region, zone, node, pod, namespace, address, request{method, path, query, headers, body},
 * environment}. GET /health: 200 "ok" or what was set. GET /metrics. POST /control {"latencyMs": N, "failRate": 0..1,
 * "healthy": bool, "status": N} changes what is named and answers with all. Latency and failures do not touch /health,
 * /metrics and /control. Listens on $POD_IP (else 127.0.0.1), port: -p, $HANSA_PORT_<port> of it, $PORT, 8080. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "codec/json.h"
#include "net/httpd.h"

extern char **environ;

struct echo {
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_httpd *httpd;
    char address[64];
    int64_t latency_ms, status;
    double fail_rate;
    bool healthy;
    struct fed_metrics *metrics;
    struct fed_metric *requests, *failures;
};
struct delayed { /* an exchange that waits for its latency */
    struct fed_timer timer;
    struct echo *echo;
    struct fed_http_exchange *x;
};

static void set_env(struct fed_arena *a, struct fed_json *o, const char *key, const char *var)
{
    const char *v = getenv(var);
    fed_json_set(o, key, fed_json_new_strz(a, v ? v : ""));
}

static struct fed_json *environment(struct fed_arena *a)
{
    struct fed_json *o = fed_json_object(a);
    for (char **e = environ; *e; e++) {
        const char *eq = strchr(*e, '=');
        if (eq)
            fed_json_set_str(o, fed_str_n(*e, (size_t)(eq - *e)), fed_json_new_strz(a, eq + 1));
    }
    return o;
}

static struct fed_json *describe_request(struct fed_arena *a, const struct fed_http_request *r)
{
    struct fed_json *o = fed_json_object(a), *headers = fed_json_object(a);
    char peer[64];
    fed_addr_format(&r->peer, peer);
    fed_json_set(o, "method", fed_json_new_str(a, r->method));
    fed_json_set(o, "path", fed_json_new_str(a, r->path));
    fed_json_set(o, "query", fed_json_new_str(a, r->query));
    fed_json_set(o, "host", fed_json_new_str(a, r->host));
    fed_json_set(o, "peer", fed_json_new_strf(a, "%s", peer));
    for (size_t i = 0; i < r->n_headers; i++)
        fed_json_set_str(headers, r->headers[i].name, fed_json_new_str(a, r->headers[i].value));
    fed_json_set(o, "headers", headers);
    fed_json_set(o, "bodyBytes", fed_json_new_int(a, (int64_t)r->body.n));
    return o;
}

static void respond_json(struct fed_http_exchange *x, int status, const struct fed_json *o)
{
    struct fed_buf b = {0};
    fed_json_write(&b, o);
    fed_buf_addc(&b, '\n');
    fed_http_respond(x, status, "application/json", fed_buf_str(&b));
    fed_buf_release(&b);
}

static void answer(struct echo *e, struct fed_http_exchange *x)
{
    struct fed_arena *a = fed_http_arena(x);
    if (e->fail_rate > 0 && (double)fed_random_below(e->env, 1000000) < e->fail_rate * 1e6) {
        fed_metric_add(e->failures, 1);
        fed_http_respond(x, 500, "text/plain", FED_STR("failure as asked for\n"));
        return;
    }
    struct fed_json *o = fed_json_object(a);
    set_env(a, o, "cluster", "HANSA_CLUSTER");
    set_env(a, o, "region", "HANSA_REGION");
    set_env(a, o, "zone", "HANSA_ZONE");
    set_env(a, o, "node", "HANSA_NODE");
    set_env(a, o, "namespace", "HANSA_POD_NAMESPACE");
    set_env(a, o, "pod", "HANSA_POD_NAME");
    fed_json_set(o, "address", fed_json_new_strz(a, e->address));
    fed_json_set(o, "request", describe_request(a, fed_http_request(x)));
    fed_json_set(o, "environment", environment(a));
    respond_json(x, (int)e->status, o);
}

static void answer_late(struct fed_timer *t)
{
    struct delayed *d = fed_container_of(t, struct delayed, timer);
    answer(d->echo, d->x);
}

static void delayed_gone(void *ud)
{
    struct delayed *d = ud;
    fed_timer_stop(d->echo->env, &d->timer);
    free(d);
}

static void control(struct echo *e, struct fed_http_exchange *x)
{
    struct fed_arena *a = fed_http_arena(x);
    struct fed_json *in, *out = fed_json_object(a);
    struct fed_err err = {0};
    if (fed_json_parse(a, fed_http_request(x)->body, NULL, &in, &err) < 0) {
        fed_http_respond(x, 400, "text/plain", fed_str(err.text));
        return;
    }
    int64_t status = fed_json_int(fed_json_find(in, "status"), e->status);
    int64_t latency = fed_json_int(fed_json_find(in, "latencyMs"), e->latency_ms);
    if (status < 200 || status > 599 || latency < 0 || latency > 600000) {
        fed_http_respond(x, 400, "text/plain", FED_STR("status: 200..599; latencyMs: 0..600000\n"));
        return;
    }
    const struct fed_json *rate = fed_json_find(in, "failRate");
    e->status = status;
    e->latency_ms = latency;
    e->fail_rate = rate ? fed_json_double(rate, e->fail_rate) : e->fail_rate;
    e->healthy = fed_json_bool(fed_json_find(in, "healthy"), e->healthy);
    fed_json_set(out, "latencyMs", fed_json_new_int(a, e->latency_ms));
    fed_json_set(out, "failRate", fed_json_new_number(a, fed_arena_printf(a, "%.6g", e->fail_rate)));
    fed_json_set(out, "healthy", fed_json_new_bool(a, e->healthy));
    fed_json_set(out, "status", fed_json_new_int(a, e->status));
    respond_json(x, 200, out);
}

static void handle(void *ud, struct fed_http_exchange *x)
{
    struct echo *e = ud;
    const struct fed_http_request *r = fed_http_request(x);
    fed_metric_add(e->requests, 1);
    if (fed_str_is(r->path, "/health") || fed_str_is(r->path, "/healthz")) {
        fed_http_respond(x, e->healthy ? 200 : 503, "text/plain", e->healthy ? FED_STR("ok\n") : FED_STR("sick\n"));
    } else if (fed_str_is(r->path, "/metrics")) {
        struct fed_buf b = {0};
        fed_metrics_render(e->metrics, &b);
        fed_http_respond(x, 200, "text/plain; version=0.0.4", fed_buf_str(&b));
        fed_buf_release(&b);
    } else if (fed_str_is(r->path, "/control") && fed_str_is(r->method, "POST")) {
        control(e, x);
    } else if (e->latency_ms > 0) {
        struct delayed *d = FED_NEW(struct delayed);
        d->echo = e;
        d->x = x;
        fed_http_on_closed(x, delayed_gone, d);
        fed_timer_start(e->env, &d->timer, (uint64_t)e->latency_ms, answer_late);
    } else {
        answer(e, x);
    }
}

static void closed(void *ud)
{
    fed_loop_stop(((struct echo *)ud)->loop);
}

static void on_signal(void *ud, int signo)
{
    struct echo *e = ud;
    (void)signo;
    if (e->httpd)
        fed_httpd_close(e->httpd, 2000, closed, e);
    e->httpd = NULL;
}

/* 0: not a port. */
static uint16_t read_port(const char *text)
{
    uint64_t v;
    return text && fed_str_u64(fed_str(text), &v) == 0 && v < 65536 ? (uint16_t)v : 0;
}

static int listen_addr(int argc, char **argv, struct fed_addr *addr)
{
    const char *ip = getenv("POD_IP"), *port_text = getenv("PORT");
    char var[32];
    for (int c; (c = getopt(argc, argv, "p:a:")) != -1;) {
        if (c == 'p')
            port_text = optarg;
        else if (c == 'a')
            ip = optarg;
        else
            return -1;
    }
    uint16_t port = read_port(port_text ? port_text : "8080");
    snprintf(var, sizeof(var), "HANSA_PORT_%u", port);
    uint16_t real = read_port(getenv(var));
    return port ? fed_addr_parse(fed_str(ip && *ip ? ip : "127.0.0.1"), real ? real : port, addr) : -1;
}

int main(int argc, char **argv)
{
    struct echo e = {.status = 200, .healthy = true};
    struct fed_err err = {0};
    struct fed_httpd_conf conf = {.handle = handle, .ud = &e};
    if (listen_addr(argc, argv, &conf.listen.addr) < 0) {
        fprintf(stderr, "usage: hansa-echo [-p PORT] [-a ADDRESS]\nAnswers HTTP with who and where it is.\n");
        return 2;
    }
    e.loop = fed_loop_new();
    e.env = fed_loop_env(e.loop);
    e.metrics = fed_metrics_new();
    e.requests = fed_metrics_counter(e.metrics, "hansa_echo_requests_total", "Requests answered.");
    e.failures = fed_metrics_counter(e.metrics, "hansa_echo_failures_total", "Failures made as asked for.");
    if (fed_httpd_open(e.loop, &conf, &e.httpd, &err) < 0) {
        fed_log_error("echo", "%s", err.text);
        return 1;
    }
    fed_addr_format(fed_httpd_addr(e.httpd), e.address);
    fed_log_info("echo", "listening on %s", e.address);
    fed_loop_on_signal(e.loop, SIGTERM, on_signal, &e);
    fed_loop_on_signal(e.loop, SIGINT, on_signal, &e);
    fed_loop_run(e.loop);
    fed_metrics_free(e.metrics);
    fed_loop_free(e.loop);
    return 0;
}
