/* SPDX-License-Identifier: Apache-2.0 */
/* harness.h: an API server over the mem store in virtual time, called through the local transport. */
#ifndef TESTS_UNIT_APISERVER_HARNESS_H
#define TESTS_UNIT_APISERVER_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/apiserver.h"
#include "base/mem.h"
#include "support/test_env.h"

struct world {
    struct test_env t;
    struct store *store;
    struct fed_kinds *kinds;
    struct fed_api *api;
    struct fed_transport *admin, *bob;
    struct fed_arena arena;
    bool ready, done;
    bool threaded; /* the store has a thread: virtual time must not run on while it works */
    int status, code;
    struct fed_buf body;
    char err[600];
};

static const char widget_kind[] =
    "{\"group\":\"test.hansa.io\",\"kind\":\"Widget\",\"plural\":\"widgets\",\"singular\":\"widget\",\"shortNames\":"
    "[\"wi\"],\"namespaced\":true,\"residence\":\"both\",\"storageVersion\":\"v1\",\"nameRule\":\"subdomain\","
    "\"generation\":true,\"subresources\":{\"status\":true,\"scale\":{\"specReplicasPath\":\".spec.replicas\","
    "\"statusReplicasPath\":\".status.replicas\",\"labelSelectorPath\":\".status.selector\"}},"
    "\"selectableFields\":[\"spec.color\"],"
    "\"versions\":[{\"name\":\"v1\",\"served\":true,\"columns\":[{\"name\":\"Color\",\"type\":\"string\",\"jsonPath\":"
    "\".spec.color\"}],\"schema\":{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{"
    "\"replicas\":{\"type\":\"integer\",\"format\":\"int32\",\"minimum\":0,\"default\":1},\"color\":{\"type\":"
    "\"string\"}"
    "}},\"status\":{\"type\":\"object\",\"properties\":{\"replicas\":{\"type\":\"integer\"},\"selector\":{\"type\":"
    "\"string\"}}}}}},"
    "{\"name\":\"v1beta1\",\"served\":true,\"deprecated\":\"old\",\"schema\":{\"type\":\"object\",\"properties\":{"
    "\"spec\":{\"type\":\"object\",\"properties\":{\"replicas\":{\"type\":\"integer\"},\"color\":{\"type\":\"string\"}}"
    "},"
    "\"status\":{\"type\":\"object\",\"properties\":{\"replicas\":{\"type\":\"integer\"},\"selector\":{\"type\":"
    "\"string\"}}}}}}]}";

static void on_ready(void *ud, int code, const struct fed_err *err)
{
    struct world *w = ud;
    if (code)
        fail_msg("start: %s", err->text);
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

static inline bool world_run(struct world *w, bool (*until)(void *ud))
{
    for (int i = 0; w->threaded && !until(w) && i < 100000; i++) {
        test_env_drain(&w->t);
        usleep(until(w) ? 0 : 50);
    }
    return until(w) || test_env_run(&w->t, until, w);
}

static inline void world_init(struct world *w, uint64_t keep)
{
    static const char *const core[] = {"/namespaces",
                                       "/configmaps",
                                       "/serviceaccounts",
                                       "/pods",
                                       "apiextensions.k8s.io/customresourcedefinitions",
                                       "rbac.authorization.k8s.io/clusterroles",
                                       "rbac.authorization.k8s.io/clusterrolebindings",
                                       "rbac.authorization.k8s.io/roles",
                                       "rbac.authorization.k8s.io/rolebindings",
                                       NULL};
    static const char *const spaces[] = {"default", "other", NULL};
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    struct fed_err err = {0};
    struct fed_json *doc = NULL;
    memset(w, 0, sizeof *w);
    test_env_init(&w->t, 7);
    w->store = store_mem_new(&w->t.env, 0);
    w->kinds = fed_kinds_new();
    if (fed_kinds_add_core(w->kinds, core, &err) || fed_json_parse(&w->arena, FED_STR(widget_kind), NULL, &doc, &err) ||
        fed_kinds_add(w->kinds, doc, &err))
        fail_msg("kinds: %s", err.text);
    struct fed_api_conf conf = {.env = &w->t.env,
                                .store = w->store,
                                .kinds = w->kinds,
                                .server_name = "test",
                                .git_version = "v1.29.0+test",
                                .static_namespaces = spaces,
                                .keep_changes = keep};
    w->api = fed_api_new(&conf);
    fed_api_start(w->api, on_ready, w);
    assert_true(test_env_run(&w->t, is_ready, w));
    struct fed_identity admin = {.user = FED_STR("admin"), .groups = &masters, .n_groups = 1};
    struct fed_identity bob = {.user = FED_STR("bob")};
    w->admin = fed_api_local(w->api, &admin);
    w->bob = fed_api_local(w->api, &bob);
}

static void store_gone(void *ud)
{
    ((struct world *)ud)->done = true;
}

static inline void world_release(struct world *w)
{
    fed_transport_free(w->admin);
    fed_transport_free(w->bob);
    fed_api_free(w->api);
    w->done = false;
    w->store->ops->close(w->store, store_gone, w);
    assert_true(world_run(w, is_done));
    fed_kinds_free(w->kinds);
    fed_buf_release(&w->body);
    fed_arena_release(&w->arena);
    test_env_release(&w->t);
}

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct world *w = ud;
    w->done = true;
    w->code = code;
    w->status = res->http_status;
    snprintf(w->err, sizeof w->err, "%s", err ? err->text : "");
    fed_buf_reset(&w->body);
    fed_buf_add(&w->body, res->body);
}

/* One call as `t`, to its answer. Returns the HTTP status; the body is in w->body. */
static inline int ask(struct world *w, struct fed_transport *t, const char *method, const char *path, const char *type,
                      const char *body)
{
    struct fed_call_request req = {.method = method, .path = fed_str(path), .body = fed_str(body)};
    struct fed_str full = fed_str(type), accept;
    /* "TYPE > ACCEPT" */
    ptrdiff_t cut = fed_str_chr(full, '>', 0);
    accept = cut < 0 ? (struct fed_str){NULL, 0} : fed_str_trim(fed_str_from(full, (size_t)cut + 1));
    req.content_type = fed_str_trim(cut < 0 ? full : fed_str_head(full, (size_t)cut));
    req.accept = accept;
    w->done = false;
    t->ops->call(t, &req, answered, w);
    if (!world_run(w, is_done))
        fail_msg("%s %s: no answer", method, path);
    return w->status;
}

static inline const char *text(struct world *w)
{
    return fed_buf_z(&w->body);
}

#endif
