/* SPDX-License-Identifier: Apache-2.0 */
/* Reading all keys.
 *
 * At the start: a mark is written; its revision is the one that is read, in pages; the watch then begins after the last
 * compaction, or as far back as is wanted, and gives the history up to the mark's own event, which tells that it is
 * complete.
 *
 * After a compaction took our place in the watch: all keys again, at one revision; what differs from the index is
 * delivered in revision order, deletions last and at that revision. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/etcd_priv.h"

#define PAGE_MIN   16u
#define PAGE_MAX   5000u
#define PAGE_BYTES (8u * 1024 * 1024)

struct etcd_reload {
    struct found {
        char *key;
        size_t n;
        struct fed_blob *value;
        uint64_t rev, create_rev;
    } * found;
    size_t n, cap;
};

static void ask_page(struct etcd *e);
static void ask_mark(struct etcd *e, bool read_only);

/* --- the end of the first load --- */

void etcd_load_fail(struct etcd *e, int code, const struct fed_err *err)
{
    struct fed_err copy = *err;
    e->phase = ETCD_IDLE;
    e->failed = true;
    etcd_disconnect(e);
    e->loaded(e->load_ud, code, 0, 0, &copy);
}

/* The revision after which history is told: not more of it than is wanted, or a start takes as long as all of it. The
 * mark itself is no change. */
static uint64_t history_since(const struct etcd *e)
{
    uint64_t max = e->base.history_max, before_mark = e->load_rev - 1;
    return max && before_mark > max ? before_mark - max : 0;
}

static void pages_done(struct etcd *e)
{
    e->seen = e->load_rev;
    e->n_seen = 0;
    e->settled = e->load_rev;
    if (!e->history) {
        e->compacted = e->load_rev;
        etcd_go_live(e);
        etcd_watch_open(e, e->load_rev + 1);
        return;
    }
    e->phase = ETCD_HISTORY;
    e->settled = e->seen = e->compacted = history_since(e);
    etcd_watch_open(e, e->settled + 1);
}

/* --- the difference after a reload --- */

static void keep(struct etcd *e, const struct etcd_kv *kv, struct fed_str key)
{
    struct etcd_reload *r = e->reload;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->found = fed_realloc(r->found, r->cap * sizeof *r->found);
    }
    r->found[r->n++] = (struct found){fed_strdup_str(key), key.n, fed_blob_new(kv->value), kv->mod_rev, kv->create_rev};
}

void etcd_reload_release(struct etcd *e)
{
    struct etcd_reload *r = e->reload;
    for (size_t i = 0; r && i < r->n; i++) {
        free(r->found[i].key);
        fed_blob_unref(r->found[i].value);
    }
    if (r)
        free(r->found);
    free(r);
    e->reload = NULL;
}

static int by_revision(const void *a, const void *b)
{
    uint64_t x = ((const struct found *)a)->rev, y = ((const struct found *)b)->rev;
    return (x > y) - (x < y);
}

/* Keys of the index that the pass did not see are gone. */
static void deliver_deletions(struct etcd *e)
{
    struct fed_map gone = {0};
    FED_MAP_EACH(it, &e->index) {
        struct etcd_entry *entry = it->value;
        if (entry->pass != e->pass)
            fed_map_set(&gone, it->key, entry);
    }
    FED_MAP_EACH(it, &gone) {
        struct etcd_entry *entry = it->value;
        struct store_change c = {.key = it->key, .rev = e->load_rev, .create_rev = entry->create_rev};
        fed_map_remove(&e->index, it->key);
        if (!e->failed)
            e->base.handlers.on_change(e->base.handlers.ud, &c);
        free(entry);
    }
    fed_map_release(&gone);
}

