/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_db.h"

#include <stdlib.h>

#include "base/mem.h"
#include "store/sqlite_vfs.h"

/* --- open and close --- */

static int prepare_all(struct store_db *db, struct fed_err *err)
{
    const struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } all[] = {
        {&db->begin, "BEGIN IMMEDIATE"},
        {&db->commit, "COMMIT"},
        {&db->rollback, "ROLLBACK"},
        {&db->find, "SELECT rev, create_rev, id FROM current WHERE key=?1"},
        {&db->add, "INSERT INTO changes(id,rev,create_rev,prev,sum,key,value) VALUES(?1,?2,?3,?4,?5,?6,?7)"},
        {&db->put, "INSERT OR REPLACE INTO current(key,rev,create_rev,id) VALUES(?1,?2,?3,?4)"},
        {&db->del, "DELETE FROM current WHERE key=?1"},
        {&db->drop_prev, "DELETE FROM changes WHERE id IN"
                         " (SELECT prev FROM changes WHERE id>?1 AND id<=?2 AND prev IS NOT NULL)"},
        {&db->drop_dead, "DELETE FROM changes WHERE id>?1 AND id<=?2 AND value IS NULL"},
        {&db->set_meta, "INSERT OR REPLACE INTO meta VALUES('rev',?1),('compacted',?2),('cursor',?3)"},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(all); i++)
        if (sqlite3_prepare_v3(db->conn, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT, all[i].stmt, NULL) != SQLITE_OK)
            return store_db_error(db, all[i].sql, err);
    return 0;
}

