/* SPDX-License-Identifier: Apache-2.0 */
/* Probes at work: a timer, one check at a time, its result into probe.h, the verdict into the container. An HTTP check is
 * one connection and a status line, nothing more: at a period of one second each it must cost next to nothing. */
#include <signal.h>

#include "base/mem.h"
#include "member/agent/pod.h"
#include "net/stream.h"

enum check { CHECK_HTTP, CHECK_TCP, CHECK_EXEC, CHECK_NONE };

struct mbr_prober {
    struct mbr_container *c;
    struct mbr_probe state;
    enum check check;
    struct fed_timer timer, limit;
    struct fed_stream *stream;
    struct attempt *attempt; /* the check under way */
    struct fed_addr addr;
    bool https;
    struct fed_tls *tls;
    char *request; /* bytes of the HTTP request */
    char **argv;
    size_t argc;
};
/* Outlives the prober when the container stops in the middle of a check: the stream ends later. */
struct attempt {
    struct mbr_prober *prober; /* NULL: nobody waits */
    char head[32];
    size_t n;
    bool connected;
};

static struct fed_env *env_of(const struct mbr_prober *x)
{
    return x->c->pod->agents->m->env;
}

static void check(struct fed_timer *t);

static const char *const kind_names[] = {"Startup", "Liveness", "Readiness"};

static void conclude(struct mbr_prober *x)
{
    struct mbr_container *c = x->c;
    bool ready = c->ready;
    if (x->state.verdict == MBR_PROBE_UNKNOWN)
        return;
    bool ok = x->state.verdict == MBR_PROBE_PASSED;
    if (x->state.kind == MBR_PROBE_READINESS) {
        c->ready = ok;
        if (ready != ok)
            mbr_pod_post(c->pod);
        return;
    }
    if (x->state.kind == MBR_PROBE_STARTUP && ok && !c->started) {
        c->started = true;
        mbr_pod_post(c->pod);
    }
    if (!ok && !c->unhealthy) {
        c->unhealthy = true;
        mbr_pod_post(c->pod); /* which kills it */
    }
}

static void result(struct mbr_prober *x, bool ok, const char *why)
{
    bool counted;
    struct mbr_container *c = x->c;
    fed_timer_stop(env_of(x), &x->limit);
    x->attempt = NULL;
    x->stream = NULL;
    uint32_t wait = mbr_probe_result(&x->state, ok, fed_mono_ms(env_of(x)), &counted);
    if (!ok && counted)
        fed_event_warning(c->pod->agents->events, c->pod->obj, "Unhealthy", "%s probe failed: %s",
                          kind_names[x->state.kind], why);
    conclude(x);
    if (x->state.kind == MBR_PROBE_STARTUP && c->started)
        return; /* it has told all it will */
    fed_timer_start(env_of(x), &x->timer, wait, check);
}

/* Gives the stream up; its end comes later and finds no prober. */
static void abandon(struct mbr_prober *x)
{
    if (!x->attempt)
        return;
    x->attempt->prober = NULL;
    if (x->stream)
        fed_stream_close(x->stream);
    x->attempt = NULL;
    x->stream = NULL;
}

static void timed_out(struct fed_timer *t)
{
    struct mbr_prober *x = fed_container_of(t, struct mbr_prober, limit);
    abandon(x);
    result(x, false, "no answer within the time-out");
}

static void stream_open(void *ud, struct fed_stream *s)
{
    struct attempt *at = ud;
    struct mbr_prober *x = at->prober;
    at->connected = true;
    if (!x)
        return;
    if (x->check == CHECK_TCP) {
        abandon(x);
        result(x, true, "");
        return;
    }
    fed_stream_write(s, fed_str(x->request));
}

