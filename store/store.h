/* SPDX-License-Identifier: Apache-2.0 */
/* store.h: a revisioned key space (etcd's model) behind one contract: mem, sqlite, etcd.
 *
 * Model:      keys and values are bytes. Every committed transaction gets one revision, the next integer; it becomes
 *             the resourceVersion of the objects it wrote. The store keeps the latest value of each key and the history
 *             of changes since the compaction revision. Readers do not read from the store: they replay it once at
 *             start (load) and then follow on_change; lib/apiserver/cache holds the state.
 * Invariants: on_change delivers every change exactly once in revision order, our own and (etcd) others' (but see on_gap); a
 *             transaction's completion is called after its changes were delivered. Acknowledged means durable.
 *             Revision 0 does not exist: the empty store is at revision 1 (as etcd's first write gives 2).
 * Ownership:  values are fed_blobs, referenced by whoever keeps them. Keys are copied.
 * Threads:    every call and every callback on the env's thread; a backend may own a writer thread behind it.
 * Failure:    FED_E_CONFLICT (an expectation did not hold: nothing of the transaction was written), FED_E_FULL,
 *             FED_E_IO, FED_E_UNAVAILABLE (etcd away: not written), FED_E_TOO_MANY (queue full), FED_E_CLOSED. After a failed commit
 *             whose outcome is unknown (etcd time-out) FED_E_TIMEOUT: the change may still arrive by on_change.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/blob.h"
#include "base/env.h"
#include "base/err.h"
#include "base/str.h"

struct store;

struct store_change {
    struct fed_str key;     /* borrowed during the callback */
    struct fed_blob *value; /* borrowed; NULL: deleted */
    uint64_t rev;           /* of this change */
    uint64_t create_rev;    /* of the key's creation */
    /* In history only: the value that this change replaced and its revision. NULL when the change created the key, or
     * when what it replaced was told as history itself, or when the backend cannot tell. */
    struct fed_blob *before; /* borrowed */
    uint64_t before_rev;
};

struct store_handlers {
    void (*on_change)(void *ud, const struct store_change *change);
    /* The state is that of `rev`, though no change of ours has it: etcd's revision goes on with other keys too. May be
     * NULL. */
    void (*on_progress)(void *ud, uint64_t rev);
    /* etcd, when history was compacted that we had not seen: the changes up to `rev` that follow are the difference of two
     * states, told neither in their order nor each with its own revision, and what came and went between is not told.
     * May be NULL. */
    void (*on_gap)(void *ud, uint64_t rev);
    /* The store stopped for good (disk gone, lock lost): err says why. No callback follows. */
    void (*on_failed)(void *ud, const struct fed_err *err);
    void *ud;
};

#define STORE_ABSENT 0ull       /* expect: the key must not exist */
#define STORE_ANY    UINT64_MAX /* expect: whatever */
struct store_op {
    struct fed_str key;
    struct fed_blob *value; /* NULL: delete (deleting an absent key with STORE_ANY writes nothing) */
    uint64_t expect;        /* revision of the key's last change, STORE_ABSENT or STORE_ANY */
    bool check;             /* only the expectation: the key is not written (a fence) */
};
/* code 0: committed at rev. Conflict: `rev` is 0. */
typedef void (*store_commit_cb)(void *ud, int code, uint64_t rev, const struct fed_err *err);

