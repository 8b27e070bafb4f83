/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/target.h"

#include "base/mem.h"
#include "traffic/target_priv.h"

#define PASSIVE_LIMIT 3

struct fed_targets *fed_targets_new(void)
{
    struct fed_targets *t = FED_NEW(struct fed_targets);
    fed_list_init(&t->all);
    fed_list_init(&t->dead);
    return t;
}

/* Entries without reference whose last pin is gone. Pins are only taken while there is a reference. */
static void sweep(struct fed_targets *t, bool all)
{
    FED_LIST_EACH_SAFE(it, &t->dead) {
        struct fed_target_entry *e = FED_LIST_ENTRY(it, struct fed_target_entry, link);
        if (all || atomic_load(&e->t.pins) == 0) {
            fed_list_remove(&e->link);
            free(e);
        }
    }
}

void fed_targets_free(struct fed_targets *t)
{
    if (!t)
        return;
    FED_LIST_EACH_SAFE(it, &t->all) {
        struct fed_target_entry *e = FED_LIST_ENTRY(it, struct fed_target_entry, link);
        fed_list_remove(&e->link);
        free(e);
    }
    sweep(t, true);
    for (size_t i = 0; i < t->n_slots; i++)
        free(t->slot_names[i]);
    fed_map_release(&t->by_key);
    fed_map_release(&t->slot_by_name);
    free(t);
}

uint16_t fed_targets_slot(struct fed_targets *t, struct fed_str cluster)
{
    uintptr_t v = (uintptr_t)fed_map_find(&t->slot_by_name, cluster);
    if (v)
        return (uint16_t)(v - 1);
    if (t->n_slots >= FED_MAX_CLUSTERS || !cluster.n)
        return FED_NO_CLUSTER;
    t->slot_names[t->n_slots] = fed_strdup_str(cluster);
    fed_map_set(&t->slot_by_name, cluster, (void *)(uintptr_t)(t->n_slots + 1));
    return (uint16_t)t->n_slots++;
}

struct fed_str fed_targets_slot_name(const struct fed_targets *t, uint16_t slot)
{
    return slot < t->n_slots ? fed_str(t->slot_names[slot]) : (struct fed_str){NULL, 0};
}

size_t fed_targets_slots(const struct fed_targets *t)
{
    return t->n_slots;
}

atomic_uint *fed_targets_cluster_word(struct fed_targets *t, uint16_t slot)
{
    FED_REQUIRE(slot < FED_MAX_CLUSTERS);
    return &t->words[slot];
}

static struct fed_str make_key(char key[20], enum fed_probe_kind kind, const struct fed_addr *a)
{
    memset(key, 0, 20);
    key[0] = (char)kind;
    key[1] = a->sa.sa_family == AF_INET6 ? 6 : 4;
    uint16_t port = fed_addr_port(a);
    memcpy(key + 2, &port, 2);
    if (a->sa.sa_family == AF_INET6)
        memcpy(key + 4, &a->in6.sin6_addr, 16);
    else
        memcpy(key + 4, &a->in.sin_addr, 4);
    return fed_str_n(key, 20);
}

struct fed_target *fed_targets_ref(struct fed_targets *t, enum fed_probe_kind kind, const struct fed_addr *addr,
                                   uint16_t cluster)
{
    char bytes[20];
    struct fed_str key = make_key(bytes, kind, addr);
    struct fed_target_entry *e = fed_map_find(&t->by_key, key);
    if (!e) {
        sweep(t, false);
        e = FED_NEW(struct fed_target_entry);
        e->t.addr = *addr;
        e->t.kind = kind;
        e->t.cluster = cluster;
        fed_map_set(&t->by_key, key, e);
        fed_list_push_back(&t->all, &e->link);
        if (t->added)
            t->added(t->ud, e);
    }
    e->refs++;
    return &e->t;
}

void fed_targets_unref(struct fed_targets *t, struct fed_target *target)
{
    if (!target)
        return;
    struct fed_target_entry *e = fed_container_of(target, struct fed_target_entry, t);
    if (--e->refs > 0)
        return;
    if (t->removed)
        t->removed(t->ud, e);
    char bytes[20];
    fed_map_remove(&t->by_key, make_key(bytes, target->kind, &target->addr));
    fed_list_remove(&e->link);
    fed_list_push_back(&t->dead, &e->link);
    sweep(t, false);
}

size_t fed_targets_count(const struct fed_targets *t)
{
    return fed_map_count(&t->by_key);
}

void fed_targets_each(struct fed_targets *t, void (*each)(void *ud, struct fed_target *target), void *ud)
{
    FED_LIST_EACH_SAFE(it, &t->all)
        each(ud, &FED_LIST_ENTRY(it, struct fed_target_entry, link)->t);
}

void fed_target_report(struct fed_target *t, bool ok)
{
    if (ok) {
        /* Read first: the common case must not dirty a line that all workers share. */
        if (atomic_load_explicit(&t->passive_fails, memory_order_relaxed))
            atomic_store_explicit(&t->passive_fails, 0, memory_order_relaxed);
        return;
    }
    if (atomic_fetch_add_explicit(&t->passive_fails, 1, memory_order_relaxed) + 1 >= PASSIVE_LIMIT)
        atomic_store_explicit(&t->word, FED_HEALTH_DOWN, memory_order_relaxed);
}

void fed_target_pin(struct fed_target *t)
{
    atomic_fetch_add_explicit(&t->pins, 1, memory_order_relaxed);
}

void fed_target_unpin(struct fed_target *t)
{
    atomic_fetch_sub_explicit(&t->pins, 1, memory_order_release);
}
