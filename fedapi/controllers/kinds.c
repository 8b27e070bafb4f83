/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/kinds.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fedapi/controllers/spread.h"
#include "kube/crd.h"

/* --- the set --- */

static struct fed_resource own_resource(struct fed_str group, struct fed_str version, struct fed_str plural,
                                        struct fed_str kind, bool namespaced)
{
    return (struct fed_resource){fed_strdup_str(group), fed_strdup_str(version), fed_strdup_str(plural),
                                 fed_strdup_str(kind), namespaced};
}

bool fapi_kinds_put(struct fapi_federation *f, struct fapi_kind *k)
{
    size_t i = 0;
    while (i < f->n_kinds && f->kinds[i])
        i++;
    if (i == FAPI_KINDS_MAX)
        return false;
    if (i == f->cap_kinds) {
        f->cap_kinds = f->cap_kinds ? f->cap_kinds * 2 : 64;
        f->kinds = fed_realloc(f->kinds, f->cap_kinds * sizeof(struct fapi_kind *));
        f->rounds = fed_realloc(f->rounds, f->cap_kinds * sizeof(*f->rounds));
        memset(f->rounds + i, 0, (f->cap_kinds - i) * sizeof(*f->rounds));
    }
    k->fed = f;
    k->index = i;
    k->id = i + FAPI_KINDS_MAX * f->rounds[i]++;
    f->kinds[i] = k;
    f->n_kinds = FED_MAX(f->n_kinds, i + 1);
    k->hub = fed_informer_new(&(struct fed_informer_conf){.transport = f->hub, .resource = &k->resource});
    return true;
}

void fapi_kind_free(struct fapi_kind *k)
{
    fed_informer_free(k->hub);
    free((char *)k->resource.group);
    free((char *)k->resource.version);
    free((char *)k->resource.plural);
    free((char *)k->resource.kind);
    if (k->custom) {
        free((char *)k->custom->replicas.p);
        free((char *)k->custom->status_replicas.p);
        free(k->custom);
    }
    free(k->definition);
    free(k->shape);
    free(k);
}

static struct fed_str own_text(struct fed_str s)
{
    return (struct fed_str){fed_strdup_str(s), s.n};
}

struct fapi_kind *fapi_kind_describe(const struct fed_json *tree)
{
    struct fed_arena a = {0};
    struct fed_json *doc = fed_crd_document(&a, tree);
    struct fed_str stored = fed_json_find_text(doc, "storageVersion");
    const struct fed_json *subs = NULL, *scale;
    struct fapi_kind *k = FED_NEW(struct fapi_kind);
    FED_JSON_EACH(v, fed_json_find(doc, "versions"))
        if (fed_str_eq(fed_json_find_text(v, "name"), stored))
            subs = fed_json_find(v, "subresources");
    scale = fed_json_find(subs, "scale");
    k->custom = FED_NEW(struct fapi_custom);
    k->custom->replicas = own_text(fed_json_find_text(scale, "specReplicasPath"));
    k->custom->status_replicas = own_text(fed_json_find_text(scale, "statusReplicasPath"));
    k->has_status = fed_json_find(subs, "status") != NULL;
    k->spread = scale ? FAPI_SPREAD_DIVIDE : FAPI_SPREAD_COPY;
    k->resource = own_resource(fed_json_find_text(doc, "group"), stored, fed_json_find_text(doc, "plural"),
                               fed_json_find_text(doc, "kind"), fed_json_bool(fed_json_find(doc, "namespaced"), true));
    k->definition = fed_strdup_str(fed_obj_name(tree));
    k->shape =
        fed_asprintf("%.*s %s %s %d %d %s %s", FED_STR_ARG(fed_obj_uid(tree)), k->resource.version, k->resource.kind,
                     k->resource.namespaced, k->has_status, k->custom->replicas.p, k->custom->status_replicas.p);
    fed_arena_release(&a);
    return k;
}

static enum fapi_spread spread_of(const struct fed_kind *k)
{
    if (fed_str_is(k->plural, "namespaces") && k->group.n == 0)
        return FAPI_SPREAD_NAMESPACE;
    return fapi_spread_find(k->kind) ? FAPI_SPREAD_DIVIDE : FAPI_SPREAD_COPY;
}

void fapi_kinds_init(struct fapi_federation *f, const struct fed_kinds *all)
{
    for (size_t i = 0; i < fed_kinds_count(all); i++) {
        const struct fed_kind *kind = fed_kinds_at(all, i);
        if (kind->custom || kind->residence != FED_RESIDE_BOTH)
            continue;
        const struct fed_kind_version *v = fed_kind_storage(kind);
        struct fapi_kind *k = FED_NEW(struct fapi_kind);
        k->resource = own_resource(v->group, v->version, kind->plural, kind->kind, kind->namespaced);
        k->spread = spread_of(kind);
        k->has_status = kind->has_status;
        k->status_annotates = kind->has_status && !fed_kind_status_keeps(kind, "annotations");
        FED_REQUIRE(fapi_kinds_put(f, k));
        if (fed_crd_is(kind))
            f->definitions = k;
    }
}

