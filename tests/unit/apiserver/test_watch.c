/* SPDX-License-Identifier: Apache-2.0 */
/* Watches through the local transport: what is seen, in which order, and when it ends. */
#include "harness.h"

#define CM    "/api/v1/namespaces/default/configmaps"
#define JSON  "application/json"
#define MERGE "application/merge-patch+json"

struct seen {
    char text[4096]; /* "+a ~a -a *" : added, modified, deleted, bookmark */
    uint64_t last_rev, end_at;
    bool ended, in_order;
    int code;
    struct fed_call *call;
    size_t cancel_after; /* events; 0: never */
    size_t n;
    const char *api_version;
};

static void event(void *ud, enum fed_event type, struct fed_kobj *o)
{
    struct seen *s = ud;
    size_t at = strlen(s->text);
    if (type == FED_EVENT_BOOKMARK) {
        bool end = o->n_annotations && fed_str_is(o->annotations[0].key, "k8s.io/initial-events-end");
        snprintf(s->text + at, sizeof s->text - at, "%s ", end ? "*end" : "*");
    } else {
        snprintf(s->text + at, sizeof s->text - at, "%c%.*s ", "+~-"[type], FED_STR_ARG(o->name));
    }
    /* Initial objects come in order of their names, later ones in order of revision. */
    s->in_order &= type == FED_EVENT_ADDED || o->rev >= s->last_rev;
    s->last_rev = FED_MAX(s->last_rev, o->rev);
    if (s->api_version && !fed_str_is(o->api_version, s->api_version))
        fail_msg("version %.*s", FED_STR_ARG(o->api_version));
    if (++s->n == s->cancel_after)
        fed_call_cancel(s->call);
}

static void ended(void *ud, int code, const struct fed_err *err)
{
    struct seen *s = ud;
    (void)err;
    s->ended = true;
    s->code = code;
    s->call = NULL;
}

static void watch(struct world *w, struct seen *s, const char *path)
{
    static const struct fed_watch_handlers h = {.event = event, .end = ended};
    *s = (struct seen){.in_order = true};
    s->call = w->admin->ops->watch(w->admin, fed_str(path), &h, s);
    assert_int_equal(s->n, 0); /* nothing before the function returned */
    test_env_drain(&w->t);
}

static int rand_n; /* makes each change a change */

static void put(struct world *w, const char *name, const char *labels)
{
    char path[128], body[256];
    snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}", name, labels);
    if (ask(w, w->admin, "POST", CM, JSON, body) == 201)
        return;
    snprintf(path, sizeof path, CM "/%s", name);
    snprintf(body, sizeof body, "{\"metadata\":{\"labels\":{%s}},\"data\":{\"n\":\"%d\"}}", labels, rand_n++);
    assert_int_equal(ask(w, w->admin, "PATCH", path, MERGE, body), 200);
}

static void drop(struct world *w, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, CM "/%s", name);
    assert_int_equal(ask(w, w->admin, "DELETE", path, "", ""), 200);
}

