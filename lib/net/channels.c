/* SPDX-License-Identifier: Apache-2.0 */
#include "net/channels.h"

#include "base/list.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "http/spdy.h"
#include "http/ws.h"
#include "net/ws_accept.h"

enum {
    MESSAGE_MAX = 1024 * 1024,
    BACKLOG_MAX = 1024 * 1024,
    CHANNELS_MAX = 512,
    FIELDS = 4,
    LINGER_MS = 30 * 1000,
    WS_CLOSE_SIGNAL = 255, /* v5: the next byte names a channel whose end this is */
    WS_WRITE = 32 * 1024,
};

struct fed_channel {
    struct fed_list link;
    struct fed_channels *session;
    void *ud;
    uint32_t id;
    bool paused, refused, finished, eof, dead; /* dead: gone is owed */
    struct fed_http_header fields[FIELDS];
    size_t n_fields;
    char text[512]; /* of the fields */
};
struct fed_channels {
    struct fed_env *env;
    struct fed_stream *stream; /* NULL: its end was told */
    const struct fed_channels_protocol *protocol;
    const struct fed_channels_handlers *handlers; /* NULL: detached */
    void *ud;
    struct fed_spdy *spdy;
    struct fed_ws ws;
    struct fed_list channels;
    unsigned n_paused;
    bool is_ws, begun, choked, closing;
    unsigned ws_channels;
    struct fed_task task; /* begins, tells what is gone */
    struct fed_timer linger;
};

/* --- channels --- */

static struct fed_channel *channel_new(struct fed_channels *s, uint32_t id)
{
    struct fed_channel *c = FED_NEW(struct fed_channel);
    c->session = s;
    c->id = id;
    fed_list_push_back(&s->channels, &c->link);
    return c;
}

static struct fed_channel *channel_find(struct fed_channels *s, uint32_t id)
{
    FED_LIST_EACH(it, &s->channels) {
        struct fed_channel *c = FED_LIST_ENTRY(it, struct fed_channel, link);
        if (c->id == id && !c->dead)
            return c;
    }
    return NULL;
}

static void update_reading(struct fed_channels *s)
{
    if (s->stream)
        fed_stream_pause(s->stream, s->handlers && (s->n_paused > 0 || s->choked));
}

static void channel_free(struct fed_channel *c)
{
    struct fed_channels *s = c->session;
    fed_list_remove(&c->link);
    if (c->paused) {
        s->n_paused--;
        update_reading(s);
    }
    free(c);
}

/* The channel is no more; its user learns it here, its memory goes. */
static void channel_gone(struct fed_channel *c)
{
    struct fed_channels *s = c->session;
    c->dead = true;
    if (s->handlers && !c->refused)
        s->handlers->gone(s->ud, c);
    channel_free(c);
}

static void detach(struct fed_channels *s)
{
    s->handlers = NULL;
    while (!fed_list_empty(&s->channels))
        channel_free(FED_LIST_ENTRY(s->channels.next, struct fed_channel, link));
}

static void session_free(struct fed_channels *s)
{
    detach(s);
    fed_spdy_free(s->spdy);
    fed_ws_release(&s->ws);
    fed_task_cancel(&s->task);
    fed_timer_stop(s->env, &s->linger);
    free(s);
}

/* --- bytes out --- */

static void flush(struct fed_channels *s)
{
    struct fed_buf *out = s->spdy ? fed_spdy_output(s->spdy) : NULL;
    if (!out || !out->n)
        return;
    if (s->stream && !s->is_ws)
        fed_stream_write(s->stream, fed_buf_str(out));
    for (size_t at = 0; s->stream && s->is_ws && at < out->n; at += WS_WRITE) {
        struct fed_buf frame = {0};
        fed_ws_put(&frame, FED_WS_BINARY, fed_str_head(fed_str_from(fed_buf_str(out), at), WS_WRITE), NULL);
        fed_stream_write(s->stream, fed_buf_str(&frame));
        fed_buf_release(&frame);
    }
    fed_buf_reset(out);
}

