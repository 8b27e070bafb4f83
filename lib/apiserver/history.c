/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/history.h"

#include "base/mem.h"

#define MAX_BYTES (64u * 1024 * 1024)

static size_t cost(const struct fed_change *ch)
{
    const struct fed_kobj *live = fed_cache_find(ch->kc, ch->now->ns, ch->now->name);
    return ch->now == live ? 0 : ch->now->json.n;
}

static void drop_first(struct fed_history *h, struct fed_cache *c)
{
    h->bytes -= FED_MIN(h->bytes, cost(fed_cache_change(c, c->first_seq)));
    fed_cache_log_drop(c);
}

static void cut(struct fed_history *h, struct fed_cache *c, uint64_t rev)
{
    while (c->first_seq < c->next_seq)
        drop_first(h, c);
    h->cut = rev;
}

/* The key's state from now on: a reference, or NULL. */
static void note(struct fed_history *h, struct fed_str key, struct fed_kobj *o)
{
    fed_kobj_unref(fed_map_find(&h->last, key));
    fed_map_set(&h->last, key, fed_kobj_ref(o));
}

static int read_old(struct fed_history *h, struct fed_kcache *kc, const struct store_change *change,
                    struct fed_kobj **out)
{
    *out = NULL;
    if (fed_map_has(&h->last, change->key)) {
        *out = fed_kobj_ref(fed_map_find(&h->last, change->key));
        return 0;
    }
    if (change->create_rev == change->rev)
        return 0;
    if (!change->before)
        return FED_E_NOT_FOUND;
    struct store_change past = {.key = change->key, .value = change->before, .rev = change->before_rev};
    int code = fed_cache_decode(kc, &past, out, NULL);
    if (!code)
        h->bytes += (*out)->json.n;
    return code;
}

static int read_now(struct fed_kcache *kc, const struct store_change *change, const struct fed_kobj *old,
                    struct fed_kobj **out)
{
    struct fed_str ns, name;
    *out = NULL;
    if (!change->value) {
        *out = old ? fed_cache_restamp(old, change->rev) : NULL;
        return old ? 0 : FED_E_NOT_FOUND;
    }
    (void)fed_cache_of_key(kc->cache, change->key, &ns, &name);
    struct fed_kobj *live = fed_cache_find(kc, ns, name);
    if (live && live->rev == change->rev) {
        *out = fed_kobj_ref(live);
        return 0;
    }
    return fed_cache_decode(kc, change, out, NULL);
}

/* The key's past from here on cannot be told. A custom kind loses only its own. */
static void lose(struct fed_history *h, struct fed_cache *c, struct fed_kcache *kc, uint64_t rev)
{
    if (kc->kind->custom)
        kc->since = FED_MAX(kc->since, rev);
    else
        cut(h, c, rev);
}

/* Before the kind's definition was as it is: nothing that a watcher may see, but the state before what comes. */
static void remember(struct fed_history *h, struct fed_kcache *kc, const struct store_change *change)
{
    struct fed_kobj *o = NULL;
    if (!change->value || fed_cache_decode(kc, change, &o, NULL) == 0)
        note(h, change->key, o);
    fed_kobj_unref(o);
}

void fed_history_add(struct fed_history *h, struct fed_cache *c, const struct store_change *change)
{
    struct fed_str ns, name;
    struct fed_kcache *kc = fed_cache_of_key(c, change->key, &ns, &name);
    fed_cache_live_done(c);
    if (!kc)
        return;
    if (change->rev <= kc->since) {
        remember(h, kc, change);
        return;
    }
    struct fed_change ch = {.rev = change->rev, .kc = kc, .deleted = !change->value};
    int unknown = read_old(h, kc, change, &ch.old);
    int code = read_now(kc, change, ch.old, &ch.now);
    if (!code)
        note(h, change->key, ch.deleted ? NULL : ch.now);
    if (code || unknown) {
        if (code && fed_map_has(&h->last, change->key)) { /* nothing is known of it until its next change */
            fed_kobj_unref(fed_map_find(&h->last, change->key));
            (void)fed_map_remove(&h->last, change->key);
        }
        fed_kobj_unref(ch.old);
        fed_kobj_unref(ch.now);
        lose(h, c, kc, change->rev);
        return;
    }
    fed_cache_log_add(c, &ch);
    h->bytes += cost(&ch);
    while (h->bytes > MAX_BYTES && c->first_seq < c->next_seq)
        drop_first(h, c);
}

void fed_history_done(struct fed_history *h, struct fed_cache *c, uint64_t rev, uint64_t since)
{
    uint64_t floor = FED_MAX(FED_MAX(since, h->cut), c->floor); /* what was dropped on the way counts as well */
    fed_cache_loaded(c, rev);
    c->floor = floor;
    fed_history_release(h);
}

void fed_history_release(struct fed_history *h)
{
    FED_MAP_EACH(e, &h->last)
        fed_kobj_unref(e->value);
    fed_map_release(&h->last);
    *h = (struct fed_history){0};
}
