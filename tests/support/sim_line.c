/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_line.h"

#include <stdlib.h>

#include "base/mem.h"

enum { GIVE_UP_MS = 90000, LOOK_AGAIN_MS = 250, CALL_MS = 30000 };

enum message_kind { OPENED, EVENT, ENDED };
struct message { /* of a watch, on its way to the client */
    struct fed_list link;
    enum message_kind kind;
    enum fed_event type;
    struct fed_kobj *obj;
    int code;
    uint64_t due_ns;
};
struct link {               /* a transport over the line */
    struct fed_transport t; /* first */
    struct fed_list link;   /* line->open */
    struct sim_line *line;
    struct fed_list calls;
};
struct sim_call {
    struct fed_call call; /* first */
    struct fed_list link;
    struct link *owner;
    struct fed_call *inner;
    struct fed_timer travel, deadline;
    struct fed_arena arena; /* of the request */
    struct fed_call_request req;
    void *ud;
    /* a call */
    fed_call_cb cb;
    struct fed_buf body;
    struct fed_err err;
    int code, status;
    /* a watch */
    bool is_watch, busy, dead; /* dead: canceled while its own callback ran */
    struct fed_watch_handlers h;
    struct fed_list messages;
    uint64_t last_due_ns, silent_since_ns;
};

static uint64_t travel_ms(struct sim_line *l)
{
    return l->latency_min + sim_random_below(l->chance, l->latency_max - l->latency_min + 1);
}

static bool lost(struct sim_line *l)
{
    return l->silent || (l->lose_permille && sim_random_chance(l->chance, l->lose_permille));
}

static void free_message(struct message *m)
{
    fed_list_remove(&m->link);
    fed_kobj_unref(m->obj);
    free(m);
}

static void free_call(struct sim_call *c)
{
    struct fed_env *env = c->owner->line->env;
    fed_list_remove(&c->link);
    fed_timer_stop(env, &c->travel);
    fed_timer_stop(env, &c->deadline);
    while (c->is_watch && !fed_list_empty(&c->messages))
        free_message(FED_LIST_ENTRY(c->messages.next, struct message, link));
    fed_buf_release(&c->body);
    fed_arena_release(&c->arena);
    free(c);
}

/* --- calls --- */

static bool is_write(const struct fed_call_request *req)
{
    return strcmp(req->method, "GET") != 0;
}

static void count(struct sim_line *l, const struct fed_call_request *req)
{
    l->calls++;
    if (!is_write(req))
        return;
    l->writes++;
    if (l->on_write)
        l->on_write(l->ud, l->name, req);
}

static void finish(struct sim_call *c)
{
    struct fed_call_response res = {.http_status = c->status, .body = fed_buf_str(&c->body)};
    fed_call_cb cb = c->cb;
    void *ud = c->ud;
    struct sim_call keep = *c;
    struct fed_err err = c->err;
    c->body = (struct fed_buf){0};
    free_call(c);
    if (cb)
        cb(ud, keep.code, &res, keep.code ? &err : NULL);
    fed_buf_release(&keep.body);
}

static void fail(struct sim_call *c, int code, const char *text)
{
    fed_buf_reset(&c->body);
    c->status = 0;
    c->code = fed_err_set(&c->err, code, "%s", text);
    finish(c);
}

static void answer_arrives(struct fed_timer *t)
{
    struct sim_call *c = fed_container_of(t, struct sim_call, travel);
    if (!lost(c->owner->line))
        finish(c);
}

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct sim_call *c = ud;
    struct sim_line *l = c->owner->line;
    c->inner = NULL;
    c->code = code;
    c->status = res->http_status;
    if (err)
        c->err = *err;
    fed_buf_add(&c->body, res->body);
    if (!l->latency_max)
        finish(c);
    else
        fed_timer_start(l->env, &c->travel, travel_ms(l), answer_arrives);
}

static void request_arrives(struct fed_timer *t)
{
    struct sim_call *c = fed_container_of(t, struct sim_call, travel);
    struct sim_line *l = c->owner->line;
    if (l->refused) {
        fail(c, FED_E_REFUSED, "connection refused");
        return;
    }
    if (lost(l))
        return;
    count(l, &c->req);
    c->inner = l->server->ops->call(l->server, &c->req, answered, c);
}

