/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.h: the client's side of gRPC over HTTP/2 without input or output, over nghttp2.
 *
 * Model:      a call is one HTTP/2 stream: messages out, messages in, a status at the end. Unary calls give their one
 *             message at the start with `last`; streaming calls write more. Bytes from the peer go in with
 *             fed_grpc_recv, bytes for it come out of fed_grpc_send.
 * Invariants: done is called once for each call that was not canceled, last, and the call is gone after it; when the
 *             session is freed its calls go without a word: whoever frees it knows which were his.
 * Bounds:     one message at most max_message (the call ends with FED_GRPC_TOO_LARGE), headers as nghttp2 bounds them.
 * Reentrancy: starting, writing and canceling calls is allowed in every handler; recv, send and free are not.
 * Threads:    one at a time.
 */
#ifndef FED_HTTP_GRPC_H
#define FED_HTTP_GRPC_H

#include "base/buf.h"
#include "base/str.h"
#include "http/header.h"

struct fed_grpc;
struct fed_grpc_call;

/* Status of a call: gRPC's own numbers from 0, and below 0 what happened under it. */
enum fed_grpc_status {
    FED_GRPC_REFUSED = -3,   /* the peer did not process it: safe to send again */
    FED_GRPC_TOO_LARGE = -2, /* a message beyond max_message */
    FED_GRPC_BROKEN = -1,    /* the stream ended without a status: outcome unknown */
    FED_GRPC_OK = 0,
    FED_GRPC_CANCELED = 1,
    FED_GRPC_UNKNOWN = 2,
    FED_GRPC_INVALID = 3,
    FED_GRPC_DEADLINE = 4,
    FED_GRPC_NOT_FOUND = 5,
    FED_GRPC_DENIED = 7,
    FED_GRPC_EXHAUSTED = 8,
    FED_GRPC_PRECONDITION = 9,
    FED_GRPC_OUT_OF_RANGE = 11,
    FED_GRPC_UNIMPLEMENTED = 12,
    FED_GRPC_UNAVAILABLE = 14,
    FED_GRPC_UNAUTHENTICATED = 16,
};
struct fed_grpc_handlers {
    void (*message)(void *ud, struct fed_str bytes); /* borrowed for the call */
    void (*done)(void *ud, int status, struct fed_str text);
};
struct fed_grpc_conf {
    const char *authority;                  /* "host:port", copied */
    bool tls;                               /* :scheme */
    const struct fed_http_header *metadata; /* sent with each call, lower case; copied, 8 at most */
    size_t n_metadata;
    size_t max_message; /* 0: 64 MiB */
};

struct fed_grpc *fed_grpc_new(const struct fed_grpc_conf *conf);
void fed_grpc_free(struct fed_grpc *g); /* NULL ok */
void fed_grpc_mute(struct fed_grpc *g); /* no handler is called any more: it will be freed soon */
/* 0, or FED_E_SYNTAX: send what is left and close. */
FED_MUST_USE int fed_grpc_recv(struct fed_grpc *g, struct fed_str bytes);
/* Appends frames to out while it holds less than `limit` bytes. */
FED_MUST_USE int fed_grpc_send(struct fed_grpc *g, struct fed_buf *out, size_t limit);
bool fed_grpc_wants_send(const struct fed_grpc *g);
bool fed_grpc_done(const struct fed_grpc *g); /* the peer ends the connection (GOAWAY) and nothing runs any more */

/* path: "/package.Service/Method". The message is copied. timeout_ms: told to the peer; 0: none. */
struct fed_grpc_call *fed_grpc_start(struct fed_grpc *g, const char *path, struct fed_str message, bool last,
                                     uint32_t timeout_ms, const struct fed_grpc_handlers *h, void *ud);
void fed_grpc_write(struct fed_grpc_call *call, struct fed_str message);
/* No handler is called any more. */
void fed_grpc_cancel(struct fed_grpc_call *call);
/* Something of it was handed out by fed_grpc_send: the peer may act on it. */
bool fed_grpc_sent(const struct fed_grpc_call *call);

#endif
