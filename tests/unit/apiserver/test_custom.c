/* SPDX-License-Identifier: Apache-2.0 */
/* Custom kinds in the engine: their past over a restart, what is stored under schemas that change, generations. No
 * controller runs: definitions are made Established by hand. */
#include "harness.h"

#include "apiserver/custom.h"

#define CRDS   "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#define LAMPS  "/apis/example.com/v1/namespaces/default/lamps"
#define JSON   "application/json"
#define MERGE  "application/merge-patch+json"
#define DECLAR "\"group\":\"example.com\",\"scope\":\"Namespaced\",\"names\":{\"plural\":\"lamps\",\"kind\":\"Lamp\"}"

struct seen {
    struct fed_buf text;
    bool ended;
    int code;
    struct fed_call *call;
};

static void event(void *ud, enum fed_event type, struct fed_kobj *o)
{
    struct seen *s = ud;
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

static void watch(struct world *w, struct seen *s, uint64_t rev)
{
    static const struct fed_watch_handlers h = {.event = event, .end = ended};
    char path[256];
    snprintf(path, sizeof path, LAMPS "?watch=1&resourceVersion=%llu", (unsigned long long)rev);
    *s = (struct seen){0};
    s->call = w->admin->ops->watch(w->admin, fed_str(path), &h, s);
    test_env_advance(&w->t, 1);
}

static void stop(struct seen *s)
{
    fed_call_cancel(s->call);
    fed_buf_release(&s->text);
}

/* Does what `ask` does, and it must go well. */
static void well(struct world *w, const char *method, const char *path, const char *type, const char *body)
{
    if (ask(w, w->admin, method, path, type, body) > 299)
        fail_msg("%s %s: %s", method, path, text(w));
}

static uint64_t revision(struct world *w)
{
    struct fed_json *list = NULL;
    uint64_t rev = 0;
    well(w, "GET", "/api/v1/namespaces?limit=1", "", "");
    assert_int_equal(fed_json_parse(&w->arena, fed_arena_dup(&w->arena, fed_buf_str(&w->body)), NULL, &list, NULL), 0);
    assert_int_equal(fed_str_u64(fed_json_find_text(fed_json_find(list, "metadata"), "resourceVersion"), &rev), 0);
    return rev;
}

static char *versions(const char *props, const char *more)
{
    return fed_asprintf("\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true%s,\"schema\":{"
                        "\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\","
                        "\"properties\":{%s}},\"status\":{\"type\":\"object\",\"properties\":{\"on\":{\"type\":"
                        "\"boolean\"}}}}}}}]",
                        more, props);
}

static void define(struct world *w, const char *props, const char *more)
{
    char *list = versions(props, more);
    char *body = fed_asprintf("{\"metadata\":{\"name\":\"lamps.example.com\"},\"spec\":{" DECLAR ",%s}}", list);
    well(w, "POST", CRDS, JSON, body);
    well(w, "PATCH", CRDS "/lamps.example.com/status", MERGE,
         "{\"status\":{\"acceptedNames\":{\"plural\":\"lamps\",\"singular\":\"lamp\",\"kind\":\"Lamp\",\"listKind\":"
         "\"LampList\"},\"conditions\":[{\"type\":\"Established\",\"status\":\"True\"}]}}");
    free(body);
    free(list);
}

static void redefine(struct world *w, const char *props)
{
    char *list = versions(props, "");
    char *body = fed_asprintf("{\"spec\":{%s}}", list);
    well(w, "PATCH", CRDS "/lamps.example.com", MERGE, body);
    free(body);
    free(list);
}

static void restart(struct world *w)
{
    static const char *const spaces[] = {"default", "other", NULL};
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    struct fed_api_conf conf = {.env = &w->t.env,
                                .store = w->store,
                                .kinds = w->kinds,
                                .server_name = "test",
                                .git_version = "v1.29.0+test",
                                .static_namespaces = spaces};
    struct fed_identity admin = {.user = FED_STR("admin"), .groups = &masters, .n_groups = 1};
    struct fed_identity bob = {.user = FED_STR("bob")};
    fed_transport_free(w->admin);
    fed_transport_free(w->bob);
    fed_api_free(w->api);
    w->ready = false;
    w->api = fed_api_new(&conf);
    fed_api_start(w->api, on_ready, w);
    assert_true(world_run(w, is_ready));
    w->admin = fed_api_local(w->api, &admin);
    w->bob = fed_api_local(w->api, &bob);
}

#define WATT "\"watt\":{\"type\":\"integer\"}"

static void change_lamps(struct world *w, int n)
{
    char body[200], path[100];
    for (int i = 0; i < n; i++) {
        snprintf(body, sizeof body,
                 "{\"apiVersion\":\"example.com/"
                 "v1\",\"kind\":\"Lamp\",\"metadata\":{\"name\":\"l%d\"},\"spec\":{\"watt\":%d}}",
                 i, i);
        well(w, "POST", LAMPS, JSON, body);
        snprintf(path, sizeof path, LAMPS "/l%d", i);
        well(w, "PATCH", path, MERGE, "{\"spec\":{\"watt\":40}}");
        if (i % 3 == 0)
            well(w, "DELETE", path, "", "");
    }
}

static int list_at(struct world *w, uint64_t rev)
{
    char path[200];
    snprintf(path, sizeof path, LAMPS "?resourceVersion=%llu&resourceVersionMatch=Exact", (unsigned long long)rev);
    return ask(w, w->admin, "GET", path, "", "");
}

/* A watcher goes on where it was; one from before the definition is told to list again, and so is a list. */
static void past_over_restart(void **state)
{
    (void)state;
    struct world w;
    struct seen before[3], after;
    uint64_t early, revs[3];
    world_init(&w, 0);
    early = revision(&w);
    define(&w, WATT, "");
    for (int i = 0; i < 3; i++) {
        revs[i] = revision(&w);
        if (i == 0)
            change_lamps(&w, 7);
        else
            well(&w, "PATCH", LAMPS "/l1", MERGE, i == 1 ? "{\"spec\":{\"watt\":60}}" : "{\"spec\":null}");
    }
    assert_int_equal(list_at(&w, early), 410);
    assert_int_equal(list_at(&w, revs[1]), 200);
    char *then = fed_strdup(text(&w));
    for (int i = 0; i < 3; i++)
        watch(&w, &before[i], revs[i]);
    restart(&w);
    for (int i = 0; i < 3; i++) {
        watch(&w, &after, revs[i]);
        assert_false(after.ended);
        assert_string_equal(fed_buf_z(&after.text), fed_buf_z(&before[i].text));
        before[i].call = NULL;
        stop(&before[i]);
        stop(&after);
    }
    assert_int_equal(list_at(&w, revs[1]), 200);
    assert_string_equal(text(&w), then);
    free(then);
    assert_int_equal(list_at(&w, early), 410);
    watch(&w, &after, early);
    assert_true(after.ended && after.code == FED_E_EXPIRED);
    stop(&after);
    /* The definition changed after the objects did: what they were by the old one is not told as if by the new. */
    redefine(&w, WATT ",\"lumen\":{\"type\":\"integer\",\"default\":5}");
    uint64_t late = revision(&w);
    restart(&w);
    watch(&w, &after, revs[2]);
    assert_true(after.ended && after.code == FED_E_EXPIRED);
    stop(&after);
    watch(&w, &after, late);
    well(&w, "PATCH", LAMPS "/l2", MERGE, "{\"spec\":{\"lumen\":6}}");
    test_env_advance(&w.t, 1);
    assert_false(after.ended);
    assert_non_null(strstr(fed_buf_z(&after.text), "\"lumen\":6"));
    stop(&after);
    world_release(&w);
}

/* The kind went and came again: nothing of the first one's is told to watchers of the second. */
static void came_again(void **state)
{
    (void)state;
    struct world w;
    struct seen s;
    world_init(&w, 0);
    define(&w, WATT, "");
    uint64_t first = revision(&w);
    change_lamps(&w, 2);
    watch(&w, &s, first);
    well(&w, "DELETE", LAMPS "/l1", "", "");
    well(&w, "DELETE", CRDS "/lamps.example.com", "", "");
    assert_int_equal(ask(&w, w.admin, "POST", LAMPS, JSON,
                         "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Lamp\",\"metadata\":{\"name\":\"x\"}}"),
                     405);
    well(&w, "PATCH", CRDS "/lamps.example.com", MERGE, "{\"metadata\":{\"finalizers\":null}}");
    test_env_advance(&w.t, 1);
    assert_true(s.ended && s.code == 0);
    assert_non_null(strstr(fed_buf_z(&s.text), "\n- "));
    stop(&s);
    assert_int_equal(ask(&w, w.admin, "GET", LAMPS, "", ""), 404);
    define(&w, WATT, "");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(list_at(&w, first), 410);
        watch(&w, &s, first);
        assert_true(s.ended && s.code == FED_E_EXPIRED);
        stop(&s);
        watch(&w, &s, revision(&w));
        assert_false(s.ended);
        assert_int_equal(s.text.n, 0);
        stop(&s);
        restart(&w);
    }
    world_release(&w);
}