void fapi_kinds_release(struct fapi_federation *f)
{
    FAPI_KIND_EACH(k, f)
        fapi_kind_free(k);
    free(f->kinds);
    free(f->rounds);
    fed_map_release(&f->defined);
}

struct fapi_kind *fapi_kind_find(struct fapi_federation *f, const char *group, const char *plural)
{
    FAPI_KIND_EACH(k, f)
        if (strcmp(k->resource.group, group) == 0 && strcmp(k->resource.plural, plural) == 0)
            return k;
    return NULL;
}

struct fed_str fapi_kind_name(const struct fapi_kind *k)
{
    return k->custom ? FED_STR("") : fed_str(k->resource.kind);
}

int64_t fapi_kind_number(const struct fapi_kind *k, const struct fed_json *tree)
{
    return k->custom ? fapi_custom_number(k->custom, tree) : fapi_spread_number(fapi_kind_name(k), tree);
}

/* --- keys --- */

struct fed_str fapi_key(struct fed_arena *a, const struct fapi_kind *k, struct fed_str ns, struct fed_str name)
{
    return fed_arena_printf(a, "%" PRIu64 "/%.*s/%.*s", k->id, FED_STR_ARG(ns), FED_STR_ARG(name));
}

bool fapi_key_parse(const struct fapi_federation *f, const char *key, struct fapi_kind **kind, struct fed_str *ns,
                    struct fed_str *name)
{
    struct fed_str rest = fed_str(key), piece;
    uint64_t id;
    if (!fed_str_cut(&rest, '/', &piece) || fed_str_u64(piece, &id) != 0 || id % FAPI_KINDS_MAX >= f->n_kinds)
        return false;
    struct fapi_kind *k = f->kinds[id % FAPI_KINDS_MAX];
    if (!k || k->id != id || !fed_str_cut(&rest, '/', ns) || !rest.p)
        return false;
    *kind = k;
    *name = rest;
    return true;
}

/* --- kinds of users --- */

struct fapi_kind *fapi_kinds_defined(struct fapi_federation *f, struct fed_str definition)
{
    return fed_map_find(&f->defined, definition);
}

struct fed_kobj *fapi_kinds_definition(const struct fapi_kind *k)
{
    const struct fapi_kind *all = k->fed->definitions;
    return all && k->definition ? fed_informer_find(all->hub, (struct fed_str){0}, fed_str(k->definition)) : NULL;
}

static bool is_bound(void *ud, struct fed_kobj *o)
{
    bool *bound = ud;
    *bound = fed_kobj_has_finalizer(o, FAPI_FINALIZER);
    return !*bound;
}

bool fapi_kinds_bound(const struct fapi_kind *k)
{
    bool bound = !fed_informer_synced(k->hub);
    if (!bound)
        fed_informer_each(k->hub, (struct fed_str){0}, is_bound, &bound);
    return bound;
}

bool fapi_kind_is_withdrawn(const struct fapi_kind *k, const struct fed_kobj *hub)
{
    return k == k->fed->definitions && !fapi_custom_in_members(hub);
}

/* A Namespace goes last: spec.finalizers is emptied once its contents are gone. So does a definition. */
bool fapi_has_contents(const struct fapi_kind *k, const struct fed_kobj *hub)
{
    struct fed_arena a = {0};
    bool any = k == k->fed->definitions && fed_kobj_has_finalizer(hub, FED_CRD_FINALIZER);
    if (k->spread == FAPI_SPREAD_NAMESPACE) {
        const struct fed_json *f = fed_json_at(fed_kobj_parse(hub, &a), "spec", "finalizers", NULL);
        any = f && f->n > 0;
    }
    fed_arena_release(&a);
    return any;
}

/* The kinds of the program have one name in all their groups. */
bool fapi_kind_is_target(const struct fed_json *ref, const struct fapi_kind *k)
{
    struct fed_str group = fed_json_find_text(ref, "apiVersion"), version = {0};
    if (!fed_str_is(fed_json_find_text(ref, "kind"), k->resource.kind))
        return false;
    return !k->custom ||
           (k->custom->replicas.n && fed_str_cut(&group, '/', &version) && fed_str_is(version, k->resource.group));
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
    x->yes = x->yes || (!hpa->deleting && fapi_kind_is_target(ref, x->kind) &&
                        fed_str_eq(fed_json_find_text(ref, "name"), x->hub->name));
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

bool fapi_kind_goes(const struct fapi_kind *k, const struct fed_kobj *hub)
{
    const char *why;
    return k == k->fed->definitions ? fapi_custom_goes(hub, &why) : fapi_propagates(hub, k->custom != NULL, &why);
}
