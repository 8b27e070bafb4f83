/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "http/chars.h"

enum {
    DEFAULT_STREAMS = 250,
    DEFAULT_WINDOW = 256 * 1024,
    BUDGET = 1000, /* troublesome frames at once */
    BUDGET_PER_SECOND = 100,
    MAX_OUTBOUND_ACKS = 256, /* settings and ping answers that the peer does not read */
    MAX_LATE = 1024 * 1024,  /* of a body whose request is answered already */
    COPY_CHUNK = 16 * 1024,  /* small writes gather in pieces of this size */
};

/* A piece of an answer's body: bytes of a blob, or room that small writes fill. */
struct piece {
    struct piece *next;
    struct fed_blob *blob; /* NULL: bytes follow this struct */
    const char *p;
    size_t n, cap; /* cap: of the bytes that follow, counted from p's start */
};

struct fed_h2_stream {
    struct fed_list link, drained_link;
    struct fed_h2 *session;
    int32_t id;
    void *ud;
    struct fed_arena *arena;
    struct piece *first, *last;
    size_t backlog;
    bool finished; /* no more writes */
    bool deferred; /* nghttp2 waits for fed_h2_write */
    bool responded, reset, refused, owed_drained;
    bool answer_sent;
    size_t late; /* bytes that came after the answer was sent */
};

struct fed_h2 {
    nghttp2_session *ng;
    const struct fed_h2_handlers *handlers;
    void *ud;
    struct fed_list streams, drained;
    size_t n_streams;
    struct fed_buf *out; /* during fed_h2_send */
    size_t out_limit;
    uint64_t now_ms, budget_ms, sent;
    uint32_t budget;
    bool flooded;
    /* The header block that is being read; blocks do not interleave. */
    size_t head_bytes;
    struct fed_h2_request head;
    struct fed_http_header fields[FED_H2_MAX_HEADERS];
};

static void spend(struct fed_h2 *h)
{
    uint64_t earned = (h->now_ms - h->budget_ms) * BUDGET_PER_SECOND / 1000;
    if (earned) {
        h->budget = (uint32_t)FED_MIN(h->budget + earned, (uint64_t)BUDGET);
        h->budget_ms = h->now_ms;
    }
    if (h->budget)
        h->budget--;
    else
        h->flooded = true;
}

static void drop_piece(struct fed_h2_stream *s)
{
    struct piece *p = s->first;
    s->first = p->next;
    if (!s->first)
        s->last = NULL;
    fed_blob_unref(p->blob);
    free(p);
}

static void stream_free(struct fed_h2_stream *s)
{
    while (s->first)
        drop_piece(s);
    fed_list_remove(&s->link);
    fed_list_remove(&s->drained_link);
    s->session->n_streams--;
    free(s);
}

static struct fed_h2_stream *stream_of(struct fed_h2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->ng, id);
}

/* ---- events from nghttp2 ---- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *ud)
{
    struct fed_h2 *h = ud;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct fed_h2_stream *s = FED_NEW(struct fed_h2_stream);
    s->session = h;
    s->id = frame->hd.stream_id;
    fed_list_push_back(&h->streams, &s->link);
    h->n_streams++;
    nghttp2_session_set_stream_user_data(ng, s->id, s);
    h->head = (struct fed_h2_request){.headers = NULL};
    h->head_bytes = 0;
    s->arena = h->handlers->begin(h->ud, s);
    if (!s->arena) {
        s->refused = true;
        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_REFUSED_STREAM);
    }
    return 0;
}

static struct fed_str *pseudo_slot(struct fed_h2_request *r, struct fed_str name)
{
    if (fed_str_is(name, ":method"))
        return &r->method;
    if (fed_str_is(name, ":path"))
        return &r->target;
    if (fed_str_is(name, ":authority"))
        return &r->host;
    return fed_str_is(name, ":scheme") ? &r->scheme : NULL;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *ud)
{
    (void)flags;
    struct fed_h2 *h = ud;
    struct fed_h2_stream *s = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    /* Trailers are read and dropped. */
    if (!s || s->refused || frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct fed_h2_request *r = &h->head;
    struct fed_str n = {(const char *)name, name_n}, v = {(const char *)value, value_n};
    h->head_bytes += name_n + value_n + 32; /* as RFC 9113 6.5.2 counts */
    if (h->head_bytes > FED_H2_MAX_HEADER_LIST || r->n_headers == FED_H2_MAX_HEADERS) {
        r->too_large = true;
        return 0;
    }
    if (name_n && name[0] == ':') {
        struct fed_str *slot = pseudo_slot(r, n);
        if (slot)
            *slot = fed_arena_dup(s->arena, v);
        return 0;
    }
    struct fed_http_header *f = &h->fields[r->n_headers++];
    f->name = fed_arena_dup(s->arena, n);
    f->value = fed_arena_dup(s->arena, v);
    if (!r->host.p && fed_str_is(n, "host"))
        r->host = f->value;
    return 0;
}

