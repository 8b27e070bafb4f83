/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c: what backends send: an answer's head and body go to the exchange that waits for them, or the try is lost.
 * These are the handlers of a connection's stream; what else is done with connections is in upstream.c. */
#include "base/mem.h"
#include "globallb/io/worker_priv.h"

#define MAX_HEAD (FED_H1_MAX_HEAD + 65536)

/* The try is lost; the connection ends. */
static void lose(struct glb_conn *c, enum glb_loss why)
{
    struct glb_exchange *x = c->x;
    int i = c->try_i;
    if (x && why != GLB_LOST_STATUS && why != GLB_LOST_UNPROCESSED && !(c->reused && why == GLB_LOST_CUT))
        glb_conn_report(c, false);
    glb_conn_drop(c);
    if (x)
        glb_x_lost(x, i, why);
}

/* The answer has begun and cannot be completed. */
static void cut(struct glb_conn *c)
{
    struct glb_exchange *x = c->x;
    glb_conn_drop(c);
    if (x) {
        glb_bump(&c->w->count->resets);
        glb_x_done(x, false);
    }
}

/* The answer is complete: `rest` bytes came after it. */
static void finish(struct glb_conn *c, size_t rest)
{
    struct glb_exchange *x = c->x;
    glb_conn_done(c, c->keep && rest == 0 && x->body_done);
    glb_x_done(x, true);
}

static void take_body(struct glb_conn *c, struct fed_str in)
{
    struct glb_exchange *x = c->x;
    struct fed_str left = in, data;
    int rc;
    size_t backlog = 0;
    for (;;) {
        rc = fed_h1_body_next(&c->body, &left, &data);
        if (rc == FED_H1_DATA && !c->raw)
            backlog = x->ops->data(x, data);
        if (rc != FED_H1_DATA)
            break;
    }
    struct fed_str used = fed_str_head(in, in.n - left.n);
    if (rc >= 0 && c->raw && used.n)
        backlog = x->ops->data(x, used);
    x->sent_bytes += used.n;
    if (rc < 0) {
        cut(c);
    } else if (rc == FED_H1_END) {
        finish(c, left.n);
    } else {
        glb_x_moved(x);
        if (backlog > GLB_BACKLOG)
            glb_conn_pause(c, true);
    }
}

static void begin_tunnel(struct glb_conn *c, const struct fed_h1_head *h, struct fed_str rest)
{
    struct glb_exchange *x = c->x;
    if (!x->upgrade) {
        lose(c, GLB_LOST_MALFORMED);
        return;
    }
    glb_conn_report(c, true);
    glb_x_won(x, c->try_i);
    x->code = 101;
    x->state = GLB_X_TUNNEL;
    c->state = GLB_CONN_TUNNEL;
    x->ops->tunnel(x, h);
    if (rest.n && x->ops->data(x, rest) > GLB_BACKLOG)
        glb_conn_pause(c, true);
}

/* Another place may do better: 502, 503 and 504 are not passed on while there is one. */
static bool try_elsewhere(struct glb_conn *c, const struct fed_h1_head *h)
{
    struct glb_exchange *x = c->x;
    if (h->response_status != 502 && h->response_status != 503 && h->response_status != 504)
        return false;
    bool unprocessed =
        x->at[c->try_i].hop && h->response_status == 503 && glb_find_field(h, FED_STR(GLB_UNPROCESSED)).p;
    enum glb_loss why = unprocessed ? GLB_LOST_UNPROCESSED : GLB_LOST_STATUS;
    struct glb_choice ignored;
    if (!glb_tries_may_again(&x->tries, why) || glb_choose(x, true, &ignored) != GLB_FOUND)
        return false;
    if (!unprocessed && !glb_budget_take(&c->w->budget, fed_mono_ms(c->w->env)))
        return false;
    lose(c, why);
    return true;
}

static void take_head(struct glb_conn *c, const struct fed_h1_head *h, struct fed_str rest)
{
    struct glb_exchange *x = c->x;
    uint64_t now = fed_mono_ns(c->w->env);
    glb_delay_sample(&c->peer->delay, (now - c->sent_ns) / 1000);
    if (h->framing == FED_H1_BODY_TUNNEL) {
        begin_tunnel(c, h, rest);
        return;
    }
    if (try_elsewhere(c, h))
        return;
    glb_conn_report(c, true);
    glb_x_won(x, c->try_i);
    c->state = GLB_CONN_BODY;
    c->keep = h->keep_alive && h->framing != FED_H1_BODY_CLOSE;
    fed_h1_body_init(&c->body, h->framing, h->content_length);
    x->code = (uint16_t)h->response_status;
    c->raw = x->ops->head(x, h, h->framing);
    take_body(c, rest);
}

