/* SPDX-License-Identifier: Apache-2.0 */
#include "net/httpd_priv.h"

#include <stdlib.h>

#include "base/mem.h"

/* ---- answers ---- */

static void put_date(struct httpd_conn *c)
{
    fed_h1_put_known(&c->out, FED_STR("Date: "), httpd_date(c->server));
}

static void put_connection(struct httpd_conn *c)
{
    if (!c->keep_alive)
        fed_buf_add(&c->out, FED_STR("Connection: close\r\n"));
    else if (c->minor == 0)
        fed_buf_add(&c->out, FED_STR("Connection: keep-alive\r\n"));
}

static void put_first_lines(struct httpd_conn *c, int status, const char *type)
{
    struct fed_httpd *h = c->server;
    (void)httpd_date(h); /* which second it is */
    bool usual = status == 200 && type && strlen(type) < sizeof(h->ok_type);
    if (usual && h->ok_date_s == h->date_s && strcmp(type, h->ok_type) == 0) {
        fed_buf_add(&c->out, fed_buf_str(&h->ok_head));
        return;
    }
    size_t from = c->out.n;
    fed_h1_put_status_line(&c->out, status);
    put_date(c);
    if (type)
        fed_h1_put_known(&c->out, FED_STR("Content-Type: "), fed_str(type));
    if (!usual || fed_buf_status(&c->out) != 0)
        return;
    fed_buf_reset(&h->ok_head);
    fed_buf_add(&h->ok_head, fed_str_from(fed_buf_str(&c->out), from));
    memcpy(h->ok_type, type, strlen(type) + 1);
    h->ok_date_s = h->date_s;
}

static void put_head(struct fed_http_exchange *x, int status, const char *type)
{
    struct httpd_conn *c = x->conn;
    if (c->server->closing)
        c->keep_alive = false;
    httpd_take_out(c);
    put_first_lines(c, status, type);
    for (size_t i = 0; i < x->n_extra; i++)
        fed_h1_put_header(&c->out, x->extra[i].name, x->extra[i].value);
    put_connection(c);
}

/* Small pieces are copied, large ones referenced or handed on. */
static void put_body(struct httpd_conn *c, struct fed_str bytes, struct fed_blob *blob)
{
    if (bytes.n <= HTTPD_COALESCE) {
        fed_buf_add(&c->out, bytes);
        if (c->out.n >= HTTPD_OUT_FLUSH)
            httpd_flush(c);
        return;
    }
    httpd_flush(c);
    if (c->dead)
        return;
    if (blob)
        fed_stream_write_blob(c->stream, blob);
    else
        fed_stream_write(c->stream, bytes);
}

static void h1_respond(struct fed_http_exchange *x, int status, const char *type, struct fed_str body,
                       struct fed_blob *blob)
{
    struct httpd_conn *c = x->conn;
    put_head(x, status, type);
    if (!httpd_bodiless(status))
        fed_h1_put_header_u64(&c->out, FED_STR("Content-Length"), body.n);
    fed_h1_put_end(&c->out);
    if (!x->is_head)
        put_body(c, body, blob);
}

static void h1_stream_begin(struct fed_http_exchange *x, int status, const char *type)
{
    struct httpd_conn *c = x->conn;
    x->chunked = c->minor == 1 && !x->is_head;
    if (c->minor == 0)
        c->keep_alive = false; /* the end of the connection ends the body */
    put_head(x, status, type);
    if (c->minor == 1)
        fed_buf_add(&c->out, FED_STR("Transfer-Encoding: chunked\r\n"));
    fed_h1_put_end(&c->out);
}

static void h1_write(struct fed_http_exchange *x, struct fed_str bytes, struct fed_blob *blob)
{
    struct httpd_conn *c = x->conn;
    httpd_take_out(c);
    if (x->chunked)
        fed_h1_put_chunk_head(&c->out, bytes.n);
    put_body(c, bytes, blob);
    if (x->chunked)
        fed_buf_add(&c->out, FED_H1_CHUNK_TAIL);
}

static void h1_stream_end(struct fed_http_exchange *x)
{
    if (x->chunked)
        fed_buf_add(&x->conn->out, FED_H1_LAST_CHUNK);
}

