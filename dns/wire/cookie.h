/* SPDX-License-Identifier: Apache-2.0 */
/* cookie.h: interoperable DNS server cookies (RFC 7873, RFC 9018): SipHash-2-4 over the client's cookie, a time and its
 * address. A cookie is given to whoever sends one; none is demanded. Pure; any thread. */
#ifndef GDNS_WIRE_COOKIE_H
#define GDNS_WIRE_COOKIE_H

#include <stddef.h>
#include <stdint.h>

#define GDNS_COOKIE_LEN 24 /* client 8 + server 16 */

uint64_t gdns_siphash24(const uint8_t key[16], const uint8_t *data, size_t n);
/* ip: 4 or 16 bytes. */
void gdns_cookie_make(const uint8_t secret[16], const uint8_t client[8], const uint8_t *ip, size_t ip_len,
                      uint32_t now_s, uint8_t out[GDNS_COOKIE_LEN]);

#endif
