/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.h: bodies in gzip (RFC 1952). Pure. */
#ifndef FED_HTTP_GZIP_H
#define FED_HTTP_GZIP_H

#include "base/buf.h"
#include "base/err.h"

/* Appends to out. level: 1 (fast) to 9 (small). FED_E_LIMIT when out's maximum is reached. */
FED_MUST_USE int fed_gzip_encode(struct fed_str in, int level, struct fed_buf *out);
/* Appends to out, whose maximum is the limit: FED_E_LIMIT beyond it (a small body may unpack to gigabytes),
 * FED_E_SYNTAX for damaged data, FED_E_END when it is cut. Several members one after the other are one body. */
FED_MUST_USE int fed_gzip_decode(struct fed_str in, struct fed_buf *out);

#endif
