/* SPDX-License-Identifier: Apache-2.0 */
#include "net/httpd_priv.h"

#include <stdlib.h>

#include "base/mem.h"

enum { MAX_IN = 1024 * 1024 };

/* ---- the stream's events ---- */

static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct httpd_conn *c = ud;
    (void)s;
    if (c->detecting) {
        /* HTTP/2 without TLS comes with prior knowledge only; its first bytes are no HTTP/1 request. */
        static const struct fed_str preface = FED_STR_INIT(FED_H2_PREFACE);
        fed_buf_add(&c->in, bytes);
        size_t n = FED_MIN(c->in.n, preface.n);
        bool h2 = memcmp(c->in.p, preface.p, n) == 0;
        if (h2 && n < preface.n)
            return;
        struct fed_buf in = c->in;
        fed_buf_init(&c->in, MAX_IN);
        c->detecting = false;
        if (h2)
            httpd_h2_start(c);
        c->ops->data(c, fed_buf_str(&in));
        fed_buf_release(&in);
        return;
    }
    c->ops->data(c, bytes);
}

static void on_eof(void *ud, struct fed_stream *s)
{
    struct httpd_conn *c = ud;
    (void)s;
    if (c->detecting)
        httpd_kill(c);
    else
        c->ops->eof(c);
}

static void on_drained(void *ud, struct fed_stream *s)
{
    struct httpd_conn *c = ud;
    (void)s;
    c->ops->drained(c);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct httpd_conn *c = ud;
    const struct fed_stream_handlers *upgrade = c->upgrade;
    void *upgrade_ud = c->upgrade_ud;
    c->dead = true;
    httpd_quiet(c);
    if (c->x)
        httpd_exchange_end(c->x);
    httpd_forget(c);
    if (upgrade && upgrade->end)
        upgrade->end(upgrade_ud, code, err);
}

static const struct fed_stream_handlers handlers = {
    .data = on_data,
    .eof = on_eof,
    .drained = on_drained,
    .end = on_end,
};

static void on_accept(void *ud, struct fed_stream *s)
{
    struct fed_httpd *h = ud;
    struct httpd_conn *c = FED_NEW(struct httpd_conn);
    c->server = h;
    c->stream = s;
    c->ops = &httpd_h1_ops;
    c->detecting = !h->conf.listen.tls;
    fed_buf_init(&c->in, MAX_IN);
    fed_list_push_back(&h->conns, &c->link);
    fed_list_init(&c->reading);
    h->n_conns++;
    httpd_limits_enter(c);
    fed_stream_set_handlers(s, &handlers, c);
    if (h->conf.listen.tls) {
        fed_stream_peer_identity(s, &c->cert_cn, &c->cert_orgs, &c->n_cert_orgs);
        c->cert_until_s = fed_stream_peer_until(s, &c->cert_refused);
        if (fed_str_is(fed_stream_alpn(s), "h2"))
            httpd_h2_start(c);
    }
    httpd_deadline(c, h->conf.header_timeout_ms);
    if (c->h2)
        httpd_soon(c); /* our settings go first */
}

/* ---- server ---- */

int fed_httpd_open(struct fed_loop *loop, const struct fed_httpd_conf *conf, struct fed_httpd **out,
                   struct fed_err *err)
{
    struct fed_httpd *h = FED_NEW(struct fed_httpd);
    h->conf = *conf;
    h->loop = loop;
    h->env = fed_loop_env(loop);
    fed_list_init(&h->conns);
    fed_list_init(&h->sending);
    fed_list_init(&h->pool);
    if (h->conf.max_body == 0)
        h->conf.max_body = 3 * 1024 * 1024;
    if (h->conf.idle_timeout_ms == 0)
        h->conf.idle_timeout_ms = 90000;
    if (h->conf.header_timeout_ms == 0)
        h->conf.header_timeout_ms = 10000;
    if (h->conf.body_timeout_ms == 0)
        h->conf.body_timeout_ms = 60000;
    httpd_limits_open(h);
    struct fed_listener_conf listen = conf->listen;
    listen.accept = on_accept;
    listen.ud = h;
    if (listen.handshake_timeout_ms == 0)
        listen.handshake_timeout_ms = h->conf.header_timeout_ms;
    if (listen.max_streams == 0) /* somewhat more, so that there is somebody to say no */
        listen.max_streams = h->conf.max_connections + h->conf.max_connections / 16 + 16;
    int rc = fed_listener_open(loop, &listen, &h->listener, err);
    if (rc) {
        fed_map_release(&h->peers);
        free(h);
        return rc;
    }
    h->addr = *fed_listener_addr(h->listener);
    *out = h;
    return 0;
}

const struct fed_addr *fed_httpd_addr(const struct fed_httpd *h)
{
    return &h->addr;
}

static void on_grace(struct fed_timer *t)
{
    struct fed_httpd *h = fed_container_of(t, struct fed_httpd, grace);
    FED_LIST_EACH(it, &h->conns)
        httpd_kill(FED_LIST_ENTRY(it, struct httpd_conn, link));
}

void fed_httpd_close(struct fed_httpd *h, uint32_t grace_ms, void (*done)(void *ud), void *ud)
{
    if (h->closing)
        return;
    h->closing = true;
    h->done = done;
    h->done_ud = ud;
    fed_listener_close(h->listener);
    FED_LIST_EACH(it, &h->conns) {
        struct httpd_conn *c = FED_LIST_ENTRY(it, struct httpd_conn, link);
        if (c->h2) {
            fed_h2_goaway(c->h2);
            httpd_soon(c);
        } else if (c->out.n + fed_stream_backlog(c->stream) > 0) {
            if (!c->x)
                httpd_linger(c);
        } else if (!c->x || c->x->state == HTTPD_READING) {
            httpd_kill(c);
        }
    }
    fed_timer_start(h->env, &h->grace, grace_ms, on_grace);
    httpd_maybe_finish(h);
}