static void stream_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct attempt *at = ud;
    struct mbr_prober *x = at->prober;
    (void)s;
    if (!x)
        return;
    struct fed_str take = fed_str_head(bytes, sizeof(at->head) - 1 - at->n);
    memcpy(at->head + at->n, take.p, take.n);
    at->n += take.n;
    if (at->n < 12)
        return;
    at->head[at->n] = 0;
    int status = strncmp(at->head, "HTTP/1.", 7) == 0 ? (int)strtol(at->head + 9, NULL, 10) : 0;
    char why[64];
    snprintf(why, sizeof(why), "HTTP probe failed with statuscode: %d", status);
    abandon(x);
    result(x, status >= 200 && status < 400, why);
}

static void stream_end(void *ud, int code, const struct fed_err *err)
{
    struct attempt *at = ud;
    struct mbr_prober *x = at->prober;
    free(at);
    if (!x)
        return;
    x->attempt = NULL;
    x->stream = NULL;
    result(x, false, code < 0 && err && err->text[0] ? err->text : "closed before the answer");
}

static const struct fed_stream_handlers handlers = {.open = stream_open, .data = stream_data, .end = stream_end};

static void exec_done(void *ud, int code)
{
    struct attempt *at = ud;
    struct mbr_prober *x = at->prober;
    free(at);
    if (!x)
        return;
    char why[64];
    snprintf(why, sizeof(why), code == 124 ? "command timed out" : "command exited with %d", code);
    result(x, code == 0, why);
}

static void check(struct fed_timer *t)
{
    struct mbr_prober *x = fed_container_of(t, struct mbr_prober, timer);
    struct mbr_container *c = x->c;
    struct mbr_pod *p = c->pod;
    /* Until the startup probe passed, it alone speaks. */
    if (x->state.kind != MBR_PROBE_STARTUP && !c->started) {
        fed_timer_start(env_of(x), &x->timer, FED_MIN(x->state.period_ms, 100), check);
        return;
    }
    struct attempt *at = x->attempt = FED_NEW(struct attempt);
    at->prober = x;
    fed_timer_start(env_of(x), &x->limit, x->state.timeout_ms + (x->check == CHECK_EXEC ? 500 : 0), timed_out);
    if (x->check == CHECK_EXEC) {
        p->agents->rt->ops->exec(p->run, c->name, (const char *const *)x->argv, x->argc, x->state.timeout_ms, exec_done,
                                 at);
        return;
    }
    struct fed_stream_conf conf = {
        .handlers = &handlers, .ud = at, .tls = x->tls, .connect_timeout_ms = x->state.timeout_ms};
    x->stream = fed_stream_connect(p->agents->m->loop, &x->addr, &conf);
}

/* A number, or the name of a port of the container. */
static uint16_t port_of(const struct mbr_pod *p, const struct fed_json *container, const struct fed_json *port)
{
    int64_t n = fed_json_int(port, 0);
    struct fed_str name = fed_json_str(port);
    FED_JSON_EACH(have, fed_json_find(container, "ports"))
        if (name.n && fed_str_eq(fed_json_find_text(have, "name"), name))
            n = fed_json_int(fed_json_find(have, "containerPort"), 0);
    return mbr_pod_real_port(p, (uint16_t)n);
}

