/* SPDX-License-Identifier: Apache-2.0 */
/* etcd_priv.h: what the files of the etcd store share.
 *
 * Model:      each file calls those before it only. etcd_conn.c keeps one connection and the unary requests on it;
 *             etcd_mark.c writes what makes etcd say how far it is; etcd_commit.c queues transactions; etcd_sync.c has
 *             consistent reads and compaction; etcd_watch.c applies events and tells both what has come; etcd_load.c
 *             reads all keys, at the start and after a compaction took our place in the watch; etcd.c opens, ticks and
 *             closes, and carries what the connection and the watch have to say (on_…) to the others.
 * Keys:       PREFIX "s" KEY is the key of the contract, PREFIX "i/…" are the store's own: i/format (number of the
 *             form), i/mark (written to make etcd say something), i/compact (revision and when, by whoever compacts).
 * Revisions:  `seen` is the last revision of which an event was delivered, `settled` the last one that is whole.
 */
#ifndef STORE_ETCD_PRIV_H
#define STORE_ETCD_PRIV_H

#include "base/list.h"
#include "base/map.h"
#include "net/grpc_channel.h"
#include "store/etcd.h"
#include "store/etcd_pb.h"
#include "store/ops_copy.h"

#define ETCD_FORMAT        1
#define ETCD_MAX_ENDPOINTS 16
#define ETCD_IN_FLIGHT     200  /* transactions at once on the connection */
#define ETCD_AWAY_MS       4000 /* what waits for a connection so long fails */
#define ETCD_TICK_MS       200

struct etcd;

struct etcd_endpoint {
    char *host;
    uint16_t port;
    bool tls;
};

/* A unary request under way. */
typedef void (*etcd_answer_cb)(void *ud, int status, struct fed_str body); /* body: the message, or the error's text */
struct etcd_request {
    struct fed_list link;
    struct etcd *e;
    struct fed_grpc_call *call;
    uint64_t deadline_ms;
    struct fed_buf answer;
    etcd_answer_cb cb;
    void *ud;
};

struct etcd_txn;
struct etcd_slot { /* one key of a transaction: the next one on that key waits for it */
    struct etcd_txn *txn, *next;
};
enum etcd_txn_state { ETCD_BLOCKED, ETCD_READY, ETCD_SENT, ETCD_ANSWERED };
struct etcd_txn {
    struct fed_list link; /* blocked, ready, sent or answered */
    struct etcd *e;
    struct store_ops_copy ops;
    struct etcd_slot *slots;
    enum etcd_txn_state state;
    size_t blockers;
    uint64_t since_ms; /* submitted; ANSWERED: answered */
    int code;
    uint64_t rev; /* ANSWERED: wait for this one; the answer's, unless code */
    struct fed_err err;
    store_commit_cb cb;
    void *ud;
};

struct etcd_reader { /* a consistent read */
    struct fed_list link;
    uint64_t since_ms, rev;
    void (*cb)(void *ud, int code, const struct fed_err *err);
    void *ud;
};

struct etcd_entry { /* of the index: what a key's last change was */
    uint64_t mod_rev, create_rev, pass;
};

enum etcd_phase { ETCD_IDLE, ETCD_MARK, ETCD_PAGES, ETCD_HISTORY, ETCD_LIVE, ETCD_RELOAD };

struct etcd {
    struct store base;
    struct fed_loop *loop;
    struct fed_env *env;
    /* of the connection */
    void (*on_up)(struct etcd *e);  /* requests may be sent */
    void (*on_cut)(struct etcd *e); /* the channel goes, and every call on it */
    void (*on_failed)(struct etcd *e, const struct fed_err *err);
    /* of the watch */
    void (*on_overtaken)(struct etcd *e); /* a compaction took our place: the watch is closed */
    struct store_etcd_conf conf;
    char *prefix, *prefix_end, *state_key, *state_end, *mark_key, *format_key, *compact_key;
    struct fed_tls *tls;
    struct etcd_endpoint endpoints[ETCD_MAX_ENDPOINTS];
    size_t n_endpoints, endpoint;
    /* connection */
    struct fed_grpc_channel *channel;
    bool up, told, told_up;
    uint32_t backoff_ms;
    uint64_t cluster;
    struct fed_timer reconnect, tick;
    struct fed_list requests;
    struct fed_err why; /* the last failure of the connection */
    /* watch */
    struct fed_grpc_call *watch;
    bool watching, asked_progress, with_prev;
    uint64_t probe_ms;
    uint64_t seen, n_seen; /* the last revision of which n_seen events were delivered */
    uint64_t skip;         /* events of `seen` that come again after a reconnect */
    uint64_t settled;
    struct fed_map index; /* key -> struct etcd_entry */
    /* load */
    enum etcd_phase phase;
    uint64_t load_rev, load_since_ms, pass, page_limit, compacted;
    struct fed_buf page_key;
    struct etcd_reload *reload;
    void (*live)(void *ud, const struct store_change *c);
    void (*history)(void *ud, const struct store_change *c);
    void (*loaded)(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err);
    void *load_ud;
    /* transactions */
    struct fed_list blocked, ready, sent, answered, refused; /* answered: by rising rev */
    struct fed_map keys;                                     /* key -> the last struct etcd_slot on it */
    size_t n_txns, n_sent;
    struct fed_task pump;
    /* consistent reads */
    struct fed_list syncs, syncs_sent, syncs_waiting;
    struct fed_task sync_task;
    bool sync_asked, check_back, marking;
    uint64_t sync_floor; /* settled when the request was sent */
    struct fed_timer nudge;
    /* compaction */
    /* when we looked, the revision then, i/compact's last change, what we asked to compact */
    uint64_t compact_ms, compact_rev, compact_mod, compact_done;
    bool closing, failed;
    uint64_t close_ms;
    struct fed_timer close_timer;
    void (*closed)(void *ud);
    void *closed_ud;
};

