/* SPDX-License-Identifier: Apache-2.0 */
/* addr.h: socket addresses and IP prefixes as values. */
#ifndef FED_NET_ADDR_H
#define FED_NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct fed_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
};
/* "192.0.2.1" or "2001:db8::1" with a port; FED_E_SYNTAX when not an address (no names are resolved). */
FED_MUST_USE int fed_addr_parse(struct fed_str ip, uint16_t port, struct fed_addr *out);
/* "192.0.2.1:80", "[2001:db8::1]:80". */
FED_MUST_USE int fed_addr_parse_hostport(struct fed_str text, struct fed_addr *out);
void fed_addr_format(const struct fed_addr *a, char out[64]);    /* with port */
void fed_addr_format_ip(const struct fed_addr *a, char out[48]); /* without */
uint16_t fed_addr_port(const struct fed_addr *a);
void fed_addr_set_port(struct fed_addr *a, uint16_t port);
bool fed_addr_equal(const struct fed_addr *a, const struct fed_addr *b); /* address and port */
bool fed_addr_is_loopback(const struct fed_addr *a);                     /* 127.0.0.0/8 or ::1 */
socklen_t fed_addr_len(const struct fed_addr *a);
void fed_addr_unmap(struct fed_addr *a);        /* ::ffff:192.0.2.1 becomes 192.0.2.1 */
bool fed_addr_is_any(const struct fed_addr *a); /* 0.0.0.0 or :: */

struct fed_prefix { /* 10.0.0.0/8; v4 as v4 */
    int family;     /* AF_INET or AF_INET6 */
    uint8_t bytes[16];
    uint8_t bits;
};
FED_MUST_USE int fed_prefix_parse(struct fed_str text, struct fed_prefix *out); /* host bits set: FED_E_SYNTAX */
bool fed_prefix_contains(const struct fed_prefix *p, const struct fed_addr *a);

#endif