static void head_complete(struct fed_h2 *h, struct fed_h2_stream *s, bool end)
{
    struct fed_h2_request *r = &h->head;
    struct fed_http_header *copy = fed_arena_alloc(s->arena, sizeof(*copy) * (r->n_headers + 1));
    memcpy(copy, h->fields, sizeof(*copy) * r->n_headers);
    r->headers = copy;
    r->end = end;
    h->handlers->head(h->ud, s, r);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *ud)
{
    struct fed_h2 *h = ud;
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        break;
    case NGHTTP2_WINDOW_UPDATE:
        return 0;
    default: /* settings, ping, priority, reset, goaway: cheap to send, so not without end */
        spend(h);
        return 0;
    }
    if (frame->hd.type == NGHTTP2_DATA && frame->hd.length == 0 && !end)
        spend(h);
    struct fed_h2_stream *s = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (!s || s->refused)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        head_complete(h, s, end);
    if (end && !s->reset)
        h->handlers->end(h->ud, s);
    return 0;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *ud)
{
    (void)flags;
    struct fed_h2 *h = ud;
    struct fed_h2_stream *s = stream_of(h, id);
    if (!s || s->refused || s->reset) {
        nghttp2_session_consume(ng, id, n);
        return 0;
    }
    if (s->answer_sent) {
        /* Answered before the request was whole (too large). A client that reads while it sends stops by itself; a
         * reset at once would make some drop the answer, so only one that goes on gets it (RFC 9113 8.1). */
        nghttp2_session_consume(ng, id, n);
        s->late += n;
        if (s->late > MAX_LATE)
            fed_h2_reset(s, FED_H2_NO_ERROR);
        return 0;
    }
    h->handlers->data(h->ud, s, (struct fed_str){(const char *)data, n});
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ud)
{
    (void)code;
    struct fed_h2 *h = ud;
    struct fed_h2_stream *s = stream_of(h, id);
    if (!s)
        return 0;
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    if (!s->refused)
        h->handlers->closed(h->ud, s);
    stream_free(s);
    return 0;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int code, void *ud)
{
    (void)ng;
    (void)frame;
    (void)code;
    spend(ud);
    return 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *ud)
{
    (void)ng;
    struct fed_h2 *h = ud;
    /* A peer can also make us reset its streams at no cost of its own (invalid frames on valid streams). */
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
        frame->rst_stream.error_code != NGHTTP2_CANCEL)
        spend(h);
    h->sent += frame->hd.type == NGHTTP2_HEADERS;
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct fed_h2_stream *s = stream_of(h, frame->hd.stream_id);
    if (s)
        s->answer_sent = true;
    return 0;
}

/* ---- bodies of answers ---- */

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t n, uint32_t *flags,
                         nghttp2_data_source *source, void *ud)
{
    (void)ng;
    (void)id;
    (void)buf;
    (void)ud;
    struct fed_h2_stream *s = source->ptr;
    if (s->backlog == 0 && !s->finished) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (s->backlog <= n && s->finished)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)FED_MIN(n, s->backlog);
}

static int send_body(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *framehd, size_t n,
                     nghttp2_data_source *source, void *ud)
{
    (void)ng;
    (void)frame; /* never padded: no padding callback is set */
    struct fed_h2 *h = ud;
    struct fed_h2_stream *s = source->ptr;
    fed_buf_append(h->out, framehd, 9);
    h->sent += n;
    s->backlog -= n;
    while (n > 0) {
        struct piece *p = s->first;
        size_t k = FED_MIN(n, p->n);
        fed_buf_append(h->out, p->p, k);
        p->p += k;
        p->n -= k;
        n -= k;
        if (p->n == 0)
            drop_piece(s);
    }
    if (s->backlog == 0 && s->owed_drained && !s->finished && !fed_list_linked(&s->drained_link))
        fed_list_push_back(&h->drained, &s->drained_link);
    return h->out->n >= h->out_limit ? NGHTTP2_ERR_PAUSE : 0;
}

