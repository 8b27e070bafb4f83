/* SPDX-License-Identifier: Apache-2.0 */
/* pki_priv.h: the parts that every certificate is put together from (pki.c, pki_request.c). */
#ifndef FED_CRYPTO_PKI_PRIV_H
#define FED_CRYPTO_PKI_PRIV_H

#include "base/buf.h"
#include "crypto/ossl.h"

bool fed_pki_set_serial(X509 *cert); /* random, 16 bytes */
bool fed_pki_set_validity(X509 *cert, int64_t from_ms, int64_t to_ms);
bool fed_pki_add_ext(X509 *cert, X509 *issuer, int nid, const char *value); /* in OpenSSL's words */
/* Signs and appends the PEM text. */
FED_MUST_USE int fed_pki_finish(X509 *cert, EVP_PKEY *signer, struct fed_buf *out, struct fed_err *err);

#endif
