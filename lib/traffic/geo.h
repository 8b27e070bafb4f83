/* SPDX-License-Identifier: Apache-2.0 */
/* geo.h: where a client is, and which clusters are near it.
 *
 * Model:      a client address is looked up in a static table of networks (longest prefix -> region, with coordinates
 *             if given) and, where that says nothing, in a MaxMind database (coordinates). Clusters are ordered nearest
 *             first by great-circle distance; a cluster in the client's own region comes before all others; a cluster
 *             of unknown place comes last. An unknown client is taken to be where `home` (our own cluster) is.
 * Invariants: `bits` of a place is the shortest prefix of the address for which the lookup gives the same result for
 *             every address in it (the scope of RFC 7871).
 * Ownership:  immutable after making; shared by epoch or for the process. Regions borrow the geo's memory.
 * Threads:    lookups: any.
 */
#ifndef FED_TRAFFIC_GEO_H
#define FED_TRAFFIC_GEO_H

#include "base/err.h"
#include "net/addr.h"
#include "traffic/snapshot.h"

struct fed_geo;
struct fed_geo_conf {
    const char *const *networks; /* "192.0.2.0/24=us-east1" or "192.0.2.0/24=us-east1@33.2,-80.0" each */
    size_t n_networks;
    const char *networks_file; /* the same, one a line, # comments; NULL */
    const char *mmdb_file;     /* NULL */
};
FED_MUST_USE int fed_geo_new(const struct fed_geo_conf *conf, struct fed_geo **out, struct fed_err *err);
void fed_geo_free(struct fed_geo *g);

struct fed_place {
    bool known;
    struct fed_str region; /* may be empty */
    bool has_xyz;
    double xyz[3]; /* unit vector */
    uint8_t bits;  /* prefix of the address that decided, in the address' own family */
};
/* g NULL: unknown, 0 bits. */
void fed_geo_locate(const struct fed_geo *g, const struct fed_addr *client, struct fed_place *out);

void fed_geo_xyz(double latitude, double longitude, double xyz[3]);
double fed_geo_km(double lat1, double lon1, double lat2, double lon2); /* haversine, mean Earth radius */
/* "50.45,3.82" -> degrees; FED_E_SYNTAX out of range too. */
FED_MUST_USE int fed_geo_parse_coordinates(struct fed_str text, double *latitude, double *longitude);

/* Sorts the n cluster slots in place, nearest to the place first (unknown: nearest to our own cluster, itself first).
 * Equally near: by name, so that all servers agree. */
void fed_geo_order(const struct fed_snapshot *s, const struct fed_place *place, uint16_t *slots, size_t n);
/* The distance that the order uses: below 1 in the client's region, 1 to 3 elsewhere, 4 for a cluster of unknown place. */
double fed_geo_distance(const struct fed_snapshot *s, const struct fed_place *place, const struct fed_cluster *c);

#endif