static void ws_write(struct fed_channels *s, uint32_t id, struct fed_str bytes)
{
    struct fed_buf frame = {0}, text = {0};
    char index = (char)id;
    if (s->protocol->carrier == FED_CARRIER_WS_BASE64) {
        fed_buf_addc(&text, (char)('0' + index));
        fed_base64_encode(&text, bytes);
        fed_ws_put(&frame, FED_WS_TEXT, fed_buf_str(&text), NULL);
    } else {
        fed_buf_addc(&text, index);
        fed_buf_add(&text, bytes);
        fed_ws_put(&frame, FED_WS_BINARY, fed_buf_str(&text), NULL);
    }
    if (s->stream)
        fed_stream_write(s->stream, fed_buf_str(&frame));
    fed_buf_release(&text);
    fed_buf_release(&frame);
}

static void ws_control(struct fed_channels *s, enum fed_ws_op op, struct fed_str payload, uint16_t code)
{
    struct fed_buf frame = {0};
    if (op == FED_WS_CLOSE)
        fed_ws_put_close(&frame, code, payload, NULL);
    else
        fed_ws_put(&frame, op, payload, NULL);
    if (s->stream)
        fed_stream_write(s->stream, fed_buf_str(&frame));
    fed_buf_release(&frame);
}

/* --- SPDY's events --- */

static void keep_fields(struct fed_channel *c, const struct fed_http_header *fields, size_t n)
{
    static const char *const wanted[FIELDS] = {"streamtype", "port", "requestid", "request-id"};
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < FIELDS; k++) {
            size_t need = fields[i].value.n;
            if (!fed_str_is(fields[i].name, wanted[k]) || c->n_fields == FIELDS || used + need > sizeof(c->text))
                continue;
            if (need)
                memcpy(c->text + used, fields[i].value.p, need);
            c->fields[c->n_fields++] = (struct fed_http_header){fed_str(wanted[k]), fed_str_n(c->text + used, need)};
            used += need;
        }
}

static bool spdy_opened(void *ud, uint32_t id, const struct fed_http_header *fields, size_t n)
{
    struct fed_channels *s = ud;
    if (!s->handlers)
        return false;
    struct fed_channel *c = channel_new(s, id);
    keep_fields(c, fields, n);
    if (s->handlers->opened(s->ud, c))
        return true;
    if (s->handlers) { /* else finish or abort freed it */
        c = channel_find(s, id);
        if (c)
            channel_free(c);
    }
    return false;
}

static void spdy_data(void *ud, uint32_t id, struct fed_str bytes)
{
    struct fed_channels *s = ud;
    struct fed_channel *c = channel_find(s, id);
    if (c && s->handlers)
        s->handlers->data(s->ud, c, bytes);
}

static void spdy_eof(void *ud, uint32_t id)
{
    struct fed_channels *s = ud;
    struct fed_channel *c = channel_find(s, id);
    if (c && s->handlers && !c->eof) {
        c->eof = true;
        s->handlers->eof(s->ud, c);
    }
}

static void spdy_gone(void *ud, uint32_t id, bool reset)
{
    struct fed_channels *s = ud;
    struct fed_channel *c = channel_find(s, id);
    (void)reset;
    if (c)
        channel_gone(c);
}

/* --- WebSocket's messages --- */

static void ws_message(struct fed_channels *s, struct fed_str payload, bool is_text)
{
    struct fed_arena a = {0};
    struct fed_str bytes = fed_str_from(payload, 1);
    if (!payload.n)
        return;
    unsigned index = (uint8_t)payload.p[0];
    if (s->protocol->carrier == FED_CARRIER_WS_BASE64) {
        index -= '0';
        if (!is_text || fed_base64_decode(&a, bytes, &bytes) < 0)
            index = UINT32_MAX;
    } else if (index == WS_CLOSE_SIGNAL && bytes.n && fed_str_starts(fed_str(s->protocol->name), FED_STR("v5."))) {
        struct fed_channel *c = channel_find(s, (uint8_t)bytes.p[0]);
        if (c && !c->eof) {
            c->eof = true;
            s->handlers->eof(s->ud, c);
        }
        index = UINT32_MAX;
    }
    struct fed_channel *c = index < s->ws_channels ? channel_find(s, index) : NULL;
    if (c && !c->eof && bytes.n)
        s->handlers->data(s->ud, c, bytes);
    fed_arena_release(&a);
}

