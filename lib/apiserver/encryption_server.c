/* SPDX-License-Identifier: Apache-2.0 */
/* The server's encryption: its file, read again when it changed, and the sweep that rewrites values which lie in the
 * store otherwise than they should: plain ones that are to be encrypted, those of an old key, encrypted ones that are to
 * be plain. A rewritten object is the same object at a new revision; one that somebody else writes meanwhile is written
 * with the right key by that. */
#include "apiserver/encryption.h"

#include "apiserver/apiserver_priv.h"
#include "base/file.h"
#include "base/mem.h"

#define CHECK_EVERY_MS 10000u
#define AT_ONCE        16u /* rewrites under way: requests go first */

struct rewrite {
    struct fed_list link;
    struct fed_kcache *kc;
    struct fed_str ns, name;
    struct fed_arena arena;
    struct fed_api *api;
};
struct fed_encryption_state {
    struct fed_encryption *now;
    struct fed_file_stamp stamp;
    struct fed_timer timer;
    struct fed_api *api;
    struct fed_list waiting;
    size_t running, done;
    struct fed_metric *m_left;
};

static struct fed_encryption_state *state_of(struct fed_api *api)
{
    struct fed_encryption_state *s = api->encryption;
    if (s)
        return s;
    s = api->encryption = FED_NEW(struct fed_encryption_state);
    s->api = api;
    fed_list_init(&s->waiting);
    s->m_left =
        fed_metrics_gauge(api->conf.metrics, "hansa_encryption_objects_to_rewrite",
                          "Objects whose stored value is not encrypted as the configuration says, being rewritten.");
    return s;
}

static void notice(struct fed_api *api, int code, const char *text)
{
    if (api->conf.notice)
        api->conf.notice(api->conf.ud, code, text);
}

/* --- the sweep --- */

static void rewrite_free(struct rewrite *w)
{
    fed_list_remove(&w->link);
    fed_arena_release(&w->arena);
    free(w);
}

static void go(struct fed_encryption_state *s);

static void rewritten(void *ud, int code, uint64_t rev, const struct fed_err *err)
{
    struct rewrite *w = ud;
    struct fed_encryption_state *s = w->api->encryption;
    (void)rev;
    (void)err;
    (void)code; /* a conflict is as good; after any other failure the store is gone, or the next sweep comes */
    s->running--;
    s->done++;
    fed_metric_add(s->m_left, -1);
    rewrite_free(w);
    if (!s->running && fed_list_empty(&s->waiting)) {
        char text[80];
        snprintf(text, sizeof text, "encryption: %zu stored objects rewritten", s->done);
        s->done = 0;
        notice(s->api, 0, text);
    }
    go(s);
}

static bool is_stale(const struct fed_cache *c, const struct fed_kind *kind, struct fed_str key)
{
    return !fed_str_eq(fed_cache_key_id(c, key), fed_encryption_writer(c->encryption, kind));
}

/* False: nothing to do any more. */
static bool start(struct rewrite *w)
{
    struct fed_api *api = w->api;
    struct fed_kobj *o = fed_cache_find(w->kc, w->ns, w->name);
    struct fed_buf key = {0}, plain = {0}, value = {0};
    fed_cache_key(w->kc->kind, w->ns, w->name, &key);
    bool wanted = o && is_stale(&api->cache, w->kc->kind, fed_buf_str(&key));
    if (wanted) {
        struct fed_arena scratch = {0};
        fed_cache_encode(w->kc->kind, fed_kobj_parse(o, &scratch), &plain);
        fed_arena_release(&scratch);
        wanted = fed_encryption_seal(api->cache.encryption, api->env, w->kc->kind, fed_buf_str(&key),
                                     fed_buf_str(&plain), &value, NULL) == 0;
    }
    if (wanted) {
        struct fed_blob *blob = fed_blob_new_take(&value);
        struct store_op op = {.key = fed_buf_str(&key), .value = blob, .expect = o->rev};
        api->conf.store->ops->commit(api->conf.store, &op, 1, rewritten, w);
        fed_blob_unref(blob);
    }
    fed_buf_release(&key);
    fed_buf_release(&plain);
    fed_buf_release(&value);
    return wanted;
}

static void go(struct fed_encryption_state *s)
{
    while (s->running < AT_ONCE && !fed_list_empty(&s->waiting) && !s->api->stopped && !s->api->failed) {
        struct rewrite *w = FED_LIST_ENTRY(s->waiting.next, struct rewrite, link);
        fed_list_remove(&w->link);
        if (start(w)) {
            s->running++;
        } else {
            fed_metric_add(s->m_left, -1);
            rewrite_free(w);
        }
    }
}

