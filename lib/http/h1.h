/* SPDX-License-Identifier: Apache-2.0 */
/* h1.h: HTTP/1.x messages (RFC 9112) without input or output: heads parsed in place, body framing, head writers.
 *
 * Model:      the caller owns a buffer that begins with a message head and calls fed_h1_parse_request (or _response)
 *             each time it has grown, always with the whole buffer. Work goes line by line and is not repeated for
 *             lines already parsed, so the result does not depend on how the bytes were cut. Then fed_h1_body_next
 *             walks the body that follows.
 *
 *                 init -> parse -> 0 (more bytes) -> parse -> n > 0: the head's length -> body_init -> body_next…
 *
 * Invariants: nothing is copied or allocated; name, value, target… are slices of the caller's buffer. When the buffer
 *             moved between two calls (or afterwards, with fed_h1_rebase) the slices are moved along.
 * Strictness: what two implementations may read differently is refused: bare CR or LF, NUL and other controls,
 *             obs-fold, space before the colon, Content-Length repeated or with Transfer-Encoding, a coding other than
 *             chunked alone, Transfer-Encoding in HTTP/1.0, a missing, repeated or malformed Host, chunk sizes with
 *             anything but hex digits.
 * Failure:    FED_E_SYNTAX, FED_E_LIMIT, FED_E_VERSION, FED_E_UNSUPPORTED; `status` then holds what a server answers
 *             (400, 414, 417, 431, 501, 505) before it closes the connection. A client or proxy answers 502.
 * Threads:    values; any thread.
 */
#ifndef FED_HTTP_H1_H
#define FED_HTTP_H1_H

#include "base/buf.h"
#include "http/header.h"

enum {
    FED_H1_MAX_HEAD = 64 * 1024, /* request or status line and fields, with the empty line */
    FED_H1_MAX_HEADERS = 128,
    FED_H1_MAX_TRAILERS = 8 * 1024,
    FED_H1_MAX_CHUNK_LINE = 256, /* chunk size with its extensions, which are skipped */
};

enum fed_h1_method {
    FED_H1_OTHER, /* any other token */
    FED_H1_GET,
    FED_H1_HEAD,
    FED_H1_POST,
    FED_H1_PUT,
    FED_H1_DELETE,
    FED_H1_PATCH,
    FED_H1_OPTIONS,
    FED_H1_CONNECT,
    FED_H1_TRACE,
};

/* Names that servers and proxies treat by name. Those from FED_H1_CONNECTION to FED_H1_UPGRADE are hop-by-hop. */
enum fed_h1_name {
    FED_H1_NAME_OTHER,
    FED_H1_CONNECTION,
    FED_H1_KEEP_ALIVE,
    FED_H1_PROXY_CONNECTION,
    FED_H1_PROXY_AUTHENTICATE,
    FED_H1_PROXY_AUTHORIZATION,
    FED_H1_TE,
    FED_H1_TRAILER,
    FED_H1_TRANSFER_ENCODING,
    FED_H1_UPGRADE,
    FED_H1_HOST,
    FED_H1_CONTENT_LENGTH,
    FED_H1_CONTENT_TYPE,
    FED_H1_CONTENT_ENCODING,
    FED_H1_EXPECT,
    FED_H1_ACCEPT,
    FED_H1_ACCEPT_ENCODING,
    FED_H1_AUTHORIZATION,
    FED_H1_COOKIE,
    FED_H1_SET_COOKIE,
    FED_H1_DATE,
    FED_H1_SERVER,
    FED_H1_LOCATION,
    FED_H1_RETRY_AFTER,
    FED_H1_USER_AGENT,
    FED_H1_VIA,
    FED_H1_FORWARDED,
    FED_H1_X_FORWARDED_FOR,
    FED_H1_X_FORWARDED_PROTO,
    FED_H1_X_FORWARDED_HOST,
    FED_H1_X_FORWARDED_PORT,
    FED_H1_X_REAL_IP,
    FED_H1_X_REQUEST_ID,
    FED_H1_TRACEPARENT,
    FED_H1_N_NAMES
};

enum fed_h1_framing {
    FED_H1_BODY_NONE,
    FED_H1_BODY_LENGTH, /* content_length bytes, > 0 */
    FED_H1_BODY_CHUNKED,
    FED_H1_BODY_CLOSE,  /* response: until the connection ends */
    FED_H1_BODY_TUNNEL, /* response 101, or 2xx to CONNECT: no longer HTTP */
};

