/* SPDX-License-Identifier: Apache-2.0 */
/* httpd.h: an HTTP/1.1 and HTTP/2 server on listeners, TLS by ALPN, for the API servers and metrics ports.
 *
 * Model:     one exchange = one request and its answer, on either protocol. The handler is called when the request is
 *            complete (body within max_body). It answers at once or later, whole (fed_http_respond) or as a stream
 *            (fed_http_stream_*), or takes the connection over (fed_http_upgrade, HTTP/1.1 only).
 * Ownership: the exchange lives until it is answered in full AND its `closed` callback (if set) was called; the
 *            request's slices live until the answer ends. After fed_http_respond / fed_http_stream_end the handler must
 *            not touch the exchange. If the client goes away first, `closed` is called once: no further call is allowed.
 *            So `closed` is called exactly once in each case (answered, upgraded, aborted, client gone), never from
 *            inside a call on the exchange: it is the place to release what belongs to the exchange. It comes when the
 *            answer has been sent: of an HTTP/1.1 answer up to 64 KiB may still wait for the socket. A handler that
 *            answers later and sets no `closed` may answer an exchange whose client has gone; nothing is sent.
 * Threads:   the loop's.
 * Bounds:    connections in total and of one client (an IPv4 address, an IPv6 /64): one beyond is answered with 429 and
 *            closed; its successors, a sixteenth more, are closed at once. A body of more than 64 KiB is read only when
 *            may_send lets it. A head, the rest of a request, the taking of an answer, and idleness have their times;
 *            a client that pipelines requests and does not read is not read either.
 * Failure:   malformed, oversized and smuggling-prone requests (both lengths, obs-fold, bad chunk, NUL, bad Host) are
 *            answered 400/413/431/505 and the connection is closed; the handler sees none of them but refused bodies (declines).
 */
#ifndef FED_NET_HTTPD_H
#define FED_NET_HTTPD_H

#include "base/arena.h"
#include "base/blob.h"
#include "base/metrics.h"
#include "http/header.h"
#include "net/stream.h"

struct fed_httpd;
struct fed_http_exchange;

struct fed_http_request {
    struct fed_str method; /* "GET" */
    struct fed_str target; /* as received, "/api/v1/pods?limit=5" */
    struct fed_str path;   /* still percent-encoded */
    struct fed_str query;  /* without '?'; p == NULL when absent */
    struct fed_str host;
    const struct fed_http_header *headers; /* names lower case; no pseudo-headers */
    size_t n_headers;
    struct fed_str body;
    int version; /* 1 (HTTP/1.x) or 2 */
    bool tls;
    struct fed_addr peer;
    /* Verified client certificate, if any. */
    struct fed_str cert_cn;
    const struct fed_str *cert_orgs;
    size_t n_cert_orgs;
    int64_t cert_until_s; /* when it ends, seconds since 1970: a connection may outlive it */
    bool cert_refused;    /* a certificate was shown that does not verify */
    int refused;          /* the status that its body was refused with (fed_httpd_conf.declines); 0: it is complete */
};
struct fed_str fed_http_request_header(const struct fed_http_request *r, const char *lower_name); /* p==NULL: none */

struct fed_httpd_conf {
    struct fed_listener_conf listen; /* accept and ud are set by the server */
    void (*handle)(void *ud, struct fed_http_exchange *x);
    void *ud;
    size_t max_body; /* 0: 3 MiB; beyond: 413 */
    /* What is said of a request that the handler never sees: writes a body, returns its type. NULL: plain text. */
    const char *(*refusal)(int status, struct fed_buf *body);
    uint32_t idle_timeout_ms;        /* keep-alive, and an answer of which nothing is taken; 0: 90,000 */
    uint32_t header_timeout_ms;      /* whole request head, and before it the TLS handshake; 0: 10,000 */
    uint32_t body_timeout_ms;        /* whole rest of a request after its head; 0: 60,000 */
    uint32_t max_concurrent_streams; /* HTTP/2; 0: 250 */
    uint32_t max_connections;        /* 0: 16,384; at most 7/8 of the files the process may open */
    uint32_t max_peer_connections;   /* of one client; 0: 4,096 */
    /* Asked once of a request whose body is larger than 64 KiB, before more of it is read; the body is not there yet.
     * 0, or the status to refuse it with. NULL: all may. */
    int (*may_send)(void *ud, const struct fed_http_request *r);
    /* A request whose head is read and whose body is refused (too large, may_send, no room) comes to the handler with
     * `refused` set and without a body: it answers so in its own words and order. Then the connection is closed
     * (HTTP/1.1). False: the server answers. */
    bool declines;
    /* Told of each request that the server answers itself; method is empty when it is not known. NULL: nobody. */
    void (*refused)(void *ud, int status, struct fed_str method);
    struct fed_metrics *metrics; /* NULL: none */
};
FED_MUST_USE int fed_httpd_open(struct fed_loop *loop, const struct fed_httpd_conf *conf, struct fed_httpd **out,
                                struct fed_err *err);
const struct fed_addr *fed_httpd_addr(const struct fed_httpd *h);
/* Stops accepting, lets running exchanges end for grace_ms (GOAWAY / Connection: close), then closes; done once. */
void fed_httpd_close(struct fed_httpd *h, uint32_t grace_ms, void (*done)(void *ud), void *ud);

const struct fed_http_request *fed_http_request(const struct fed_http_exchange *x);
struct fed_arena *fed_http_arena(struct fed_http_exchange *x); /* lives as long as the exchange */
void fed_http_on_closed(struct fed_http_exchange *x, void (*closed)(void *ud), void *ud);

/* Adds a header to the coming answer (copied). Content-Length, Date and Connection are the server's own. */
void fed_http_add_header(struct fed_http_exchange *x, struct fed_str name, struct fed_str value);
/* Whole answer; body is copied (short) or referenced. HEAD gets no body. */
void fed_http_respond(struct fed_http_exchange *x, int status, const char *content_type, struct fed_str body);
void fed_http_respond_blob(struct fed_http_exchange *x, int status, const char *content_type, struct fed_blob *body);
/* Streamed answer: chunked on HTTP/1.1, DATA frames on HTTP/2; the head is sent at once. write returns the backlog
 * in bytes; `drained` (may be NULL) is called when it is 0 again. */
void fed_http_stream_begin(struct fed_http_exchange *x, int status, const char *content_type, void (*drained)(void *ud),
                           void *ud);
/* All of it is there, or made as fast as it is taken: a client that takes nothing for the idle timeout is cut off. */
void fed_http_stream_bound(struct fed_http_exchange *x);
size_t fed_http_stream_write(struct fed_http_exchange *x, struct fed_str bytes);
size_t fed_http_stream_write_blob(struct fed_http_exchange *x, struct fed_blob *blob);
/* Sends what was written now, while it is in the caches, rather than at the end of the turn: for a fan-out to many.
 * Returns the backlog; when it is 0, no `drained` follows. */
size_t fed_http_stream_flush(struct fed_http_exchange *x);
size_t fed_http_stream_backlog(const struct fed_http_exchange *x);
void fed_http_stream_end(struct fed_http_exchange *x);
void fed_http_abort(struct fed_http_exchange *x); /* RST_STREAM / close: for a watcher that is cut off */
/* 101 with the headers added; then the raw stream is the handler's (bytes already read are delivered first).
 * NULL on HTTP/2: answer an error instead. */
struct fed_stream *fed_http_upgrade(struct fed_http_exchange *x, const char *protocol,
                                    const struct fed_stream_handlers *handlers, void *ud);

#endif
