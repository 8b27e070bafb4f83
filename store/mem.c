/* SPDX-License-Identifier: Apache-2.0 */
/* mem.c: the in-memory twin of the durable stores: same contract, nothing written anywhere. */
#include "store/store.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/ops_copy.h"

struct record {
    struct fed_blob *value;
    uint64_t rev, create_rev;
};
struct past { /* one change of history */
    char *key;
    struct fed_blob *value, *before;
    uint64_t rev, create_rev, before_rev;
};
struct pending {
    struct fed_list link;
    struct store_ops_copy ops;
    store_commit_cb cb;
    void *ud;
};
struct mem_store {
    struct store base;
    struct fed_map records; /* key -> struct record */
    struct past *history;
    size_t n_history, cap_history;
    uint64_t rev, compacted;
    uint32_t latency_ms;
    struct fed_list queue;
    struct fed_timer timer;
    bool closing;
    void (*closed)(void *ud);
    void *closed_ud;
};

static struct mem_store *self(struct store *s)
{
    return fed_container_of(s, struct mem_store, base);
}

/* Where the last changes begin, as many as are wanted: not in the middle of a transaction. */
static size_t first_told(const struct mem_store *m)
{
    size_t max = m->base.history_max, i = max && m->n_history > max ? m->n_history - max : 0;
    while (i && i < m->n_history && m->history[i].rev == m->history[i - 1].rev)
        i++;
    return i;
}

static void mem_load(struct store *s, void (*live)(void *ud, const struct store_change *c),
                     void (*history)(void *ud, const struct store_change *c),
                     void (*done)(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err),
                     void *ud)
{
    struct mem_store *m = self(s);
    FED_MAP_EACH(e, &m->records) {
        const struct record *r = e->value;
        struct store_change c = {.key = e->key, .value = r->value, .rev = r->rev, .create_rev = r->create_rev};
        live(ud, &c);
    }
    size_t first = first_told(m);
    for (size_t i = first; history && i < m->n_history; i++) {
        const struct past *p = &m->history[i];
        struct store_change c = {.key = fed_str(p->key),
                                 .value = p->value,
                                 .rev = p->rev,
                                 .create_rev = p->create_rev,
                                 .before = p->before,
                                 .before_rev = p->before_rev};
        history(ud, &c);
    }
    done(ud, 0, m->rev, first ? m->history[first - 1].rev : m->compacted, NULL);
}

static bool expectation_holds(const struct mem_store *m, const struct store_op_copy *op)
{
    const struct record *r = fed_map_find(&m->records, op->key);
    if (op->expect == STORE_ANY)
        return true;
    return (r ? r->rev : STORE_ABSENT) == op->expect;
}

static void remember(struct mem_store *m, const struct store_change *c)
{
    if (m->n_history == m->cap_history) {
        m->cap_history = m->cap_history ? m->cap_history * 2 : 64;
        m->history = fed_realloc(m->history, m->cap_history * sizeof(*m->history));
    }
    m->history[m->n_history++] = (struct past){.key = fed_strdup_str(c->key),
                                               .value = c->value ? fed_blob_ref(c->value) : NULL,
                                               .before = c->before ? fed_blob_ref(c->before) : NULL,
                                               .rev = c->rev,
                                               .create_rev = c->create_rev,
                                               .before_rev = c->before_rev};
}

/* Applies one operation; false when it changes nothing (the delete of an absent key). */
static void apply(struct mem_store *m, const struct store_op_copy *op, uint64_t rev)
{
    struct record *r = fed_map_find(&m->records, op->key);
    struct fed_blob *prev = r ? r->value : NULL;
    if (op->check || (!op->value && !r))
        return;
    if (!r) {
        r = FED_NEW(struct record);
        r->create_rev = rev;
        fed_map_set(&m->records, op->key, r);
    }
    struct store_change c = {.key = op->key,
                             .value = op->value,
                             .rev = rev,
                             .create_rev = r->create_rev,
                             .before = prev,
                             .before_rev = r->rev};
    r->value = op->value ? fed_blob_ref(op->value) : NULL;
    r->rev = rev;
    if (!op->value)
        free(fed_map_remove(&m->records, op->key));
    remember(m, &c);
    c.before = NULL; /* of history only */
    c.before_rev = 0;
    m->base.handlers.on_change(m->base.handlers.ud, &c);
    fed_blob_unref(prev);
}

static bool changes_anything(const struct mem_store *m, const struct store_ops_copy *ops)
{
    for (size_t i = 0; i < ops->n; i++)
        if (!ops->ops[i].check && (ops->ops[i].value || fed_map_has(&m->records, ops->ops[i].key)))
            return true;
    return false;
}