static void reload_done(struct etcd *e)
{
    struct etcd_reload *r = e->reload;
    if (e->base.handlers.on_gap)
        e->base.handlers.on_gap(e->base.handlers.ud, e->load_rev);
    if (r->n)
        qsort(r->found, r->n, sizeof *r->found, by_revision);
    for (size_t i = 0; i < r->n && !e->failed; i++) {
        struct found *f = &r->found[i];
        struct store_change c = {
            .key = fed_str_n(f->key, f->n), .value = f->value, .rev = f->rev, .create_rev = f->create_rev};
        etcd_index_put(e, c.key, f->rev, f->create_rev);
        e->base.handlers.on_change(e->base.handlers.ud, &c);
    }
    deliver_deletions(e);
    etcd_reload_release(e);
    if (e->failed)
        return;
    e->phase = ETCD_LIVE;
    e->seen = e->load_rev;
    e->n_seen = 0;
    etcd_watch_open(e, e->load_rev + 1);
    etcd_settle(e, e->load_rev);
    etcd_pump_soon(e); /* what was asked for meanwhile has waited */
    etcd_nudge_later(e);
}

void etcd_reload_start(struct etcd *e)
{
    etcd_reload_release(e);
    e->reload = FED_NEW(struct etcd_reload);
    e->phase = ETCD_RELOAD;
    e->load_rev = 0;
    e->pass++;
    fed_buf_reset(&e->page_key);
    fed_buf_addz(&e->page_key, e->state_key);
    ask_page(e);
}

/* --- pages --- */

static void take_kv(struct etcd *e, const struct etcd_kv *kv)
{
    struct fed_str key = fed_str_from(kv->key, strlen(e->state_key));
    struct etcd_entry *entry = fed_map_find(&e->index, key);
    if (e->phase == ETCD_RELOAD) { /* the index changes with the delivery: a reload may be started again */
        if (entry)
            entry->pass = e->pass;
        if (!entry || entry->mod_rev != kv->mod_rev)
            keep(e, kv, key);
        return;
    }
    etcd_index_put(e, key, kv->mod_rev, kv->create_rev);
    struct store_change c = {.key = key, .rev = kv->mod_rev, .create_rev = kv->create_rev};
    c.value = fed_blob_new(kv->value);
    e->live(e->load_ud, &c);
    fed_blob_unref(c.value);
}

static void page_failed(struct etcd *e, int status, struct fed_str text)
{
    struct fed_err err = {0};
    bool again;
    int code = etcd_code(status, text, false, &again, &err);
    if (code == FED_E_LIMIT && e->page_limit > 1) {
        e->page_limit = FED_MAX(e->page_limit / 8, (uint64_t)1);
        ask_page(e);
    } else if (code == FED_E_EXPIRED && e->phase == ETCD_RELOAD) {
        etcd_reload_start(e); /* compacted under our hands: at a newer revision */
    } else if (again || code == FED_E_TOO_MANY || code == FED_E_UNAVAILABLE) {
        etcd_drop(e, &err); /* and on from the last key, on another connection */
    } else if (e->phase == ETCD_PAGES) {
        etcd_load_fail(e, code, &err);
    } else {
        etcd_fail(e, &err);
    }
}

static void page_answered(void *ud, int status, struct fed_str body)
{
    struct etcd *e = ud;
    struct etcd_range_answer a;
    struct etcd_kv kv;
    uint64_t n = 0;
    if (e->failed || e->closing)
        return;
    if (status != FED_GRPC_OK || !etcd_read_range(body, &a)) {
        page_failed(e, status == FED_GRPC_OK ? FED_GRPC_BROKEN : status, body);
        return;
    }
    if (!etcd_header_ok(e, &a.header, 0))
        return;
    if (!e->load_rev)
        e->load_rev = a.header.revision;
    e->load_since_ms = fed_mono_ms(e->env);
    while (etcd_next_kv(&a.kvs, &kv)) {
        if (!fed_str_starts(kv.key, fed_str(e->state_key)))
            continue;
        take_kv(e, &kv);
        fed_buf_reset(&e->page_key);
        fed_buf_add(&e->page_key, kv.key);
        fed_buf_addc(&e->page_key, '\0');
        n++;
    }
    if (n)
        e->page_limit = FED_MAX(PAGE_MIN, FED_MIN(PAGE_MAX, PAGE_BYTES / (body.n / n + 1)));
    if (a.more && n)
        ask_page(e);
    else if (e->phase == ETCD_RELOAD)
        reload_done(e);
    else
        pages_done(e);
}

