/* SPDX-License-Identifier: Apache-2.0 */
/* The one watch: events in, changes out, exactly once and in revision order whatever the connection does.
 *
 * A watch starts after the last whole revision (`settled`). Of the revision after it some events may have been delivered
 * before the connection broke: they come first again, in the same order, and are skipped by count. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/etcd_priv.h"

/* --- the index: each key's last change, to tell the creation of what is deleted, and to compare after a reload --- */

void etcd_index_put(struct etcd *e, struct fed_str key, uint64_t mod_rev, uint64_t create_rev)
{
    struct etcd_entry *entry = fed_map_find(&e->index, key);
    if (!entry) {
        entry = FED_NEW(struct etcd_entry);
        fed_map_set(&e->index, key, entry);
    }
    *entry = (struct etcd_entry){mod_rev, create_rev, e->pass};
}

void etcd_index_remove(struct etcd *e, struct fed_str key)
{
    free(fed_map_remove(&e->index, key));
}

void etcd_index_release(struct etcd *e)
{
    FED_MAP_EACH(it, &e->index)
        free(it->value);
    fed_map_release(&e->index);
}

/* --- delivery --- */

void etcd_go_live(struct etcd *e)
{
    e->phase = ETCD_LIVE;
    e->settled = FED_MAX(e->settled, e->load_rev);
    e->compact_ms = fed_mono_ms(e->env);
    e->compact_rev = e->settled;
    e->loaded(e->load_ud, 0, e->load_rev, e->compacted, NULL);
    etcd_pump_soon(e);
}

/* What happened up to the revision that was loaded. */
static void deliver_past(struct etcd *e, const struct etcd_event *ev, struct fed_str key)
{
    struct store_change c = {.key = key, .rev = ev->kv.mod_rev, .create_rev = ev->kv.create_rev};
    if (ev->deleted)
        c.create_rev = ev->prev.create_rev;
    else
        c.value = fed_blob_new(ev->kv.value);
    if (ev->prev.key.n) {
        c.before = fed_blob_new(ev->prev.value);
        c.before_rev = ev->prev.mod_rev;
    }
    if (e->history)
        e->history(e->load_ud, &c);
    fed_blob_unref(c.before);
    fed_blob_unref(c.value);
}

static void deliver_key(struct etcd *e, const struct etcd_event *ev, struct fed_str key)
{
    struct store_change c = {.key = key, .rev = ev->kv.mod_rev, .create_rev = ev->kv.create_rev};
    if (ev->kv.mod_rev <= e->load_rev) {
        deliver_past(e, ev, key);
        return;
    }
    if (ev->deleted) {
        const struct etcd_entry *entry = fed_map_find(&e->index, key);
        c.create_rev = entry ? entry->create_rev : 0;
        etcd_index_remove(e, key);
    } else {
        c.value = fed_blob_new(ev->kv.value);
        etcd_index_put(e, key, c.rev, c.create_rev);
    }
    e->base.handlers.on_change(e->base.handlers.ud, &c);
    fed_blob_unref(c.value);
}

static void deliver(struct etcd *e, const struct etcd_event *ev)
{
    struct fed_str key = fed_str_from(ev->kv.key, strlen(e->prefix));
    if (ev->kv.mod_rev < e->seen)
        return;
    if (ev->kv.mod_rev > e->seen) {
        e->seen = ev->kv.mod_rev;
        e->n_seen = e->skip = 0;
    } else if (e->skip) {
        e->skip--;
        return;
    }
    e->n_seen++;
    if (!fed_str_starts(ev->kv.key, fed_str(e->prefix)) || !key.n)
        return;
    if (e->phase == ETCD_HISTORY && ev->kv.mod_rev >= e->load_rev)
        etcd_go_live(e);
    if (key.p[0] == 's')
        deliver_key(e, ev, fed_str_from(key, 1));
    else if (!ev->deleted && fed_str_is(ev->kv.key, e->compact_key))
        etcd_compact_seen(e, ev->kv.value, ev->kv.mod_rev);
}

