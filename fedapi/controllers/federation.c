/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/federation.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "fedapi/controllers/edge.h"
#include "fedapi/controllers/endpoints.h"
#include "fedapi/controllers/member.h"
#include "fedapi/controllers/replicator.h"
#include "fedapi/controllers/scheduler.h"
#include "fedapi/controllers/spread.h"
#include "fedapi/controllers/status.h"

/* --- kinds --- */

static enum fapi_spread spread_of(const struct fed_kind *k)
{
    if (fed_str_is(k->plural, "namespaces") && k->group.n == 0)
        return FAPI_SPREAD_NAMESPACE;
    return fapi_spread_find(k->kind) ? FAPI_SPREAD_DIVIDE : FAPI_SPREAD_COPY;
}

static void add_kind(struct fapi_federation *f, const struct fed_kind *k)
{
    struct fapi_kind *mine = &f->kinds[f->n_kinds];
    const struct fed_kind_version *v = fed_kind_storage(k);
    mine->kind = k;
    /* The slices of a kind are NUL-terminated JSON strings of its document only by chance: keep copies. */
    mine->resource = (struct fed_resource){fed_strdup_str(v->group), fed_strdup_str(v->version),
                                           fed_strdup_str(k->plural), fed_strdup_str(k->kind), k->namespaced};
    mine->spread = spread_of(k);
    mine->index = f->n_kinds++;
}

struct hub_ctx { /* ud of a hub informer's handlers */
    struct fapi_federation *fed;
    struct fapi_kind *kind;
};

static void make_informers(struct fapi_federation *f)
{
    for (size_t i = 0; i < f->n_kinds; i++) {
        struct fed_informer_conf conf = {.transport = f->hub, .resource = &f->kinds[i].resource};
        f->kinds[i].hub = fed_informer_new(&conf);
    }
}

/* An autoscaler comes or goes: who owns the replicas of its target changes. */
static void look_at_target(struct fapi_federation *f, const struct fed_kobj *hpa)
{
    struct fed_arena a = {0};
    const struct fed_json *ref = hpa ? fed_json_at(fed_kobj_parse(hpa, &a), "spec", "scaleTargetRef", NULL) : NULL;
    for (size_t i = 0; ref && i < f->n_kinds; i++) {
        if (!fed_str_eq(f->kinds[i].kind->kind, fed_json_find_text(ref, "kind")))
            continue;
        struct fed_str key = fapi_key(&a, &f->kinds[i], hpa->ns, fed_json_find_text(ref, "name"));
        for (struct fapi_member *m = NULL; (m = fapi_clusters_next(f->clusters, m));)
            fapi_replicator_add(m->replicator, key);
    }
    fed_arena_release(&a);
}

struct scaled {
    const struct fed_kobj *hub;
    bool yes;
};

static bool scales(void *ud, struct fed_kobj *hpa)
{
    struct scaled *x = ud;
    struct fed_arena a = {0};
    x->yes = x->yes || (!hpa->deleting && fapi_spread_scales(fed_kobj_parse(hpa, &a), x->hub->kind, x->hub->name));
    fed_arena_release(&a);
    return !x->yes;
}

bool fapi_is_scaled(struct fapi_federation *f, const struct fed_kobj *hub)
{
    struct fapi_kind *k = fapi_kind_find(f, "autoscaling", "horizontalpodautoscalers");
    struct scaled x = {.hub = hub};
    if (k)
        fed_informer_each(k->hub, hub->ns, scales, &x);
    return x.yes;
}

