/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_file.c: the file before it is a store: whose it is, where it lies, which format it has, how the last one who
 * had it left it; and a file that is to take its place.
 *
 *   PATH             the store             PATH.lock      held while it is open; says "open BOOT-ID" or "closed"
 *   PATH-wal         its log               PATH.restore   takes the store's place at the next start
 *   PATH.replaced-N  the store before the N-th restore
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/sqlite_db.h"

/* "HNSA": tells our file from any other SQLite database. */
#define APPLICATION_ID 0x484e5341
#define MAX_REPLACED   1000
#define RESTORE_STEP   1000000000ull

static const char schema_sql[] =
    "CREATE TABLE changes(id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, create_rev INTEGER NOT NULL,"
    " prev INTEGER, sum INTEGER, key BLOB NOT NULL, value BLOB);"
    "CREATE TABLE current(key BLOB PRIMARY KEY, rev INTEGER NOT NULL, create_rev INTEGER NOT NULL,"
    " id INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('rev',1),('compacted',0),('cursor',0);";

/* Format 1 did not say what a change replaced: its history is forgotten, its state stays. */
static const char from_1_sql[] =
    "ALTER TABLE changes ADD COLUMN prev INTEGER; ALTER TABLE changes ADD COLUMN sum INTEGER;"
    "INSERT OR REPLACE INTO meta SELECT 'rev', max((SELECT value FROM meta WHERE name='rev'),"
    " ifnull((SELECT rev FROM changes ORDER BY id DESC LIMIT 1),0));"
    "INSERT OR REPLACE INTO meta SELECT 'compacted', value FROM meta WHERE name='rev';"
    "INSERT OR REPLACE INTO meta SELECT 'cursor', ifnull(max(id),0) FROM changes;"
    "DELETE FROM changes WHERE NOT EXISTS (SELECT 1 FROM current c WHERE c.key=changes.key AND c.id=changes.id);";

/* --- where it lies --- */

bool store_file_is_network(uint64_t f_type)
{
    static const uint32_t network[] = {0x6969 /* NFS */,      0x517b /* SMB */,      0xff534d42 /* CIFS */,
                                       0xfe534d42 /* SMB2 */, 0x00c36400 /* Ceph */, 0x5346414f /* OpenAFS */,
                                       0x6b414653 /* kAFS */, 0x01021997 /* 9P */,   0x0bd00bd0 /* Lustre */,
                                       0x73757245 /* Coda */, 0x564c /* NCP */,      0x7461636f /* OCFS2 */,
                                       0x01161970 /* GFS2 */, 0x47504653 /* GPFS */, 0x19830326 /* BeeGFS */};
    for (size_t i = 0; i < FED_ARRAY_LEN(network); i++)
        if ((uint32_t)f_type == network[i])
            return true;
    return false;
}

/* Locks of network file systems are not to be trusted, and a lost fsync loses acknowledged writes. */
static int refuse_network(const char *path, const char *of, struct fed_err *err)
{
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return errno == ENOENT ? 0 : fed_err_set(err, FED_E_IO, "%s: %s", path, strerror(errno));
    if (store_file_is_network((uint64_t)fs.f_type))
        return fed_err_set(err, FED_E_UNSUPPORTED, "%s: is on a network file system; the store needs a local disk", of);
    return 0;
}

/* --- the lock, and what it says of the last holder --- */

static void read_boot_id(char out[64])
{
    struct fed_buf b;
    fed_buf_init(&b, 0);
    out[0] = '\0';
    if (fed_file_read("/proc/sys/kernel/random/boot_id", 4096, &b, NULL) == 0)
        snprintf(out, 64, "%.40s", fed_buf_z(&b));
    out[strcspn(out, "\n")] = '\0';
    fed_buf_release(&b);
}

static void say(struct store_db *db, const char *text)
{
    if (pwrite(db->lock_fd, text, strlen(text), 0) == (ssize_t)strlen(text) &&
        ftruncate(db->lock_fd, (off_t)strlen(text)) == 0)
        (void)fdatasync(db->lock_fd);
}

/* What a process leaves behind that was killed is whole: the kernel has its writes. A machine that went down may not
 * have them, whatever the disk had promised. */
static bool machine_crashed(struct store_db *db)
{
    char last[96] = "", now[64], open_now[80];
    ssize_t n = pread(db->lock_fd, last, sizeof(last) - 1, 0);
    read_boot_id(now);
    snprintf(open_now, sizeof(open_now), "open %s\n", now);
    bool crashed = n > 0 && strncmp(last, "open", 4) == 0 && strcmp(last, open_now) != 0;
    say(db, open_now);
    return crashed;
}

void store_file_leave(struct store_db *db)
{
    if (db->lock_fd < 0)
        return;
    if (db->conn) /* it was open, and is closed in order */
        say(db, "closed\n");
    close(db->lock_fd);
    db->lock_fd = -1;
}

