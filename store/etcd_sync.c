/* SPDX-License-Identifier: Apache-2.0 */
/* Consistent reads and compaction. A consistent read asks etcd for its revision, once for all that came while the
 * request before was under way, and waits until the watch has come there; etcd_mark.c sees to it that it does. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/etcd_priv.h"

static void finish(struct etcd *e, struct etcd_reader *s, int code, const struct fed_err *err)
{
    (void)e;
    fed_list_remove(&s->link);
    s->cb(s->ud, code, code ? err : NULL);
    free(s);
}

static void move_all(struct fed_list *from, struct fed_list *to)
{
    while (!fed_list_empty(from)) {
        struct fed_list *first = from->next;
        fed_list_remove(first);
        fed_list_push_back(to, first);
    }
}

/* Back to those that ask, before the others: a new request serves both. */
static void ask_again(struct etcd *e)
{
    move_all(&e->syncs, &e->syncs_sent);
    move_all(&e->syncs_sent, &e->syncs);
    etcd_sync_soon(e);
}

static void answered(void *ud, int status, struct fed_str body)
{
    struct etcd *e = ud;
    struct etcd_range_answer a;
    struct fed_err err = {0};
    bool again;
    e->sync_asked = false;
    if (e->failed || e->closing)
        return;
    if (status != FED_GRPC_OK || !etcd_read_range(body, &a)) {
        int code = etcd_code(status == FED_GRPC_OK ? FED_GRPC_BROKEN : status, body, false, &again, &err);
        if (again) {
            ask_again(e);
            return;
        }
        FED_LIST_EACH_SAFE(it, &e->syncs_sent)
            finish(e, FED_LIST_ENTRY(it, struct etcd_reader, link), code, &err);
        etcd_sync_soon(e);
        return;
    }
    if (!etcd_header_ok(e, &a.header, e->sync_floor))
        return;
    FED_LIST_EACH(it, &e->syncs_sent)
        FED_LIST_ENTRY(it, struct etcd_reader, link)->rev = a.header.revision;
    move_all(&e->syncs_sent, &e->syncs_waiting);
    etcd_sync_settled(e);
    if (!fed_list_empty(&e->syncs_waiting))
        etcd_nudge_later(e);
    etcd_sync_soon(e);
}

static void ask(struct fed_task *t)
{
    struct etcd *e = fed_container_of(t, struct etcd, sync_task);
    struct fed_buf b = {0};
    struct etcd_range range = {.key = fed_str(e->format_key), .count_only = true};
    if (!e->up || e->sync_asked || (fed_list_empty(&e->syncs) && !e->check_back) || e->phase == ETCD_IDLE)
        return;
    e->sync_asked = true;
    e->check_back = false;
    e->sync_floor = e->settled;
    move_all(&e->syncs, &e->syncs_sent);
    etcd_put_range(&b, &range);
    etcd_request(e, "/etcdserverpb.KV/Range", fed_buf_str(&b), answered, e);
    fed_buf_release(&b);
}

void etcd_sync_soon(struct etcd *e)
{
    fed_task_post(e->env, &e->sync_task, ask);
}

void etcd_sync(struct store *store, void (*cb)(void *ud, int code, const struct fed_err *err), void *ud)
{
    struct etcd *e = etcd_self(store);
    struct etcd_reader *s = FED_NEW(struct etcd_reader);
    s->since_ms = fed_mono_ms(e->env);
    s->cb = cb;
    s->ud = ud;
    fed_list_push_back(&e->syncs, &s->link);
    etcd_sync_soon(e);
}

void etcd_sync_settled(struct etcd *e)
{
    /* Requests are answered in turn, so revisions rise along the list. */
    while (e->phase == ETCD_LIVE && !fed_list_empty(&e->syncs_waiting)) {
        struct etcd_reader *s = FED_LIST_ENTRY(e->syncs_waiting.next, struct etcd_reader, link);
        if (s->rev > e->settled)
            return;
        finish(e, s, 0, NULL);
    }
}

static void fail_older(struct etcd *e, struct fed_list *list, uint64_t before, int code, const struct fed_err *err)
{
    while (!fed_list_empty(list)) {
        struct etcd_reader *s = FED_LIST_ENTRY(list->next, struct etcd_reader, link);
        if (s->since_ms > before)
            return;
        finish(e, s, code, err);
    }
}

