/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h: SHA-256 over bytes that come in pieces. For bytes at hand: fed_sha256 of pki.h. */
#ifndef FED_CRYPTO_DIGEST_H
#define FED_CRYPTO_DIGEST_H

#include "base/err.h"
#include "base/str.h"

struct fed_digest; /* heap; any one thread */

struct fed_digest *fed_digest_new(void);
void fed_digest_add(struct fed_digest *d, struct fed_str bytes);
void fed_digest_end(struct fed_digest *d, char hex[65]); /* frees it */
void fed_digest_free(struct fed_digest *d);              /* instead of end; NULL ok */
/* Of a whole file. */
FED_MUST_USE int fed_digest_file(const char *path, char hex[65], struct fed_err *err);

#endif
