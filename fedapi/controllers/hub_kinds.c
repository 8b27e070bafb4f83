/* SPDX-License-Identifier: Apache-2.0 */
/* hub_kinds.c: the hub's objects as they change; and its definitions, by which kinds of users come and go. */
#include <inttypes.h>

#include "base/log.h"
#include "base/mem.h"
#include "fedapi/controllers/due.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/member_priv.h"
#include "kube/crd.h"

/* An autoscaler comes or goes: who owns the replicas of its target changes. */
static void look_at_target(struct fapi_federation *f, const struct fed_kobj *hpa)
{
    struct fed_arena a = {0};
    const struct fed_json *ref = hpa ? fed_json_at(fed_kobj_parse(hpa, &a), "spec", "scaleTargetRef", NULL) : NULL;
    FAPI_KIND_EACH(k, f) {
        if (!ref || !fapi_kind_is_target(ref, k))
            continue;
        struct fed_str key = fapi_key(&a, k, hpa->ns, fed_json_find_text(ref, "name"));
        fapi_due_replicate_everywhere(f, key);
    }
    fed_arena_release(&a);
}

static void start(struct fapi_kind *k);

static void begin(struct fapi_federation *f, struct fapi_kind *k)
{
    if (!fapi_kinds_put(f, k)) {
        fed_log_error("federation", "definition %s: there are %d kinds already", k->definition, FAPI_KINDS_MAX);
        fapi_kind_free(k);
        return;
    }
    fed_map_set(&f->defined, fed_str(k->definition), k);
    fed_log_info("federation", "kind=%s.%s version=%s is federated", k->resource.plural, k->resource.group,
                 k->resource.version);
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(f->clusters, m));)
        fapi_member_kind_start(m, k);
    start(k);
}

static void end(struct fapi_federation *f, struct fapi_kind *k)
{
    struct fed_arena a = {0};
    struct fed_str prefix = fed_arena_printf(&a, "%" PRIu64 "/", k->id);
    fed_log_info("federation", "kind=%s.%s is not federated any more", k->resource.plural, k->resource.group);
    FED_MAP_EACH(e, &f->assignments)
        if (fed_str_starts(e->key, prefix))
            fapi_assignment_drop(f, e->key.p);
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(f->clusters, m));)
        fapi_member_kind_stop(m, k);
    fed_map_remove(&f->defined, fed_str(k->definition));
    f->kinds[k->index] = NULL;
    fapi_kind_free(k);
    fed_arena_release(&a);
}

/* What a change that does not begin the kind anew means to it. */
static void update(struct fapi_federation *f, struct fapi_kind *k, const struct fed_kobj *definition)
{
    bool withdrawn = !fapi_custom_in_members(definition), ending = withdrawn || definition->deleting;
    bool changed = withdrawn != k->withdrawn || ending != k->ending;
    k->withdrawn = withdrawn;
    k->ending = ending;
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(f->clusters, m));)
        fapi_member_kind_look(m, k);
    if (changed)
        fapi_due_decide_kind(k);
}

static void follow(struct fapi_federation *f, struct fed_kobj *now, struct fed_str name)
{
    struct fed_arena a = {0};
    const char *why;
    struct fapi_kind *had = fapi_kinds_defined(f, name), *k = NULL;
    struct fed_json *tree = now ? fed_kobj_parse(now, &a) : NULL;
    if (now && fapi_custom_goes(now, &why) && fed_crd_established(tree))
        k = fapi_kind_describe(tree);
    if (had && (!k || strcmp(k->shape, had->shape) != 0)) {
        end(f, had);
        had = NULL;
    }
    if (k && had) {
        fapi_kind_free(k);
        update(f, had, now);
    } else if (k) {
        k->withdrawn = !fapi_custom_in_members(now);
        k->ending = k->withdrawn || now->deleting;
        begin(f, k);
    }
    fed_arena_release(&a);
}

static void hub_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fapi_kind *k = ud;
    struct fapi_federation *f = k->fed;
    const struct fed_kobj *o = now ? now : old;
    struct fed_arena a = {0};
    struct fed_str key = fapi_key(&a, k, o->ns, o->name);
    if (k == f->definitions)
        follow(f, now, o->name);
    if (fapi_kind_goes(k, o) || fapi_assignment_find(f, key.p))
        fapi_due_decide(f, key);
    if (k->withdrawn || (k->ending && !now))
        fapi_due_definition(k);
    if (fed_str_is(fapi_kind_name(k), "Service"))
        fapi_due_service(f, o->ns, o->name);
    if (fed_str_is(fapi_kind_name(k), "HorizontalPodAutoscaler") && (!old || !now || now->deleting))
        look_at_target(f, o);
    fed_arena_release(&a);
}

static void hub_synced(void *ud)
{
    struct fapi_kind *k = ud;
    fapi_due_decide_kind(k);
    /* What members have of an object that is not there any more. */
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(k->fed->clusters, m));)
        fapi_due_replicate_kind(m, k, 0);
}

static void start(struct fapi_kind *k)
{
    struct fed_informer_handlers h = {.changed = hub_changed, .synced = hub_synced, .ud = k};
    fed_informer_add_handlers(k->hub, &h);
    fed_informer_start(k->hub);
}

void fapi_kinds_start(struct fapi_federation *f)
{
    FAPI_KIND_EACH(k, f)
        start(k);
}