static void hub_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct hub_ctx *ctx = ud;
    const struct fed_kobj *o = now ? now : old;
    const char *why;
    struct fed_arena a = {0};
    if (fapi_propagates(o, &why)) {
        struct fed_str key = fapi_key(&a, ctx->kind, o->ns, o->name);
        fapi_scheduler_add(ctx->fed->scheduler, key);
    }
    if (ctx->kind->kind->group.n == 0 && fed_str_is(ctx->kind->kind->plural, "services"))
        fapi_endpoints_service_changed(ctx->fed->endpoints, o->ns, o->name);
    if (fed_str_is(ctx->kind->kind->kind, "HorizontalPodAutoscaler") && (!old || !now || now->deleting))
        look_at_target(ctx->fed, o);
    fed_arena_release(&a);
}

static void hub_synced(void *ud)
{
    struct hub_ctx *ctx = ud;
    fapi_scheduler_add_all(ctx->fed->scheduler);
}

struct fapi_kind *fapi_kind_find(struct fapi_federation *f, const char *group, const char *plural)
{
    for (size_t i = 0; i < f->n_kinds; i++)
        if (fed_str_is(f->kinds[i].kind->group, group) && fed_str_is(f->kinds[i].kind->plural, plural))
            return &f->kinds[i];
    return NULL;
}

/* --- keys --- */

struct fed_str fapi_key(struct fed_arena *a, const struct fapi_kind *k, struct fed_str ns, struct fed_str name)
{
    return fed_arena_printf(a, "%zu/%.*s/%.*s", k->index, FED_STR_ARG(ns), FED_STR_ARG(name));
}

bool fapi_key_parse(const struct fapi_federation *f, const char *key, struct fapi_kind **kind, struct fed_str *ns,
                    struct fed_str *name)
{
    struct fed_str rest = fed_str(key), piece;
    uint64_t index;
    if (!fed_str_cut(&rest, '/', &piece) || fed_str_u64(piece, &index) != 0 || index >= f->n_kinds)
        return false;
    if (!fed_str_cut(&rest, '/', ns) || !rest.p)
        return false;
    *kind = &f->kinds[index];
    *name = rest;
    return true;
}

/* --- assignments --- */

struct fapi_assignment *fapi_assignment_find(struct fapi_federation *f, const char *key)
{
    return fed_map_find(&f->assignments, fed_str(key));
}

/* Shares are in the order of members. */
static void add_missing_shares(struct fapi_federation *f, struct fapi_assignment *p)
{
    size_t i = 0;
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(f->clusters, m)); i++) {
        if (i < p->n && p->shares[i].member == m)
            continue;
        p->shares = fed_realloc(p->shares, (p->n + 1) * sizeof(*p->shares));
        memmove(&p->shares[i + 1], &p->shares[i], (p->n - i) * sizeof(*p->shares));
        p->shares[i] = (struct fapi_share){.member = m};
        p->n++;
    }
}

struct fapi_assignment *fapi_assignment_get(struct fapi_federation *f, const char *key)
{
    struct fapi_assignment *p = fapi_assignment_find(f, key);
    if (!p) {
        p = FED_NEW(struct fapi_assignment);
        p->key = fed_strdup(key);
        fed_map_set(&f->assignments, fed_str(key), p);
    }
    add_missing_shares(f, p);
    return p;
}

static void free_assignment(struct fapi_assignment *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->shares[i].why);
        free(p->shares[i].message);
        free(p->shares[i].closed);
    }
    free(p->shares);
    free(p->problem);
    free(p->key);
    free(p);
}

void fapi_assignment_drop(struct fapi_federation *f, const char *key)
{
    struct fapi_assignment *p = fed_map_remove(&f->assignments, fed_str(key));
    if (p)
        free_assignment(p);
}

struct fapi_share *fapi_assignment_share(struct fapi_assignment *p, const struct fapi_member *m)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->shares[i].member == m)
            return &p->shares[i];
    return NULL;
}

/* --- life --- */