struct fed_h1_head { /* 4.5 kB: keep one per connection or worker, not per request */
    /* Request. */
    enum fed_h1_method method_id;
    struct fed_str method;
    struct fed_str target; /* as received */
    struct fed_str path;   /* "/…", still percent-encoded; "*" for OPTIONS *; "" for CONNECT */
    struct fed_str query;  /* without '?'; p == NULL when absent */
    struct fed_str host;   /* with port if given: authority of an absolute target, else Host; may be empty */
    /* Response. */
    int response_status;
    struct fed_str reason;
    /* Both. */
    int minor;             /* 0 or 1 (HTTP/1.2 and above are read as 1.1) */
    bool keep_alive;       /* by version and Connection */
    bool expect_continue;  /* HTTP/1.1 request with Expect: 100-continue */
    bool connection_names; /* Connection names fields beyond close, keep-alive, upgrade (see fed_h1_is_hop) */
    enum fed_h1_framing framing;
    uint64_t content_length; /* of Content-Length; also what HEAD would have had */
    bool has_content_length;
    struct fed_str upgrade; /* Upgrade's value when Connection: upgrade asks for it; p == NULL: none */
    int status;             /* after a failure: what a server answers */
    size_t n_headers;
    uint8_t names[FED_H1_MAX_HEADERS];                  /* enum fed_h1_name */
    struct fed_http_header headers[FED_H1_MAX_HEADERS]; /* names as received, values without outer blanks */
    /* Private to the parser. */
    const char *base;
    size_t line, scanned; /* offset of the first unparsed line; bytes searched for its end */
    uint32_t seen;
    uint8_t stage;
};

void fed_h1_init(struct fed_h1_head *h); /* before each message; cheap (does not touch the arrays) */
/* bytes: the buffer from the first byte of the message. Returns the length of the head (> 0), 0 when more bytes are
 * needed, or a negative code. */
FED_MUST_USE int fed_h1_parse_request(struct fed_h1_head *h, struct fed_str bytes);
/* request: the method that is being answered (HEAD and CONNECT change the framing). 1xx heads are returned like others:
 * call fed_h1_init and parse on behind them. */
FED_MUST_USE int fed_h1_parse_response(struct fed_h1_head *h, struct fed_str bytes, enum fed_h1_method request);
void fed_h1_rebase(struct fed_h1_head *h, const char *base); /* the bytes now live at base */
/* First field of that name; p == NULL when there is none. */
struct fed_str fed_h1_find(const struct fed_h1_head *h, enum fed_h1_name name);
/* Field i concerns this connection only (RFC 9110 7.6.1): a proxy does not forward it. */
bool fed_h1_is_hop(const struct fed_h1_head *h, size_t i);
enum fed_h1_name fed_h1_name_of(struct fed_str name); /* any case */
void fed_h1_lower(char *p, size_t n);                 /* ASCII letters, in place */
enum fed_h1_method fed_h1_method_of(struct fed_str method);
/* `token` (lower case) is in a comma-separated list, any case. */
bool fed_h1_has_token(struct fed_str list, struct fed_str token);

/* A body's framing, walked without copies. */
struct fed_h1_body {
    uint8_t framing; /* enum fed_h1_framing */
    uint8_t state;
    uint16_t line; /* bytes of the chunk line or trailers so far */
    uint64_t left; /* bytes until the end of the body or chunk */
};
enum { FED_H1_MORE = 0, FED_H1_DATA = 1, FED_H1_END = 2 };
void fed_h1_body_init(struct fed_h1_body *b, enum fed_h1_framing framing, uint64_t content_length);
/* Takes bytes off *in. FED_H1_DATA: *data is the next piece of the body, a slice of *in (call again); FED_H1_MORE: *in
 * is used up; FED_H1_END: the body is complete, *in begins with what follows it; else FED_E_SYNTAX or FED_E_LIMIT.
 * A proxy that forwards chunked bodies as they are sends what was taken off *in. */
FED_MUST_USE int fed_h1_body_next(struct fed_h1_body *b, struct fed_str *in, struct fed_str *data);
/* The connection ended. 0 when the body is complete (FED_H1_BODY_CLOSE too), else FED_E_END. */
FED_MUST_USE int fed_h1_body_eof(const struct fed_h1_body *b);

/* Writers. Names that are no tokens are left out and control bytes in values become spaces, so that no caller can be
 * made to split a message. */
void fed_h1_put_request_line(struct fed_buf *out, struct fed_str method, struct fed_str target);
void fed_h1_put_status_line(struct fed_buf *out, int status);
void fed_h1_put_header(struct fed_buf *out, struct fed_str name, struct fed_str value);
/* The same for a name that is ours: "Name: ". */
void fed_h1_put_known(struct fed_buf *out, struct fed_str name_colon, struct fed_str value);
void fed_h1_put_header_u64(struct fed_buf *out, struct fed_str name, uint64_t value);
void fed_h1_put_end(struct fed_buf *out);                  /* the empty line */
void fed_h1_put_chunk_head(struct fed_buf *out, size_t n); /* n > 0; then the bytes, then CR LF */
#define FED_H1_CHUNK_TAIL FED_STR("\r\n")
#define FED_H1_LAST_CHUNK FED_STR("0\r\n\r\n")

#endif
