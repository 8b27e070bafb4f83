/* SPDX-License-Identifier: Apache-2.0 */
/* One request by somebody who may do everything, through the whole engine over a store in memory: routing, parameters (selectors,
 * continue tokens, revisions, options), bodies of all types, the four patches, deletion, scale. It is answered, and the answer
 * is JSON where it says so; what it leaves behind can be listed.
 *
 * Input: "METHOD PATH?QUERY\nCONTENT-TYPE\nBODY". */
#include <stdint.h>

#include "apiserver/apiserver.h"
#include "support/test_env.h"

struct world {
    struct test_env t;
    struct store *store;
    struct fed_api *api;
    struct fed_transport *admin;
    bool ready, done, gone;
    int status;
    struct fed_buf body;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fed_kinds *kinds_once(void)
{
    static const char *const core[] = {"/namespaces", "/configmaps",      "/secrets", "/pods",
                                       "/services",   "apps/deployments", NULL};
    static struct fed_kinds *kinds;
    if (!kinds) {
        kinds = fed_kinds_new();
        FED_REQUIRE(fed_kinds_add_core(kinds, core, NULL) == 0);
    }
    return kinds;
}

static void on_ready(void *ud, int code, const struct fed_err *err)
{
    struct world *w = ud;
    (void)err;
    FED_REQUIRE(code == 0);
    w->ready = true;
}

static bool is_ready(void *ud)
{
    return ((struct world *)ud)->ready;
}

static bool is_done(void *ud)
{
    return ((struct world *)ud)->done;
}

static bool is_gone(void *ud)
{
    return ((struct world *)ud)->gone;
}

static void gone(void *ud)
{
    ((struct world *)ud)->gone = true;
}

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct world *w = ud;
    (void)code;
    (void)err;
    w->done = true;
    w->status = res->http_status;
    fed_buf_reset(&w->body);
    fed_buf_add(&w->body, res->body);
}

static void ask(struct world *w, const char *method, struct fed_str path, struct fed_str type, struct fed_str body)
{
    struct fed_call_request req = {.method = method, .path = path, .content_type = type, .body = body};
    w->done = false;
    w->admin->ops->call(w->admin, &req, answered, w);
    FED_REQUIRE(test_env_run(&w->t, is_done, w));
}

static void start(struct world *w)
{
    static const char *const spaces[] = {"default", NULL};
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    static const char there[] = "{\"metadata\":{\"name\":\"there\",\"labels\":{\"a\":\"b\"}},\"data\":{\"a\":\"b\"}}";
    static const char web[] =
        "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{"
        "\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}";
    test_env_init(&w->t, 7);
    w->store = store_mem_new(&w->t.env, 0);
    w->api = fed_api_new(&(struct fed_api_conf){.env = &w->t.env,
                                                .store = w->store,
                                                .kinds = kinds_once(),
                                                .server_name = "fuzz",
                                                .git_version = "v1.29.0",
                                                .static_namespaces = spaces});
    fed_api_start(w->api, on_ready, w);
    FED_REQUIRE(test_env_run(&w->t, is_ready, w));
    w->admin =
        fed_api_local(w->api, &(struct fed_identity){.user = FED_STR("admin"), .groups = &masters, .n_groups = 1});
    struct fed_str json = FED_STR("application/json");
    ask(w, "POST", FED_STR("/api/v1/namespaces/default/configmaps"), json, FED_STR(there));
    FED_REQUIRE(w->status == 201);
    ask(w, "POST", FED_STR("/apis/apps/v1/namespaces/default/deployments"), json, FED_STR(web));
    FED_REQUIRE(w->status == 201);
}

static void stop(struct world *w)
{
    fed_transport_free(w->admin);
    fed_api_free(w->api);
    w->store->ops->close(w->store, gone, w);
    FED_REQUIRE(test_env_run(&w->t, is_gone, w));
    fed_buf_release(&w->body);
    test_env_release(&w->t);
}

static void check_json(struct world *w)
{
    struct fed_arena a = {0};
    struct fed_json *v = NULL;
    struct fed_str text = fed_buf_str(&w->body);
    if (text.n && text.p[0] == '{')
        FED_REQUIRE(fed_json_parse(&a, text, &(struct fed_json_limits){.max_bytes = SIZE_MAX / 2, .max_depth = 400}, &v,
                                   NULL) == 0);
    fed_arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str rest = {(const char *)data, size}, line, method, type;
    struct fed_arena a = {0};
    struct world w = {0};
    if (!fed_str_cut(&rest, '\n', &line) || !fed_str_cut(&line, ' ', &method) || !line.n || line.p[0] != '/' ||
        !fed_str_cut(&rest, '\n', &type) || method.n > 20)
        return 0;
    if (fed_str_find(line, FED_STR("watch"), 0) >= 0) /* lasts for ever */
        return 0;
    start(&w);
    ask(&w, fed_arena_dupz(&a, method), line, type, rest.p ? rest : (struct fed_str){"", 0});
    FED_REQUIRE(w.status >= 200 && w.status < 600);
    check_json(&w);
    ask(&w, "GET", FED_STR("/api/v1/namespaces/default/configmaps"), (struct fed_str){NULL, 0},
        (struct fed_str){"", 0});
    FED_REQUIRE(w.status == 200);
    check_json(&w);
    stop(&w);
    fed_arena_release(&a);
    return 0;
}
