/* SPDX-License-Identifier: Apache-2.0 */
/* Watches over the local transport: they are handed the cache's own objects. */
#include "apiserver/list_options.h"
#include "apiserver/local_priv.h"

static void watch_object(void *ud, enum fed_event type, struct fed_kobj *o)
{
    struct fed_local_call *c = ud;
    if (c->form.v == NULL || type == FED_EVENT_BOOKMARK ||
        (c->form.v == fed_form_stored(c->form.v->kind, o) && c->form.kind == FED_FORM_OBJECT)) {
        c->h.event(c->ud, type, o);
        return;
    }
    /* Another version: an object of its own. */
    struct fed_kobj *other = NULL;
    struct fed_str none = {NULL, 0};
    if (fed_kobj_new(fed_form_bytes(o, &c->form, NULL), none, none, &other, NULL) == 0)
        c->h.event(c->ud, type, other);
    fed_kobj_unref(other);
}

static void watch_end(void *ud, int code, const struct fed_err *err)
{
    struct fed_local_call *c = ud;
    c->watcher = NULL;
    fed_local_finish_watch(c, code, err);
}

static const struct fed_sink_ops object_sink = {.object = watch_object, .end = watch_end};

void fed_api_local_watch(struct fed_api_reply *r)
{
    struct fed_local_call *c = r->call;
    struct fed_watch_spec spec = {0};
    struct fed_arena arena = {0};
    struct fed_err err = {0};
    if (!fed_watch_params(r, &spec, &arena)) { /* answered */
        fed_arena_release(&arena);
        return;
    }
    c->form = spec.form;
    r->call = NULL;
    c->r = NULL;
    r->answered = true;
    struct fed_kcache *kc = r->kc;
    struct fed_hub *hub = r->api->hub;
    fed_api_request_done(r);
    if (!c->is_watch) { /* a plain call to a watch path */
        fed_arena_release(&arena);
        fed_err_set(&err, FED_E_BAD_REQUEST, "a watch needs the watch call");
        fed_local_finish_call(c, err.code, 400, (struct fed_str){NULL, 0}, &err);
        return;
    }
    if (fed_watch_start(hub, kc, &spec, &arena, &object_sink, c, &c->watcher, &err)) {
        fed_arena_release(&arena);
        fed_local_finish_watch(c, err.code, &err);
        return;
    }
    if (c->h.opened)
        c->h.opened(c->ud);
}