static void ask_page(struct etcd *e)
{
    struct fed_buf b = {0};
    struct etcd_range range = {.key = fed_buf_str(&e->page_key),
                               .end = fed_str(e->state_end),
                               .limit = e->page_limit,
                               .revision = e->load_rev};
    if (!e->up)
        return;
    etcd_put_range(&b, &range);
    etcd_request(e, "/etcdserverpb.KV/Range", fed_buf_str(&b), page_answered, e);
    fed_buf_release(&b);
}

/* --- the mark --- */

static void check_format(struct etcd *e, const struct etcd_kv *kv)
{
    struct fed_err err = {0};
    uint64_t n = 0;
    if (!kv->key.n || (fed_str_u64(kv->value, &n) == 0 && n && n <= ETCD_FORMAT))
        return;
    fed_err_set(&err, FED_E_VERSION, "etcd: the keys under %s are of format %.*s; this program reads up to %d",
                e->prefix, FED_STR_ARG(fed_str_head(kv->value, 20)), ETCD_FORMAT);
    etcd_load_fail(e, err.code, &err);
}

static void mark_answered(void *ud, int status, struct fed_str body)
{
    struct etcd *e = ud;
    struct etcd_txn_answer a;
    struct fed_err err = {0};
    bool again = false;
    if (e->failed || e->closing)
        return;
    if (status != FED_GRPC_OK) {
        int code = etcd_code(status, body, false, &again, &err);
        if (code == FED_E_FULL)
            ask_mark(e, true); /* no history, but the state can be read */
        else if (again || code == FED_E_TOO_MANY || code == FED_E_UNAVAILABLE)
            etcd_drop(e, &err);
        else
            etcd_load_fail(e, code, &err);
        return;
    }
    if (!etcd_read_txn(body, &a)) {
        fed_err_set(&err, FED_E_SYNTAX, "etcd sent something that cannot be read");
        etcd_load_fail(e, err.code, &err);
        return;
    }
    if (!etcd_header_ok(e, &a.header, 0))
        return;
    check_format(e, &a.kv);
    if (e->failed)
        return;
    if (!a.wrote)
        e->history = NULL;
    e->load_rev = a.header.revision;
    e->phase = ETCD_PAGES;
    fed_buf_reset(&e->page_key);
    fed_buf_addz(&e->page_key, e->state_key);
    ask_page(e);
}

static void ask_mark(struct etcd *e, bool read_only)
{
    struct fed_buf b = {0};
    char format[16];
    snprintf(format, sizeof format, "%d", ETCD_FORMAT);
    if (read_only) /* a comparison that does not hold: format is read, nothing written */
        etcd_put_swap(&b, fed_str(e->format_key), fed_str(format), UINT64_MAX / 4);
    else
        etcd_put_mark(&b, fed_str(e->mark_key), FED_STR("start"), fed_str(e->format_key), fed_str(format));
    etcd_request(e, "/etcdserverpb.KV/Txn", fed_buf_str(&b), mark_answered, e);
    fed_buf_release(&b);
}

/* --- entry --- */

void etcd_load_go_on(struct etcd *e)
{
    switch (e->phase) {
    case ETCD_IDLE:
        return;
    case ETCD_MARK:
        ask_mark(e, false);
        return;
    case ETCD_PAGES:
        ask_page(e);
        return;
    case ETCD_RELOAD:
        etcd_reload_start(e);
        return;
    case ETCD_HISTORY:
    case ETCD_LIVE:
        etcd_watch_open(e, e->settled + 1);
    }
}

void etcd_load(struct store *s, void (*live)(void *ud, const struct store_change *c),
               void (*history)(void *ud, const struct store_change *c),
               void (*done)(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err), void *ud)
{
    struct etcd *e = etcd_self(s);
    FED_REQUIRE(e->phase == ETCD_IDLE && !e->channel);
    e->live = live;
    e->history = history;
    e->loaded = done;
    e->load_ud = ud;
    e->phase = ETCD_MARK;
    e->load_since_ms = fed_mono_ms(e->env);
    etcd_connect(e);
}
