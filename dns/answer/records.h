/* SPDX-License-Identifier: Apache-2.0 */
/* records.h: an answer being written: sections, owners by compression pointer, record bodies. Private to dns/answer. */
#ifndef GDNS_ANSWER_RECORDS_H
#define GDNS_ANSWER_RECORDS_H

#include "dns/answer/answer.h"
#include "dns/answer/select.h"

struct gdns_reply {
    const struct gdns_conf *conf;
    const struct fed_snapshot *s; /* may be NULL */
    const struct gdns_query *q;
    const struct gdns_zone *zone;
    struct gdns_client client;
    struct gdns_writer w;
    uint16_t count[3]; /* answer, authority, additional */
    int section;
    uint16_t owner;   /* offset of the name that records belong to now */
    uint16_t zone_at; /* offset of the zone's name in the question */
    bool aa;
};
enum { GDNS_ANSWER, GDNS_AUTHORITY, GDNS_ADDITIONAL };

void gdns_rr_pointer(struct gdns_reply *r, uint16_t offset);
/* Owner (pointer), type, class IN, TTL, room for the length; returns the mark for gdns_rr_end. */
size_t gdns_rr_begin(struct gdns_reply *r, uint16_t owner, uint16_t type, uint32_t ttl);
void gdns_rr_end(struct gdns_reply *r, size_t mark);
void gdns_rr_soa(struct gdns_reply *r);
void gdns_rr_address(struct gdns_reply *r, uint16_t owner, const struct fed_addr *a);
/* NS of the zone and (glue) the addresses of its servers. */
void gdns_rr_ns(struct gdns_reply *r);
/* A label, then the zone's name. */
void gdns_name_in_zone(struct gdns_reply *r, const char *prefix, struct fed_str label);
/* Addresses of the chosen endpoints, of one family (0: both), each once. Returns how many. */
size_t gdns_collect(const struct fed_snapshot *s, const struct gdns_choice *c, int family, const struct fed_addr **out,
                    size_t max);

#endif
