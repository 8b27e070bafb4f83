/* SPDX-License-Identifier: Apache-2.0 */
/* pki.h: keys, certificates and certificate authorities in PEM (X.509 v3, ECDSA P-256, SHA-256).
 * The one door to OpenSSL for everything but TLS streams. Pure but for entropy. */
#ifndef FED_CRYPTO_PKI_H
#define FED_CRYPTO_PKI_H

#include "base/buf.h"
#include "base/err.h"

struct fed_cert_spec {
    struct fed_str cn;
    const struct fed_str *orgs; /* O entries: Kubernetes groups */
    size_t n_orgs;
    const char *const *dns_names; /* SANs, NULL-terminated lists or NULL */
    const char *const *ips;
    bool server, client;                 /* extended key usages */
    int64_t not_before_ms, not_after_ms; /* wall clock */
};
/* A new private key, PKCS#8 PEM. */
FED_MUST_USE int fed_pki_new_key(struct fed_buf *key_pem, struct fed_err *err);
/* Self-signed CA certificate for a key. */
FED_MUST_USE int fed_pki_new_ca(struct fed_str key_pem, struct fed_str cn, int64_t not_before_ms, int64_t not_after_ms,
                                struct fed_buf *cert_pem, struct fed_err *err);
/* A leaf for `key_pem`, signed by the CA. */
FED_MUST_USE int fed_pki_sign(struct fed_str ca_cert_pem, struct fed_str ca_key_pem, struct fed_str key_pem,
                              const struct fed_cert_spec *spec, struct fed_buf *cert_pem, struct fed_err *err);
/* The same for a certificate signing request (PEM, PKCS#10): subject and SANs come from `spec`, the key from the CSR. */
FED_MUST_USE int fed_pki_sign_csr(struct fed_str ca_cert_pem, struct fed_str ca_key_pem, struct fed_str csr_pem,
                                  const struct fed_cert_spec *spec, struct fed_buf *cert_pem, struct fed_err *err);
/* Validity of the first certificate of a PEM text, wall-clock milliseconds. */
FED_MUST_USE int fed_pki_validity(struct fed_str cert_pem, int64_t *not_before_ms, int64_t *not_after_ms,
                                  struct fed_err *err);
/* True when the first certificate was signed by a certificate of ca_pem. */
bool fed_pki_signed_by(struct fed_str cert_pem, struct fed_str ca_pem);
/* True when the certificate's public key is that of the private key. */
bool fed_pki_key_matches(struct fed_str cert_pem, struct fed_str key_pem);
/* True when it is for all these names and addresses (NULL-terminated lists or NULL). */
bool fed_pki_is_for(struct fed_str cert_pem, const char *const *dns_names, const char *const *ips);

/* JSON Web Tokens (RFC 7519; see jwt.h for reading them with many keys). Claims are JSON text. Signed with the algorithm
 * of the key: ES256, ES384 or ES512 by its curve, RS256 for RSA. */
FED_MUST_USE int fed_jwt_sign(struct fed_str key_pem, struct fed_str claims_json, struct fed_buf *token,
                              struct fed_err *err);
/* Verifies the signature with the key (private or public PEM) and yields the claims' JSON text; times, issuer and
 * audience are the caller's to judge. FED_E_UNAUTHORIZED on any defect; an algorithm that is not the key's is one. */
FED_MUST_USE int fed_jwt_verify(struct fed_str key_pem, struct fed_str token, struct fed_buf *claims_json,
                                struct fed_err *err);

void fed_sha256(struct fed_str bytes, uint8_t out[32]);
void fed_sha256_hex(struct fed_str bytes, char out[65]);
bool fed_secret_equal(struct fed_str a, struct fed_str b); /* constant time for equal lengths */

#endif
