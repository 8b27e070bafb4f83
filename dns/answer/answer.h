/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h: the answer to one query: a pure function of the bytes, the peer, the settings, a snapshot and the geography.
 *
 * Model:     parse -> zone -> name (zone/zone.h) -> choice of a cluster (select.h) -> records. A region or zone name
 *            without a healthy cluster becomes a CNAME to the next wider level; the chain and its end go into one answer.
 * Truncated: an answer that does not fit goes out empty with TC; glue that does not fit is left out.
 * Failure:   always an answer, but for what must be dropped (too short, an answer itself). Before anything is known
 *            (snap NULL) the apex answers SOA and NS, any other name SERVFAIL.
 * Threads:   pure; no allocation.
 */
#ifndef GDNS_ANSWER_ANSWER_H
#define GDNS_ANSWER_ANSWER_H

#include "dns/zone/zone.h"
#include "traffic/geo.h"

#define GDNS_MAX_UDP 1232 /* what passes unfragmented nearly everywhere (DNS flag day 2020) */

struct gdns_conf {           /* immutable */
    struct gdns_zones zones; /* the first is the federation's */
    uint32_t ttl;            /* of addresses and negative answers */
    char own[64];            /* own cluster's name; "" for none */
    char nsid[64];           /* "" for none */
    uint8_t cookie_secret[16];
    struct fed_addr own_addrs[8]; /* glue before a snapshot tells */
    size_t n_own_addrs;
    const char *version; /* version.bind; NULL: refused */
};
struct gdns_request {
    const uint8_t *msg;
    size_t n;
    const struct fed_addr *peer;
    bool tcp;
    uint32_t now_s; /* wall clock, for cookies */
};
struct gdns_outcome { /* for counters */
    uint16_t rcode;   /* as answered, extended */
    bool dropped, truncated, ecs;
    uint16_t type;
};
/* Returns the bytes written to reply (room >= 512), 0: no answer is due. out may be NULL. */
size_t gdns_answer(const struct gdns_conf *conf, const struct fed_snapshot *snap, const struct fed_geo *geo,
                   const struct gdns_request *rq, uint8_t *reply, size_t room, struct gdns_outcome *out);

#endif
