/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.c: a hash table of names in wire form, made on the control thread, read by the workers. */
#include "base/arena.h"
#include "base/mem.h"
#include "dns/zone/zone.h"

struct slot {
    struct fed_str key; /* name in wire form; a namespace: 0xff and its text. p == NULL: free */
    uint64_t hash;
    unsigned flags;
};
struct gdns_hosts {
    unsigned refs; /* control thread */
    uint64_t ingress_gen, service_gen;
    struct fed_arena arena;
    struct slot *slots;
    size_t size, n;
};

static struct slot *slot_for(const struct gdns_hosts *h, struct fed_str key, uint64_t hash)
{
    size_t i = hash & (h->size - 1);
    while (h->slots[i].key.p && (h->slots[i].hash != hash || !fed_str_eq(h->slots[i].key, key)))
        i = (i + 1) & (h->size - 1);
    return &h->slots[i];
}

static void grow(struct gdns_hosts *h)
{
    struct slot *old = h->slots;
    size_t n = h->size;
    h->size = n ? n * 2 : 64;
    h->slots = fed_calloc(h->size, sizeof(*h->slots));
    for (size_t i = 0; i < n; i++)
        if (old[i].key.p)
            *slot_for(h, old[i].key, old[i].hash) = old[i];
    free(old);
}

static void add(struct gdns_hosts *h, struct fed_str key, unsigned flags)
{
    if ((h->n + 1) * 2 > h->size)
        grow(h);
    uint64_t hash = fed_str_hash(key, 0);
    struct slot *s = slot_for(h, key, hash);
    if (!s->key.p) {
        s->key = fed_arena_dup(&h->arena, key);
        s->hash = hash;
        h->n++;
    }
    s->flags |= flags;
}

static struct fed_str suffix(const struct gdns_name *name, unsigned from)
{
    return fed_str_n((const char *)name->wire + name->off[from], (size_t)name->len - name->off[from]);
}

static void add_host(struct gdns_hosts *h, const struct gdns_zones *zones, struct fed_str host)
{
    struct gdns_name name;
    if (!host.n || gdns_name_parse(host, &name))
        return;
    const struct gdns_zone *zone = gdns_zones_find(zones, &name);
    if (!zone)
        return;
    unsigned above = name.n - zone->name.n; /* labels below the zone */
    bool wild = above > 0 && fed_str_is(gdns_label(&name, 0), "*");
    if (wild)
        add(h, suffix(&name, 1), GDNS_HOST_WILD);
    else
        add(h, suffix(&name, 0), GDNS_HOST);
    for (unsigned i = 1; i < above; i++)
        add(h, suffix(&name, i), GDNS_HOST_ENT);
}

static struct fed_str namespace_key(struct fed_str ns, char room[256])
{
    size_t n = FED_MIN(ns.n, (size_t)255);
    room[0] = (char)0xff; /* no name in wire form begins so */
    memcpy(room + 1, ns.p, n);
    return fed_str_n(room, n + 1);
}

struct gdns_hosts *gdns_hosts_new(const struct gdns_zones *z, const struct fed_snapshot *s, struct gdns_hosts *prev)
{
    if (prev && prev->ingress_gen == s->ingress_gen && prev->service_gen == s->service_gen) {
        prev->refs++;
        return prev;
    }
    struct gdns_hosts *h = FED_NEW(struct gdns_hosts);
    char room[256];
    h->refs = 1;
    h->ingress_gen = s->ingress_gen;
    h->service_gen = s->service_gen;
    grow(h);
    for (size_t i = 0; i < s->n_ingresses; i++)
        for (size_t r = 0; r < s->ingresses[i]->n_rules; r++)
            add_host(h, z, s->ingresses[i]->rules[r].host);
    for (size_t i = 0; i < s->n_services; i++)
        add(h, namespace_key(s->services[i]->ns, room), GDNS_HOST_ENT);
    return h;
}

void gdns_hosts_unref(struct gdns_hosts *h)
{
    if (!h || --h->refs > 0)
        return;
    fed_arena_release(&h->arena);
    free(h->slots);
    free(h);
}

unsigned gdns_hosts_find(const struct gdns_hosts *h, const struct gdns_name *name, unsigned from)
{
    struct fed_str key = suffix(name, from);
    return h ? slot_for(h, key, fed_str_hash(key, 0))->flags : 0;
}

bool gdns_hosts_has_namespace(const struct gdns_hosts *h, struct fed_str ns)
{
    char room[256];
    struct fed_str key = namespace_key(ns, room);
    return h && slot_for(h, key, fed_str_hash(key, 0))->flags != 0;
}