static bool collect(void *ud, struct fed_kobj *o)
{
    struct fed_encryption_state *s = ((struct fed_api *)ud)->encryption;
    struct fed_api *api = ud;
    const struct fed_kind_version *v = fed_kinds_by_kind(api->conf.kinds, o->api_version, o->kind);
    struct fed_buf key = {0};
    if (!v)
        return true;
    fed_cache_key(v->kind, o->ns, o->name, &key);
    if (is_stale(&api->cache, v->kind, fed_buf_str(&key))) {
        struct rewrite *w = FED_NEW(struct rewrite);
        w->api = api;
        w->kc = fed_cache_kind(&api->cache, v->kind);
        w->ns = fed_arena_dup(&w->arena, o->ns);
        w->name = fed_arena_dup(&w->arena, o->name);
        fed_list_push_back(&s->waiting, &w->link);
        fed_metric_add(s->m_left, 1);
    }
    fed_buf_release(&key);
    return true;
}

static void forget_waiting(struct fed_encryption_state *s)
{
    FED_LIST_EACH_SAFE(it, &s->waiting) {
        rewrite_free(FED_LIST_ENTRY(it, struct rewrite, link));
        fed_metric_add(s->m_left, -1);
    }
}

void fed_api_encryption_sweep(struct fed_api *api)
{
    struct fed_str none = {NULL, 0};
    if (!api->encryption)
        return;
    forget_waiting(api->encryption);
    FED_MAP_EACH(e, &api->cache.kinds) {
        struct fed_kcache *kc = e->value;
        /* Where values are plain and are to be, nothing is looked at unless something is encrypted. */
        if (kc->n && (fed_map_count(&api->cache.sealed) ||
                      !fed_str_is(fed_encryption_writer(api->cache.encryption, kc->kind), "-")))
            fed_tree_walk(kc->root, none, none, none, collect, api);
    }
    go(api->encryption);
}

/* --- the configuration --- */

int fed_api_set_encryption(struct fed_api *api, struct fed_encryption *e, struct fed_err *err)
{
    FED_MAP_EACH(it, &api->cache.sealed) {
        struct fed_str id = fed_str(it->value);
        if (fed_encryption_has(e, id))
            continue;
        fed_err_set(err, FED_E_INVALID, "the key \"%.*s\" is needed by %.*s", FED_STR_ARG(id), FED_STR_ARG(it->key));
        fed_encryption_free(e);
        return FED_E_INVALID;
    }
    struct fed_encryption_state *s = state_of(api);
    fed_encryption_free(s->now);
    s->now = e;
    api->cache.encryption = e;
    if (api->ready)
        fed_api_encryption_sweep(api);
    return 0;
}

static int load_file(struct fed_api *api, struct fed_err *err)
{
    struct fed_buf text = {0};
    struct fed_encryption *e = NULL;
    fed_buf_init(&text, 1024 * 1024);
    int rc = fed_file_read(api->conf.encryption_config, 1024 * 1024, &text, err);
    if (rc == 0)
        rc = fed_encryption_parse(fed_buf_str(&text), &e, err);
    if (rc == 0)
        rc = fed_api_set_encryption(api, e, err);
    if (text.p)
        explicit_bzero(text.p, text.n);
    fed_buf_release(&text);
    return rc ? fed_err_wrap(err, rc, "%s", api->conf.encryption_config) : 0;
}

static void reload(struct fed_api *api)
{
    struct fed_err err = {0};
    (void)fed_file_stamp(api->conf.encryption_config, &api->encryption->stamp);
    if (load_file(api, &err)) {
        struct fed_err said = err;
        (void)fed_err_wrap(&said, err.code, "the encryption configuration stays as it was");
        notice(api, err.code, said.text);
    } else {
        notice(api, 0, "the encryption configuration was read again");
    }
}

void fed_api_reload(struct fed_api *api)
{
    if (api->encryption && api->conf.encryption_config)
        reload(api);
}

static void on_timer(struct fed_timer *t)
{
    struct fed_encryption_state *s = fed_container_of(t, struct fed_encryption_state, timer);
    struct fed_file_stamp now;
    if (fed_file_stamp(s->api->conf.encryption_config, &now) && memcmp(&now, &s->stamp, sizeof now) != 0)
        reload(s->api);
    fed_timer_start(s->api->env, &s->timer, CHECK_EVERY_MS, on_timer);
}

int fed_api_encryption_start(struct fed_api *api, struct fed_err *err)
{
    if (!api->conf.encryption_config)
        return 0;
    struct fed_encryption_state *s = state_of(api);
    (void)fed_file_stamp(api->conf.encryption_config, &s->stamp);
    fed_timer_start(api->env, &s->timer, CHECK_EVERY_MS, on_timer);
    return load_file(api, err);
}

void fed_api_encryption_release(struct fed_api *api)
{
    struct fed_encryption_state *s = api->encryption;
    if (!s)
        return;
    fed_timer_stop(api->env, &s->timer);
    forget_waiting(s);
    fed_encryption_free(s->now);
    api->cache.encryption = NULL;
    api->encryption = NULL;
    free(s);
}
