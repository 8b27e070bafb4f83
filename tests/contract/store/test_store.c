/* SPDX-License-Identifier: Apache-2.0 */
/* The store's contract, run on every backend; on etcd where the program is installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "base/file.h"
#include "base/mem.h"
#include "net/loop.h"
#include "store/etcd.h"
#include "store/store.h"
#include "support/etcd_server.h"
#include "support/test_env.h"

struct seen {
    char key[64], value[64], before[64];
    bool deleted;
    uint64_t rev, create_rev;
};
struct world {
    struct test_env env;
    const char *backend;
    char dir[64], path[96];
    struct store *store;
    struct seen seen[4096];
    size_t n_seen;
    size_t pending, n_results;
    int codes[2048];
    uint64_t revs[2048];
    bool closed, failed;
    uint64_t base; /* revision of the empty store */
    unsigned mark; /* revisions that a start takes for itself */
    uint64_t history_max;
    /* etcd alone: real time */
    struct fed_loop *loop;
    struct fed_timer timer;
    bool (*until)(void *ud);
    bool came;
    uint64_t give_up_ms;
};

static void record(struct world *w, const struct store_change *c)
{
    struct seen *s = &w->seen[w->n_seen++];
    memset(s, 0, sizeof(*s));
    snprintf(s->key, sizeof(s->key), "%.*s", FED_STR_ARG(c->key));
    struct fed_str v = fed_blob_str(c->value);
    snprintf(s->value, sizeof(s->value), "%.*s", FED_STR_ARG(v));
    v = fed_blob_str(c->before);
    snprintf(s->before, sizeof(s->before), "%.*s", FED_STR_ARG(v));
    s->deleted = c->value == NULL;
    s->rev = c->rev;
    s->create_rev = c->create_rev;
}
static void on_change(void *ud, const struct store_change *c)
{
    record(ud, c);
}
static void on_failed(void *ud, const struct fed_err *err)
{
    (void)err;
    ((struct world *)ud)->failed = true;
}
static void on_commit(void *ud, int code, uint64_t rev, const struct fed_err *err)
{
    struct world *w = ud;
    (void)err;
    /* The change was delivered before the answer. */
    if (code == 0 && w->n_seen)
        assert_true(w->loop ? w->seen[w->n_seen - 1].rev >= rev : w->seen[w->n_seen - 1].rev <= rev);
    w->codes[w->n_results] = code;
    w->revs[w->n_results++] = rev;
    w->pending--;
}
static bool settled(void *ud)
{
    return ((struct world *)ud)->pending == 0;
}
static bool closed(void *ud)
{
    return ((struct world *)ud)->closed;
}
static void on_closed(void *ud)
{
    ((struct world *)ud)->closed = true;
}

static struct etcd_server etcd;

static struct world *world_of(void **state)
{
    if (!*state)
        skip(); /* no etcd on this machine */
    return *state;
}

static void look(struct fed_timer *t)
{
    struct world *w = fed_container_of(t, struct world, timer);
    w->came = w->until(w);
    if (w->came || fed_mono_ms(fed_loop_env(w->loop)) > w->give_up_ms)
        fed_loop_stop(w->loop);
    else
        fed_timer_start(fed_loop_env(w->loop), t, 1, look);
}
/* Until the condition holds. */
static bool run(struct world *w, bool (*until)(void *ud))
{
    if (!w->loop)
        return test_env_run(&w->env, until, w);
    w->until = until;
    w->give_up_ms = fed_mono_ms(fed_loop_env(w->loop)) + 60000;
    fed_timer_start(fed_loop_env(w->loop), &w->timer, 0, look);
    fed_loop_run(w->loop);
    return w->came;
}

struct loaded {
    struct world *w;
    struct seen live[512], history[4096];
    size_t n_live, n_history;
    uint64_t rev, compacted;
    int code;
    bool done;
};
static struct loaded *loading;
static bool loaded(void *ud)
{
    (void)ud;
    return loading->done;
}
static void load_into(struct seen *s, const struct store_change *c)
{
    static struct world scratch;
    scratch.n_seen = 0;
    record(&scratch, c);
    *s = scratch.seen[0];
}
static void on_live(void *ud, const struct store_change *c)
{
    struct loaded *l = ud;
    load_into(&l->live[l->n_live++], c);
}
static void on_history(void *ud, const struct store_change *c)
{
    struct loaded *l = ud;
    load_into(&l->history[l->n_history++], c);
}
static void on_loaded(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err)
{
    struct loaded *l = ud;
    (void)err;
    l->code = code;
    l->done = true;
    l->rev = rev;
    l->compacted = compacted;
}

