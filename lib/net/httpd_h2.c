/* SPDX-License-Identifier: Apache-2.0 */
#include "net/httpd_priv.h"

#include "base/mem.h"

enum { FLUSH_ROUNDS = 8 }; /* then other connections have their turn */

/* ---- answers ---- */

static struct fed_http_header *scratch(struct fed_httpd *h, size_t n)
{
    if (h->cap_scratch < n) {
        h->cap_scratch = n * 2;
        h->scratch = fed_realloc(h->scratch, h->cap_scratch * sizeof(*h->scratch));
    }
    return h->scratch;
}

static void h2_head(struct fed_http_exchange *x, int status, const char *type, int64_t length, bool end)
{
    struct fed_http_header *f = scratch(x->server, x->n_extra + 3);
    size_t n = 0;
    char digits[24];
    f[n++] = (struct fed_http_header){FED_STR("date"), httpd_date(x->server)};
    if (type)
        f[n++] = (struct fed_http_header){FED_STR("content-type"), fed_str(type)};
    if (length >= 0) {
        int k = snprintf(digits, sizeof(digits), "%lld", (long long)length);
        f[n++] = (struct fed_http_header){FED_STR("content-length"), {digits, (size_t)k}};
    }
    if (x->n_extra)
        memcpy(f + n, x->extra, x->n_extra * sizeof(*f));
    fed_h2_respond(x->h2s, status, f, n + x->n_extra, end);
}

static void h2_respond(struct fed_http_exchange *x, int status, const char *type, struct fed_str body,
                       struct fed_blob *blob)
{
    bool end = x->is_head || body.n == 0;
    h2_head(x, status, type, httpd_bodiless(status) ? -1 : (int64_t)body.n, end);
    if (end)
        return;
    if (blob && body.n > HTTPD_COALESCE)
        fed_h2_write_blob(x->h2s, blob);
    else
        fed_h2_write(x->h2s, body);
    fed_h2_finish(x->h2s);
}

static void h2_stream_begin(struct fed_http_exchange *x, int status, const char *type)
{
    h2_head(x, status, type, -1, x->is_head);
}

static void h2_write(struct fed_http_exchange *x, struct fed_str bytes, struct fed_blob *blob)
{
    if (blob)
        fed_h2_write_blob(x->h2s, blob);
    else
        fed_h2_write(x->h2s, bytes);
}

static void h2_stream_end(struct fed_http_exchange *x)
{
    fed_h2_finish(x->h2s);
}

/* ---- requests ---- */

static struct fed_arena *on_begin(void *ud, struct fed_h2_stream *s)
{
    struct httpd_conn *c = ud;
    if (c->server->closing)
        return NULL;
    struct fed_http_exchange *x = httpd_exchange_new(c);
    x->h2s = s;
    x->since_ms = fed_mono_ms(c->server->env);
    fed_list_push_back(&c->reading, &x->link);
    fed_h2_stream_set_ud(s, x);
    return &x->arena;
}

/* Answers without the handler; what is left of the body is dropped as it comes. */
static void refuse(struct fed_http_exchange *x, int status)
{
    if (x->state != HTTPD_READING)
        return;
    fed_list_remove(&x->link);
    struct fed_buf body = {0};
    const char *type = httpd_refusal(x->server, status, x->req.method, &body);
    x->is_head = fed_str_is(x->req.method, "HEAD");
    if (status == 429 || status == 503)
        fed_http_add_header(x, FED_STR("Retry-After"), FED_STR("1"));
    h2_head(x, status, type, (int64_t)body.n, x->is_head);
    if (!x->is_head) {
        fed_h2_write(x->h2s, fed_buf_str(&body));
        fed_h2_finish(x->h2s);
    }
    fed_buf_release(&body);
    x->state = HTTPD_ANSWERED;
    if (x->conn->n_leaving++ == 0)
        x->conn->moved_ms = fed_mono_ms(x->server->env);
    if (x->conn->refused)
        fed_h2_goaway(x->conn->h2);
}

/* The rest of the body is dropped as it comes. */
static void decline(struct fed_http_exchange *x, int status)
{
    if (x->state != HTTPD_READING || !x->server->conf.declines) {
        refuse(x, status);
        return;
    }
    fed_list_remove(&x->link);
    (void)httpd_exchange_decline(x, status);
}

static uint64_t declared_length(const struct fed_h2_request *r)
{
    uint64_t n = 0;
    for (size_t i = 0; i < r->n_headers; i++)
        if (fed_str_is(r->headers[i].name, "content-length") && fed_str_u64(r->headers[i].value, &n) != 0)
            return UINT64_MAX;
    return n;
}

static void on_head(void *ud, struct fed_h2_stream *s, const struct fed_h2_request *r)
{
    struct httpd_conn *c = ud;
    struct fed_http_exchange *x = fed_h2_stream_ud(s);
    struct fed_http_request *q = &x->req;
    q->method = r->method;
    q->target = r->target;
    q->path = r->target;
    q->host = r->host;
    q->headers = r->headers;
    q->n_headers = r->n_headers;
    q->version = 2;
    ptrdiff_t mark = fed_str_chr(r->target, '?', 0);
    if (mark >= 0) {
        q->path = fed_str_head(r->target, (size_t)mark);
        q->query = fed_str_from(r->target, (size_t)mark + 1);
    }
    uint64_t length = declared_length(r);
    int status;
    if (r->too_large)
        refuse(x, 431);
    else if (c->refused)
        refuse(x, 429);
    else if (fed_str_is(r->method, "CONNECT"))
        refuse(x, 405);
    else if (q->path.n == 0 || (q->path.p[0] != '/' && !fed_str_is(q->path, "*")))
        refuse(x, 400);
    else if (length > c->server->conf.max_body)
        decline(x, 413);
    else if ((status = httpd_limits_body(x, length)) != 0)
        decline(x, status);
}

