/* SPDX-License-Identifier: Apache-2.0 */
/* The etcd store when etcd is taken away: killed, stopped, compacted under a watch, its leader lost; and over TLS. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/map.h"
#include "base/mem.h"
#include "net/loop.h"
#include "store/etcd.h"
#include "store/etcd_priv.h"
#include "support/etcd_server.h"

#define MUCH 4000

struct client {
    struct fed_loop *loop;
    struct store *store;
    struct fed_map state; /* key -> revision */
    uint64_t last, progress, gap;
    size_t n_changes, pending, n_ok, n_failed;
    int code;
    bool loaded, closed, failed;
    bool asked; /* while all was read again */
};
struct world {
    struct fed_loop *loop;
    struct etcd_server etcd[3];
    int n;
    struct client a, b;
    struct fed_timer timer;
    bool (*until)(struct world *w);
    uint64_t give_up_ms;
    bool came;
};

static void look(struct fed_timer *t)
{
    struct world *w = fed_container_of(t, struct world, timer);
    struct fed_env *env = fed_loop_env(w->loop);
    w->came = w->until(w);
    if (w->came || fed_mono_ms(env) > w->give_up_ms)
        fed_loop_stop(w->loop);
    else
        fed_timer_start(env, t, 1, look);
}
static bool run(struct world *w, bool (*until)(struct world *w))
{
    w->until = until;
    w->give_up_ms = fed_mono_ms(fed_loop_env(w->loop)) + 60000;
    fed_timer_start(fed_loop_env(w->loop), &w->timer, 0, look);
    fed_loop_run(w->loop);
    return w->came;
}

/* Every change in revision order, never twice. */
static void on_change(void *ud, const struct store_change *c)
{
    struct client *cl = ud;
    assert_true(c->rev >= cl->last);
    cl->last = c->rev;
    cl->n_changes++;
    if (c->value) {
        assert_true((uintptr_t)fed_map_find(&cl->state, c->key) < c->rev);
        fed_map_set(&cl->state, c->key, (void *)(uintptr_t)c->rev);
    } else {
        assert_true(fed_map_has(&cl->state, c->key));
        fed_map_remove(&cl->state, c->key);
    }
}
static void on_live(void *ud, const struct store_change *c)
{
    struct client *cl = ud;
    fed_map_set(&cl->state, c->key, (void *)(uintptr_t)c->rev);
}
static void on_progress(void *ud, uint64_t rev)
{
    ((struct client *)ud)->progress = rev;
}
static void on_gap(void *ud, uint64_t rev)
{
    struct client *cl = ud;
    assert_true(rev > cl->last); /* before the difference is told */
    cl->gap = rev;
}
static void on_failed(void *ud, const struct fed_err *err)
{
    (void)err;
    ((struct client *)ud)->failed = true;
}
static void on_loaded(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err)
{
    struct client *cl = ud;
    (void)compacted;
    if (code)
        fail_msg("load: %s", err->text);
    cl->last = rev;
    cl->loaded = true;
}
static void on_closed(void *ud)
{
    ((struct client *)ud)->closed = true;
}
static void on_done(void *ud, int code, const struct fed_err *err)
{
    struct client *cl = ud;
    (void)err;
    cl->pending--;
    cl->code = code;
    if (code)
        cl->n_failed++;
    else
        cl->n_ok++;
}
static void on_commit(void *ud, int code, uint64_t rev, const struct fed_err *err)
{
    struct client *cl = ud;
    assert_true(code || cl->last >= rev); /* shown before it is answered */
    on_done(ud, code, err);
}

static bool all_loaded(struct world *w)
{
    return w->a.loaded && w->b.loaded;
}
static bool settled(struct world *w)
{
    return !w->a.pending && !w->b.pending;
}
static bool all_closed(struct world *w)
{
    return w->a.closed && w->b.closed;
}
static bool a_ok(struct world *w)
{
    return !w->a.pending && w->a.code == 0;
}

