/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h: TCP (and Unix) byte streams, TLS inside when asked, and listeners.
 *
 * Model:     connecting/accepting -> open -> closing -> closed. Handlers: open (handshakes done), data, drained, end.
 * Ownership: a stream is freed by the house after `end` was called; the owner keeps no pointer after that. close is
 *            idempotent, never calls back synchronously, and `end` is always called exactly once.
 * Bounds:    reading stops while paused; write returns the backlog so that producers can stop (backpressure).
 * Threads:   the loop's.
 */
#ifndef FED_NET_STREAM_H
#define FED_NET_STREAM_H

#include "base/blob.h"
#include "net/addr.h"
#include "net/loop.h"
#include "net/tls.h"

struct fed_stream;

struct fed_stream_handlers {
    void (*open)(void *ud, struct fed_stream *s);
    /* Bytes are borrowed for the call. */
    void (*data)(void *ud, struct fed_stream *s, struct fed_str bytes);
    /* The peer sent its end (half close); NULL: the stream closes itself when its backlog is written. */
    void (*eof)(void *ud, struct fed_stream *s);
    void (*drained)(void *ud, struct fed_stream *s); /* backlog is 0 again after being > 0; may be NULL */
    /* Last call. code 0: closed in order; else the first failure (REFUSED, UNREACHABLE, TIMEOUT, TLS, IO…). */
    void (*end)(void *ud, int code, const struct fed_err *err);
};
struct fed_stream_conf {
    const struct fed_stream_handlers *handlers;
    void *ud;
    struct fed_tls *tls;          /* NULL: plain */
    const char *server_name;      /* client TLS: SNI and the name verified (an IP literal works) */
    uint32_t connect_timeout_ms;  /* until open; 0: 10,000 */
    const struct fed_addr *local; /* source address or NULL */
};
/* Never fails synchronously: a failure arrives at `end`. */
struct fed_stream *fed_stream_connect(struct fed_loop *loop, const struct fed_addr *addr,
                                      const struct fed_stream_conf *conf);
struct fed_stream *fed_stream_connect_unix(struct fed_loop *loop, const char *path, const struct fed_stream_conf *conf);

/* Writes are copied, blobs referenced; what is written in one turn of the loop leaves together at its end. Ignored after
 * close or shutdown. Return the backlog in bytes (this turn's writes included, so it is mostly > 0: compare it with a
 * limit of yours). */
size_t fed_stream_write(struct fed_stream *s, struct fed_str bytes);
/* Not at the end of the turn but now, and from the caller's memory where the socket takes it: for whole answers. */
size_t fed_stream_write_now(struct fed_stream *s, struct fed_str bytes);
size_t fed_stream_write_blob(struct fed_stream *s, struct fed_blob *blob);
size_t fed_stream_backlog(const struct fed_stream *s);
void fed_stream_pause(struct fed_stream *s, bool paused); /* reading */
void fed_stream_shutdown(struct fed_stream *s);           /* end of our side after the backlog */
void fed_stream_close(struct fed_stream *s);              /* now; bytes that the socket does not take are dropped */
void fed_stream_set_handlers(struct fed_stream *s, const struct fed_stream_handlers *h, void *ud); /* upgrade */
const struct fed_addr *fed_stream_peer(const struct fed_stream *s);
const struct fed_addr *fed_stream_local(const struct fed_stream *s);
struct fed_str fed_stream_alpn(const struct fed_stream *s);
/* Verified client certificate: CN and each O of its subject (arena of the stream). False when there is none. */
bool fed_stream_peer_identity(const struct fed_stream *s, struct fed_str *cn, const struct fed_str **orgs, size_t *n);
/* Seconds since 1970 at which it ends; 0: there is none. *refused: one was shown and did not verify. */
int64_t fed_stream_peer_until(const struct fed_stream *s, bool *refused);

struct fed_listener;
struct fed_listener_conf {
    struct fed_addr addr;  /* port 0: any free port, see fed_listener_addr */
    const char *unix_path; /* instead of addr */
    int fd;                /* > 0: an inherited listening socket instead of addr */
    bool reuseport;
    int backlog; /* 0: 1,024 */
    struct fed_tls *tls;
    /* A new connection, after its TLS handshake: set handlers on it at once (`open` is not called for it). */
    void (*accept)(void *ud, struct fed_stream *s);
    void *ud;
    uint32_t handshake_timeout_ms; /* TLS; 0: 10,000 */
    uint32_t max_streams;          /* beyond: accepted and closed at once; 0: 16,384 */
};
FED_MUST_USE int fed_listener_open(struct fed_loop *loop, const struct fed_listener_conf *conf,
                                   struct fed_listener **out, struct fed_err *err);
const struct fed_addr *fed_listener_addr(const struct fed_listener *l);
void fed_listener_close(struct fed_listener *l); /* open streams go on; frees itself */

#endif