/* Refuses what is being read, without the handler; the connection ends. */
static void refuse(struct httpd_conn *c, int status, struct fed_str method)
{
    struct fed_buf body = {0};
    const char *type = httpd_refusal(c->server, status, c->x ? c->x->req.method : method, &body);
    c->keep_alive = false;
    c->minor = 1;
    fed_h1_put_status_line(&c->out, status);
    put_date(c);
    put_connection(c);
    if (status == 429 || status == 503)
        fed_h1_put_header(&c->out, FED_STR("Retry-After"), FED_STR("1"));
    fed_h1_put_header(&c->out, FED_STR("Content-Type"), fed_str(type));
    fed_h1_put_header_u64(&c->out, FED_STR("Content-Length"), body.n);
    fed_h1_put_end(&c->out);
    fed_buf_add(&c->out, fed_buf_str(&body));
    fed_buf_release(&body);
    if (c->x) {
        httpd_exchange_end(c->x);
        c->x = NULL;
    }
    httpd_linger(c);
}

/* The body is not read on. False: it was refused here, without the handler. */
static bool decline(struct httpd_conn *c, int status)
{
    c->keep_alive = false;
    httpd_no_deadline(c);
    if (httpd_exchange_decline(c->x, status))
        return true;
    refuse(c, status, (struct fed_str){NULL, 0});
    return false;
}

/* ---- requests ---- */

static struct fed_h1_head *take_head(struct fed_httpd *h)
{
    struct fed_h1_head *head = h->spare_head;
    h->spare_head = NULL;
    if (!head)
        head = fed_malloc(sizeof(*head));
    fed_h1_init(head);
    return head;
}

static void give_head(struct httpd_conn *c)
{
    if (c->server->spare_head)
        free(c->head);
    else
        c->server->spare_head = c->head;
    c->head = NULL;
}

static void fill_request(struct fed_http_exchange *x, struct fed_h1_head *head, struct fed_str bytes)
{
    /* The connection's buffer moves on; the exchange keeps the head in its arena, names in lower case there. */
    char *copy = fed_arena_alloc(&x->arena, bytes.n);
    memcpy(copy, bytes.p, bytes.n);
    fed_h1_rebase(head, copy);
    struct fed_http_header *fields = fed_arena_alloc(&x->arena, sizeof(*fields) * (head->n_headers + 1));
    memcpy(fields, head->headers, sizeof(*fields) * head->n_headers);
    for (size_t i = 0; i < head->n_headers; i++)
        fed_h1_lower((char *)fields[i].name.p, fields[i].name.n);
    struct fed_http_request *r = &x->req;
    r->method = head->method;
    r->target = head->target;
    r->path = head->path.n ? head->path : FED_STR("/"); /* "http://host" */
    r->query = head->query;
    r->host = head->host;
    r->headers = fields;
    r->n_headers = head->n_headers;
    r->version = 1;
}

/* What a head says is enough to refuse the request: the status; 0: it is not. */
static int head_refused(const struct httpd_conn *c, const struct fed_h1_head *head)
{
    if (c->refused)
        return 429;
    if (head->method_id == FED_H1_CONNECT)
        return 405;
    return 0;
}

/* What a request says of its body is enough to refuse that. */
static int body_refused(struct httpd_conn *c, const struct fed_h1_head *head)
{
    if (head->framing != FED_H1_BODY_LENGTH)
        return 0;
    return head->content_length > c->server->conf.max_body ? 413 : httpd_limits_body(c->x, head->content_length);
}

