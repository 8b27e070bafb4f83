/* SPDX-License-Identifier: Apache-2.0 */
/* What is used of each quota, and whether a write may take more. */
#include "apiserver/quota_guard.h"
#include "apiserver/quota_priv.h"
#include "base/mem.h"
#include "kube/quantity.h"

/* --- counting --- */

static int64_t milli_of(const struct fed_json *v)
{
    int64_t n = 0;
    return v && (v->type == FED_JSON_STRING || v->type == FED_JSON_NUMBER) && fed_quantity_milli(v->s, &n) == 0 ? n : 0;
}

struct gather {
    struct fed_quota_space *s;
    size_t cap;
};

static bool gather_one(void *ud, struct fed_kobj *o)
{
    struct gather *g = ud;
    struct fed_quota_space *s = g->s;
    struct fed_arena *a = &s->arena;
    if (o->deleting)
        return true;
    FED_ARENA_ROOM(a, s->quotas, s->n, g->cap, 4);
    struct fed_quota *q = &s->quotas[s->n++];
    *q = (struct fed_quota){.name = fed_arena_dup(a, o->name), .spec = fed_json_find(fed_kobj_parse(o, a), "spec")};
    q->hard = fed_json_find(q->spec, "hard");
    size_t n = q->hard ? q->hard->n : 0, i = 0;
    q->limit = FED_ARENA_ARRAY(a, int64_t, n + 1);
    q->used = FED_ARENA_ARRAY(a, int64_t, n + 1);
    FED_JSON_EACH(h, q->hard)
        q->limit[i++] = milli_of(h);
    return true;
}

static void charge(struct fed_quota *q, const struct fed_amounts *cost, int sign)
{
    size_t i = 0;
    FED_JSON_EACH(h, q->hard) {
        const struct fed_amount *c = fed_amounts_find(cost, h->key);
        if (c)
            q->used[i] += sign * c->milli;
        i++;
    }
}

bool fed_quota_charge(struct fed_quota_space *s, const struct fed_kind *kind, struct fed_kobj *o, int sign)
{
    struct fed_arena scratch = {0};
    struct fed_quota_kind k;
    struct fed_amounts cost = {.arena = &scratch};
    fed_quota_kind_init(&k, &scratch, kind);
    const struct fed_json *obj = k.rule == FED_QUOTA_PLAIN ? NULL : fed_kobj_parse(o, &scratch);
    bool noticed = false;
    fed_quota_usage(&k, obj, &cost);
    for (size_t i = 0; i < s->n; i++) {
        struct fed_quota *q = &s->quotas[i];
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
    struct fed_quota_space *s;
    const struct fed_kind *kind;
};

static bool count_one(void *ud, struct fed_kobj *o)
{
    struct count *c = ud;
    (void)fed_quota_charge(c->s, c->kind, o, 1);
    return true;
}

/* Does any quota speak of this kind at all? */
static bool is_limited(const struct fed_quota_space *s, const struct fed_kind *kind)
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

void fed_quota_count(struct fed_quota_state *st, struct fed_quota_space *s)
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

void fed_quota_space_free(struct fed_quota_space *s)
{
    fed_arena_release(&s->arena);
    free((char *)s->ns.p);
    free(s);
}

struct fed_quota_space *fed_quota_space_get(struct fed_quota_state *st, struct fed_str ns)
{
    struct fed_quota_space *s = fed_map_find(&st->spaces, ns);
    if (s)
        return s;
    s = FED_NEW(struct fed_quota_space);
    fed_list_init(&s->reservations);
    fed_map_set(&st->spaces, ns, s);
    s->ns = fed_str(fed_strdup_str(ns));
    return s;
}

/* --- deciding --- */

/* What those admitted but not yet seen will use. */
static int64_t reserved(const struct fed_quota_space *s, const struct fed_quota *q, struct fed_str resource)
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

static int check_quota(struct fed_quota_space *s, struct fed_quota *q, const struct fed_amounts *delta,
                       struct fed_write_op *op)
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

static int check_all(struct fed_quota_space *s, const struct fed_quota_reservation *want, struct fed_write_op *op)
{
    for (size_t i = 0; i < s->n; i++) {
        struct fed_quota *q = &s->quotas[i];
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
static bool takes(const struct fed_quota_space *s, const struct fed_quota_reservation *want)
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
static struct fed_quota_reservation *wanted(struct fed_write_op *op, struct fed_quota_space **space)
{
    struct fed_quota_state *st = op->r->api->quota;
    struct fed_arena *a = op->w.arena;
    if (!st || !fed_map_count(&st->spaces) || !op->w.kind->namespaced || op->w.subresource.n)
        return NULL;
    struct fed_quota_space *s = fed_map_find(&st->spaces, op->r->q.ns);
    if (!s)
        return NULL;
    fed_quota_count(st, s);
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

int fed_quota_admit(struct fed_write_op *op, void (*go_on)(struct fed_write_op *op))
{
    struct fed_quota_space *s = NULL;
    struct fed_quota_reservation *want = wanted(op, &s);
    bool dry = op->r->q.dry_run;
    if (want && !dry && takes(s, want)) {
        int rc = fed_guard_enter(op, go_on);
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
