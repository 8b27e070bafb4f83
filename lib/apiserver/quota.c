/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/quota.h"

#include "apiserver/quota_guard.h"

#include "base/mem.h"
#include "kube/quantity.h"
#include "kube/quota.h"

#define STATUS_DELAY_MS 50u

struct quota { /* one ResourceQuota */
    struct fed_str name;
    const struct fed_json *spec, *hard;
    int64_t *limit, *used; /* by the place in hard */
};
struct space {              /* a namespace with quotas */
    struct fed_arena arena; /* of the quotas; made anew when one of them changes */
    struct fed_str ns;
    struct quota *quotas;
    size_t n;
    bool counted, dirty;
    size_t writing; /* status updates under way */
    struct fed_list reservations;
};
struct fed_quota_reservation {
    struct fed_list link;
    struct fed_kcache *kc;
    struct fed_str name;
    const struct fed_json *obj;
    struct fed_amounts delta;
    struct fed_quota_kind kind;
};
struct fed_quota_state {
    struct fed_api *api;
    struct fed_kcache *kc;  /* of resourcequotas */
    struct fed_map spaces;  /* ns -> struct space */
    struct fed_timer timer; /* statuses to write */
};

/* --- counting --- */

static int64_t milli_of(const struct fed_json *v)
{
    int64_t n = 0;
    return v && (v->type == FED_JSON_STRING || v->type == FED_JSON_NUMBER) && fed_quantity_milli(v->s, &n) == 0 ? n : 0;
}

struct gather {
    struct space *s;
    size_t cap;
};

static bool gather_one(void *ud, struct fed_kobj *o)
{
    struct gather *g = ud;
    struct space *s = g->s;
    struct fed_arena *a = &s->arena;
    if (o->deleting)
        return true;
    if (s->n == g->cap) {
        struct quota *more = FED_ARENA_ARRAY(a, struct quota, g->cap ? g->cap * 2 : 4);
        if (s->n)
            memcpy(more, s->quotas, s->n * sizeof *more);
        s->quotas = more;
        g->cap = g->cap ? g->cap * 2 : 4;
    }
    struct quota *q = &s->quotas[s->n++];
    *q = (struct quota){.name = fed_arena_dup(a, o->name), .spec = fed_json_find(fed_kobj_parse(o, a), "spec")};
    q->hard = fed_json_find(q->spec, "hard");
    size_t n = q->hard ? q->hard->n : 0, i = 0;
    q->limit = FED_ARENA_ARRAY(a, int64_t, n + 1);
    q->used = FED_ARENA_ARRAY(a, int64_t, n + 1);
    FED_JSON_EACH(h, q->hard)
        q->limit[i++] = milli_of(h);
    return true;
}

static void charge(struct quota *q, const struct fed_amounts *cost, int sign)
{
    size_t i = 0;
    FED_JSON_EACH(h, q->hard) {
        const struct fed_amount *c = fed_amounts_find(cost, h->key);
        if (c)
            q->used[i] += sign * c->milli;
        i++;
    }
}

/* Adds (sign 1) or takes away (-1) what an object of the namespace costs. True when a quota noticed. */
static bool charge_object(struct space *s, const struct fed_kind *kind, struct fed_kobj *o, int sign)
{
    struct fed_arena scratch = {0};
    struct fed_quota_kind k;
    struct fed_amounts cost = {.arena = &scratch};
    fed_quota_kind_init(&k, &scratch, kind);
    const struct fed_json *obj = k.rule == FED_QUOTA_PLAIN ? NULL : fed_kobj_parse(o, &scratch);
    bool noticed = false;
    fed_quota_usage(&k, obj, &cost);
    for (size_t i = 0; i < s->n; i++) {
        struct quota *q = &s->quotas[i];
        bool named = false;
        for (size_t c = 0; !named && c < cost.n; c++)
            named = cost.items[c].milli && fed_json_find_str(q->hard, cost.items[c].name);
        if (named && fed_quota_in_scope(&k, q->spec, obj)) {
            charge(q, &cost, sign);
            noticed = true;
        }
    }
    fed_arena_release(&scratch);
    return noticed;
}

struct count {
    struct space *s;
    const struct fed_kind *kind;
};

static bool count_one(void *ud, struct fed_kobj *o)
{
    struct count *c = ud;
    (void)charge_object(c->s, c->kind, o, 1);
    return true;
}

/* Does any quota speak of this kind at all? */
static bool is_limited(const struct space *s, const struct fed_kind *kind)
{
    struct fed_arena scratch = {0};
    struct fed_quota_kind k;
    bool yes = false;
    fed_quota_kind_init(&k, &scratch, kind);
    for (size_t i = 0; !yes && i < s->n; i++)
        yes = k.rule != FED_QUOTA_PLAIN || fed_json_find_str(s->quotas[i].hard, k.count) ||
              (k.plain.n && fed_json_find_str(s->quotas[i].hard, k.plain));
    fed_arena_release(&scratch);
    return yes;
}