/* Reads a head off *in. False: wait for more, or the request was refused. */
static bool read_head(struct httpd_conn *c, struct fed_str *in)
{
    struct fed_httpd *h = c->server;
    if (in->n == 0)
        return false;
    if (!c->head)
        c->head = take_head(h);
    struct fed_h1_head *head = c->head;
    int n = fed_h1_parse_request(head, *in);
    if (n == 0) {
        if (c->deadline_ms > fed_mono_ms(h->env) + h->conf.header_timeout_ms)
            httpd_deadline(c, h->conf.header_timeout_ms);
        return false;
    }
    int status = n < 0 ? head->status : head_refused(c, head);
    if (status) {
        refuse(c, status, n < 0 ? (struct fed_str){NULL, 0} : head->method);
        give_head(c);
        return false;
    }
    c->x = httpd_exchange_new(c);
    c->minor = head->minor;
    c->keep_alive = head->keep_alive;
    fed_h1_body_init(&c->body, head->framing, head->content_length);
    fill_request(c->x, head, fed_str_head(*in, (size_t)n));
    *in = fed_str_from(*in, (size_t)n);
    if (head->framing != FED_H1_BODY_NONE)
        c->body_by_ms = fed_mono_ms(h->env) + h->conf.body_timeout_ms;
    status = body_refused(c, head);
    if (status) {
        give_head(c);
        return decline(c, status);
    }
    if (head->expect_continue && head->framing != FED_H1_BODY_NONE && in->n == 0)
        fed_buf_add(&c->out, FED_STR("HTTP/1.1 100 Continue\r\n\r\n"));
    give_head(c);
    return true;
}

/* Reads the body and hands the complete request over. False: wait, or refused. */
static bool read_body(struct httpd_conn *c, struct fed_str *in)
{
    for (;;) {
        struct fed_str data;
        int rc = fed_h1_body_next(&c->body, in, &data);
        int status = rc == FED_H1_DATA ? httpd_exchange_body(c->x, data) : 0;
        if (rc < 0) {
            refuse(c, 400, (struct fed_str){NULL, 0});
            return false;
        }
        if (status)
            return decline(c, status);
        if (rc == FED_H1_MORE) {
            uint64_t now = fed_mono_ms(c->server->env);
            uint64_t left = c->body_by_ms > now ? c->body_by_ms - now : 0;
            httpd_deadline(c, FED_MIN(left, (uint64_t)c->server->conf.idle_timeout_ms));
            return false;
        }
        if (rc == FED_H1_END) {
            httpd_no_deadline(c);
            httpd_exchange_dispatch(c->x);
            return true;
        }
    }
}

/* The stream goes to its new owner. The connection is freed. */
static void hand_over(struct httpd_conn *c, struct fed_str rest)
{
    struct fed_stream *stream = c->stream;
    const struct fed_stream_handlers *handlers = c->upgrade;
    void *ud = c->upgrade_ud;
    struct fed_buf keep = c->in;
    c->in = (struct fed_buf){.max = 0};
    fed_stream_set_handlers(stream, handlers, ud);
    if (c->paused)
        fed_stream_pause(stream, false);
    bool eof = c->eof;
    httpd_forget(c);
    if (rest.n)
        handlers->data(ud, stream, rest);
    if (eof && handlers->eof)
        handlers->eof(ud, stream);
    else if (eof)
        fed_stream_shutdown(stream);
    fed_buf_release(&keep);
}

/* The answer waits for the client, and somebody wants to know when it has been taken. What is sent at once, or nearly,
 * keeps nobody waiting. */
static bool leaving(const struct httpd_conn *c)
{
    return c->x->closed && !c->upgrade && !c->dead && fed_stream_backlog(c->stream) >= HTTPD_OUT_FLUSH;
}

enum next {
    GO_ON,
    WAIT, /* the exchange stays */
    STOP, /* no more requests are read */
    GONE, /* the connection was handed over */
};

/* The exchange was answered: ends it, when the answer has been sent. */
static enum next finish_exchange(struct httpd_conn *c, struct fed_str rest)
{
    struct fed_http_exchange *x = c->x;
    if (leaving(c)) {
        if (c->n_leaving == 0)
            httpd_bound(c);
        return WAIT;
    }
    c->x = NULL;
    if (c->n_leaving > 0)
        c->n_leaving = c->left = 0;
    httpd_exchange_end(x);
    if (c->upgrade) {
        hand_over(c, rest);
        return GONE;
    }
    if (c->dead)
        return STOP;
    if (!c->keep_alive || c->server->closing || c->eof) {
        httpd_linger(c);
        return STOP;
    }
    httpd_deadline(c, c->server->conf.idle_timeout_ms);
    return GO_ON;
}

/* The client does not take its answers: its next request waits, else it could make us keep any number of them. */
static bool unread(const struct httpd_conn *c)
{
    return !c->x && c->out.n + fed_stream_backlog(c->stream) >= HTTPD_OUT_AHEAD;
}

