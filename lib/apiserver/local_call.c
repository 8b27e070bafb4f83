/* SPDX-License-Identifier: Apache-2.0 */
/* How a call over the local transport ends: its answer, collected or whole, goes to the callback of whoever made it. */
#include "apiserver/local_priv.h"

void fed_local_call_free(struct fed_local_call *c)
{
    struct fed_env *env = c->local->t.env;
    fed_list_remove(&c->link);
    fed_task_cancel(&c->task);
    fed_timer_stop(env, &c->timer);
    fed_buf_release(&c->collected);
    fed_arena_release(&c->arena);
    free(c);
}

void fed_api_local_collect(struct fed_local_call *call, struct fed_str bytes)
{
    fed_buf_add(&call->collected, bytes);
}

void fed_local_finish_call(struct fed_local_call *c, int code, int status, struct fed_str body,
                           const struct fed_err *err)
{
    fed_call_cb cb = c->cb;
    void *ud = c->ud;
    struct fed_call_response res = {.http_status = status, .body = body};
    /* The transport may be freed by the callback: the call has left it by then, its memory has not. */
    struct fed_local_call keep = *c;
    c->arena = (struct fed_arena){0};
    c->collected = (struct fed_buf){0};
    fed_local_call_free(c);
    if (cb)
        cb(ud, code, &res, err);
    fed_arena_release(&keep.arena);
    fed_buf_release(&keep.collected);
}

void fed_local_finish_watch(struct fed_local_call *c, int code, const struct fed_err *err)
{
    struct fed_watch_handlers h = c->h;
    void *ud = c->ud;
    fed_local_call_free(c);
    h.end(ud, code, err);
}

/* An answer of the engine: of a call, or the refusal of a watch. */
void fed_api_local_answer(struct fed_local_call *c, int status, struct fed_str body)
{
    struct fed_err err = {0};
    int code = 0;
    c->r = NULL;
    if (!body.n && c->collected.n)
        body = fed_buf_str(&c->collected);
    if (status < 200 || status > 299)
        code = fed_status_read(status, body, &err);
    if (c->is_watch)
        fed_local_finish_watch(c, code ? code : FED_E_INTERNAL, &err);
    else
        fed_local_finish_call(c, code, status, body, code ? &err : NULL);
}