/* ---- session ---- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *cb = NULL;
    FED_REQUIRE(nghttp2_session_callbacks_new(&cb) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_body);
    return cb;
}

struct fed_h2 *fed_h2_new(const struct fed_h2_conf *conf)
{
    struct fed_h2 *h = FED_NEW(struct fed_h2);
    h->handlers = conf->handlers;
    h->ud = conf->ud;
    h->budget = BUDGET;
    fed_list_init(&h->streams);
    fed_list_init(&h->drained);
    nghttp2_session_callbacks *cb = make_callbacks();
    nghttp2_option *opt = NULL;
    FED_REQUIRE(nghttp2_option_new(&opt) == 0);
    nghttp2_option_set_no_auto_window_update(opt, 1);
    nghttp2_option_set_no_closed_streams(opt, 1);
    nghttp2_option_set_max_outbound_ack(opt, MAX_OUTBOUND_ACKS);
    FED_REQUIRE(nghttp2_session_server_new2(&h->ng, cb, h, opt) == 0);
    nghttp2_option_del(opt);
    nghttp2_session_callbacks_del(cb);

    uint32_t window = conf->stream_window ? conf->stream_window : DEFAULT_WINDOW;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, conf->max_streams ? conf->max_streams : DEFAULT_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, FED_H2_MAX_HEADER_LIST},
    };
    nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings, FED_ARRAY_LEN(settings));
    nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)(window * 4));
    return h;
}

void fed_h2_free(struct fed_h2 *h)
{
    if (!h)
        return;
    FED_LIST_EACH_SAFE(it, &h->streams) {
        struct fed_h2_stream *s = FED_LIST_ENTRY(it, struct fed_h2_stream, link);
        s->reset = true; /* actions from inside closed do nothing */
        if (!s->refused)
            h->handlers->closed(h->ud, s);
        stream_free(s);
    }
    nghttp2_session_del(h->ng);
    free(h);
}

int fed_h2_recv(struct fed_h2 *h, struct fed_str bytes, uint64_t now_ms)
{
    if (h->now_ms == 0)
        h->budget_ms = now_ms;
    h->now_ms = now_ms;
    ssize_t n = nghttp2_session_mem_recv(h->ng, (const uint8_t *)bytes.p, bytes.n);
    if (n < 0)
        return FED_E_SYNTAX;
    if (h->flooded) {
        nghttp2_session_terminate_session(h->ng, NGHTTP2_ENHANCE_YOUR_CALM);
        return FED_E_TOO_MANY;
    }
    return 0;
}

int fed_h2_send(struct fed_h2 *h, struct fed_buf *out, size_t limit)
{
    ssize_t n = 0;
    h->out = out;
    h->out_limit = limit;
    while (out->n < limit) {
        const uint8_t *p;
        n = nghttp2_session_mem_send(h->ng, &p);
        if (n <= 0)
            break;
        fed_buf_append(out, p, (size_t)n);
    }
    h->out = NULL;
    while (!fed_list_empty(&h->drained)) {
        struct fed_h2_stream *s = FED_LIST_ENTRY(h->drained.next, struct fed_h2_stream, drained_link);
        fed_list_remove(&s->drained_link);
        if (s->backlog || s->finished || s->reset)
            continue;
        s->owed_drained = false;
        h->handlers->drained(h->ud, s);
    }
    return n < 0 || fed_buf_status(out) ? FED_E_IO : 0;
}

bool fed_h2_wants_send(const struct fed_h2 *h)
{
    return nghttp2_session_want_write(h->ng);
}

bool fed_h2_done(const struct fed_h2 *h)
{
    return !nghttp2_session_want_read(h->ng) && !nghttp2_session_want_write(h->ng);
}

size_t fed_h2_streams(const struct fed_h2 *h)
{
    return h->n_streams;
}

uint64_t fed_h2_sent(const struct fed_h2 *h)
{
    return h->sent;
}

void fed_h2_goaway(struct fed_h2 *h)
{
    /* Requests already on their way are still taken: the last id is what was processed when this is sent. */
    nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR,
                          NULL, 0);
}

/* ---- streams ---- */

void fed_h2_stream_set_ud(struct fed_h2_stream *s, void *ud)
{
    s->ud = ud;
}

void *fed_h2_stream_ud(const struct fed_h2_stream *s)
{
    return s->ud;
}

void fed_h2_consume(struct fed_h2_stream *s, size_t n)
{
    nghttp2_session_consume(s->session->ng, s->id, n);
}

static bool of_connection(struct fed_str name)
{
    static const struct fed_str names[] = {FED_STR_INIT("connection"), FED_STR_INIT("keep-alive"),
                                           FED_STR_INIT("proxy-connection"), FED_STR_INIT("transfer-encoding"),
                                           FED_STR_INIT("upgrade")};
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        if (fed_str_ieq(name, names[i]))
            return true;
    return false;
}