static int take_lock(struct store_db *db, struct fed_err *err)
{
    char *lock = fed_asprintf("%s.lock", db->path);
    int code = 0;
    db->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (db->lock_fd < 0)
        code = fed_err_set(err, fed_code_from_errno(errno), "%s: %s", lock, strerror(errno));
    else if (flock(db->lock_fd, LOCK_EX | LOCK_NB) != 0)
        code = fed_err_set(err, FED_E_BUSY, "%s: the store is in use by another process", db->path);
    if (!code)
        code = refuse_network(lock, db->path, err);
    if (!code)
        code = refuse_network(db->path, db->path, err);
    free(lock);
    return code;
}

/* --- the format --- */

static int make_schema(struct store_db *db, const char *sql, struct fed_err *err)
{
    char *all = fed_asprintf("BEGIN IMMEDIATE;%sPRAGMA application_id=%d;PRAGMA user_version=%d;COMMIT;", sql,
                             APPLICATION_ID, STORE_SQLITE_FORMAT);
    int code = store_db_exec(db, all, err);
    if (code && !sqlite3_get_autocommit(db->conn))
        (void)store_db_exec(db, "ROLLBACK", NULL);
    free(all);
    return code;
}

int store_file_check_schema(struct store_db *db, bool may_make, struct fed_err *err)
{
    int64_t app = 0, format = 0, tables = 0;
    int code = store_db_query(db, "PRAGMA application_id", &app, err);
    if (!code)
        code = store_db_query(db, "PRAGMA user_version", &format, err);
    if (!code)
        code = store_db_query(db, "SELECT count(*) FROM sqlite_master", &tables, err);
    if (code)
        return code;
    if (tables == 0 && may_make)
        return make_schema(db, schema_sql, err);
    if (app != APPLICATION_ID)
        return fed_err_set(err, FED_E_CORRUPT, "%s: is a database, but not a store of Hansa", db->path);
    if (format > STORE_SQLITE_FORMAT)
        return fed_err_set(err, FED_E_VERSION, "%s: has format %lld, this version reads up to %d; use a newer version",
                           db->path, (long long)format, STORE_SQLITE_FORMAT);
    if (format == 1 && may_make)
        return make_schema(db, from_1_sql, err);
    if (format != STORE_SQLITE_FORMAT)
        return fed_err_set(err, FED_E_VERSION, "%s: has format %lld; start this version with it once to bring it to %d",
                           db->path, (long long)format, STORE_SQLITE_FORMAT);
    return 0;
}

/* --- files that are not open --- */