static void too_late(struct fed_timer *t)
{
    struct sim_call *c = fed_container_of(t, struct sim_call, deadline);
    fed_call_cancel(c->inner); /* what the server began, it ends */
    fail(c, FED_E_TIMEOUT, "no answer in time");
}

static struct sim_call *new_call(struct link *k)
{
    struct sim_call *c = FED_NEW(struct sim_call);
    c->call.transport = &k->t;
    c->owner = k;
    fed_list_push_back(&k->calls, &c->link);
    return c;
}

static struct fed_call *start_call(struct fed_transport *t, const struct fed_call_request *req, fed_call_cb cb,
                                   void *ud)
{
    struct link *k = (struct link *)t;
    struct sim_line *l = k->line;
    struct sim_call *c = new_call(k);
    c->req = *req;
    c->req.method = fed_arena_dupz(&c->arena, fed_str(req->method));
    c->req.path = fed_arena_dup(&c->arena, req->path);
    c->req.content_type = fed_arena_dup(&c->arena, req->content_type);
    c->req.accept = fed_arena_dup(&c->arena, req->accept);
    c->req.body = fed_arena_dup(&c->arena, req->body);
    c->cb = cb;
    c->ud = ud;
    if (!l->latency_max) {
        count(l, &c->req);
        c->inner = l->server->ops->call(l->server, &c->req, answered, c);
        return &c->call;
    }
    fed_timer_start(l->env, &c->deadline, req->timeout_ms ? req->timeout_ms : CALL_MS, too_late);
    fed_timer_start(l->env, &c->travel, travel_ms(l), request_arrives);
    return &c->call;
}

/* --- watches --- */

static void end_watch(struct sim_call *c, int code)
{
    struct fed_watch_handlers h = c->h;
    void *ud = c->ud;
    struct fed_err err = {0};
    fed_call_cancel(c->inner);
    free_call(c);
    if (code)
        fed_err_set(&err, code, "the watch was lost");
    h.end(ud, code, code ? &err : NULL);
}

static void deliver(struct fed_timer *t);

static void arm(struct sim_call *c)
{
    struct fed_env *env = c->owner->line->env;
    if (fed_list_empty(&c->messages))
        return;
    uint64_t due = FED_LIST_ENTRY(c->messages.next, struct message, link)->due_ns, now = fed_mono_ns(env);
    fed_timer_start(env, &c->travel, due > now ? (due - now + 999999) / 1000000 : 0, deliver);
}

/* False when the watch is gone. */
static bool deliver_one(struct sim_call *c)
{
    struct message *m = FED_LIST_ENTRY(c->messages.next, struct message, link);
    if (m->kind == ENDED) {
        end_watch(c, m->code);
        return false;
    }
    fed_list_remove(&m->link);
    c->busy = true;
    if (m->kind == EVENT)
        c->h.event(c->ud, m->type, m->obj);
    else if (c->h.opened)
        c->h.opened(c->ud);
    c->busy = false;
    free_message(m);
    if (c->dead)
        free_call(c);
    return !c->dead;
}

static void deliver(struct fed_timer *t)
{
    struct sim_call *c = fed_container_of(t, struct sim_call, travel);
    struct fed_env *env = c->owner->line->env;
    uint64_t now = fed_mono_ns(env);
    if (c->owner->line->silent) {
        if (!c->silent_since_ns)
            c->silent_since_ns = now;
        if (now - c->silent_since_ns > (uint64_t)GIVE_UP_MS * 1000000)
            end_watch(c, FED_E_TIMEOUT);
        else
            fed_timer_start(env, &c->travel, LOOK_AGAIN_MS, deliver);
        return;
    }
    c->silent_since_ns = 0;
    while (!fed_list_empty(&c->messages) &&
           FED_LIST_ENTRY(c->messages.next, struct message, link)->due_ns <= fed_mono_ns(env)) {
        if (!deliver_one(c))
            return;
    }
    arm(c);
}

static void queue_message(struct sim_call *c, enum message_kind kind, enum fed_event type, struct fed_kobj *obj,
                          int code)
{
    struct sim_line *l = c->owner->line;
    struct message *m = FED_NEW(struct message);
    uint64_t due = fed_mono_ns(l->env) + travel_ms(l) * 1000000;
    c->last_due_ns = FED_MAX(c->last_due_ns, due);
    *m = (struct message){
        .kind = kind, .type = type, .obj = obj ? fed_kobj_ref(obj) : NULL, .code = code, .due_ns = c->last_due_ns};
    fed_list_push_back(&c->messages, &m->link);
    if (!fed_timer_active(&c->travel) && !c->busy)
        arm(c);
}

