/* SPDX-License-Identifier: Apache-2.0 */
/* What only the SQLite store promises: damage is found, old files are taken over, the disk may fill up, the file stays
 * small, a staged file takes its place, and a kill -9 leaves each transaction whole or not at all. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/sqlite_db.h"
#include "store/store.h"
#include "support/test_env.h"

struct world {
    struct test_env env;
    char dir[64], path[96];
    struct store *store;
    size_t pending, n_live, n_history;
    int code;
    uint64_t rev, load_rev, since;
    struct fed_err err;
    struct {
        char key[32], before[32];
        bool deleted;
        uint64_t rev, before_rev;
    } history[64];
    uint64_t pair[2]; /* revisions of /pair/0 and /pair/1 as loaded */
    bool closed;
};

static void on_change(void *ud, const struct store_change *c)
{
    (void)ud;
    (void)c;
}
static void on_commit(void *ud, int code, uint64_t rev, const struct fed_err *err)
{
    struct world *w = ud;
    w->code = code;
    w->rev = rev;
    if (err)
        w->err = *err;
    w->pending--;
}
static void on_done(void *ud, int code, const struct fed_err *err)
{
    on_commit(ud, code, 0, err);
}
static bool settled(void *ud)
{
    return ((struct world *)ud)->pending == 0;
}
static void on_closed(void *ud)
{
    ((struct world *)ud)->closed = true;
}
static bool closed(void *ud)
{
    return ((struct world *)ud)->closed;
}
static void on_live(void *ud, const struct store_change *c)
{
    struct world *w = ud;
    w->n_live++;
    if (fed_str_starts(c->key, FED_STR("/pair/")))
        w->pair[c->key.p[6] - '0'] = c->rev;
}
static void on_history(void *ud, const struct store_change *c)
{
    struct world *w = ud;
    if (w->n_history < FED_ARRAY_LEN(w->history)) {
        snprintf(w->history[w->n_history].key, 32, "%.*s", FED_STR_ARG(c->key));
        snprintf(w->history[w->n_history].before, 32, "%.*s", FED_STR_ARG(fed_blob_str(c->before)));
        w->history[w->n_history].deleted = !c->value;
        w->history[w->n_history].rev = c->rev;
        w->history[w->n_history].before_rev = c->before_rev;
    }
    w->n_history++;
}
static void on_loaded(void *ud, int code, uint64_t rev, uint64_t since, const struct fed_err *err)
{
    struct world *w = ud;
    w->code = code;
    w->load_rev = rev;
    w->since = since;
    if (err)
        w->err = *err;
}

