/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_load.c: the store read back at start, and what must be true of it checked on the way: each row's checksum, a
 * row for each live key, revisions that do not fall and, above the compaction revision, have no gap. */
#include <inttypes.h>

#include "base/mem.h"
#include "store/sqlite_db.h"

struct row {
    int64_t id;
    struct store_change c;
};

static struct fed_str column_blob(sqlite3_stmt *stmt, int i)
{
    const void *p = sqlite3_column_blob(stmt, i);
    return fed_str_n(p, (size_t)sqlite3_column_bytes(stmt, i));
}

static int damaged(struct fed_err *err, int64_t id, const char *what)
{
    return fed_err_set(err, FED_E_CORRUPT, "row %" PRId64 " of the log %s", id, what);
}

/* Names the object, as far as the key can be believed. */
static int altered(struct fed_err *err, int64_t id, struct fed_str key)
{
    char name[160];
    size_t n = FED_MIN(key.n, sizeof name - 1);
    for (size_t i = 0; i < n; i++)
        name[i] = key.p[i] > ' ' && key.p[i] <= '~' ? key.p[i] : '?';
    name[n] = 0;
    return fed_err_set(err, FED_E_CORRUPT, "row %" PRId64 " of the log is not what was written: %s", id, name);
}

/* id, rev, create_rev, sum, key, value from column `at` on. *value: none for a deletion. */
static int read_row(sqlite3_stmt *stmt, int at, struct row *r, struct fed_str *value, bool *deleted,
                    struct fed_err *err)
{
    *r = (struct row){.id = sqlite3_column_int64(stmt, at)};
    r->c.rev = (uint64_t)sqlite3_column_int64(stmt, at + 1);
    r->c.create_rev = (uint64_t)sqlite3_column_int64(stmt, at + 2);
    r->c.key = column_blob(stmt, at + 4);
    *deleted = sqlite3_column_type(stmt, at + 5) == SQLITE_NULL;
    *value = column_blob(stmt, at + 5);
    if (sqlite3_column_type(stmt, at + 3) != SQLITE_NULL && /* rows of format 1 have no checksum */
        (uint32_t)sqlite3_column_int64(stmt, at + 3) !=
            store_db_sum(r->c.key, *deleted ? NULL : value, r->c.rev, r->c.create_rev))
        return altered(err, r->id, r->c.key);
    return 0;
}

/* --- live keys --- */

static int each_live(struct store_db *db, void (*live)(void *ud, const struct store_change *c), void *ud, int64_t *n,
                     struct fed_err *err)
{
    /* CROSS JOIN: in the order of the log, so that values are read once and in sequence. */
    static const char sql[] = "SELECT h.id, h.rev, h.create_rev, h.sum, h.key, h.value, c.rev, c.create_rev"
                              " FROM changes h CROSS JOIN current c ON c.key=h.key AND c.id=h.id ORDER BY h.id";
    sqlite3_stmt *stmt = NULL;
    uint64_t last = 0;
    int step = SQLITE_DONE, code = 0;
    if (sqlite3_prepare_v2(db->conn, sql, -1, &stmt, NULL) != SQLITE_OK)
        return store_db_error(db, sql, err);
    for (*n = 0; !code && (step = sqlite3_step(stmt)) == SQLITE_ROW; ++*n) {
        struct row r;
        struct fed_str value;
        bool deleted;
        code = read_row(stmt, 0, &r, &value, &deleted, err);
        if (!code && (deleted || r.c.rev < last || r.c.create_rev > r.c.rev || r.c.rev > db->rev ||
                      (uint64_t)sqlite3_column_int64(stmt, 6) != r.c.rev ||
                      (uint64_t)sqlite3_column_int64(stmt, 7) != r.c.create_rev))
            code = damaged(err, r.id, "does not agree with the index of keys");
        if (code)
            break;
        last = r.c.rev;
        if (live) {
            r.c.value = fed_blob_new(value);
            live(ud, &r.c);
            fed_blob_unref(r.c.value);
        }
    }
    if (!code && step != SQLITE_DONE)
        code = store_db_error(db, "load", err);
    sqlite3_finalize(stmt);
    return code;
}

/* --- history --- */

struct window {
    int64_t after; /* row */
    uint64_t rev;  /* of that row, or the compaction revision */
};

int store_db_rev_of(struct store_db *db, int64_t id, uint64_t *rev, struct fed_err *err)
{
    char sql[96];
    int64_t n = 0;
    snprintf(sql, sizeof(sql), "SELECT rev FROM changes WHERE id<=%" PRId64 " ORDER BY id DESC LIMIT 1", id);
    int code = store_db_query(db, sql, &n, err);
    *rev = (uint64_t)n;
    return code;
}

