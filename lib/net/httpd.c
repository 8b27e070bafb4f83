/* SPDX-License-Identifier: Apache-2.0 */
#include "net/httpd_priv.h"

#include <stdlib.h>

#include "base/mem.h"

enum { KEEP_OUT = 16 * 1024, MAX_IN = 1024 * 1024 };

/* ---- deadlines ---- */

static void on_timer(struct fed_timer *t);

void httpd_deadline(struct httpd_conn *c, uint64_t ms)
{
    c->deadline_ms = fed_mono_ms(c->server->env) + ms;
    if (!fed_timer_active(&c->timer) || c->timer_ms > c->deadline_ms) {
        c->timer_ms = c->deadline_ms;
        fed_timer_start(c->server->env, &c->timer, ms, on_timer);
    }
}

void httpd_no_deadline(struct httpd_conn *c)
{
    c->deadline_ms = UINT64_MAX;
}

bool httpd_takes(struct httpd_conn *c)
{
    uint64_t now = fed_mono_ms(c->server->env), idle = c->server->conf.idle_timeout_ms;
    uint64_t again = idle / HTTPD_LOOKS + 1;
    size_t left = c->out.n + fed_stream_backlog(c->stream);
    if (left != c->left) {
        c->left = left;
        c->moved_ms = now;
    } else if (now - c->moved_ms >= idle || (left == 0 && (c->lingering || c->n_leaving == 0))) {
        return false;
    }
    httpd_deadline(c, c->lingering ? FED_MIN(again, (uint64_t)HTTPD_LINGER_MS) : again);
    return true;
}

static void on_timer(struct fed_timer *t)
{
    struct httpd_conn *c = fed_container_of(t, struct httpd_conn, timer);
    uint64_t now = fed_mono_ms(c->server->env);
    if (c->deadline_ms == UINT64_MAX)
        return;
    if (now < c->deadline_ms) {
        c->timer_ms = c->deadline_ms;
        fed_timer_start(c->server->env, &c->timer, c->deadline_ms - now, on_timer);
        return;
    }
    if (c->proto == HTTPD_H2)
        httpd_h2_timeout(c);
    else
        httpd_h1_timeout(c);
}

/* ---- output and end of a connection ---- */

void httpd_take_out(struct httpd_conn *c)
{
    if (c->out.cap > 0)
        return;
    struct fed_httpd *h = c->server;
    if (h->n_spare_outs > 0)
        c->out = h->spare_outs[--h->n_spare_outs];
}

static void dont_send(struct httpd_conn *c)
{
    if (!fed_list_linked(&c->send_link))
        return;
    fed_list_remove(&c->send_link);
    c->server->n_sending--;
}

static void sent(struct httpd_conn *c)
{
    struct fed_httpd *h = c->server;
    dont_send(c);
    fed_buf_reset(&c->out);
    if (c->out.cap > KEEP_OUT) {
        fed_buf_release(&c->out);
    } else if (h->n_spare_outs < HTTPD_TOGETHER) {
        h->spare_outs[h->n_spare_outs++] = c->out;
        c->out = (struct fed_buf){0};
    }
}

void httpd_flush(struct httpd_conn *c)
{
    if (c->out.n == 0)
        return;
    if (!c->dead)
        fed_stream_write(c->stream, fed_buf_str(&c->out));
    sent(c);
}

void httpd_send(struct httpd_conn *c)
{
    if (c->out.n == 0)
        return;
    if (!c->dead)
        fed_stream_write_now(c->stream, fed_buf_str(&c->out));
    sent(c);
}

static void send_all(struct fed_httpd *h)
{
    while (!fed_list_empty(&h->sending)) {
        struct httpd_conn *c = FED_LIST_ENTRY(h->sending.next, struct httpd_conn, send_link);
        dont_send(c);
        httpd_send(c);
    }
}

static void on_send(struct fed_task *task)
{
    send_all(fed_container_of(task, struct fed_httpd, send_task));
}

void httpd_send_soon(struct httpd_conn *c)
{
    struct fed_httpd *h = c->server;
    if (c->out.n == 0 || fed_list_linked(&c->send_link))
        return;
    fed_list_push_back(&h->sending, &c->send_link);
    if (++h->n_sending >= HTTPD_TOGETHER)
        send_all(h);
    else
        fed_task_post(h->env, &h->send_task, on_send);
}

static void on_task(struct fed_task *task)
{
    struct httpd_conn *c = fed_container_of(task, struct httpd_conn, task);
    if (c->proto == HTTPD_H2)
        httpd_h2_run(c);
    else
        httpd_h1_run(c);
}

void httpd_soon(struct httpd_conn *c)
{
    if (!c->busy)
        fed_task_post(c->server->env, &c->task, on_task);
}

void httpd_kill(struct httpd_conn *c)
{
    if (c->dead)
        return;
    c->dead = true;
    fed_stream_close(c->stream);
}

