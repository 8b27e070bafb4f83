/* SPDX-License-Identifier: Apache-2.0 */
/* builder.c: the objects, where they come from, and what each change makes dirty. */
#include "traffic/builder_priv.h"

#include "base/mem.h"
#include "codec/yaml.h"

#define FLUSH_MS        20
#define SAVE_MS         200
#define HOUSEKEEPING_MS 1000

static const struct fed_resource resources[FED_RK_COUNT] = {
    [FED_RK_CLUSTER] = {"federation", "v1beta1", "clusters", "Cluster", false},
    [FED_RK_IMPORT] = {"multicluster.x-k8s.io", "v1alpha1", "serviceimports", "ServiceImport", true},
    [FED_RK_SLICE] = {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true},
    [FED_RK_INGRESS] = {"networking.k8s.io", "v1", "ingresses", "Ingress", true},
    [FED_RK_SECRET] = {"", "v1", "secrets", "Secret", true},
};

static bool kind_of(struct fed_str kind, enum fed_routing_kind *out)
{
    for (int i = 0; i < FED_RK_COUNT; i++) {
        if (fed_str_is(kind, resources[i].kind)) {
            *out = (enum fed_routing_kind)i;
            return true;
        }
    }
    return false;
}

/* --- services --- */

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

/* --- objects --- */

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

static void put_object(struct fed_builder *b, struct fed_kobj *kobj, uint64_t session)
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
    put_object(b, obj, 0);
}

void fed_builder_drop(struct fed_builder *b, struct fed_str kind_name, struct fed_str ns, struct fed_str name)
{
    enum fed_routing_kind kind;
    struct fed_arena tmp = {0};
    if (kind_of(kind_name, &kind))
        drop_object(b, object_key(&tmp, kind, ns, name));
    fed_arena_release(&tmp);
}

static int put_yaml(struct fed_builder *b, struct fed_str text, uint64_t session, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_json *docs = NULL;
    struct fed_json_limits limits = {.max_bytes = FED_BUILDER_MAX_FILE, .max_nodes = 20000000};
    int rc = fed_yaml_parse_all(&a, text, &limits, &docs, err);
    for (struct fed_json *doc = rc ? NULL : docs->first; doc && !rc; doc = doc->next) {
        struct fed_kobj *o = NULL;
        rc = fed_kobj_from_tree(doc, 0, &o, err);
        if (!rc)
            put_object(b, o, session);
        fed_kobj_unref(o);
    }
    fed_arena_release(&a);
    return rc;
}

int fed_builder_put_yaml(struct fed_builder *b, struct fed_str text, struct fed_err *err)
{
    return put_yaml(b, text, 0, err);
}

static void drop_other_sessions(struct fed_builder *b)
{
    FED_MAP_EACH(e, &b->objects) {
        const struct fed_routing_object *o = e->value;
        if (o->session != b->session)
            drop_object(b, e->key);
    }
}

int fed_builder_replace_yaml(struct fed_builder *b, struct fed_str text, struct fed_err *err)
{
    int rc = put_yaml(b, text, ++b->session, err);
    if (rc)
        return rc;
    drop_other_sessions(b);
    b->live = true; /* the file is the control plane, and it is never stale */
    fed_builder_flush(b);
    return 0;
}

/* --- timers --- */

static void on_save(struct fed_timer *t)
{
    fed_builder_save(fed_container_of(t, struct fed_builder, save_timer));
}

static void on_flush(struct fed_timer *t)
{
    struct fed_builder *b = fed_container_of(t, struct fed_builder, flush_timer);
    if (b->complete)
        fed_builder_publish(b);
    if (b->synced && b->changed_since_save && b->state_file && !fed_timer_active(&b->save_timer))
        fed_timer_start(b->conf.env, &b->save_timer, SAVE_MS, on_save);
}

void fed_builder_mark(struct fed_builder *b)
{
    if (!fed_timer_active(&b->flush_timer))
        fed_timer_start(b->conf.env, &b->flush_timer, FLUSH_MS, on_flush);
}

void fed_builder_flush(struct fed_builder *b)
{
    b->complete = true;
    fed_timer_stop(b->conf.env, &b->flush_timer);
    fed_builder_publish(b);
}

static void on_housekeeping(struct fed_timer *t)
{
    struct fed_builder *b = fed_container_of(t, struct fed_builder, housekeeping);
    bool stale = !b->live && fed_mono_ms(b->conf.env) - b->lost_at_ms >= FED_CONTROL_STALE_MS;
    atomic_store_explicit(&b->conf.routing->control_stale, stale, memory_order_relaxed);
    fed_epochs_poll(b->conf.routing->epochs);
    fed_builder_resolve_due(b);
    fed_timer_start(b->conf.env, &b->housekeeping, HOUSEKEEPING_MS, on_housekeeping);
}

/* --- watching --- */

