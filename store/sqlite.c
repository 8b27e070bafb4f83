/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite.c: the embedded durable store: one writer thread behind a bounded queue, group commit, one fsync a batch.
 *
 *  env's thread: commit -> queue ──> writer thread: batch -> SQLite -> done box ──> env's thread: on_change, callbacks
 *
 * Failure cases: a full disk fails the batch with FED_E_FULL and the store goes on; damage or an input/output error
 * fails it for good (on_failed), later commits get FED_E_CLOSED. A kill -9 at any point leaves SQLite's WAL, which
 * the next open replays: a batch is there whole or not at all.
 */
#include "store/store.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mailbox.h"
#include "base/mem.h"
#include "store/sqlite_ckpt.h"
#include "store/sqlite_db.h"

#define BATCH_MAX    512
#define KEEP_CHANGES 20000

enum job_kind { JOB_COMMIT, JOB_COMPACT, JOB_BACKUP };
struct job {
    struct fed_list link;
    enum job_kind kind;
    struct store_db_txn txn;
    store_commit_cb commit_cb;
    void (*cb)(void *ud, int code, const struct fed_err *err);
    void *ud;
    uint64_t compact_rev;
    char *path;
    int code;
    struct fed_err err;
};
struct sqlite_store {
    struct store base;
    struct store_db db; /* the writer thread's, once it runs */
    struct store_ckpt *ckpt;
    uint64_t keep_changes;
    uint32_t queue_max;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* guards queue, n_queue, stop */
    pthread_cond_t wake;
    struct fed_list queue;
    uint32_t n_queue;
    bool stop;
    struct fed_mailbox done;
    struct fed_wakeup wakeup;
    struct fed_list refused; /* jobs that failed before the queue, answered from a task */
    struct fed_task refused_task;
    bool failed, told, closing;
    struct fed_err failure;
    void (*closed)(void *ud);
    void *closed_ud;
};

static struct sqlite_store *self(struct store *s)
{
    return fed_container_of(s, struct sqlite_store, base);
}

/* --- writer thread --- */

static void fail(struct sqlite_store *s, const struct fed_err *err)
{
    pthread_mutex_lock(&s->lock);
    s->failed = true;
    s->failure = *err;
    pthread_mutex_unlock(&s->lock);
}

static void run_batch(struct sqlite_store *s, struct fed_list *batch, size_t n)
{
    struct store_db_txn *txns[BATCH_MAX];
    struct fed_err err = {0};
    size_t i = 0;
    FED_LIST_EACH(node, batch)
        txns[i++] = &FED_LIST_ENTRY(node, struct job, link)->txn;
    int code = store_db_batch(&s->db, txns, n, &err);
    if (code && code != FED_E_FULL)
        fail(s, &err);
}

static void finish(struct sqlite_store *s, struct fed_list *jobs)
{
    while (!fed_list_empty(jobs)) {
        struct fed_list *node = jobs->next;
        fed_list_remove(node);
        /* The box is as large as the queue, so it cannot be full. */
        FED_REQUIRE(fed_mailbox_put(&s->done, node));
    }
}

/* The front of the queue that can be done together: commits up to BATCH_MAX, or one other job. */
static size_t take_batch(struct sqlite_store *s, struct fed_list *batch)
{
    size_t n = 0;
    while (!fed_list_empty(&s->queue) && n < BATCH_MAX) {
        struct job *job = FED_LIST_ENTRY(s->queue.next, struct job, link);
        if (n && job->kind != JOB_COMMIT)
            break;
        fed_list_remove(&job->link);
        fed_list_push_back(batch, &job->link);
        s->n_queue--;
        n++;
        if (job->kind != JOB_COMMIT)
            break;
    }
    return n;
}

/* --- writer thread: what is done between batches, one slice at a time, so that no write waits long --- */

struct chores {
    struct fed_list compactions, backups; /* jobs that wait; the first one is under way */
    uint64_t target;                      /* of automatic compaction; 0: none is under way */
    bool backup_runs;
};

static void end_job(struct sqlite_store *s, struct job *job, int code)
{
    struct fed_list one;
    fed_list_init(&one);
    job->code = code;
    fed_list_remove(&job->link);
    fed_list_push_back(&one, &job->link);
    finish(s, &one);
}

static struct job *first_job(struct fed_list *jobs)
{
    return fed_list_empty(jobs) ? NULL : FED_LIST_ENTRY(jobs->next, struct job, link);
}

/* True: there is more to do. A failure of its own making (a full disk) ends the run; the next write begins another. */
static bool compact_some(struct sqlite_store *s, struct chores *w)
{
    bool more = false;
    struct job *job = first_job(&w->compactions);
    if (job) {
        int code = store_db_compact_slice(&s->db, job->compact_rev, &more, &job->err);
        if (code || !more)
            end_job(s, job, code);
        return true;
    }
    if (!w->target)
        w->target = store_db_compact_target(&s->db, s->keep_changes);
    if (!w->target)
        return store_db_vacuum_slice(&s->db, &more, NULL) == 0 && more;
    if (store_db_compact_slice(&s->db, w->target, &more, NULL) != 0 || !more) {
        w->target = 0;
        return more;
    }
    return true;
}

