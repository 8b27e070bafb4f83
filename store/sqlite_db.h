/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_db.h: the SQL of the sqlite store: schema, statements, one batch, compaction, backup. No threads, no queue:
 * sqlite.c owns those and calls this from one thread at a time. */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <sqlite3.h>

#include "store/ops_copy.h"

#define STORE_SQLITE_FORMAT 1

struct store_db {
    sqlite3 *conn;
    int lock_fd;
    uint64_t rev, compacted;
    uint64_t n_superseded;  /* rows of history that are not current: what compaction can delete */
    int64_t compact_cursor; /* row up to which the running compaction has come */
    sqlite3_stmt *begin, *commit, *rollback, *find, *add, *put, *del;
};

/* One transaction of a batch with its outcome. */
struct store_db_txn {
    struct store_ops_copy ops;
    int code;
    uint64_t rev;
    uint64_t *create_revs; /* of each op when committed; 0: the op changed nothing */
    struct fed_err err;
};

FED_MUST_USE int store_db_open(struct store_db *db, const char *path, struct fed_err *err);
void store_db_close(struct store_db *db);
FED_MUST_USE int store_db_load(struct store_db *db, void (*live)(void *ud, const struct store_change *c),
                               void (*history)(void *ud, const struct store_change *c), void *ud, struct fed_err *err);
/* Commits the transactions together, each all or nothing. A failure of the database itself fails all of them with the
 * same code and is returned (FED_E_FULL: try again later; FED_E_IO, FED_E_CORRUPT: the store is done for). */
FED_MUST_USE int store_db_batch(struct store_db *db, struct store_db_txn **txns, size_t n, struct fed_err *err);
/* Deletes history up to rev in slices; call until *more is false. */
FED_MUST_USE int store_db_compact_slice(struct store_db *db, uint64_t rev, bool *more, struct fed_err *err);
/* The revision that leaves about `keep` changes of history; 0: nothing to compact. */
uint64_t store_db_compact_target(struct store_db *db, uint64_t keep);
int store_db_error(struct store_db *db, const char *what, struct fed_err *err);

#endif