/* Copies name in lower case to *room and advances it. False when it is no token. */
static bool lower_name(struct fed_str name, char **room, nghttp2_nv *nv)
{
    if (name.n == 0)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (!fed_char_is(name.p[i], FED_CHAR_TOKEN))
            return false;
        (*room)[i] = fed_char_lower(name.p[i]);
    }
    nv->name = (uint8_t *)*room;
    nv->namelen = name.n;
    *room += name.n;
    return true;
}

void fed_h2_respond(struct fed_h2_stream *s, int status, const struct fed_http_header *headers, size_t n, bool end)
{
    if (s->reset || s->responded)
        return;
    s->responded = true;
    if (status < 100 || status > 999)
        status = 500;
    char code[3] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
    size_t room = 0;
    for (size_t i = 0; i < n; i++)
        room += headers[i].name.n;
    /* In the request's arena: dies with the exchange. */
    nghttp2_nv *nv = fed_arena_alloc(s->arena, (n + 1) * sizeof(*nv) + room);
    char *names = (char *)(nv + n + 1);
    nv[0] = (nghttp2_nv){(uint8_t *)":status", (uint8_t *)code, 7, 3, NGHTTP2_NV_FLAG_NO_COPY_NAME};
    size_t k = 1;
    for (size_t i = 0; i < n; i++) {
        struct fed_str v = headers[i].value;
        /* A value that could not be sent on HTTP/1.1 either is left out. */
        if (of_connection(headers[i].name) || !fed_chars_text(v.p, v.n))
            continue;
        nv[k] = (nghttp2_nv){.value = (uint8_t *)(v.p ? v.p : ""), .valuelen = v.n, .flags = NGHTTP2_NV_FLAG_NONE};
        if (lower_name(headers[i].name, &names, &nv[k]))
            k++;
    }
    if (end)
        s->finished = true;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_body};
    if (nghttp2_submit_response(s->session->ng, s->id, nv, k, end ? NULL : &body) != 0)
        fed_h2_reset(s, FED_H2_INTERNAL_ERROR);
}

static void resume(struct fed_h2_stream *s)
{
    if (s->deferred) {
        s->deferred = false;
        nghttp2_session_resume_data(s->session->ng, s->id);
    }
}

static void push_piece(struct fed_h2_stream *s, struct piece *p)
{
    if (s->last)
        s->last->next = p;
    else
        s->first = p;
    s->last = p;
}

static size_t queued(struct fed_h2_stream *s, size_t n)
{
    s->backlog += n;
    s->owed_drained = true;
    resume(s);
    return s->backlog;
}

size_t fed_h2_write(struct fed_h2_stream *s, struct fed_str bytes)
{
    if (s->finished || s->reset || bytes.n == 0)
        return s->backlog;
    struct piece *last = s->last;
    size_t at = last && !last->blob ? (size_t)(last->p - (const char *)(last + 1)) + last->n : 0;
    if (last && !last->blob && last->cap - at >= bytes.n) {
        memcpy((char *)(last + 1) + at, bytes.p, bytes.n);
        last->n += bytes.n;
        return queued(s, bytes.n);
    }
    /* The first piece is exact: most answers are written at once. */
    size_t cap = last ? FED_MAX(bytes.n, (size_t)COPY_CHUNK) : bytes.n;
    struct piece *p = fed_malloc(sizeof(*p) + cap);
    *p = (struct piece){.p = (char *)(p + 1), .n = bytes.n, .cap = cap};
    memcpy(p + 1, bytes.p, bytes.n);
    push_piece(s, p);
    return queued(s, bytes.n);
}

size_t fed_h2_write_blob(struct fed_h2_stream *s, struct fed_blob *blob)
{
    struct fed_str bytes = fed_blob_str(blob);
    if (s->finished || s->reset || bytes.n == 0)
        return s->backlog;
    struct piece *p = fed_malloc(sizeof(*p));
    *p = (struct piece){.blob = fed_blob_ref(blob), .p = bytes.p, .n = bytes.n};
    push_piece(s, p);
    return queued(s, bytes.n);
}

size_t fed_h2_backlog(const struct fed_h2_stream *s)
{
    return s->backlog;
}

void fed_h2_finish(struct fed_h2_stream *s)
{
    if (s->finished || s->reset)
        return;
    s->finished = true;
    resume(s);
}

void fed_h2_reset(struct fed_h2_stream *s, enum fed_h2_code code)
{
    if (s->reset)
        return;
    s->reset = true;
    nghttp2_submit_rst_stream(s->session->ng, NGHTTP2_FLAG_NONE, s->id, (uint32_t)code);
}
