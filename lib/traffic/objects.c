/* SPDX-License-Identifier: Apache-2.0 */
/* objects.c: the objects that routing comes from, and what each change of one makes dirty. */
#include "base/mem.h"
#include "codec/yaml.h"
#include "traffic/builder_priv.h"

#define FLUSH_MS 20

const struct fed_resource fed_routing_resources[FED_RK_COUNT] = {
    [FED_RK_CLUSTER] = {"federation", "v1beta1", "clusters", "Cluster", false},
    [FED_RK_IMPORT] = {"multicluster.x-k8s.io", "v1alpha1", "serviceimports", "ServiceImport", true},
    [FED_RK_SLICE] = {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true},
    [FED_RK_INGRESS] = {"networking.k8s.io", "v1", "ingresses", "Ingress", true},
    [FED_RK_SECRET] = {"", "v1", "secrets", "Secret", true},
};

static bool kind_of(struct fed_str kind, enum fed_routing_kind *out)
{
    for (int i = 0; i < FED_RK_COUNT; i++) {
        if (fed_str_is(kind, fed_routing_resources[i].kind)) {
            *out = (enum fed_routing_kind)i;
            return true;
        }
    }
    return false;
}

static struct fed_service_entry *service_entry(struct fed_builder *b, struct fed_str ns, struct fed_str name)
{
    char *key = fed_asprintf("%.*s/%.*s", FED_STR_ARG(ns), FED_STR_ARG(name));
    struct fed_service_entry *e = fed_map_find(&b->services, fed_str(key));
    if (e) {
        free(key);
        return e;
    }
    e = FED_NEW(struct fed_service_entry);
    e->key = key;
    e->ns = fed_str_n(key, ns.n);
    e->name = fed_str_n(key + ns.n + 1, name.n);
    fed_list_init(&e->slices);
    fed_map_set(&b->services, fed_str(key), e);
    return e;
}

void fed_service_entry_mark(struct fed_builder *b, struct fed_service_entry *e)
{
    if (!fed_list_linked(&e->dirty_link))
        fed_list_push_back(&b->dirty, &e->dirty_link);
    fed_builder_mark(b);
}

void fed_builder_services_of_host(struct fed_builder *b, struct fed_str host)
{
    FED_MAP_EACH(entry, &b->services) {
        struct fed_service_entry *e = entry->value;
        FED_LIST_EACH(it, &e->slices) {
            const struct fed_slice_part *sl = FED_LIST_ENTRY(it, struct fed_slice_part, link);
            for (size_t i = 0; i < sl->n_endpoints; i++)
                if (fed_str_eq(sl->endpoints[i].hostname, host))
                    fed_service_entry_mark(b, e);
        }
    }
}

static struct fed_str object_key(struct fed_arena *a, enum fed_routing_kind kind, struct fed_str ns,
                                 struct fed_str name)
{
    return fed_arena_printf(a, "%d %.*s/%.*s", (int)kind, FED_STR_ARG(ns), FED_STR_ARG(name));
}

static void *parse(struct fed_builder *b, enum fed_routing_kind kind, const struct fed_kobj *o)
{
    switch (kind) {
    case FED_RK_CLUSTER:
        return fed_parse_cluster(b->conf.targets, o);
    case FED_RK_IMPORT:
        return fed_parse_import(b->conf.targets, o);
    case FED_RK_SLICE:
        return fed_parse_slice(b->conf.targets, o);
    case FED_RK_INGRESS:
        return fed_parse_ingress(o);
    case FED_RK_SECRET:
        return fed_parse_secret(o);
    default:
        return NULL;
    }
}

/* Connects a part with its service, or marks its kind; the opposite of detach. */
static void attach(struct fed_builder *b, struct fed_routing_object *o)
{
    if (!o->part)
        return;
    if (o->kind == FED_RK_IMPORT) {
        struct fed_service_entry *e = service_entry(b, o->kobj->ns, o->kobj->name);
        e->import = o->part;
        fed_service_entry_mark(b, e);
    } else if (o->kind == FED_RK_SLICE) {
        struct fed_slice_part *sl = o->part;
        struct fed_service_entry *e = service_entry(b, sl->ns, sl->service);
        fed_list_push_back(&e->slices, &sl->link);
        fed_service_entry_mark(b, e);
    } else {
        b->dirty_kind[o->kind] = true;
        fed_builder_mark(b);
    }
}