static void on_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fed_builder *b = ud;
    if (now)
        put_object(b, now, b->session);
    else
        fed_builder_drop(b, old->kind, old->ns, old->name);
}

static bool all_informers(const struct fed_builder *b, bool (*is)(const struct fed_informer *inf))
{
    bool any = false;
    for (int i = 0; i < FED_RK_COUNT; i++) {
        if (!b->informers[i])
            continue;
        if (!is(b->informers[i]))
            return false;
        any = true;
    }
    return any;
}

/* All lists are complete: what this watch did not bring does not exist any more. */
static void on_synced(void *ud)
{
    struct fed_builder *b = ud;
    if (b->synced || !all_informers(b, fed_informer_synced))
        return;
    b->synced = b->complete = true;
    drop_other_sessions(b);
    b->changed_since_save = true;
    fed_builder_mark(b);
}

static void on_connected(void *ud, bool live)
{
    struct fed_builder *b = ud;
    bool was = b->live;
    b->live = live && all_informers(b, fed_informer_connected);
    if (was && !b->live)
        b->lost_at_ms = fed_mono_ms(b->conf.env);
    if (b->live)
        atomic_store_explicit(&b->conf.routing->control_stale, false, memory_order_relaxed);
}

static void stop_watching(struct fed_builder *b)
{
    for (int i = 0; i < FED_RK_COUNT; i++) {
        if (b->informers[i])
            fed_informer_free(b->informers[i]);
        b->informers[i] = NULL;
    }
    if (b->live)
        b->lost_at_ms = fed_mono_ms(b->conf.env);
    b->live = b->synced = false;
}

void fed_builder_watch(struct fed_builder *b, struct fed_transport *transport)
{
    stop_watching(b);
    b->transport = transport;
    b->session++;
    if (!transport)
        return;
    for (int i = 0; i < FED_RK_COUNT; i++) {
        if (i == FED_RK_SECRET && !b->conf.secrets)
            continue;
        struct fed_informer_conf conf = {.transport = transport, .resource = &resources[i]};
        if (i == FED_RK_SLICE)
            conf.label_selector = "endpointslice.kubernetes.io/managed-by=endpoints.federation.hansa.io";
        if (i == FED_RK_SECRET) /* no others are our business */
            conf.field_selector = "type=kubernetes.io/tls";
        struct fed_informer_handlers h = {on_changed, on_synced, on_connected, b};
        b->informers[i] = fed_informer_new(&conf);
        fed_informer_add_handlers(b->informers[i], &h);
    }
    for (int i = 0; i < FED_RK_COUNT; i++)
        if (b->informers[i])
            fed_informer_start(b->informers[i]);
}

bool fed_builder_synced(const struct fed_builder *b)
{
    return b->synced;
}

bool fed_builder_connected(const struct fed_builder *b)
{
    return b->live;
}

/* --- life --- */

struct fed_builder *fed_builder_new(const struct fed_builder_conf *conf)
{
    struct fed_builder *b = FED_NEW(struct fed_builder);
    b->conf = *conf;
    b->own_cluster = conf->own_cluster && *conf->own_cluster ? fed_strdup(conf->own_cluster) : NULL;
    b->state_file = conf->state_file ? fed_strdup(conf->state_file) : NULL;
    fed_list_init(&b->dirty);
    b->lost_at_ms = fed_mono_ms(conf->env);
    if (b->own_cluster)
        fed_targets_slot(conf->targets, fed_str(b->own_cluster));
    fed_timer_start(conf->env, &b->housekeeping, HOUSEKEEPING_MS, on_housekeeping);
    return b;
}

void fed_builder_free(struct fed_builder *b)
{
    if (!b)
        return;
    stop_watching(b);
    fed_timer_stop(b->conf.env, &b->flush_timer);
    fed_timer_stop(b->conf.env, &b->save_timer);
    fed_timer_stop(b->conf.env, &b->housekeeping);
    fed_builder_retire_last(b);
    FED_MAP_EACH(e, &b->objects) {
        struct fed_routing_object *o = e->value;
        if (o->kind == FED_RK_SLICE && o->part)
            fed_list_remove(&((struct fed_slice_part *)o->part)->link);
        fed_part_unref(o->part);
        fed_kobj_unref(o->kobj);
        free(o);
    }
    FED_MAP_EACH(e, &b->services) {
        struct fed_service_entry *s = e->value;
        fed_part_unref(s->made);
        free(s->key);
        free(s);
    }
    fed_builder_resolve_release(b);
    fed_builder_saving_forget(b);
    fed_map_release(&b->objects);
    fed_map_release(&b->services);
    free(b->own_cluster);
    free(b->state_file);
    free(b);
}

void fed_builder_stats(const struct fed_builder *b, struct fed_builder_stats *out)
{
    *out = b->stats;
    out->objects = fed_map_count(&b->objects);
}
