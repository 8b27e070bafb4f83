/* SPDX-License-Identifier: Apache-2.0 */
/* jwt_priv.h: what jwt.c and jwk.c share: a key with its name, and the curves of RFC 7518. */
#ifndef FED_CRYPTO_JWT_PRIV_H
#define FED_CRYPTO_JWT_PRIV_H

#include "crypto/jwt.h"
#include "crypto/ossl.h"
#include "crypto/pki.h"

struct fed_pubkey {
    EVP_PKEY *key;
    char *id; /* "" when the JWK had none */
};
struct fed_curve {
    const char *group, *jwk, *alg; /* OpenSSL's name, RFC 7518's, the algorithm that goes with it */
    size_t half;                   /* bytes of r, s, x, y */
};
const struct fed_curve *fed_key_curve(EVP_PKEY *key); /* NULL: not on one of the curves */
void fed_key_id(EVP_PKEY *key, struct fed_buf *out);

#endif