static int check_pages_of(struct store_db *db, struct fed_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int code = 0;
    if (sqlite3_prepare_v2(db->conn, "PRAGMA quick_check(1)", -1, &stmt, NULL) != SQLITE_OK)
        return store_db_error(db, "quick_check", err);
    if (sqlite3_step(stmt) != SQLITE_ROW)
        code = store_db_error(db, "quick_check", err);
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
        code = fed_err_set(err, FED_E_CORRUPT, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return code;
}

static int explain_damage(struct store_db *db, int code, struct fed_err *err)
{
    if (code != FED_E_CORRUPT)
        return fed_err_wrap(err, code, "open store %s", db->path);
    return fed_err_wrap(err, code, "open store %s: the file is damaged or no store; put a backup in its place",
                        db->path);
}

int store_db_open(struct store_db *db, const char *path, bool check_pages, uint64_t now_ms, struct fed_err *err)
{
    bool crashed = false;
    int64_t pages = 0;
    memset(db, 0, sizeof(*db));
    db->lock_fd = -1;
    db->path = fed_strdup(path);
    int code = store_file_take(db, now_ms, &crashed, err);
    if (!code && sqlite3_open_v2(path, &db->conn, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                 store_sqlite_vfs()) != SQLITE_OK)
        code = store_db_error(db, path, err);
    if (!code) {
        sqlite3_extended_result_codes(db->conn, 0);
        code = store_db_query(db, "PRAGMA page_count", &pages, err);
        /* Only while the file is empty: later it would be a write, and a full disk must not keep us from starting. */
        if (!code && pages == 0)
            code = store_db_exec(db, "PRAGMA auto_vacuum=INCREMENTAL", err);
        if (!code)
            code = store_db_exec(db,
                                 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
                                 "PRAGMA cache_size=-1024; PRAGMA wal_autocheckpoint=2000;"
                                 "PRAGMA journal_size_limit=67108864;",
                                 err);
    }
    if (!code)
        code = store_file_check_schema(db, true, err);
    if (!code && (check_pages || crashed))
        code = check_pages_of(db, err);
    if (!code)
        code = prepare_all(db, err);
    if (!code)
        code = store_db_read_counters(db, err);
    if (code) {
        (void)explain_damage(db, code, err);
        store_db_close(db);
    }
    return code;
}

void store_db_close(struct store_db *db)
{
    sqlite3_stmt *stmts[] = {db->begin, db->commit, db->rollback,  db->find,      db->add,
                             db->put,   db->del,    db->drop_prev, db->drop_dead, db->set_meta};
    store_db_backup_stop(db);
    for (size_t i = 0; i < FED_ARRAY_LEN(stmts); i++)
        sqlite3_finalize(stmts[i]);
    sqlite3_close(db->conn);
    store_file_leave(db);
    free(db->path);
    memset(db, 0, sizeof(*db));
    db->lock_fd = -1;
}

/* --- batches --- */

struct found {
    uint64_t rev, create_rev;
    int64_t id; /* 0: the key does not exist */
};

static int find_current(struct store_db *db, struct fed_str key, struct found *f, struct fed_err *err)
{
    int code = 0;
    *f = (struct found){0};
    sqlite3_bind_blob(db->find, 1, key.p, (int)key.n, SQLITE_STATIC);
    int step = sqlite3_step(db->find);
    if (step == SQLITE_ROW)
        *f = (struct found){(uint64_t)sqlite3_column_int64(db->find, 0), (uint64_t)sqlite3_column_int64(db->find, 1),
                            sqlite3_column_int64(db->find, 2)};
    else if (step != SQLITE_DONE)
        code = store_db_error(db, "find", err);
    sqlite3_reset(db->find);
    return code;
}

static int write_op(struct store_db *db, const struct store_op_copy *op, uint64_t rev, uint64_t create_rev, int64_t id,
                    int64_t prev, struct fed_err *err)
{
    struct fed_str value = op->value ? fed_blob_str(op->value) : (struct fed_str){0};
    sqlite3_bind_int64(db->add, 1, id);
    sqlite3_bind_int64(db->add, 2, (int64_t)rev);
    sqlite3_bind_int64(db->add, 3, (int64_t)create_rev);
    if (prev)
        sqlite3_bind_int64(db->add, 4, prev);
    else
        sqlite3_bind_null(db->add, 4);
    sqlite3_bind_int64(db->add, 5, store_db_sum(op->key, op->value ? &value : NULL, rev, create_rev));
    sqlite3_bind_blob(db->add, 6, op->key.p, (int)op->key.n, SQLITE_STATIC);
    if (op->value)
        sqlite3_bind_blob(db->add, 7, value.n ? value.p : "", (int)value.n, SQLITE_STATIC);
    else
        sqlite3_bind_null(db->add, 7);
    int code = store_db_run(db, db->add, "insert", err);
    if (code)
        return code;
    if (!op->value) {
        sqlite3_bind_blob(db->del, 1, op->key.p, (int)op->key.n, SQLITE_STATIC);
        return store_db_run(db, db->del, "delete", err);
    }
    sqlite3_bind_blob(db->put, 1, op->key.p, (int)op->key.n, SQLITE_STATIC);
    sqlite3_bind_int64(db->put, 2, (int64_t)rev);
    sqlite3_bind_int64(db->put, 3, (int64_t)create_rev);
    sqlite3_bind_int64(db->put, 4, id);
    return store_db_run(db, db->put, "put", err);
}

struct counters { /* what a batch moves on when it is committed */
    uint64_t next_rev;
    int64_t last_id;
};

/* Checks every expectation before the first write, so that a conflict leaves nothing to undo. */
static int run_txn(struct store_db *db, struct store_db_txn *t, struct counters *n, struct fed_err *err)
{
    bool any = false;
    struct found old[STORE_MAX_OPS];
    t->create_revs = fed_calloc(t->ops.n, sizeof(*t->create_revs));
    for (size_t i = 0; i < t->ops.n; i++) {
        const struct store_op_copy *op = &t->ops.ops[i];
        int code = find_current(db, op->key, &old[i], err);
        if (code)
            return code;
        if (op->expect != STORE_ANY && op->expect != old[i].rev) {
            t->code = store_conflict(&t->err, op->key);
            return 0;
        }
        if (!op->check && (op->value || old[i].id))
            t->create_revs[i] = old[i].id ? old[i].create_rev : n->next_rev;
        any |= t->create_revs[i] != 0;
    }
    if (!any) {
        t->rev = n->next_rev - 1;
        return 0;
    }
    t->rev = n->next_rev++;
    for (size_t i = 0; i < t->ops.n; i++) {
        if (!t->create_revs[i])
            continue;
        int code = write_op(db, &t->ops.ops[i], t->rev, t->create_revs[i], ++n->last_id, old[i].id, err);
        if (code)
            return code;
    }
    return 0;
}

static int be_careful(struct store_db *db, struct fed_err *err)
{
    int code = db->lazy ? store_db_exec(db, "PRAGMA synchronous=FULL", err) : 0;
    if (!code)
        db->lazy = false;
    return code;
}

int store_db_batch(struct store_db *db, struct store_db_txn **txns, size_t n, struct fed_err *err)
{
    struct counters next = {db->rev + 1, db->last_id};
    int code = be_careful(db, err);
    if (!code)
        code = store_db_run(db, db->begin, "begin", err);
    for (size_t i = 0; i < n && !code; i++)
        code = run_txn(db, txns[i], &next, err);
    if (!code)
        code = store_db_run(db, db->commit, "commit", err);
    if (!code) {
        db->rev = next.next_rev - 1;
        db->last_id = next.last_id;
        return 0;
    }
    if (!sqlite3_get_autocommit(db->conn))
        (void)store_db_run(db, db->rollback, "rollback", NULL);
    for (size_t i = 0; i < n; i++) {
        txns[i]->code = code;
        txns[i]->rev = 0;
        if (err)
            txns[i]->err = *err;
    }
    return code;
}
