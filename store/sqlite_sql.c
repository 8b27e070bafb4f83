/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_sql.c: what every part of the sqlite store stands on: one statement with its error told in our codes, the
 * checksum of a row, the numbers that the file keeps. */
#include <endian.h>
#include <errno.h>
#include <sys/statvfs.h>
#include <zlib.h>

#include "store/sqlite_db.h"

/* --- errors --- */

static bool is_no_room(int sys)
{
    return sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
}

/* What the system said last of the store's file or of its log: SQLite keeps it for each, and tells it of neither. */
static bool file_had_no_room(sqlite3 *conn, int which)
{
    sqlite3_file *file = NULL;
    int sys = 0;
    return sqlite3_file_control(conn, "main", which, &file) == SQLITE_OK && file && file->pMethods &&
           file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &sys) == SQLITE_OK && is_no_room(sys);
}

/* SQLite says "full" for ENOSPC only. A failed fsync is never full: what it should have kept may be lost already. */
static bool is_full(sqlite3 *conn)
{
    int ext = sqlite3_extended_errcode(conn);
    if ((ext & 0xff) == SQLITE_FULL)
        return true;
    if ((ext & 0xff) != SQLITE_IOERR || ext == SQLITE_IOERR_FSYNC || ext == SQLITE_IOERR_DIR_FSYNC)
        return false;
    return is_no_room(sqlite3_system_errno(conn)) || file_had_no_room(conn, SQLITE_FCNTL_JOURNAL_POINTER) ||
           file_had_no_room(conn, SQLITE_FCNTL_FILE_POINTER);
}

static int full_error(struct store_db *db, struct fed_err *err)
{
    struct statvfs fs;
    if (statvfs(db->path, &fs) != 0)
        return fed_err_set(err, FED_E_FULL, "the disk that holds %s is full; nothing was changed", db->path);
    return fed_err_set(
        err, FED_E_FULL, "the disk that holds %s is full (%llu KiB of %llu MiB free); nothing was changed", db->path,
        (unsigned long long)fs.f_bavail * fs.f_frsize >> 10, (unsigned long long)fs.f_blocks * fs.f_frsize >> 20);
}

int store_db_error(struct store_db *db, const char *what, struct fed_err *err)
{
    if (is_full(db->conn))
        return full_error(db, err);
    int code = FED_E_IO;
    switch (sqlite3_errcode(db->conn) & 0xff) {
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

/* --- statements --- */

int store_db_exec(struct store_db *db, const char *sql, struct fed_err *err)
{
    if (sqlite3_exec(db->conn, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_db_error(db, sql, err);
    return 0;
}

int store_db_query(struct store_db *db, const char *sql, int64_t *out, struct fed_err *err)
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

int store_db_run(struct store_db *db, sqlite3_stmt *stmt, const char *what, struct fed_err *err)
{
    int step = sqlite3_step(stmt);
    int code = step == SQLITE_DONE ? 0 : store_db_error(db, what, err);
    sqlite3_reset(stmt);
    return code;
}

/* --- rows and numbers --- */

uint32_t store_db_sum(struct fed_str key, const struct fed_str *value, uint64_t rev, uint64_t create_rev)
{
    uint64_t head[3] = {htole64(rev), htole64(create_rev), htole64(value ? value->n + 1 : 0)};
    uLong sum = crc32(0, (const Bytef *)head, sizeof(head));
    sum = crc32(sum, (const Bytef *)key.p, (uInt)key.n);
    if (value && value->n)
        sum = crc32(sum, (const Bytef *)value->p, (uInt)value->n);
    return (uint32_t)sum;
}

int store_db_read_counters(struct store_db *db, struct fed_err *err)
{
    int64_t rev = 0, last = 0, compacted = 0, id = 0;
    int code = store_db_query(db, "SELECT value FROM meta WHERE name='rev'", &rev, err);
    if (!code)
        code = store_db_query(db, "SELECT rev FROM changes ORDER BY id DESC LIMIT 1", &last, err);
    if (!code)
        code = store_db_query(db, "SELECT max(id) FROM changes", &id, err);
    if (!code)
        code = store_db_query(db, "SELECT value FROM meta WHERE name='compacted'", &compacted, err);
    if (!code)
        code = store_db_query(db, "SELECT value FROM meta WHERE name='cursor'", &db->cursor, err);
    db->rev = (uint64_t)FED_MAX(rev, last);
    db->compacted = (uint64_t)compacted;
    /* Rows that compaction deleted at the end of the log do not give their numbers back. */
    db->last_id = FED_MAX(id, db->cursor);
    return code;
}