void etcd_settle(struct etcd *e, uint64_t rev)
{
    if (rev <= e->settled)
        return;
    e->settled = rev;
    if (e->phase != ETCD_LIVE)
        return;
    if (e->base.handlers.on_progress)
        e->base.handlers.on_progress(e->base.handlers.ud, rev);
    etcd_commit_settled(e);
    etcd_sync_settled(e);
}

/* --- the stream --- */

static void restart(struct etcd *e, uint64_t from)
{
    fed_grpc_channel_cancel(e->channel, e->watch);
    etcd_watch_close(e);
    etcd_watch_open(e, from);
}

static void canceled(struct etcd *e, const struct etcd_watch_answer *a)
{
    struct fed_err why = {0};
    if (a->compact_revision && e->phase == ETCD_HISTORY) {
        e->compacted = a->compact_revision;
        restart(e, e->compacted + 1);
        return;
    }
    if (a->compact_revision) {
        fed_grpc_channel_cancel(e->channel, e->watch);
        etcd_watch_close(e);
        e->on_overtaken(e);
        return;
    }
    fed_err_set(&why, FED_E_UNAVAILABLE, "the watch was canceled: %.*s", FED_STR_ARG(a->reason));
    etcd_drop(e, &why);
}

static void on_message(void *ud, struct fed_str bytes)
{
    struct etcd *e = ud;
    struct etcd_watch_answer a;
    struct etcd_event ev;
    struct fed_err why = {0};
    e->asked_progress = false;
    etcd_answers(e);
    if (!etcd_read_watch(bytes, &a)) {
        fed_err_set(&why, FED_E_SYNTAX, "etcd's watch sent something that cannot be read");
        etcd_drop(e, &why);
        return;
    }
    if (!etcd_header_ok(e, &a.header, 0) || !a.ours)
        return;
    if (a.canceled) {
        canceled(e, &a);
        return;
    }
    if (a.created) {
        e->watching = true;
        return;
    }
    uint64_t last = 0;
    while (!e->failed && etcd_next_event(&a.events, &ev)) {
        deliver(e, &ev);
        last = ev.kv.mod_rev;
    }
    if (e->failed || a.fragment)
        return;
    /* Without events it is a progress notification, in order with the events. */
    etcd_settle(e, a.n_events ? last : a.header.revision);
    /* History came with the values before; what follows needs none. */
    if (e->with_prev && e->phase == ETCD_LIVE && e->watch)
        restart(e, e->settled + 1);
}

static void on_done(void *ud, int status FED_UNUSED, struct fed_str text)
{
    struct etcd *e = ud;
    struct fed_err why = {0};
    e->watch = NULL;
    fed_err_set(&why, FED_E_UNAVAILABLE, "the watch ended: %.*s", FED_STR_ARG(text));
    etcd_drop(e, &why);
}

void etcd_watch_open(struct etcd *e, uint64_t from)
{
    static const struct fed_grpc_handlers handlers = {on_message, on_done};
    struct fed_buf b = {0};
    if (!e->up || e->watch)
        return;
    e->skip = e->n_seen;
    e->with_prev = e->phase == ETCD_HISTORY;
    etcd_put_watch(&b, fed_str(e->prefix), fed_str(e->prefix_end), from, e->with_prev);
    e->watch = fed_grpc_channel_start(e->channel, "/etcdserverpb.Watch/Watch", fed_buf_str(&b), false, 0, &handlers, e);
    fed_buf_release(&b);
    e->probe_ms = fed_mono_ms(e->env);
    e->asked_progress = true; /* `created` is due */
}

void etcd_watch_close(struct etcd *e)
{
    e->watch = NULL;
    e->watching = e->asked_progress = false;
}

void etcd_watch_probe(struct etcd *e)
{
    struct fed_buf b = {0};
    if (!e->watch || !e->watching || e->asked_progress)
        return;
    etcd_put_progress(&b);
    fed_grpc_channel_write(e->channel, e->watch, fed_buf_str(&b));
    fed_buf_release(&b);
    e->probe_ms = fed_mono_ms(e->env);
    e->asked_progress = true;
}
