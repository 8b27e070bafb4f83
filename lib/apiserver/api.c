/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life: made, loaded from the store, ready, stopped. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/custom.h"
#include "apiserver/custom_convert.h"
#include "apiserver/fence_priv.h"
#include "apiserver/authn.h"
#include "apiserver/rbac.h"
#include "apiserver/admission.h"
#include "apiserver/encryption.h"
#include "apiserver/flow.h"
#include "apiserver/quota.h"
#include "apiserver/quota_guard.h"
#include "apiserver/registry.h"
#include "apiserver/sa_token.h"
#include "apiserver/watch.h"
#include "apiserver/webhook_call.h"
#include "base/mem.h"

enum { QUIET_MS = 3000, TRIM_AFTER = 1000 /* writes */ };

static void on_change(void *ud, const struct store_change *change)
{
    struct fed_api *api = ud;
    bool logged;
    struct fed_err err = {0};
    fed_fence_seen(api, change);
    fed_guard_seen(api, change);
    if (fed_cache_apply(&api->cache, change, &logged, &err)) {
        api->failed = true;
        if (api->conf.failed)
            api->conf.failed(api->conf.ud, &err);
        return;
    }
    if (!logged)
        return;
    fed_custom_changed(api, fed_cache_change(&api->cache, api->cache.next_seq - 1));
    fed_rbac_changed(api->rbac, fed_cache_change(&api->cache, api->cache.next_seq - 1));
    fed_quota_change(api, fed_cache_change(&api->cache, api->cache.next_seq - 1));
    fed_hub_wake(api->hub);
}

static void on_progress(void *ud, uint64_t rev)
{
    fed_api_on_progress(ud, rev);
}

/* Who watches lists again: what follows is no history that a watcher could go on with. */
static void on_gap(void *ud, uint64_t rev)
{
    struct fed_api *api = ud;
    fed_cache_log_gap(&api->cache, rev);
    fed_hub_gap(api->hub);
}

static void on_failed(void *ud, const struct fed_err *err)
{
    struct fed_api *api = ud;
    api->failed = true;
    if (api->conf.failed)
        api->conf.failed(api->conf.ud, err);
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
    fed_list_init(&api->conversions);
    fed_list_init(&api->fences);
    if (!conf->metrics)
        api->conf.metrics = api->own_metrics = fed_metrics_new();
    if (conf->sa_key_pem.n)
        api->conf.sa_key_pem = fed_arena_dup(&api->forever, conf->sa_key_pem);
    if (conf->suspended)
        api->conf.suspended = fed_arena_dupz(&api->forever, fed_str(conf->suspended));
    if (!conf->sa_issuer)
        api->conf.sa_issuer = "kubernetes/serviceaccount";
    if (conf->tokens)
        api->conf.tokens = fed_json_copy(&api->forever, conf->tokens);
    fed_api_metrics_make(api);
    fed_flows_start(api, fed_api_dispatch);
    uint64_t seed;
    fed_random(api->env, &seed, sizeof seed);
    fed_cache_init(&api->cache, conf->kinds, conf->keep_changes ? conf->keep_changes : 20000, seed);
    api->hub = fed_hub_new(api);
    api->rbac = fed_rbac_new();
    api->sa = fed_sa_new(api);
    return api;
}

static void load_live(void *ud, const struct store_change *c)
{
    struct fed_api *api = ud;
    fed_guard_seen(api, c);
    if (!api->failed && fed_cache_load(&api->cache, c, &api->load_err))
        api->failed = true;
}

/* All live keys were told: custom kinds before the history, which is theirs too. */
static void load_customs(struct fed_api *api)
{
    if (api->failed || api->customs_loaded)
        return;
    api->customs_loaded = true;
    fed_cache_live_done(&api->cache);
    if (fed_custom_loaded(api, &api->load_err))
        api->failed = true;
}

static void load_history(void *ud, const struct store_change *c)
{
    struct fed_api *api = ud;
    load_customs(api);
    if (!api->failed)
        fed_history_add(&api->history, &api->cache, c);
}

/* What a burst of writes, or the load, took beyond what it left goes back to the system once it is over. */
static void look_for_quiet(struct fed_timer *t)
{
    struct fed_api *api = fed_container_of(t, struct fed_api, quiet);
    uint64_t rev = api->cache.rev;
    if (rev == api->quiet_rev && rev > api->trimmed_rev + TRIM_AFTER) {
        api->trimmed_rev = rev;
        fed_mem_trim();
    }
    api->quiet_rev = rev;
    fed_timer_start(api->env, t, QUIET_MS, look_for_quiet);
}

static void load_done(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err)
{
    struct fed_api *api = ud;
    if (!code)
        load_customs(api);
    if (code || api->failed) {
        fed_history_release(&api->history);
        api->failed = true;
        if (!code) {
            code = api->load_err.code;
            err = &api->load_err;
        }
        api->on_ready(api->on_ready_ud, code, err);
        return;
    }
    fed_history_done(&api->history, &api->cache, rev, compacted);
    fed_timer_start(api->env, &api->quiet, QUIET_MS, look_for_quiet);
    fed_hub_loaded(api->hub);
    fed_rbac_load(api->rbac, api);
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
    if (fed_sa_defect(api->sa)) {
        fed_err_set(&api->load_err, FED_E_INVALID, "keys of service account tokens: %s", fed_sa_defect(api->sa));
        api->failed = true;
    }
    struct store_handlers h = {
        .on_change = on_change, .on_progress = on_progress, .on_gap = on_gap, .on_failed = on_failed, .ud = api};
    store_set_handlers(api->conf.store, &h);
    api->conf.store->history_max = api->cache.keep;
    api->conf.store->ops->load(api->conf.store, load_live, load_history, load_done, api);
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
    fed_conv_release(api);
    fed_admission_release(api);
    fed_quota_release(api);
    fed_guards_release(api);
    fed_api_encryption_release(api);
    fed_api_locals_stop(api);
    fed_hub_free(api->hub);
    fed_task_cancel(&api->bootstrap);
    fed_timer_stop(api->env, &api->quiet);
    FED_LIST_EACH_SAFE(it, &api->requests) {
        struct fed_api_reply *r = FED_LIST_ENTRY(it, struct fed_api_reply, link);
        fed_authn_leave(r);
        if (r->x && r->closed_set)
            fed_http_on_closed(r->x, NULL, NULL);
        if (r->op) {
            fed_kobj_unref(r->op->converting);
            fed_commit_release(r->op);
        }
        fed_api_request_let_go(r);
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
    fed_custom_release(api);
    fed_flows_release(api);
    fed_api_docs_release(api);
    fed_sa_free(api->sa);
    fed_rbac_free(api->rbac);
    fed_history_release(&api->history);
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

const struct fed_kobj *fed_api_find(struct fed_api *api, const char *group, const char *plural, struct fed_str ns,
                                    struct fed_str name)
{
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, fed_str(group), FED_STR("v1"), fed_str(plural));
    struct fed_kcache *kc = v ? fed_cache_kind(&api->cache, v->kind) : NULL;
    return kc ? fed_cache_find(kc, ns, name) : NULL;
}