struct store_ops {
    const char *name; /* "mem", "sqlite", "etcd" */
    /* Replays the store, on the env's thread before it returns or later (etcd): first every live key as a change with
     * its own rev, then each retained historic change after the compaction revision in revision order through
     * `history` (may be NULL), then done(code, current revision, compacted revision). on_change starts after done.
     * With history_max set, only the last changes are told, from the beginning of a transaction; the compacted revision
     * is then the one after which history was told, if that is later. */
    void (*load)(struct store *s, void (*live)(void *ud, const struct store_change *c),
                 void (*history)(void *ud, const struct store_change *c),
                 void (*done)(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err),
                 void *ud);
    /* Queues a transaction of n <= STORE_MAX_OPS (128) operations on distinct keys; keys and blobs are copied/referenced before it
     * returns. cb is called exactly once, never before commit returns, and after a conflict not before on_change has
     * shown what conflicts. Transactions on one key commit in the order submitted (mem, sqlite: all do). */
    void (*commit)(struct store *s, const struct store_op *ops, size_t n, store_commit_cb cb, void *ud);
    /* Calls cb once on_change has delivered every change that was acknowledged, by any process, before the call; code
     * FED_E_UNAVAILABLE, FED_E_TIMEOUT when that cannot be told. NULL: always so, as one process writes (mem, sqlite). */
    void (*sync)(struct store *s, void (*cb)(void *ud, int code, const struct fed_err *err), void *ud);
    /* Forgets history up to and including rev; values that were current at rev stay, so that the value before each
     * later change is still known. In slices: writes go on meanwhile. */
    void (*compact)(struct store *s, uint64_t rev, void (*cb)(void *ud, int code, const struct fed_err *err), void *ud);
    /* A consistent copy of the running store at `path` (must not exist), written in slices; not synced to the disk.
     * FED_E_UNSUPPORTED for etcd. */
    void (*backup)(struct store *s, const char *path, void (*cb)(void *ud, int code, const struct fed_err *err),
                   void *ud);
    /* Stops after what was queued is committed; then cb and the store is freed. */
    void (*close)(struct store *s, void (*cb)(void *ud), void *ud);
};
struct store { /* embedded first in each backend's own struct */
    const struct store_ops *ops;
    struct fed_env *env;
    struct store_handlers handlers;
    uint64_t history_max; /* set before load: at most about so many changes of history; 0: all */
};

/* The handlers are set before load. */
static inline void store_set_handlers(struct store *s, const struct store_handlers *h)
{
    s->handlers = *h;
}

/* In memory, nothing durable; commits are applied in a posted task. `latency_ms` delays them (tests). */
struct store *store_mem_new(struct fed_env *env, uint32_t latency_ms);

struct store_sqlite_conf {
    const char *path;      /* file; its folder must exist. Files beside it: -wal, .lock */
    uint64_t keep_changes; /* history kept by automatic compaction, in changes; 0: 20,000 */
    uint32_t queue_max;    /* transactions waiting; 0: 8,192 */
    bool check;            /* check every page at the start, not only after a crash of the machine */
};
/* Opens (making it when absent) and locks the file; a staged file takes its place first. FED_E_BUSY: another process has it; FED_E_CORRUPT;
 * FED_E_VERSION: written by a newer version; FED_E_UNSUPPORTED: a network file system. */
FED_MUST_USE int store_sqlite_open(struct fed_env *env, const struct store_sqlite_conf *conf, struct store **out,
                                   struct fed_err *err);

/* Files that no store has open: backups. Any thread; they block. */
struct store_file_info {
    uint64_t rev, compacted, keys, bytes;
};
/* Reads and checks everything in it. FED_E_CORRUPT, FED_E_VERSION, FED_E_NOT_FOUND. */
FED_MUST_USE int store_sqlite_inspect(const char *path, struct store_file_info *out, struct fed_err *err);
/* The same; live(ud, c) is told each value that is there (before the whole is known to be good). */
FED_MUST_USE int store_sqlite_inspect_each(const char *path, struct store_file_info *out,
                                           void (*live)(void *ud, const struct store_change *c), void *ud,
                                           struct fed_err *err);
/* Moves the file's revision up to rev and forgets its history, so that whoever knew a revision below lists again. */
FED_MUST_USE int store_sqlite_raise(const char *path, uint64_t rev, struct fed_err *err);
/* The file `with` (same folder, synced) becomes PATH.restore: it takes the place of the store at `path` when that is opened
 * next, which checks it, moves its revision far above any that was ever given out, and keeps what is there then as
 * PATH.replaced-N. */
FED_MUST_USE int store_sqlite_stage(const char *path, const char *with, struct fed_err *err);

#endif
