/* SPDX-License-Identifier: Apache-2.0 */
/* httpd_priv.h: what the files of the HTTP server share.
 *
 *   httpd.c           listener, what connections speak, closing
 *   httpd_h1.c        HTTP/1.1 on a connection: one exchange at a time, pipelined bytes wait
 *   httpd_h2.c        HTTP/2 on a connection: lib/http/h2.h
 *   httpd_exchange.c  exchanges and the handler's calls, which end in the connection's ops
 *   httpd_conn.c      a connection's timer, output and end
 *   httpd_limits.c    connections of a client and of all, bodies of strangers
 *
 * Each calls those below it only.
 */
#ifndef FED_NET_HTTPD_PRIV_H
#define FED_NET_HTTPD_PRIV_H

#include "base/list.h"
#include "base/map.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/httpd.h"

enum {
    HTTPD_COALESCE = 16 * 1024,   /* up to here bodies are copied behind their head: one write, one TLS record */
    HTTPD_OUT_FLUSH = 64 * 1024,  /* output gathered on a connection within one turn of the loop */
    HTTPD_OUT_AHEAD = 256 * 1024, /* HTTP/2 frames made ahead of the socket */
    HTTPD_IN_AHEAD = 64 * 1024,   /* pipelined bytes read while an exchange runs */
    HTTPD_LINGER_MS = 2000,       /* reading on after a last answer, so that the client sees it (RFC 9112 9.6) */
    HTTPD_LOOKS = 4,              /* in an idle timeout, at how much of an answer is left */
    HTTPD_POOL = 64,              /* idle exchanges kept with their arena */
    HTTPD_TOGETHER = 64,          /* answers that wait for each other within a turn of the loop */
};
#define HTTPD_BODY_BUDGET (256u * 1024 * 1024) /* bytes of all request bodies together; beyond: 503 */

enum httpd_xstate {
    HTTPD_READING,   /* the request is not complete; the handler has not seen it */
    HTTPD_HANDLING,  /* with the handler */
    HTTPD_STREAMING, /* fed_http_stream_begin was called */
    HTTPD_ANSWERED,  /* the handler is done with it */
};

struct httpd_conn;
struct httpd_ops { /* HTTP/1.x or HTTP/2 on a connection */
    void (*data)(struct httpd_conn *c, struct fed_str bytes);
    void (*run)(struct httpd_conn *c); /* after an answer, or to go on */
    void (*eof)(struct httpd_conn *c);
    void (*drained)(struct httpd_conn *c);
    void (*timeout)(struct httpd_conn *c);
    /* The handler's calls, while the client is there. */
    void (*respond)(struct fed_http_exchange *x, int status, const char *content_type, struct fed_str body,
                    struct fed_blob *blob); /* blob NULL: body is to be copied */
    void (*stream_begin)(struct fed_http_exchange *x, int status, const char *content_type);
    void (*write)(struct fed_http_exchange *x, struct fed_str bytes, struct fed_blob *blob);
    void (*stream_end)(struct fed_http_exchange *x);
};

struct fed_httpd {
    struct fed_httpd_conf conf;
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_listener *listener;
    struct fed_addr addr;
    struct fed_list conns;
    size_t n_conns, n_exchanges;
    struct fed_list pool;
    size_t n_pool;
    size_t body_bytes;
    struct fed_map peers; /* client -> its connections */
    struct fed_metric *m_conns;
    struct fed_metric_family *m_refused;
    struct fed_h1_head *spare_head;
    struct fed_buf spare_outs[HTTPD_TOGETHER]; /* so that idle connections hold none */
    size_t n_spare_outs;
    struct fed_list sending; /* connections whose answers leave at the end of the turn */
    size_t n_sending;
    struct fed_task send_task;
    int64_t date_s;
    char date[30];
    struct fed_buf ok_head; /* the first lines of the answer that comes most: 200, with ok_type, in this second */
    int64_t ok_date_s;
    char ok_type[48];
    struct fed_http_header *scratch; /* headers of an HTTP/2 answer */
    size_t cap_scratch;
    bool closing;
    struct fed_timer grace;
    struct fed_task finish;
    void (*done)(void *ud);
    void *done_ud;
};