static void on_data(void *ud, struct fed_h2_stream *s, struct fed_str bytes)
{
    (void)ud;
    struct fed_http_exchange *x = fed_h2_stream_ud(s);
    fed_h2_consume(s, bytes.n);
    if (x->state != HTTPD_READING)
        return;
    int status = httpd_exchange_body(x, bytes);
    if (status)
        decline(x, status);
}

static void on_end(void *ud, struct fed_h2_stream *s)
{
    (void)ud;
    struct fed_http_exchange *x = fed_h2_stream_ud(s);
    if (x->state != HTTPD_READING)
        return;
    fed_list_remove(&x->link);
    httpd_exchange_dispatch(x);
}

static void on_drained(void *ud, struct fed_h2_stream *s)
{
    (void)ud;
    struct fed_http_exchange *x = fed_h2_stream_ud(s);
    x->owed_drained = false;
    if (x->state == HTTPD_STREAMING && x->drained)
        x->drained(x->drained_ud);
}

static void on_closed(void *ud, struct fed_h2_stream *s)
{
    struct httpd_conn *c = ud;
    struct fed_http_exchange *x = fed_h2_stream_ud(s);
    fed_list_remove(&x->link); /* of those that are read */
    c->n_leaving -= x->bound || x->state == HTTPD_ANSWERED;
    httpd_exchange_end(x);
}

static const struct fed_h2_handlers handlers = {
    .begin = on_begin,
    .head = on_head,
    .data = on_data,
    .end = on_end,
    .drained = on_drained,
    .closed = on_closed,
};

/* ---- connection ---- */

/* Frames to the socket, not further ahead of it than HTTPD_OUT_AHEAD. */
static void flush(struct httpd_conn *c)
{
    for (int round = 0; !c->dead && !c->lingering; round++) {
        size_t backlog = fed_stream_backlog(c->stream);
        if (backlog >= HTTPD_OUT_AHEAD)
            return; /* drained comes */
        httpd_take_out(c);
        int rc = fed_h2_send(c->h2, &c->out, FED_MIN(HTTPD_OUT_AHEAD - backlog, (size_t)HTTPD_OUT_FLUSH));
        bool more = c->out.n > 0;
        if (c->sent != fed_h2_sent(c->h2)) {
            c->sent = fed_h2_sent(c->h2);
            c->moved_ms = fed_mono_ms(c->server->env);
        }
        httpd_send(c);
        if (rc) {
            httpd_kill(c);
            return;
        }
        if (fed_h2_done(c->h2)) {
            httpd_linger(c);
            return;
        }
        if (!more)
            return;
        if (round == FLUSH_ROUNDS) {
            httpd_soon(c);
            return;
        }
    }
}

/* Of the requests that are being read. */
static struct fed_http_exchange *oldest(const struct httpd_conn *c)
{
    return FED_LIST_ENTRY(c->reading.next, struct fed_http_exchange, link);
}

static void set_deadline(struct httpd_conn *c)
{
    struct fed_httpd *h = c->server;
    if (!c->spoken)
        return; /* the time for a first request runs */
    /* While handlers have all its streams it waits for them. Frames that bring neither a request nor an answer forward
     * win no time. */
    uint64_t now = fed_mono_ms(h->env), until = UINT64_MAX;
    if (fed_h2_streams(c->h2) == 0)
        until = now + h->conf.idle_timeout_ms;
    if (c->n_leaving > 0)
        until = c->moved_ms + h->conf.idle_timeout_ms;
    if (!fed_list_empty(&c->reading))
        until = FED_MIN(until, oldest(c)->since_ms + h->conf.body_timeout_ms);
    if (until == UINT64_MAX)
        httpd_no_deadline(c);
    else
        httpd_deadline(c, until > now ? until - now : 0);
}

static void h2_data(struct httpd_conn *c, struct fed_str bytes)
{
    if (c->lingering || c->dead)
        return;
    c->busy = c->spoken = true;
    int rc = fed_h2_recv(c->h2, bytes, fed_mono_ms(c->server->env));
    c->busy = false;
    flush(c);
    if (c->dead || c->lingering)
        return;
    if (rc)
        httpd_linger(c);
    else
        set_deadline(c);
}

static void h2_run(struct httpd_conn *c)
{
    if (c->dead || c->lingering)
        return;
    flush(c);
    if (!c->dead && !c->lingering)
        set_deadline(c);
}

static void h2_timeout(struct httpd_conn *c)
{
    if (c->lingering) {
        if (!httpd_takes(c))
            httpd_kill(c);
        return;
    }
    uint64_t now = fed_mono_ms(c->server->env), time = c->server->conf.body_timeout_ms;
    if (!fed_list_empty(&c->reading) && c->spoken && now - oldest(c)->since_ms >= time) {
        refuse(oldest(c), 408);
        h2_run(c);
        return;
    }
    fed_h2_goaway(c->h2);
    flush(c);
    if (!c->dead && !c->lingering)
        httpd_linger(c);
}

static const struct httpd_ops ops = {
    .data = h2_data,
    .run = h2_run,
    .eof = httpd_kill,
    .drained = httpd_soon,
    .timeout = h2_timeout,
    .respond = h2_respond,
    .stream_begin = h2_stream_begin,
    .write = h2_write,
    .stream_end = h2_stream_end,
};

void httpd_h2_start(struct httpd_conn *c)
{
    c->ops = &ops;
    c->h2 = fed_h2_new(
        &(struct fed_h2_conf){.handlers = &handlers, .ud = c, .max_streams = c->server->conf.max_concurrent_streams});
}
