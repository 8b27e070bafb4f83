/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life: made, loaded from the store, ready, stopped. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/fence_priv.h"
#include "apiserver/admission.h"
#include "apiserver/encryption.h"
#include "apiserver/flow.h"
#include "apiserver/quota.h"
#include "apiserver/registry.h"
#include "apiserver/watch.h"
#include "apiserver/webhook_call.h"
#include "base/mem.h"

static void on_change(void *ud, const struct store_change *change)
{
    struct fed_api *api = ud;
    bool logged;
    struct fed_err err = {0};
    fed_fence_seen(api, change);
    if (fed_cache_apply(&api->cache, change, &logged, &err)) {
        api->failed = true;
        if (api->conf.failed)
            api->conf.failed(api->conf.ud, &err);
        return;
    }
    if (!logged)
        return;
    fed_quota_change(api, fed_cache_change(&api->cache, api->cache.next_seq - 1));
    fed_hub_wake(api->hub);
}

static void on_progress(void *ud, uint64_t rev)
{
    fed_api_on_progress(ud, rev);
}

static void on_failed(void *ud, const struct fed_err *err)
{
    struct fed_api *api = ud;
    api->failed = true;
    if (api->conf.failed)
        api->conf.failed(api->conf.ud, err);
}

static void make_metrics(struct fed_api *api)
{
    static const double seconds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
    struct fed_metrics *m = api->conf.metrics;
    api->m_requests = fed_metrics_family(m, FED_METRIC_COUNTER, "apiserver_request_total",
                                         "Requests by verb, resource and HTTP code.", "verb,resource,code", NULL, 0);
    api->m_latency = fed_metrics_family(m, FED_METRIC_HISTOGRAM, "apiserver_request_duration_seconds",
                                        "Time from a request's arrival to its answer, by verb.", "verb", seconds,
                                        FED_ARRAY_LEN(seconds));
    api->m_watchers = fed_metrics_gauge(m, "apiserver_longrunning_requests", "Watches open now.");
    api->m_events = fed_metrics_counter(m, "hansa_watch_events_total", "Watch events sent to all watchers.");
    api->m_fenced = fed_metrics_counter(m, "hansa_fenced_writes_total",
                                        "Writes of controllers refused because another process leads them.");
    api->m_objects = fed_metrics_gauge(m, "hansa_store_revision", "Revision of the state served.");
}

struct fed_api *fed_api_new(const struct fed_api_conf *conf)
{
    struct fed_api *api = FED_NEW(struct fed_api);
    api->conf = *conf;
    api->env = conf->env;
    fed_list_init(&api->requests);
    fed_list_init(&api->idle);
    fed_list_init(&api->checks);
    fed_list_init(&api->locals);
    fed_list_init(&api->fences);
    if (!conf->metrics)
        api->conf.metrics = api->own_metrics = fed_metrics_new();
    if (conf->sa_key_pem.n)
        api->conf.sa_key_pem = fed_arena_dup(&api->forever, conf->sa_key_pem);
    if (!conf->sa_issuer)
        api->conf.sa_issuer = "kubernetes/serviceaccount";
    if (conf->tokens)
        api->conf.tokens = fed_json_copy(&api->forever, conf->tokens);
    make_metrics(api);
    fed_flows_start(api);
    uint64_t seed;
    fed_random(api->env, &seed, sizeof seed);
    fed_cache_init(&api->cache, conf->kinds, conf->keep_changes ? conf->keep_changes : 20000, seed);
    api->hub = fed_hub_new(api);
    return api;
}

static void load_live(void *ud, const struct store_change *c)
{
    struct fed_api *api = ud;
    if (!api->failed && fed_cache_load(&api->cache, c, &api->load_err))
        api->failed = true;
}

static void load_done(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err)
{
    struct fed_api *api = ud;
    (void)compacted;
    if (code || api->failed) {
        api->failed = true;
        if (!code) {
            code = api->load_err.code;
            err = &api->load_err;
        }
        api->on_ready(api->on_ready_ud, code, err);
        return;
    }
    /* History is not replayed: a watcher from before the restart lists again (410). */
    fed_cache_loaded(&api->cache, rev);
    fed_quota_start(api);
    fed_api_encryption_sweep(api);
    fed_api_bootstrap(api);
}

static void start_refused(struct fed_task *t)
{
    struct fed_api *api = fed_container_of(t, struct fed_api, bootstrap);
    api->on_ready(api->on_ready_ud, api->load_err.code, &api->load_err);
}

void fed_api_start(struct fed_api *api, void (*ready)(void *ud, int code, const struct fed_err *err), void *ud)
{
    api->on_ready = ready;
    api->on_ready_ud = ud;
    struct fed_err err = {0};
    if (fed_api_encryption_start(api, &err)) {
        api->load_err = err;
        api->failed = true;
        fed_task_post(api->env, &api->bootstrap, start_refused);
        return;
    }
    struct store_handlers h = {.on_change = on_change, .on_progress = on_progress, .on_failed = on_failed, .ud = api};
    store_set_handlers(api->conf.store, &h);
    api->conf.store->ops->load(api->conf.store, load_live, NULL, load_done, api);
}

void fed_api_stop(struct fed_api *api)
{
    if (api->stopped)
        return;
    api->stopped = true;
    fed_hub_stop(api->hub);
}

void fed_api_free(struct fed_api *api)
{
    if (!api)
        return;
    fed_api_stop(api);
    fed_webhooks_release(api);
    fed_admission_release(api);
    fed_quota_release(api);
    fed_api_encryption_release(api);
    fed_api_locals_stop(api);
    fed_hub_free(api->hub);
    fed_task_cancel(&api->bootstrap);
    FED_LIST_EACH_SAFE(it, &api->requests) {
        struct fed_api_reply *r = FED_LIST_ENTRY(it, struct fed_api_reply, link);
        if (r->x && r->closed_set)
            fed_http_on_closed(r->x, NULL, NULL);
        if (r->op)
            fed_commit_release(r->op);
        fed_arena_release(&r->arena);
        free(r);
    }
    FED_LIST_EACH_SAFE(it, &api->idle) {
        struct fed_api_reply *r = FED_LIST_ENTRY(it, struct fed_api_reply, link);
        fed_arena_release(&r->arena);
        free(r);
    }
    FED_LIST_EACH_SAFE(it, &api->checks) {
        struct fed_api_check *c = FED_LIST_ENTRY(it, struct fed_api_check, link);
        free(c->name);
        free(c);
    }
    fed_flows_release(api);
    fed_api_docs_release(api);
    fed_api_tokens_release(api);
    fed_cache_release(&api->cache);
    fed_metrics_free(api->own_metrics);
    fed_arena_release(&api->forever);
    free(api);
}

void fed_api_add_check(struct fed_api *api, const char *name, bool (*ok)(void *ud), void *ud)
{
    struct fed_api_check *c = FED_NEW(struct fed_api_check);
    c->name = fed_strdup(name);
    c->ok = ok;
    c->ud = ud;
    fed_list_push_back(&api->checks, &c->link);
}

void fed_api_now(struct fed_api *api, char out[21])
{
    fed_time_format(fed_wall_ms(api->env), out);
}