/* The code of open or load. */
static int try_open(struct world *w, uint64_t keep, uint64_t history_max)
{
    struct store_sqlite_conf conf = {.path = w->path, .keep_changes = keep};
    w->n_live = w->n_history = 0;
    int code = store_sqlite_open(&w->env.env, &conf, &w->store, &w->err);
    if (code) {
        w->store = NULL;
        return code;
    }
    struct store_handlers h = {.on_change = on_change, .ud = w};
    store_set_handlers(w->store, &h);
    w->store->history_max = history_max;
    w->store->ops->load(w->store, on_live, on_history, on_loaded, w);
    return w->code;
}
static void close_store(struct world *w)
{
    if (!w->store)
        return;
    w->closed = false;
    w->store->ops->close(w->store, on_closed, w);
    assert_true(test_env_run(&w->env, closed, w));
    w->store = NULL;
}
static void reopen(struct world *w, uint64_t keep, uint64_t history_max)
{
    close_store(w);
    if (try_open(w, keep, history_max))
        fail_msg("%s", w->err.text);
}
static void start(struct world *w, const char *key, const char *value, size_t n)
{
    struct store_op op = {.key = fed_str(key), .expect = STORE_ANY};
    if (value)
        op.value = fed_blob_new(fed_str_n(value, n));
    w->pending++;
    w->store->ops->commit(w->store, &op, 1, on_commit, w);
    fed_blob_unref(op.value);
}
static int put(struct world *w, const char *key, const char *value)
{
    start(w, key, value, value ? strlen(value) : 0);
    assert_true(test_env_run(&w->env, settled, w));
    return w->code;
}
static void sql(struct world *w, const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static int set_up(void **state)
{
    struct world *w = FED_NEW(struct world);
    test_env_init(&w->env, 1);
    snprintf(w->dir, sizeof(w->dir), "/tmp/hansa-sqlite-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/store.db", w->dir);
    reopen(w, 0, 0);
    *state = w;
    return 0;
}
static int tear_down(void **state)
{
    struct world *w = *state;
    close_store(w);
    fed_file_remove_tree(w->dir);
    test_env_release(&w->env);
    free(w);
    return 0;
}

/* --- history --- */

static void history_tells_what_was_replaced(void **state)
{
    struct world *w = *state;
    static const char *const steps[][2] = {{"/a", "1"}, {"/b", "1"}, {"/a", "2"}, {"/b", NULL},
                                           {"/a", "3"}, {"/b", "2"}, {"/a", NULL}};
    for (size_t i = 0; i < FED_ARRAY_LEN(steps); i++)
        assert_int_equal(put(w, steps[i][0], steps[i][1]), 0);
    reopen(w, 0, 4); /* the last four: what the first of them replaced is told */
    assert_int_equal(w->n_history, 4);
    assert_int_equal(w->since, 4);
    assert_string_equal(w->history[0].key, "/b");
    assert_true(w->history[0].deleted);
    assert_string_equal(w->history[0].before, "1");
    assert_int_equal(w->history[0].before_rev, 3);
    assert_string_equal(w->history[1].before, "2");
    assert_int_equal(w->history[1].before_rev, 4);
    assert_string_equal(w->history[2].before, ""); /* created */
    /* Compaction keeps what was current at its revision. */
    w->pending++;
    w->store->ops->compact(w->store, 4, on_done, w);
    assert_true(test_env_run(&w->env, settled, w));
    reopen(w, 0, 0);
    assert_int_equal(w->since, 4);
    assert_int_equal(w->n_history, 4);
    assert_string_equal(w->history[1].before, "2");
    assert_int_equal(w->n_live, 1);
}

/* --- files --- */

static void damage_is_found(void **state)
{
    struct world *w = *state;
    static const char *const harms[] = {
        "UPDATE changes SET value='x' WHERE rev=2",              /* a changed value */
        "DELETE FROM changes WHERE rev=3",                       /* a row is gone */
        "DELETE FROM current WHERE key=CAST('/b' AS BLOB)",      /* what is live is not known */
        "UPDATE current SET rev=9 WHERE key=CAST('/a' AS BLOB)", /* the index lies */
        "UPDATE meta SET value=99 WHERE name='rev'",             /* changes are missing at the end */
        "UPDATE changes SET sum=NULL, rev=8 WHERE rev=4",        /* a gap */
    };
    (void)put(w, "/a", "1");
    (void)put(w, "/b", "1");
    (void)put(w, "/c", "1");
    (void)put(w, "/a", "2");
    close_store(w);
    char *save = fed_asprintf("%s.copy", w->path);
    assert_int_equal(rename(w->path, save), 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(harms); i++) {
        struct fed_buf bytes = {0};
        char *cp = fed_asprintf("cp %s %s", save, w->path);
        assert_int_equal(system(cp), 0);
        sql(w, harms[i]);
        bool found = try_open(w, 0, 0) == FED_E_CORRUPT;
        /* A live key that is not in the index any more is history that begins with nothing: only that one is not told. */
        if (!found && i != 2)
            fail_msg("not found: %s", harms[i]);
        close_store(w);
        free(cp);
        fed_buf_release(&bytes);
    }
    free(save);
}

static void format_1_is_taken_over(void **state)
{
    struct world *w = *state;
    close_store(w);
    unlink(w->path);
    sql(w, "CREATE TABLE changes(id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, create_rev INTEGER NOT NULL,"
           " key BLOB NOT NULL, value BLOB);"
           "CREATE TABLE current(key BLOB PRIMARY KEY, rev INTEGER NOT NULL, create_rev INTEGER NOT NULL,"
           " id INTEGER NOT NULL) WITHOUT ROWID;"
           "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
           "INSERT INTO meta VALUES('rev',1),('compacted',0);"
           "INSERT INTO changes VALUES(1,2,2,CAST('/a' AS BLOB),'1'),(2,3,2,CAST('/a' AS BLOB),'2'),"
           "(3,4,4,CAST('/b' AS BLOB),'1'),(4,5,4,CAST('/b' AS BLOB),NULL);"
           "INSERT INTO current VALUES(CAST('/a' AS BLOB),3,2,2);"
           "PRAGMA application_id=1213092673; PRAGMA user_version=1;");
    reopen(w, 0, 0);
    assert_int_equal(w->n_live, 1);
    assert_int_equal(w->n_history, 0);
    assert_int_equal(w->load_rev, 5);
    assert_int_equal(w->since, 5);
    assert_int_equal(put(w, "/a", "3"), 0);
    assert_int_equal(w->rev, 6);
    reopen(w, 0, 0);
    assert_string_equal(w->history[0].before, "2");
}

static void network_file_systems(void **state)
{
    (void)state;
    assert_true(store_file_is_network(0x6969));
    assert_true(store_file_is_network(0xff534d42));
    assert_true(store_file_is_network((uint64_t)(int32_t)0xff534d42)); /* as a signed word */
    assert_false(store_file_is_network(0xef53));                       /* ext4 */
    assert_false(store_file_is_network(0x01021994));                   /* tmpfs */
}

static void a_staged_file_takes_the_place(void **state)
{
    struct world *w = *state;
    struct store_file_info info;
    struct fed_err err = {0};
    char *copy = fed_asprintf("%s.copy", w->path), *staged = fed_asprintf("%s.restore", w->path),
         *kept = fed_asprintf("%s.replaced-1", w->path);
    (void)put(w, "/a", "1");
    (void)put(w, "/b", "1");
    w->pending++;
    w->store->ops->backup(w->store, copy, on_done, w);
    assert_true(test_env_run(&w->env, settled, w));
    assert_int_equal(store_sqlite_inspect(copy, &info, &err), 0);
    assert_int_equal(info.keys, 2);
    assert_int_equal(info.rev, 3);
    for (int i = 0; i < 10; i++)
        (void)put(w, "/c", "1");
    assert_int_equal(store_sqlite_stage(w->path, copy, &err), 0);
    assert_int_equal(access(staged, F_OK), 0);
    reopen(w, 0, 0);
    assert_int_equal(w->n_live, 2);
    assert_int_equal(w->n_history, 0);
    assert_true(w->load_rev >= 13 + 1000000000ull);
    assert_int_equal(w->since, w->load_rev);
    assert_int_equal(access(staged, F_OK), -1);
    assert_int_equal(store_sqlite_inspect(kept, &info, &err), 0);
    assert_int_equal(info.keys, 3);
    assert_int_equal(put(w, "/a", "2"), 0);
    assert_int_equal(w->rev, w->load_rev + 1);
    /* A staged file that is none is not taken, and the store stays. */
    close_store(w);
    FILE *f = fopen(staged, "w");
    fputs("not a database at all, whatever its name may promise to the reader", f);
    fclose(f);
    assert_int_equal(try_open(w, 0, 0), FED_E_CORRUPT);
    assert_non_null(strstr(w->err.text, "cannot take the store's place"));
    unlink(staged);
    reopen(w, 0, 0);
    assert_int_equal(w->n_live, 2);
    free(copy);
    free(staged);
    free(kept);
}

/* --- size --- */

static void full_is_an_error_and_no_more(void **state)
{
    struct world *w = *state;
    struct rlimit old, small;
    static char big[200000];
    memset(big, 'x', sizeof(big));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(put(w, "/a", "1"), 0);
    small = old;
    small.rlim_cur = 400000;
    setrlimit(RLIMIT_FSIZE, &small);
    int n = 0;
    do {
        char key[16];
        snprintf(key, sizeof(key), "/big%d", n++);
        start(w, key, big, sizeof(big));
        assert_true(test_env_run(&w->env, settled, w));
    } while (w->code == 0 && n < 20);
    if (w->code != FED_E_FULL)
        fail_msg("%s", w->err.text);

    assert_non_null(strstr(w->err.text, w->path));
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(put(w, "/b", "1"), 0);
    reopen(w, 0, 0);
    assert_int_equal(w->n_live, 2 + (size_t)n - 1);
}

/* n writes of `size` bytes to `keys` keys in turn, `batch` at once; the greatest length of the file after a batch. */
static off_t write_many(struct world *w, int n, size_t size, int keys, int batch, const char *file)
{
    static char value[16000];
    struct stat st;
    off_t most = 0;
    assert_true(size <= sizeof(value));
    memset(value, 'v', size);
    for (int i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof(key), "/k%d", i % keys);
        start(w, key, value, size);
        if (i % batch == batch - 1) {
            assert_true(test_env_run(&w->env, settled, w));
            assert_int_equal(w->code, 0);
            assert_int_equal(stat(file, &st), 0);
            most = FED_MAX(most, st.st_size);
        }
    }
    return most;
}

