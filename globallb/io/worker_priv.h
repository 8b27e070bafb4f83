/* SPDX-License-Identifier: Apache-2.0 */
/* worker_priv.h: the parts of a worker and how they hold on to each other.
 *
 *   client (client_h1.c, client_h2.c)  --owns-->  exchange (exchange.c)  --tries-->  conn (upstream.c) --> peer (choose.c)
 *
 * What comes back goes by handlers: of a conn's stream (answer.c) to the exchange, of the exchange (ops) to the client.
 *
 * A client tells its exchange: begin, body, body end, gone. The exchange tells its client by `ops`: head, data, end, fail.
 * An exchange holds a conn for each live try; a conn belongs to at most one exchange and else waits in its peer's pool.
 * Rules:    exchange -> client calls never free the client synchronously; client -> exchange `glb_x_abandon` detaches
 *           every conn, after which nothing of the exchange is called back.
 * Threads:  the worker's own. */
#ifndef GLB_IO_WORKER_PRIV_H
#define GLB_IO_WORKER_PRIV_H

#include <pthread.h>

#include "base/list.h"
#include "globallb/balance/budget.h"
#include "globallb/balance/delay.h"
#include "globallb/io/worker.h"
#include "globallb/proxy/rewrite.h"
#include "net/loop.h"

#define GLB_LOG "globallb"

enum {
    GLB_REPLAY_MAX = 64 * 1024, /* of a body kept for another try */
    GLB_BACKLOG = 256 * 1024,   /* unsent bytes at which the other side is paused */
    GLB_AHEAD = 16 * 1024,      /* pipelined bytes read ahead while a request runs */
};

struct glb_exchange;
struct glb_conn;

struct glb_peer {              /* one target, as this worker knows it */
    struct fed_target *target; /* pinned */
    struct fed_list idle;      /* glb_conn.link, most recently used first */
    struct fed_list busy;
    uint32_t n_idle, in_flight;
    struct glb_delay delay;
    uint64_t heard_ms; /* last bytes from it */
    uint64_t used_ms;
    bool ejected; /* we have seen it down and moved its requests */
};

enum glb_conn_state {
    GLB_CONN_CONNECTING,
    GLB_CONN_IDLE,
    GLB_CONN_WAITING,
    GLB_CONN_BODY,
    GLB_CONN_TUNNEL,
    GLB_CONN_CLOSED
};
struct glb_conn {
    struct glb_worker *w;
    struct fed_stream *s;
    struct glb_peer *peer;
    struct fed_list link;
    enum glb_conn_state state;
    struct glb_exchange *x;
    int try_i;
    bool reused, paused;
    struct fed_h1_head *head; /* while an answer's head is incomplete */
    struct fed_buf in;        /* its bytes */
    struct fed_h1_body body;
    bool keep; /* may be used again after the answer */
    bool raw;  /* the body is passed on as framed */
    uint64_t sent_ns, idle_ms;
};

struct glb_client_ops {
    /* The answer's head. Returns true when the body is to be passed on with the backend's own framing (raw). */
    bool (*head)(struct glb_exchange *x, const struct fed_h1_head *h, enum fed_h1_framing framing);
    size_t (*data)(struct glb_exchange *x, struct fed_str bytes);        /* raw or plain, returns the backlog */
    void (*end)(struct glb_exchange *x, bool complete);                  /* complete false: the answer was cut */
    void (*fail)(struct glb_exchange *x, int status, const char *text);  /* our own answer */
    void (*resume)(struct glb_exchange *x, bool on);                     /* read the request's body, or stop */
    void (*go_ahead)(struct glb_exchange *x);                            /* 100 Continue */
    void (*tunnel)(struct glb_exchange *x, const struct fed_h1_head *h); /* 101 from the backend; raw data follows */
};

struct glb_attempt {
    struct glb_conn *conn;     /* NULL: ended */
    struct fed_target *target; /* for comparing only */
    uint16_t slot;
    bool hop, own;
};
enum glb_x_state { GLB_X_NONE, GLB_X_TRYING, GLB_X_ANSWERING, GLB_X_TUNNEL };
struct glb_exchange {
    struct glb_worker *w;
    const struct glb_client_ops *ops;
    enum glb_x_state state;
    struct glb_tries tries;
    struct glb_attempt at[GLB_MAX_TRIES];
    int winner;
    struct fed_buf req; /* head without its end, then the part of the body kept */
    size_t head_n;
    uint32_t path_at, path_n, host_at, host_n; /* in req */
    enum fed_h1_method method;
    bool hop_in; /* came from another balancer: serve it locally */
    bool upgrade;
    bool expect;    /* the client waits for 100 */
    bool body_done; /* all of the request has been handed over */
    bool client_paused;
    bool hedged;
    uint16_t code;
    uint64_t began_ns, sent_bytes;
    uint64_t moved_ms; /* last progress of a body */
    struct fed_timer timer;
    uint64_t wake_ms, timer_ms;
};

struct glb_client; /* client_h1.c */
struct glb_h2;     /* client_h2.c */

