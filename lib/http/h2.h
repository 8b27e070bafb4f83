/* SPDX-License-Identifier: Apache-2.0 */
/* h2.h: the server's side of an HTTP/2 connection (RFC 9113) without input or output, over nghttp2.
 *
 * Model:      bytes from the peer go in with fed_h2_recv and come out as events on streams; actions on streams become
 *             bytes that fed_h2_send hands out. A stream's events: begin, head, data…, end, and always, last, closed.
 *
 *                 begin -> head -> data* -> end -> [respond, write*, finish by the user] -> closed
 *
 * Invariants: closed is called exactly once for each stream that begin accepted; the stream is gone after it. What is
 *             written waits in the stream until the peer's windows and the limit given to fed_h2_send let it go.
 * Ownership:  the session owns its streams; the arena returned by begin is the user's and keeps the request head.
 *             Blobs are referenced until sent.
 * Bounds:     header list 64 kB and 128 fields (then `too_large`), streams at once, unread bytes by the windows; pings,
 *             settings, resets, empty frames and invalid frames together draw on a budget (1,000, refilled with 100
 *             each second); continuation frames are bounded by nghttp2.
 * Reentrancy: actions on streams are allowed in every event; recv, send and free are not.
 * Threads:    one at a time.
 */
#ifndef FED_HTTP_H2_H
#define FED_HTTP_H2_H

#include "base/arena.h"
#include "base/blob.h"
#include "http/header.h"

struct fed_h2;
struct fed_h2_stream;

enum { FED_H2_MAX_HEADER_LIST = 64 * 1024, FED_H2_MAX_HEADERS = 128 };
#define FED_H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* what a client sends first */

/* RFC 9113 section 7. */
enum fed_h2_code {
    FED_H2_NO_ERROR = 0,
    FED_H2_INTERNAL_ERROR = 2,
    FED_H2_REFUSED_STREAM = 7,
    FED_H2_CANCEL = 8,
    FED_H2_ENHANCE_YOUR_CALM = 11,
};

struct fed_h2_request {
    struct fed_str method, scheme, target;
    struct fed_str host;                   /* :authority, else Host */
    const struct fed_http_header *headers; /* lower case, without pseudo-headers; in the stream's arena */
    size_t n_headers;
    bool end;       /* no body follows */
    bool too_large; /* the list was cut: answer 431 */
};
struct fed_h2_handlers {
    /* A request begins. Returns the arena for its head, or NULL to refuse it (REFUSED_STREAM; no more events). */
    struct fed_arena *(*begin)(void *ud, struct fed_h2_stream *s);
    void (*head)(void *ud, struct fed_h2_stream *s, const struct fed_h2_request *r);
    /* Bytes count against the windows until fed_h2_consume. */
    void (*data)(void *ud, struct fed_h2_stream *s, struct fed_str bytes);
    void (*end)(void *ud, struct fed_h2_stream *s);     /* the request is complete */
    void (*drained)(void *ud, struct fed_h2_stream *s); /* the backlog is 0 again */
    void (*closed)(void *ud, struct fed_h2_stream *s);
};
struct fed_h2_conf {
    const struct fed_h2_handlers *handlers;
    void *ud;
    uint32_t max_streams;   /* 0: 250 */
    uint32_t stream_window; /* 0: 256 kB; the connection's is four times it */
};

struct fed_h2 *fed_h2_new(const struct fed_h2_conf *conf);
void fed_h2_free(struct fed_h2 *h); /* calls closed for what is left; NULL ok */
/* 0, or FED_E_SYNTAX, FED_E_TOO_MANY: send what is left (it tells the peer) and close. */
FED_MUST_USE int fed_h2_recv(struct fed_h2 *h, struct fed_str bytes, uint64_t now_ms);
/* Appends frames to out while it holds less than `limit` bytes. */
FED_MUST_USE int fed_h2_send(struct fed_h2 *h, struct fed_buf *out, size_t limit);
bool fed_h2_wants_send(const struct fed_h2 *h);
bool fed_h2_done(const struct fed_h2 *h); /* nothing more to read or send: close the connection */
size_t fed_h2_streams(const struct fed_h2 *h);
uint64_t fed_h2_sent(const struct fed_h2 *h); /* bytes of bodies that left so far, and one for each head */
void fed_h2_goaway(struct fed_h2 *h);         /* no new streams; running ones end */

void fed_h2_stream_set_ud(struct fed_h2_stream *s, void *ud);
void *fed_h2_stream_ud(const struct fed_h2_stream *s);
void fed_h2_consume(struct fed_h2_stream *s, size_t n);
/* Head of the answer; a body follows (write*, finish) unless `end`. Names in any case; fields of the connection
 * (Connection, Transfer-Encoding…) are left out. */
void fed_h2_respond(struct fed_h2_stream *s, int status, const struct fed_http_header *headers, size_t n, bool end);
/* Return the stream's backlog in bytes. */
size_t fed_h2_write(struct fed_h2_stream *s, struct fed_str bytes);
size_t fed_h2_write_blob(struct fed_h2_stream *s, struct fed_blob *blob);
size_t fed_h2_backlog(const struct fed_h2_stream *s);
void fed_h2_finish(struct fed_h2_stream *s); /* end of the body */
void fed_h2_reset(struct fed_h2_stream *s, enum fed_h2_code code);

#endif