static void open_store(struct world *w, struct loaded *l)
{
    struct fed_err err = {0};
    if (strcmp(w->backend, "mem") == 0) {
        if (!w->store)
            w->store = store_mem_new(&w->env.env, 0);
    } else if (w->loop) {
        struct store_etcd_conf conf = {.endpoints = etcd.endpoint, .prefix = w->path};
        if (store_etcd_open(w->loop, &conf, &w->store, &err) != 0)
            fail_msg("%s", err.text);
    } else {
        struct store_sqlite_conf conf = {.path = w->path};
        if (store_sqlite_open(&w->env.env, &conf, &w->store, &err) != 0)
            fail_msg("%s", err.text);
    }
    struct store_handlers h = {.on_change = on_change, .on_failed = on_failed, .ud = w};
    store_set_handlers(w->store, &h);
    w->store->history_max = w->history_max;
    memset(l, 0, sizeof(*l));
    loading = l;
    w->store->ops->load(w->store, on_live, on_history, on_loaded, l);
    assert_true(run(w, loaded));
    assert_int_equal(l->code, 0);
}
static void close_store(struct world *w)
{
    w->closed = false;
    w->store->ops->close(w->store, on_closed, w);
    assert_true(run(w, closed));
    w->store = NULL;
}

static struct fed_blob *blob(const char *z)
{
    return fed_blob_new(fed_str(z));
}
/* Starts one write; value NULL deletes. */
static void start(struct world *w, const char *key, const char *value, uint64_t expect)
{
    struct store_op op = {.key = fed_str(key), .value = value ? blob(value) : NULL, .expect = expect};
    w->pending++;
    w->store->ops->commit(w->store, &op, 1, on_commit, w);
    fed_blob_unref(op.value);
}
static int write_one(struct world *w, const char *key, const char *value, uint64_t expect)
{
    start(w, key, value, expect);
    assert_true(run(w, settled));
    return w->codes[w->n_results - 1];
}
static uint64_t last_rev(const struct world *w)
{
    return w->revs[w->n_results - 1];
}

static void test_create_update_delete(void **state)
{
    struct world *w = world_of(state);
    assert_int_equal(write_one(w, "/a", "1", STORE_ABSENT), 0);
    uint64_t r1 = last_rev(w);
    assert_int_equal(r1, w->base + 2);
    assert_int_equal(write_one(w, "/a", "2", r1), 0);
    assert_int_equal(last_rev(w), w->base + 3);
    assert_int_equal(w->seen[1].create_rev, w->base + 2);
    assert_int_equal(write_one(w, "/a", NULL, w->base + 3), 0);
    assert_true(w->seen[2].deleted);
    assert_int_equal(w->seen[2].rev, w->base + 4);
    assert_int_equal(w->seen[2].create_rev, w->base + 2);
    assert_int_equal(write_one(w, "/a", "again", STORE_ABSENT), 0);
    assert_int_equal(w->seen[3].create_rev, w->base + 5);
    assert_int_equal(w->n_seen, 4);
}

static void test_conflicts_write_nothing(void **state)
{
    struct world *w = world_of(state);
    assert_int_equal(write_one(w, "/a", "1", STORE_ABSENT), 0);
    uint64_t rev = last_rev(w);
    assert_int_equal(write_one(w, "/a", "x", STORE_ABSENT), FED_E_CONFLICT);
    assert_int_equal(last_rev(w), 0);
    assert_int_equal(write_one(w, "/a", "x", rev + 1), FED_E_CONFLICT);
    assert_int_equal(write_one(w, "/b", "x", rev), FED_E_CONFLICT);
    assert_int_equal(write_one(w, "/a", NULL, rev + 7), FED_E_CONFLICT);
    assert_int_equal(w->n_seen, 1);
    assert_int_equal(write_one(w, "/none", NULL, STORE_ANY), 0); /* nothing to delete: no revision is used */
    assert_int_equal(last_rev(w), rev);
    assert_int_equal(w->n_seen, 1);
}

