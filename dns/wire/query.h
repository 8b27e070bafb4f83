/* SPDX-License-Identifier: Apache-2.0 */
/* query.h: one query message, taken apart and judged (RFC 1035, 6891, 7871, 7873; 8906 for what to answer to nonsense).
 *
 * Invariants: after GDNS_PARSE_OK there is exactly one question, its name is well formed and uncompressed. With any
 *             other result but DROP, id, flags and opcode are set and an answer with rcode is due.
 * Ownership:  raw points into the message. Pure; any thread. */
#ifndef GDNS_WIRE_QUERY_H
#define GDNS_WIRE_QUERY_H

#include "base/str.h"
#include "dns/wire/wire.h"

struct gdns_name {                    /* a name in wire form */
    uint8_t wire[GDNS_NAME_MAX];      /* lower case, with the root label */
    uint8_t off[GDNS_LABELS_MAX + 1]; /* where each label begins; off[n] is the root */
    uint8_t len;                      /* bytes of wire */
    uint8_t n;                        /* labels without the root */
};
static inline struct fed_str gdns_label(const struct gdns_name *name, unsigned i)
{
    return fed_str_n((const char *)name->wire + name->off[i] + 1, name->wire[name->off[i]]);
}
/* "api.Example.com." to wire form, lower case; 0 or -1. "." and "" are the root. */
int gdns_name_parse(struct fed_str text, struct gdns_name *out);

struct gdns_query {
    uint16_t id, flags; /* flags as received */
    uint8_t opcode;
    uint16_t rcode;    /* what to answer when the parse result is not OK */
    bool has_question; /* name, type, class and raw are set */
    struct gdns_name name;
    const uint8_t *raw; /* the name as sent (case kept), name.len bytes */
    uint16_t type, class_;
    bool edns, dnssec_ok, nsid, tsig;
    uint8_t version;
    uint16_t udp_size; /* 512 without EDNS */
    bool ecs;          /* a well-formed client subnet option */
    uint8_t ecs_bits;
    uint16_t ecs_family; /* 0 (with no bits), 1 or 2 */
    uint8_t ecs_addr[16];
    bool cookie;
    uint8_t cookie_client[8];
};
enum gdns_parse { GDNS_PARSE_OK, GDNS_PARSE_ANSWER /* with q->rcode */, GDNS_PARSE_DROP };
enum gdns_parse gdns_query_parse(const uint8_t *msg, size_t n, struct gdns_query *q);

#endif