int store_db_row_of(struct store_db *db, uint64_t rev, int64_t *id, struct fed_err *err)
{
    int64_t lo = 0, hi = db->last_id;
    while (lo < hi) { /* the last row with a revision <= rev */
        int64_t mid = lo + (hi - lo + 1) / 2;
        uint64_t at = 0;
        int code = store_db_rev_of(db, mid, &at, err);
        if (code)
            return code;
        if (at <= rev)
            lo = mid;
        else
            hi = mid - 1;
    }
    *id = lo;
    return 0;
}

/* The last `max` changes, from the beginning of a transaction, none before the compaction revision. */
static int find_window(struct store_db *db, uint64_t max, struct window *w, struct fed_err *err)
{
    int code = 0;
    uint64_t rev = 0;
    if (max && (uint64_t)db->last_id > max)
        code = store_db_rev_of(db, db->last_id - (int64_t)max, &rev, err);
    w->rev = FED_MAX(rev, db->compacted);
    if (!code)
        code = store_db_row_of(db, w->rev, &w->after, err);
    return code;
}

static int tell_change(sqlite3_stmt *stmt, void (*history)(void *ud, const struct store_change *c), void *ud,
                       uint64_t *last, struct fed_err *err)
{
    struct row r, before;
    struct fed_str value, old;
    bool deleted, none;
    int code = read_row(stmt, 0, &r, &value, &deleted, err);
    if (!code && r.c.rev != *last && r.c.rev != *last + 1)
        code = damaged(err, r.id, "does not follow the one before it: changes are missing");
    if (!code && sqlite3_column_type(stmt, 6) != SQLITE_NULL) {
        code = read_row(stmt, 6, &before, &old, &none, err);
        if (!code && (none || !fed_str_eq(before.c.key, r.c.key)))
            code = damaged(err, r.id, "replaced another key's value");
        if (!code && history) {
            r.c.before = fed_blob_new(old);
            r.c.before_rev = before.c.rev;
        }
    }
    if (!code && history) {
        r.c.value = deleted ? NULL : fed_blob_new(value);
        history(ud, &r.c);
        fed_blob_unref(r.c.value);
    }
    fed_blob_unref(r.c.before);
    *last = r.c.rev;
    return code;
}

static int each_change(struct store_db *db, const struct window *w,
                       void (*history)(void *ud, const struct store_change *c), void *ud, struct fed_err *err)
{
    /* The value before is told where the window does not have it anyway. */
    static const char sql[] = "SELECT h.id, h.rev, h.create_rev, h.sum, h.key, h.value,"
                              " p.id, p.rev, p.create_rev, p.sum, p.key, p.value"
                              " FROM changes h LEFT JOIN changes p ON p.id=h.prev AND h.prev<=?1"
                              " WHERE h.id>?1 ORDER BY h.id";
    sqlite3_stmt *stmt = NULL;
    uint64_t last = FED_MAX(w->rev, 1); /* the empty store is at revision 1 */
    int step = SQLITE_DONE, code = 0;
    if (sqlite3_prepare_v2(db->conn, sql, -1, &stmt, NULL) != SQLITE_OK)
        return store_db_error(db, sql, err);
    sqlite3_bind_int64(stmt, 1, w->after);
    while (!code && (step = sqlite3_step(stmt)) == SQLITE_ROW)
        code = tell_change(stmt, history, ud, &last, err);
    if (!code && step != SQLITE_DONE)
        code = store_db_error(db, "load", err);
    sqlite3_finalize(stmt);
    if (!code && last != db->rev)
        code = fed_err_set(err, FED_E_CORRUPT, "the changes after revision %" PRIu64 " are missing", last);
    return code;
}

int store_db_load(struct store_db *db, void (*live)(void *ud, const struct store_change *c),
                  void (*history)(void *ud, const struct store_change *c), uint64_t max, void *ud, uint64_t *since,
                  struct fed_err *err)
{
    struct window w = {0};
    int64_t keys = 0, told = 0;
    int code = store_db_query(db, "SELECT count(*) FROM current", &keys, err);
    if (!code)
        code = each_live(db, live, ud, &told, err);
    if (!code && told != keys)
        code = fed_err_set(err, FED_E_CORRUPT, "%" PRId64 " keys have lost their values", keys - told);
    if (!code)
        code = find_window(db, max, &w, err);
    if (!code)
        code = each_change(db, &w, history, ud, err);
    *since = w.rev;
    return code ? fed_err_wrap(err, code, "load store %s", db->path) : 0;
}
