/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_care.c: what the store does between batches of writes, each step a transaction of less than a
 * millisecond: history is forgotten, free pages go back to the disk, a backup is copied. */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/sqlite_db.h"

#define SLICE_ROWS   100
#define BACKUP_PAGES 128
#define VACUUM_PAGES 64
#define VACUUM_FROM  1024 /* free pages worth the trouble: 4 MiB */

static int undo(struct store_db *db, int code)
{
    if (!sqlite3_get_autocommit(db->conn))
        (void)store_db_exec(db, "ROLLBACK", NULL);
    return code;
}

/* What would only be done again after a crash waits for no disk; the next batch's fsync covers it. */
static int be_lazy(struct store_db *db, struct fed_err *err)
{
    int code = db->lazy ? 0 : store_db_exec(db, "PRAGMA synchronous=NORMAL", err);
    db->lazy = true; /* also where it failed: the next batch sees to it */
    return code;
}

/* --- compaction --- */

uint64_t store_db_compact_target(struct store_db *db, uint64_t keep)
{
    uint64_t rev = 0;
    if ((uint64_t)(db->last_id - db->cursor) <= keep + keep / 4 ||
        store_db_rev_of(db, db->last_id - (int64_t)keep, &rev, NULL) != 0)
        return 0;
    return rev;
}

int store_db_compact_slice(struct store_db *db, uint64_t rev, bool *more, struct fed_err *err)
{
    int64_t to = 0;
    rev = FED_MIN(rev, db->rev);
    *more = false;
    int code = store_db_row_of(db, rev, &to, err);
    if (code)
        return code;
    int64_t end = FED_MIN(FED_MAX(to, db->cursor), db->cursor + SLICE_ROWS);
    uint64_t compacted = FED_MAX(db->compacted, rev);
    code = be_lazy(db, err);
    if (!code)
        code = store_db_run(db, db->begin, "begin", err);
    sqlite3_stmt *drops[] = {db->drop_prev, db->drop_dead};
    for (size_t i = 0; i < FED_ARRAY_LEN(drops) && !code && end > db->cursor; i++) {
        sqlite3_bind_int64(drops[i], 1, db->cursor);
        sqlite3_bind_int64(drops[i], 2, end);
        code = store_db_run(db, drops[i], "compact", err);
    }
    /* In the same transaction: a crash in between loses nothing and repeats nothing. */
    sqlite3_bind_int64(db->set_meta, 1, (int64_t)db->rev);
    sqlite3_bind_int64(db->set_meta, 2, (int64_t)compacted);
    sqlite3_bind_int64(db->set_meta, 3, end);
    if (!code)
        code = store_db_run(db, db->set_meta, "compact", err);
    if (!code)
        code = store_db_run(db, db->commit, "commit", err);
    if (code)
        return undo(db, code);
    db->compacted = compacted;
    db->cursor = end;
    *more = end < to;
    return 0;
}

/* --- free pages --- */

int store_db_vacuum_slice(struct store_db *db, bool *more, struct fed_err *err)
{
    char sql[64];
    int64_t pages = 0, spare = 0, mode = 0;
    *more = false;
    int code = store_db_query(db, "PRAGMA auto_vacuum", &mode, err);
    if (!code)
        code = store_db_query(db, "PRAGMA page_count", &pages, err);
    if (!code)
        code = store_db_query(db, "PRAGMA freelist_count", &spare, err);
    if (code || mode != 2 || spare < VACUUM_FROM || (!db->vacuuming && spare * 4 < pages)) {
        db->vacuuming = false;
        return code;
    }
    /* Half of the room stays for what comes next. */
    *more = db->vacuuming = spare * 8 > pages;
    if (!db->vacuuming)
        return 0;
    snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
    code = be_lazy(db, err);
    if (!code)
        code = undo(db, store_db_exec(db, sql, err));
    return code;
}

/* --- backup --- */

int store_db_backup_start(struct store_db *db, const char *path, struct fed_err *err)
{
    if (access(path, F_OK) == 0)
        return fed_err_set(err, FED_E_ALREADY_EXISTS, "backup %s: the file exists", path);
    db->copy_path = fed_strdup(path);
    if (sqlite3_open(path, &db->copy) != SQLITE_OK ||
        sqlite3_exec(db->copy, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF", NULL, NULL, NULL) != SQLITE_OK ||
        !(db->backup = sqlite3_backup_init(db->copy, "main", db->conn, "main"))) {
        int code = fed_err_set(err, FED_E_IO, "backup %s: %s", path, sqlite3_errmsg(db->copy));
        store_db_backup_stop(db);
        return code;
    }
    return 0;
}

int store_db_backup_slice(struct store_db *db, bool *more, struct fed_err *err)
{
    /* Pages that change meanwhile are written to the copy as well (same connection): it is the state at its end. */
    int rc = sqlite3_backup_step(db->backup, BACKUP_PAGES), code = 0;
    *more = rc == SQLITE_OK;
    if (*more)
        return 0;
    sqlite3_backup_finish(db->backup);
    db->backup = NULL;
    if (rc == SQLITE_FULL)
        code = fed_err_set(err, FED_E_FULL, "backup %s: the disk is full", db->copy_path);
    else if (rc != SQLITE_DONE)
        code = fed_err_set(err, FED_E_IO, "backup %s: %s", db->copy_path, sqlite3_errstr(rc));
    /* One plain file, without a log beside it. */
    else if (sqlite3_exec(db->copy, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) != SQLITE_OK)
        code = fed_err_set(err, FED_E_IO, "backup %s: %s", db->copy_path, sqlite3_errmsg(db->copy));
    if (!code) {
        sqlite3_close(db->copy);
        free(db->copy_path);
        db->copy = NULL;
        db->copy_path = NULL;
    }
    store_db_backup_stop(db);
    return code;
}

void store_db_backup_stop(struct store_db *db)
{
    sqlite3_backup_finish(db->backup);
    sqlite3_close(db->copy);
    if (db->copy_path)
        unlink(db->copy_path);
    free(db->copy_path);
    db->backup = NULL;
    db->copy = NULL;
    db->copy_path = NULL;
}
