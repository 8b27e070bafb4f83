/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.c: one request: rewritten once, sent to a place, and by the rules of proxy/tries.h to others. */
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "globallb/io/worker_priv.h"

void glb_x_init(struct glb_exchange *x, struct glb_worker *w, const struct glb_client_ops *ops)
{
    memset(x, 0, sizeof(*x));
    x->w = w;
    x->ops = ops;
    x->winner = -1;
    fed_buf_init(&x->req, 0); /* bounded: a head and GLB_REPLAY_MAX and one read */
}

void glb_x_release(struct glb_exchange *x)
{
    glb_x_abandon(x);
    fed_timer_stop(x->w->env, &x->timer);
    fed_buf_release(&x->req);
}

/* ---- the timer: started late and stopped never, so that a request costs no heap operation in the common case ---- */

static void on_timer(struct fed_timer *t);

static void arm(struct glb_exchange *x, uint64_t wake_ms, uint64_t now_ms)
{
    x->wake_ms = wake_ms;
    if (wake_ms == UINT64_MAX || (fed_timer_active(&x->timer) && x->timer_ms <= wake_ms))
        return;
    x->timer_ms = wake_ms;
    fed_timer_start(x->w->env, &x->timer, wake_ms > now_ms ? wake_ms - now_ms : 0, on_timer);
}

/* ---- the end ---- */

static void drop_tries(struct glb_exchange *x, int but)
{
    for (int i = 0; i < x->tries.n; i++)
        if (i != but && x->at[i].conn)
            glb_conn_drop(x->at[i].conn);
}