static enum next process(struct httpd_conn *c, struct fed_str *in)
{
    while (!c->lingering && !c->dead) {
        c->held = unread(c);
        if (c->held)
            break;
        if (!c->x && !read_head(c, in))
            break;
        if (c->x->state == HTTPD_READING && !read_body(c, in))
            break;
        if (c->x->state != HTTPD_ANSWERED)
            break;
        enum next next = finish_exchange(c, *in);
        if (next == WAIT)
            break;
        if (next != GO_ON)
            return next;
    }
    return c->lingering || c->dead ? STOP : GO_ON;
}

static void keep_rest(struct httpd_conn *c, struct fed_str rest, bool buffered)
{
    if (buffered)
        fed_buf_consume(&c->in, c->in.n - rest.n);
    else
        fed_buf_add(&c->in, rest);
    bool pause = (c->x || c->held) && c->in.n > HTTPD_IN_AHEAD;
    if (pause != c->paused) {
        c->paused = pause;
        fed_stream_pause(c->stream, pause);
    }
}

/* The peer has ended its side. A client may still wait for an answer; but whoever asked to be told, or streams, takes
 * the end as the client's leaving (as a terminal's ^C looks). */
static void after_eof(struct httpd_conn *c)
{
    struct fed_http_exchange *x = c->x;
    if (c->lingering || c->dead)
        return;
    if (x && (x->state == HTTPD_ANSWERED || (x->state == HTTPD_HANDLING && !x->closed)))
        return;
    if (!x && c->out.n + fed_stream_backlog(c->stream) > 0)
        httpd_linger(c);
    else
        httpd_kill(c);
}

static void h1_eof(struct httpd_conn *c)
{
    c->eof = true;
    if (c->lingering)
        httpd_kill(c); /* the client has seen the last answer */
    else
        after_eof(c);
}

static void h1_drained(struct httpd_conn *c)
{
    struct fed_http_exchange *x = c->x;
    if (c->held && !unread(c)) {
        c->held = false;
        httpd_soon(c);
    }
    if (x && x->state == HTTPD_ANSWERED && c->n_leaving > 0 && !leaving(c))
        httpd_soon(c);
    if (c->dead || !x || x->state != HTTPD_STREAMING || !x->owed_drained || fed_http_stream_backlog(x) > 0)
        return;
    x->owed_drained = false;
    if (x->drained)
        x->drained(x->drained_ud);
}

static void work(struct httpd_conn *c, struct fed_str in, bool buffered)
{
    c->busy = true;
    enum next next = process(c, &in);
    if (next == GONE)
        return;
    c->busy = false;
    if (next == STOP)
        fed_buf_release(&c->in);
    else
        keep_rest(c, in, buffered);
    if (c->x || c->held || c->eof || next == STOP) /* somebody waits for it to be sent */
        httpd_send(c);
    else
        httpd_send_soon(c);
    if (c->eof)
        after_eof(c);
    h1_drained(c);
}

static void h1_data(struct httpd_conn *c, struct fed_str bytes)
{
    if (c->lingering || c->dead)
        return;
    bool buffered = c->in.n > 0;
    if (buffered) {
        fed_buf_add(&c->in, bytes);
        if (fed_buf_status(&c->in) != 0) {
            httpd_kill(c);
            return;
        }
    }
    work(c, buffered ? fed_buf_str(&c->in) : bytes, buffered);
}

static void h1_run(struct httpd_conn *c)
{
    work(c, fed_buf_str(&c->in), true);
}

static void h1_timeout(struct httpd_conn *c)
{
    if (c->lingering || (!c->x && !c->head) || c->n_leaving > 0) {
        if (!httpd_takes(c))
            httpd_kill(c);
    } else if (!c->x || c->x->state == HTTPD_READING) {
        if (c->head)
            give_head(c);
        refuse(c, 408, (struct fed_str){NULL, 0});
        httpd_flush(c);
    }
}

const struct httpd_ops httpd_h1_ops = {
    .data = h1_data,
    .run = h1_run,
    .eof = h1_eof,
    .drained = h1_drained,
    .timeout = h1_timeout,
    .respond = h1_respond,
    .stream_begin = h1_stream_begin,
    .write = h1_write,
    .stream_end = h1_stream_end,
};