static bool backup_some(struct sqlite_store *s, struct chores *w)
{
    bool more = false;
    struct job *job = first_job(&w->backups);
    if (!job)
        return false;
    int code = w->backup_runs ? 0 : store_db_backup_start(&s->db, job->path, &job->err);
    w->backup_runs = true;
    if (!code)
        code = store_db_backup_slice(&s->db, &more, &job->err);
    if (code || !more) {
        w->backup_runs = false;
        end_job(s, job, code);
    }
    return true;
}

static void end_chores(struct sqlite_store *s, struct chores *w)
{
    struct job *job;
    while (first_job(&w->compactions))
        (void)compact_some(s, w);
    store_db_backup_stop(&s->db);
    while ((job = first_job(&w->backups)))
        end_job(s, job, fed_err_set(&job->err, FED_E_CLOSED, "the store is closed"));
}

static void *writer(void *arg)
{
    struct sqlite_store *s = arg;
    struct chores w = {0};
    bool more = true;
    fed_list_init(&w.compactions);
    fed_list_init(&w.backups);
    for (;;) {
        struct fed_list batch;
        fed_list_init(&batch);
        pthread_mutex_lock(&s->lock);
        while (fed_list_empty(&s->queue) && !s->stop && !more)
            pthread_cond_wait(&s->wake, &s->lock);
        size_t n = take_batch(s, &batch);
        bool stop = s->stop && n == 0;
        pthread_mutex_unlock(&s->lock);
        if (stop)
            break;
        struct job *first = n ? FED_LIST_ENTRY(batch.next, struct job, link) : NULL;
        if (first && first->kind != JOB_COMMIT) {
            fed_list_remove(&first->link);
            fed_list_push_back(first->kind == JOB_COMPACT ? &w.compactions : &w.backups, &first->link);
        } else if (first) {
            run_batch(s, &batch, n);
            finish(s, &batch);
        }
        more = compact_some(s, &w);
        more |= backup_some(s, &w);
        struct fed_err err = {0};
        if (store_ckpt_turn(s->ckpt, &err) != 0) {
            fail(s, &err);
            fed_wakeup_signal(&s->wakeup); /* nobody may be waiting for an answer */
        }
    }
    end_chores(s, &w);
    return NULL;
}

/* --- env's thread --- */

static void free_job(struct job *job)
{
    store_ops_release(&job->txn.ops);
    free(job->txn.create_revs);
    free(job->path);
    free(job);
}

static void deliver(struct sqlite_store *s, struct job *job)
{
    if (job->kind != JOB_COMMIT) {
        if (job->cb)
            job->cb(job->ud, job->code, &job->err);
        free_job(job);
        return;
    }
    struct store_db_txn *t = &job->txn;
    for (size_t i = 0; !t->code && i < t->ops.n; i++) {
        if (!t->create_revs[i])
            continue;
        struct store_change c = {
            .key = t->ops.ops[i].key, .value = t->ops.ops[i].value, .rev = t->rev, .create_rev = t->create_revs[i]};
        s->base.handlers.on_change(s->base.handlers.ud, &c);
    }
    job->commit_cb(job->ud, t->code, t->code ? 0 : t->rev, &t->err);
    free_job(job);
}

static void deliver_all(struct sqlite_store *s)
{
    struct fed_list jobs;
    fed_list_init(&jobs);
    fed_mailbox_take(&s->done, &jobs);
    while (!fed_list_empty(&jobs)) {
        struct fed_list *node = jobs.next;
        fed_list_remove(node);
        deliver(s, FED_LIST_ENTRY(node, struct job, link));
    }
    pthread_mutex_lock(&s->lock);
    bool tell = s->failed && !s->told;
    s->told |= tell;
    pthread_mutex_unlock(&s->lock);
    if (tell && s->base.handlers.on_failed)
        s->base.handlers.on_failed(s->base.handlers.ud, &s->failure);
}

static void on_wakeup(struct fed_wakeup *w)
{
    deliver_all(fed_container_of(w, struct sqlite_store, wakeup));
}

static void on_done_box(void *ud)
{
    fed_wakeup_signal(&((struct sqlite_store *)ud)->wakeup);
}

static void on_refused(struct fed_task *task)
{
    struct sqlite_store *s = fed_container_of(task, struct sqlite_store, refused_task);
    struct fed_list jobs;
    fed_list_init(&jobs);
    while (!fed_list_empty(&s->refused)) {
        struct fed_list *node = s->refused.next;
        fed_list_remove(node);
        fed_list_push_back(&jobs, node);
    }
    while (!fed_list_empty(&jobs)) {
        struct fed_list *node = jobs.next;
        fed_list_remove(node);
        deliver(s, FED_LIST_ENTRY(node, struct job, link));
    }
}