/* What a schema does not show is not lost: the next one may show it. Defaults are those of today. */
static void stored_under_schemas(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0);
    define(&w, WATT ",\"color\":{\"type\":\"string\"}", "");
    well(&w, "POST", LAMPS, JSON,
         "{\"apiVersion\":\"example.com/"
         "v1\",\"kind\":\"Lamp\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"watt\":1,\"color\":\"red\"}}");
    assert_int_equal(fed_map_count(&w.api->cache.stored), 0);
    for (int turn = 0; turn < 2; turn++) {
        redefine(&w, WATT);
        well(&w, "GET", LAMPS "/a", "", "");
        assert_null(strstr(text(&w), "red"));
        assert_int_equal(fed_map_count(&w.api->cache.stored), 1);
        redefine(&w, WATT ",\"color\":{\"type\":\"string\"},\"on\":{\"type\":\"boolean\",\"default\":true}");
        well(&w, "GET", LAMPS "/a", "", "");
        assert_non_null(strstr(text(&w), "\"color\":\"red\",\"on\":true"));
        redefine(&w, WATT ",\"color\":{\"type\":\"string\"},\"on\":{\"type\":\"boolean\",\"default\":false}");
        if (turn)
            restart(&w);
        well(&w, "GET", LAMPS "/a", "", "");
        assert_non_null(strstr(text(&w), "\"color\":\"red\",\"on\":false"));
    }
    struct fed_json *o = NULL;
    assert_int_equal(fed_json_parse(&w.arena, fed_arena_dup(&w.arena, fed_buf_str(&w.body)), NULL, &o, NULL), 0);
    assert_int_equal(fed_json_int(fed_json_at(o, "metadata", "generation", NULL), 0), 1); /* it was never written */
    well(&w, "PATCH", LAMPS "/a", MERGE, "{\"spec\":{\"watt\":2}}");
    assert_int_equal(fed_map_count(&w.api->cache.stored), 0); /* now it is stored as it is shown */
    redefine(&w, WATT);
    well(&w, "DELETE", LAMPS "/a", "", "");
    assert_int_equal(fed_map_count(&w.api->cache.stored), 0);
    world_release(&w);
}

