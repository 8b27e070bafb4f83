/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: blocked (another one on a key of theirs is under way), ready, sent, answered (waiting for their event). */
#include <stdlib.h>

#include "base/mem.h"
#include "store/etcd_priv.h"

static void txn_free(struct etcd_txn *t)
{
    store_ops_release(&t->ops);
    free(t->slots);
    free(t);
}

/* Those that waited for a key of this one may go. */
static void unblock(struct etcd_txn *t)
{
    struct etcd *e = t->e;
    for (size_t i = 0; i < t->ops.n; i++) {
        struct etcd_txn *next = t->slots[i].next;
        if (t->ops.ops[i].check)
            continue;
        if (fed_map_find(&e->keys, t->ops.ops[i].key) == &t->slots[i])
            fed_map_remove(&e->keys, t->ops.ops[i].key);
        if (next && --next->blockers == 0) {
            fed_list_remove(&next->link);
            next->state = ETCD_READY;
            fed_list_push_back(&e->ready, &next->link);
            etcd_pump_soon(e);
        }
    }
}

static void finish(struct etcd_txn *t, int code, uint64_t rev, const struct fed_err *err)
{
    struct etcd *e = t->e;
    fed_list_remove(&t->link);
    if (t->state != ETCD_ANSWERED)
        unblock(t);
    e->n_txns--;
    t->cb(t->ud, code, rev, code ? err : NULL);
    txn_free(t);
}

/* Answered: the caller is told when the state has come to `rev`. */
static void wait_for(struct etcd_txn *t, int code, uint64_t rev)
{
    struct etcd *e = t->e;
    unblock(t);
    t->state = ETCD_ANSWERED;
    t->code = code;
    t->rev = rev;
    t->since_ms = fed_mono_ms(e->env);
    fed_list_remove(&t->link);
    if (rev <= e->settled) {
        finish(t, code, code ? 0 : rev, &t->err);
        return;
    }
    struct fed_list *at = e->answered.prev;
    while (at != &e->answered && FED_LIST_ENTRY(at, struct etcd_txn, link)->rev > rev)
        at = at->prev;
    fed_list_insert_after(at, &t->link);
    etcd_nudge_later(e);
}

void etcd_commit_settled(struct etcd *e)
{
    while (!fed_list_empty(&e->answered)) {
        struct etcd_txn *t = FED_LIST_ENTRY(e->answered.next, struct etcd_txn, link);
        if (t->rev > e->settled)
            return;
        finish(t, t->code, t->code ? 0 : t->rev, &t->err);
    }
}

static void again_later(struct etcd_txn *t)
{
    t->state = ETCD_READY;
    fed_list_remove(&t->link);
    fed_list_push_front(&t->e->ready, &t->link);
}

static struct fed_str a_key(const struct etcd_txn *t)
{
    size_t i = 0;
    while (i + 1 < t->ops.n && t->ops.ops[i].expect == STORE_ANY)
        i++;
    return t->ops.ops[i].key;
}

static void answered(void *ud, int status, struct fed_str body)
{
    struct etcd_txn *t = ud;
    struct etcd *e = t->e;
    struct etcd_txn_answer a;
    bool again = false;
    e->n_sent--;
    etcd_pump_soon(e);
    if (status != FED_GRPC_OK) {
        int code = etcd_code(status, body, true, &again, &t->err);
        if (again && !e->closing && !e->failed)
            again_later(t);
        else
            finish(t, code, 0, &t->err);
        return;
    }
    if (!etcd_read_txn(body, &a)) {
        fed_err_set(&t->err, FED_E_TIMEOUT, "etcd sent something that cannot be read");
        finish(t, FED_E_TIMEOUT, 0, &t->err);
        return;
    }
    if (!etcd_header_ok(e, &a.header, 0))
        return; /* told with all others; t is gone */
    if (!a.succeeded)
        wait_for(t, store_conflict(&t->err, a_key(t)), a.header.revision);
    else
        wait_for(t, 0, a.header.revision);
}

