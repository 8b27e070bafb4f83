/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h: controllers of an included cluster with a real engine on virtual time, without agents: pods do what a test says. */
#ifndef TESTS_UNIT_MEMBER_BENCH_H
#define TESTS_UNIT_MEMBER_BENCH_H

#include "kube/informer.h"
#include "member/controllers/controllers.h"
#include "store/store.h"
#include "support/test_env.h"
#include "tests/unit/unit.h"

struct bench {
    struct test_env t;
    struct mbr m;
    struct mbr_conf conf;
    bool ready, closed;
    struct fed_arena a;
};

static inline void bench_on_ready(void *ud, int code, const struct fed_err *err)
{
    (void)err;
    assert_int_equal(code, 0);
    ((struct bench *)ud)->ready = true;
}

static inline void bench_on_closed(void *ud)
{
    ((struct bench *)ud)->closed = true;
}

static inline bool bench_is_ready(void *ud)
{
    return ((struct bench *)ud)->ready;
}

static inline bool bench_is_closed(void *ud)
{
    return ((struct bench *)ud)->closed;
}

static inline void bench_begin(struct bench *b, void (*const *which)(struct mbr_ctl *), size_t n)
{
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    static const char *const spaces[] = {"default", "kube-node-lease", NULL};
    const struct fed_identity who = {.user = FED_STR("member"), .groups = &masters, .n_groups = 1};
    *b = (struct bench){0};
    test_env_init(&b->t, 1);
    struct mbr *m = &b->m;
    b->conf.node_grace_ms = 50000;
    m->conf = &b->conf;
    m->env = &b->t.env;
    fed_list_init(&m->jobs);
    m->kinds = fed_kinds_new();
    assert_int_equal(fed_kinds_add_core(m->kinds, NULL, NULL), 0);
    m->store = store_mem_new(m->env, 0);
    m->api = fed_api_new(&(struct fed_api_conf){.env = m->env,
                                                .store = m->store,
                                                .kinds = m->kinds,
                                                .server_name = "bench",
                                                .git_version = "v1.29.0",
                                                .static_namespaces = spaces});
    fed_api_start(m->api, bench_on_ready, b);
    assert_true(test_env_run(&b->t, bench_is_ready, b));
    m->client = fed_api_local(m->api, &who);
    for (int k = 0; k < MBR_N_KINDS; k++)
        m->informers[k] = fed_informer_new(
            &(struct fed_informer_conf){.transport = m->client, .resource = mbr_resource((enum mbr_kind)k)});
    m->pods = mbr_pods_new(m);
    m->controllers = mbr_controllers_some(m, which, n);
    for (int k = 0; k < MBR_N_KINDS; k++)
        fed_informer_start(m->informers[k]);
    test_env_advance(&b->t, 100);
}

static inline void bench_end(struct bench *b)
{
    struct mbr *m = &b->m;
    mbr_controllers_free(m->controllers);
    for (int k = 0; k < MBR_N_KINDS; k++)
        fed_informer_free(m->informers[k]);
    mbr_pods_free(m->pods);
    fed_transport_free(m->client);
    mbr_jobs_release(m);
    m->store->ops->close(m->store, bench_on_closed, b);
    assert_true(test_env_run(&b->t, bench_is_closed, b));
    fed_api_free(m->api);
    fed_kinds_free(m->kinds);
    fed_arena_release(&b->a);
    test_env_release(&b->t);
}

static inline void bench_answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    (void)ud;
    (void)res;
    if (code < 0)
        fail_msg("%s", err ? err->text : "failed");
}

/* Single quotes are written as double ones. Nothing is waited for. */
static inline void bench_ask(struct bench *b, const char *method, const char *path, const char *body)
{
    char *z = fed_arena_dupz(&b->a, fed_str(body ? body : ""));
    for (char *p = z; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    struct fed_call_request req = {.method = method, .path = fed_str(path), .body = fed_str(z)};
    if (strcmp(method, "PATCH") == 0)
        req.content_type = FED_STR("application/merge-patch+json");
    b->m.client->ops->call(b->m.client, &req, bench_answered, b);
}

static inline void bench_call(struct bench *b, const char *method, const char *path, const char *body)
{
    bench_ask(b, method, path, body);
    test_env_advance(&b->t, 50);
}

#endif