static void put(struct client *cl, const char *key, const char *value)
{
    struct fed_blob *blob = value ? fed_blob_new(fed_str(value)) : NULL;
    struct store_op op = {.key = fed_str(key), .value = blob, .expect = STORE_ANY};
    cl->pending++;
    cl->store->ops->commit(cl->store, &op, 1, on_commit, cl);
    fed_blob_unref(blob);
}
static void sync_with(struct client *cl)
{
    cl->pending++;
    cl->store->ops->sync(cl->store, on_done, cl);
}
static bool put_until_ok(struct world *w)
{
    if (w->a.pending)
        return false;
    if (w->a.n_ok)
        return true;
    put(&w->a, "/again", "1");
    return false;
}

/* A write and a read that come while all is read again wait, and are not forgotten. */
static bool asked_in_between(struct world *w)
{
    if (!w->a.asked && etcd_self(w->a.store)->phase == ETCD_RELOAD) {
        w->a.asked = true;
        put(&w->a, "/again", "1");
        sync_with(&w->a);
    }
    return w->a.asked && !w->a.pending;
}

static void open_client(struct world *w, struct client *cl, const struct store_etcd_conf *conf)
{
    struct fed_err err = {0};
    struct store_handlers h = {
        .on_change = on_change, .on_progress = on_progress, .on_gap = on_gap, .on_failed = on_failed, .ud = cl};
    if (store_etcd_open(w->loop, conf, &cl->store, &err))
        fail_msg("%s", err.text);
    store_set_handlers(cl->store, &h);
    cl->store->ops->load(cl->store, on_live, NULL, on_loaded, cl);
}

static struct world *world_new(int members, const char *ca, const char *cert, const char *key)
{
    struct world *w = FED_NEW(struct world);
    char endpoints[256] = "";
    w->n = members;
    assert_true(etcd_servers_start(w->etcd, members, ca, cert, key));
    for (int i = 0; i < members; i++) {
        size_t at = strlen(endpoints);
        snprintf(endpoints + at, sizeof endpoints - at, "%s%s", i ? "," : "", w->etcd[i].endpoint);
    }
    w->loop = fed_loop_new();
    struct store_etcd_conf conf = {.endpoints = endpoints,
                                   .ca_file = ca,
                                   .cert_file = cert,
                                   .key_file = key,
                                   .request_timeout_ms = 3000,
                                   .silence_ms = 1500};
    open_client(w, &w->a, &conf);
    open_client(w, &w->b, &conf);
    assert_true(run(w, all_loaded));
    return w;
}
static void world_free(struct world *w)
{
    w->a.store->ops->close(w->a.store, on_closed, &w->a);
    w->b.store->ops->close(w->b.store, on_closed, &w->b);
    assert_true(run(w, all_closed));
    fed_loop_free(w->loop);
    fed_map_release(&w->a.state);
    fed_map_release(&w->b.state);
    etcd_servers_end(w->etcd, w->n);
    free(w);
}

/* Both have the same keys at the same revisions after a consistent read on each. */
static void assert_same(struct world *w)
{
    w->a.code = w->b.code = 0;
    sync_with(&w->a);
    sync_with(&w->b);
    assert_true(run(w, settled));
    assert_int_equal(w->a.code, 0);
    assert_int_equal(w->b.code, 0);
    assert_int_equal(fed_map_count(&w->a.state), fed_map_count(&w->b.state));
    FED_MAP_EACH(e, &w->a.state)
        assert_ptr_equal(e->value, fed_map_find(&w->b.state, e->key));
}

static void test_killed_and_restarted(void **state)
{
    (void)state;
    struct world *w = world_new(1, NULL, NULL, NULL);
    char key[32];
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "/k%d", i);
        put(i % 2 ? &w->a : &w->b, key, "1");
    }
    assert_true(run(w, settled));
    assert_int_equal(w->a.n_failed + w->b.n_failed, 0);
    put(&w->a, "/in-flight", "1");
    etcd_server_kill(&w->etcd[0]);
    put(&w->a, "/away", "1");
    sync_with(&w->b);
    assert_true(run(w, settled)); /* nothing hangs */
    assert_int_equal(w->b.code, FED_E_UNAVAILABLE);
    assert_true(w->a.n_failed >= 1);
    w->a.n_ok = 0;
    assert_true(etcd_server_restart(&w->etcd[0]));
    assert_true(run(w, put_until_ok));
    assert_same(w);
    assert_true(fed_map_count(&w->a.state) >= 201);
    assert_false(w->a.failed || w->b.failed);
    world_free(w);
}