static void run_one(struct mem_store *m, struct pending *p)
{
    struct fed_err err = {0};
    int code = 0;
    uint64_t rev = 0;
    for (size_t i = 0; i < p->ops.n && !code; i++)
        if (!expectation_holds(m, &p->ops.ops[i]))
            code = store_conflict(&err, p->ops.ops[i].key);
    if (!code && changes_anything(m, &p->ops)) {
        rev = ++m->rev;
        for (size_t i = 0; i < p->ops.n; i++)
            apply(m, &p->ops.ops[i], rev);
    } else if (!code) {
        rev = m->rev;
    }
    p->cb(p->ud, code, rev, &err);
    store_ops_release(&p->ops);
    free(p);
}

static void mem_free(struct mem_store *m)
{
    FED_MAP_EACH(e, &m->records) {
        struct record *r = e->value;
        fed_blob_unref(r->value);
        free(r);
    }
    fed_map_release(&m->records);
    for (size_t i = 0; i < m->n_history; i++) {
        free(m->history[i].key);
        fed_blob_unref(m->history[i].value);
        fed_blob_unref(m->history[i].before);
    }
    free(m->history);
    free(m);
}

static void on_timer(struct fed_timer *t)
{
    struct mem_store *m = fed_container_of(t, struct mem_store, timer);
    struct fed_list batch;
    fed_list_init(&batch);
    while (!fed_list_empty(&m->queue)) {
        struct fed_list *node = m->queue.next;
        fed_list_remove(node);
        fed_list_push_back(&batch, node);
    }
    while (!fed_list_empty(&batch)) {
        struct pending *p = FED_LIST_ENTRY(batch.next, struct pending, link);
        fed_list_remove(&p->link);
        run_one(m, p);
    }
    if (m->closing && fed_list_empty(&m->queue)) {
        void (*closed)(void *) = m->closed;
        void *ud = m->closed_ud;
        fed_timer_stop(m->base.env, &m->timer);
        mem_free(m);
        if (closed)
            closed(ud);
    }
}

static void mem_commit(struct store *s, const struct store_op *ops, size_t n, store_commit_cb cb, void *ud)
{
    struct mem_store *m = self(s);
    FED_REQUIRE(!m->closing && n > 0 && n <= STORE_MAX_OPS);
    struct pending *p = FED_NEW(struct pending);
    store_ops_copy(&p->ops, ops, n);
    p->cb = cb;
    p->ud = ud;
    fed_list_push_back(&m->queue, &p->link);
    if (!fed_timer_active(&m->timer))
        fed_timer_start(s->env, &m->timer, m->latency_ms, on_timer);
}

static void mem_compact(struct store *s, uint64_t rev, void (*cb)(void *ud, int code, const struct fed_err *err),
                        void *ud)
{
    struct mem_store *m = self(s);
    size_t keep = 0;
    while (keep < m->n_history && m->history[keep].rev <= rev) {
        free(m->history[keep].key);
        fed_blob_unref(m->history[keep].value);
        fed_blob_unref(m->history[keep].before);
        keep++;
    }
    if (keep)
        memmove(m->history, m->history + keep, (m->n_history - keep) * sizeof(*m->history));
    m->n_history -= keep;
    m->compacted = FED_MAX(m->compacted, FED_MIN(rev, m->rev));
    if (cb)
        cb(ud, 0, NULL);
}

static void mem_backup(struct store *s FED_UNUSED, const char *path FED_UNUSED,
                       void (*cb)(void *ud, int code, const struct fed_err *err), void *ud)
{
    struct fed_err err = {0};
    int code = fed_err_set(&err, FED_E_UNSUPPORTED, "backup: a store in memory has no backup");
    cb(ud, code, &err);
}

static void mem_close(struct store *s, void (*cb)(void *ud), void *ud)
{
    struct mem_store *m = self(s);
    m->closing = true;
    m->closed = cb;
    m->closed_ud = ud;
    fed_timer_start(s->env, &m->timer, 0, on_timer);
}

static const struct store_ops mem_ops = {
    .name = "mem",
    .load = mem_load,
    .commit = mem_commit,
    .compact = mem_compact,
    .backup = mem_backup,
    .close = mem_close,
};

struct store *store_mem_new(struct fed_env *env, uint32_t latency_ms)
{
    struct mem_store *m = FED_NEW(struct mem_store);
    m->base.ops = &mem_ops;
    m->base.env = env;
    m->rev = 1;
    m->latency_ms = latency_ms;
    fed_list_init(&m->queue);
    return &m->base;
}
