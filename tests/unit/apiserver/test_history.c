/* SPDX-License-Identifier: Apache-2.0 */
/* A restart of the API server over the same store: whoever watched goes on from its revision and sees what it would have
 * seen without the restart, byte for byte. */
#include "harness.h"

#include <stdlib.h>

#define CM    "/api/v1/namespaces/default/configmaps"
#define JSON  "application/json"
#define MERGE "application/merge-patch+json"

struct seen {
    struct fed_buf text; /* a line an event: type, revision, object */
    uint64_t last_rev;
    bool ended;
    int code;
    struct fed_call *call;
};

static void event(void *ud, enum fed_event type, struct fed_kobj *o)
{
    struct seen *s = ud;
    if (o->rev <= s->last_rev && type != FED_EVENT_BOOKMARK)
        fail_msg("revision %llu again or back", (unsigned long long)o->rev);
    s->last_rev = o->rev;
    fed_buf_addf(&s->text, "%c %llu %.*s\n", "+~-*"[type], (unsigned long long)o -> rev, FED_STR_ARG(o->json));
}

static void ended(void *ud, int code, const struct fed_err *err)
{
    struct seen *s = ud;
    (void)err;
    s->ended = true;
    s->code = code;
    s->call = NULL;
}

static void watch(struct world *w, struct seen *s, uint64_t rev, const char *selector)
{
    static const struct fed_watch_handlers h = {.event = event, .end = ended};
    char path[256];
    snprintf(path, sizeof path, CM "?watch=1&resourceVersion=%llu%s", (unsigned long long)rev, selector);
    *s = (struct seen){.last_rev = rev};
    s->call = w->admin->ops->watch(w->admin, fed_str(path), &h, s);
    test_env_advance(&w->t, 1); /* the past comes in tasks */
}

static void stop(struct seen *s)
{
    fed_call_cancel(s->call);
    fed_buf_release(&s->text);
}

static void on_closed(void *ud)
{
    ((struct world *)ud)->done = true;
}

/* The server ends and another one starts over the same store: the same one in memory, or the file opened again. */
static void restart(struct world *w, uint64_t keep, const char *path)
{
    static const char *const spaces[] = {"default", "other", NULL};
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    struct fed_err err = {0};
    fed_transport_free(w->admin);
    fed_transport_free(w->bob);
    fed_api_free(w->api);
    if (path) {
        struct store_sqlite_conf conf = {.path = path};
        w->done = false;
        w->store->ops->close(w->store, on_closed, w);
        assert_true(world_run(w, is_done));
        if (store_sqlite_open(&w->t.env, &conf, &w->store, &err))
            fail_msg("%s", err.text);
        w->threaded = true;
    }
    w->ready = false;
    struct fed_api_conf conf = {.env = &w->t.env,
                                .store = w->store,
                                .kinds = w->kinds,
                                .server_name = "test",
                                .git_version = "v1.29.0+test",
                                .static_namespaces = spaces,
                                .keep_changes = keep};
    w->api = fed_api_new(&conf);
    fed_api_start(w->api, on_ready, w);
    assert_true(world_run(w, is_ready));
    struct fed_identity admin = {.user = FED_STR("admin"), .groups = &masters, .n_groups = 1};
    struct fed_identity bob = {.user = FED_STR("bob")};
    w->admin = fed_api_local(w->api, &admin);
    w->bob = fed_api_local(w->api, &bob);
}

static uint64_t revision(struct world *w)
{
    struct fed_json *list = NULL;
    uint64_t rev = 0;
    assert_int_equal(ask(w, w->admin, "GET", CM "?limit=1", "", ""), 200);
    assert_int_equal(fed_json_parse(&w->arena, fed_arena_dup(&w->arena, fed_buf_str(&w->body)), NULL, &list, NULL), 0);
    assert_int_equal(fed_str_u64(fed_json_find_text(fed_json_find(list, "metadata"), "resourceVersion"), &rev), 0);
    return rev;
}

static uint64_t dice = 1;
static unsigned roll(unsigned n)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % n;
}