void httpd_linger(struct httpd_conn *c)
{
    if (c->dead || c->lingering)
        return;
    c->lingering = true;
    httpd_flush(c);
    if (c->paused)
        fed_stream_pause(c->stream, false);
    c->paused = false;
    /* Closing with input unread makes the kernel reset the connection, and the client may lose the last answer. */
    fed_stream_shutdown(c->stream);
    httpd_deadline(c, HTTPD_LINGER_MS);
}

void httpd_forget(struct httpd_conn *c)
{
    struct fed_httpd *h = c->server;
    c->busy = true; /* a `closed` callback may act on another exchange of this connection: no task any more */
    fed_timer_stop(h->env, &c->timer);
    fed_task_cancel(&c->task);
    if (c->x)
        httpd_exchange_end(c->x);
    fed_h2_free(c->h2);
    free(c->head);
    fed_buf_release(&c->in);
    fed_buf_release(&c->out);
    dont_send(c);
    fed_list_remove(&c->link);
    h->n_conns--;
    httpd_limits_leave(c);
    free(c);
    httpd_maybe_finish(h);
}

/* ---- the stream's events ---- */

static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct httpd_conn *c = ud;
    (void)s;
    if (c->proto == HTTPD_DETECT) {
        /* HTTP/2 without TLS comes with prior knowledge only; its first bytes are no HTTP/1 request. */
        static const struct fed_str preface = FED_STR_INIT(FED_H2_PREFACE);
        fed_buf_add(&c->in, bytes);
        size_t n = FED_MIN(c->in.n, preface.n);
        bool h2 = memcmp(c->in.p, preface.p, n) == 0;
        if (h2 && n < preface.n)
            return;
        struct fed_buf in = c->in;
        fed_buf_init(&c->in, MAX_IN);
        c->proto = HTTPD_H1;
        if (h2) {
            httpd_h2_start(c);
            httpd_h2_data(c, fed_buf_str(&in));
        } else {
            httpd_h1_data(c, fed_buf_str(&in));
        }
        fed_buf_release(&in);
        return;
    }
    if (c->proto == HTTPD_H2)
        httpd_h2_data(c, bytes);
    else
        httpd_h1_data(c, bytes);
}

static void on_eof(void *ud, struct fed_stream *s)
{
    struct httpd_conn *c = ud;
    (void)s;
    if (c->proto == HTTPD_H1)
        httpd_h1_eof(c);
    else
        httpd_kill(c);
}

static void on_drained(void *ud, struct fed_stream *s)
{
    struct httpd_conn *c = ud;
    (void)s;
    if (c->proto == HTTPD_H2)
        httpd_soon(c);
    else
        httpd_h1_drained(c);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct httpd_conn *c = ud;
    const struct fed_stream_handlers *upgrade = c->upgrade;
    void *upgrade_ud = c->upgrade_ud;
    c->dead = true;
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
    fed_buf_init(&c->in, MAX_IN);
    fed_list_push_back(&h->conns, &c->link);
    fed_list_init(&c->reading);
    h->n_conns++;
    httpd_limits_enter(c);
    fed_stream_set_handlers(s, &handlers, c);
    if (h->conf.listen.tls) {
        fed_stream_peer_identity(s, &c->cert_cn, &c->cert_orgs, &c->n_cert_orgs);
        c->cert_until_s = fed_stream_peer_until(s, &c->cert_refused);
        c->proto = HTTPD_H1;
        if (fed_str_is(fed_stream_alpn(s), "h2"))
            httpd_h2_start(c);
    }
    httpd_deadline(c, h->conf.header_timeout_ms);
    if (c->h2)
        httpd_soon(c); /* our settings go first */
}

/* ---- server ---- */

struct fed_str httpd_date(struct fed_httpd *h)
{
    int64_t now = fed_wall_ms(h->env);
    if (now / 1000 != h->date_s) {
        h->date_s = now / 1000;
        fed_http_date(now, h->date);
    }
    return (struct fed_str){h->date, 29};
}

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

static void on_finish(struct fed_task *task)
{
    struct fed_httpd *h = fed_container_of(task, struct fed_httpd, finish);
    if (h->done) {
        void (*done)(void *ud) = h->done;
        h->done = NULL;
        done(h->done_ud);
    }
    if (h->n_exchanges > 0)
        return; /* a handler still holds one; the last frees the server */
    fed_timer_stop(h->env, &h->grace);
    FED_LIST_EACH_SAFE(it, &h->pool) {
        struct fed_http_exchange *x = FED_LIST_ENTRY(it, struct fed_http_exchange, link);
        fed_arena_release(&x->arena);
        fed_buf_release(&x->body);
        free(x);
    }
    fed_map_release(&h->peers);
    free(h->spare_head);
    while (h->n_spare_outs > 0)
        fed_buf_release(&h->spare_outs[--h->n_spare_outs]);
    fed_task_cancel(&h->send_task);
    free(h->scratch);
    free(h);
}

void httpd_maybe_finish(struct fed_httpd *h)
{
    if (h->closing && h->n_conns == 0)
        fed_task_post(h->env, &h->finish, on_finish);
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
