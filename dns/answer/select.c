/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/answer/select.h"

static bool at_level(const struct fed_cluster *c, enum gdns_level level, const struct gdns_node *node)
{
    if (level == GDNS_GLOBAL)
        return true;
    return c->region.n && fed_str_ieq(c->region, node->region) &&
           (level == GDNS_REGION || fed_cluster_has_zone(c, node->az));
}

/* The candidates' slots, nearest to the client first. */
static void order(const struct fed_snapshot *s, struct gdns_client *client, const struct fed_shard *const *shards,
                  size_t n, uint16_t *slots)
{
    if (!client->located) {
        fed_geo_locate(client->geo, &client->addr, &client->place);
        client->located = true;
    }
    for (size_t i = 0; i < n; i++)
        slots[i] = shards[i]->cluster;
    fed_geo_order(s, &client->place, slots, n);
}

static const struct fed_shard *of_slot(const struct fed_shard *const *shards, size_t n, uint16_t slot)
{
    for (size_t i = 0; i < n; i++)
        if (shards[i]->cluster == slot)
            return shards[i];
    return shards[0];
}

/* The candidates of the best verdict stay. */
static void keep_best(const struct fed_snapshot *s, struct gdns_choice *c)
{
    size_t n = c->n;
    c->n = 0;
    for (size_t i = 0; i < n; i++) {
        enum fed_use use = fed_shard_use(s, c->shards[i]);
        if (use == FED_USE_NEVER || use > c->use)
            continue;
        if (use < c->use)
            c->n = 0;
        c->use = use;
        c->shards[c->n++] = c->shards[i];
    }
}

void gdns_select(const struct fed_snapshot *s, const struct fed_service *svc, enum gdns_level level,
                 const struct gdns_node *node, struct gdns_client *client, struct gdns_choice *out)
{
    uint16_t slots[GDNS_MAX_SHARDS];
    out->n = 0;
    out->use = FED_USE_NEVER;
    for (size_t i = 0; svc && i < svc->n_shards && out->n < GDNS_MAX_SHARDS; i++) {
        const struct fed_cluster *c = fed_snapshot_slot(s, svc->shards[i].cluster);
        if (c && at_level(c, level, node))
            out->shards[out->n++] = &svc->shards[i];
    }
    /* Mostly the nearest is well and the others need not be looked at. That the answer depends on the client is then
     * said even if none of the others is well: another moment they may be. */
    if (out->n > 1) {
        order(s, client, out->shards, out->n, slots);
        const struct fed_shard *first = of_slot(out->shards, out->n, slots[0]);
        if (fed_shard_use(s, first) == FED_USE_YES) {
            client->used = true;
            out->shards[0] = first;
            out->n = 1;
            out->use = FED_USE_YES;
            return;
        }
    }
    keep_best(s, out);
    if (level != GDNS_GLOBAL && out->use != FED_USE_YES)
        out->n = 0;
    /* With everything down there is no nearest: all are answered, some client may reach one. */
    if (out->n > 1 && out->use != FED_USE_NO) {
        order(s, client, out->shards, out->n, slots);
        client->used = true;
        out->shards[0] = of_slot(out->shards, out->n, slots[0]);
        out->n = 1;
    }
}