static void test_stopped_and_continued(void **state)
{
    (void)state;
    struct world *w = world_new(1, NULL, NULL, NULL);
    put(&w->a, "/a", "1");
    assert_true(run(w, settled));
    etcd_server_signal(&w->etcd[0], SIGSTOP);
    put(&w->a, "/b", "1");
    sync_with(&w->b);
    assert_true(run(w, settled)); /* told within the time-outs, by silence */
    assert_int_equal(w->a.code, FED_E_TIMEOUT);
    assert_int_equal(w->b.code, FED_E_UNAVAILABLE);
    etcd_server_signal(&w->etcd[0], SIGCONT);
    w->a.n_ok = 0;
    assert_true(run(w, put_until_ok));
    assert_same(w);
    world_free(w);
}

/* While etcd is stopped for us, nothing is known; what others wrote and compacted meanwhile arrives as a difference. */
static void test_compaction_took_our_place(void **state)
{
    (void)state;
    struct world *w = world_new(1, NULL, NULL, NULL);
    char cmd[1024], out[128];
    char key[16], *much = fed_calloc(1, MUCH + 1);
    memset(much, 'x', MUCH);
    for (int i = 0; i < 2000; i++) { /* so that reading it takes a moment */
        snprintf(key, sizeof key, "/%d", i);
        put(&w->a, key, much);
    }
    free(much);
    put(&w->a, "/stays", "1");
    put(&w->a, "/goes", "1");
    put(&w->a, "/changes", "1");
    assert_true(run(w, settled));
    assert_same(w); /* b has seen all of it */
    size_t before = w->b.n_changes;
    /* The clients do not run meanwhile; the restart cuts their connections. Keys in base64, as the gateway takes them. */
    etcd_server_kill(&w->etcd[0]);
    assert_true(etcd_server_restart(&w->etcd[0]));
    snprintf(
        cmd, sizeof cmd,
        "e=%s; b() { printf %%s \"$1\" | base64 -w0; }; p() { curl -sf $e/v3/kv/$1 -d \"$2\"; };"
        "for i in 1 2 3; do p put \"{\\\"key\\\":\\\"$(b /hansa/s/changes)\\\",\\\"value\\\":\\\"$(b $i)\\\"}\"; done;"
        "p deleterange \"{\\\"key\\\":\\\"$(b /hansa/s/goes)\\\"}\";"
        "r=$(p put \"{\\\"key\\\":\\\"$(b /hansa/s/new)\\\",\\\"value\\\":\\\"$(b 1)\\\"}\" | "
        "sed 's/.*\"revision\":\"\\([0-9]*\\)\".*/\\1/');"
        "curl -sf $e/v3/kv/compaction -d \"{\\\"revision\\\":\\\"$r\\\"}\" >/dev/null && echo compacted $r",
        w->etcd[0].endpoint);
    assert_int_equal(etcd_run(cmd, out, sizeof out), 0);
    assert_true(run(w, asked_in_between));
    assert_int_equal(w->a.code, 0);
    assert_same(w);
    assert_true(fed_map_has(&w->b.state, FED_STR("/stays")) && fed_map_has(&w->b.state, FED_STR("/new")));
    assert_false(fed_map_has(&w->b.state, FED_STR("/goes")));
    assert_true(w->a.gap && w->b.gap);
    assert_true(w->b.n_changes <= before + 4); /* changes, new, goes, again: the difference and no more */
    world_free(w);
}