static void count_all(struct fed_quota_state *st, struct space *s)
{
    struct fed_str none = {NULL, 0};
    struct gather g = {.s = s};
    if (s->counted)
        return;
    fed_arena_release(&s->arena);
    s->quotas = NULL;
    s->n = 0;
    s->counted = true;
    fed_tree_walk(st->kc->root, s->ns, none, none, gather_one, &g);
    FED_MAP_EACH(e, &st->api->cache.kinds) {
        struct fed_kcache *kc = e->value;
        struct count c = {s, kc->kind};
        if (s->n && kc->kind->namespaced && kc->n && is_limited(s, kc->kind))
            fed_tree_walk(kc->root, s->ns, none, none, count_one, &c);
    }
}

static void space_free(struct space *s)
{
    fed_arena_release(&s->arena);
    free((char *)s->ns.p);
    free(s);
}

static struct space *space_get(struct fed_quota_state *st, struct fed_str ns)
{
    struct space *s = fed_map_find(&st->spaces, ns);
    if (s)
        return s;
    s = FED_NEW(struct space);
    fed_list_init(&s->reservations);
    fed_map_set(&st->spaces, ns, s);
    s->ns = fed_str(fed_strdup_str(ns));
    return s;
}

/* --- deciding --- */

/* What those admitted but not yet seen will use. */
static int64_t reserved(const struct space *s, const struct quota *q, struct fed_str resource)
{
    int64_t sum = 0;
    FED_LIST_EACH(it, &s->reservations) {
        struct fed_quota_reservation *r = FED_LIST_ENTRY(it, struct fed_quota_reservation, link);
        const struct fed_amount *d = fed_amounts_find(&r->delta, resource);
        if (d && fed_quota_in_scope(&r->kind, q->spec, r->obj))
            sum += d->milli;
    }
    return sum;
}

static void put_amount(struct fed_buf *b, struct fed_str name, int64_t milli)
{
    fed_buf_addf(b, "%s%.*s=", b->n ? "," : "", FED_STR_ARG(name));
    fed_amount_format(b, name, milli);
}

static int cmp_keys(const void *a, const void *b)
{
    const struct fed_json *const *x = a, *const *y = b;
    return fed_str_cmp((*x)->key, (*y)->key);
}

static int check_quota(struct space *s, struct quota *q, const struct fed_amounts *delta, struct fed_write_op *op)
{
    struct fed_arena *a = op->w.arena;
    const struct fed_json **over = FED_ARENA_ARRAY(a, const struct fed_json *, (q->hard ? q->hard->n : 0) + 1);
    size_t n = 0, i = 0;
    FED_JSON_EACH(h, q->hard) {
        const struct fed_amount *d = fed_amounts_find(delta, h->key);
        if (d && d->milli > 0 && q->used[i] + reserved(s, q, h->key) + d->milli > q->limit[i])
            over[n++] = h;
        i++;
    }
    if (!n)
        return 0;
    qsort(over, n, sizeof *over, cmp_keys);
    struct fed_buf asked = {0}, used = {0}, limit = {0};
    for (size_t k = 0; k < n; k++) {
        size_t at = 0;
        for (const struct fed_json *h = q->hard->first; h != over[k]; h = h->next)
            at++;
        put_amount(&asked, over[k]->key, fed_amounts_find(delta, over[k]->key)->milli);
        put_amount(&used, over[k]->key, q->used[at] + reserved(s, q, over[k]->key));
        fed_buf_addf(&limit, "%s%.*s=%.*s", k ? "," : "", FED_STR_ARG(over[k]->key), FED_STR_ARG(over[k]->s));
    }
    fed_err_set(&op->err, FED_E_FORBIDDEN, "exceeded quota: %.*s, requested: %s, used: %s, limited: %s",
                FED_STR_ARG(q->name), fed_buf_z(&asked), fed_buf_z(&used), fed_buf_z(&limit));
    fed_buf_release(&asked);
    fed_buf_release(&used);
    fed_buf_release(&limit);
    return FED_E_FORBIDDEN;
}

static int check_all(struct space *s, const struct fed_quota_reservation *want, struct fed_write_op *op)
{
    for (size_t i = 0; i < s->n; i++) {
        struct quota *q = &s->quotas[i];
        if (!fed_quota_in_scope(&want->kind, q->spec, want->obj))
            continue;
        struct fed_str silent = want->kind.rule == FED_QUOTA_POD && op->create
                                    ? fed_quota_unspecified(op->w.arena, q->hard, want->obj)
                                    : (struct fed_str){NULL, 0};
        if (silent.n)
            return fed_err_set(&op->err, FED_E_FORBIDDEN, "failed quota: %.*s: %.*s", FED_STR_ARG(q->name),
                               FED_STR_ARG(silent));
        int rc = check_quota(s, q, &want->delta, op);
        if (rc)
            return rc;
    }
    return 0;
}

