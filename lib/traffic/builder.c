/* SPDX-License-Identifier: Apache-2.0 */
/* builder.c: where objects come from: a file, a watch; and when what they make is published and saved. */
#include "traffic/builder_priv.h"

#include "base/mem.h"

#define SAVE_MS         200
#define HOUSEKEEPING_MS 1000

int fed_builder_replace_yaml(struct fed_builder *b, struct fed_str text, struct fed_err *err)
{
    int rc = fed_objects_put_yaml(b, text, ++b->session, err);
    if (rc)
        return rc;
    fed_objects_drop_others(b);
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
        fed_objects_put(b, now, b->session);
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
    fed_objects_drop_others(b);
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
        struct fed_informer_conf conf = {.transport = transport, .resource = &fed_routing_resources[i]};
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
    b->flush_timer.cb = on_flush;
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