static void test_transaction_is_all_or_nothing(void **state)
{
    struct world *w = world_of(state);
    assert_int_equal(write_one(w, "/a", "1", STORE_ABSENT), 0);
    struct store_op ops[2] = {{.key = FED_STR("/b"), .value = blob("1"), .expect = STORE_ABSENT},
                              {.key = FED_STR("/a"), .value = blob("2"), .expect = w->base + 99}};
    w->pending++;
    w->store->ops->commit(w->store, ops, 2, on_commit, w);
    assert_true(run(w, settled));
    assert_int_equal(w->codes[w->n_results - 1], FED_E_CONFLICT);
    assert_int_equal(w->n_seen, 1);
    ops[1].expect = w->base + 2;
    w->pending++;
    w->store->ops->commit(w->store, ops, 2, on_commit, w);
    assert_true(run(w, settled));
    assert_int_equal(w->codes[w->n_results - 1], 0);
    assert_int_equal(w->seen[1].rev, w->seen[2].rev);
    fed_blob_unref(ops[0].value);
    fed_blob_unref(ops[1].value);
}

/* One revision each; in the order submitted on each key (on etcd others may overtake). */
static void test_many_in_flight_keep_their_order(void **state)
{
    struct world *w = world_of(state);
    int last[10];
    for (int i = 0; i < 1000; i++) {
        char key[16], value[16];
        snprintf(key, sizeof(key), "/k%d", i % 10);
        snprintf(value, sizeof(value), "%d", i);
        start(w, key, value, i < 10 ? STORE_ABSENT : STORE_ANY);
    }
    assert_true(run(w, settled));
    assert_int_equal(w->n_seen, 1000);
    for (int i = 0; i < 10; i++)
        last[i] = i - 10;
    for (int i = 0; i < 1000; i++) {
        int value = (int)strtol(w->seen[i].value, NULL, 10);
        assert_int_equal(w->codes[i], 0);
        assert_int_equal(w->seen[i].rev, w->base + (uint64_t)i + 2); /* contiguous */
        assert_int_equal(value, last[value % 10] + 10);
        last[value % 10] = value;
        if (!w->loop)
            assert_int_equal(value, i);
    }
}

/* An expectation without a write holds the transaction back, and leaves its key alone. */
static void test_check_fences(void **state)
{
    struct world *w = world_of(state);
    struct store_op ops[2] = {{.key = FED_STR("/b"), .value = blob("1"), .expect = STORE_ANY},
                              {.key = FED_STR("/fence"), .check = true}};
    assert_int_equal(write_one(w, "/fence", "1", STORE_ABSENT), 0);
    ops[1].expect = last_rev(w);
    for (int i = 0; i < 2; i++) {
        w->pending++;
        w->store->ops->commit(w->store, ops, 2, on_commit, w);
        assert_true(run(w, settled));
        assert_int_equal(w->codes[w->n_results - 1], i == 0 ? 0 : FED_E_CONFLICT);
        assert_int_equal(w->n_seen, 2 + i);
        if (i == 0)
            assert_int_equal(write_one(w, "/fence", "2", STORE_ANY), 0);
    }
    assert_string_equal(w->seen[1].key, "/b");
    fed_blob_unref(ops[0].value);
}

/* Of ten racing writers with the same expectation exactly one wins. */
static void test_race_has_one_winner(void **state)
{
    struct world *w = world_of(state);
    int won = 0;
    assert_int_equal(write_one(w, "/a", "0", STORE_ABSENT), 0);
    for (int i = 0; i < 10; i++)
        start(w, "/a", "x", w->base + 2);
    assert_true(run(w, settled));
    for (size_t i = 1; i <= 10; i++)
        won += w->codes[i] == 0;
    assert_int_equal(won, 1);
}

