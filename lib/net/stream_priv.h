/* SPDX-License-Identifier: Apache-2.0 */
/* stream_priv.h: what listener.c, stream.c (how a stream comes to be), stream_in.c (bytes that come) and stream_out.c
 * (bytes that go, and the end) share; each calls those after it.
 *
 * States:  CONNECTING -> HANDSHAKE -> OPEN -> CLOSING; accepted streams begin in HANDSHAKE (TLS) or OPEN.
 *          CLOSING is entered only by fed_stream_close; the handle's close callback is the one place that calls `end`
 *          and frees.
 *
 * Output:  queue (plaintext segments) -> [TLS: wire buffer] -> socket. What is written within one turn of the loop is
 *          joined and leaves in one system call at the end of the turn, or at once when EAGER bytes are there. At most
 *          one uv_write is in flight; while it is, new bytes only queue. With TLS at most WIRE_MAX ciphertext waits.
 */
#ifndef FED_NET_STREAM_PRIV_H
#define FED_NET_STREAM_PRIV_H

#include "net/loop_priv.h"
#include "net/stream.h"
#include "net/tls_conn.h"

enum {
    FED_STREAM_SEGMENT = 16384, /* room of a segment that collects small writes: one TLS record */
    FED_STREAM_FIRST = 2048,    /* least room: an event for each of 10,000 watchers must not take 16 kB each */
    FED_STREAM_EAGER = 65536,   /* queued bytes that are sent without waiting for the end of the turn */
    FED_STREAM_WIRE_MAX = 131072,
    FED_STREAM_IOV = 32,
    FED_STREAM_KEEP = 4096, /* larger output buffers are given back when they are empty */
};

struct fed_segment {
    struct fed_list link;
    struct fed_blob *blob; /* NULL: room below */
    const char *p;         /* unsent bytes */
    size_t n;
    size_t cap; /* of room; 0 with a blob */
    char room[];
};

enum fed_stream_state { FED_STREAM_CONNECTING, FED_STREAM_HANDSHAKE, FED_STREAM_OPEN, FED_STREAM_CLOSING };

struct fed_stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct fed_loop *loop;
    struct fed_loop_object object;
    enum fed_stream_state state;
    struct fed_stream_handlers handlers;
    void *ud;
    struct fed_listener *listener;         /* accepted by it: */
    void (*freed)(struct fed_listener *l); /* it counts its streams; NULL: not accepted */
    uint32_t handshake_ms;                 /* for TLS; 0: until the deadline of connecting */

    bool paused;
    bool reading; /* uv_read_start is in force */
    bool eof_in;  /* the peer ended its side */
    bool shutdown_asked;
    bool shutdown_begun; /* our end is on its way */
    bool shutdown_done;
    bool in_callback; /* TLS input is being worked off: no nested delivery */
    bool held;        /* paused in the midst of TLS input: it comes before the socket's next bytes */
    bool writing;     /* write_req is in flight */

    struct fed_list queue;
    size_t queued;   /* bytes in queue, those in flight included */
    size_t flying;   /* bytes of the queue (plain) or of wire (TLS) in write_req */
    bool was_behind; /* backlog was reported > 0 since the last drained */
    struct fed_task flush_task, read_task;
    struct fed_timer deadline; /* until open */
    uv_write_t write_req;
    uv_shutdown_t shutdown_req;
    uv_connect_t connect_req;

    struct fed_tls_conn tls; /* ssl NULL: plain */
    struct fed_buf wire;     /* ciphertext in flight; new ciphertext collects in tls.out */
    char *server_name;

    struct fed_addr peer, local;
    struct fed_arena arena;
    bool has_identity, cert_refused;
    int64_t cert_until_s;
    struct fed_str cn;
    const struct fed_str *orgs;
    size_t n_orgs;
    struct fed_err *failure; /* first failure */
};

/* stream.c */
struct fed_stream *fed_stream_make(struct fed_loop *loop, bool pipe);
/* The transport is connected: plain streams open, TLS begins its handshake. */
void fed_stream_transport_ready(struct fed_stream *s);
void fed_stream_learn_addresses(struct fed_stream *s);

/* stream_in.c */
void fed_stream_read_more(struct fed_stream *s); /* starts, stops or catches up on reading, as the flags say */
void fed_stream_continue_handshake(struct fed_stream *s);

/* stream_out.c */
void fed_stream_pump(struct fed_stream *s); /* sends what can be sent now, then our end if asked, then `drained` */
void fed_stream_pump_soon(struct fed_stream *s);
/* Notes the first failure and closes. */
void fed_stream_fail(struct fed_stream *s, int code, const char *fmt, ...) FED_PRINTF(3, 4);
void fed_stream_fail_err(struct fed_stream *s, const struct fed_err *err);
void fed_stream_settled(struct fed_stream *s); /* closes when both sides have ended */

#endif
