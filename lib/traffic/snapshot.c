/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/snapshot.h"

#include "base/mem.h"

uint64_t fed_service_hash(struct fed_str ns, struct fed_str name)
{
    return fed_str_hash(name, fed_str_hash(ns, 0x9e3779b97f4a7c15u) + 1);
}

const struct fed_service *fed_snapshot_service(const struct fed_snapshot *s, struct fed_str ns, struct fed_str name)
{
    if (!s->index_size)
        return NULL;
    uint64_t hash = fed_service_hash(ns, name);
    for (size_t i = hash & (s->index_size - 1); s->index[i]; i = (i + 1) & (s->index_size - 1)) {
        const struct fed_service *svc = s->index[i];
        if (svc->hash == hash && fed_str_eq(svc->name, name) && fed_str_eq(svc->ns, ns))
            return svc;
    }
    return NULL;
}

const struct fed_shard *fed_service_shard(const struct fed_service *svc, uint16_t slot)
{
    for (size_t i = 0; svc && i < svc->n_shards; i++)
        if (svc->shards[i].cluster == slot)
            return &svc->shards[i];
    return NULL;
}

int fed_ports_find(const struct fed_service_port *ports, size_t n, struct fed_str name, uint16_t number)
{
    for (size_t i = 0; i < n; i++)
        if (number ? ports[i].port == number : fed_str_eq(ports[i].name, name))
            return (int)i;
    return -1;
}

const struct fed_cluster *fed_snapshot_cluster(const struct fed_snapshot *s, struct fed_str name)
{
    for (size_t i = 0; i < s->n_clusters; i++)
        if (s->clusters[i] && fed_str_eq(s->clusters[i]->name, name))
            return s->clusters[i];
    return NULL;
}

bool fed_cluster_has_zone(const struct fed_cluster *c, struct fed_str zone)
{
    for (size_t i = 0; i < c->n_zones; i++)
        if (fed_str_ieq(c->zones[i], zone))
            return true;
    return false;
}

/* The address as a whole: down when each probed port is down, up when any is up. */
static enum fed_health address_health(const struct fed_endpoint *ep, size_t n_ports)
{
    size_t probed = 0, down = 0;
    for (size_t i = 0; ep->targets && i < n_ports; i++) {
        enum fed_health h = fed_target_health(ep->targets[i]);
        if (h == FED_HEALTH_UP)
            return h;
        if (h == FED_HEALTH_DOWN)
            down++;
        if (ep->targets[i] && (ep->targets[i]->kind != FED_PROBE_NONE || h == FED_HEALTH_DOWN))
            probed++;
    }
    return probed > 0 && down == probed ? FED_HEALTH_DOWN : FED_HEALTH_UNKNOWN;
}

static enum fed_use verdict_for(const struct fed_snapshot *s, uint16_t slot, bool ready, enum fed_health target)
{
    const struct fed_cluster *c = fed_snapshot_slot(s, slot);
    struct fed_verdict_in in = {
        .joined = c != NULL,
        .offline = c && c->offline,
        .cordoned = c && c->cordoned,
        .endpoint_ready = ready,
        .control_stale = s->control_stale && atomic_load_explicit(s->control_stale, memory_order_relaxed),
        .cluster = c && c->health ? (enum fed_health)atomic_load_explicit(c->health, memory_order_relaxed)
                                  : FED_HEALTH_UNKNOWN,
        .target = target,
    };
    return fed_verdict(&in);
}

enum fed_use fed_endpoint_use(const struct fed_snapshot *s, const struct fed_shard *sh, const struct fed_endpoint *ep,
                              size_t n_ports, int port)
{
    enum fed_health h = FED_HEALTH_UNKNOWN;
    if (port < 0)
        h = address_health(ep, n_ports);
    else if (ep->targets && (size_t)port < n_ports)
        h = fed_target_health(ep->targets[port]);
    return verdict_for(s, sh->cluster, ep->ready, h);
}

enum fed_use fed_shard_use(const struct fed_snapshot *s, const struct fed_shard *sh)
{
    enum fed_use best = FED_USE_NEVER;
    for (size_t g = 0; g < sh->n_groups; g++) {
        for (size_t i = 0; i < sh->groups[g].n_endpoints; i++) {
            const struct fed_endpoint *ep = &sh->groups[g].endpoints[i];
            if (ep->addr.sa.sa_family == AF_UNSPEC)
                continue;
            enum fed_use use = fed_endpoint_use(s, sh, ep, sh->groups[g].n_ports, -1);
            if (use < best)
                best = use;
        }
    }
    return best;
}

enum fed_use fed_cluster_use(const struct fed_snapshot *s, uint16_t slot)
{
    return verdict_for(s, slot, true, FED_HEALTH_UNKNOWN);
}

void fed_routing_init(struct fed_routing *r, size_t max_readers)
{
    atomic_init(&r->current, NULL);
    atomic_init(&r->control_stale, false);
    r->epochs = fed_epochs_new(max_readers);
}

void fed_routing_release(struct fed_routing *r)
{
    fed_epochs_free(r->epochs);
    r->epochs = NULL;
}