static void refuse(struct sqlite_store *s, struct job *job, int code, const char *why)
{
    job->code = job->txn.code = fed_err_set(&job->err, code, "%s", why);
    job->txn.err = job->err;
    fed_list_push_back(&s->refused, &job->link);
    fed_task_post(s->base.env, &s->refused_task, on_refused);
}

static void submit(struct sqlite_store *s, struct job *job)
{
    pthread_mutex_lock(&s->lock);
    bool failed = s->failed, full = s->n_queue >= s->queue_max;
    if (!failed && !full && !s->closing) {
        fed_list_push_back(&s->queue, &job->link);
        s->n_queue++;
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);
        return;
    }
    pthread_mutex_unlock(&s->lock);
    if (failed || s->closing)
        refuse(s, job, FED_E_CLOSED, "the store is closed");
    else
        refuse(s, job, FED_E_TOO_MANY, "too many writes are waiting for the store");
}

static void sqlite_load(struct store *base, void (*live)(void *ud, const struct store_change *c),
                        void (*history)(void *ud, const struct store_change *c),
                        void (*done)(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err),
                        void *ud)
{
    struct sqlite_store *s = self(base);
    struct fed_err err = {0};
    FED_REQUIRE(!s->running); /* load comes once, before the writer owns the connection */
    uint64_t since = 0;
    int code = store_db_load(&s->db, live, history, s->base.history_max, ud, &since, &err);
    uint64_t rev = s->db.rev;
    if (!code && pthread_create(&s->thread, NULL, writer, s) != 0)
        code = fed_err_set(&err, FED_E_INTERNAL, "store: cannot start the writer thread");
    s->running = code == 0;
    done(ud, code, rev, since, &err);
}

static void sqlite_commit(struct store *base, const struct store_op *ops, size_t n, store_commit_cb cb, void *ud)
{
    FED_REQUIRE(n > 0 && n <= STORE_MAX_OPS);
    struct job *job = FED_NEW(struct job);
    job->kind = JOB_COMMIT;
    store_ops_copy(&job->txn.ops, ops, n);
    job->commit_cb = cb;
    job->ud = ud;
    submit(self(base), job);
}

static void sqlite_compact(struct store *base, uint64_t rev, void (*cb)(void *ud, int code, const struct fed_err *err),
                           void *ud)
{
    struct job *job = FED_NEW(struct job);
    job->kind = JOB_COMPACT;
    job->compact_rev = rev;
    job->cb = cb;
    job->ud = ud;
    submit(self(base), job);
}

static void sqlite_backup(struct store *base, const char *path,
                          void (*cb)(void *ud, int code, const struct fed_err *err), void *ud)
{
    struct job *job = FED_NEW(struct job);
    job->kind = JOB_BACKUP;
    job->path = fed_strdup(path);
    job->cb = cb;
    job->ud = ud;
    submit(self(base), job);
}

static void on_closed(struct fed_task *task)
{
    struct sqlite_store *s = fed_container_of(task, struct sqlite_store, refused_task);
    void (*closed)(void *) = s->closed;
    void *ud = s->closed_ud;
    if (s->running)
        pthread_join(s->thread, NULL);
    deliver_all(s);
    on_refused(task);
    fed_wakeup_close(&s->wakeup);
    fed_mailbox_release(&s->done);
    store_ckpt_close(s->ckpt);
    store_db_close(&s->db);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    free(s);
    if (closed)
        closed(ud);
}

static void sqlite_close(struct store *base, void (*cb)(void *ud), void *ud)
{
    struct sqlite_store *s = self(base);
    s->closed = cb;
    s->closed_ud = ud;
    pthread_mutex_lock(&s->lock);
    s->stop = s->closing = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    fed_task_cancel(&s->refused_task);
    fed_task_post(s->base.env, &s->refused_task, on_closed);
}

static const struct store_ops sqlite_ops = {
    .name = "sqlite",
    .load = sqlite_load,
    .commit = sqlite_commit,
    .compact = sqlite_compact,
    .backup = sqlite_backup,
    .close = sqlite_close,
};

int store_sqlite_open(struct fed_env *env, const struct store_sqlite_conf *conf, struct store **out,
                      struct fed_err *err)
{
    struct sqlite_store *s = FED_NEW(struct sqlite_store);
    int code = store_db_open(&s->db, conf->path, conf->check, (uint64_t)fed_wall_ms(env), err);
    if (!code)
        code = store_ckpt_open(s->db.conn, conf->path, &s->ckpt, err);
    if (code) {
        store_db_close(&s->db);
        free(s);
        return code;
    }
    s->base.ops = &sqlite_ops;
    s->base.env = env;
    s->keep_changes = conf->keep_changes ? conf->keep_changes : KEEP_CHANGES;
    s->queue_max = conf->queue_max ? conf->queue_max : 8192;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    fed_list_init(&s->queue);
    fed_list_init(&s->refused);
    fed_mailbox_init(&s->done, SIZE_MAX, on_done_box, s);
    fed_wakeup_open(env, &s->wakeup, on_wakeup);
    *out = &s->base;
    return 0;
}
