/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/wire/cookie.h"

#include <string.h>

static uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

static void rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] = rotl(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] = rotl(v[2], 32);
    }
}

static uint64_t little64(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint64_t gdns_siphash24(const uint8_t key[16], const uint8_t *data, size_t n)
{
    uint64_t k0 = little64(key, 8), k1 = little64(key + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    size_t whole = n / 8 * 8;
    for (size_t i = 0; i <= whole; i += 8) {
        uint64_t m = i < whole ? little64(data + i, 8) : little64(data + i, n - whole) | (uint64_t)n << 56;
        v[3] ^= m;
        rounds(v, 2);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void gdns_cookie_make(const uint8_t secret[16], const uint8_t client[8], const uint8_t *ip, size_t ip_len,
                      uint32_t now_s, uint8_t out[GDNS_COOKIE_LEN])
{
    uint8_t text[8 + 8 + 16];
    if (ip_len > 16)
        ip_len = 16;
    memcpy(out, client, 8);
    out[8] = 1; /* version; three reserved bytes follow */
    memset(out + 9, 0, 3);
    for (int i = 0; i < 4; i++)
        out[12 + i] = (uint8_t)(now_s >> (24 - 8 * i));
    memcpy(text, out, 16);
    memcpy(text + 16, ip, ip_len);
    uint64_t h = gdns_siphash24(secret, text, 16 + ip_len);
    for (int i = 0; i < 8; i++)
        out[16 + i] = (uint8_t)(h >> (8 * i));
}
