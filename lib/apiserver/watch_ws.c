/* SPDX-License-Identifier: Apache-2.0 */
/* Watches over WebSocket, for clients that can read no stream, as browsers: each line of the stream is a text message.
 *
 * Ownership: a socket belongs to its TCP stream and is freed at the stream's end; its watcher ends with it, or before. */
#include "apiserver/watch_ws.h"

#include "base/mem.h"
#include "http/h1.h"
#include "http/ws.h"
#include "net/ws_accept.h"

enum { LINGER_MS = 5000, MESSAGE_MAX = 4096, PONGS_MAX = 64 * 1024 };

struct socket {
    struct fed_env *env;
    struct fed_stream *stream;
    struct fed_watcher *watcher; /* NULL: not yet, or no more */
    struct fed_ws ws;
    struct fed_timer linger;
    bool over;
};

static void on_linger(struct fed_timer *t)
{
    fed_stream_close(fed_container_of(t, struct socket, linger)->stream);
}

/* Says goodbye, and leaves it to the peer to hang up for a while. */
static void finish(struct socket *s, uint16_t code, int why, const struct fed_err *err)
{
    struct fed_buf out = {0}, text = {0};
    if (s->over)
        return;
    s->over = true;
    if (why) {
        fed_watch_put_error(&text, err);
        fed_ws_put(&out, FED_WS_TEXT, fed_buf_str(&text), NULL);
    }
    fed_ws_put_close(&out, code, FED_STR(""), NULL);
    fed_stream_write(s->stream, fed_buf_str(&out));
    fed_stream_shutdown(s->stream);
    fed_timer_start(s->env, &s->linger, LINGER_MS, on_linger);
    fed_buf_release(&text);
    fed_buf_release(&out);
}

/* --- from the hub --- */

static size_t line(void *ud, struct fed_blob *blob)
{
    struct socket *s = ud;
    char head[FED_WS_HEAD_MAX];
    fed_stream_write(s->stream, fed_ws_head(head, FED_WS_TEXT, fed_blob_str(blob).n));
    return fed_stream_write_blob(s->stream, blob);
}

static void end(void *ud, int code, const struct fed_err *err)
{
    struct socket *s = ud;
    s->watcher = NULL;
    finish(s, 1000, code, err);
}

static const struct fed_sink_ops sink = {.line = line, .end = end};

/* --- from the client, which has nothing to say but that it is there or goes --- */

static void leave(struct socket *s, uint16_t code)
{
    if (s->watcher)
        fed_watch_gone(s->watcher);
    s->watcher = NULL;
    finish(s, code, 0, NULL);
}

static void on_data(void *ud, struct fed_stream *stream, struct fed_str bytes)
{
    struct socket *s = ud;
    struct fed_ws_event ev;
    int rc = 0;
    s->stream = stream;
    while (!s->over && (rc = fed_ws_next(&s->ws, &bytes, &ev)) == 1) {
        if (ev.op == FED_WS_CLOSE) {
            leave(s, 1000);
        } else if (ev.op == FED_WS_PING) {
            struct fed_buf pong = {0};
            fed_ws_put(&pong, FED_WS_PONG, ev.payload, NULL);
            size_t backlog = fed_stream_write(stream, fed_buf_str(&pong));
            fed_buf_release(&pong);
            if (backlog > PONGS_MAX && !s->watcher) /* else the watch's own bound holds */
                leave(s, 1008);
        }
    }
    if (rc < 0)
        leave(s, s->ws.close_code);
}

static void on_eof(void *ud, struct fed_stream *stream)
{
    (void)ud;
    fed_stream_close(stream);
}

static void on_drained(void *ud, struct fed_stream *stream)
{
    struct socket *s = ud;
    (void)stream;
    if (s->watcher)
        fed_watch_drained(s->watcher);
}

static void socket_free(struct socket *s)
{
    fed_timer_stop(s->env, &s->linger);
    fed_ws_release(&s->ws);
    free(s);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct socket *s = ud;
    (void)code;
    (void)err;
    if (s->watcher)
        fed_watch_gone(s->watcher);
    socket_free(s);
}

/* --- the handshake --- */

bool fed_watch_ws_wanted(const struct fed_api_reply *r)
{
    const struct fed_http_request *h = r->q.http;
    return r->x && h->version == 1 && fed_str_ieq(fed_http_request_header(h, "upgrade"), FED_STR("websocket")) &&
           fed_h1_has_token(fed_http_request_header(h, "connection"), FED_STR("upgrade"));
}

/* The protocol says nothing about the messages; browsers only want to see one that they offered. */
static struct fed_str protocol_of(const struct fed_http_request *h)
{
    struct fed_str rest = fed_http_request_header(h, "sec-websocket-protocol"), one;
    while (rest.p && fed_str_cut(&rest, ',', &one)) {
        one = fed_str_trim(one);
        if (one.n && !fed_str_starts(one, FED_STR(FED_WS_BEARER)))
            return one;
    }
    return (struct fed_str){NULL, 0};
}

void fed_watch_ws(struct fed_api_reply *r, const struct fed_watch_spec *spec, struct fed_arena *arena)
{
    static const struct fed_stream_handlers handlers = {
        .data = on_data, .eof = on_eof, .drained = on_drained, .end = on_end};
    const struct fed_http_request *h = r->q.http;
    struct fed_str protocol = protocol_of(h);
    struct fed_err err = {0};
    char accept[29];
    if (!fed_str_is(fed_http_request_header(h, "sec-websocket-version"), "13") ||
        fed_ws_accept(fed_http_request_header(h, "sec-websocket-key"), accept)) {
        fed_arena_release(arena);
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "unable to upgrade: not a WebSocket handshake of version 13");
        return;
    }
    fed_http_add_header(r->x, FED_STR("Sec-WebSocket-Accept"), fed_str(accept));
    if (protocol.n)
        fed_http_add_header(r->x, FED_STR("Sec-WebSocket-Protocol"), protocol);
    struct socket *s = FED_NEW(struct socket);
    s->env = r->api->env;
    fed_ws_init(&s->ws, true, MESSAGE_MAX);
    struct fed_stream *stream = fed_http_upgrade(r->x, "websocket", &handlers, s);
    if (!stream) { /* the client has gone, or its connection is being closed */
        socket_free(s);
        fed_arena_release(arena);
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "Upgrade request required");
        return;
    }
    s->stream = stream;
    fed_audit_started(r, 101);
    if (s->over || fed_watch_start(r->api->hub, r->kc, spec, arena, &sink, s, &s->watcher, &err)) {
        fed_arena_release(arena);
        finish(s, 1000, err.code, &err);
    }
    fed_api_reply_upgraded(r);
}
