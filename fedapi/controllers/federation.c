/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/federation.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "fedapi/controllers/edge.h"
#include "fedapi/controllers/endpoints.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/member.h"
#include "fedapi/controllers/replicator.h"
#include "fedapi/controllers/scheduler.h"
#include "fedapi/controllers/spread.h"
#include "fedapi/controllers/status.h"

/* --- changes at the hub --- */

/* Whether an autoscaler's target is of the kind. The kinds of the program have one name in all their groups. */
static bool is_target(const struct fed_json *ref, const struct fapi_kind *k)
{
    struct fed_str group = fed_json_find_text(ref, "apiVersion"), version = {0};
    if (!fed_str_is(fed_json_find_text(ref, "kind"), k->resource.kind))
        return false;
    return !k->custom ||
           (k->custom->replicas.n && fed_str_cut(&group, '/', &version) && fed_str_is(version, k->resource.group));
}

/* An autoscaler comes or goes: who owns the replicas of its target changes. */
static void look_at_target(struct fapi_federation *f, const struct fed_kobj *hpa)
{
    struct fed_arena a = {0};
    const struct fed_json *ref = hpa ? fed_json_at(fed_kobj_parse(hpa, &a), "spec", "scaleTargetRef", NULL) : NULL;
    FAPI_KIND_EACH(k, f) {
        if (!ref || !is_target(ref, k))
            continue;
        struct fed_str key = fapi_key(&a, k, hpa->ns, fed_json_find_text(ref, "name"));
        for (struct fapi_member *m = NULL; (m = fapi_clusters_next(f->clusters, m));)
            fapi_replicator_add(m->replicator, key);
    }
    fed_arena_release(&a);
}

struct scaled {
    const struct fapi_kind *kind;
    const struct fed_kobj *hub;
    bool yes;
};

static bool scales(void *ud, struct fed_kobj *hpa)
{
    struct scaled *x = ud;
    struct fed_arena a = {0};
    const struct fed_json *ref = fed_json_at(fed_kobj_parse(hpa, &a), "spec", "scaleTargetRef", NULL);
    x->yes = x->yes ||
             (!hpa->deleting && is_target(ref, x->kind) && fed_str_eq(fed_json_find_text(ref, "name"), x->hub->name));
    fed_arena_release(&a);
    return !x->yes;
}

bool fapi_is_scaled(struct fapi_federation *f, const struct fapi_kind *k, const struct fed_kobj *hub)
{
    struct fapi_kind *hpas = fapi_kind_find(f, "autoscaling", "horizontalpodautoscalers");
    struct scaled x = {.kind = k, .hub = hub};
    if (hpas && (!k->custom || k->custom->replicas.n))
        fed_informer_each(hpas->hub, hub->ns, scales, &x);
    return x.yes;
}

void fapi_hub_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fapi_kind *k = ud;
    struct fapi_federation *f = k->fed;
    const struct fed_kobj *o = now ? now : old;
    const char *why;
    struct fed_arena a = {0};
    struct fed_str key = fapi_key(&a, k, o->ns, o->name);
    if (k == f->definitions)
        fapi_kinds_follow(f, now, o->name);
    bool goes = k == f->definitions ? fapi_custom_goes(o, &why) : fapi_propagates(o, k->custom != NULL, &why);
    if (goes || fapi_assignment_find(f, key.p))
        fapi_scheduler_add(f->scheduler, key);
    if (k->withdrawn || (k->ending && !now))
        fapi_kinds_wake_definition(k);
    if (fed_str_is(fapi_kind_name(k), "Service"))
        fapi_endpoints_service_changed(f->endpoints, o->ns, o->name);
    if (fed_str_is(fapi_kind_name(k), "HorizontalPodAutoscaler") && (!old || !now || now->deleting))
        look_at_target(f, o);
    fed_arena_release(&a);
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
    fapi_kinds_init(f, conf->kinds);
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
    fapi_kinds_start(f);
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
    fapi_kinds_release(f);
    FED_MAP_EACH(e, &f->assignments)
        free_assignment(e->value);
    fed_map_release(&f->assignments);
    fed_recorder_free(f->recorder);
    free(f->name);
    free(f->zone_name);
    free(f);
}