static void detach(struct fed_builder *b, struct fed_routing_object *o)
{
    if (!o->part)
        return;
    if (o->kind == FED_RK_IMPORT) {
        struct fed_service_entry *e = service_entry(b, o->kobj->ns, o->kobj->name);
        e->import = NULL;
        fed_service_entry_mark(b, e);
    } else if (o->kind == FED_RK_SLICE) {
        struct fed_slice_part *sl = o->part;
        fed_list_remove(&sl->link);
        fed_service_entry_mark(b, service_entry(b, sl->ns, sl->service));
    } else {
        b->dirty_kind[o->kind] = true;
        fed_builder_mark(b);
    }
    fed_part_unref(o->part);
    o->part = NULL;
}

/* Pods of other clusters are never reached: their slices need no memory. */
static bool wanted(const struct fed_builder *b, enum fed_routing_kind kind, const struct fed_kobj *o)
{
    if (kind == FED_RK_SECRET)
        return b->conf.secrets;
    if (kind != FED_RK_SLICE || !fed_str_is(fed_kobj_label(o, "federation.hansa.io/scope"), "local"))
        return true;
    return b->conf.local_endpoints && b->own_cluster &&
           fed_str_is(fed_kobj_label(o, "multicluster.kubernetes.io/source-cluster"), b->own_cluster);
}

static void drop_object(struct fed_builder *b, struct fed_str key)
{
    struct fed_routing_object *o = fed_map_remove(&b->objects, key);
    if (!o)
        return;
    detach(b, o);
    fed_kobj_unref(o->kobj);
    free(o);
    b->stats.changes++;
    b->changed_since_save = true;
}

void fed_objects_put(struct fed_builder *b, struct fed_kobj *kobj, uint64_t session)
{
    enum fed_routing_kind kind;
    if (!kind_of(kobj->kind, &kind) || !wanted(b, kind, kobj))
        return;
    struct fed_arena tmp = {0};
    struct fed_str key = object_key(&tmp, kind, kobj->ns, kobj->name);
    struct fed_routing_object *o = fed_map_find(&b->objects, key);
    if (!o) {
        o = FED_NEW(struct fed_routing_object);
        o->kind = kind;
        fed_map_set(&b->objects, key, o);
    }
    fed_arena_release(&tmp);
    o->session = session;
    if (o->kobj && fed_str_eq(o->kobj->json, kobj->json))
        return;
    struct fed_kobj *old = o->kobj;
    if (old)
        detach(b, o);
    o->kobj = fed_kobj_ref(kobj);
    fed_kobj_unref(old);
    o->part = parse(b, kind, kobj);
    attach(b, o);
    b->stats.changes++;
    b->changed_since_save = true;
}

void fed_builder_put(struct fed_builder *b, struct fed_kobj *obj)
{
    fed_objects_put(b, obj, 0);
}

void fed_builder_drop(struct fed_builder *b, struct fed_str kind_name, struct fed_str ns, struct fed_str name)
{
    enum fed_routing_kind kind;
    struct fed_arena tmp = {0};
    if (kind_of(kind_name, &kind))
        drop_object(b, object_key(&tmp, kind, ns, name));
    fed_arena_release(&tmp);
}

int fed_objects_put_yaml(struct fed_builder *b, struct fed_str text, uint64_t session, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_json *docs = NULL;
    struct fed_json_limits limits = {.max_bytes = FED_BUILDER_MAX_FILE, .max_nodes = 20000000};
    int rc = fed_yaml_parse_all(&a, text, &limits, &docs, err);
    for (struct fed_json *doc = rc ? NULL : docs->first; doc && !rc; doc = doc->next) {
        struct fed_kobj *o = NULL;
        rc = fed_kobj_from_tree(doc, 0, &o, err);
        if (!rc)
            fed_objects_put(b, o, session);
        fed_kobj_unref(o);
    }
    fed_arena_release(&a);
    return rc;
}

int fed_builder_put_yaml(struct fed_builder *b, struct fed_str text, struct fed_err *err)
{
    return fed_objects_put_yaml(b, text, 0, err);
}

void fed_objects_drop_others(struct fed_builder *b)
{
    FED_MAP_EACH(e, &b->objects) {
        const struct fed_routing_object *o = e->value;
        if (o->session != b->session)
            drop_object(b, e->key);
    }
}

void fed_builder_mark(struct fed_builder *b)
{
    if (!fed_timer_active(&b->flush_timer))
        fed_timer_start(b->conf.env, &b->flush_timer, FLUSH_MS, b->flush_timer.cb);
}
