/* SPDX-License-Identifier: Apache-2.0 */
/* tls_conn.h: one TLS session without I/O, for lib/net's streams: ciphertext goes in as a slice, comes out in a buffer.
 *
 * Model:     set `in` to received bytes, then call handshake or read until they ask for more; whatever appears in
 *            `out` must be sent. OpenSSL reads from `in` and appends to `out` through a BIO of ours, so that a record
 *            is copied once each way.
 * Ownership: embedded in the stream; `in` is borrowed, fed_tls_conn_keep_input copies what is left of it.
 * Failure:   FED_E_TLS with OpenSSL's reason; after it only release is allowed (`out` may hold an alert to send).
 */
#ifndef FED_NET_TLS_CONN_H
#define FED_NET_TLS_CONN_H

#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "net/addr.h"
#include "net/tls.h"

struct fed_tls_conn { /* zero-initialised = none */
    SSL *ssl;
    struct fed_tls *tls;
    uint64_t now_ms; /* when it was made: file checks of certificates chosen by name */
    struct fed_str in;
    char *kept; /* what `in` points into after keep_input */
    struct fed_buf out;
    bool ended; /* the last read met an end that the next one has to tell */
    bool heard; /* bytes have come */
};

/* A client verifies server_name (or, when NULL, the address of the peer). Takes a reference to tls. */
FED_MUST_USE int fed_tls_conn_init(struct fed_tls_conn *c, struct fed_tls *tls, uint64_t now_ms,
                                   const char *server_name, const struct fed_addr *peer, struct fed_err *err);
void fed_tls_conn_release(struct fed_tls_conn *c);

enum fed_tls_step { FED_TLS_WAIT, FED_TLS_DONE, FED_TLS_CLOSED }; /* or a negative code */
/* DONE: the handshake is complete. WAIT: needs more input. */
FED_MUST_USE int fed_tls_conn_handshake(struct fed_tls_conn *c, struct fed_err *err);
/* DONE: *n plaintext bytes. WAIT: needs more input. CLOSED: the peer sent its close_notify. */
FED_MUST_USE int fed_tls_conn_read(struct fed_tls_conn *c, char *buf, size_t room, size_t *n, struct fed_err *err);
/* Encrypts all of bytes into `out`. After the handshake only. */
FED_MUST_USE int fed_tls_conn_write(struct fed_tls_conn *c, struct fed_str bytes, struct fed_err *err);
void fed_tls_conn_shutdown(struct fed_tls_conn *c); /* appends our close_notify */
void fed_tls_conn_keep_input(struct fed_tls_conn *c);

struct fed_str fed_tls_conn_alpn(const struct fed_tls_conn *c);
/* CN and each O of the verified peer certificate, copied to the arena; false when there is none. */
bool fed_tls_conn_identity(const struct fed_tls_conn *c, struct fed_arena *arena, struct fed_str *cn,
                           const struct fed_str **orgs, size_t *n);
/* Seconds since 1970 at which the verified peer certificate ends; 0: there is none, or it did not verify (*refused). */
int64_t fed_tls_conn_peer_until(const struct fed_tls_conn *c, bool *refused);

/* From tls.c: the current context (new reference), after a look at changed files; what a session is made from. */
SSL_CTX *fed_tls_context(struct fed_tls *tls, uint64_t now_ms);
bool fed_tls_is_server(const struct fed_tls *tls);
bool fed_tls_is_insecure(const struct fed_tls *tls);
/* err from OpenSSL's queue, which is emptied; returns FED_E_TLS. */
int fed_tls_err(struct fed_err *err, const char *what);

#endif
