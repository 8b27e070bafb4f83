/* SPDX-License-Identifier: Apache-2.0 */
#include "http/grpc.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"

enum {
    STREAM_WINDOW = 4 * 1024 * 1024,
    CONNECTION_WINDOW = 16 * 1024 * 1024,
    MAX_METADATA = 8,
    MAX_MESSAGE = 64 * 1024 * 1024,
    PREFIX = 5, /* of a message: a flag byte and its length */
    KEEP = 64 * 1024,
};

struct fed_grpc_call {
    struct fed_list link;
    struct fed_grpc *g;
    int32_t id;
    struct fed_buf out, in;
    size_t out_at; /* bytes of `out` that nghttp2 has */
    bool last, deferred, sent, dead;
    unsigned busy; /* handlers of it on the stack */
    int http_status, status;
    struct fed_buf text;
    struct fed_grpc_handlers h;
    void *ud;
};
struct fed_grpc {
    nghttp2_session *ng;
    struct fed_list calls;
    char *authority;
    bool tls, muted;
    struct {
        char *name, *value;
    } metadata[MAX_METADATA];
    size_t n_metadata, max_message;
};

static void call_free(struct fed_grpc_call *c)
{
    fed_list_remove(&c->link);
    fed_buf_release(&c->out);
    fed_buf_release(&c->in);
    fed_buf_release(&c->text);
    free(c);
}

static void call_drop(struct fed_grpc_call *c)
{
    c->dead = true;
    if (!c->busy)
        call_free(c);
}

/* The call is over for its user; nghttp2 forgets it. */
static void call_done(struct fed_grpc_call *c, int status, struct fed_str text)
{
    nghttp2_session_set_stream_user_data(c->g->ng, c->id, NULL);
    c->busy++;
    if (!c->g->muted)
        c->h.done(c->ud, status, text);
    c->busy--;
    call_drop(c);
}

static void fail_large(struct fed_grpc_call *c)
{
    nghttp2_submit_rst_stream(c->g->ng, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_CANCEL);
    call_done(c, FED_GRPC_TOO_LARGE, FED_STR("a message is too large"));
}

/* Hands over the complete messages in c->in. */
static void take_messages(struct fed_grpc_call *c)
{
    size_t at = 0;
    c->busy++;
    while (!c->dead && !c->g->muted && c->in.n - at >= PREFIX) {
        const uint8_t *p = (const uint8_t *)c->in.p + at;
        size_t n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        if (p[0] != 0 || n > c->g->max_message) { /* compressed: we never said that we take it */
            c->busy--;
            fail_large(c);
            return;
        }
        if (c->in.n - at - PREFIX < n)
            break;
        c->h.message(c->ud, fed_str_n(c->in.p + at + PREFIX, n));
        at += PREFIX + n;
    }
    c->busy--;
    if (c->dead) {
        call_drop(c);
        return;
    }
    fed_buf_consume(&c->in, at);
    if (!c->in.n && c->in.cap > KEEP)
        fed_buf_release(&c->in);
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags FED_UNUSED, int32_t id, const uint8_t *data, size_t n,
                         void *ud FED_UNUSED)
{
    struct fed_grpc_call *c = nghttp2_session_get_stream_user_data(ng, id);
    if (!c || c->dead)
        return 0;
    fed_buf_append(&c->in, data, n);
    take_messages(c);
    return 0;
}