static inline struct etcd *etcd_self(struct store *s)
{
    return fed_container_of(s, struct etcd, base);
}

/* --- etcd_conn.c --- */
int etcd_endpoints_parse(struct etcd *e, const char *text, struct fed_err *err);
void etcd_connect(struct etcd *e);
/* Gives the connection up: requests fail, the watch ends, the next endpoint is tried after a while. */
void etcd_drop(struct etcd *e, const struct fed_err *why);
void etcd_disconnect(struct etcd *e); /* for good */
/* Only while up. cb once, never before it returned. */
void etcd_request(struct etcd *e, const char *path, struct fed_str message, etcd_answer_cb cb, void *ud);
void etcd_answers(struct etcd *e); /* something came: the connection is told to be up */
/* True: nothing was heard for so long that a sign of life should be asked for. */
bool etcd_conn_tick(struct etcd *e, uint64_t now);
/* False: the header is of another etcd, or of one that went back in time (at_least: settled when a consistent request was
 * sent; 0: no such request); the store has failed then. */
bool etcd_header_ok(struct etcd *e, const struct etcd_header *h, uint64_t at_least);
/* The code of a failed request; *again: it was not done, and may be tried once more. */
int etcd_code(int status, struct fed_str text, bool write, bool *again, struct fed_err *err);
int etcd_away(struct etcd *e, struct fed_err *err);        /* FED_E_UNAVAILABLE with the reason */
void etcd_fail(struct etcd *e, const struct fed_err *err); /* the store is done for */

/* --- etcd_mark.c --- */
/* Something waits for a revision that no event of ours may have. */
void etcd_nudge_later(struct etcd *e);

/* --- etcd_commit.c --- */
void etcd_commit(struct store *s, const struct store_op *ops, size_t n, store_commit_cb cb, void *ud);
void etcd_pump_soon(struct etcd *e);
void etcd_commit_settled(struct etcd *e);
void etcd_commit_tick(struct etcd *e, uint64_t now);
void etcd_commit_fail_all(struct etcd *e, int code, const struct fed_err *err);

/* --- etcd_sync.c --- */
void etcd_sync(struct store *s, void (*cb)(void *ud, int code, const struct fed_err *err), void *ud);
void etcd_sync_soon(struct etcd *e);
void etcd_sync_settled(struct etcd *e);
void etcd_sync_tick(struct etcd *e, uint64_t now);
void etcd_sync_fail_all(struct etcd *e, int code, const struct fed_err *err);
void etcd_compact(struct store *s, uint64_t rev, void (*cb)(void *ud, int code, const struct fed_err *err), void *ud);
void etcd_compact_tick(struct etcd *e, uint64_t now);
void etcd_compact_seen(struct etcd *e, struct fed_str value, uint64_t mod_rev);

/* --- etcd_watch.c --- */
void etcd_watch_open(struct etcd *e, uint64_t from);
void etcd_watch_close(struct etcd *e); /* the connection is gone or goes */
void etcd_watch_probe(struct etcd *e); /* asks for a sign of life */
void etcd_go_live(struct etcd *e);     /* state and history were told: the load is done */
void etcd_settle(struct etcd *e, uint64_t rev);
void etcd_index_put(struct etcd *e, struct fed_str key, uint64_t mod_rev, uint64_t create_rev);
void etcd_index_remove(struct etcd *e, struct fed_str key);
void etcd_index_release(struct etcd *e);

/* --- etcd_load.c --- */
void etcd_load(struct store *s, void (*live)(void *ud, const struct store_change *c),
               void (*history)(void *ud, const struct store_change *c),
               void (*done)(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err), void *ud);
void etcd_load_go_on(struct etcd *e); /* connected */
void etcd_load_fail(struct etcd *e, int code, const struct fed_err *err);
void etcd_reload_start(struct etcd *e);
void etcd_reload_release(struct etcd *e);

#endif
