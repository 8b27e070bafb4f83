/* SPDX-License-Identifier: Apache-2.0 */
#include "net/httpd_priv.h"

#include <stdlib.h>

#include "base/mem.h"

enum { KEEP_BODY = 64 * 1024 }; /* body room that a pooled exchange keeps */

struct fed_http_exchange *httpd_exchange_new(struct httpd_conn *c)
{
    struct fed_httpd *h = c->server;
    struct fed_http_exchange *x;
    if (!fed_list_empty(&h->pool)) {
        x = FED_LIST_ENTRY(h->pool.next, struct fed_http_exchange, link);
        fed_list_remove(&x->link);
        h->n_pool--;
    } else {
        x = FED_NEW(struct fed_http_exchange);
        fed_buf_init(&x->body, h->conf.max_body);
    }
    h->n_exchanges++;
    x->server = h;
    x->conn = c;
    x->state = HTTPD_READING;
    x->req.tls = h->conf.listen.tls != NULL;
    x->req.peer = *fed_stream_peer(c->stream);
    x->req.cert_cn = c->cert_cn;
    x->req.cert_orgs = c->cert_orgs;
    x->req.n_cert_orgs = c->n_cert_orgs;
    x->req.cert_until_s = c->cert_until_s;
    x->req.cert_refused = c->cert_refused;
    return x;
}

static void exchange_free(struct fed_http_exchange *x)
{
    struct fed_httpd *h = x->server;
    h->body_bytes -= x->body.n;
    h->n_exchanges--;
    struct fed_arena arena = x->arena;
    struct fed_buf body = x->body;
    if (h->n_pool < HTTPD_POOL && !h->closing) {
        fed_arena_reset(&arena);
        fed_buf_reset(&body);
        if (body.cap > KEEP_BODY)
            fed_buf_release(&body);
        *x = (struct fed_http_exchange){.arena = arena, .body = body};
        fed_list_push_front(&h->pool, &x->link);
        h->n_pool++;
        return;
    }
    fed_arena_release(&arena);
    fed_buf_release(&body);
    free(x);
    httpd_maybe_finish(h);
}

void httpd_exchange_end(struct fed_http_exchange *x)
{
    void (*closed)(void *ud) = x->closed;
    x->closed = NULL;
    bool orphan = !closed && (x->state == HTTPD_HANDLING || x->state == HTTPD_STREAMING);
    if (orphan) {
        /* The certificate's names belong to the stream, which goes now. */
        x->req.cert_cn = fed_arena_dup(&x->arena, x->req.cert_cn);
        struct fed_str *orgs = FED_ARENA_ARRAY(&x->arena, struct fed_str, x->req.n_cert_orgs + 1);
        for (size_t i = 0; i < x->req.n_cert_orgs; i++)
            orgs[i] = fed_arena_dup(&x->arena, x->req.cert_orgs[i]);
        x->req.cert_orgs = orgs;
        x->conn = NULL;
        x->h2s = NULL;
        return;
    }
    if (closed)
        closed(x->closed_ud);
    exchange_free(x);
}

const char *httpd_refusal(const struct fed_httpd *h, int status, struct fed_str method, struct fed_buf *body)
{
    if (h->conf.refused)
        h->conf.refused(h->conf.ud, status, method);
    if (h->conf.refusal)
        return h->conf.refusal(status, body);
    fed_buf_addz(body, fed_http_reason(status));
    fed_buf_addc(body, '\n');
    return "text/plain; charset=utf-8";
}

int httpd_exchange_body(struct fed_http_exchange *x, struct fed_str bytes)
{
    struct fed_httpd *h = x->server;
    if (bytes.n > h->conf.max_body - x->body.n)
        return 413;
    int refused = httpd_limits_body(x, x->body.n + bytes.n);
    if (refused)
        return refused;
    if (h->body_bytes + bytes.n > HTTPD_BODY_BUDGET)
        return 503;
    fed_buf_add(&x->body, bytes);
    h->body_bytes += bytes.n;
    return 0;
}

