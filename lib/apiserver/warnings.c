/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is told beside the answer: Warning headers. */
#include "apiserver/apiserver_priv.h"

#include <stdarg.h>

enum { WARNINGS_MAX = 20 };

void fed_api_warn(struct fed_api_reply *r, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!r->warnings)
        r->warnings = fed_json_array(&r->arena);
    if (r->warnings->n < WARNINGS_MAX)
        fed_json_push(r->warnings, fed_json_new_strf(&r->arena, "%s", text));
}

void fed_api_put_warnings(struct fed_api_reply *r)
{
    FED_JSON_EACH(w, r->warnings) {
        struct fed_buf b = {0};
        fed_buf_addz(&b, "299 - ");
        fed_json_write_string(&b, w->s); /* quoted-string: the escapes of JSON are a subset */
        fed_http_add_header(r->x, FED_STR("Warning"), fed_buf_str(&b));
        fed_buf_release(&b);
    }
}

void fed_api_warn_kind(struct fed_api_reply *r)
{
    r->warnings = NULL;
    if (!r->v->warning.n)
        return;
    fed_api_warn(r, "%.*s", FED_STR_ARG(r->v->warning));
    fed_api_count_deprecated(r);
}
