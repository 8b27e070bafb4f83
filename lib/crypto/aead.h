/* SPDX-License-Identifier: Apache-2.0 */
/* aead.h: authenticated encryption: AES in Galois/Counter mode (NIST SP 800-38D) with a 96-bit nonce. Pure. */
#ifndef FED_CRYPTO_AEAD_H
#define FED_CRYPTO_AEAD_H

#include "base/buf.h"
#include "base/err.h"

enum { FED_AEAD_NONCE = 12, FED_AEAD_TAG = 16 };
/* key: 16, 24 or 32 bytes. Appends ciphertext and tag. A nonce is used once for a key. FED_E_INVALID: bad key size. */
FED_MUST_USE int fed_aead_seal(struct fed_str key, const uint8_t nonce[FED_AEAD_NONCE], struct fed_str associated,
                               struct fed_str plain, struct fed_buf *out, struct fed_err *err);
/* Appends the plaintext. FED_E_CORRUPT when anything was changed, or the key is another; out is then as before. */
FED_MUST_USE int fed_aead_open(struct fed_str key, const uint8_t nonce[FED_AEAD_NONCE], struct fed_str associated,
                               struct fed_str sealed, struct fed_buf *out, struct fed_err *err);

#endif