void etcd_sync_tick(struct etcd *e, uint64_t now)
{
    struct fed_err err = {0};
    if (now < ETCD_AWAY_MS)
        return;
    int code = e->failed ? fed_err_set(&err, FED_E_CLOSED, "the store has failed")
               : e->up   ? fed_err_set(&err, FED_E_UNAVAILABLE, "etcd does not answer a consistent read in time")
                         : etcd_away(e, &err);
    uint64_t before = e->failed ? now : now - ETCD_AWAY_MS;
    fail_older(e, &e->syncs, before, code, &err);
    fail_older(e, &e->syncs_sent, before, code, &err);
    fail_older(e, &e->syncs_waiting, before, code, &err);
}

void etcd_sync_fail_all(struct etcd *e, int code, const struct fed_err *err)
{
    fail_older(e, &e->syncs, UINT64_MAX, code, err);
    fail_older(e, &e->syncs_sent, UINT64_MAX, code, err);
    fail_older(e, &e->syncs_waiting, UINT64_MAX, code, err);
}

/* --- compaction --- */

struct compaction {
    struct etcd *e;
    uint64_t rev;
    void (*cb)(void *ud, int code, const struct fed_err *err);
    void *ud;
};

static void compacted(void *ud, int status, struct fed_str body)
{
    struct compaction *c = ud;
    struct fed_err err = {0};
    int code = 0;
    /* OUT_OF_RANGE: it was compacted so far already. */
    if (status != FED_GRPC_OK && status != FED_GRPC_OUT_OF_RANGE)
        code = etcd_code(status, body, false, NULL, &err);
    if (c->cb)
        c->cb(c->ud, code, code ? &err : NULL);
    free(c);
}

void etcd_compact(struct store *s, uint64_t rev, void (*cb)(void *ud, int code, const struct fed_err *err), void *ud)
{
    struct etcd *e = etcd_self(s);
    struct compaction *c = FED_NEW(struct compaction);
    struct fed_buf b = {0};
    struct fed_err err = {0};
    *c = (struct compaction){e, rev, cb, ud};
    if (!e->up) {
        int code = etcd_away(e, &err);
        if (cb)
            cb(ud, code, &err);
        free(c);
        return;
    }
    etcd_put_compact(&b, FED_MIN(rev, e->settled));
    etcd_request(e, "/etcdserverpb.KV/Compact", fed_buf_str(&b), compacted, c);
    fed_buf_release(&b);
}

/* Several processes look at the same times: who changes i/compact first compacts. */
static void chosen(void *ud, int status, struct fed_str body)
{
    struct compaction *c = ud;
    struct etcd *e = c->e;
    struct etcd_txn_answer a;
    if (status == FED_GRPC_OK && etcd_read_txn(body, &a) && !e->closing) {
        if (a.succeeded)
            etcd_compact(&e->base, c->rev, NULL, NULL);
        else
            e->compact_mod = a.kv.mod_rev;
    }
    free(c);
}

void etcd_compact_seen(struct etcd *e, struct fed_str value FED_UNUSED, uint64_t mod_rev)
{
    e->compact_mod = mod_rev;
    e->compact_ms = fed_mono_ms(e->env); /* somebody did: our turn is a whole interval from here */
    e->compact_rev = e->settled;
}

void etcd_compact_tick(struct etcd *e, uint64_t now)
{
    if (!e->up || e->phase != ETCD_LIVE || now < e->compact_ms + e->conf.compact_every_ms)
        return;
    uint64_t rev = e->compact_rev; /* of the last look: what is older than that goes */
    if (e->settled > e->conf.keep_changes)
        rev = FED_MAX(rev, e->settled - e->conf.keep_changes);
    e->compact_ms = now;
    e->compact_rev = e->settled;
    if (rev >= e->settled || rev <= e->compact_done)
        return;
    struct compaction *c = FED_NEW(struct compaction);
    struct fed_buf b = {0};
    char text[24];
    *c = (struct compaction){.e = e, .rev = rev};
    e->compact_done = rev;
    snprintf(text, sizeof text, "%llu", (unsigned long long)rev);
    etcd_put_swap(&b, fed_str(e->compact_key), fed_str(text), e->compact_mod);
    etcd_request(e, "/etcdserverpb.KV/Txn", fed_buf_str(&b), chosen, c);
    fed_buf_release(&b);
}
