/* SPDX-License-Identifier: Apache-2.0 */
/* httpc_priv.h: what httpc.c (calls on the loop) and httpc_options.c (a request as curl options) share. */
#ifndef FED_NET_HTTPC_PRIV_H
#define FED_NET_HTTPC_PRIV_H

#include <curl/curl.h>

#include "base/arena.h"
#include "base/list.h"
#include "net/httpc.h"

enum { HTTPC_SPARE = 16, HTTPC_MAX_HEADERS = 256, HTTPC_MAX_HEAD = 256 * 1024, HTTPC_MAX_BODY = 64 * 1024 * 1024 };

/* Connections with one TLS identity. New settings make a new pool; the old one goes with its last call. */
struct httpc_pool {
    struct fed_list link;
    struct fed_httpc *client;
    CURLM *multi;
    struct fed_timer timer;
    struct fed_list sockets;
    size_t n_calls, n_streams;
    bool retired;
};
struct httpc_socket {
    struct fed_list link;
    struct httpc_pool *pool;
    struct fed_poll *poll;
    curl_socket_t fd;
};

struct fed_httpc {
    struct fed_loop *loop;
    struct fed_env *env;
    struct httpc_pool *pool;
    struct fed_list pools, calls, starting, doomed;
    int depth;     /* > 0: curl is on the stack */
    bool settling; /* done callbacks run */
    bool freed;
    uint32_t max_connections, connect_timeout_ms;
    char *proxy_url, *user_agent;
    struct fed_httpc_tls tls;
    struct fed_arena tls_arena;
    CURL *spare[HTTPC_SPARE];
    size_t n_spare;
};

struct fed_httpc_call {
    struct fed_list link; /* in starting, calls or doomed of the client */
    struct fed_httpc *client;
    struct httpc_pool *pool; /* NULL until added */
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct fed_arena arena; /* request body, answer's headers */
    struct fed_buf body;
    struct fed_timer timer;
    uint64_t last_ms, deadline_ms; /* of the last byte; of the whole call */
    uint32_t idle_ms;
    size_t max_body, received, head_bytes;
    bool streams; /* without a time limit: a watch */
    bool canceled, finished, head_done;
    int fail_code; /* our own verdict; 0: curl's */
    int status;
    struct fed_str content_type;
    struct fed_http_header *response_headers;
    size_t n_response_headers;
    void (*on_head)(void *ud, int status);
    void (*on_data)(void *ud, struct fed_str bytes);
    void (*done)(void *ud, int code, const struct fed_httpc_response *r, const struct fed_err *err);
    void *ud;
    char error[CURL_ERROR_SIZE];
};

void httpc_set_options(struct fed_httpc_call *call, const struct fed_httpc_request *req);

#endif