bool httpd_exchange_decline(struct fed_http_exchange *x, int status)
{
    struct fed_httpd *h = x->server;
    if (!h->conf.declines)
        return false;
    h->body_bytes -= x->body.n;
    fed_buf_reset(&x->body);
    x->req.refused = status;
    httpd_exchange_dispatch(x);
    return true;
}

void httpd_exchange_dispatch(struct fed_http_exchange *x)
{
    x->req.body = fed_buf_str(&x->body);
    x->state = HTTPD_HANDLING;
    x->is_head = fed_str_is(x->req.method, "HEAD");
    x->server->conf.handle(x->server->conf.ud, x);
}

/* ---- the handler's calls ---- */

struct fed_str fed_http_request_header(const struct fed_http_request *r, const char *lower_name)
{
    struct fed_str name = fed_str(lower_name);
    for (size_t i = 0; i < r->n_headers; i++)
        if (fed_str_eq(r->headers[i].name, name))
            return r->headers[i].value;
    return (struct fed_str){NULL, 0};
}

const struct fed_http_request *fed_http_request(const struct fed_http_exchange *x)
{
    return &x->req;
}

struct fed_arena *fed_http_arena(struct fed_http_exchange *x)
{
    return &x->arena;
}

static void on_gone(struct fed_task *task)
{
    httpd_exchange_end(fed_container_of(task, struct fed_http_exchange, gone));
}

void fed_http_on_closed(struct fed_http_exchange *x, void (*closed)(void *ud), void *ud)
{
    x->closed = closed;
    x->closed_ud = ud;
    if (x->conn && x->conn->eof)
        httpd_soon(x->conn); /* it may be gone in fact */
    if (x->conn)
        return;
    if (closed)
        fed_task_post(x->server->env, &x->gone, on_gone);
    else
        fed_task_cancel(&x->gone);
}

void fed_http_add_header(struct fed_http_exchange *x, struct fed_str name, struct fed_str value)
{
    if (x->n_extra == x->cap_extra) {
        size_t cap = x->cap_extra ? x->cap_extra * 2 : 8;
        struct fed_http_header *bigger = fed_arena_alloc(&x->arena, cap * sizeof(*bigger));
        if (x->n_extra)
            memcpy(bigger, x->extra, x->n_extra * sizeof(*bigger));
        x->extra = bigger;
        x->cap_extra = cap;
    }
    x->extra[x->n_extra++] = (struct fed_http_header){fed_arena_dup(&x->arena, name), fed_arena_dup(&x->arena, value)};
}

/* The handler is done. An exchange whose client has gone ends here; others when the connection has seen it. */
static void answered(struct fed_http_exchange *x)
{
    x->state = HTTPD_ANSWERED;
    if (!x->conn) {
        if (!x->closed) /* else on_gone is on its way */
            exchange_free(x);
        return;
    }
    if (x->h2s && !x->bound && x->conn->n_leaving++ == 0)
        x->conn->moved_ms = fed_mono_ms(x->server->env);
    httpd_soon(x->conn);
}

static void respond(struct fed_http_exchange *x, int status, const char *type, struct fed_str body,
                    struct fed_blob *blob)
{
    FED_REQUIRE(x->state == HTTPD_HANDLING);
    if (httpd_bodiless(status)) {
        body = (struct fed_str){NULL, 0};
        blob = NULL;
    }
    if (x->conn)
        x->conn->ops->respond(x, status, type, body, blob);
    answered(x);
}

void fed_http_respond(struct fed_http_exchange *x, int status, const char *content_type, struct fed_str body)
{
    respond(x, status, content_type, body, NULL);
}

void fed_http_respond_blob(struct fed_http_exchange *x, int status, const char *content_type, struct fed_blob *body)
{
    respond(x, status, content_type, fed_blob_str(body), body);
}

