/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/quota_guard.h"

#include "apiserver/apiserver_priv.h"
#include "base/mem.h"

#define PREFIX        "/quota/" /* of the keys; objects are under /registry/ */
#define GUARD_WAIT_MS 5000u

struct fed_guard {
    struct fed_api *api;
    struct fed_str ns;
    uint64_t seen;               /* the key's last change; STORE_ABSENT: it is not there */
    struct fed_guard_pass *turn; /* whose turn it is */
    struct fed_list waiting;
    struct fed_task next;
};
struct fed_guard_pass {
    struct fed_list link; /* guard->waiting, unless it is its turn */
    struct fed_guard *guard;
    struct fed_write_op *op;
    void (*go_on)(struct fed_write_op *op);
    uint64_t since_ms, expect;
};

static struct fed_guard *guard_get(struct fed_api *api, struct fed_str ns)
{
    struct fed_guard *g = fed_map_find(&api->guards, ns);
    if (g)
        return g;
    g = FED_NEW(struct fed_guard);
    g->api = api;
    g->ns = fed_str(fed_strdup_str(ns));
    g->seen = STORE_ABSENT;
    fed_list_init(&g->waiting);
    fed_map_set(&api->guards, g->ns, g);
    return g;
}

static void guard_free(struct fed_guard *g)
{
    fed_task_cancel(&g->next);
    free((char *)g->ns.p);
    free(g);
}

void fed_guard_seen(struct fed_api *api, const struct store_change *c)
{
    if (!fed_str_starts(c->key, FED_STR(PREFIX)))
        return;
    struct fed_str ns = fed_str_from(c->key, sizeof PREFIX - 1);
    struct fed_guard *g = guard_get(api, ns);
    g->seen = c->value ? c->rev : STORE_ABSENT;
    if (!c->value && !g->turn && fed_list_empty(&g->waiting)) {
        fed_map_remove(&api->guards, ns);
        guard_free(g);
    }
}

static int too_long(struct fed_write_op *op)
{
    return fed_err_set(&op->err, FED_E_TOO_MANY, "too many writes under the quota of namespace %.*s, try again later",
                       FED_STR_ARG(op->r->q.ns));
}

int fed_guard_enter(struct fed_write_op *op, void (*go_on)(struct fed_write_op *op))
{
    struct fed_api *api = op->r->api;
    if (!api->conf.store->ops->sync)
        return FED_GUARD_TURN;
    struct fed_guard_pass *p = op->pass;
    if (!p) {
        op->pass = p = FED_ARENA_NEW(&op->r->arena, struct fed_guard_pass);
        p->guard = guard_get(api, op->r->q.ns);
        p->op = op;
        p->go_on = go_on;
        p->since_ms = fed_mono_ms(api->env);
        if (p->guard->turn) {
            fed_list_push_back(&p->guard->waiting, &p->link);
            fed_api_request_defer(op->r);
            return FED_GUARD_WAITS;
        }
        p->guard->turn = p;
    } else if (fed_mono_ms(api->env) > p->since_ms + GUARD_WAIT_MS) {
        return too_long(op);
    }
    p->expect = p->guard->seen;
    return FED_GUARD_TURN;
}

size_t fed_guard_op(struct fed_write_op *op, struct store_op *out)
{
    struct fed_guard_pass *p = op->pass;
    if (!p)
        return 0;
    *out = (struct store_op){.key = fed_arena_printf(&op->r->arena, PREFIX "%.*s", FED_STR_ARG(p->guard->ns)),
                             .value = fed_blob_new(FED_STR("quota")),
                             .expect = p->expect};
    return 1;
}

bool fed_guard_missed(const struct fed_write_op *op)
{
    return op->pass && op->pass->guard->seen != op->pass->expect;
}

static void next_turn(struct fed_task *t)
{
    struct fed_guard *g = fed_container_of(t, struct fed_guard, next);
    if (g->turn || fed_list_empty(&g->waiting))
        return;
    struct fed_guard_pass *p = FED_LIST_ENTRY(g->waiting.next, struct fed_guard_pass, link);
    fed_list_remove(&p->link);
    g->turn = p;
    p->go_on(p->op);
}

void fed_guard_leave(struct fed_write_op *op)
{
    struct fed_guard_pass *p = op->pass;
    if (!p)
        return;
    struct fed_guard *g = p->guard;
    op->pass = NULL;
    if (g->turn == p)
        g->turn = NULL;
    else
        fed_list_remove(&p->link);
    if (!g->turn && !fed_list_empty(&g->waiting))
        fed_task_post(g->api->env, &g->next, next_turn);
}

static void forgotten(void *ud FED_UNUSED, int code FED_UNUSED, uint64_t rev FED_UNUSED,
                      const struct fed_err *err FED_UNUSED)
{
}

void fed_guard_forget(struct fed_api *api, struct fed_str ns)
{
    struct fed_guard *g = fed_map_find(&api->guards, ns);
    struct store *s = api->conf.store;
    struct fed_buf key = {0};
    if (!g || g->turn || !fed_list_empty(&g->waiting))
        return;
    fed_buf_addf(&key, PREFIX "%.*s", FED_STR_ARG(ns));
    struct store_op op = {.key = fed_buf_str(&key), .expect = g->seen};
    if (g->seen != STORE_ABSENT)
        s->ops->commit(s, &op, 1, forgotten, NULL);
    fed_buf_release(&key);
}

void fed_guards_release(struct fed_api *api)
{
    FED_MAP_EACH(e, &api->guards) {
        guard_free(e->value);
    }
    fed_map_release(&api->guards);
}
