/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.c: connections to backends: opened or taken from the peer's pool, one request at a time on each.
 *
 *     CONNECTING -> WAITING (request sent) -> BODY -> IDLE (pool) -> WAITING …
 *                        \-> TUNNEL                 any -> CLOSED (freed by the stream's last callback)
 *
 * What comes from the backend is read by the worker's `upstream` handlers (answer.c).
 */
#include "base/mem.h"
#include "globallb/io/worker_priv.h"

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

void glb_conn_done(struct glb_conn *c, bool keep)
{
    keep = keep && fed_stream_backlog(c->s) == 0 && c->peer->n_idle < POOL_MAX && !c->w->draining;
    detach(c);
    glb_conn_pause(c, false);
    if (!keep) {
        glb_conn_drop(c);
        return;
    }
    if (c->in.cap > 4096)
        fed_buf_release(&c->in);
    set_idle(c);
}

void glb_conn_free(struct glb_conn *c)
{
    fed_list_remove(&c->link);
    glb_shift(&c->w->count->connections, -1);
    fed_buf_release(&c->in);
    free(c);
}

/* ---- sending ---- */

void glb_conn_send(struct glb_conn *c)
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
        .handlers = w->upstream,
        .ud = c,
        .connect_timeout_ms = w->shared->limits.connect_ms,
        .local = hop && source->sa.sa_family == p->target->addr.sa.sa_family ? source : NULL,
    };
    glb_bump(&w->count->connects);
    glb_shift(&w->count->connections, 1);
    c->s = fed_stream_connect(w->loop, &p->target->addr, &conf);
    return c;
}

bool glb_conn_start(struct glb_exchange *x, int try_i, struct glb_peer *p, bool hop)
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
        glb_conn_send(c);
    return pooled;
}