struct glb_worker {
    struct glb_shared *shared;
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_epoch_reader *reader;
    struct fed_listener *plain[GLB_MAX_LISTEN], *tls[GLB_MAX_LISTEN];
    struct fed_addr plain_addr[GLB_MAX_LISTEN], tls_addr[GLB_MAX_LISTEN];
    size_t n_plain, n_tls;
    struct glb_peer **peers; /* open addressing by target */
    size_t peers_size, n_peers;
    struct fed_list clients; /* all connections of clients: glb_client.link, glb_h2.link */
    struct fed_list h2_clients;
    struct glb_budget budget;
    uint64_t rng;
    struct fed_buf out; /* scratch: one head */
    struct fed_h1_head *spare_head;
    struct fed_h1_head scratch_head;
    uint8_t *uses; /* scratch: verdicts of a backend's places */
    size_t cap_uses;
    struct fed_tls *sni_hold; /* the last certificate handed to OpenSSL */
    struct fed_tls *tls_conf;
    struct glb_counters *count;
    const struct fed_stream_handlers *upstream; /* of the streams to backends */
    struct fed_metric *latency;
    struct fed_wakeup wake;
    struct fed_timer sweep, drain;
    atomic_bool stopping;
    bool draining;
    pthread_t thread;
    bool started;
    char date[32];
};

static inline void glb_bump(atomic_uint_fast64_t *c) /* one writer: no locked instruction is needed */
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_relaxed);
}
static inline void glb_shift(atomic_int_fast64_t *c, int by)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + by, memory_order_relaxed);
}
static inline uint32_t glb_dice(struct glb_worker *w)
{
    /* xorshift64*: spreads load, keeps no secret. */
    w->rng ^= w->rng >> 12;
    w->rng ^= w->rng << 25;
    w->rng ^= w->rng >> 27;
    return (uint32_t)((w->rng * 0x2545f4914f6cdd1du) >> 32);
}

/* stock.c */
struct fed_h1_head *glb_take_head(struct glb_worker *w);
void glb_give_head(struct glb_worker *w, struct fed_h1_head *h);
void glb_count_answer(struct glb_worker *w, uint16_t slot, int status);

/* choose.c */
struct glb_choice {
    struct fed_target *target; /* pinned by its peer */
    struct glb_peer *peer;
    uint16_t slot;
    bool own, hop;
};
enum glb_found { GLB_FOUND, GLB_NO_SNAPSHOT, GLB_NO_RULE, GLB_NO_SERVICE, GLB_NO_PLACE, GLB_NO_OTHER };
/* A place for the next try. hedge: only one that was not tried yet, elsewhere if possible. */
enum glb_found glb_choose(struct glb_exchange *x, bool hedge, struct glb_choice *out);
struct glb_peer *glb_peer_get(struct glb_worker *w, struct fed_target *t);
void glb_peers_sweep(struct glb_worker *w, uint64_t now_ms, bool all); /* frees unused ones, closes old idle conns */
void glb_peers_free(struct glb_worker *w);                             /* after the loop */
bool glb_cluster_lost(struct glb_worker *w, uint16_t slot);            /* our probes of its edge say so */
bool glb_from_balancer(struct glb_worker *w, const struct fed_addr *addr);

/* upstream.c */
/* Pooled or new. True: the request is sent; else it will be when the connection is open. */
bool glb_conn_start(struct glb_exchange *x, int try_i, struct glb_peer *peer, bool hop);
void glb_conn_send(struct glb_conn *c);            /* the request, to an open connection */
void glb_conn_done(struct glb_conn *c, bool keep); /* its exchange has what it wanted; keep: it may serve another */
void glb_conn_drop(struct glb_conn *c);            /* closes; detached from its exchange */
void glb_conn_free(struct glb_conn *c);            /* the stream's last callback */
void glb_conn_body(struct glb_conn *c, struct fed_str bytes); /* more of the request's body */
void glb_conn_pause(struct glb_conn *c, bool paused);

/* answer.c */
extern const struct fed_stream_handlers glb_upstream_handlers;

/* exchange.c; the client fills ops, w, and begins with the parsed head */
void glb_x_init(struct glb_exchange *x, struct glb_worker *w, const struct glb_client_ops *ops);
void glb_x_release(struct glb_exchange *x);
struct glb_x_client { /* who asks */
    struct fed_str ip;
    const struct fed_addr *addr;
    bool tls, http2;
};
void glb_x_begin(struct glb_exchange *x, const struct fed_h1_head *h, const struct glb_x_client *who);
void glb_x_body(struct glb_exchange *x, struct fed_str raw); /* as framed for HTTP/1.1 */
void glb_x_body_end(struct glb_exchange *x);
void glb_x_abandon(struct glb_exchange *x); /* the client has gone */
void glb_x_drained(struct glb_exchange *x); /* the client took what was written */
void glb_x_step(struct glb_exchange *x, struct glb_step step);
void glb_x_lost(struct glb_exchange *x, int i, enum glb_loss why);
void glb_x_won(struct glb_exchange *x, int i);
void glb_x_done(struct glb_exchange *x, bool complete);
void glb_x_moved(struct glb_exchange *x);
void glb_conn_report(struct glb_conn *c, bool ok); /* on its place; who else waits for a bad one is woken */
void glb_x_room(struct glb_exchange *x);           /* a connection took what was written: read more of the body */
static inline struct glb_conn *glb_x_winner(const struct glb_exchange *x)
{
    return x->winner >= 0 ? x->at[x->winner].conn : NULL;
}

static inline struct fed_str glb_x_path(const struct glb_exchange *x)
{
    return fed_str_n(x->req.p + x->path_at, x->path_n);
}
static inline struct fed_str glb_x_host(const struct glb_exchange *x)
{
    return fed_str_n(x->req.p + x->host_at, x->host_n);
}

/* client_h1.c, client_h2.c */
void glb_client_accept(struct glb_worker *w, struct fed_stream *s, bool tls);
void glb_clients_drain(struct glb_worker *w, bool now); /* close idle ones; now: all */
void glb_h2_accept(struct glb_worker *w, struct fed_stream *s);
void glb_h2_drain(struct glb_worker *w, bool now);

#endif
