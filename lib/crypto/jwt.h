/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.h: JSON Web Tokens (RFC 7515, 7518, 7519) and the keys that verify them, from PEM or JSON Web Keys (RFC 7517).
 *
 * Model:      parsing a token yields its parts and proves nothing; fed_jwt_holds proves that the holder of a key made it.
 *             RS, PS and ES algorithms with SHA-256, -384 and -512. A key serves the algorithms of its own kind only, so
 *             that a token's header never chooses how a key is used. alg none and the HS family do not exist here.
 * Ownership:  parts of a token live in the arena given and in the token's text. Keys are freed by who made them.
 * Threads:    a key is immutable: any thread. Pure but for entropy in signing (fed_jwt_sign is in pki.h).
 * Failure:    FED_E_UNAUTHORIZED for tokens, FED_E_INVALID for keys.
 */
#ifndef FED_CRYPTO_JWT_H
#define FED_CRYPTO_JWT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct fed_json;

#define FED_JWT_MAX 16384 /* bytes of a token; longer ones are refused unread */

struct fed_jwt {
    struct fed_str alg, kid;         /* of the header; kid.p == NULL: none */
    struct fed_str signed_part, sig; /* what is signed, and the signature's bytes */
    struct fed_str claims;           /* JSON text */
};
/* Three parts in base64url, a JSON header with an algorithm, without extensions that must be understood (crit). */
FED_MUST_USE int fed_jwt_parse(struct fed_arena *a, struct fed_str token, struct fed_jwt *out, struct fed_err *err);

struct fed_pubkey;
/* The keys of a PEM text: public keys, private keys (their public part) or certificates; at most `max`. *n is how many
 * there were; none is FED_E_INVALID. */
FED_MUST_USE int fed_pubkeys_from_pem(struct fed_str pem, struct fed_pubkey **keys, size_t max, size_t *n,
                                      struct fed_err *err);
/* A key of a JWKS document: RSA from 2048 bits, EC on P-256, P-384 or P-521. Its "kid" is kept. */
FED_MUST_USE int fed_pubkey_from_jwk(const struct fed_json *jwk, struct fed_pubkey **out, struct fed_err *err);
void fed_pubkey_free(struct fed_pubkey *key); /* NULL ok */
/* Its name: the JWK's kid, or the digest of its SubjectPublicKeyInfo as Kubernetes makes it. */
struct fed_str fed_pubkey_id(const struct fed_pubkey *key);
/* As a member of a JWKS document, with use, kid and alg. */
struct fed_json *fed_pubkey_jwk(const struct fed_pubkey *key, struct fed_arena *a);
bool fed_jwt_holds(const struct fed_jwt *jwt, const struct fed_pubkey *key);
bool fed_jwt_alg_known(struct fed_str alg);

#endif