static void test_reload_and_compaction(void **state)
{
    struct world *w = world_of(state);
    static struct loaded l;
    assert_int_equal(write_one(w, "/a", "1", STORE_ABSENT), 0);
    assert_int_equal(write_one(w, "/a", "2", w->base + 2), 0);
    assert_int_equal(write_one(w, "/b", "1", STORE_ABSENT), 0);
    assert_int_equal(write_one(w, "/b", NULL, w->base + 4), 0);
    assert_int_equal(write_one(w, "/c", "1", STORE_ABSENT), 0);
    if (strcmp(w->backend, "mem") != 0)
        close_store(w);
    open_store(w, &l);
    assert_int_equal(l.rev, w->base + 6 + w->mark);
    assert_int_equal(l.n_live, 2);
    assert_int_equal(l.n_history, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(l.history[i].rev, w->base + i + 2);
    assert_true(l.history[3].deleted);
    assert_int_equal(write_one(w, "/d", "1", STORE_ABSENT), 0);
    assert_int_equal(last_rev(w), w->base + 7 + w->mark);
    w->store->ops->compact(w->store, w->base + 5, NULL, NULL);
    assert_int_equal(write_one(w, "/d", NULL, w->base + 7 + w->mark), 0);
    if (strcmp(w->backend, "mem") != 0)
        close_store(w);
    open_store(w, &l);
    assert_int_equal(l.rev, w->base + 8 + 2 * w->mark);
    assert_int_equal(l.compacted, w->base + 5);
    assert_int_equal(l.n_live, 2);
    assert_int_equal(l.n_history, 3);
    assert_int_equal(l.history[0].rev, w->base + 6);
}

/* A start with much history behind it reads no more of it than it keeps. */
static void test_only_the_last_history(void **state)
{
    struct world *w = world_of(state);
    static struct loaded l;
    static struct store_op ops[2] = {{.key = FED_STR_INIT("/c"), .expect = STORE_ANY},
                                     {.key = FED_STR_INIT("/d"), .expect = STORE_ANY}};
    assert_int_equal(write_one(w, "/a", "1", STORE_ABSENT), 0);
    assert_int_equal(write_one(w, "/b", "1", STORE_ABSENT), 0);
    assert_int_equal(write_one(w, "/a", "2", w->base + 2), 0);
    assert_int_equal(write_one(w, "/b", NULL, w->base + 3), 0);
    assert_int_equal(write_one(w, "/a", "3", w->base + 4), 0);
    w->history_max = 2;
    if (strcmp(w->backend, "mem") != 0)
        close_store(w);
    open_store(w, &l);
    assert_int_equal(l.rev, w->base + 6 + w->mark);
    assert_int_equal(l.n_live, 1);
    assert_int_equal(l.compacted, w->base + 4);
    assert_int_equal(l.n_history, 2);
    assert_int_equal(l.history[0].rev, w->base + 5);
    assert_true(l.history[0].deleted);
    assert_string_equal(l.history[0].before, "1");
    assert_string_equal(l.history[1].before, "2");
    /* A transaction is told whole or not at all. */
    ops[0].value = ops[1].value = blob("x");
    w->pending++;
    w->store->ops->commit(w->store, ops, 2, on_commit, w);
    fed_blob_unref(ops[0].value);
    assert_true(run(w, settled));
    assert_int_equal(write_one(w, "/e", "1", STORE_ABSENT), 0);
    if (strcmp(w->backend, "mem") != 0)
        close_store(w);
    open_store(w, &l);
    assert_true(l.n_history == 1 || l.n_history == 3);
    assert_string_equal(l.history[l.n_history - 1].key, "/e");
    if (l.n_history == 3)
        assert_int_equal(l.history[0].rev, l.history[1].rev);
    assert_true(l.compacted < l.history[0].rev && l.compacted > w->base + 4);
    /* And what follows is told as ever. */
    assert_int_equal(write_one(w, "/e", "2", STORE_ANY), 0);
}

static void on_backup(void *ud, int code, const struct fed_err *err)
{
    struct world *w = ud;
    (void)err;
    w->codes[w->n_results++] = code;
    w->pending--;
}

/* The revision never goes back, even when the newest change was a delete that compaction took away. */
static void test_revision_survives_compaction_of_everything(void **state)
{
    struct world *w = world_of(state);
    static struct loaded l;
    assert_int_equal(write_one(w, "/a", "1", STORE_ABSENT), 0);
    assert_int_equal(write_one(w, "/a", NULL, w->base + 2), 0);
    w->pending++;
    w->store->ops->compact(w->store, w->base + 3, on_backup, w);
    assert_true(run(w, settled));
    if (strcmp(w->backend, "mem") != 0)
        close_store(w);
    open_store(w, &l);
    assert_int_equal(l.rev, w->base + 3 + w->mark);
    assert_int_equal(l.n_live, 0);
    assert_int_equal(write_one(w, "/b", "1", STORE_ABSENT), 0);
    assert_int_equal(last_rev(w), w->base + 4 + w->mark);
}

static int set_up(void **state, const char *backend)
{
    static struct loaded l;
    struct world *w = FED_NEW(struct world);
    test_env_init(&w->env, 1);
    w->backend = backend;
    snprintf(w->dir, sizeof(w->dir), "/tmp/hansa-store-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/store.db", w->dir);
    open_store(w, &l);
    w->base = l.rev - 1;
    assert_true(w->loop || l.rev == 1);
    *state = w;
    return 0;
}
static int set_up_mem(void **state)
{
    return set_up(state, "mem");
}
static int set_up_sqlite(void **state)
{
    return set_up(state, "sqlite");
}
static int set_up_etcd(void **state)
{
    static unsigned n;
    static struct loaded l;
    struct world *w = FED_NEW(struct world);
    if (!etcd.pid) {
        free(w);
        return 0; /* each test skips itself */
    }
    test_env_init(&w->env, 1);
    w->backend = "etcd";
    w->loop = fed_loop_new();
    w->mark = 1;
    snprintf(w->path, sizeof(w->path), "/test%u/", n++);
    open_store(w, &l);
    w->base = l.rev - 1;
    *state = w;
    return 0;
}
static int tear_down(void **state)
{
    struct world *w = *state;
    if (!w)
        return 0;
    if (w->store)
        close_store(w);
    fed_file_remove_tree(w->dir);
    if (w->loop)
        fed_loop_free(w->loop);
    test_env_release(&w->env);
    free(w);
    return 0;
}

/* --- sqlite alone --- */

static void test_second_process_is_refused(void **state)
{
    struct world *w = world_of(state);
    struct fed_err err = {0};
    struct store *other = NULL;
    struct store_sqlite_conf conf = {.path = w->path};
    assert_int_equal(store_sqlite_open(&w->env.env, &conf, &other, &err), FED_E_BUSY);
    assert_non_null(strstr(err.text, "in use by another process"));
}

static void set_format(struct world *w, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_newer_foreign_and_damaged_files_are_refused(void **state)
{
    struct world *w = world_of(state);
    struct fed_err err = {0};
    struct store_sqlite_conf conf = {.path = w->path};
    close_store(w);
    set_format(w, "PRAGMA user_version=99");
    assert_int_equal(store_sqlite_open(&w->env.env, &conf, &w->store, &err), FED_E_VERSION);
    set_format(w, "PRAGMA user_version=1; PRAGMA application_id=7");
    assert_int_equal(store_sqlite_open(&w->env.env, &conf, &w->store, &err), FED_E_CORRUPT);
    FILE *f = fopen(w->path, "w");
    fputs("this is not a database, and long enough to be told apart from an empty file", f);
    fclose(f);
    assert_int_equal(store_sqlite_open(&w->env.env, &conf, &w->store, &err), FED_E_CORRUPT);
    w->store = NULL;
}

static void test_backup_is_a_store(void **state)
{
    struct world *w = world_of(state);
    char *copy = fed_asprintf("%s.copy", w->path);
    sqlite3 *db;
    assert_int_equal(write_one(w, "/a", "1", STORE_ABSENT), 0);
    w->pending++;
    w->store->ops->backup(w->store, copy, on_backup, w);
    assert_true(run(w, settled));
    assert_int_equal(w->codes[w->n_results - 1], 0);
    assert_int_equal(sqlite3_open(copy, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "SELECT key FROM current", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    w->pending++;
    w->store->ops->backup(w->store, copy, on_backup, w);
    assert_true(run(w, settled));
    assert_int_equal(w->codes[w->n_results - 1], FED_E_ALREADY_EXISTS);
    free(copy);
}

#define CONTRACT(backend)                                                                                              \
    cmocka_unit_test_setup_teardown(test_create_update_delete, backend, tear_down),                                    \
        cmocka_unit_test_setup_teardown(test_conflicts_write_nothing, backend, tear_down),                             \
        cmocka_unit_test_setup_teardown(test_transaction_is_all_or_nothing, backend, tear_down),                       \
        cmocka_unit_test_setup_teardown(test_many_in_flight_keep_their_order, backend, tear_down),                     \
        cmocka_unit_test_setup_teardown(test_check_fences, backend, tear_down),                                        \
        cmocka_unit_test_setup_teardown(test_race_has_one_winner, backend, tear_down),                                 \
        cmocka_unit_test_setup_teardown(test_reload_and_compaction, backend, tear_down),                               \
        cmocka_unit_test_setup_teardown(test_only_the_last_history, backend, tear_down),                               \
        cmocka_unit_test_setup_teardown(test_revision_survives_compaction_of_everything, backend, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT(set_up_mem),
        CONTRACT(set_up_sqlite),
        CONTRACT(set_up_etcd),
        cmocka_unit_test_setup_teardown(test_second_process_is_refused, set_up_sqlite, tear_down),
        cmocka_unit_test_setup_teardown(test_newer_foreign_and_damaged_files_are_refused, set_up_sqlite, tear_down),
        cmocka_unit_test_setup_teardown(test_backup_is_a_store, set_up_sqlite, tear_down),
    };
    if (etcd_server_available() && !etcd_servers_start(&etcd, 1, NULL, NULL, NULL))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    etcd_servers_end(&etcd, etcd.dir[0] ? 1 : 0);
    return failed;
}
