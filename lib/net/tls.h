/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h: TLS settings for listeners and streams: TLS 1.2+, ALPN, client certificates, live reload.
 *
 * Model: a fed_tls is a reference-counted context; streams made from it keep it. A reload builds a new OpenSSL context
 *        inside; running connections keep theirs. Leaf certificates on disk are re-read when their file changed
 *        (checked once a minute, when a connection is made, and on fed_tls_reload), so renewal needs no restart.
 * Threads: any; a fed_tls may serve several loops. `by_name` is called on the thread of the stream.
 * Client certificates: REQUIRED refuses the handshake without a verified one; OPTIONAL takes any, and one that does not
 *        verify gives no identity (so that a request with a foreign certificate can be answered 401).
 */
#ifndef FED_NET_TLS_H
#define FED_NET_TLS_H

#include <stdbool.h>

#include "base/env.h"
#include "base/err.h"
#include "base/str.h"

struct fed_tls;

enum fed_tls_peer { FED_TLS_PEER_NONE, FED_TLS_PEER_OPTIONAL, FED_TLS_PEER_REQUIRED };
struct fed_tls_conf {
    bool server;
    /* Certificate chain and key in PEM: bytes, or else files (then watched). A client may have none. */
    struct fed_str cert_pem, key_pem;
    const char *cert_file, *key_file;
    struct fed_str ca_pem; /* trust anchors for the peer; a client without any uses the system's */
    const char *ca_file;
    enum fed_tls_peer peer; /* server: ask for client certificates; a client always verifies unless insecure */
    bool insecure;          /* client: no verification */
    const char *alpn;       /* comma-separated, "h2,http/1.1"; NULL: none */
    /* server: certificate by SNI name (lower case); returns NULL for the default. Called on the stream's thread. */
    struct fed_tls *(*by_name)(void *ud, const char *server_name);
    void *ud;
};
FED_MUST_USE int fed_tls_new(struct fed_env *env, const struct fed_tls_conf *conf, struct fed_tls **out,
                             struct fed_err *err);
struct fed_tls *fed_tls_ref(struct fed_tls *tls);
void fed_tls_unref(struct fed_tls *tls);                                   /* NULL ok */
FED_MUST_USE int fed_tls_reload(struct fed_tls *tls, struct fed_err *err); /* keeps the old one on failure */

#endif
