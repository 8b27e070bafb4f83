/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.c: connections to backends: opened or taken from the peer's pool, one request at a time on each.
 *
 *     CONNECTING -> WAITING (request sent) -> BODY -> IDLE (pool) -> WAITING …
 *                        \-> TUNNEL                 any -> CLOSED (freed by the stream's last callback)
 */
#include "base/mem.h"
#include "globallb/io/worker_priv.h"

#define MAX_HEAD (FED_H1_MAX_HEAD + 65536)
#define POOL_MAX 1024 /* idle connections of a peer */
#define FRESH_MS 3000 /* a request that may not be repeated takes no connection that has been idle for longer */

static void set_idle(struct glb_conn *c)
{
    struct glb_peer *p = c->peer;
    c->state = GLB_CONN_IDLE;
    c->idle_ms = fed_mono_ms(c->w->env);
    fed_list_remove(&c->link);
    fed_list_push_front(&p->idle, &c->link);
    p->n_idle++;
    glb_shift(&c->w->count->idle_connections, 1);
}

static void leave_idle(struct glb_conn *c)
{
    c->peer->n_idle--;
    glb_shift(&c->w->count->idle_connections, -1);
    fed_list_remove(&c->link);
    fed_list_push_back(&c->peer->busy, &c->link);
}

/* The exchange has no more to do with it. */
static void detach(struct glb_conn *c)
{
    struct glb_exchange *x = c->x;
    if (!x)
        return;
    c->peer->in_flight--;
    atomic_int *n = &c->w->count->cluster_in_flight[x->at[c->try_i].slot];
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) - 1, memory_order_relaxed);
    x->at[c->try_i].conn = NULL;
    c->x = NULL;
}

void glb_conn_drop(struct glb_conn *c)
{
    if (c->state == GLB_CONN_CLOSED)
        return;
    detach(c);
    if (c->state == GLB_CONN_IDLE)
        leave_idle(c);
    c->state = GLB_CONN_CLOSED;
    if (c->head)
        glb_give_head(c->w, c->head);
    c->head = NULL;
    fed_buf_release(&c->in);
    fed_stream_close(c->s);
}

void glb_conn_report(struct glb_conn *c, bool ok)
{
    struct fed_target *t = c->peer->target;
    bool was_down = fed_target_health(t) == FED_HEALTH_DOWN;
    fed_target_report(t, ok);
    if (ok)
        return;
    struct glb_peer *p = c->peer;
    if (fed_target_health(t) != FED_HEALTH_DOWN)
        return;
    if (!was_down)
        glb_bump(&c->w->count->ejections);
    /* Whoever waits for it need not wait for his own delay. */
    uint64_t now = fed_mono_ms(c->w->env);
    FED_LIST_EACH(it, &p->busy) {
        struct glb_conn *other = FED_LIST_ENTRY(it, struct glb_conn, link);
        if (other != c && other->x && (other->state == GLB_CONN_WAITING || other->state == GLB_CONN_CONNECTING)) {
            glb_tries_suspect(&other->x->tries, other->try_i, now);
            glb_x_step(other->x, (struct glb_step){.what = GLB_WAIT, .wake_ms = now});
        }
    }
}

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

/* ---- sending ---- */

static void send_request(struct glb_conn *c)
{
    struct glb_exchange *x = c->x;
    struct fed_str req = fed_buf_str(&x->req);
    c->state = GLB_CONN_WAITING;
    c->sent_ns = fed_mono_ns(c->w->env);
    glb_tries_wrote(&x->tries, c->try_i);
    if (x->at[c->try_i].hop) {
        fed_stream_write(c->s, fed_str_head(req, x->head_n));
        fed_stream_write(c->s, FED_STR(GLB_HOP ": 1\r\n"));
        fed_stream_write(c->s, fed_str_from(req, x->head_n));
    } else {
        fed_stream_write(c->s, req);
    }
    glb_x_room(x);
}

void glb_conn_body(struct glb_conn *c, struct fed_str bytes)
{
    if (c->state != GLB_CONN_CLOSED && c->state != GLB_CONN_CONNECTING)
        fed_stream_write(c->s, bytes);
}

void glb_conn_pause(struct glb_conn *c, bool paused)
{
    if (c->paused == paused || c->state == GLB_CONN_CLOSED)
        return;
    c->paused = paused;
    fed_stream_pause(c->s, paused);
}

/* ---- the answer ---- */

/* The answer is complete: `rest` bytes came after it. */
static void finish(struct glb_conn *c, size_t rest)
{
    struct glb_exchange *x = c->x;
    bool keep = c->keep && rest == 0 && x->body_done && fed_stream_backlog(c->s) == 0 && c->peer->n_idle < POOL_MAX &&
                !c->w->draining;
    detach(c);
    glb_conn_pause(c, false);
    if (keep) {
        if (c->in.cap > 4096)
            fed_buf_release(&c->in);
        set_idle(c);
    } else {
        glb_conn_drop(c);
    }
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

/* ---- stream handlers ---- */

static void on_open(void *ud, struct fed_stream *s)
{
    struct glb_conn *c = ud;
    (void)s;
    send_request(c); /* that the connection is accepted is not heard: the kernel does it for a stopped process */
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
    fed_list_remove(&c->link);
    glb_shift(&c->w->count->connections, -1);
    fed_buf_release(&c->in);
    free(c);
}

static const struct fed_stream_handlers handlers = {
    .open = on_open, .data = on_data, .eof = on_eof, .drained = on_drained, .end = on_end};

/* ---- starting ---- */

static struct glb_conn *from_pool(struct glb_exchange *x, struct glb_peer *p, uint64_t now_ms)
{
    if (fed_list_empty(&p->idle))
        return NULL;
    struct glb_conn *c = FED_LIST_ENTRY(p->idle.next, struct glb_conn, link);
    if (!x->tries.idempotent && now_ms - c->idle_ms > FRESH_MS)
        return NULL;
    /* A reused connection that was cut costs a try: the second time a new one is made. */
    for (int i = 0; i + 1 < x->tries.n; i++)
        if (x->at[i].target == p->target)
            return NULL;
    leave_idle(c);
    c->reused = true;
    return c;
}

static struct glb_conn *connect_to(struct glb_worker *w, struct glb_peer *p, bool hop)
{
    struct glb_conn *c = FED_NEW(struct glb_conn);
    const struct fed_addr *source = &w->shared->source;
    c->w = w;
    c->peer = p;
    fed_list_push_back(&p->busy, &c->link);
    struct fed_stream_conf conf = {
        .handlers = &handlers,
        .ud = c,
        .connect_timeout_ms = w->shared->limits.connect_ms,
        .local = hop && source->sa.sa_family == p->target->addr.sa.sa_family ? source : NULL,
    };
    glb_bump(&w->count->connects);
    glb_shift(&w->count->connections, 1);
    c->s = fed_stream_connect(w->loop, &p->target->addr, &conf);
    return c;
}

void glb_conn_start(struct glb_exchange *x, int try_i, struct glb_peer *p, bool hop)
{
    struct glb_worker *w = x->w;
    p->used_ms = fed_mono_ms(w->env);
    struct glb_conn *c = from_pool(x, p, p->used_ms);
    bool pooled = c != NULL;
    if (!c)
        c = connect_to(w, p, hop);
    else
        glb_bump(&w->count->reused);
    c->x = x;
    c->try_i = try_i;
    x->at[try_i].conn = c;
    p->in_flight++;
    atomic_int *n = &w->count->cluster_in_flight[x->at[try_i].slot];
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
    if (pooled)
        send_request(c);
}
