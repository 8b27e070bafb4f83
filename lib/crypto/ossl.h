/* SPDX-License-Identifier: Apache-2.0 */
/* ossl.h: reading PEM and OpenSSL's error queue, for the files that call OpenSSL (lib/crypto, lib/net/tls*). */
#ifndef FED_CRYPTO_OSSL_H
#define FED_CRYPTO_OSSL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/err.h"

/* Sets err from the thread's queue, which is emptied; returns code. */
int fed_ossl_err(struct fed_err *err, int code, const char *what);
/* New objects, or NULL with err set (FED_E_INVALID). Encrypted keys are refused, never asked for on a terminal. */
X509 *fed_ossl_read_cert(struct fed_str pem, struct fed_err *err);
EVP_PKEY *fed_ossl_read_key(struct fed_str pem, struct fed_err *err);
/* Private or public key. */
EVP_PKEY *fed_ossl_read_any_key(struct fed_str pem, struct fed_err *err);
/* The certificates of a text one after the other: *bio is made at the first call (NULL before) and is freed at the
 * end, when NULL is returned. */
X509 *fed_ossl_next_cert(BIO **bio, struct fed_str pem);
int fed_ossl_no_password(char *buf, int size, int writing, void *ud);

#endif
