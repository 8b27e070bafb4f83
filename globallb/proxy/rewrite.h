/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite.h: heads as they are passed on (RFC 9110 7.6): without what concerns one connection only, with where the
 * request came from. Pure; heads were parsed by http/h1.h (or filled from HTTP/2), so their bytes are valid. */
#ifndef GLB_PROXY_REWRITE_H
#define GLB_PROXY_REWRITE_H

#include "http/h1.h"

#define GLB_HOP "Hansa-Hop"
/* In the answer of a balancer to another: nothing was done, ask elsewhere. */
#define GLB_UNPROCESSED "Hansa-Unprocessed"

struct glb_from { /* where a request came from */
    struct fed_str ip;
    bool tls;
    bool trusted;           /* another balancer of the federation: its X-Forwarded-Proto and -Host are kept */
    bool upgrade;           /* pass an Upgrade on (HTTP/1.1 clients) */
    const char *request_id; /* used when the request has none */
};
/* The head of the request to a backend without its final empty line. */
void glb_rewrite_request(struct fed_buf *out, const struct fed_h1_head *h, const struct glb_from *from);

struct glb_to {         /* how an answer goes to an HTTP/1.x client */
    bool close;         /* the connection ends after it */
    bool keep_alive_10; /* an HTTP/1.0 client that asked for keep-alive */
    bool upgrade;       /* 101: Connection and Upgrade are passed on */
};
/* The head of an answer with its empty line. `framing`: as it will be sent. */
void glb_rewrite_response(struct fed_buf *out, const struct fed_h1_head *h, enum fed_h1_framing framing,
                          const struct glb_to *to);
/* Field i of an answer is passed on. */
bool glb_keeps_response_field(const struct fed_h1_head *h, size_t i);

bool glb_is_idempotent(enum fed_h1_method m);
/* First field with this name (not one of enum fed_h1_name), any case; p == NULL: none. */
struct fed_str glb_find_field(const struct fed_h1_head *h, struct fed_str name);

#endif
