/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_store.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "store/ops_copy.h"

struct sim_store {
    struct store base; /* first */
    struct store *disk;
    struct sim_random *chance;
    uint32_t latency_max;
    struct fed_list queue, writing; /* of struct waiting */
    struct fed_timer timer;
};
struct waiting {
    struct fed_list link;
    struct store_ops_copy ops;
    store_commit_cb cb; /* NULL: nobody waits any more */
    void *ud;
};

static void committed(void *ud, int code, uint64_t rev, const struct fed_err *err)
{
    struct waiting *w = ud;
    store_commit_cb cb = w->cb;
    void *cb_ud = w->ud;
    fed_list_remove(&w->link);
    free(w);
    if (cb)
        cb(cb_ud, code, rev, err);
}

static void write_one(struct sim_store *s, struct waiting *w)
{
    struct store_op ops[STORE_MAX_OPS];
    size_t n = w->ops.n;
    struct store_ops_copy copy = w->ops;
    for (size_t i = 0; i < n; i++)
        ops[i] = (struct store_op){copy.ops[i].key, copy.ops[i].value, copy.ops[i].expect, copy.ops[i].check};
    fed_list_remove(&w->link);
    fed_list_push_back(&s->writing, &w->link);
    s->disk->ops->commit(s->disk, ops, n, committed, w);
    store_ops_release(&copy);
}

static void on_timer(struct fed_timer *t)
{
    struct sim_store *s = fed_container_of(t, struct sim_store, timer);
    while (!fed_list_empty(&s->queue))
        write_one(s, FED_LIST_ENTRY(s->queue.next, struct waiting, link));
}

static void do_commit(struct store *base, const struct store_op *ops, size_t n, store_commit_cb cb, void *ud)
{
    struct sim_store *s = (struct sim_store *)base;
    struct waiting *w = FED_NEW(struct waiting);
    store_ops_copy(&w->ops, ops, n);
    w->cb = cb;
    w->ud = ud;
    fed_list_push_back(&s->queue, &w->link);
    if (!fed_timer_active(&s->timer))
        fed_timer_start(base->env, &s->timer, sim_random_below(s->chance, s->latency_max + 1), on_timer);
}

static void on_change(void *ud, const struct store_change *change)
{
    struct sim_store *s = ud;
    if (s->base.handlers.on_change)
        s->base.handlers.on_change(s->base.handlers.ud, change);
}

static void nothing(void *ud FED_UNUSED, const struct store_change *change FED_UNUSED)
{
}

static void do_load(struct store *base, void (*live)(void *ud, const struct store_change *c),
                    void (*history)(void *ud, const struct store_change *c),
                    void (*done)(void *ud, int code, uint64_t rev, uint64_t compacted, const struct fed_err *err),
                    void *ud)
{
    struct sim_store *s = (struct sim_store *)base;
    struct store_handlers h = {.on_change = on_change, .ud = s};
    store_set_handlers(s->disk, &h);
    s->disk->history_max = base->history_max;
    s->disk->ops->load(s->disk, live, history, done, ud);
}

static void do_compact(struct store *base, uint64_t rev, void (*cb)(void *ud, int code, const struct fed_err *err),
                       void *ud)
{
    struct sim_store *s = (struct sim_store *)base;
    s->disk->ops->compact(s->disk, rev, cb, ud);
}

static const struct store_ops sim_ops = {.name = "sim", .load = do_load, .commit = do_commit, .compact = do_compact};

struct store *sim_store_new(struct fed_env *env, struct store *disk, struct sim_random *chance, uint32_t latency_max)
{
    struct sim_store *s = FED_NEW(struct sim_store);
    s->base.ops = &sim_ops;
    s->base.env = env;
    s->disk = disk;
    s->chance = chance;
    s->latency_max = latency_max;
    fed_list_init(&s->queue);
    fed_list_init(&s->writing);
    return &s->base;
}

size_t sim_store_queued(const struct store *base)
{
    const struct sim_store *s = (const struct sim_store *)base;
    size_t n = 0;
    FED_LIST_EACH(node, &s->queue)
        n++;
    return n;
}

static void tell_closed(store_commit_cb cb, void *ud)
{
    struct fed_err err = {0};
    if (cb)
        cb(ud, fed_err_set(&err, FED_E_CLOSED, "the process was killed"), 0, &err);
}

static void end(struct sim_store *s, size_t reaches_disk)
{
    struct store_handlers none = {.on_change = nothing};
    fed_timer_stop(s->base.env, &s->timer);
    store_set_handlers(s->disk, &none);
    FED_LIST_EACH_SAFE(node, &s->writing) {
        struct waiting *w = FED_LIST_ENTRY(node, struct waiting, link);
        store_commit_cb cb = w->cb;
        w->cb = NULL;
        fed_list_remove(&w->link);
        tell_closed(cb, w->ud);
    }
    while (!fed_list_empty(&s->queue)) {
        struct waiting *w = FED_LIST_ENTRY(s->queue.next, struct waiting, link);
        store_commit_cb cb = w->cb;
        void *ud = w->ud;
        w->cb = NULL;
        if (reaches_disk) {
            reaches_disk--;
            write_one(s, w);
            fed_list_remove(&w->link);
        } else {
            fed_list_remove(&w->link);
            store_ops_release(&w->ops);
            free(w);
        }
        tell_closed(cb, ud);
    }
    free(s);
}

void sim_store_kill(struct store *base)
{
    struct sim_store *s = (struct sim_store *)base;
    end(s, sim_random_below(s->chance, (uint32_t)sim_store_queued(base) + 1));
}

void sim_store_end(struct store *base)
{
    end((struct sim_store *)base, SIZE_MAX);
}
