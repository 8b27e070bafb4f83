/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"

/* "HNSA": tells our file from any other SQLite database. */
#define APPLICATION_ID 0x484e5341
#define SLICE_ROWS     2000

/* A value is written once, in the log of changes; `current` points to the latest change of each live key. */
static const char schema_sql[] =
    "CREATE TABLE changes(id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, create_rev INTEGER NOT NULL,"
    " key BLOB NOT NULL, value BLOB);"
    "CREATE TABLE current(key BLOB PRIMARY KEY, rev INTEGER NOT NULL, create_rev INTEGER NOT NULL,"
    " id INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('rev',1),('compacted',0);";

int store_db_error(struct store_db *db, const char *what, struct fed_err *err)
{
    int code = FED_E_IO;
    switch (sqlite3_errcode(db->conn) & 0xff) {
    case SQLITE_FULL:
        code = FED_E_FULL;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = FED_E_CORRUPT;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = FED_E_BUSY;
        break;
    default:
        break;
    }
    return fed_err_set(err, code, "%s: %s", what, sqlite3_errmsg(db->conn));
}

static int exec(struct store_db *db, const char *sql, struct fed_err *err)
{
    if (sqlite3_exec(db->conn, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_db_error(db, sql, err);
    return 0;
}

static int query_int(struct store_db *db, const char *sql, int64_t *out, struct fed_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int code = 0;
    *out = 0;
    if (sqlite3_prepare_v2(db->conn, sql, -1, &stmt, NULL) != SQLITE_OK)
        return store_db_error(db, sql, err);
    int step = sqlite3_step(stmt);
    if (step == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    else if (step != SQLITE_DONE)
        code = store_db_error(db, sql, err);
    sqlite3_finalize(stmt);
    return code;
}

/* Locks of network file systems are not to be trusted, and a lost fsync loses acknowledged writes. */
static int refuse_network_fs(const char *path, int fd, struct fed_err *err)
{
    static const long network[] = {
        0x6969 /* NFS */,     0x517b /* SMB */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */, 0x00c36400 /* Ceph */,
        0x5346414f /* AFS */, 0x01021997 /* 9P */};
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return fed_err_set(err, FED_E_IO, "%s: %s", path, strerror(errno));
    for (size_t i = 0; i < FED_ARRAY_LEN(network); i++)
        if ((unsigned long)fs.f_type == (unsigned long)network[i])
            return fed_err_set(err, FED_E_UNSUPPORTED, "%s: is on a network file system; the store needs a local disk",
                               path);
    return 0;
}

static int take_lock(struct store_db *db, const char *path, struct fed_err *err)
{
    char *lock = fed_asprintf("%s.lock", path);
    int code = 0;
    db->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (db->lock_fd < 0)
        code = fed_err_set(err, fed_code_from_errno(errno), "%s: %s", lock, strerror(errno));
    else if (flock(db->lock_fd, LOCK_EX | LOCK_NB) != 0)
        code = fed_err_set(err, FED_E_BUSY, "%s: the store is in use by another process", path);
    else
        code = refuse_network_fs(path, db->lock_fd, err);
    free(lock);
    return code;
}

static int check_or_make_schema(struct store_db *db, const char *path, struct fed_err *err)
{
    int64_t app = 0, format = 0, tables = 0;
    int code = query_int(db, "PRAGMA application_id", &app, err);
    if (!code)
        code = query_int(db, "PRAGMA user_version", &format, err);
    if (!code)
        code = query_int(db, "SELECT count(*) FROM sqlite_master", &tables, err);
    if (code)
        return code;
    if (tables == 0) {
        char sql[1024];
        snprintf(sql, sizeof(sql), "BEGIN IMMEDIATE;%sPRAGMA application_id=%d;PRAGMA user_version=%d;COMMIT;",
                 schema_sql, APPLICATION_ID, STORE_SQLITE_FORMAT);
        return exec(db, sql, err);
    }
    if (app != APPLICATION_ID)
        return fed_err_set(err, FED_E_CORRUPT, "%s: is a database, but not a store of Hansa", path);
    if (format > STORE_SQLITE_FORMAT)
        return fed_err_set(err, FED_E_VERSION, "%s: has format %lld, this version reads up to %d; use a newer version",
                           path, (long long)format, STORE_SQLITE_FORMAT);
    return 0;
}

static int prepare(struct store_db *db, sqlite3_stmt **stmt, const char *sql, struct fed_err *err)
{
    if (sqlite3_prepare_v3(db->conn, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) != SQLITE_OK)
        return store_db_error(db, sql, err);
    return 0;
}

static int prepare_all(struct store_db *db, struct fed_err *err)
{
    int code = prepare(db, &db->begin, "BEGIN IMMEDIATE", err);
    if (!code)
        code = prepare(db, &db->commit, "COMMIT", err);
    if (!code)
        code = prepare(db, &db->rollback, "ROLLBACK", err);
    if (!code)
        code = prepare(db, &db->find, "SELECT rev, create_rev FROM current WHERE key=?1", err);
    if (!code)
        code = prepare(db, &db->add, "INSERT INTO changes(rev,create_rev,key,value) VALUES(?1,?2,?3,?4)", err);
    if (!code)
        code = prepare(db, &db->put, "INSERT OR REPLACE INTO current VALUES(?1,?2,?3,?4)", err);
    if (!code)
        code = prepare(db, &db->del, "DELETE FROM current WHERE key=?1", err);
    return code;
}

static int read_counters(struct store_db *db, struct fed_err *err)
{
    int64_t rev = 0, last = 0, compacted = 0, rows = 0, live = 0;
    int code = query_int(db, "SELECT value FROM meta WHERE name='rev'", &rev, err);
    if (!code)
        code = query_int(db, "SELECT rev FROM changes ORDER BY id DESC LIMIT 1", &last, err);
    if (!code)
        code = query_int(db, "SELECT value FROM meta WHERE name='compacted'", &compacted, err);
    if (!code)
        code = query_int(db, "SELECT count(*) FROM changes", &rows, err);
    if (!code)
        code = query_int(db, "SELECT count(*) FROM current", &live, err);
    db->rev = (uint64_t)FED_MAX(rev, last);
    db->compacted = (uint64_t)compacted;
    db->n_superseded = rows > live ? (uint64_t)(rows - live) : 0;
    return code;
}

int store_db_open(struct store_db *db, const char *path, struct fed_err *err)
{
    memset(db, 0, sizeof(*db));
    db->lock_fd = -1;
    int code = take_lock(db, path, err);
    if (!code && sqlite3_open_v2(path, &db->conn, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                 NULL) != SQLITE_OK)
        code = store_db_error(db, path, err);
    if (!code) {
        sqlite3_extended_result_codes(db->conn, 0);
        code = exec(db,
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
                    "PRAGMA cache_size=-4096; PRAGMA wal_autocheckpoint=2000;",
                    err);
    }
    if (!code)
        code = check_or_make_schema(db, path, err);
    if (!code)
        code = prepare_all(db, err);
    if (!code)
        code = read_counters(db, err);
    if (code) {
        fed_err_wrap(err, code, "open store %s", path);
        store_db_close(db);
    }
    return code;
}

void store_db_close(struct store_db *db)
{
    sqlite3_stmt *stmts[] = {db->begin, db->commit, db->rollback, db->find, db->add, db->put, db->del};
    for (size_t i = 0; i < FED_ARRAY_LEN(stmts); i++)
        sqlite3_finalize(stmts[i]);
    sqlite3_close(db->conn);
    if (db->lock_fd >= 0)
        close(db->lock_fd);
    memset(db, 0, sizeof(*db));
    db->lock_fd = -1;
}

static struct fed_str column_blob(sqlite3_stmt *stmt, int i)
{
    const void *p = sqlite3_column_blob(stmt, i);
    return fed_str_n(p, (size_t)sqlite3_column_bytes(stmt, i));
}

/* Calls `each` for the rows (key, value, rev, create_rev) of sql. */
static int each_row(struct store_db *db, const char *sql, void (*each)(void *ud, const struct store_change *c),
                    void *ud, struct fed_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int step;
    if (sqlite3_prepare_v2(db->conn, sql, -1, &stmt, NULL) != SQLITE_OK)
        return store_db_error(db, sql, err);
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct store_change c = {.key = column_blob(stmt, 0),
                                 .rev = (uint64_t)sqlite3_column_int64(stmt, 2),
                                 .create_rev = (uint64_t)sqlite3_column_int64(stmt, 3)};
        if (sqlite3_column_type(stmt, 1) != SQLITE_NULL)
            c.value = fed_blob_new(column_blob(stmt, 1));
        each(ud, &c);
        fed_blob_unref(c.value);
    }
    sqlite3_finalize(stmt);
    return step == SQLITE_DONE ? 0 : store_db_error(db, "load", err);
}

int store_db_load(struct store_db *db, void (*live)(void *ud, const struct store_change *c),
                  void (*history)(void *ud, const struct store_change *c), void *ud, struct fed_err *err)
{
    int64_t lost = 0;
    /* A live key without its change would be data lost silently: refuse instead. */
    int code =
        query_int(db, "SELECT count(*) FROM current c LEFT JOIN changes h ON h.id=c.id WHERE h.id IS NULL", &lost, err);
    if (!code && lost)
        code = fed_err_set(err, FED_E_CORRUPT, "load store: %lld keys have lost their values", (long long)lost);
    if (!code)
        code = each_row(db,
                        "SELECT h.key, h.value, h.rev, h.create_rev FROM changes h"
                        " JOIN current c ON c.key=h.key AND c.id=h.id ORDER BY h.id",
                        live, ud, err);
    if (!code && history) {
        char sql[160];
        snprintf(sql, sizeof(sql), "SELECT key, value, rev, create_rev FROM changes WHERE rev>%llu ORDER BY id",
                 (unsigned long long)db->compacted);
        code = each_row(db, sql, history, ud, err);
    }
    return code;
}

static int find_current(struct store_db *db, struct fed_str key, uint64_t *rev, uint64_t *create_rev,
                        struct fed_err *err)
{
    int code = 0;
    *rev = *create_rev = 0;
    sqlite3_bind_blob(db->find, 1, key.p, (int)key.n, SQLITE_STATIC);
    int step = sqlite3_step(db->find);
    if (step == SQLITE_ROW) {
        *rev = (uint64_t)sqlite3_column_int64(db->find, 0);
        *create_rev = (uint64_t)sqlite3_column_int64(db->find, 1);
    } else if (step != SQLITE_DONE) {
        code = store_db_error(db, "find", err);
    }
    sqlite3_reset(db->find);
    return code;
}

static int run(struct store_db *db, sqlite3_stmt *stmt, const char *what, struct fed_err *err)
{
    int step = sqlite3_step(stmt);
    int code = step == SQLITE_DONE ? 0 : store_db_error(db, what, err);
    sqlite3_reset(stmt);
    return code;
}

static int write_op(struct store_db *db, const struct store_op_copy *op, uint64_t rev, uint64_t create_rev,
                    struct fed_err *err)
{
    struct fed_str value = op->value ? fed_blob_str(op->value) : (struct fed_str){0};
    sqlite3_bind_int64(db->add, 1, (int64_t)rev);
    sqlite3_bind_int64(db->add, 2, (int64_t)create_rev);
    sqlite3_bind_blob(db->add, 3, op->key.p, (int)op->key.n, SQLITE_STATIC);
    if (op->value)
        sqlite3_bind_blob(db->add, 4, value.n ? value.p : "", (int)value.n, SQLITE_STATIC);
    else
        sqlite3_bind_null(db->add, 4);
    int code = run(db, db->add, "insert", err);
    if (code)
        return code;
    db->n_superseded += !op->value ? 2 : create_rev != rev;
    if (!op->value) {
        sqlite3_bind_blob(db->del, 1, op->key.p, (int)op->key.n, SQLITE_STATIC);
        return run(db, db->del, "delete", err);
    }
    sqlite3_bind_blob(db->put, 1, op->key.p, (int)op->key.n, SQLITE_STATIC);
    sqlite3_bind_int64(db->put, 2, (int64_t)rev);
    sqlite3_bind_int64(db->put, 3, (int64_t)create_rev);
    sqlite3_bind_int64(db->put, 4, sqlite3_last_insert_rowid(db->conn));
    return run(db, db->put, "put", err);
}

/* Checks every expectation before the first write, so that a conflict leaves nothing to undo. */
static int run_txn(struct store_db *db, struct store_db_txn *t, uint64_t *next_rev, struct fed_err *err)
{
    bool any = false;
    t->create_revs = fed_calloc(t->ops.n, sizeof(*t->create_revs));
    for (size_t i = 0; i < t->ops.n; i++) {
        const struct store_op_copy *op = &t->ops.ops[i];
        uint64_t rev, create_rev;
        int code = find_current(db, op->key, &rev, &create_rev, err);
        if (code)
            return code;
        if (op->expect != STORE_ANY && op->expect != rev) {
            t->code = store_conflict(&t->err, op->key);
            return 0;
        }
        if (!op->check && (op->value || rev))
            t->create_revs[i] = rev ? create_rev : *next_rev;
        any |= t->create_revs[i] != 0;
    }
    if (!any) {
        t->rev = *next_rev - 1;
        return 0;
    }
    t->rev = (*next_rev)++;
    for (size_t i = 0; i < t->ops.n; i++) {
        if (!t->create_revs[i])
            continue;
        int code = write_op(db, &t->ops.ops[i], t->rev, t->create_revs[i], err);
        if (code)
            return code;
    }
    return 0;
}

int store_db_batch(struct store_db *db, struct store_db_txn **txns, size_t n, struct fed_err *err)
{
    uint64_t next_rev = db->rev + 1;
    int code = run(db, db->begin, "begin", err);
    for (size_t i = 0; i < n && !code; i++)
        code = run_txn(db, txns[i], &next_rev, err);
    if (!code)
        code = run(db, db->commit, "commit", err);
    if (!code) {
        db->rev = next_rev - 1;
        return 0;
    }
    if (!sqlite3_get_autocommit(db->conn))
        (void)run(db, db->rollback, "rollback", NULL);
    for (size_t i = 0; i < n; i++) {
        txns[i]->code = code;
        txns[i]->rev = 0;
        if (err)
            txns[i]->err = *err;
    }
    return code;
}

uint64_t store_db_compact_target(struct store_db *db, uint64_t keep)
{
    int64_t rev = 0;
    char sql[128];
    if (db->n_superseded <= keep + keep / 4)
        return 0;
    snprintf(sql, sizeof(sql), "SELECT rev FROM changes ORDER BY id DESC LIMIT 1 OFFSET %llu",
             (unsigned long long)keep);
    if (query_int(db, sql, &rev, NULL) != 0 || (uint64_t)rev <= db->compacted)
        return 0;
    return (uint64_t)rev;
}

int store_db_compact_slice(struct store_db *db, uint64_t rev, bool *more, struct fed_err *err)
{
    char sql[768];
    int64_t left = 0;
    rev = FED_MIN(rev, db->rev);
    /* The meta rows move first and in the same transaction: a crash in between loses history only. */
    snprintf(sql, sizeof(sql),
             "BEGIN IMMEDIATE;"
             "UPDATE meta SET value=max(value,%llu) WHERE name='compacted';"
             "UPDATE meta SET value=%llu WHERE name='rev';"
             "DELETE FROM changes WHERE id>%lld AND id<=%lld AND rev<=%llu AND NOT EXISTS"
             " (SELECT 1 FROM current c WHERE c.key=changes.key AND c.id=changes.id);"
             "COMMIT;",
             (unsigned long long)rev, (unsigned long long)db->rev, (long long)db->compact_cursor,
             (long long)db->compact_cursor + SLICE_ROWS, (unsigned long long)rev);
    int code = exec(db, sql, err);
    if (code) {
        if (!sqlite3_get_autocommit(db->conn))
            (void)exec(db, "ROLLBACK", NULL);
        return code;
    }
    db->compacted = FED_MAX(db->compacted, rev);
    db->n_superseded -= FED_MIN(db->n_superseded, (uint64_t)sqlite3_changes(db->conn));
    db->compact_cursor += SLICE_ROWS;
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM (SELECT rev FROM changes WHERE id>%lld ORDER BY id LIMIT 1) WHERE rev<=%llu",
             (long long)db->compact_cursor, (unsigned long long)rev);
    code = query_int(db, sql, &left, err);
    *more = left != 0;
    if (!*more)
        db->compact_cursor = 0;
    return code;
}