static void the_file_stays_small(void **state)
{
    struct world *w = *state;
    struct stat st;
    reopen(w, 500, 0);
    off_t most = write_many(w, 20000, 1000, 100, 100, w->path); /* 20 MB go through a store that keeps 500 changes */
    close_store(w);
    stat(w->path, &st);
    off_t size = st.st_size;
    if (size > 4 << 20 || most > 4 << 20)
        fail_msg("%ld bytes, at most %ld", (long)size, (long)most);
    reopen(w, 500, 0);
    assert_int_equal(w->n_live, 100);
    assert_true(w->n_history >= 500 && w->n_history <= 1500);
    assert_int_equal(w->load_rev, 20001);
}

/* The log is copied into the file while writes go on, and begins anew when it has grown. */
static void the_log_begins_anew(void **state)
{
    struct world *w = *state;
    char log[128];
    snprintf(log, sizeof(log), "%s-wal", w->path);
    off_t most = write_many(w, 8000, 16000, 200, 50, log); /* 128 MB in batches of 50 */
    if (most > 120 << 20)
        fail_msg("a log of %ld bytes", (long)most);
    reopen(w, 0, 0);
    assert_int_equal(w->n_live, 200);
    assert_int_equal(w->load_rev, 8001);
}

/* Two connections of ours share the file; nobody else's gets in, and there is no index beside it. */
static void others_are_kept_out(void **state)
{
    struct world *w = *state;
    char index[128];
    sqlite3 *other = NULL;
    snprintf(index, sizeof(index), "%s-shm", w->path);
    start(w, "/k", "v", 1);
    assert_true(test_env_run(&w->env, settled, w));
    assert_int_equal(access(index, F_OK), -1);
    assert_int_equal(sqlite3_open(w->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "SELECT count(*) FROM current", NULL, NULL, NULL), SQLITE_BUSY);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
    sqlite3_close(other);
    start(w, "/k", "w", 1);
    assert_true(test_env_run(&w->env, settled, w));
    assert_int_equal(w->code, 0);
}