static int ws_bytes(struct fed_channels *s, struct fed_str in)
{
    struct fed_ws_event ev;
    int rc;
    while ((rc = fed_ws_next(&s->ws, &in, &ev)) == 1) {
        if (ev.op == FED_WS_PING) {
            ws_control(s, FED_WS_PONG, ev.payload, 0);
        } else if (ev.op == FED_WS_CLOSE) {
            if (!s->closing)
                ws_control(s, FED_WS_CLOSE, FED_STR(""), ev.code == 1005 ? 1000 : ev.code);
            return FED_E_CANCELED;
        } else if (ev.op == FED_WS_PONG || !s->handlers) {
            continue;
        } else if (s->spdy) {
            if (ev.op == FED_WS_BINARY && (rc = fed_spdy_recv(s->spdy, ev.payload)) < 0)
                return rc;
            flush(s);
        } else {
            ws_message(s, ev.payload, ev.op == FED_WS_TEXT);
        }
    }
    if (rc < 0)
        ws_control(s, FED_WS_CLOSE, FED_STR(""), s->ws.close_code);
    return rc;
}

/* --- the stream --- */

/* WebSocket's channels are open from the beginning. */
static void begin(struct fed_channels *s)
{
    if (s->begun)
        return;
    s->begun = true;
    for (unsigned i = 0; i < s->ws_channels && s->handlers; i++) {
        struct fed_channel *c = channel_new(s, i);
        bool taken = s->handlers->opened(s->ud, c);
        if (s->handlers) /* else finish or abort freed it */
            c->refused = !taken;
    }
}

static void on_task(struct fed_task *task)
{
    struct fed_channels *s = fed_container_of(task, struct fed_channels, task);
    begin(s);
    for (bool again = true; again;) {
        again = false;
        FED_LIST_EACH(it, &s->channels) {
            struct fed_channel *c = FED_LIST_ENTRY(it, struct fed_channel, link);
            if (c->dead) {
                channel_gone(c);
                again = true; /* its user may have reset others */
                break;
            }
        }
    }
}

static void on_data(void *ud, struct fed_stream *stream, struct fed_str bytes)
{
    struct fed_channels *s = ud;
    begin(s);
    if (!s->handlers && !s->is_ws)
        return; /* lingering */
    int rc = s->is_ws ? ws_bytes(s, bytes) : fed_spdy_recv(s->spdy, bytes);
    flush(s);
    if (rc < 0) {
        fed_stream_shutdown(stream); /* the peer reads why; then it, or our patience, ends it */
        if (rc == FED_E_CANCELED || s->closing)
            fed_stream_close(stream);
        else
            fed_timer_start(s->env, &s->linger, 1000, s->linger.cb);
    } else if (fed_stream_backlog(stream) > BACKLOG_MAX && !s->choked) {
        s->choked = true;
        update_reading(s);
    }
}

static void on_eof(void *ud, struct fed_stream *stream)
{
    (void)ud;
    fed_stream_close(stream); /* no client of these protocols half-closes the connection */
}

static void on_drained(void *ud, struct fed_stream *stream)
{
    struct fed_channels *s = ud;
    (void)stream;
    if (s->choked) {
        s->choked = false;
        update_reading(s);
    }
    if (s->handlers && s->handlers->drained && s->begun)
        s->handlers->drained(s->ud);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct fed_channels *s = ud;
    (void)code, (void)err;
    s->stream = NULL;
    while (s->handlers && !fed_list_empty(&s->channels))
        channel_gone(FED_LIST_ENTRY(s->channels.next, struct fed_channel, link));
    if (s->handlers) {
        void (*ended)(void *) = s->handlers->ended;
        s->handlers = NULL;
        ended(s->ud);
    }
    session_free(s);
}

static void on_linger(struct fed_timer *t)
{
    struct fed_channels *s = fed_container_of(t, struct fed_channels, linger);
    if (s->stream)
        fed_stream_close(s->stream);
}

