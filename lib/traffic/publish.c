/* SPDX-License-Identifier: Apache-2.0 */
/* publish.c: a snapshot of the parts that did not change and of those made anew. Costs a pointer for each part and work
 * only for what changed. */
#include "base/mem.h"
#include "traffic/builder_priv.h"

struct box { /* a snapshot and what it holds */
    struct fed_snapshot s;
    void **parts;
    size_t n_parts, cap_parts;
    void (*derive_free)(void *ud, void *derived);
    void *ud;
};

static void box_release(void *p)
{
    struct box *x = p;
    if (x->derive_free && x->s.derived)
        x->derive_free(x->ud, x->s.derived);
    for (size_t i = 0; i < x->n_parts; i++)
        fed_part_unref(x->parts[i]);
    free(x->parts);
    free((void *)x->s.clusters);
    free((void *)x->s.services);
    free((void *)x->s.ingresses);
    free((void *)x->s.secrets);
    free((void *)x->s.index);
    free(x);
}

static void box_hold(struct box *x, void *part)
{
    if (x->n_parts == x->cap_parts) {
        x->cap_parts = x->cap_parts ? x->cap_parts * 2 : 64;
        x->parts = fed_realloc(x->parts, x->cap_parts * sizeof(void *));
    }
    x->parts[x->n_parts++] = fed_part_ref(part);
}

static void remake_services(struct fed_builder *b)
{
    FED_LIST_EACH_SAFE(it, &b->dirty) {
        struct fed_service_entry *e = FED_LIST_ENTRY(it, struct fed_service_entry, dirty_link);
        fed_list_remove(&e->dirty_link);
        struct fed_service_part *old = e->made;
        e->made = e->import ? fed_assemble_service(b->conf.targets, e->ns, e->name, e->import, &e->slices,
                                                   fed_builder_resolved, b)
                            : NULL;
        /* After the new one was made: targets named by both keep their health. */
        fed_part_unref(old);
        if (!e->import && fed_list_empty(&e->slices)) {
            fed_map_remove(&b->services, fed_str(e->key));
            free(e->key);
            free(e);
        }
    }
}

static void add_clusters(struct fed_builder *b, struct box *x)
{
    size_t n = fed_targets_slots(b->conf.targets);
    const struct fed_cluster **list = fed_calloc(n + 1, sizeof(*list));
    FED_MAP_EACH(e, &b->objects) {
        const struct fed_routing_object *o = e->value;
        if (o->kind != FED_RK_CLUSTER || !o->part)
            continue;
        struct fed_cluster_part *p = o->part;
        list[p->c.slot] = &p->c;
        box_hold(x, p);
    }
    x->s.clusters = list;
    x->s.n_clusters = n;
}

static void add_services(struct fed_builder *b, struct box *x)
{
    size_t n = fed_map_count(&b->services), size = 16;
    const struct fed_service **list = fed_calloc(n + 1, sizeof(*list));
    while (size < n * 2)
        size *= 2;
    const struct fed_service **index = fed_calloc(size, sizeof(*index));
    FED_MAP_EACH(e, &b->services) {
        struct fed_service_part *p = ((struct fed_service_entry *)e->value)->made;
        if (!p)
            continue;
        list[x->s.n_services++] = &p->s;
        box_hold(x, p);
        size_t i = p->s.hash & (size - 1);
        while (index[i])
            i = (i + 1) & (size - 1);
        index[i] = &p->s;
    }
    x->s.services = list;
    x->s.index = index;
    x->s.index_size = size;
    x->s.balancers = fed_snapshot_service(&x->s, FED_STR(FED_EDGE_NS), FED_STR(FED_EDGE_BALANCER));
    x->s.dns = fed_snapshot_service(&x->s, FED_STR(FED_EDGE_NS), FED_STR(FED_EDGE_DNS));
}

static int older_first(const void *a, const void *b)
{
    const struct fed_ingress *x = *(const struct fed_ingress *const *)a, *y = *(const struct fed_ingress *const *)b;
    if (x->created_ms != y->created_ms)
        return x->created_ms < y->created_ms ? -1 : 1;
    int c = fed_str_cmp(x->ns, y->ns);
    return c ? c : fed_str_cmp(x->name, y->name);
}

