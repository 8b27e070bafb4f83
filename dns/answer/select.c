/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/answer/select.h"

static bool at_level(const struct fed_cluster *c, enum gdns_level level, const struct gdns_node *node)
{
    if (level == GDNS_GLOBAL)
        return true;
    return c->region.n && fed_str_ieq(c->region, node->region) &&
           (level == GDNS_REGION || fed_cluster_has_zone(c, node->az));
}

static const struct fed_shard *nearest(const struct fed_snapshot *s, struct gdns_client *client,
                                       const struct gdns_choice *c)
{
    uint16_t slots[GDNS_MAX_SHARDS];
    if (!client->located) {
        fed_geo_locate(client->geo, &client->addr, &client->place);
        client->located = true;
    }
    client->used = true;
    for (size_t i = 0; i < c->n; i++)
        slots[i] = c->shards[i]->cluster;
    fed_geo_order(s, &client->place, slots, c->n);
    for (size_t i = 0; i < c->n; i++)
        if (c->shards[i]->cluster == slots[0])
            return c->shards[i];
    return c->shards[0];
}

void gdns_select(const struct fed_snapshot *s, const struct fed_service *svc, enum gdns_level level,
                 const struct gdns_node *node, struct gdns_client *client, struct gdns_choice *out)
{
    out->n = 0;
    out->use = FED_USE_NEVER;
    for (size_t i = 0; svc && i < svc->n_shards; i++) {
        const struct fed_shard *sh = &svc->shards[i];
        const struct fed_cluster *c = fed_snapshot_slot(s, sh->cluster);
        if (!c || !at_level(c, level, node))
            continue;
        enum fed_use use = fed_shard_use(s, sh);
        if (use == FED_USE_NEVER || use > out->use)
            continue;
        if (use < out->use)
            out->n = 0;
        out->use = use;
        if (out->n < GDNS_MAX_SHARDS)
            out->shards[out->n++] = sh;
    }
    if (level != GDNS_GLOBAL && out->use != FED_USE_YES)
        out->n = 0;
    /* With everything down there is no nearest: all are answered, some client may reach one. */
    if (out->n > 1 && out->use != FED_USE_NO) {
        out->shards[0] = nearest(s, client, out);
        out->n = 1;
    }
}