/* grpc-message is percent-encoded. */
static void take_text(struct fed_grpc_call *c, struct fed_str value)
{
    static const char hex[] = "0123456789ABCDEF";
    fed_buf_reset(&c->text);
    for (size_t i = 0; i < value.n && i < 4096; i++) {
        const char *hi = NULL, *lo = NULL;
        if (value.p[i] == '%' && i + 2 < value.n) {
            hi = memchr(hex, value.p[i + 1], 16);
            lo = memchr(hex, value.p[i + 2], 16);
        }
        if (hi && lo) {
            fed_buf_addc(&c->text, (char)((hi - hex) << 4 | (lo - hex)));
            i += 2;
        } else {
            fed_buf_addc(&c->text, value.p[i]);
        }
    }
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags FED_UNUSED, void *ud FED_UNUSED)
{
    struct fed_grpc_call *c = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    struct fed_str k = fed_str_n((const char *)name, name_n), v = fed_str_n((const char *)value, value_n);
    uint64_t n = 0;
    if (!c)
        return 0;
    if (fed_str_is(k, ":status") && fed_str_u64(v, &n) == 0)
        c->http_status = (int)FED_MIN(n, (uint64_t)999);
    else if (fed_str_is(k, "grpc-status") && fed_str_u64(v, &n) == 0)
        c->status = (int)FED_MIN(n, (uint64_t)999);
    else if (fed_str_is(k, "grpc-message"))
        take_text(c, v);
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ud FED_UNUSED)
{
    struct fed_grpc_call *c = nghttp2_session_get_stream_user_data(ng, id);
    if (!c)
        return 0;
    int status = c->status;
    if (status == FED_GRPC_BROKEN && (code == NGHTTP2_REFUSED_STREAM || !c->sent))
        status = FED_GRPC_REFUSED;
    if (status == FED_GRPC_BROKEN && c->http_status && c->http_status != 200) {
        fed_buf_reset(&c->text);
        fed_buf_addf(&c->text, "HTTP status %d", c->http_status);
    } else if (status == FED_GRPC_BROKEN && !c->text.n) {
        fed_buf_addf(&c->text, "the stream was reset (%s)", nghttp2_http2_strerror(code));
    }
    call_done(c, status, fed_buf_str(&c->text));
    return 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *ud FED_UNUSED)
{
    if (frame->hd.type == NGHTTP2_HEADERS) {
        struct fed_grpc_call *c = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
        if (c)
            c->sent = true;
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t n, uint32_t *flags,
                         nghttp2_data_source *source FED_UNUSED, void *ud FED_UNUSED)
{
    struct fed_grpc_call *c = nghttp2_session_get_stream_user_data(ng, id);
    if (!c) /* canceled */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t have = c->out.n - c->out_at;
    if (!have && !c->last) {
        c->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    have = FED_MIN(have, n);
    if (have)
        memcpy(buf, c->out.p + c->out_at, have);
    c->out_at += have;
    if (c->out_at == c->out.n) {
        fed_buf_reset(&c->out);
        c->out_at = 0;
        if (c->last)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)have;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *cb = NULL;
    FED_REQUIRE(nghttp2_session_callbacks_new(&cb) == 0);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    return cb;
}

struct fed_grpc *fed_grpc_new(const struct fed_grpc_conf *conf)
{
    struct fed_grpc *g = FED_NEW(struct fed_grpc);
    nghttp2_session_callbacks *cb = make_callbacks();
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW}};
    FED_REQUIRE(nghttp2_session_client_new(&g->ng, cb, g) == 0);
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(g->ng, NGHTTP2_FLAG_NONE, settings, FED_ARRAY_LEN(settings));
    nghttp2_session_set_local_window_size(g->ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
    fed_list_init(&g->calls);
    g->authority = fed_strdup(conf->authority);
    g->tls = conf->tls;
    g->max_message = conf->max_message ? conf->max_message : MAX_MESSAGE;
    FED_REQUIRE(conf->n_metadata <= MAX_METADATA);
    for (size_t i = 0; i < conf->n_metadata; i++) {
        g->metadata[i].name = fed_strdup_str(conf->metadata[i].name);
        g->metadata[i].value = fed_strdup_str(conf->metadata[i].value);
    }
    g->n_metadata = conf->n_metadata;
    return g;
}

void fed_grpc_free(struct fed_grpc *g)
{
    if (!g)
        return;
    FED_LIST_EACH_SAFE(it, &g->calls) {
        struct fed_grpc_call *c = FED_LIST_ENTRY(it, struct fed_grpc_call, link);
        nghttp2_session_set_stream_user_data(g->ng, c->id, NULL);
        call_free(c);
    }
    nghttp2_session_del(g->ng);
    for (size_t i = 0; i < g->n_metadata; i++) {
        free(g->metadata[i].name);
        free(g->metadata[i].value);
    }
    free(g->authority);
    free(g);
}

int fed_grpc_recv(struct fed_grpc *g, struct fed_str bytes)
{
    ssize_t n = nghttp2_session_mem_recv(g->ng, (const uint8_t *)bytes.p, bytes.n);
    return n < 0 ? FED_E_SYNTAX : 0;
}

int fed_grpc_send(struct fed_grpc *g, struct fed_buf *out, size_t limit)
{
    while (out->n < limit) {
        const uint8_t *p;
        ssize_t n = nghttp2_session_mem_send(g->ng, &p);
        if (n < 0)
            return FED_E_SYNTAX;
        if (n == 0)
            break;
        fed_buf_append(out, p, (size_t)n);
    }
    return 0;
}

bool fed_grpc_wants_send(const struct fed_grpc *g)
{
    return nghttp2_session_want_write(g->ng);
}

bool fed_grpc_done(const struct fed_grpc *g)
{
    return !nghttp2_session_want_read(g->ng) && !nghttp2_session_want_write(g->ng);
}

static void put_message(struct fed_grpc_call *c, struct fed_str m)
{
    char head[PREFIX] = {0, (char)(m.n >> 24), (char)(m.n >> 16), (char)(m.n >> 8), (char)m.n};
    fed_buf_append(&c->out, head, sizeof head);
    fed_buf_add(&c->out, m);
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

struct fed_grpc_call *fed_grpc_start(struct fed_grpc *g, const char *path, struct fed_str message, bool last,
                                     uint32_t timeout_ms, const struct fed_grpc_handlers *h, void *ud)
{
    struct fed_grpc_call *c = FED_NEW(struct fed_grpc_call);
    char timeout[16];
    nghttp2_nv nv[7 + MAX_METADATA] = {field(":method", "POST"), field(":scheme", g->tls ? "https" : "http"),
                                       field(":path", path),     field(":authority", g->authority),
                                       field("te", "trailers"),  field("content-type", "application/grpc")};
    size_t n = 6;
    if (timeout_ms) {
        snprintf(timeout, sizeof timeout, "%um", timeout_ms);
        nv[n++] = field("grpc-timeout", timeout);
    }
    for (size_t i = 0; i < g->n_metadata; i++)
        nv[n++] = field(g->metadata[i].name, g->metadata[i].value);
    c->g = g;
    c->h = *h;
    c->ud = ud;
    c->last = last;
    c->status = FED_GRPC_BROKEN;
    fed_buf_init(&c->in, g->max_message + PREFIX + 16 * 1024 * 1024);
    put_message(c, message);
    fed_list_push_back(&g->calls, &c->link);
    nghttp2_data_provider body = {.read_callback = read_body};
    c->id = nghttp2_submit_request(g->ng, NULL, nv, n, &body, c);
    FED_REQUIRE(c->id > 0); /* 2^30 calls on one connection: it was renewed long before */
    return c;
}

void fed_grpc_write(struct fed_grpc_call *c, struct fed_str message)
{
    if (c->dead || c->last)
        return;
    put_message(c, message);
    if (c->deferred) {
        c->deferred = false;
        nghttp2_session_resume_data(c->g->ng, c->id);
    }
}

void fed_grpc_cancel(struct fed_grpc_call *c)
{
    if (!c || c->dead)
        return;
    nghttp2_submit_rst_stream(c->g->ng, NGHTTP2_FLAG_NONE, c->id, NGHTTP2_CANCEL);
    nghttp2_session_set_stream_user_data(c->g->ng, c->id, NULL);
    call_drop(c);
}

void fed_grpc_mute(struct fed_grpc *g)
{
    g->muted = true;
}

bool fed_grpc_sent(const struct fed_grpc_call *c)
{
    return c->sent;
}
