/* SPDX-License-Identifier: Apache-2.0 */
#include "http/spdy.h"

#include <zlib.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/mem.h"

enum {
    SYN_STREAM = 1,
    SYN_REPLY = 2,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    HEADERS = 8,
    WINDOW_UPDATE = 9,
};
enum {
    HEAD = 8,
    VERSION = 3,
    FLAG_FIN = 1,
    CONTROL_MAX = 16 * 1024,
    BLOCK_MAX = 64 * 1024,
    FIELDS_MAX = 64,
    DATA_MAX = 16 * 1024, /* of one of our frames: streams take turns */
    WINDOW = 64 * 1024,
    SETTING_INITIAL_WINDOW = 7,
    BUCKETS = 64,
};
#define WINDOW_TOP ((int64_t)0x7fffffff)

struct stream {
    struct fed_list link;
    uint32_t id;
    bool local_end, remote_end, end_waits; /* end_waits: finish was called, bytes are still waiting */
    int64_t window;                        /* what the peer takes from us */
    uint32_t unreturned;
    struct fed_buf waiting;
};
struct fed_spdy {
    struct fed_spdy_conf conf;
    struct fed_buf out;
    uint8_t head[HEAD];
    unsigned n_head;
    uint32_t left;          /* of the frame's payload */
    struct fed_buf payload; /* of a control frame */
    struct fed_buf block;   /* decompressed fields */
    z_stream inflate, deflate;
    struct fed_list buckets[BUCKETS];
    size_t n_streams;
    uint32_t last_id;
    bool keeps_windows, going;
    int64_t window, initial_window;
    uint32_t unreturned;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(struct fed_buf *b, uint32_t v)
{
    uint8_t p[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    fed_buf_append(b, p, 4);
}

static void put_control(struct fed_spdy *s, unsigned type, unsigned flags, size_t length)
{
    put32(&s->out, 0x80000000u | VERSION << 16 | type);
    put32(&s->out, (uint32_t)flags << 24 | (uint32_t)length);
}

struct fed_spdy *fed_spdy_new(const struct fed_spdy_conf *conf)
{
    struct fed_spdy *s = FED_NEW(struct fed_spdy);
    s->conf = *conf;
    if (!s->conf.max_streams)
        s->conf.max_streams = 256;
    s->window = s->initial_window = WINDOW;
    fed_buf_init(&s->payload, CONTROL_MAX);
    fed_buf_init(&s->block, BLOCK_MAX);
    for (size_t i = 0; i < BUCKETS; i++)
        fed_list_init(&s->buckets[i]);
    /* A small window: our blocks are a few bytes, and each connection holds this memory. */
    FED_REQUIRE(inflateInit(&s->inflate) == Z_OK);
    FED_REQUIRE(deflateInit2(&s->deflate, 1, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) == Z_OK);
    deflateSetDictionary(&s->deflate, (const Bytef *)fed_spdy_dictionary, FED_SPDY_DICTIONARY);
    return s;
}

static struct stream *find(const struct fed_spdy *s, uint32_t id)
{
    FED_LIST_EACH(it, &s->buckets[(id >> 1) % BUCKETS]) {
        struct stream *st = FED_LIST_ENTRY(it, struct stream, link);
        if (st->id == id)
            return st;
    }
    return NULL;
}

static void forget(struct fed_spdy *s, struct stream *st)
{
    fed_list_remove(&st->link);
    s->n_streams--;
    fed_buf_release(&st->waiting);
    free(st);
}

static void gone(struct fed_spdy *s, struct stream *st, bool reset)
{
    uint32_t id = st->id;
    forget(s, st);
    s->conf.handlers->gone(s->conf.ud, id, reset);
}

void fed_spdy_free(struct fed_spdy *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (!fed_list_empty(&s->buckets[i]))
            gone(s, FED_LIST_ENTRY(s->buckets[i].next, struct stream, link), false);
    inflateEnd(&s->inflate);
    deflateEnd(&s->deflate);
    fed_buf_release(&s->out);
    fed_buf_release(&s->payload);
    fed_buf_release(&s->block);
    free(s);
}

struct fed_buf *fed_spdy_output(struct fed_spdy *s)
{
    return &s->out;
}

size_t fed_spdy_streams(const struct fed_spdy *s)
{
    return s->n_streams;
}

/* --- what we send --- */

static void put_reset(struct fed_spdy *s, uint32_t id, enum fed_spdy_status status)
{
    put_control(s, RST_STREAM, 0, 8);
    put32(&s->out, id);
    put32(&s->out, status);
}

static void put_window(struct fed_spdy *s, uint32_t id, uint32_t n)
{
    put_control(s, WINDOW_UPDATE, 0, 8);
    put32(&s->out, id);
    put32(&s->out, n);
}

/* An answer without fields: nobody who speaks this to us asks for any. */
static void put_reply(struct fed_spdy *s, uint32_t id)
{
    Bytef in[4] = {0}, z[128];
    s->deflate.next_in = in;
    s->deflate.avail_in = sizeof(in);
    s->deflate.next_out = z;
    s->deflate.avail_out = sizeof(z);
    (void)deflate(&s->deflate, Z_SYNC_FLUSH);
    size_t n = sizeof(z) - s->deflate.avail_out;
    put_control(s, SYN_REPLY, 0, 4 + n);
    put32(&s->out, id);
    fed_buf_append(&s->out, z, n);
}

static void put_data(struct fed_spdy *s, uint32_t id, struct fed_str bytes, bool fin)
{
    put32(&s->out, id);
    put32(&s->out, (uint32_t)(fin ? FLAG_FIN : 0) << 24 | (uint32_t)bytes.n);
    fed_buf_add(&s->out, bytes);
}

/* How many bytes may go out on the stream now. */
static size_t room(const struct fed_spdy *s, const struct stream *st)
{
    if (!s->keeps_windows)
        return SIZE_MAX;
    int64_t w = FED_MIN(st->window, s->window);
    return w > 0 ? (size_t)w : 0;
}

static size_t send_some(struct fed_spdy *s, struct stream *st, struct fed_str bytes)
{
    size_t all = 0;
    for (size_t n; all < bytes.n && (n = FED_MIN(FED_MIN(room(s, st), (size_t)DATA_MAX), bytes.n - all)) > 0;
         all += n) {
        put_data(s, st->id, fed_str_head(fed_str_from(bytes, all), n), false);
        st->window -= (int64_t)n;
        s->window -= (int64_t)n;
    }
    return all;
}

static void end_ours(struct fed_spdy *s, struct stream *st)
{
    st->local_end = true;
    st->end_waits = false;
    put_data(s, st->id, FED_STR(""), true);
}

static void send_waiting(struct fed_spdy *s, struct stream *st)
{
    fed_buf_consume(&st->waiting, send_some(s, st, fed_buf_str(&st->waiting)));
    if (st->end_waits && st->waiting.n == 0)
        end_ours(s, st);
}

void fed_spdy_write(struct fed_spdy *s, uint32_t id, struct fed_str bytes)
{
    struct stream *st = find(s, id);
    if (!st || st->local_end || st->end_waits)
        return;
    size_t n = st->waiting.n ? 0 : send_some(s, st, bytes);
    fed_buf_add(&st->waiting, fed_str_from(bytes, n));
}

bool fed_spdy_finish(struct fed_spdy *s, uint32_t id)
{
    struct stream *st = find(s, id);
    if (!st || st->local_end || st->end_waits)
        return !st;
    st->end_waits = true;
    send_waiting(s, st);
    if (!st->local_end || !st->remote_end)
        return false;
    forget(s, st);
    return true;
}

void fed_spdy_reset(struct fed_spdy *s, uint32_t id, enum fed_spdy_status status)
{
    struct stream *st = find(s, id);
    if (!st)
        return;
    put_reset(s, id, status);
    forget(s, st);
}

size_t fed_spdy_backlog(const struct fed_spdy *s, uint32_t id)
{
    const struct stream *st = find(s, id);
    return st ? st->waiting.n : 0;
}

void fed_spdy_goaway(struct fed_spdy *s)
{
    if (s->going)
        return;
    s->going = true;
    put_control(s, GOAWAY, 0, 8);
    put32(&s->out, s->last_id);
    put32(&s->out, 0);
}

static int fail(struct fed_spdy *s, int code)
{
    put_control(s, GOAWAY, 0, 8);
    put32(&s->out, s->last_id);
    put32(&s->out, 1); /* PROTOCOL_ERROR */
    return code;
}

/* --- header blocks --- */

/* Every block must pass through here, also of frames that are refused: they share one compression state. */
static int expand(struct fed_spdy *s, struct fed_str z)
{
    fed_buf_reset(&s->block);
    s->inflate.next_in = (Bytef *)z.p;
    s->inflate.avail_in = (uInt)z.n;
    for (;;) {
        char *to = fed_buf_reserve_ahead(&s->block, 4096);
        if (!to)
            return FED_E_LIMIT;
        s->inflate.next_out = (Bytef *)to;
        s->inflate.avail_out = 4096;
        int rc = inflate(&s->inflate, Z_SYNC_FLUSH);
        if (rc == Z_NEED_DICT)
            rc = inflateSetDictionary(&s->inflate, (const Bytef *)fed_spdy_dictionary, FED_SPDY_DICTIONARY);
        fed_buf_commit_ahead(&s->block, 4096 - s->inflate.avail_out);
        if (fed_buf_status(&s->block))
            return FED_E_LIMIT;
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return FED_E_SYNTAX;
        if (s->inflate.avail_in == 0 && s->inflate.avail_out > 0)
            return 0;
        if (rc == Z_BUF_ERROR)
            return FED_E_SYNTAX;
    }
}

static bool take_text(struct fed_str *in, struct fed_str *out)
{
    if (in->n < 4)
        return false;
    uint32_t n = be32((const uint8_t *)in->p);
    *in = fed_str_from(*in, 4);
    if (n > in->n)
        return false;
    *out = fed_str_head(*in, n);
    *in = fed_str_from(*in, n);
    return true;
}

static int read_fields(struct fed_spdy *s, struct fed_http_header *fields, size_t *n)
{
    struct fed_str in = fed_buf_str(&s->block);
    *n = 0;
    if (in.n < 4)
        return FED_E_SYNTAX;
    uint32_t count = be32((const uint8_t *)in.p);
    in = fed_str_from(in, 4);
    if (count > FIELDS_MAX)
        return FED_E_LIMIT;
    for (; *n < count; ++*n)
        if (!take_text(&in, &fields[*n].name) || !take_text(&in, &fields[*n].value) || !fields[*n].name.n)
            return FED_E_SYNTAX;
    /* The protocol wants lower case; old clients write as they please. */
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < fields[i].name.n; k++) {
            char *c = (char *)fields[i].name.p + k;
            if (*c >= 'A' && *c <= 'Z')
                *c |= 0x20;
        }
    return 0;
}

/* --- what we receive --- */

/* The peer ended its side of a stream. */
static void end_theirs(struct fed_spdy *s, uint32_t id)
{
    struct stream *st = find(s, id);
    if (!st || st->remote_end)
        return;
    st->remote_end = true;
    s->conf.handlers->eof(s->conf.ud, id);
    st = find(s, id);
    if (st && st->local_end)
        gone(s, st, false);
}

static int syn_stream(struct fed_spdy *s, struct fed_str p, unsigned flags)
{
    struct fed_http_header fields[FIELDS_MAX];
    size_t n = 0;
    if (p.n < 10)
        return FED_E_SYNTAX;
    uint32_t id = be32((const uint8_t *)p.p) & 0x7fffffff;
    int rc = expand(s, fed_str_from(p, 10));
    if (rc == 0)
        rc = read_fields(s, fields, &n);
    if (rc < 0)
        return rc;
    if (!(id & 1) || id <= s->last_id)
        return FED_E_SYNTAX; /* an even or used number: PROTOCOL_ERROR for the session */
    s->last_id = id;
    if (s->going || s->n_streams >= s->conf.max_streams) {
        put_reset(s, id, FED_SPDY_REFUSED_STREAM);
        return 0;
    }
    struct stream *st = FED_NEW(struct stream);
    st->id = id;
    st->window = s->initial_window;
    fed_list_push_back(&s->buckets[(id >> 1) % BUCKETS], &st->link);
    s->n_streams++;
    put_reply(s, id);
    if (!s->conf.handlers->opened(s->conf.ud, id, fields, n)) {
        fed_spdy_reset(s, id, FED_SPDY_REFUSED_STREAM);
        return 0;
    }
    if (flags & FLAG_FIN)
        end_theirs(s, id);
    return 0;
}

/* SYN_REPLY and HEADERS: nothing that we ask for, but their blocks belong to the compression state. */
static int fields_only(struct fed_spdy *s, struct fed_str p, unsigned flags)
{
    if (p.n < 4)
        return FED_E_SYNTAX;
    int rc = expand(s, fed_str_from(p, 4));
    if (rc == 0 && (flags & FLAG_FIN))
        end_theirs(s, be32((const uint8_t *)p.p) & 0x7fffffff);
    return rc;
}

static void each_stream(struct fed_spdy *s, void (*each)(struct fed_spdy *s, struct stream *st, int64_t n), int64_t n)
{
    for (size_t i = 0; i < BUCKETS; i++)
        FED_LIST_EACH_SAFE(it, &s->buckets[i])
            each(s, FED_LIST_ENTRY(it, struct stream, link), n);
}

static void move_window(struct fed_spdy *s, struct stream *st, int64_t by)
{
    st->window += by;
    send_waiting(s, st);
}

/* Streams whose last bytes the peer's windows held. Handlers may reset others meanwhile: each time from the start. */
static void sweep(struct fed_spdy *s)
{
    for (size_t i = 0; i < BUCKETS; i++)
        FED_LIST_EACH_SAFE(it, &s->buckets[i]) {
            struct stream *st = FED_LIST_ENTRY(it, struct stream, link);
            if (st->local_end && st->remote_end) {
                gone(s, st, false);
                i = (size_t)-1;
                break;
            }
        }
}

static int settings(struct fed_spdy *s, struct fed_str p)
{
    if (p.n < 4 || (p.n - 4) % 8 || be32((const uint8_t *)p.p) != (p.n - 4) / 8)
        return FED_E_SYNTAX;
    for (p = fed_str_from(p, 4); p.n; p = fed_str_from(p, 8)) {
        const uint8_t *e = (const uint8_t *)p.p;
        if ((be32(e) & 0xffffff) != SETTING_INITIAL_WINDOW)
            continue;
        int64_t now = be32(e + 4), by;
        if (now > WINDOW_TOP)
            return FED_E_SYNTAX;
        by = now - s->initial_window;
        s->initial_window = now;
        s->keeps_windows = true;
        each_stream(s, move_window, by);
    }
    sweep(s);
    return 0;
}

static int window_update(struct fed_spdy *s, struct fed_str p)
{
    if (p.n != 8)
        return FED_E_SYNTAX;
    uint32_t id = be32((const uint8_t *)p.p) & 0x7fffffff, n = be32((const uint8_t *)p.p + 4) & 0x7fffffff;
    struct stream *st = id ? find(s, id) : NULL;
    s->keeps_windows = true;
    if (!id) {
        s->window += n;
        if (s->window > WINDOW_TOP)
            return FED_E_SYNTAX;
        each_stream(s, move_window, 0);
        sweep(s);
    } else if (st && st->window + n > WINDOW_TOP) {
        put_reset(s, id, FED_SPDY_FLOW_CONTROL_ERROR);
        gone(s, st, true);
    } else if (st) {
        move_window(s, st, n);
        sweep(s);
    }
    return 0;
}

static int rst_stream(struct fed_spdy *s, struct fed_str p)
{
    if (p.n != 8)
        return FED_E_SYNTAX;
    struct stream *st = find(s, be32((const uint8_t *)p.p) & 0x7fffffff);
    if (st)
        gone(s, st, true);
    return 0;
}

static int control(struct fed_spdy *s)
{
    unsigned type = be32(s->head) & 0xffff, flags = s->head[4];
    struct fed_str p = fed_buf_str(&s->payload);
    switch (type) {
    case SYN_STREAM:
        return syn_stream(s, p, flags);
    case SYN_REPLY:
    case HEADERS:
        return fields_only(s, p, flags);
    case RST_STREAM:
        return rst_stream(s, p);
    case SETTINGS:
        return settings(s, p);
    case PING:
        if (p.n != 4)
            return FED_E_SYNTAX;
        if (be32((const uint8_t *)p.p) & 1) { /* theirs; ours would be even, and we send none */
            put_control(s, PING, 0, 4);
            fed_buf_add(&s->out, p);
        }
        return 0;
    case WINDOW_UPDATE:
        return window_update(s, p);
    default: /* GOAWAY: the connection's end will tell; unknown ones are to be ignored */
        return 0;
    }
}

static void give_back(struct fed_spdy *s, struct stream *st, size_t n)
{
    s->unreturned += (uint32_t)n;
    if (s->unreturned >= WINDOW / 2) {
        put_window(s, 0, s->unreturned);
        s->unreturned = 0;
    }
    if (!st)
        return;
    st->unreturned += (uint32_t)n;
    if (st->unreturned >= WINDOW / 2 && !st->remote_end) {
        put_window(s, st->id, st->unreturned);
        st->unreturned = 0;
    }
}

/* A piece of a data frame, empty at its beginning; at its end the frame's flags count. */
static void data(struct fed_spdy *s, struct fed_str bytes)
{
    uint32_t id = be32(s->head) & 0x7fffffff;
    struct stream *st = find(s, id);
    if (st && !st->remote_end && bytes.n)
        s->conf.handlers->data(s->conf.ud, id, bytes);
    else if (!st && id > s->last_id && s->left == 0)
        put_reset(s, id, FED_SPDY_INVALID_STREAM);
    give_back(s, find(s, id), bytes.n);
    if (s->left == 0 && (s->head[4] & FLAG_FIN))
        end_theirs(s, id);
}

static int begin_frame(struct fed_spdy *s)
{
    s->left = be32(s->head + 4) & 0xffffff;
    if (!(s->head[0] & 0x80))
        return 0;
    fed_buf_reset(&s->payload);
    if ((be32(s->head) >> 16 & 0x7fff) != VERSION)
        return FED_E_SYNTAX;
    return s->left > CONTROL_MAX ? FED_E_LIMIT : 0;
}

int fed_spdy_recv(struct fed_spdy *s, struct fed_str in)
{
    int rc = 0;
    while (in.n) {
        if (s->n_head < HEAD) {
            s->head[s->n_head++] = (uint8_t)in.p[0];
            in = fed_str_from(in, 1);
            if (s->n_head < HEAD)
                continue;
            if ((rc = begin_frame(s)) < 0)
                return fail(s, rc);
        }
        struct fed_str piece = fed_str_head(in, s->left);
        in = fed_str_from(in, piece.n);
        s->left -= (uint32_t)piece.n;
        bool is_control = s->head[0] & 0x80;
        if (is_control)
            fed_buf_add(&s->payload, piece);
        else
            data(s, piece);
        if (s->left)
            continue;
        s->n_head = 0;
        if (is_control && (rc = control(s)) < 0)
            return fail(s, rc);
    }
    return 0;
}
