/* SPDX-License-Identifier: Apache-2.0 */
/* header.h: one header field as two slices, the currency between parsers, servers and clients. A value type. */
#ifndef FED_HTTP_HEADER_H
#define FED_HTTP_HEADER_H

#include "base/str.h"

struct fed_http_header {
    struct fed_str name, value;
};

const char *fed_http_reason(int status); /* "Not Found"; "" for an unknown status */
/* IMF-fixdate of RFC 9110, "Sun, 06 Nov 1994 08:49:37 GMT" (29 bytes and NUL). */
void fed_http_date(int64_t wall_ms, char out[30]);

#endif
