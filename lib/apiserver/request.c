/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a request: made or recycled, deferred, done when it is answered and nobody points to it. */
#include "apiserver/audit.h"
#include "apiserver/flow.h"
#include "apiserver/registry.h"
#include "base/mem.h"

#define KEEP_IDLE  64u
#define KEEP_ARENA (16u * 1024)

struct fed_api_reply *fed_api_request_new(struct fed_api *api)
{
    struct fed_api_reply *r;
    if (!fed_list_empty(&api->idle)) {
        r = FED_LIST_ENTRY(api->idle.next, struct fed_api_reply, link);
        fed_list_remove(&r->link);
        api->n_idle--;
        struct fed_arena keep = r->arena;
        *r = (struct fed_api_reply){.arena = keep};
    } else {
        r = FED_NEW(struct fed_api_reply);
    }
    r->api = api;
    r->q.arena = &r->arena;
    r->q.verb = "";
    r->start_ns = fed_mono_ns(api->env);
    fed_list_push_back(&api->requests, &r->link);
    return r;
}

void fed_api_request_let_go(struct fed_api_reply *r)
{
    fed_kcache_unref(r->held_kc);
    fed_kind_unref(r->held);
    r->held_kc = NULL;
    r->held = NULL;
}

void fed_api_request_done(struct fed_api_reply *r)
{
    if (!r->answered && !r->gone)
        return;
    /* An exchange with a closed callback still points to us. */
    if (r->closed_set && !r->gone)
        return;
    if (!r->answered) /* work is under way; it ends in an answer nobody hears */
        return;
    fed_list_remove(&r->link);
    if (r->flow)
        fed_flow_leave(r);
    if (r->audit)
        fed_audit_end(r);
    if (r->op) /* refused before its commit */
        fed_commit_release(r->op);
    fed_api_request_let_go(r);
    if (r->arena.used > KEEP_ARENA) /* an idle request keeps no large chunk */
        fed_arena_release(&r->arena);
    else
        fed_arena_reset(&r->arena);
    struct fed_api *api = r->api;
    if (api->n_idle < KEEP_IDLE) {
        fed_list_push_back(&api->idle, &r->link);
        api->n_idle++;
    } else {
        fed_arena_release(&r->arena);
        free(r);
    }
}

static void closed(void *ud)
{
    struct fed_api_reply *r = ud;
    r->gone = true;
    r->x = NULL;
    if (r->queued_in)
        fed_flow_forget(r);
    if (r->stream_gone) {
        void (*gone)(void *) = r->stream_gone;
        r->stream_gone = NULL;
        r->answered = true; /* nobody will end it */
        gone(r->stream_ud);
    }
    fed_api_request_done(r);
}

void fed_api_request_defer(struct fed_api_reply *r)
{
    if (!r->x || r->closed_set)
        return;
    r->closed_set = true;
    fed_http_on_closed(r->x, closed, r);
}
