/* SPDX-License-Identifier: Apache-2.0 */
/* client_h2.c: HTTP/2 connections of clients (TLS with ALPN): each stream is an exchange; backends speak HTTP/1.1. */
#include <stdio.h>

#include "base/mem.h"
#include "globallb/io/worker_priv.h"
#include "http/h2.h"

#define SEND_LIMIT (256 * 1024) /* frames handed to the stream at once */

struct glb_h2 {
    struct fed_list link;
    struct glb_worker *w;
    struct fed_stream *s;
    struct fed_h2 *h2;
    struct fed_task pump_task;
    struct fed_timer timer;
    struct fed_buf out;
    bool dead, going;
    char ip[48];
};
struct h2_request {        /* one stream; lives until its `closed` */
    struct glb_exchange x; /* first: the ops get it */
    struct glb_h2 *c;
    struct fed_h2_stream *st;
    struct fed_arena arena;
    bool begun, held, chunked_in, over;
    uint64_t length, got; /* of the body */
    size_t unread;        /* body bytes not given back to the windows */
};

static const struct glb_client_ops ops;

/* ---- output ---- */

static void kill_conn(struct glb_h2 *c)
{
    if (c->dead)
        return;
    c->dead = true;
    fed_stream_close(c->s);
}

static void pump(struct glb_h2 *c)
{
    while (!c->dead && fed_stream_backlog(c->s) < GLB_BACKLOG) {
        fed_buf_reset(&c->out);
        if (fed_h2_send(c->h2, &c->out, SEND_LIMIT) != 0) {
            kill_conn(c);
            return;
        }
        if (c->out.n == 0)
            break;
        fed_stream_write(c->s, fed_buf_str(&c->out));
    }
    if (!c->dead && fed_h2_done(c->h2))
        fed_stream_shutdown(c->s);
}

static void on_pump(struct fed_task *t)
{
    pump(fed_container_of(t, struct glb_h2, pump_task));
}

static void poke(struct glb_h2 *c)
{
    if (!c->dead)
        fed_task_post(c->w->env, &c->pump_task, on_pump);
}

/* ---- the exchange's answers ---- */

static struct h2_request *request_of(struct glb_exchange *x)
{
    return fed_container_of(x, struct h2_request, x);
}

static bool on_head(struct glb_exchange *x, const struct fed_h1_head *h, enum fed_h1_framing framing)
{
    struct h2_request *r = request_of(x);
    struct fed_http_header fields[FED_H1_MAX_HEADERS];
    size_t n = 0;
    for (size_t i = 0; i < h->n_headers; i++)
        if (glb_keeps_response_field(h, i))
            fields[n++] = h->headers[i];
    if (r->st)
        fed_h2_respond(r->st, h->response_status, fields, n, framing == FED_H1_BODY_NONE);
    poke(r->c);
    return false; /* the bytes of the body only */
}

static size_t on_data_out(struct glb_exchange *x, struct fed_str bytes)
{
    struct h2_request *r = request_of(x);
    size_t backlog = r->st ? fed_h2_write(r->st, bytes) : 0;
    poke(r->c);
    return backlog;
}

static void on_end_out(struct glb_exchange *x, bool complete)
{
    struct h2_request *r = request_of(x);
    r->over = true;
    if (r->st && complete)
        fed_h2_finish(r->st);
    else if (r->st)
        fed_h2_reset(r->st, FED_H2_INTERNAL_ERROR);
    if (r->st && complete && !x->body_done)
        fed_h2_reset(r->st, FED_H2_NO_ERROR);
    poke(r->c);
}

static void answer_text(struct h2_request *r, int status, const char *text)
{
    struct fed_http_header fields[] = {{FED_STR("content-type"), FED_STR("text/plain; charset=utf-8")}};
    if (!r->st)
        return;
    bool head = r->x.method == FED_H1_HEAD;
    fed_h2_respond(r->st, status, fields, 1, head);
    if (!head) {
        fed_h2_write(r->st, fed_str(text));
        fed_h2_finish(r->st);
    }
    poke(r->c);
}

static void on_fail(struct glb_exchange *x, int status, const char *text)
{
    struct h2_request *r = request_of(x);
    r->over = true;
    answer_text(r, status, text);
}

static void give_back(struct h2_request *r)
{
    if (r->st && r->unread)
        fed_h2_consume(r->st, r->unread);
    r->unread = 0;
    poke(r->c);
}

static void on_resume(struct glb_exchange *x, bool on)
{
    struct h2_request *r = request_of(x);
    r->held = !on;
    if (on)
        give_back(r);
}

static void on_go_ahead(struct glb_exchange *x)
{
    (void)x; /* clients of HTTP/2 send at once */
}

static const struct glb_client_ops ops = {.head = on_head,
                                          .data = on_data_out,
                                          .end = on_end_out,
                                          .fail = on_fail,
                                          .resume = on_resume,
                                          .go_ahead = on_go_ahead};