static void give_head_back(struct glb_conn *c)
{
    if (c->head)
        glb_give_head(c->w, c->head);
    c->head = NULL;
    fed_buf_reset(&c->in);
}

/* A head may come in pieces: only then bytes and parser state are kept. */
static void read_head(struct glb_conn *c, struct fed_str bytes)
{
    struct glb_worker *w = c->w;
    bool kept = c->head != NULL;
    if (kept) {
        fed_buf_add(&c->in, bytes);
        bytes = fed_buf_str(&c->in);
    }
    for (;;) {
        struct fed_h1_head *h = kept ? c->head : &w->scratch_head;
        if (!kept)
            fed_h1_init(h);
        int n = fed_h1_parse_response(h, bytes, c->x->method);
        if (n < 0 || (kept && fed_buf_status(&c->in) != 0)) {
            lose(c, GLB_LOST_MALFORMED);
            return;
        }
        if (n == 0) {
            if (!kept) {
                c->head = glb_take_head(w);
                *c->head = *h;
                fed_buf_init(&c->in, MAX_HEAD);
                fed_buf_add(&c->in, bytes);
            }
            return;
        }
        if (h->response_status >= 200 || h->response_status == 101) {
            struct fed_buf keep = c->in; /* the head's bytes must outlive what happens to the connection */
            if (kept)
                c->in = (struct fed_buf){0};
            struct fed_h1_head *own = c->head;
            c->head = NULL;
            take_head(c, h, fed_str_from(bytes, (size_t)n));
            if (kept) {
                fed_buf_release(&keep);
                glb_give_head(w, own);
            }
            return;
        }
        /* 100, 102, 103: the client had its 100 from us, hints are left out. */
        if (kept) {
            fed_buf_consume(&c->in, (size_t)n);
            bytes = fed_buf_str(&c->in);
            fed_h1_init(c->head);
        } else {
            bytes = fed_str_from(bytes, (size_t)n);
        }
        if (bytes.n == 0) {
            give_head_back(c);
            return;
        }
    }
}

static void on_open(void *ud, struct fed_stream *s)
{
    struct glb_conn *c = ud;
    (void)s;
    glb_conn_send(c); /* that the connection is accepted is not heard: the kernel does it for a stopped process */
    glb_x_room(c->x);
}

static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct glb_conn *c = ud;
    (void)s;
    c->peer->heard_ms = fed_mono_ms(c->w->env);
    switch (c->state) {
    case GLB_CONN_WAITING:
        read_head(c, bytes);
        break;
    case GLB_CONN_BODY:
        take_body(c, bytes);
        break;
    case GLB_CONN_TUNNEL:
        glb_x_moved(c->x);
        c->x->sent_bytes += bytes.n;
        if (c->x->ops->data(c->x, bytes) > GLB_BACKLOG)
            glb_conn_pause(c, true);
        break;
    default: /* an answer that nobody asked for */
        glb_conn_drop(c);
    }
}

static void ended(struct glb_conn *c, int code)
{
    switch (c->state) {
    case GLB_CONN_CONNECTING:
        glb_bump(&c->w->count->connect_failures);
        lose(c, code == FED_E_TIMEOUT ? GLB_LOST_CONNECT_TIMEOUT : GLB_LOST_CONNECT);
        break;
    case GLB_CONN_WAITING:
        lose(c, GLB_LOST_CUT);
        break;
    case GLB_CONN_BODY:
        if (code == 0 && fed_h1_body_eof(&c->body) == 0)
            finish(c, 1);
        else
            cut(c);
        break;
    case GLB_CONN_TUNNEL: {
        struct glb_exchange *x = c->x;
        glb_conn_drop(c);
        glb_x_done(x, code == 0);
        break;
    }
    default:
        glb_conn_drop(c);
    }
}

static void on_eof(void *ud, struct fed_stream *s)
{
    (void)s;
    ended(ud, 0);
}

static void on_drained(void *ud, struct fed_stream *s)
{
    struct glb_conn *c = ud;
    (void)s;
    if (c->x)
        glb_x_room(c->x);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct glb_conn *c = ud;
    (void)err;
    if (c->state != GLB_CONN_CLOSED)
        ended(c, code ? code : FED_E_CLOSED);
    glb_conn_free(c);
}

const struct fed_stream_handlers glb_upstream_handlers = {
    .open = on_open, .data = on_data, .eof = on_eof, .drained = on_drained, .end = on_end};

/* ---- starting ---- */