/* --- accepting --- */

static const struct fed_channels_protocol *supported(const struct fed_channels_conf *conf, struct fed_str name, bool ws)
{
    for (size_t i = 0; i < conf->n_protocols; i++)
        if (fed_str_is(name, conf->protocols[i].name) && ws == (conf->protocols[i].carrier != FED_CARRIER_SPDY))
            return &conf->protocols[i];
    return NULL;
}

/* The first that both know, of a field that may be repeated and hold a list. */
static const struct fed_channels_protocol *choose(const struct fed_http_request *r, const char *field,
                                                  const struct fed_channels_conf *conf, bool ws)
{
    bool any = false;
    for (size_t i = 0; i < r->n_headers; i++) {
        struct fed_str rest = r->headers[i].value, one;
        if (!fed_str_is(r->headers[i].name, field))
            continue;
        while (fed_str_cut(&rest, ',', &one)) {
            const struct fed_channels_protocol *p = supported(conf, fed_str_trim(one), ws);
            any = true;
            if (p)
                return p;
        }
    }
    return any ? NULL : supported(conf, FED_STR(""), ws);
}

static int refuse(struct fed_http_exchange *x, const struct fed_channels_conf *conf, bool ws, struct fed_err *err)
{
    for (size_t i = 0; i < conf->n_protocols; i++)
        if (!ws && conf->protocols[i].carrier == FED_CARRIER_SPDY && *conf->protocols[i].name)
            fed_http_add_header(x, FED_STR("X-Accepted-Stream-Protocol-Versions"), fed_str(conf->protocols[i].name));
    return fed_err_set(err, FED_E_FORBIDDEN, "unable to upgrade: unable to negotiate protocol");
}

/* Adds the fields of the 101. */
static int negotiate(struct fed_http_exchange *x, const struct fed_channels_conf *conf, bool *ws,
                     const struct fed_channels_protocol **out, struct fed_err *err)
{
    const struct fed_http_request *r = fed_http_request(x);
    struct fed_str upgrade = fed_http_request_header(r, "upgrade"), name;
    char accept[29];
    *ws = fed_str_ieq(upgrade, FED_STR("websocket"));
    if (r->version != 1 || (!*ws && !fed_str_ieq(upgrade, FED_STR("SPDY/3.1"))))
        return fed_err_set(err, FED_E_BAD_REQUEST, "Upgrade request required");
    if (*ws && (!fed_str_is(fed_http_request_header(r, "sec-websocket-version"), "13") ||
                fed_ws_accept(fed_http_request_header(r, "sec-websocket-key"), accept) < 0))
        return fed_err_set(err, FED_E_BAD_REQUEST, "unable to upgrade: not a WebSocket handshake of version 13");
    const char *field = *ws ? "sec-websocket-protocol" : "x-stream-protocol-version";
    *out = choose(r, field, conf, *ws);
    if (!*out)
        return refuse(x, conf, *ws, err);
    name = fed_str((*out)->name);
    if (*ws)
        fed_http_add_header(x, FED_STR("Sec-WebSocket-Accept"), fed_str(accept));
    if (name.n)
        fed_http_add_header(x, *ws ? FED_STR("Sec-WebSocket-Protocol") : FED_STR("X-Stream-Protocol-Version"), name);
    return 0;
}