static void set_http(struct mbr_prober *x, const struct fed_json *container, const struct fed_json *http)
{
    struct mbr_pod *p = x->c->pod;
    struct fed_str host = fed_json_find_text(http, "host"), path = fed_json_find_text(http, "path");
    uint16_t port = port_of(p, container, fed_json_find(http, "port"));
    struct fed_buf b = {0};
    bool host_header = false;
    x->check = CHECK_HTTP;
    if (fed_addr_parse(host.n ? host : fed_str(p->ip), port, &x->addr) < 0 &&
        fed_addr_parse(fed_str(p->ip), port, &x->addr) < 0)
        x->check = CHECK_NONE;
    fed_buf_addf(&b, "GET %s%.*s HTTP/1.1\r\n", path.n && path.p[0] == '/' ? "" : "/", FED_STR_ARG(path));
    FED_JSON_EACH(h, fed_json_find(http, "httpHeaders")) {
        struct fed_str name = fed_json_find_text(h, "name");
        host_header = host_header || fed_str_ieq(name, FED_STR("Host"));
        fed_buf_addf(&b, "%.*s: %.*s\r\n", FED_STR_ARG(name), FED_STR_ARG(fed_json_find_text(h, "value")));
    }
    if (!host_header)
        fed_buf_addf(&b, "Host: %s:%u\r\n", p->ip, port);
    fed_buf_addz(&b, "User-Agent: kube-probe/1.29\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    x->request = fed_strdup_str(fed_buf_str(&b));
    fed_buf_release(&b);
    if (fed_str_ieq(fed_json_find_text(http, "scheme"), FED_STR("HTTPS")) &&
        fed_tls_new(env_of(x), &(struct fed_tls_conf){.insecure = true, .alpn = "http/1.1"}, &x->tls, NULL) < 0)
        x->check = CHECK_NONE;
}

static void set_exec(struct mbr_prober *x, const struct fed_json *command)
{
    x->check = CHECK_EXEC;
    x->argv = fed_calloc(command->n + 1, sizeof(char *));
    FED_JSON_EACH(it, command)
        x->argv[x->argc++] = fed_strdup_str(fed_json_str(it));
}

static void start(struct mbr_container *c, enum mbr_probe_kind kind, const struct fed_json *container,
                  const struct fed_json *spec)
{
    struct mbr_prober *x = FED_NEW(struct mbr_prober);
    const struct fed_json *what;
    x->c = c;
    x->check = CHECK_NONE;
    mbr_probe_init(&x->state, kind, spec);
    if ((what = fed_json_find(spec, "httpGet"))) {
        set_http(x, container, what);
    } else if ((what = fed_json_find(spec, "tcpSocket"))) {
        struct fed_str host = fed_json_find_text(what, "host");
        x->check = fed_addr_parse(host.n ? host : fed_str(c->pod->ip),
                                  port_of(c->pod, container, fed_json_find(what, "port")), &x->addr) < 0
                       ? CHECK_NONE
                       : CHECK_TCP;
    } else if ((what = fed_json_at(spec, "exec", "command", NULL))) {
        set_exec(x, what);
    }
    c->probers[kind] = x;
    if (x->check != CHECK_NONE)
        fed_timer_start(env_of(x), &x->timer, mbr_probe_first(&x->state), check);
}

void mbr_probers_start(struct mbr_container *c, const struct fed_json *spec)
{
    static const char *const keys[] = {"startupProbe", "livenessProbe", "readinessProbe"};
    mbr_probers_stop(c);
    c->started = true;
    c->ready = true;
    c->unhealthy = false;
    if (!c->pod->agents->rt->real || c->init)
        return;
    for (int k = 0; k < MBR_N_PROBES; k++) {
        const struct fed_json *probe = fed_json_find(spec, keys[k]);
        if (probe && probe->type == FED_JSON_OBJECT) {
            start(c, (enum mbr_probe_kind)k, spec, probe);
            if (k == MBR_PROBE_STARTUP)
                c->started = false;
            if (k == MBR_PROBE_READINESS)
                c->ready = false;
        }
    }
}

void mbr_probers_stop(struct mbr_container *c)
{
    for (int k = 0; k < MBR_N_PROBES; k++) {
        struct mbr_prober *x = c->probers[k];
        if (!x)
            continue;
        abandon(x);
        fed_timer_stop(env_of(x), &x->timer);
        fed_timer_stop(env_of(x), &x->limit);
        fed_tls_unref(x->tls);
        for (size_t i = 0; i < x->argc; i++)
            free(x->argv[i]);
        free(x->argv);
        free(x->request);
        free(x);
        c->probers[k] = NULL;
    }
    c->ready = false;
    c->started = false;
}