/* Another's keys raise the revision without an event of ours: a consistent read ends all the same. */
static void test_foreign_keys(void **state)
{
    (void)state;
    struct world *w = world_new(1, NULL, NULL, NULL);
    char cmd[256], out[512];
    put(&w->a, "/a", "1");
    assert_true(run(w, settled));
    snprintf(cmd, sizeof cmd, "curl -sf %s/v3/kv/put -d '{\"key\":\"b3RoZXI=\",\"value\":\"MQ==\"}'",
             w->etcd[0].endpoint);
    assert_int_equal(etcd_run(cmd, out, sizeof out), 0);
    uint64_t rev = w->a.progress;
    assert_same(w);
    assert_true(w->a.progress > rev);
    world_free(w);
}

static void test_each_of_three_members_is_killed(void **state)
{
    (void)state;
    struct world *w = world_new(3, NULL, NULL, NULL);
    for (int i = 0; i < 3; i++) { /* one of them was the leader */
        etcd_server_kill(&w->etcd[i]);
        w->a.n_ok = 0;
        assert_true(run(w, put_until_ok));
        assert_true(etcd_server_restart(&w->etcd[i]));
        w->a.n_ok = 0;
        assert_true(run(w, put_until_ok));
    }
    w->a.pending++;
    on_commit(&w->a, 0, 0, NULL);
    assert_true(run(w, a_ok));
    assert_same(w);
    assert_false(w->a.failed || w->b.failed);
    world_free(w);
}

static void test_tls_with_client_certificates(void **state)
{
    (void)state;
    char dir[] = "/tmp/hansa-etcd-tls-XXXXXX", cmd[1024], out[8], ca[64], cert[64], key[64];
    assert_non_null(mkdtemp(dir));
    snprintf(ca, sizeof ca, "%s/ca.crt", dir);
    snprintf(cert, sizeof cert, "%s/c.crt", dir);
    snprintf(key, sizeof key, "%s/c.key", dir);
    snprintf(cmd, sizeof cmd,
             "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -days 2 "
             "-keyout ca.key -out ca.crt 2>/dev/null && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
             "-subj /CN=c -keyout c.key -out c.csr 2>/dev/null && printf 'subjectAltName=IP:127.0.0.1' >ext && "
             "openssl x509 -req -in c.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out c.crt "
             "2>/dev/null",
             dir);
    assert_int_equal(etcd_run(cmd, out, sizeof out), 0);
    struct world *w = world_new(1, ca, cert, key);
    char name[32];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "/k%d", i);
        put(i % 2 ? &w->a : &w->b, name, "1");
    }
    assert_true(run(w, settled));
    assert_int_equal(w->a.n_failed + w->b.n_failed, 0);
    assert_same(w);
    world_free(w);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    etcd_run(cmd, out, sizeof out);
}

static void test_configuration_is_checked(void **state)
{
    static const char *const bad[] = {"",           "a:2379",         "ftp://a",     "http://",
                                      "http://a:0", "http://a:99999", "http://[::1", "http://a:2379,"};
    struct fed_loop *loop = fed_loop_new();
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(bad); i++) {
        struct store_etcd_conf conf = {.endpoints = bad[i]};
        struct store *s = NULL;
        struct fed_err err = {0};
        assert_int_equal(store_etcd_open(loop, &conf, &s, &err), FED_E_INVALID);
        assert_true(err.text[0]);
    }
    fed_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest always[] = {cmocka_unit_test(test_configuration_is_checked)};
    const struct CMUnitTest with_etcd[] = {
        cmocka_unit_test(test_killed_and_restarted),
        cmocka_unit_test(test_stopped_and_continued),
        cmocka_unit_test(test_compaction_took_our_place),
        cmocka_unit_test(test_foreign_keys),
        cmocka_unit_test(test_each_of_three_members_is_killed),
        cmocka_unit_test(test_tls_with_client_certificates),
    };
    int failed = cmocka_run_group_tests(always, NULL, NULL);
    if (etcd_server_available())
        failed += cmocka_run_group_tests(with_etcd, NULL, NULL);
    return failed;
}