struct fapi_federation *fapi_federation_new(const struct fapi_federation_conf *conf)
{
    struct fapi_federation *f = FED_NEW(struct fapi_federation);
    f->env = conf->env;
    f->hub = conf->hub;
    f->all_kinds = conf->kinds;
    f->metrics = conf->metrics;
    f->connector = conf->connector;
    f->timing = conf->timing;
    if (!f->timing.probe_period)
        f->timing.probe_period = 1000;
    if (!f->timing.probe_timeout)
        f->timing.probe_timeout = 1000;
    if (!f->timing.failure_grace)
        f->timing.failure_grace = 30000;
    f->name = fed_strdup(conf->name);
    f->zone_name = fed_strdup(conf->zone_name ? conf->zone_name : "");
    f->recorder = fed_recorder_new(f->hub, "federation-controller", conf->name);
    f->kinds = fed_calloc(fed_kinds_count(conf->kinds), sizeof(*f->kinds));
    for (size_t i = 0; i < fed_kinds_count(conf->kinds); i++)
        if (fed_kinds_at(conf->kinds, i)->residence == FED_RESIDE_BOTH)
            add_kind(f, fed_kinds_at(conf->kinds, i));
    make_informers(f);
    f->clusters = fapi_clusters_new(f);
    f->scheduler = fapi_scheduler_new(f);
    f->status = fapi_status_new(f);
    f->endpoints = fapi_endpoints_new(f);
    f->edge = conf->issuer ? fapi_edge_new(f, conf->issuer) : NULL;
    return f;
}

static const struct fed_resource namespaces_resource = {"", "v1", "namespaces", "Namespace", false};

static void identified(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct fapi_federation *f = ud;
    struct fed_kobj *ns = NULL;
    /* The engine makes this namespace before it answers anything; without its uid nothing may be marked as ours. */
    if (code == 0)
        code = fed_kobj_new(res->body, (struct fed_str){0}, (struct fed_str){0}, &ns, NULL);
    if (code) {
        fed_log_error("federation", "cannot read namespace " FAPI_SYSTEM_NS ": %s", err ? err->text : "");
        fed_client_get(f->hub, &namespaces_resource, (struct fed_str){0}, FED_STR(FAPI_SYSTEM_NS), identified, f);
        return;
    }
    snprintf(f->uid, sizeof(f->uid), "%.*s", FED_STR_ARG(ns->uid));
    fed_kobj_unref(ns);
    f->started = true;
    for (size_t i = 0; i < f->n_kinds; i++) {
        struct hub_ctx *ctx = FED_NEW(struct hub_ctx);
        ctx->fed = f;
        ctx->kind = &f->kinds[i];
        f->kinds[i].hub_ctx = ctx;
        struct fed_informer_handlers h = {.changed = hub_changed, .synced = hub_synced, .ud = ctx};
        fed_informer_add_handlers(f->kinds[i].hub, &h);
        fed_informer_start(f->kinds[i].hub);
    }
    fapi_endpoints_start(f->endpoints);
    fapi_clusters_start(f->clusters);
}

void fapi_federation_start(struct fapi_federation *f)
{
    fed_client_get(f->hub, &namespaces_resource, (struct fed_str){0}, FED_STR(FAPI_SYSTEM_NS), identified, f);
}

void fapi_federation_free(struct fapi_federation *f)
{
    if (!f)
        return;
    fapi_edge_free(f->edge);
    fapi_endpoints_free(f->endpoints);
    fapi_status_free(f->status);
    fapi_scheduler_free(f->scheduler);
    fapi_clusters_free(f->clusters);
    for (size_t i = 0; i < f->n_kinds; i++) {
        struct fapi_kind *k = &f->kinds[i];
        fed_informer_free(k->hub);
        free(k->hub_ctx);
        free((char *)k->resource.group);
        free((char *)k->resource.version);
        free((char *)k->resource.plural);
        free((char *)k->resource.kind);
    }
    free(f->kinds);
    FED_MAP_EACH(e, &f->assignments)
        free_assignment(e->value);
    fed_map_release(&f->assignments);
    fed_recorder_free(f->recorder);
    free(f->name);
    free(f->zone_name);
    free(f);
}