/* ---- requests ---- */

static struct fed_arena *on_begin(void *ud, struct fed_h2_stream *st)
{
    struct glb_h2 *c = ud;
    if (c->dead || c->w->draining)
        return NULL;
    struct h2_request *r = FED_NEW(struct h2_request);
    r->c = c;
    r->st = st;
    glb_x_init(&r->x, c->w, &ops);
    fed_h2_stream_set_ud(st, r);
    return &r->arena;
}

/* The request as a head of HTTP/1.1, so that all that follows is the same. */
static int fill_head(struct h2_request *r, const struct fed_h2_request *q, struct fed_h1_head *h)
{
    h->method = q->method;
    h->method_id = fed_h1_method_of(q->method);
    h->target = q->target;
    ptrdiff_t mark = fed_str_chr(q->target, '?', 0);
    h->path = mark < 0 ? q->target : fed_str_head(q->target, (size_t)mark);
    h->query = mark < 0 ? (struct fed_str){0} : fed_str_from(q->target, (size_t)mark + 1);
    h->host = q->host;
    h->minor = 1;
    h->keep_alive = true;
    h->framing = q->end ? FED_H1_BODY_NONE : FED_H1_BODY_CHUNKED;
    h->content_length = 0;
    h->has_content_length = h->connection_names = h->expect_continue = false;
    h->upgrade = (struct fed_str){0};
    h->n_headers = 0;
    for (size_t i = 0; i < q->n_headers && i < FED_H1_MAX_HEADERS; i++) {
        h->headers[h->n_headers] = q->headers[i];
        h->names[h->n_headers] = (uint8_t)fed_h1_name_of(q->headers[i].name);
        if (h->names[h->n_headers] == FED_H1_CONTENT_LENGTH) {
            if (fed_str_u64(q->headers[i].value, &h->content_length) != 0)
                return 400;
            h->has_content_length = true;
        }
        h->n_headers++;
    }
    if (!q->end && h->has_content_length)
        h->framing = h->content_length ? FED_H1_BODY_LENGTH : FED_H1_BODY_NONE;
    if (q->end && h->has_content_length && h->content_length)
        return 400;
    if (h->method_id == FED_H1_CONNECT)
        return 501;
    r->chunked_in = h->framing == FED_H1_BODY_CHUNKED;
    r->length = h->content_length;
    return q->too_large ? 431 : 0;
}

/* Several Cookie fields become one (RFC 9113 8.2.3). */
static void join_cookies(struct h2_request *r, struct fed_h1_head *h)
{
    size_t first = SIZE_MAX, n = 0;
    for (size_t i = 0; i < h->n_headers; i++) {
        if (h->names[i] == FED_H1_COOKIE && first != SIZE_MAX) {
            h->headers[first].value = fed_arena_printf(&r->arena, "%.*s; %.*s", FED_STR_ARG(h->headers[first].value),
                                                       FED_STR_ARG(h->headers[i].value));
            continue;
        }
        if (h->names[i] == FED_H1_COOKIE)
            first = n;
        h->headers[n] = h->headers[i];
        h->names[n++] = h->names[i];
    }
    h->n_headers = n;
}

static void on_request(void *ud, struct fed_h2_stream *st, const struct fed_h2_request *q)
{
    struct glb_h2 *c = ud;
    struct h2_request *r = fed_h2_stream_ud(st);
    struct fed_h1_head *h = glb_take_head(c->w);
    uint64_t max = c->w->shared->limits.max_body;
    int status = fill_head(r, q, h);
    r->x.method = h->method_id;
    if (!status && max && h->content_length > max)
        status = 413;
    if (status || fed_str_is(h->path, "/hansa/healthz")) {
        r->over = true;
        answer_text(r, status ? status : 200, status ? "malformed request\n" : "ok\n");
    } else {
        join_cookies(r, h);
        r->begun = true;
        struct glb_x_client who = {fed_str(c->ip), fed_stream_peer(c->s), true, true};
        glb_x_begin(&r->x, h, &who);
    }
    glb_give_head(c->w, h);
}

static void feed(struct h2_request *r, struct fed_str bytes)
{
    char head[24];
    if (!r->chunked_in) {
        glb_x_body(&r->x, bytes);
        return;
    }
    int n = snprintf(head, sizeof(head), "%zx\r\n", bytes.n);
    glb_x_body(&r->x, fed_str_n(head, (size_t)n));
    glb_x_body(&r->x, bytes);
    glb_x_body(&r->x, FED_H1_CHUNK_TAIL);
}

static void on_body(void *ud, struct fed_h2_stream *st, struct fed_str bytes)
{
    struct glb_h2 *c = ud;
    struct h2_request *r = fed_h2_stream_ud(st);
    uint64_t max = c->w->shared->limits.max_body;
    r->unread += bytes.n;
    r->got += bytes.n;
    if (r->begun && !r->over && ((!r->chunked_in && r->got > r->length) || (max && r->got > max))) {
        glb_x_abandon(&r->x);
        r->over = true;
        fed_h2_reset(st, FED_H2_CANCEL);
        poke(c);
        return;
    }
    if (r->begun && !r->over && bytes.n)
        feed(r, bytes);
    if (!r->held || r->over)
        give_back(r);
}