void fed_http_stream_begin(struct fed_http_exchange *x, int status, const char *content_type, void (*drained)(void *ud),
                           void *ud)
{
    FED_REQUIRE(x->state == HTTPD_HANDLING);
    x->state = HTTPD_STREAMING;
    x->drained = drained;
    x->drained_ud = ud;
    if (!x->conn)
        return;
    x->conn->ops->stream_begin(x, status, content_type);
    httpd_soon(x->conn);
}

void fed_http_stream_bound(struct fed_http_exchange *x)
{
    FED_REQUIRE(x->state == HTTPD_STREAMING);
    struct httpd_conn *c = x->conn;
    if (!c || x->bound)
        return;
    x->bound = true;
    if (!x->h2s)
        httpd_bound(c);
    else if (c->n_leaving++ == 0)
        c->moved_ms = fed_mono_ms(x->server->env);
}

static size_t stream_write(struct fed_http_exchange *x, struct fed_str bytes, struct fed_blob *blob)
{
    FED_REQUIRE(x->state == HTTPD_STREAMING);
    if (!x->conn || x->is_head || bytes.n == 0)
        return fed_http_stream_backlog(x);
    x->conn->ops->write(x, bytes, blob);
    x->owed_drained = true;
    httpd_soon(x->conn);
    return fed_http_stream_backlog(x);
}

size_t fed_http_stream_write(struct fed_http_exchange *x, struct fed_str bytes)
{
    return stream_write(x, bytes, NULL);
}

size_t fed_http_stream_write_blob(struct fed_http_exchange *x, struct fed_blob *blob)
{
    return stream_write(x, fed_blob_str(blob), blob);
}

size_t fed_http_stream_flush(struct fed_http_exchange *x)
{
    struct httpd_conn *c = x->conn;
    if (!c || x->h2s || c->busy) /* frames of several streams leave together at the end of the turn */
        return fed_http_stream_backlog(x);
    httpd_send(c);
    size_t backlog = fed_http_stream_backlog(x);
    if (backlog == 0) {
        x->owed_drained = false;
        if (x->state == HTTPD_STREAMING && !c->eof) /* the task would find nothing to do */
            fed_task_cancel(&c->task);
    }
    return backlog;
}

size_t fed_http_stream_backlog(const struct fed_http_exchange *x)
{
    if (!x->conn)
        return 0;
    return x->h2s ? fed_h2_backlog(x->h2s) : x->conn->out.n + fed_stream_backlog(x->conn->stream);
}

void fed_http_stream_end(struct fed_http_exchange *x)
{
    FED_REQUIRE(x->state == HTTPD_STREAMING);
    if (x->conn)
        x->conn->ops->stream_end(x);
    answered(x);
}

void fed_http_abort(struct fed_http_exchange *x)
{
    if (x->conn && x->h2s)
        fed_h2_reset(x->h2s, FED_H2_CANCEL);
    else if (x->conn)
        httpd_kill(x->conn);
    answered(x);
}

struct fed_stream *fed_http_upgrade(struct fed_http_exchange *x, const char *protocol,
                                    const struct fed_stream_handlers *handlers, void *ud)
{
    FED_REQUIRE(x->state == HTTPD_HANDLING);
    struct httpd_conn *c = x->conn;
    if (!c || x->h2s || c->dead)
        return NULL;
    fed_h1_put_status_line(&c->out, 101);
    fed_h1_put_header(&c->out, FED_STR("Connection"), FED_STR("Upgrade"));
    fed_h1_put_header(&c->out, FED_STR("Upgrade"), fed_str(protocol));
    for (size_t i = 0; i < x->n_extra; i++)
        fed_h1_put_header(&c->out, x->extra[i].name, x->extra[i].value);
    fed_h1_put_end(&c->out);
    /* What the new owner writes at once must come behind this head. */
    httpd_flush(c);
    c->upgrade = handlers;
    c->upgrade_ud = ud;
    answered(x);
    return c->stream;
}