static int64_t generation(struct world *w)
{
    struct fed_json *o = NULL;
    assert_int_equal(fed_json_parse(&w->arena, fed_arena_dup(&w->arena, fed_buf_str(&w->body)), NULL, &o, NULL), 0);
    return fed_json_int(fed_json_at(o, "metadata", "generation", NULL), -1);
}

static void generations(void **state)
{
    (void)state;
    static const struct {
        const char *path, *patch;
        int plain, split; /* the generation afterwards, without and with the status subresource; -1: not served */
    } steps[] = {
        {LAMPS "/a", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 1, 1},
        {LAMPS "/a", "{\"spec\":{\"watt\":2}}", 2, 2},
        {LAMPS "/a", "{\"status\":{\"on\":true}}", 3, 2},
        {LAMPS "/a/status", "{\"status\":{\"on\":false}}", -1, 2},
        {LAMPS "/a/status", "{\"spec\":{\"watt\":3},\"status\":{\"on\":true}}", -1, 2},
        {LAMPS "/a", "{\"spec\":{\"watt\":2}}", 3, 2},
    };
    for (int split = 0; split < 2; split++) {
        struct world w;
        world_init(&w, 0);
        define(&w, WATT, split ? ",\"subresources\":{\"status\":{}}" : "");
        well(&w, "POST", LAMPS, JSON,
             "{\"apiVersion\":\"example.com/"
             "v1\",\"kind\":\"Lamp\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"watt\":1}}");
        for (size_t i = 0; i < FED_ARRAY_LEN(steps); i++) {
            int want = split ? steps[i].split : steps[i].plain;
            int status = ask(&w, w.admin, "PATCH", steps[i].path, MERGE, steps[i].patch);
            if (want < 0 ? status != 404 : generation(&w) != want)
                fail_msg("step %zu (%d): %s", i, split, text(&w));
        }
        world_release(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(past_over_restart), cmocka_unit_test(came_again),
                                       cmocka_unit_test(stored_under_schemas), cmocka_unit_test(generations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
