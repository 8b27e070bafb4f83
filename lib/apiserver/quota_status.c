/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas follow each change of the state; their status is written a moment after what is used has changed. */
#include "apiserver/quota_guard.h"
#include "apiserver/quota_priv.h"
#include "base/mem.h"

#define STATUS_DELAY_MS 50u

static void mark_dirty(struct fed_quota_state *st, struct fed_quota_space *s);

static void status_written(struct fed_write_op *op, int code, uint64_t rev, const struct fed_err *err)
{
    struct fed_api_reply *r = op->r;
    struct fed_quota_state *st = r->api->quota;
    struct fed_quota_space *s = st ? fed_map_find(&st->spaces, r->q.ns) : NULL;
    (void)rev;
    (void)err;
    if (s) {
        s->writing--;
        if (code && code != FED_E_NOT_FOUND)
            s->dirty = true;
        if (s->dirty && !s->writing)
            mark_dirty(st, s);
    }
    r->answered = true;
    fed_api_request_done(r);
}

static struct fed_json *status_of(struct fed_arena *a, const struct fed_quota *q)
{
    struct fed_json *status = fed_json_object(a);
    struct fed_json *used = fed_json_object(a);
    size_t i = 0;
    fed_json_set(status, "hard", q->hard ? fed_json_copy(a, q->hard) : fed_json_object(a));
    FED_JSON_EACH(h, q->hard) {
        struct fed_buf b = {0};
        fed_amount_format(&b, h->key, FED_MAX(q->used[i], 0));
        fed_json_set_str(used, fed_arena_dup(a, h->key), fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&b))));
        fed_buf_release(&b);
        i++;
    }
    fed_json_set(status, "used", used);
    return status;
}

static void write_status(struct fed_quota_state *st, struct fed_quota_space *s, const struct fed_quota *q)
{
    struct fed_api *api = st->api;
    struct fed_kobj *o = fed_cache_find(st->kc, s->ns, q->name);
    if (!o)
        return;
    struct fed_api_reply *r = fed_api_request_new(api);
    struct fed_arena *a = &r->arena;
    struct fed_json *old = fed_kobj_parse(o, a), *status = status_of(a, q), *was = fed_json_find(old, "status");
    if (was && fed_json_equal(was, status)) {
        r->answered = true;
        fed_api_request_done(r);
        return;
    }
    r->q.verb = "update";
    r->q.version = FED_STR("v1");
    r->q.resource = FED_STR("resourcequotas");
    r->q.subresource = FED_STR("status");
    r->q.ns = fed_arena_dup(a, s->ns);
    r->q.name = fed_arena_dup(a, q->name);
    r->v = fed_kind_storage(st->kc->kind);
    r->kc = st->kc;
    struct fed_write_op *op = fed_write_op_new(r, NULL);
    op->done = status_written;
    op->client_rev = true; /* a conflict is not for the engine to retry: what is used may have changed */
    op->manager = fed_str(api->conf.server_name ? api->conf.server_name : "hansa");
    op->old = fed_kobj_ref(o);
    op->old_tree = old;
    op->obj = fed_json_copy(a, old);
    fed_json_set(op->obj, "status", status);
    s->writing++;
    fed_commit_object(op);
}

static void on_timer(struct fed_timer *t)
{
    struct fed_quota_state *st = fed_container_of(t, struct fed_quota_state, timer);
    if (!st->api->ready || st->api->stopped || st->api->failed)
        return;
    FED_MAP_EACH(e, &st->spaces) {
        struct fed_quota_space *s = e->value;
        if (!s->dirty || s->writing)
            continue;
        s->dirty = false;
        fed_quota_count(st, s);
        for (size_t i = 0; i < s->n; i++)
            write_status(st, s, &s->quotas[i]);
        if (!s->n && fed_list_empty(&s->reservations) && !s->writing) {
            fed_guard_forget(st->api, s->ns);
            fed_map_remove(&st->spaces, s->ns);
            fed_quota_space_free(s);
        }
    }
}

static void mark_dirty(struct fed_quota_state *st, struct fed_quota_space *s)
{
    s->dirty = true;
    if (!fed_timer_active(&st->timer))
        fed_timer_start(st->api->env, &st->timer, STATUS_DELAY_MS, on_timer);
}

static bool same_spec(struct fed_kobj *a, struct fed_kobj *b)
{
    struct fed_arena scratch = {0};
    const struct fed_json *x = fed_json_find(fed_kobj_parse(a, &scratch), "spec");
    const struct fed_json *y = fed_json_find(fed_kobj_parse(b, &scratch), "spec");
    bool same = x && y ? fed_json_equal(x, y) : x == y;
    fed_arena_release(&scratch);
    return same;
}

static void quota_changed(struct fed_quota_state *st, const struct fed_change *ch)
{
    struct fed_quota_space *s = fed_quota_space_get(st, ch->now->ns);
    if (!ch->old || ch->deleted || ch->now->deleting != ch->old->deleting || !same_spec(ch->old, ch->now))
        s->counted = false;
    if (!s->counted)
        mark_dirty(st, s);
}

void fed_quota_change(struct fed_api *api, const struct fed_change *ch)
{
    struct fed_quota_state *st = api->quota;
    if (!st)
        return;
    if (ch->kc == st->kc)
        quota_changed(st, ch);
    if (!fed_map_count(&st->spaces) || !ch->kc->kind->namespaced)
        return;
    struct fed_quota_space *s = fed_map_find(&st->spaces, ch->now->ns);
    if (!s)
        return;
    FED_LIST_EACH_SAFE(it, &s->reservations) { /* it has arrived: counted from now on */
        struct fed_quota_reservation *r = FED_LIST_ENTRY(it, struct fed_quota_reservation, link);
        if (r->kc == ch->kc && fed_str_eq(r->name, ch->now->name))
            fed_list_remove(&r->link);
    }
    if (!s->counted)
        return;
    bool noticed = ch->old && fed_quota_charge(s, ch->kc->kind, ch->old, -1);
    noticed |= !ch->deleted && fed_quota_charge(s, ch->kc->kind, ch->now, 1);
    if (noticed)
        mark_dirty(st, s);
}

static bool found_one(void *ud, struct fed_kobj *o)
{
    struct fed_quota_state *st = ud;
    mark_dirty(st, fed_quota_space_get(st, o->ns));
    return true;
}

void fed_quota_start(struct fed_api *api)
{
    struct fed_str none = {NULL, 0};
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, none, FED_STR("v1"), FED_STR("resourcequotas"));
    if (!v)
        return;
    api->quota = FED_NEW(struct fed_quota_state);
    api->quota->api = api;
    api->quota->kc = fed_cache_kind(&api->cache, v->kind);
    fed_tree_walk(api->quota->kc->root, none, none, none, found_one, api->quota);
}

void fed_quota_release(struct fed_api *api)
{
    struct fed_quota_state *st = api->quota;
    if (!st)
        return;
    fed_timer_stop(api->env, &st->timer);
    FED_MAP_EACH(e, &st->spaces) {
        fed_quota_space_free(e->value);
    }
    fed_map_release(&st->spaces);
    free(st);
    api->quota = NULL;
}
