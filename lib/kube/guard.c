/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/guard.h"

#include <stdlib.h>

#include "base/mem.h"

struct guard {
    struct fed_transport t; /* first */
    struct fed_transport *inner;
    bool (*allow)(void *ud);
    void *ud;
    struct fed_list refused; /* of struct refusal */
};
struct refusal {
    struct fed_call call; /* first */
    struct fed_list link;
    struct fed_task task;
    fed_call_cb cb;
    void *ud;
};

static void refusal_free(struct refusal *r)
{
    fed_list_remove(&r->link);
    fed_task_cancel(&r->task);
    free(r);
}

static void refuse(struct fed_task *task)
{
    struct refusal *r = fed_container_of(task, struct refusal, task);
    struct fed_call_response res = {0};
    struct fed_err err = {0};
    fed_call_cb cb = r->cb;
    void *ud = r->ud;
    fed_err_set(&err, FED_E_CANCELED, "not sent: this process does not lead the controllers any more");
    refusal_free(r);
    if (cb)
        cb(ud, err.code, &res, &err);
}

static struct fed_call *guard_call(struct fed_transport *t, const struct fed_call_request *req, fed_call_cb cb,
                                   void *ud)
{
    struct guard *g = (struct guard *)t;
    if (strcmp(req->method, "GET") == 0 || g->allow(g->ud))
        return g->inner->ops->call(g->inner, req, cb, ud); /* canceled through its own transport */
    struct refusal *r = FED_NEW(struct refusal);
    r->call.transport = t;
    r->cb = cb;
    r->ud = ud;
    fed_list_push_back(&g->refused, &r->link);
    fed_task_post(t->env, &r->task, refuse);
    return &r->call;
}

static struct fed_call *guard_watch(struct fed_transport *t, struct fed_str path, const struct fed_watch_handlers *h,
                                    void *ud)
{
    struct guard *g = (struct guard *)t;
    return g->inner->ops->watch(g->inner, path, h, ud);
}

static void guard_cancel(struct fed_call *call)
{
    refusal_free((struct refusal *)call);
}

static void guard_free(struct fed_transport *t)
{
    struct guard *g = (struct guard *)t;
    while (!fed_list_empty(&g->refused))
        refusal_free(FED_LIST_ENTRY(g->refused.next, struct refusal, link));
    fed_transport_free(g->inner);
    free(g);
}

static const struct fed_transport_ops guard_ops = {
    .call = guard_call, .watch = guard_watch, .cancel = guard_cancel, .free = guard_free};

struct fed_transport *fed_guard_new(struct fed_transport *inner, bool (*allow)(void *ud), void *ud)
{
    struct guard *g = FED_NEW(struct guard);
    g->t = (struct fed_transport){
        .ops = &guard_ops, .env = inner->env, .watch_list = inner->watch_list, .name = inner->name};
    g->inner = inner;
    g->allow = allow;
    g->ud = ud;
    fed_list_init(&g->refused);
    return &g->t;
}
