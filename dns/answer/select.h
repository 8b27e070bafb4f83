/* SPDX-License-Identifier: Apache-2.0 */
/* select.h: which clusters answer for a service: the nearest among those of the best verdict. Pure. */
#ifndef GDNS_ANSWER_SELECT_H
#define GDNS_ANSWER_SELECT_H

#include "dns/zone/zone.h"
#include "traffic/geo.h"

#define GDNS_MAX_SHARDS 256

struct gdns_client { /* located on first need */
    const struct fed_geo *geo;
    struct fed_addr addr; /* AF_UNSPEC: tell nothing (ECS of 0 bits) */
    bool located;
    struct fed_place place;
    bool used; /* some answer depended on it */
};
struct gdns_choice {
    const struct fed_shard *shards[GDNS_MAX_SHARDS];
    size_t n;         /* 0: nobody can answer at this level */
    enum fed_use use; /* of the chosen: endpoints with this verdict are answered */
};
/* At region and zone level only YES counts: a wider level may have better than what is left. */
void gdns_select(const struct fed_snapshot *s, const struct fed_service *svc, enum gdns_level level,
                 const struct gdns_node *node, struct gdns_client *client, struct gdns_choice *out);

#endif
