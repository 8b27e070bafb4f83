/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "crypto/pki.h"

void fed_sha256(struct fed_str bytes, uint8_t out[32])
{
    SHA256((const unsigned char *)(bytes.p ? bytes.p : ""), bytes.n, out);
}

void fed_sha256_hex(struct fed_str bytes, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t raw[32];
    fed_sha256(bytes, raw);
    for (size_t i = 0; i < sizeof(raw); i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[64] = 0;
}

bool fed_secret_equal(struct fed_str a, struct fed_str b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