static void on_event(void *ud, enum fed_event type, struct fed_kobj *obj)
{
    queue_message(ud, EVENT, type, obj, 0);
}

static void on_end(void *ud, int code, const struct fed_err *err FED_UNUSED)
{
    struct sim_call *c = ud;
    c->inner = NULL;
    queue_message(c, ENDED, 0, NULL, code);
}

static void on_opened(void *ud)
{
    queue_message(ud, OPENED, 0, NULL, 0);
}

static const struct fed_watch_handlers watch_handlers = {.event = on_event, .end = on_end, .opened = on_opened};

static void watch_arrives(struct fed_timer *t)
{
    struct sim_call *c = fed_container_of(t, struct sim_call, travel);
    struct sim_line *l = c->owner->line;
    if (l->refused) {
        end_watch(c, FED_E_REFUSED);
        return;
    }
    if (lost(l)) { /* the connection is never made */
        queue_message(c, ENDED, 0, NULL, FED_E_TIMEOUT);
        return;
    }
    l->calls++;
    c->inner = l->server->ops->watch(l->server, c->req.path, &watch_handlers, c);
}

static struct fed_call *start_watch(struct fed_transport *t, struct fed_str path, const struct fed_watch_handlers *h,
                                    void *ud)
{
    struct link *k = (struct link *)t;
    struct sim_line *l = k->line;
    struct sim_call *c = new_call(k);
    c->is_watch = true;
    c->h = *h;
    c->ud = ud;
    c->req.path = fed_arena_dup(&c->arena, path);
    fed_list_init(&c->messages);
    fed_timer_start(l->env, &c->travel, travel_ms(l), watch_arrives);
    return &c->call;
}

/* --- ends --- */

static void cancel(struct fed_call *call)
{
    struct sim_call *c = (struct sim_call *)call;
    struct sim_line *l = c->owner->line;
    bool travels = !c->is_watch && !c->inner && !c->code && !c->status && fed_timer_active(&c->travel);
    if (travels && is_write(&c->req) && !l->refused && !lost(l) && sim_random_chance(l->chance, 500)) {
        count(l, &c->req);
        l->server->ops->call(l->server, &c->req, NULL, NULL); /* it had left already */
    }
    fed_call_cancel(c->inner);
    c->inner = NULL;
    if (c->busy)
        c->dead = true;
    else
        free_call(c);
}

static void free_link(struct fed_transport *t)
{
    struct link *k = (struct link *)t;
    while (!fed_list_empty(&k->calls))
        cancel(&FED_LIST_ENTRY(k->calls.next, struct sim_call, link)->call);
    fed_list_remove(&k->link);
    free(k);
}

static const struct fed_transport_ops link_ops = {
    .call = start_call, .watch = start_watch, .cancel = cancel, .free = free_link};

void sim_line_init(struct sim_line *l, struct fed_env *env, struct sim_random *chance, struct fed_transport *server,
                   const char *name)
{
    *l = (struct sim_line){.env = env, .chance = chance, .server = server, .name = name, .watch_list = true};
    fed_list_init(&l->open);
}

struct fed_transport *sim_line_open(struct sim_line *l)
{
    struct link *k = FED_NEW(struct link);
    k->t = (struct fed_transport){.ops = &link_ops, .env = l->env, .watch_list = l->watch_list, .name = l->name};
    k->line = l;
    fed_list_init(&k->calls);
    fed_list_push_back(&l->open, &k->link);
    return &k->t;
}

void sim_line_cut_watches(struct sim_line *l, uint32_t permille)
{
    FED_LIST_EACH(node, &l->open) {
        struct link *k = FED_LIST_ENTRY(node, struct link, link);
        FED_LIST_EACH(at, &k->calls) {
            struct sim_call *c = FED_LIST_ENTRY(at, struct sim_call, link);
            if (!c->is_watch || !c->inner || !sim_random_chance(l->chance, permille))
                continue;
            fed_call_cancel(c->inner);
            c->inner = NULL;
            fed_timer_stop(l->env, &c->travel);
            while (!fed_list_empty(&c->messages))
                free_message(FED_LIST_ENTRY(c->messages.next, struct message, link));
            queue_message(c, ENDED, 0, NULL, FED_E_CLOSED);
        }
    }
}