static void add_ingresses(struct fed_builder *b, struct box *x)
{
    const struct fed_ingress **list = fed_calloc(fed_map_count(&b->objects) + 1, sizeof(*list));
    FED_MAP_EACH(e, &b->objects) {
        const struct fed_routing_object *o = e->value;
        if (o->kind != FED_RK_INGRESS || !o->part)
            continue;
        struct fed_ingress_part *p = o->part;
        list[x->s.n_ingresses++] = &p->i;
        box_hold(x, p);
    }
    qsort(list, x->s.n_ingresses, sizeof(*list), older_first);
    x->s.ingresses = list;
}

static bool named_by_ingress(const struct fed_snapshot *s, const struct fed_tls_secret *sec)
{
    for (size_t i = 0; i < s->n_ingresses; i++) {
        const struct fed_ingress *ing = s->ingresses[i];
        if (!fed_str_eq(ing->ns, sec->ns))
            continue;
        for (size_t t = 0; t < ing->n_tls; t++)
            if (fed_str_eq(ing->tls[t].secret, sec->name))
                return true;
    }
    return false;
}

static void add_secrets(struct fed_builder *b, struct box *x)
{
    const struct fed_tls_secret **list = fed_calloc(fed_map_count(&b->objects) + 1, sizeof(*list));
    FED_MAP_EACH(e, &b->objects) {
        const struct fed_routing_object *o = e->value;
        if (o->kind != FED_RK_SECRET || !o->part)
            continue;
        struct fed_secret_part *p = o->part;
        if (!named_by_ingress(&x->s, &p->s))
            continue;
        list[x->s.n_secrets++] = &p->s;
        box_hold(x, p);
    }
    x->s.secrets = list;
}

void fed_builder_retire_last(struct fed_builder *b)
{
    atomic_store(&b->conf.routing->current, NULL);
    if (b->last)
        fed_epochs_retire(b->conf.routing->epochs, fed_container_of(b->last, struct box, s), box_release);
    b->last = NULL;
    fed_epochs_poll(b->conf.routing->epochs);
}

void fed_builder_publish(struct fed_builder *b)
{
    uint64_t began = fed_mono_ns(b->conf.env);
    struct box *x = FED_NEW(struct box);
    struct fed_snapshot *s = &x->s;
    struct fed_snapshot *prev = b->last;
    bool services = !fed_list_empty(&b->dirty);
    remake_services(b);
    s->gen = ++b->gen;
    s->own = b->own_cluster ? fed_targets_slot(b->conf.targets, fed_str(b->own_cluster)) : FED_NO_CLUSTER;
    s->control_stale = &b->conf.routing->control_stale;
    add_clusters(b, x);
    add_services(b, x);
    add_ingresses(b, x);
    add_secrets(b, x);
    s->cluster_gen = !prev || b->dirty_kind[FED_RK_CLUSTER] ? s->gen : prev->cluster_gen;
    s->service_gen = !prev || services ? s->gen : prev->service_gen;
    s->ingress_gen = !prev || b->dirty_kind[FED_RK_INGRESS] ? s->gen : prev->ingress_gen;
    s->secret_gen = !prev || b->dirty_kind[FED_RK_SECRET] || b->dirty_kind[FED_RK_INGRESS] ? s->gen : prev->secret_gen;
    memset(b->dirty_kind, 0, sizeof(b->dirty_kind));
    x->derive_free = b->conf.derive_free;
    x->ud = b->conf.ud;
    if (b->conf.derive)
        s->derived = b->conf.derive(b->conf.ud, s, prev);
    atomic_store(&b->conf.routing->current, s);
    b->last = s;
    if (prev)
        fed_epochs_retire(b->conf.routing->epochs, fed_container_of(prev, struct box, s), box_release);
    fed_epochs_poll(b->conf.routing->epochs);
    b->stats.published++;
    b->stats.build_ns_last = fed_mono_ns(b->conf.env) - began;
    if (b->conf.published)
        b->conf.published(b->conf.ud, s);
}

void fed_builder_flush(struct fed_builder *b)
{
    b->complete = true;
    fed_timer_stop(b->conf.env, &b->flush_timer);
    fed_builder_publish(b);
}