/* --- kill -9 --- */

static void child(struct world *w, int out)
{
    for (uint64_t i = 0;; i++) {
        struct store_op ops[2] = {{.key = FED_STR("/pair/0"), .expect = STORE_ANY},
                                  {.key = FED_STR("/pair/1"), .expect = STORE_ANY}};
        char text[32];
        snprintf(text, sizeof(text), "%llu", (unsigned long long)i);
        ops[0].value = ops[1].value = fed_blob_new(fed_str(text));
        w->pending++;
        w->store->ops->commit(w->store, ops, 2, on_commit, w);
        fed_blob_unref(ops[0].value);
        if (!test_env_run(&w->env, settled, w) || w->code ||
            write(out, &w->rev, sizeof(w->rev)) != sizeof(w->rev)) /* acknowledged */
            _exit(1);
    }
}

static void a_transaction_is_whole_after_a_kill(void **state)
{
    struct world *w = *state;
    close_store(w);
    for (int round = 0; round < 15; round++) {
        int pipes[2];
        uint64_t told = 0, rev = 0;
        assert_int_equal(pipe(pipes), 0);
        pid_t pid = fork();
        if (pid == 0) {
            if (try_open(w, 50, 0))
                _exit(2);
            child(w, pipes[1]);
        }
        close(pipes[1]);
        for (int i = 0; i < 20 + round * 13; i++)
            if (read(pipes[0], &rev, sizeof(rev)) == sizeof(rev))
                told = rev;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(pipes[0], &rev, sizeof(rev)) == sizeof(rev))
            told = rev;
        close(pipes[0]);
        if (try_open(w, 50, 0))
            fail_msg("%s", w->err.text);
        assert_true(told > 0 && w->load_rev >= told);
        assert_true(w->pair[0] == w->pair[1] && w->pair[0] == w->load_rev);
        close_store(w);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(history_tells_what_was_replaced),
        TEST(damage_is_found),
        TEST(format_1_is_taken_over),
        TEST(network_file_systems),
        TEST(a_staged_file_takes_the_place),
        TEST(full_is_an_error_and_no_more),
        TEST(the_file_stays_small),
        TEST(the_log_begins_anew),
        TEST(others_are_kept_out),
        TEST(a_transaction_is_whole_after_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