static int open_alone(struct store_db *db, const char *path, struct fed_err *err)
{
    memset(db, 0, sizeof(*db));
    db->lock_fd = -1;
    db->path = fed_strdup(path);
    if (access(path, R_OK) != 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    int code = 0;
    if (sqlite3_open_v2(path, &db->conn, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        code = store_db_error(db, path, err);
    if (!code)
        code = store_db_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL", err);
    if (!code)
        code = store_file_check_schema(db, false, err);
    if (!code)
        code = store_db_read_counters(db, err);
    return code;
}

static void close_alone(struct store_db *db)
{
    sqlite3_close(db->conn);
    free(db->path);
}

static int check_all(struct store_db *db, struct store_file_info *out,
                     void (*live)(void *ud, const struct store_change *c), void *ud, struct fed_err *err)
{
    sqlite3_stmt *stmt = NULL;
    uint64_t since = 0;
    int code = 0;
    if (sqlite3_prepare_v2(db->conn, "PRAGMA integrity_check(1)", -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        code = store_db_error(db, "integrity_check", err);
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
        code = fed_err_set(err, FED_E_CORRUPT, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    if (!code)
        code = store_db_load(db, live, NULL, 0, ud, &since, err);
    int64_t n = 0;
    if (!code)
        code = store_db_query(db, "SELECT count(*) FROM current", &n, err);
    *out = (struct store_file_info){.rev = db->rev, .compacted = db->compacted, .keys = (uint64_t)n};
    return code;
}

int store_sqlite_inspect(const char *path, struct store_file_info *out, struct fed_err *err)
{
    return store_sqlite_inspect_each(path, out, NULL, NULL, err);
}

int store_sqlite_inspect_each(const char *path, struct store_file_info *out,
                              void (*live)(void *ud, const struct store_change *c), void *ud, struct fed_err *err)
{
    struct store_db db;
    struct stat st;
    *out = (struct store_file_info){0};
    int code = open_alone(&db, path, err);
    if (!code)
        code = check_all(&db, out, live, ud, err);
    if (!code && stat(path, &st) == 0)
        out->bytes = (uint64_t)st.st_size;
    close_alone(&db);
    return code;
}

int store_sqlite_raise(const char *path, uint64_t rev, struct fed_err *err)
{
    struct store_db db;
    char sql[192];
    int code = open_alone(&db, path, err);
    if (!code && db.rev >= rev)
        code = fed_err_set(err, FED_E_INVALID, "%s: is at revision %" PRIu64 " already", path, db.rev);
    snprintf(sql, sizeof(sql),
             "BEGIN IMMEDIATE; INSERT OR REPLACE INTO meta VALUES('rev',%" PRIu64 "),('compacted',%" PRIu64 "); COMMIT",
             rev, rev);
    if (!code)
        code = store_db_exec(&db, sql, err);
    /* Nothing beside the file may be needed, and the file is on the disk. */
    if (!code)
        code = store_db_exec(&db, "PRAGMA journal_mode=DELETE", err);
    close_alone(&db);
    int fd = code ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (!code && (fd < 0 || fsync(fd) != 0))
        code = fed_err_set(err, FED_E_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return code;
}

static int sync_folder(const char *path, struct fed_err *err)
{
    char *dir = fed_strdup(path), *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir ? 1 : 0] = '\0';
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd >= 0 && fsync(fd) == 0 ? 0 : fed_err_set(err, FED_E_IO, "%s: %s", dir, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(dir);
    return code;
}

int store_sqlite_stage(const char *path, const char *with, struct fed_err *err)
{
    char *staged = fed_asprintf("%s.restore", path);
    int code = rename(with, staged) == 0
                   ? sync_folder(path, err)
                   : fed_err_set(err, FED_E_IO, "rename %s to %s: %s", with, staged, strerror(errno));
    free(staged);
    return code;
}

/* --- a restore that waits --- */

static int move(const char *from, const char *from_end, const char *to, struct fed_err *err)
{
    char *old = fed_asprintf("%s%s", from, from_end), *new = fed_asprintf("%s%s", to, from_end);
    int code = rename(old, new) == 0 || errno == ENOENT
                   ? 0
                   : fed_err_set(err, FED_E_IO, "rename %s to %s: %s", old, new, strerror(errno));
    free(old);
    free(new);
    return code;
}

/* The revision of the store that goes; 0 when it cannot be read any more. */
static uint64_t revision_of(const char *path)
{
    struct store_db db;
    uint64_t rev = open_alone(&db, path, NULL) == 0 ? db.rev : 0;
    close_alone(&db);
    return rev;
}

/* Whoever knew the store before must list again, and no revision may mean two things: the staged store goes on far above
 * whatever was given out. Where the old one cannot say, the clock does: no store writes a million changes a second. */
static int raise_staged(struct store_db *db, const char *staged, uint64_t now_ms, struct fed_err *err)
{
    struct store_file_info info;
    int code = store_sqlite_inspect(staged, &info, err);
    if (code)
        return fed_err_wrap(err, code, "%s cannot take the store's place; remove it or put a good backup there",
                            staged);
    uint64_t old = revision_of(db->path);
    if (old && info.rev > old && info.compacted == info.rev)
        return 0; /* raised by a start that was cut off */
    return store_sqlite_raise(staged, FED_MAX(info.rev, old ? old : now_ms * 1000) + RESTORE_STEP, err);
}

/* Each step may be the last before a crash: the log moves before its store, and a store that is moved away already has
 * left its place free. */
static int put_in_place(struct store_db *db, uint64_t now_ms, struct fed_err *err)
{
    char *staged = fed_asprintf("%s.restore", db->path), *keep = NULL;
    if (access(staged, F_OK) != 0) {
        free(staged);
        return 0;
    }
    int code = raise_staged(db, staged, now_ms, err);
    for (int i = 1; !code && i < MAX_REPLACED && access(db->path, F_OK) == 0; i++) {
        free(keep);
        keep = fed_asprintf("%s.replaced-%d", db->path, i);
        if (access(keep, F_OK) == 0)
            continue;
        code = move(db->path, "-wal", keep, err);
        if (!code)
            code = move(db->path, "", keep, err);
    }
    if (!code)
        code = sync_folder(db->path, err);
    if (!code && rename(staged, db->path) != 0)
        code = fed_err_set(err, FED_E_IO, "rename %s: %s", staged, strerror(errno));
    if (!code)
        code = sync_folder(db->path, err);
    free(staged);
    free(keep);
    return code;
}

/* SQLite would make the file readable for everybody; it has Secrets. The log beside it takes after it. */
static int make_private(const char *path, struct fed_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    close(fd);
    return 0;
}

int store_file_take(struct store_db *db, uint64_t now_ms, bool *crashed, struct fed_err *err)
{
    int code = take_lock(db, err);
    if (!code)
        code = put_in_place(db, now_ms, err);
    if (!code)
        code = make_private(db->path, err);
    if (!code)
        *crashed = machine_crashed(db);
    return code;
}
