/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_db.h: the SQL of the sqlite store: the file, one batch, reading it back, compaction, backup. No threads, no
 * queue: sqlite.c owns those and calls this from one thread at a time.
 *
 * Model:      `changes` is the log: one row a change, with the value, the row that it replaced (prev) and a checksum;
 *             `current` points to the latest change of each live key. Rows are numbered without gaps. Compaction to a
 *             revision deletes what the changes up to there replaced, so the state at that revision, and with it the
 *             value before every later change, can always be told.
 * Invariants: revisions do not fall along the rows; above `compacted` there is a row for each; a live key's row is there.
 */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <sqlite3.h>

#include "store/ops_copy.h"

#define STORE_SQLITE_FORMAT 2

struct store_db {
    sqlite3 *conn;
    char *path;
    int lock_fd;
    uint64_t rev, compacted;
    int64_t last_id; /* of the log's rows */
    int64_t cursor;  /* row up to which compaction has come */
    bool vacuuming;
    bool lazy; /* commits do not wait for the disk; never while a batch is written */
    sqlite3_stmt *begin, *commit, *rollback, *find, *add, *put, *del, *drop_prev, *drop_dead, *set_meta;
    sqlite3 *copy; /* a backup under way */
    sqlite3_backup *backup;
    char *copy_path;
};

/* One transaction of a batch with its outcome. */
struct store_db_txn {
    struct store_ops_copy ops;
    int code;
    uint64_t rev;
    uint64_t *create_revs; /* of each op when committed; 0: the op changed nothing */
    struct fed_err err;
};

/* check_pages: let SQLite check each page, as after a crash of the machine. now_ms: wall clock, for a restore. */
FED_MUST_USE int store_db_open(struct store_db *db, const char *path, bool check_pages, uint64_t now_ms,
                               struct fed_err *err);
void store_db_close(struct store_db *db);
/* Live keys, then the last `max` changes of history (0: all there is); *since: the revision after which history was
 * told. Verifies what it reads: FED_E_CORRUPT. */
FED_MUST_USE int store_db_load(struct store_db *db, void (*live)(void *ud, const struct store_change *c),
                               void (*history)(void *ud, const struct store_change *c), uint64_t max, void *ud,
                               uint64_t *since, struct fed_err *err);
/* Commits the transactions together, each all or nothing. A failure of the database itself fails all of them with the
 * same code and is returned (FED_E_FULL: try again later; FED_E_IO, FED_E_CORRUPT: the store is done for). */
FED_MUST_USE int store_db_batch(struct store_db *db, struct store_db_txn **txns, size_t n, struct fed_err *err);

/* --- sqlite_care.c: what is done between batches, less than a millisecond at a time --- */
/* Forgets history up to rev in slices; call until *more is false. */
FED_MUST_USE int store_db_compact_slice(struct store_db *db, uint64_t rev, bool *more, struct fed_err *err);
/* The revision that leaves `keep` changes of history, when there are a quarter more; 0: nothing to compact. */
uint64_t store_db_compact_target(struct store_db *db, uint64_t keep);
/* Gives free pages back to the disk when a quarter of the file is free. */
FED_MUST_USE int store_db_vacuum_slice(struct store_db *db, bool *more, struct fed_err *err);
FED_MUST_USE int store_db_backup_start(struct store_db *db, const char *path, struct fed_err *err);
FED_MUST_USE int store_db_backup_slice(struct store_db *db, bool *more, struct fed_err *err);
void store_db_backup_stop(struct store_db *db); /* removes the unfinished copy; idempotent */

/* --- sqlite_file.c: the file before it is a store --- */
/* Locks the file, refuses a network file system, puts a staged restore in place. *crashed: the machine went down with
 * the store open. */
FED_MUST_USE int store_file_take(struct store_db *db, uint64_t now_ms, bool *crashed, struct fed_err *err);
/* The last word before the lock is let go: everything is on the disk. */
void store_file_leave(struct store_db *db);
bool store_file_is_network(uint64_t f_type);
FED_MUST_USE int store_file_check_schema(struct store_db *db, bool may_make, struct fed_err *err);

/* --- sqlite_load.c: rows and revisions --- */
/* The revision of the last row up to number `id`; 0: none. */
FED_MUST_USE int store_db_rev_of(struct store_db *db, int64_t id, uint64_t *rev, struct fed_err *err);
/* The number of the last row whose revision is <= rev; 0: none. */
FED_MUST_USE int store_db_row_of(struct store_db *db, uint64_t rev, int64_t *id, struct fed_err *err);

/* --- sqlite_sql.c: what all of these stand on --- */
int store_db_error(struct store_db *db, const char *what, struct fed_err *err);
int store_db_exec(struct store_db *db, const char *sql, struct fed_err *err);
FED_MUST_USE int store_db_query(struct store_db *db, const char *sql, int64_t *out, struct fed_err *err);
/* A prepared statement that gives no rows. */
int store_db_run(struct store_db *db, sqlite3_stmt *stmt, const char *what, struct fed_err *err);
FED_MUST_USE int store_db_read_counters(struct store_db *db, struct fed_err *err);
uint32_t store_db_sum(struct fed_str key, const struct fed_str *value, uint64_t rev, uint64_t create_rev);

#endif