static void on_request_end(void *ud, struct fed_h2_stream *st)
{
    (void)ud;
    struct h2_request *r = fed_h2_stream_ud(st);
    if (!r->begun || r->over || r->x.body_done)
        return;
    if (!r->chunked_in && r->got != r->length) {
        glb_x_abandon(&r->x);
        r->over = true;
        fed_h2_reset(st, FED_H2_CANCEL);
        poke(r->c);
        return;
    }
    glb_x_body_end(&r->x);
    if (r->chunked_in)
        glb_x_body(&r->x, FED_H1_LAST_CHUNK);
}

static void on_stream_drained(void *ud, struct fed_h2_stream *st)
{
    (void)ud;
    struct h2_request *r = fed_h2_stream_ud(st);
    if (r->begun && !r->over)
        glb_x_drained(&r->x);
}

static void on_closed(void *ud, struct fed_h2_stream *st)
{
    (void)ud;
    struct h2_request *r = fed_h2_stream_ud(st);
    r->st = NULL;
    r->over = true;
    glb_x_release(&r->x);
    fed_arena_release(&r->arena);
    free(r);
}

static const struct fed_h2_handlers h2_handlers = {.begin = on_begin,
                                                   .head = on_request,
                                                   .data = on_body,
                                                   .end = on_request_end,
                                                   .drained = on_stream_drained,
                                                   .closed = on_closed};

/* ---- the connection ---- */

static void on_idle(struct fed_timer *t)
{
    struct glb_h2 *c = fed_container_of(t, struct glb_h2, timer);
    if (c->dead)
        return;
    if (fed_h2_streams(c->h2) == 0 && c->going) {
        kill_conn(c);
        return;
    }
    if (fed_h2_streams(c->h2) == 0) {
        c->going = true;
        fed_h2_goaway(c->h2);
        poke(c);
        fed_timer_start(c->w->env, &c->timer, 1000, on_idle);
        return;
    }
    fed_timer_start(c->w->env, &c->timer, c->w->shared->limits.idle_ms, on_idle);
}

static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct glb_h2 *c = ud;
    (void)s;
    if (c->dead)
        return;
    bool bad = fed_h2_recv(c->h2, bytes, fed_mono_ms(c->w->env)) != 0;
    pump(c);
    if (bad && !c->dead)
        fed_stream_shutdown(c->s);
    if (!bad && !c->going)
        fed_timer_start(c->w->env, &c->timer, c->w->shared->limits.idle_ms, on_idle);
}

static void on_eof(void *ud, struct fed_stream *s)
{
    (void)s;
    kill_conn(ud);
}

static void on_drained(void *ud, struct fed_stream *s)
{
    (void)s;
    pump(ud);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct glb_h2 *c = ud;
    (void)code, (void)err;
    c->dead = true;
    fed_task_cancel(&c->pump_task);
    fed_h2_free(c->h2); /* ends the requests */
    fed_task_cancel(&c->pump_task);
    fed_timer_stop(c->w->env, &c->timer);
    fed_buf_release(&c->out);
    fed_list_remove(&c->link);
    glb_shift(&c->w->count->clients, -1);
    free(c);
}

static const struct fed_stream_handlers handlers = {
    .data = on_data, .eof = on_eof, .drained = on_drained, .end = on_end};

void glb_h2_accept(struct glb_worker *w, struct fed_stream *s)
{
    struct glb_h2 *c = FED_NEW(struct glb_h2);
    struct fed_h2_conf conf = {.handlers = &h2_handlers, .ud = c};
    c->w = w;
    c->s = s;
    c->h2 = fed_h2_new(&conf);
    fed_buf_init(&c->out, 0);
    fed_addr_format_ip(fed_stream_peer(s), c->ip);
    fed_list_push_back(&w->h2_clients, &c->link);
    glb_bump(&w->count->clients_total);
    glb_shift(&w->count->clients, 1);
    fed_stream_set_handlers(s, &handlers, c);
    fed_timer_start(w->env, &c->timer, w->shared->limits.idle_ms, on_idle);
    poke(c);
}

void glb_h2_drain(struct glb_worker *w, bool now)
{
    FED_LIST_EACH_SAFE(it, &w->h2_clients) {
        struct glb_h2 *c = FED_LIST_ENTRY(it, struct glb_h2, link);
        if (now) {
            kill_conn(c);
        } else if (!c->going) {
            c->going = true;
            fed_h2_goaway(c->h2);
            poke(c);
        } else if (fed_h2_streams(c->h2) == 0 && fed_stream_backlog(c->s) == 0) {
            kill_conn(c);
        }
    }
}