int fed_channels_accept(struct fed_loop *loop, struct fed_http_exchange *x, const struct fed_channels_conf *conf,
                        struct fed_channels **out, struct fed_err *err)
{
    static const struct fed_stream_handlers stream_handlers = {
        .data = on_data, .eof = on_eof, .drained = on_drained, .end = on_end};
    static const struct fed_spdy_handlers spdy_handlers = {spdy_opened, spdy_data, spdy_eof, spdy_gone};
    const struct fed_channels_protocol *protocol = NULL;
    bool ws = false;
    int rc = negotiate(x, conf, &ws, &protocol, err);
    if (rc < 0)
        return rc;
    struct fed_channels *s = FED_NEW(struct fed_channels);
    s->env = fed_loop_env(loop);
    s->protocol = protocol;
    s->handlers = conf->handlers;
    s->ud = conf->ud;
    s->is_ws = ws;
    s->linger.cb = on_linger;
    fed_list_init(&s->channels);
    fed_ws_init(&s->ws, true, MESSAGE_MAX);
    if (protocol->carrier == FED_CARRIER_SPDY || protocol->carrier == FED_CARRIER_WS_SPDY)
        s->spdy = fed_spdy_new(&(struct fed_spdy_conf){&spdy_handlers, s, CHANNELS_MAX});
    else
        s->ws_channels = conf->ws_channels;
    s->stream = fed_http_upgrade(x, ws ? "websocket" : "SPDY/3.1", &stream_handlers, s);
    if (!s->stream) { /* the client has gone, or its connection is being closed */
        session_free(s);
        return fed_err_set(err, FED_E_BAD_REQUEST, "Upgrade request required");
    }
    fed_task_post(s->env, &s->task, on_task);
    *out = s;
    return 0;
}

/* --- the user's calls --- */

const struct fed_channels_protocol *fed_channels_protocol(const struct fed_channels *s)
{
    return s->protocol;
}

size_t fed_channels_backlog(const struct fed_channels *s)
{
    return s->stream ? fed_stream_backlog(s->stream) : 0;
}

void fed_channels_finish(struct fed_channels *s)
{
    detach(s);
    s->closing = true;
    s->begun = true;
    update_reading(s);
    if (!s->stream)
        return; /* inside the stream's end, which frees us */
    if (s->is_ws) {
        flush(s);
        ws_control(s, FED_WS_CLOSE, FED_STR(""), 1000);
        fed_stream_shutdown(s->stream);
    }
    /* Over SPDY the client closes once it has read the ends of its streams. Were we the first, its library would throw
     * away what it has received and not delivered yet. */
    fed_timer_start(s->env, &s->linger, LINGER_MS, on_linger);
}

void fed_channels_abort(struct fed_channels *s)
{
    detach(s);
    s->closing = s->begun = true;
    if (s->stream)
        fed_stream_close(s->stream);
}

int fed_channel_index(const struct fed_channel *c)
{
    return c->session->spdy ? -1 : (int)c->id;
}

struct fed_str fed_channel_field(const struct fed_channel *c, const char *name)
{
    for (size_t i = 0; i < c->n_fields; i++)
        if (fed_str_is(c->fields[i].name, name))
            return c->fields[i].value;
    return (struct fed_str){NULL, 0};
}

uint32_t fed_channel_id(const struct fed_channel *c)
{
    return c->id;
}

void fed_channel_set_ud(struct fed_channel *c, void *ud)
{
    c->ud = ud;
}

void *fed_channel_ud(const struct fed_channel *c)
{
    return c->ud;
}

size_t fed_channel_write(struct fed_channel *c, struct fed_str bytes)
{
    struct fed_channels *s = c->session;
    if (c->finished || c->dead)
        return fed_channels_backlog(s);
    if (s->spdy) {
        fed_spdy_write(s->spdy, c->id, bytes);
        flush(s);
        return fed_channels_backlog(s) + fed_spdy_backlog(s->spdy, c->id);
    }
    ws_write(s, c->id, bytes);
    return fed_channels_backlog(s);
}

void fed_channel_finish(struct fed_channel *c)
{
    struct fed_channels *s = c->session;
    if (c->finished || c->dead)
        return;
    c->finished = true;
    if (s->spdy && fed_spdy_finish(s->spdy, c->id))
        c->dead = true;
    if (c->dead)
        fed_task_post(s->env, &s->task, on_task);
    flush(s);
}

void fed_channel_reset(struct fed_channel *c)
{
    struct fed_channels *s = c->session;
    if (s->spdy && !c->dead)
        fed_spdy_reset(s->spdy, c->id, FED_SPDY_CANCEL);
    flush(s);
    channel_free(c);
}

void fed_channel_pause(struct fed_channel *c, bool paused)
{
    if (c->paused == paused)
        return;
    c->paused = paused;
    c->session->n_paused += paused ? 1u : -1u;
    update_reading(c->session);
}
