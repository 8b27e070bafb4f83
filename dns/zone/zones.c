/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/zone/zone.h"

int gdns_zones_add(struct gdns_zones *z, struct fed_str name, bool federation, struct fed_err *err)
{
    if (z->n >= GDNS_MAX_ZONES)
        return fed_err_set(err, FED_E_INVALID, "more than %d zones", GDNS_MAX_ZONES);
    struct gdns_zone *zone = &z->zones[z->n];
    if (!name.n || gdns_name_parse(name, &zone->name) || zone->name.n == 0)
        return fed_err_set(err, FED_E_INVALID, "zone \"%.*s\" is not a domain name", FED_STR_ARG(name));
    zone->federation = federation;
    z->n++;
    return 0;
}

static bool within(const struct gdns_name *name, const struct gdns_name *zone)
{
    if (name->n < zone->n)
        return false;
    unsigned from = name->off[name->n - zone->n];
    return (unsigned)name->len - from == zone->len && memcmp(name->wire + from, zone->wire, zone->len) == 0;
}

const struct gdns_zone *gdns_zones_find(const struct gdns_zones *z, const struct gdns_name *name)
{
    const struct gdns_zone *best = NULL;
    for (size_t i = 0; i < z->n; i++)
        if (within(name, &z->zones[i].name) && (!best || z->zones[i].name.n > best->name.n))
            best = &z->zones[i];
    return best;
}
