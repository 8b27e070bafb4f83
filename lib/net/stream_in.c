/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes that come, TLS and its handshake. Every path that calls a handler checks the state afterwards: a handler may
 * close the stream (which stays allocated until the loop's close callback). */
#include "base/mem.h"
#include "net/stream_priv.h"

static void deliver(struct fed_stream *s, const char *p, size_t n)
{
    if (s->handlers.data)
        s->handlers.data(s->ud, s, fed_str_n(p, n));
}

static void peer_ended(struct fed_stream *s)
{
    if (s->eof_in)
        return;
    s->eof_in = true;
    if (s->reading)
        uv_read_stop(&s->uv.stream);
    s->reading = false;
    if (s->handlers.eof)
        s->handlers.eof(s->ud, s);
    else
        fed_stream_shutdown(s);
    if (s->state != FED_STREAM_CLOSING)
        fed_stream_settled(s);
}

static void handshake_done(struct fed_stream *s)
{
    s->state = FED_STREAM_OPEN;
    fed_timer_stop(&s->loop->env, &s->deadline);
    s->has_identity = fed_tls_conn_identity(&s->tls, &s->arena, &s->cn, &s->orgs, &s->n_orgs);
    s->cert_until_s = fed_tls_conn_peer_until(&s->tls, &s->cert_refused);
    if (s->handlers.open)
        s->handlers.open(s->ud, s);
    if (s->state == FED_STREAM_OPEN)
        fed_stream_pump(s);
}

void fed_stream_continue_handshake(struct fed_stream *s)
{
    struct fed_err err;
    int step = fed_tls_conn_handshake(&s->tls, &err);
    if (step < 0) {
        fed_stream_fail(s, err.code, "%s", err.text);
        return;
    }
    fed_stream_pump(s); /* flights of the handshake */
    if (step == FED_TLS_DONE && s->state == FED_STREAM_HANDSHAKE)
        handshake_done(s);
}

/* Decrypts and delivers until the input is used up, the reader pauses or the stream closes. */
static void read_tls(struct fed_stream *s)
{
    struct fed_err err;
    s->held = false;
    while (s->state == FED_STREAM_OPEN && !s->eof_in) {
        if (s->paused) {
            s->held = true;
            return;
        }
        size_t n;
        int step = fed_tls_conn_read(&s->tls, s->loop->plain, FED_LOOP_PLAIN_SIZE, &n, &err);
        if (step < 0) {
            fed_stream_fail(s, err.code, "%s", err.text);
            return;
        }
        if (s->tls.out.n > 0 && !s->writing) /* an answer to a key update */
            fed_stream_pump_soon(s);
        if (step == FED_TLS_WAIT)
            return;
        if (step == FED_TLS_CLOSED) {
            peer_ended(s);
            return;
        }
        deliver(s, s->loop->plain, n);
    }
}

static void tls_input(struct fed_stream *s)
{
    s->in_callback = true;
    if (s->state == FED_STREAM_HANDSHAKE)
        fed_stream_continue_handshake(s);
    if (s->state == FED_STREAM_OPEN)
        read_tls(s);
    s->in_callback = false;
    if (s->state != FED_STREAM_CLOSING)
        fed_tls_conn_keep_input(&s->tls);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct fed_stream *s = fed_container_of(h, struct fed_stream, uv.handle);
    *buf = uv_buf_init(s->loop->input, FED_LOOP_INPUT_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct fed_stream *s = fed_container_of(stream, struct fed_stream, uv.stream);
    if (n == 0 || s->state == FED_STREAM_CLOSING)
        return;
    if (n == UV_EOF && s->tls.ssl) /* an end without close_notify may be an attacker's cut */
        fed_stream_fail(s, FED_E_END,
                        s->state == FED_STREAM_OPEN ? "closed by the peer without TLS close_notify"
                                                    : "TLS handshake: closed by the peer");
    else if (n == UV_EOF)
        peer_ended(s);
    else if (n < 0)
        fed_stream_fail(s, fed_uv_code((int)n), "read: %s", uv_strerror((int)n));
    else if (!s->tls.ssl)
        deliver(s, buf->base, (size_t)n);
    else {
        s->tls.in = fed_str_n(buf->base, (size_t)n);
        tls_input(s);
        fed_stream_read_more(s);
    }
}

static void on_catch_up(struct fed_task *task)
{
    struct fed_stream *s = fed_container_of(task, struct fed_stream, read_task);
    if (s->state == FED_STREAM_CLOSING || s->paused)
        return;
    tls_input(s);
    fed_stream_read_more(s);
}

void fed_stream_read_more(struct fed_stream *s)
{
    if (s->state != FED_STREAM_HANDSHAKE && s->state != FED_STREAM_OPEN)
        return;
    bool held = s->held && !s->in_callback;
    bool want = !s->eof_in && !held && (!s->paused || s->state == FED_STREAM_HANDSHAKE);
    if (held && !s->paused && !s->eof_in) /* what was decrypted or received before the pause comes first */
        fed_task_post(&s->loop->env, &s->read_task, on_catch_up);
    if (want == s->reading)
        return;
    s->reading = want;
    if (!want) {
        uv_read_stop(&s->uv.stream);
        return;
    }
    int rc = uv_read_start(&s->uv.stream, on_alloc, on_read);
    if (rc != 0)
        fed_stream_fail(s, fed_uv_code(rc), "read: %s", uv_strerror(rc));
}

void fed_stream_pause(struct fed_stream *s, bool paused)
{
    if (s->paused == paused)
        return;
    s->paused = paused;
    fed_stream_read_more(s);
}