struct httpd_conn {
    struct fed_list link;
    struct fed_list send_link;
    struct fed_httpd *server;
    struct fed_stream *stream;
    const struct httpd_ops *ops; /* what it speaks */
    bool detecting;              /* that is not known yet */
    struct fed_str cert_cn;
    const struct fed_str *cert_orgs;
    size_t n_cert_orgs;
    int64_t cert_until_s;
    bool cert_refused;
    /* One timer for the life of the connection: it is moved only when the deadline comes nearer, else it fires, sees
     * that the deadline moved on, and waits again. */
    struct fed_timer timer;
    uint64_t deadline_ms, timer_ms; /* UINT64_MAX: none */
    struct fed_task task;
    struct fed_buf out;
    bool busy;      /* inside input processing, which flushes at its end */
    bool eof;       /* the peer will send no more */
    bool lingering; /* the last answer is sent; input is dropped */
    bool dead;      /* fed_stream_close was called */
    bool paused;
    bool refused; /* beyond a limit: its first request is answered with 429 */
    /* HTTP/1.x */
    struct fed_buf in;        /* bytes not used yet */
    struct fed_h1_head *head; /* while a head is being read */
    struct fed_h1_body body;
    struct fed_http_exchange *x;
    uint64_t body_by_ms; /* when the request must be complete */
    int minor;
    bool keep_alive;
    bool held;                                 /* a request waits until the client takes answers */
    size_t left;                               /* unsent when that was last looked at; see moved_ms */
    const struct fed_stream_handlers *upgrade; /* whose the stream will be */
    void *upgrade_ud;
    /* Both */
    size_t n_leaving;  /* exchanges answered and not yet sent in full, or bound: the client must take of them */
    uint64_t moved_ms; /* when it last did */
    /* HTTP/2 */
    struct fed_h2 *h2;
    struct fed_list reading; /* exchanges whose request is incomplete, oldest first */
    uint64_t sent;           /* bytes of bodies handed to the socket */
    bool spoken;             /* bytes have come */
};

struct fed_http_exchange {
    struct fed_list link; /* server's pool, or conn->reading */
    struct fed_http_request req;
    struct fed_httpd *server;
    struct httpd_conn *conn;   /* NULL when the client has gone */
    struct fed_h2_stream *h2s; /* NULL on HTTP/1.x */
    enum httpd_xstate state;
    bool is_head, chunked, owed_drained, may_send, bound;
    uint64_t since_ms; /* HTTP/2: when the request began */
    struct fed_arena arena;
    struct fed_buf body;
    struct fed_http_header *extra;
    size_t n_extra, cap_extra;
    void (*closed)(void *ud);
    void *closed_ud;
    void (*drained)(void *ud);
    void *drained_ud;
    struct fed_task gone; /* tells an exchange whose client had gone when `closed` was set */
};

/* httpd_conn.c */
void httpd_deadline(struct httpd_conn *c, uint64_t ms); /* from now */
void httpd_no_deadline(struct httpd_conn *c);
/* At a deadline: has the client taken something of what is written within the idle timeout? Then there is another one. */
bool httpd_takes(struct httpd_conn *c);
void httpd_soon(struct httpd_conn *c);  /* work on the connection after this callback */
void httpd_flush(struct httpd_conn *c); /* out to the stream, which sends it with what follows */
void httpd_send(struct httpd_conn *c);  /* out to the socket */
/* The same at the end of the turn, behind the requests that have come with this one: a client that serves several
 * connections is woken once for all its answers, not for each. */
void httpd_send_soon(struct httpd_conn *c);
/* Before out is written to: room that another connection has left. */
void httpd_take_out(struct httpd_conn *c);
void httpd_kill(struct httpd_conn *c);   /* close now */
void httpd_linger(struct httpd_conn *c); /* close after what is written */
void httpd_quiet(struct httpd_conn *c);  /* no timer, no task any more */
void httpd_forget(struct httpd_conn *c); /* the stream is no longer ours, its exchange has ended */
void httpd_bound(struct httpd_conn *c);  /* from now on the client must take of what is written */
struct fed_str httpd_date(struct fed_httpd *h);
void httpd_maybe_finish(struct fed_httpd *h);

/* httpd_limits.c */
void httpd_limits_open(struct fed_httpd *h);
void httpd_limits_enter(struct httpd_conn *c);
void httpd_limits_leave(struct httpd_conn *c);
int httpd_limits_body(struct fed_http_exchange *x, uint64_t length); /* 0 or the status of a refusal */

/* httpd_exchange.c */
struct fed_http_exchange *httpd_exchange_new(struct httpd_conn *c);
void httpd_exchange_end(struct fed_http_exchange *x); /* over, for whatever reason: closed, then free or orphan */
/* The body of a refusal by the server itself, which is counted; returns its type. */
const char *httpd_refusal(const struct fed_httpd *h, int status, struct fed_str method, struct fed_buf *body);
/* The body will not be read: the handler says so. False: it does not do that. */
bool httpd_exchange_decline(struct fed_http_exchange *x, int status);
/* 0, 413 or 503. */
int httpd_exchange_body(struct fed_http_exchange *x, struct fed_str bytes);
void httpd_exchange_dispatch(struct fed_http_exchange *x);

static inline bool httpd_bodiless(int status)
{
    return status < 200 || status == 204 || status == 304;
}

/* httpd_h1.c, httpd_h2.c */
extern const struct httpd_ops httpd_h1_ops;
void httpd_h2_start(struct httpd_conn *c);

#endif