static void settle(struct glb_exchange *x)
{
    if (x->state == GLB_X_NONE)
        return;
    x->state = GLB_X_NONE;
    x->wake_ms = UINT64_MAX;
    glb_shift(&x->w->count->in_flight, -1);
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

static void account(struct glb_exchange *x)
{
    struct glb_worker *w = x->w;
    uint64_t ns = fed_mono_ns(w->env) - x->began_ns;
    uint16_t slot = x->winner >= 0 ? x->at[x->winner].slot : FED_MAX_CLUSTERS;
    glb_count_answer(w, slot, x->code);
    if (w->latency)
        fed_metric_observe(w->latency, (double)ns / 1e9);
    if (w->shared->limits.access_log)
        fed_log_info(GLB_LOG, "request host=%.*s path=\"%.*s\" status=%d cluster=%d tries=%d bytes=%llu us=%llu",
                     FED_STR_ARG(glb_x_host(x)), FED_STR_ARG(glb_x_path(x)), x->code,
                     slot == FED_MAX_CLUSTERS ? -1 : (int)slot, x->tries.n, (unsigned long long)x->sent_bytes,
                     (unsigned long long)(ns / 1000));
}

void glb_x_done(struct glb_exchange *x, bool complete)
{
    drop_tries(x, -1);
    account(x);
    settle(x);
    x->ops->end(x, complete);
}

static void fail(struct glb_exchange *x, int status, const char *text)
{
    drop_tries(x, -1);
    x->winner = -1;
    x->code = (uint16_t)status;
    account(x);
    settle(x);
    x->ops->fail(x, status, text);
}

void glb_x_abandon(struct glb_exchange *x)
{
    if (x->state == GLB_X_NONE)
        return;
    drop_tries(x, -1);
    if (x->state != GLB_X_TUNNEL)
        x->code = 499; /* the client went away */
    account(x);
    settle(x);
}

/* ---- tries ---- */

static const char *reason_of(enum glb_found f, int *status)
{
    *status = 503;
    switch (f) {
    case GLB_NO_SNAPSHOT:
        return "not connected to the federation yet: no routes are known\n";
    case GLB_NO_RULE:
        *status = 404;
        return "no ingress rule for this host and path\n";
    case GLB_NO_SERVICE:
        return "the service or port that the ingress names does not exist\n";
    default:
        return "no endpoint of this service can be reached\n";
    }
}

static void start_try(struct glb_exchange *x, bool hedge)
{
    struct glb_worker *w = x->w;
    struct glb_choice c;
    uint64_t now = fed_mono_ms(w->env);
    enum glb_found found = glb_choose(x, hedge, &c);
    if (found != GLB_FOUND && x->tries.live > 0) {
        glb_x_step(x, glb_tries_denied(&x->tries, now));
        return;
    }
    if (found != GLB_FOUND) {
        int status;
        const char *text = reason_of(found, &status);
        fail(x, x->tries.n && status == 503 ? x->tries.status : status, text);
        return;
    }
    uint32_t hedge_ms =
        glb_delay_hedge_ms(&c.peer->delay, w->shared->limits.hedge_min_ms, w->shared->limits.hedge_max_ms);
    int i = glb_tries_begin(&x->tries, now, hedge_ms);
    x->at[i] = (struct glb_attempt){.target = c.target, .slot = c.slot, .hop = c.hop, .own = c.own};
    if (i > 0)
        glb_bump(hedge ? &w->count->hedges : &w->count->retries);
    x->hedged |= hedge;
    if (glb_conn_start(x, i, c.peer, c.hop))
        glb_x_room(x);
    if (x->state == GLB_X_TRYING)
        glb_x_step(x, glb_tries_timer(&x->tries, now));
}

static bool newest_is_down(const struct glb_exchange *x)
{
    const struct glb_attempt *at = &x->at[x->tries.n - 1];
    return at->conn &&
           (fed_target_health(at->conn->peer->target) == FED_HEALTH_DOWN || glb_cluster_lost(x->w, at->slot));
}

void glb_x_step(struct glb_exchange *x, struct glb_step step)
{
    struct glb_worker *w = x->w;
    uint64_t now = fed_mono_ms(w->env);
    switch (step.what) {
    case GLB_GIVE_UP:
        fail(x, step.status,
             step.status == 504 ? "the service did not answer in time\n" : "no endpoint of this service answered\n");
        return;
    case GLB_AGAIN:
        if (step.hedge && !newest_is_down(x) && !glb_budget_take(&w->budget, now)) {
            glb_bump(&w->count->hedges_denied);
            glb_x_step(x, glb_tries_denied(&x->tries, now));
            return;
        }
        start_try(x, step.hedge);
        return;
    case GLB_WAIT:
        arm(x, step.wake_ms, now);
    }
}

void glb_x_lost(struct glb_exchange *x, int i, enum glb_loss why)
{
    if (x->state == GLB_X_TRYING)
        glb_x_step(x, glb_tries_lost(&x->tries, i, why, fed_mono_ms(x->w->env)));
}

/* Tries beside the winner that have heard nothing since they began were to a silent place. */
static void blame_silent(struct glb_exchange *x, int winner)
{
    for (int i = 0; i < winner; i++) {
        struct glb_conn *c = x->at[i].conn;
        if (c && c->peer->heard_ms <= x->tries.t[i].began)
            glb_conn_report(c, false);
    }
}

void glb_x_won(struct glb_exchange *x, int i)
{
    glb_tries_heard(&x->tries, i);
    x->winner = i;
    x->state = GLB_X_ANSWERING;
    if (x->tries.live > 1) {
        if (i > 0 && x->hedged)
            glb_bump(&x->w->count->hedges_won);
        blame_silent(x, i);
        drop_tries(x, i);
    }
    glb_x_moved(x);
}

/* Time runs only while the other side is slow, not while our client is. */
void glb_x_moved(struct glb_exchange *x)
{
    uint64_t now = fed_mono_ms(x->w->env);
    x->moved_ms = now;
    if (x->state == GLB_X_ANSWERING)
        arm(x, now + x->w->shared->limits.stall_ms, now);
}

static void check_stall(struct glb_exchange *x, uint64_t now)
{
    const struct glb_conn *c = glb_x_winner(x);
    uint64_t due = x->moved_ms + x->w->shared->limits.stall_ms;
    if (c && now >= due && !c->paused) {
        glb_x_done(x, false);
        return;
    }
    arm(x, FED_MAX(due, now + 1000), now);
}

static void on_timer(struct fed_timer *t)
{
    struct glb_exchange *x = fed_container_of(t, struct glb_exchange, timer);
    uint64_t now = fed_mono_ms(x->w->env);
    if (x->state == GLB_X_NONE || x->state == GLB_X_TUNNEL || x->wake_ms == UINT64_MAX)
        return;
    if (now < x->wake_ms)
        arm(x, x->wake_ms, now);
    else if (x->state == GLB_X_ANSWERING)
        check_stall(x, now);
    else if (!x->body_done) /* silence says nothing while the request is not complete; its client has a timer */
        arm(x, now + x->w->shared->limits.tries.recheck_ms, now);
    else
        glb_x_step(x, glb_tries_timer(&x->tries, now));
}

/* ---- the request ---- */

static void request_id(struct glb_worker *w, char out[33])
{
    static const char digits[] = "0123456789abcdef";
    for (int k = 0; k < 4; k++) {
        uint32_t v = glb_dice(w);
        for (int i = 0; i < 8; i++, v >>= 4)
            out[k * 8 + i] = digits[v & 15];
    }
    out[32] = '\0';
}

static void keep_names(struct glb_exchange *x, const struct fed_h1_head *h)
{
    /* The request line and Host begin the rewritten head: find them there, for later tries. */
    size_t path_n = h->path.n ? h->path.n : 1, line = h->method.n + 1 + path_n;
    if (h->query.p)
        line += 1 + h->query.n;
    x->path_at = (uint32_t)h->method.n + 1;
    x->path_n = (uint32_t)path_n;
    x->host_at = (uint32_t)(line + sizeof(" HTTP/1.1\r\nHost: ") - 1);
    x->host_n = (uint32_t)h->host.n;
}

void glb_x_begin(struct glb_exchange *x, const struct fed_h1_head *h, const struct glb_x_client *who)
{
    struct glb_worker *w = x->w;
    char id[33];
    x->began_ns = fed_mono_ns(w->env);
    x->state = GLB_X_TRYING;
    x->winner = -1;
    x->method = h->method_id;
    x->body_done = h->framing == FED_H1_BODY_NONE;
    x->client_paused = x->hedged = false;
    x->expect = h->expect_continue && !x->body_done;
    x->upgrade = h->upgrade.p && !who->http2 && x->body_done && !fed_h1_has_token(h->upgrade, FED_STR("h2c"));
    x->code = 0;
    x->sent_bytes = 0;
    bool trusted = glb_find_field(h, FED_STR(GLB_HOP)).p && glb_from_balancer(w, who->addr);
    x->hop_in = trusted;
    request_id(w, id);
    struct glb_from from = {who->ip, who->tls, trusted, x->upgrade, id};
    fed_buf_reset(&x->req);
    glb_rewrite_request(&x->req, h, &from);
    x->head_n = x->req.n;
    fed_buf_add(&x->req, FED_STR("\r\n"));
    keep_names(x, h);
    bool idempotent = glb_is_idempotent(h->method_id) && !x->upgrade;
    glb_tries_init(&x->tries, &w->shared->limits.tries, x->began_ns / 1000000, idempotent);
    glb_shift(&w->count->in_flight, 1);
    glb_budget_request(&w->budget);
    start_try(x, false);
}

static bool any_sent(const struct glb_exchange *x, size_t *backlog)
{
    bool sent = false;
    *backlog = 0;
    for (int i = 0; i < x->tries.n; i++) {
        const struct glb_conn *c = x->at[i].conn;
        if (!c || !x->tries.t[i].wrote)
            continue;
        size_t n = fed_stream_backlog(c->s);
        sent = true;
        *backlog = FED_MAX(*backlog, n);
    }
    return sent;
}

/* The body has outgrown what is kept: those that have not had its begin never will. */
static void forget(struct glb_exchange *x)
{
    glb_tries_forget(&x->tries);
    for (int i = 0; i < x->tries.n; i++) {
        if (!x->at[i].conn || x->tries.t[i].wrote)
            continue;
        glb_conn_drop(x->at[i].conn);
        glb_x_lost(x, i, GLB_LOST_CONNECT);
    }
}

/* Reads on when at least one connection has the request and none has too much of it waiting. */
void glb_x_room(struct glb_exchange *x)
{
    size_t backlog;
    if (x->body_done || x->state == GLB_X_NONE) {
        if (x->state == GLB_X_TUNNEL && x->client_paused) {
            x->client_paused = false;
            x->ops->resume(x, true);
        }
        return;
    }
    bool sent = any_sent(x, &backlog);
    if (sent && x->expect) {
        x->expect = false;
        x->ops->go_ahead(x);
    }
    bool pause = sent ? backlog > GLB_BACKLOG : x->req.n - x->head_n > GLB_REPLAY_MAX;
    if (sent && x->tries.replay && x->req.n - x->head_n > GLB_REPLAY_MAX)
        forget(x);
    if (pause != x->client_paused) {
        x->client_paused = pause;
        x->ops->resume(x, !pause);
    }
}

void glb_x_body(struct glb_exchange *x, struct fed_str raw)
{
    if (x->state == GLB_X_NONE)
        return;
    x->expect = false;
    if (x->tries.replay && x->state == GLB_X_TRYING)
        fed_buf_add(&x->req, raw);
    for (int i = 0; i < x->tries.n; i++)
        if (x->at[i].conn && x->tries.t[i].wrote)
            glb_conn_body(x->at[i].conn, raw);
    x->moved_ms = fed_mono_ms(x->w->env);
    glb_tries_fed(&x->tries, x->moved_ms);
    glb_x_room(x);
}

void glb_x_body_end(struct glb_exchange *x)
{
    x->body_done = true;
    x->expect = false;
}

void glb_x_drained(struct glb_exchange *x)
{
    struct glb_conn *c = glb_x_winner(x);
    if (!c)
        return;
    x->moved_ms = fed_mono_ms(x->w->env);
    glb_conn_pause(c, false);
}