static void send_one(struct etcd_txn *t)
{
    struct etcd *e = t->e;
    struct fed_buf b = {0};
    etcd_put_txn(&b, fed_str(e->state_key), &t->ops);
    fed_list_remove(&t->link);
    t->state = ETCD_SENT;
    fed_list_push_back(&e->sent, &t->link);
    e->n_sent++;
    etcd_request(e, "/etcdserverpb.KV/Txn", fed_buf_str(&b), answered, t);
    fed_buf_release(&b);
}

static void pump(struct fed_task *task)
{
    struct etcd *e = fed_container_of(task, struct etcd, pump);
    struct fed_err err = {0};
    int code = e->failed ? fed_err_set(&err, FED_E_CLOSED, "the store has failed")
                         : fed_err_set(&err, FED_E_TOO_MANY, "too many writes are waiting for etcd");
    for (size_t n = e->n_txns; n && !fed_list_empty(&e->refused); n--)
        finish(FED_LIST_ENTRY(e->refused.next, struct etcd_txn, link), code, 0, &err);
    while (e->up && e->phase == ETCD_LIVE && e->n_sent < ETCD_IN_FLIGHT && !fed_list_empty(&e->ready))
        send_one(FED_LIST_ENTRY(e->ready.next, struct etcd_txn, link));
}

void etcd_pump_soon(struct etcd *e)
{
    fed_task_post(e->env, &e->pump, pump);
}

void etcd_commit(struct store *s, const struct store_op *ops, size_t n, store_commit_cb cb, void *ud)
{
    struct etcd *e = etcd_self(s);
    struct etcd_txn *t = FED_NEW(struct etcd_txn);
    FED_REQUIRE(!e->closing && n > 0 && n <= STORE_MAX_OPS);
    t->e = e;
    t->cb = cb;
    t->ud = ud;
    t->since_ms = fed_mono_ms(e->env);
    t->slots = fed_calloc(n, sizeof *t->slots);
    store_ops_copy(&t->ops, ops, n);
    if (e->n_txns++ >= e->conf.queue_max || e->failed) {
        fed_list_push_back(&e->refused, &t->link);
        etcd_pump_soon(e);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        t->slots[i].txn = t;
        if (t->ops.ops[i].check)
            continue;
        struct etcd_slot *before = fed_map_set(&e->keys, t->ops.ops[i].key, &t->slots[i]);
        if (before) {
            before->next = t;
            t->blockers++;
        }
    }
    t->state = t->blockers ? ETCD_BLOCKED : ETCD_READY;
    fed_list_push_back(t->blockers ? &e->blocked : &e->ready, &t->link);
    etcd_pump_soon(e);
}

static void expire(struct fed_list *list, uint64_t before, int code, const struct fed_err *err)
{
    FED_LIST_EACH_SAFE(it, list) {
        struct etcd_txn *t = FED_LIST_ENTRY(it, struct etcd_txn, link);
        if (t->since_ms <= before)
            finish(t, code, 0, err);
    }
}

void etcd_commit_tick(struct etcd *e, uint64_t now)
{
    struct fed_err err = {0};
    if (now < ETCD_AWAY_MS)
        return;
    int code = e->failed ? fed_err_set(&err, FED_E_CLOSED, "the store has failed") : etcd_away(e, &err);
    uint64_t before = e->failed ? UINT64_MAX : now - ETCD_AWAY_MS;
    /* While connected, what is ready waits for its turn, not for etcd. What is blocked follows what blocks it. */
    if (!e->up || e->failed)
        expire(&e->ready, before, code, &err);
    if (now > e->conf.request_timeout_ms) {
        fed_err_set(&err, FED_E_TIMEOUT, "etcd: answered, but the watch has not shown it in time");
        expire(&e->answered, now - e->conf.request_timeout_ms, FED_E_TIMEOUT, &err);
    }
}

void etcd_commit_fail_all(struct etcd *e, int code, const struct fed_err *err)
{
    expire(&e->answered, UINT64_MAX, FED_E_TIMEOUT, err);
    expire(&e->sent, UINT64_MAX, FED_E_TIMEOUT, err);
    for (size_t n = e->n_txns; n && !fed_list_empty(&e->ready); n--) /* each may unblock others */
        expire(&e->ready, UINT64_MAX, code, err);
}