/* Creates, changes, deletes one of six objects; a label moves it in and out of selectors. */
static void change_something(struct world *w, int i)
{
    char path[128], body[256];
    unsigned k = roll(6);
    snprintf(path, sizeof path, CM "/o%u", k);
    if (roll(4) == 0) {
        (void)ask(w, w->admin, "DELETE", path, "", "");
        return;
    }
    snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"o%u\",\"labels\":{\"x\":\"%u\"}},\"data\":{\"n\":\"%d\"}}",
             k, roll(2), i);
    if (ask(w, w->admin, "POST", CM, JSON, body) != 201)
        assert_int_equal(ask(w, w->admin, "PATCH", path, MERGE, body), 200);
}

static const char *const selectors[] = {"", "&labelSelector=x%3D1", "&labelSelector=x%3D0",
                                        "&fieldSelector=metadata.name%3Do3"};

static void same_after_restart(struct world *w, const char *path)
{
    struct seen before[40][4], after;
    uint64_t revs[40];
    size_t n = 0;
    for (int i = 0; i < 200; i++) {
        if (i % 5 == 0)
            revs[n++] = revision(w);
        change_something(w, i);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 4; k++)
            watch(w, &before[i][k], revs[i], selectors[k]);
    uint64_t rev = revision(w);
    restart(w, 0, path);
    assert_int_equal(revision(w), rev);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 4; k++) {
            watch(w, &after, revs[i], selectors[k]);
            assert_false(after.ended);
            assert_string_equal(fed_buf_z(&after.text), fed_buf_z(&before[i][k].text));
            before[i][k].call = NULL; /* it ended with the server */
            stop(&after);
            stop(&before[i][k]);
        }
}

static void over_memory(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0);
    same_after_restart(&w, NULL);
    world_release(&w);
}

static void over_sqlite(void **state)
{
    (void)state;
    struct world w;
    char dir[] = "/tmp/hansa-history-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = fed_asprintf("%s/store.db", dir), *lock = fed_asprintf("%s/store.db.lock", dir);
    world_init(&w, 0);
    restart(&w, 0, path); /* from the memory that world_init has to an empty file */
    same_after_restart(&w, path);
    same_after_restart(&w, path);
    world_release(&w);
    unlink(path);
    unlink(lock);
    rmdir(dir);
    free(path);
    free(lock);
}

/* Only the last changes are kept: earlier watchers are told to list again, later ones miss nothing. */
static void bounded(void **state)
{
    (void)state;
    struct world w;
    struct seen s;
    uint64_t revs[60];
    world_init(&w, 1000);
    for (int i = 0; i < 60; i++) {
        char body[128];
        revs[i] = revision(&w);
        snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"n%d\"}}", i);
        assert_int_equal(ask(&w, w.admin, "POST", CM, JSON, body), 201);
    }
    restart(&w, 20, NULL);
    watch(&w, &s, revs[39], "");
    assert_true(s.ended && s.code == FED_E_EXPIRED);
    stop(&s);
    watch(&w, &s, revs[40], "");
    assert_false(s.ended);
    size_t lines = 0;
    for (const char *p = fed_buf_z(&s.text); *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 20);
    stop(&s);
    /* Compacted away in the store. */
    w.store->ops->compact(w.store, revs[50], NULL, NULL);
    restart(&w, 1000, NULL);
    watch(&w, &s, revs[49], "");
    assert_true(s.ended && s.code == FED_E_EXPIRED);
    stop(&s);
    watch(&w, &s, revs[50], "");
    assert_false(s.ended);
    stop(&s);
    /* A page of a list from before the restart is answered as it was then. */
    char path[160];
    snprintf(path, sizeof path, CM "?resourceVersion=%llu&resourceVersionMatch=Exact&limit=500",
             (unsigned long long)revs[55]);
    assert_int_equal(ask(&w, w.admin, "GET", path, "", ""), 200);
    assert_non_null(strstr(text(&w), "\"n54\""));
    assert_null(strstr(text(&w), "\"n55\""));
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_memory),
        cmocka_unit_test(over_sqlite),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
