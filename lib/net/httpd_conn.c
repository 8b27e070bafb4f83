/* SPDX-License-Identifier: Apache-2.0 */
/* A connection whatever it speaks: its one timer, its output, its end; and the server's, once nothing is left of it. */
#include "net/httpd_priv.h"

#include <stdlib.h>

#include "base/mem.h"

enum { KEEP_OUT = 16 * 1024 };

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

void httpd_bound(struct httpd_conn *c)
{
    c->n_leaving = 1;
    c->left = SIZE_MAX;
    httpd_deadline(c, c->server->conf.idle_timeout_ms / HTTPD_LOOKS + 1);
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
    c->ops->timeout(c);
}

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
    c->ops->run(c);
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

void httpd_quiet(struct httpd_conn *c)
{
    c->busy = true;
    fed_timer_stop(c->server->env, &c->timer);
    fed_task_cancel(&c->task);
}

void httpd_forget(struct httpd_conn *c)
{
    struct fed_httpd *h = c->server;
    httpd_quiet(c); /* a `closed` callback may act on another exchange of this connection */
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

struct fed_str httpd_date(struct fed_httpd *h)
{
    int64_t now = fed_wall_ms(h->env);
    if (now / 1000 != h->date_s) {
        h->date_s = now / 1000;
        fed_http_date(now, h->date);
    }
    return (struct fed_str){h->date, 29};
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
    fed_buf_release(&h->ok_head);
    free(h->scratch);
    free(h);
}

void httpd_maybe_finish(struct fed_httpd *h)
{
    if (h->closing && h->n_conns == 0)
        fed_task_post(h->env, &h->finish, on_finish);
}
