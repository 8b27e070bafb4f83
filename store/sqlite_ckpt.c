/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_ckpt.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "store/sqlite_vfs.h"

/* In frames of the log: pages of 4 KiB. */
enum {
    STEP = 1000,      /* worth a pass */
    ROUND = 8000,     /* the log should begin anew */
    LITTLE = 128,     /* what the writer copies itself */
    PATIENCE = 16000, /* a writer that is faster than the disk copies all that is left, however much it is */
    LESS = 5,         /* nice */
    MOST = 24000,     /* and waits for the pass */
};

struct store_ckpt {
    sqlite3 *writer, *conn; /* conn: the thread's, once it runs */
    int frames;             /* in the log, as the last commit said */
    int next;               /* after a failure: not before so many */
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool busy, stop;
    int done; /* frames that the file has */
    int code; /* of the last pass: SQLite's, extended */
};

/* --- the thread --- */

static int copy(sqlite3 *conn, int *done)
{
    int frames = 0, copied = 0;
    int rc = sqlite3_wal_checkpoint_v2(conn, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    if (rc == SQLITE_BUSY) /* the other connection was looking at the index: later */
        return SQLITE_OK;
    if (rc != SQLITE_OK)
        return sqlite3_extended_errcode(conn);
    *done = copied;
    return SQLITE_OK;
}

static void *copier(void *arg)
{
    struct store_ckpt *c = arg;
    /* This thread's own, on Linux: behind those that somebody waits for. */
    (void)setpriority(PRIO_PROCESS, 0, FED_MIN(getpriority(PRIO_PROCESS, 0) + LESS, 19));
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!c->busy && !c->stop)
            pthread_cond_wait(&c->changed, &c->lock);
        if (c->stop)
            break;
        int done = c->done;
        pthread_mutex_unlock(&c->lock);
        int rc = copy(c->conn, &done);
        pthread_mutex_lock(&c->lock);
        c->code = rc;
        if (rc == SQLITE_OK)
            c->done = done;
        c->busy = false;
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* --- the writer --- */

static int committed(void *ud, sqlite3 *conn, const char *name, int frames)
{
    struct store_ckpt *c = ud;
    (void)conn, (void)name;
    if (frames < c->frames) /* it has begun anew */
        c->next = 0;
    c->frames = frames;
    return SQLITE_OK;
}

/* True: a pass is under way, or an earlier one has failed and it is not time to try again. */
static bool not_now(struct store_ckpt *c, int *code)
{
    pthread_mutex_lock(&c->lock);
    while (c->busy && c->frames >= MOST)
        pthread_cond_wait(&c->changed, &c->lock);
    bool busy = c->busy;
    *code = busy ? SQLITE_OK : c->code;
    if (!busy)
        c->code = SQLITE_OK;
    if (!busy && c->done > c->frames) /* told of a log that has begun anew since */
        c->done = 0;
    pthread_mutex_unlock(&c->lock);
    if (*code != SQLITE_OK)
        c->next = c->frames + STEP;
    return busy || c->frames < c->next;
}

static void start_pass(struct store_ckpt *c)
{
    pthread_mutex_lock(&c->lock);
    c->busy = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static int failure(int code, struct fed_err *err)
{
    if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC || (code & 0xff) == SQLITE_CORRUPT)
        return fed_err_set(err, FED_E_IO, "checkpoint: %s", sqlite3_errstr(code));
    return 0;
}

int store_ckpt_turn(struct store_ckpt *c, struct fed_err *err)
{
    int code;
    if (c->frames < STEP)
        return 0;
    if (not_now(c, &code))
        return failure(code, err);
    int left = c->frames - c->done;
    if (left > 0 && c->frames >= ROUND && (left <= LITTLE || c->frames >= PATIENCE)) {
        code = copy(c->writer, &c->done);
        if (code != SQLITE_OK)
            c->next = c->frames + STEP;
        return failure(code, err);
    }
    if (left >= STEP || (left > LITTLE && c->frames >= ROUND))
        start_pass(c);
    return 0;
}

/* --- life --- */

int store_ckpt_open(sqlite3 *writer, const char *path, struct store_ckpt **out, struct fed_err *err)
{
    struct store_ckpt *c = FED_NEW(struct store_ckpt);
    c->writer = writer;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    *out = NULL;
    /* The first question tells the connection that there is a log. */
    if (sqlite3_open_v2(path, &c->conn, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, store_sqlite_vfs()) != SQLITE_OK ||
        sqlite3_exec(c->conn,
                     "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=16;"
                     "SELECT count(*) FROM meta",
                     NULL, NULL, NULL) != SQLITE_OK) {
        int code = fed_err_set(err, FED_E_IO, "%s: second connection: %s", path, sqlite3_errmsg(c->conn));
        store_ckpt_close(c);
        return code;
    }
    if (pthread_create(&c->thread, NULL, copier, c) != 0) {
        store_ckpt_close(c);
        return fed_err_set(err, FED_E_INTERNAL, "store: cannot start the checkpoint thread");
    }
    c->runs = true;
    /* A look at the index takes the writers' lock for a moment, if the index was being written just then. */
    sqlite3_busy_timeout(writer, 10000);
    sqlite3_wal_hook(writer, committed, c);
    *out = c;
    return 0;
}

void store_ckpt_close(struct store_ckpt *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (c->runs) {
        pthread_join(c->thread, NULL);
        sqlite3_wal_hook(c->writer, NULL, NULL);
    }
    sqlite3_close(c->conn);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    free(c);
}