/* Is there a quota that it takes from? */
static bool takes(const struct space *s, const struct fed_quota_reservation *want)
{
    for (size_t i = 0; i < s->n; i++)
        FED_JSON_EACH(h, s->quotas[i].hard) {
            const struct fed_amount *d = fed_amounts_find(&want->delta, h->key);
            if (d && d->milli > 0)
                return true;
        }
    return false;
}

/* What the write takes more of, in a namespace with quotas; NULL: nothing. */
static struct fed_quota_reservation *wanted(struct fed_write_op *op, struct space **space)
{
    struct fed_quota_state *st = op->r->api->quota;
    struct fed_arena *a = op->w.arena;
    if (!st || !fed_map_count(&st->spaces) || !op->w.kind->namespaced || op->w.subresource.n)
        return NULL;
    struct space *s = fed_map_find(&st->spaces, op->r->q.ns);
    if (!s)
        return NULL;
    count_all(st, s);
    struct fed_quota_reservation *want = FED_ARENA_NEW(a, struct fed_quota_reservation);
    *want =
        (struct fed_quota_reservation){.kc = op->r->kc, .name = op->r->q.name, .obj = op->obj, .delta = {.arena = a}};
    fed_quota_kind_init(&want->kind, a, op->w.kind);
    /* Pods and plain objects cost when they are made; services and claims may come to cost more. */
    if (!s->n || (!op->create && want->kind.rule != FED_QUOTA_SERVICE && want->kind.rule != FED_QUOTA_CLAIM))
        return NULL;
    fed_quota_usage(&want->kind, op->obj, &want->delta);
    if (op->old_tree) {
        struct fed_amounts before = {.arena = a};
        fed_quota_usage(&want->kind, op->old_tree, &before);
        for (size_t i = 0; i < before.n; i++)
            fed_amounts_add(&want->delta, before.items[i].name, -before.items[i].milli);
    }
    *space = s;
    return want;
}

int fed_quota_admit(struct fed_write_op *op)
{
    struct space *s = NULL;
    struct fed_quota_reservation *want = wanted(op, &s);
    bool dry = op->r->q.dry_run;
    if (want && !dry && takes(s, want)) {
        int rc = fed_guard_enter(op);
        if (rc)
            return rc;
    } else {
        fed_guard_leave(op); /* it waited, and what it waited for has gone */
    }
    int rc = want ? check_all(s, want, op) : 0;
    if (rc == 0 && want && !dry) {
        fed_list_push_back(&s->reservations, &want->link);
        op->quota = want;
    }
    return rc;
}

void fed_quota_settle(struct fed_write_op *op)
{
    if (op->quota)
        fed_list_remove(&op->quota->link);
    op->quota = NULL;
}

/* --- status --- */

static void mark_dirty(struct fed_quota_state *st, struct space *s);

static void status_written(struct fed_write_op *op, int code, uint64_t rev, const struct fed_err *err)
{
    struct fed_api_reply *r = op->r;
    struct fed_quota_state *st = r->api->quota;
    struct space *s = st ? fed_map_find(&st->spaces, r->q.ns) : NULL;
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

static struct fed_json *status_of(struct fed_arena *a, const struct quota *q)
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

static void write_status(struct fed_quota_state *st, struct space *s, const struct quota *q)
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
        struct space *s = e->value;
        if (!s->dirty || s->writing)
            continue;
        s->dirty = false;
        count_all(st, s);
        for (size_t i = 0; i < s->n; i++)
            write_status(st, s, &s->quotas[i]);
        if (!s->n && fed_list_empty(&s->reservations) && !s->writing) {
            fed_guard_forget(st->api, s->ns);
            fed_map_remove(&st->spaces, s->ns);
            space_free(s);
        }
    }
}

static void mark_dirty(struct fed_quota_state *st, struct space *s)
{
    s->dirty = true;
    if (!fed_timer_active(&st->timer))
        fed_timer_start(st->api->env, &st->timer, STATUS_DELAY_MS, on_timer);
}

/* --- following the state --- */

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
    struct space *s = space_get(st, ch->now->ns);
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
    struct space *s = fed_map_find(&st->spaces, ch->now->ns);
    if (!s)
        return;
    FED_LIST_EACH_SAFE(it, &s->reservations) { /* it has arrived: counted from now on */
        struct fed_quota_reservation *r = FED_LIST_ENTRY(it, struct fed_quota_reservation, link);
        if (r->kc == ch->kc && fed_str_eq(r->name, ch->now->name))
            fed_list_remove(&r->link);
    }
    if (!s->counted)
        return;
    bool noticed = ch->old && charge_object(s, ch->kc->kind, ch->old, -1);
    noticed |= !ch->deleted && charge_object(s, ch->kc->kind, ch->now, 1);
    if (noticed)
        mark_dirty(st, s);
}

static bool found_one(void *ud, struct fed_kobj *o)
{
    struct fed_quota_state *st = ud;
    mark_dirty(st, space_get(st, o->ns));
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
        space_free(e->value);
    }
    fed_map_release(&st->spaces);
    free(st);
    api->quota = NULL;
}
