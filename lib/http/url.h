/* SPDX-License-Identifier: Apache-2.0 */
/* url.h: URLs, percent-encoding and query strings (RFC 3986; application/x-www-form-urlencoded for queries). Pure. */
#ifndef FED_HTTP_URL_H
#define FED_HTTP_URL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct fed_url {
    struct fed_str scheme, host /* without brackets */, path /* "" or "/…" */, query /* without '?' */;
    uint16_t port; /* explicit, or 80/443 by scheme */
};
FED_MUST_USE int fed_url_parse(struct fed_str text, struct fed_url *out, struct fed_err *err);
/* Decodes %XX (and '+' as space when plus); bad escapes and NUL: FED_E_SYNTAX. */
FED_MUST_USE int fed_url_decode(struct fed_arena *a, struct fed_str text, bool plus, struct fed_str *out);
void fed_url_encode(struct fed_buf *out, struct fed_str text); /* all but unreserved */

struct fed_query_param {
    struct fed_str name, value; /* decoded */
};
struct fed_query {
    struct fed_query_param *params;
    size_t n;
};
/* At most 256 parameters. */
FED_MUST_USE int fed_query_parse(struct fed_arena *a, struct fed_str query, struct fed_query *out, struct fed_err *err);
/* First value of `name`; p == NULL when absent. */
struct fed_str fed_query_find(const struct fed_query *q, const char *name);

#endif
