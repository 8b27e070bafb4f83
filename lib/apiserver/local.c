/* SPDX-License-Identifier: Apache-2.0 */
/* The `local` transport: the request path without HTTP, for controllers in the same process. Watches hand over the
 * cache's own objects.
 *
 * A call is served in a posted task, so that no callback comes before the starting function returned; its answer is
 * handed over at once when it is there. */
#include "apiserver/audit.h"
#include "apiserver/fence.h"
#include "apiserver/local_priv.h"
#include "base/mem.h"

static void timed_out(struct fed_timer *t)
{
    struct fed_local_call *c = fed_container_of(t, struct fed_local_call, timer);
    struct fed_err err = {0};
    if (c->r) {
        c->r->call = NULL; /* the work in hand ends unheard */
        c->r->gone = true;
    }
    fed_err_set(&err, FED_E_TIMEOUT, "no answer within %u ms", c->timeout_ms);
    fed_local_finish_call(c, err.code, 0, (struct fed_str){NULL, 0}, &err);
}

static void serve(struct fed_task *t)
{
    struct fed_local_call *c = fed_container_of(t, struct fed_local_call, task);
    struct fed_api *api = c->local->api;
    struct fed_err err = {0};
    if (!api) {
        fed_err_set(&err, FED_E_CLOSED, "the server is gone");
        if (c->is_watch)
            fed_local_finish_watch(c, err.code, &err);
        else
            fed_local_finish_call(c, err.code, 0, (struct fed_str){NULL, 0}, &err);
        return;
    }
    struct fed_api_reply *r = fed_api_request_new(api);
    struct fed_str path = c->path, raw;
    r->call = c;
    c->r = r;
    r->q.verb = c->method;
    r->q.who = c->local->who;
    r->fence = c->local->fence;
    r->user_agent = fed_str(api->conf.server_name);
    r->accept = fed_arena_dup(&r->arena, c->accept);
    r->q.content_type = fed_arena_dup(&r->arena, c->content_type);
    r->q.body = fed_arena_dup(&r->arena, c->body);
    (void)fed_str_cut(&path, '?', &raw);
    r->q.query = fed_arena_dup(&r->arena, path);
    if (fed_url_decode(&r->arena, raw, false, &r->q.path) || !r->q.path.n || r->q.path.p[0] != '/' ||
        fed_query_parse(&r->arena, r->q.query, &r->query, NULL)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "the request's URL is malformed");
        return;
    }
    r->q.path = fed_arena_dup(&r->arena, r->q.path);
    fed_api_route(r);
    if (!c->is_watch)
        fed_timer_start(api->env, &c->timer, c->timeout_ms ? c->timeout_ms : 30000, timed_out);
    fed_audit_begin(r);
    fed_api_dispatch(r);
}

static struct fed_local_call *call_new(struct fed_local *l)
{
    struct fed_local_call *c = FED_NEW(struct fed_local_call);
    c->call.transport = &l->t;
    c->local = l;
    fed_list_push_back(&l->calls, &c->link);
    fed_task_post(l->t.env, &c->task, serve);
    return c;
}

static struct fed_call *start_call(struct fed_transport *t, const struct fed_call_request *req, fed_call_cb cb,
                                   void *ud)
{
    struct fed_local_call *c = call_new((struct fed_local *)t);
    c->method = fed_arena_dupz(&c->arena, fed_str(req->method));
    c->path = fed_arena_dup(&c->arena, req->path);
    c->content_type = fed_arena_dup(&c->arena, req->content_type);
    c->accept = fed_arena_dup(&c->arena, req->accept);
    c->body = fed_arena_dup(&c->arena, req->body);
    c->timeout_ms = req->timeout_ms ? req->timeout_ms : 30000;
    c->cb = cb;
    c->ud = ud;
    return &c->call;
}

static struct fed_call *start_watch(struct fed_transport *t, struct fed_str path, const struct fed_watch_handlers *h,
                                    void *ud)
{
    struct fed_local_call *c = call_new((struct fed_local *)t);
    c->method = "GET";
    c->path = fed_arena_dup(&c->arena, path);
    c->is_watch = true;
    c->h = *h;
    c->ud = ud;
    return &c->call;
}

static void cancel(struct fed_call *call)
{
    struct fed_local_call *c = (struct fed_local_call *)call;
    if (c->r) {
        c->r->call = NULL;
        c->r->gone = true;
        if (c->r->stream_gone) {
            void (*gone)(void *) = c->r->stream_gone;
            c->r->stream_gone = NULL;
            gone(c->r->stream_ud);
        }
    }
    if (c->watcher)
        fed_watch_gone(c->watcher);
    fed_local_call_free(c);
}

static void local_free(struct fed_transport *t)
{
    struct fed_local *l = (struct fed_local *)t;
    while (!fed_list_empty(&l->calls))
        cancel(&FED_LIST_ENTRY(l->calls.next, struct fed_local_call, link)->call);
    fed_list_remove(&l->link);
    fed_arena_release(&l->arena);
    free(l);
}

static const struct fed_transport_ops local_ops = {
    .call = start_call, .watch = start_watch, .cancel = cancel, .free = local_free};

struct fed_transport *fed_api_local(struct fed_api *api, const struct fed_identity *who)
{
    struct fed_local *l = FED_NEW(struct fed_local);
    l->t = (struct fed_transport){.ops = &local_ops, .env = api->env, .watch_list = true, .name = "local"};
    l->api = api;
    fed_list_init(&l->calls);
    fed_list_push_back(&api->locals, &l->link);
    struct fed_str *groups = FED_ARENA_ARRAY(&l->arena, struct fed_str, who->n_groups + 1);
    for (size_t i = 0; i < who->n_groups; i++)
        groups[i] = fed_arena_dup(&l->arena, who->groups[i]);
    groups[who->n_groups] = FED_STR("system:authenticated");
    l->who.user = fed_arena_dup(&l->arena, who->user);
    l->who.uid = fed_arena_dup(&l->arena, who->uid);
    l->who.groups = groups;
    l->who.n_groups = who->n_groups + 1;
    return &l->t;
}

struct fed_transport *fed_api_local_fenced(struct fed_api *api, const struct fed_identity *who, struct fed_fence *f)
{
    struct fed_transport *t = fed_api_local(api, who);
    ((struct fed_local *)t)->fence = f;
    return t;
}

static void stop_call(struct fed_local_call *c)
{
    struct fed_err err = {0};
    fed_err_set(&err, FED_E_CLOSED, "the server is gone");
    if (c->r) {
        c->r->call = NULL;
        c->r->gone = true;
    }
    if (c->watcher)
        fed_watch_gone(c->watcher);
    c->watcher = NULL;
    if (c->is_watch)
        fed_local_finish_watch(c, err.code, &err);
    else
        fed_local_finish_call(c, err.code, 0, (struct fed_str){NULL, 0}, &err);
}

/* The server goes: what is under way is told so; later calls are refused. */
void fed_api_locals_stop(struct fed_api *api)
{
    while (!fed_list_empty(&api->locals)) {
        struct fed_local *l = FED_LIST_ENTRY(api->locals.next, struct fed_local, link);
        fed_list_remove(&l->link);
        l->api = NULL;
        /* Only what is there now: a callback may start a new call, which is refused when its task runs. */
        struct fed_list now;
        fed_list_init(&now);
        while (!fed_list_empty(&l->calls)) {
            struct fed_list *first = l->calls.next;
            fed_list_remove(first);
            fed_list_push_back(&now, first);
        }
        while (!fed_list_empty(&now))
            stop_call(FED_LIST_ENTRY(now.next, struct fed_local_call, link));
    }
}