static void follows(void **state)
{
    (void)state;
    struct world w;
    struct seen all, some, later, streamed, one;
    char path[256];
    world_init(&w, 0);
    put(&w, "b", "");
    put(&w, "a", "\"x\":\"1\"");
    watch(&w, &all, CM "?watch=1");
    watch(&w, &some, CM "?watch=true&labelSelector=x%3D1");
    watch(&w, &streamed,
          CM "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    watch(&w, &one, CM "?watch=1&fieldSelector=metadata.name%3Db");
    assert_string_equal(all.text, "+a +b ");
    assert_string_equal(some.text, "+a ");
    assert_string_equal(streamed.text, "+a +b *end ");
    snprintf(path, sizeof path, CM "?watch=1&resourceVersion=%llu", (unsigned long long)streamed.last_rev);
    put(&w, "c", "\"x\":\"1\"");
    put(&w, "b", "\"x\":\"1\""); /* enters the selector */
    put(&w, "a", "\"x\":\"2\""); /* leaves it */
    drop(&w, "c");
    watch(&w, &later, path);
    test_env_drain(&w.t);
    assert_string_equal(all.text, "+a +b +c ~b ~a -c ");
    assert_string_equal(some.text, "+a +c +b -a -c ");
    assert_string_equal(later.text, "+c ~b ~a -c ");
    assert_string_equal(one.text, "+b ~b ");
    assert_true(all.in_order && some.in_order && later.in_order && streamed.in_order);
    assert_true(all.last_rev == later.last_rev);
    fed_call_cancel(later.call);
    /* Bookmarks once a minute, to those who asked; the end after timeoutSeconds. */
    test_env_advance(&w.t, 61000);
    assert_non_null(strstr(streamed.text, "*end +c ~b ~a -c * "));
    assert_null(strchr(all.text, '*'));
    fed_api_stop(w.api);
    assert_true(all.ended && all.code == 0);
    world_release(&w);
}

static void ends(void **state)
{
    (void)state;
    struct world w;
    struct seen s, old;
    world_init(&w, 4);
    watch(&w, &s, CM "?watch=1&timeoutSeconds=5");
    test_env_advance(&w.t, 6000);
    assert_true(s.ended && s.code == 0);
    for (int i = 0; i < 10; i++)
        put(&w, "a", "");
    /* The log holds four changes: a revision before them is gone. */
    watch(&w, &old, CM "?watch=1&resourceVersion=2");
    assert_true(old.ended && old.code == FED_E_EXPIRED);
    watch(&w, &old, CM "?watch=1&resourceVersion=x");
    assert_true(old.ended && old.code == FED_E_BAD_REQUEST);
    watch(&w, &old, CM "?watch=1&sendInitialEvents=true");
    assert_true(old.ended && old.code == FED_E_INVALID);
    watch(&w, &old, "/api/v1/nonsense?watch=1");
    assert_true(old.ended && old.code == FED_E_NOT_FOUND);
    world_release(&w);
}

/* Time passes in the turn of the loop that is `left` after the one in which it was posted. */
struct passing {
    struct fed_task task;
    struct world *w;
    int left;
};

static void pass(struct fed_task *t)
{
    struct passing *p = fed_container_of(t, struct passing, task);
    if (p->left--)
        fed_task_post(&p->w->t.env, t, pass);
    else
        p->w->t.mono_ns += 2000000000;
}

/* Who goes on from the last bookmark misses nothing, whichever turn between a change and its event ends the watch. */
static void last_bookmark_promises_what_was_sent(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 1000);
    for (int turn = 0; turn < 12; turn++) {
        struct seen first, second;
        struct passing passing = {.w = &w, .left = turn};
        char path[256], name[16];
        snprintf(name, sizeof name, "+late-%d ", turn);
        struct fed_str body = fed_arena_printf(&w.arena, "{\"metadata\":{\"name\":\"late-%d\"}}", turn);
        struct fed_call_request req = {
            .method = "POST", .path = FED_STR(CM), .content_type = FED_STR(JSON), .body = body};
        watch(&w, &first, CM "?watch=1&allowWatchBookmarks=true&timeoutSeconds=100");
        test_env_advance(&w.t, 99000);
        w.done = false;
        w.admin->ops->call(w.admin, &req, answered, &w);
        fed_task_post(&w.t.env, &passing.task, pass);
        assert_true(world_run(&w, is_done) && w.status == 201);
        test_env_advance(&w.t, 2000);
        assert_true(first.ended);
        snprintf(path, sizeof path, CM "?watch=1&resourceVersion=%llu", (unsigned long long)first.last_rev);
        watch(&w, &second, path);
        test_env_advance(&w.t, 1);
        if (!strstr(first.text, name) == !strstr(second.text, name))
            fail_msg("turn %d: first %s, then %s", turn, first.text, second.text);
        fed_call_cancel(second.call);
    }
    world_release(&w);
}

static void cancels_inside(void **state)
{
    (void)state;
    struct world w;
    struct seen first, second;
    world_init(&w, 0);
    for (const char *n = "abcdef"; *n; n++)
        put(&w, (char[]){*n, 0}, "");
    watch(&w, &first, CM "?watch=1");
    first.cancel_after = 7;
    watch(&w, &second, CM "?watch=1");
    put(&w, "g", ""); /* the seventh: canceled from inside its own event */
    put(&w, "h", "");
    test_env_drain(&w.t);
    assert_int_equal(first.n, 7);
    assert_int_equal(second.n, 8);
    assert_false(first.ended);
    world_release(&w);
}

static void other_version(void **state)
{
    (void)state;
    struct world w;
    struct seen s;
    world_init(&w, 0);
    static const struct fed_watch_handlers h = {.event = event, .end = ended};
    s = (struct seen){.in_order = true, .api_version = "test.hansa.io/v1beta1"};
    s.call = w.admin->ops->watch(w.admin, FED_STR("/apis/test.hansa.io/v1beta1/widgets?watch=1"), &h, &s);
    assert_int_equal(ask(&w, w.admin, "POST", "/apis/test.hansa.io/v1/namespaces/default/widgets", JSON,
                         "{\"metadata\":{\"name\":\"w\"}}"),
                     201);
    test_env_drain(&w.t);
    assert_string_equal(s.text, "+w ");
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(follows), cmocka_unit_test(ends),
                                       cmocka_unit_test(last_bookmark_promises_what_was_sent),
                                       cmocka_unit_test(cancels_inside), cmocka_unit_test(other_version)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
