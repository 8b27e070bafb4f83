/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h: base64 with padding (RFC 4648 section 4) and base64url without (section 5). */
#ifndef FED_CODEC_BASE64_H
#define FED_CODEC_BASE64_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

void fed_base64_encode(struct fed_buf *out, struct fed_str bytes);
void fed_base64url_encode(struct fed_buf *out, struct fed_str bytes);
/* Strict: no white space, right padding. 0 or FED_E_SYNTAX. */
FED_MUST_USE int fed_base64_decode(struct fed_arena *a, struct fed_str text, struct fed_str *out);
FED_MUST_USE int fed_base64url_decode(struct fed_arena *a, struct fed_str text, struct fed_str *out);

#endif
