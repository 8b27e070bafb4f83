/* SPDX-License-Identifier: Apache-2.0 */
/* httpc.h: an HTTP client on libcurl multi: connection reuse, HTTP/2 multiplexing, proxies, TLS with PEM in memory.
 *
 * Ownership: a call is the client's until `done` was called (exactly once, never before fed_httpc_start returned) or it
 *            was canceled (then done is not called). Threads: the loop's.
 */
#ifndef FED_NET_HTTPC_H
#define FED_NET_HTTPC_H

#include "net/httpd.h" /* struct fed_http_header */
#include "net/loop.h"

struct fed_httpc;
struct fed_httpc_call;

struct fed_httpc_tls { /* all borrowed for the life of the client */
    struct fed_str ca_pem, cert_pem, key_pem;
    bool insecure;
    const char *server_name; /* SNI and name verified, when it differs from the URL's host; NULL */
};
struct fed_httpc_conf {
    struct fed_httpc_tls tls;
    const char *proxy_url; /* NULL: none */
    const char *user_agent;
    uint32_t max_connections;    /* per host; 0: 8 */
    uint32_t connect_timeout_ms; /* 0: 5,000 */
};
struct fed_httpc *fed_httpc_new(struct fed_loop *loop, const struct fed_httpc_conf *conf);
void fed_httpc_free(struct fed_httpc *c); /* cancels running calls */
/* New client certificate or CA (copied): used by new connections; idle ones are closed. */
void fed_httpc_set_tls(struct fed_httpc *c, const struct fed_httpc_tls *tls);

struct fed_httpc_response {
    int status; /* 0 when no answer arrived */
    struct fed_str content_type;
    struct fed_str body;                   /* whole body; empty when on_data took it */
    const struct fed_http_header *headers; /* names lower case */
    size_t n_headers;
};
struct fed_httpc_request {
    const char *method;
    const char *url;
    const struct fed_http_header *headers; /* copied */
    size_t n_headers;
    struct fed_str body; /* copied */
    /* Whole exchange; 0: none. A call with on_data and no limit is a stream: it does not count against
     * max_connections and may outgrow max_body. */
    uint32_t timeout_ms;
    uint32_t idle_timeout_ms;                        /* no byte received for so long -> FED_E_TIMEOUT; 0: none */
    size_t max_body;                                 /* 0: 64 MiB; beyond: FED_E_LIMIT */
    void (*on_head)(void *ud, int status);           /* may be NULL */
    void (*on_data)(void *ud, struct fed_str bytes); /* streaming; NULL: collected into body */
    /* code 0: an answer arrived (any status), else REFUSED, UNREACHABLE, TIMEOUT, TLS, RESOLVE, END, LIMIT; SYNTAX for
     * a URL that is none. err is NULL for code 0. */
    void (*done)(void *ud, int code, const struct fed_httpc_response *r, const struct fed_err *err);
    void *ud;
};
struct fed_httpc_call *fed_httpc_start(struct fed_httpc *c, const struct fed_httpc_request *req);
void fed_httpc_cancel(struct fed_httpc_call *call);

#endif
