/* SPDX-License-Identifier: Apache-2.0 */
/* Answering a request: bytes, objects, Status errors; and the replies of virtual resources. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/flow.h"
#include "apiserver/audit.h"
#include "base/mem.h"
#include "codec/yaml.h"
#include "http/gzip.h"

#include <stdarg.h>

/* Large answers to those who take gzip, as kube-apiserver does it (from 128 KiB, fast level). */
#define GZIP_FROM (128u * 1024)

/* NULL: as it is. */
static struct fed_blob *packed(struct fed_api_reply *r, int status, struct fed_blob *blob)
{
    struct fed_buf z = {0};
    if (!r->gzip || status != 200 || fed_blob_str(blob).n < GZIP_FROM)
        return NULL;
    if (fed_gzip_encode(fed_blob_str(blob), 1, &z)) {
        fed_buf_release(&z);
        return NULL;
    }
    fed_http_add_header(r->x, FED_STR("Content-Encoding"), FED_STR("gzip"));
    fed_http_add_header(r->x, FED_STR("Vary"), FED_STR("Accept-Encoding"));
    return fed_blob_new_take(&z);
}

void fed_api_no_cache(struct fed_api_reply *r)
{
    if (r->x && !r->public)
        fed_http_add_header(r->x, FED_STR("Cache-Control"), FED_STR("no-cache, private"));
}

void fed_api_answer_blob(struct fed_api_reply *r, int status, const char *content_type, struct fed_blob *blob)
{
    if (r->answered)
        return;
    r->answered = true;
    r->stream_gone = NULL;
    fed_api_count(r, status);
    if (r->audit)
        fed_audit_answered(r, status, content_type, fed_blob_str(blob));
    if (r->call) {
        struct fed_local_call *call = r->call;
        r->call = NULL;
        fed_api_local_answer(call, status, fed_blob_str(blob));
    } else if (r->x) {
        if (r->warnings)
            fed_api_put_warnings(r);
        struct fed_blob *z = packed(r, status, blob);
        fed_api_no_cache(r);
        if (r->flow && fed_flow_answer(r, fed_blob_str(z ? z : blob).n))
            fed_api_request_defer(r);
        fed_http_respond_blob(r->x, status, content_type, z ? z : blob);
        fed_blob_unref(z);
    }
    fed_api_request_done(r);
}

void fed_api_answer(struct fed_api_reply *r, int status, const char *content_type, struct fed_str body)
{
    struct fed_blob *b = fed_blob_new(body);
    fed_api_answer_blob(r, status, content_type, b);
    fed_blob_unref(b);
}

/* JSON text in the syntax that was asked: as it is, indented, or YAML. */
void fed_api_answer_text(struct fed_api_reply *r, int status, struct fed_str json)
{
    if (!r->pretty && !r->yaml) {
        fed_api_answer(r, status, "application/json", json);
        return;
    }
    struct fed_json *tree = NULL;
    struct fed_buf b = {0};
    struct fed_json_limits limits = {.max_bytes = SIZE_MAX / 2, .max_nodes = UINT32_MAX};
    if (fed_json_parse(&r->arena, json, &limits, &tree, NULL) == 0) {
        if (r->yaml)
            fed_yaml_write(&b, tree);
        else
            fed_json_write_indent(&b, tree, 2);
        if (!r->yaml)
            fed_buf_addc(&b, '\n');
    } else {
        fed_buf_add(&b, json);
    }
    struct fed_blob *blob = fed_blob_new_take(&b);
    fed_api_answer_blob(r, status, r->yaml ? "application/yaml" : "application/json", blob);
    fed_blob_unref(blob);
}

void fed_api_answer_tree(struct fed_api_reply *r, int status, const struct fed_json *tree)
{
    struct fed_buf b = {0};
    fed_json_write(&b, tree);
    fed_api_answer_text(r, status, fed_buf_str(&b));
    fed_buf_release(&b);
}

struct fed_str fed_api_qualified(struct fed_api_reply *r)
{
    if (!r->q.group.n)
        return r->q.resource;
    return fed_arena_printf(&r->arena, "%.*s.%.*s", FED_STR_ARG(r->q.resource), FED_STR_ARG(r->q.group));
}

static void fail(struct fed_api_reply *r, int code, const char *message, const struct fed_status_details *details)
{
    struct fed_buf b = {0};
    int status = fed_code_status(code);
    struct fed_status_details d = details ? *details : (struct fed_status_details){0};
    if (r->before_refusal && r->before_refusal(r, code))
        return;
    if ((code == FED_E_TOO_MANY || code == FED_E_UNAVAILABLE) &&
        !d.retry_after_s) { /* clients wait and try again only when told how long */
        d.retry_after_s = 1;
        details = &d;
    }
    fed_status_write(&b, code, message, details);
    if (details && details->retry_after_s && r->x) {
        char n[16];
        snprintf(n, sizeof n, "%d", details->retry_after_s);
        fed_http_add_header(r->x, FED_STR("Retry-After"), fed_str(n));
    }
    fed_api_answer_text(r, status, fed_buf_str(&b));
    fed_buf_release(&b);
}

static void fail_in_words(struct fed_api_reply *r, int code, const struct fed_status_details *details, const char *fmt,
                          va_list ap)
{
    char *text = NULL;
    if (fmt && vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    fail(r, code, text, details);
    free(text);
}

void fed_api_fail(struct fed_api_reply *r, int code, const struct fed_status_details *details, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail_in_words(r, code, details, fmt, ap);
    va_end(ap);
}

void fed_api_fail_object(struct fed_api_reply *r, int code, const char *fmt, ...)
{
    struct fed_status_details d = {.name = r->q.name, .group = r->q.group, .kind = r->q.resource};
    va_list ap;
    va_start(ap, fmt);
    fail_in_words(r, code, &d, fmt, ap);
    va_end(ap);
}

void fed_api_fail_err(struct fed_api_reply *r, const struct fed_err *err)
{
    fail(r, err->code ? err->code : FED_E_INTERNAL, err->text[0] ? err->text : NULL, NULL);
}

void fed_api_fail_causes(struct fed_api_reply *r, const struct fed_causes *causes)
{
    struct fed_status_details d = {.name = r->q.name, .group = r->q.group, .causes = causes};
    d.kind = r->v ? r->v->kind->kind : r->q.resource;
    fail(r, FED_E_INVALID, NULL, &d);
}

void fed_api_fail_invalid(struct fed_api_reply *r, const struct fed_status_details *details)
{
    fail(r, FED_E_INVALID, NULL, details);
}

/* --- replies of virtual resources --- */

void fed_api_reply_json(struct fed_api_reply *r, int status, const struct fed_json *obj)
{
    fed_api_answer_tree(r, status, obj);
}

void fed_api_reply_text(struct fed_api_reply *r, int status, const char *content_type, struct fed_str body)
{
    fed_api_answer(r, status, content_type, body);
}

void fed_api_reply_error(struct fed_api_reply *r, int code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (code == FED_E_BAD_REQUEST) /* about the request, not about the object */
        fed_api_fail(r, code, NULL, "%s", text);
    else
        fed_api_fail_object(r, code, "%s", text);
}

static void stream_drained(void *ud)
{
    struct fed_api_reply *r = ud;
    if (r->stream_drained && !r->gone)
        r->stream_drained(r->stream_ud);
}

void fed_api_reply_stream(struct fed_api_reply *r, int status, const char *content_type, void (*drained)(void *ud),
                          void (*gone)(void *ud), void *ud)
{
    fed_api_count(r, status);
    fed_audit_started(r, status);
    r->streaming = true;
    r->stream_drained = drained;
    r->stream_gone = gone;
    r->stream_ud = ud;
    fed_api_request_defer(r);
    fed_api_no_cache(r);
    if (r->x)
        fed_http_stream_begin(r->x, status, content_type, stream_drained, r);
}

size_t fed_api_reply_write(struct fed_api_reply *r, struct fed_str bytes)
{
    if (r->gone || r->answered)
        return 0;
    if (r->x)
        return fed_http_stream_write(r->x, bytes);
    if (r->call)
        fed_api_local_collect(r->call, bytes);
    return 0;
}

void fed_api_reply_end(struct fed_api_reply *r)
{
    if (r->answered)
        return;
    r->answered = true;
    r->stream_gone = NULL;
    if (r->x) {
        fed_http_stream_end(r->x);
    } else if (r->call) {
        struct fed_local_call *call = r->call;
        r->call = NULL;
        fed_api_local_answer(call, 200, (struct fed_str){NULL, 0});
    }
    fed_api_request_done(r);
}

void fed_api_reply_abort(struct fed_api_reply *r)
{
    if (r->answered)
        return;
    if (!r->x) {
        fed_api_reply_end(r);
        return;
    }
    r->answered = true;
    r->stream_gone = NULL;
    fed_http_abort(r->x);
    fed_api_request_done(r);
}

void fed_api_reply_on_gone(struct fed_api_reply *r, void (*gone)(void *ud), void *ud)
{
    r->stream_gone = gone;
    r->stream_ud = ud;
    fed_api_request_defer(r);
}

struct fed_http_exchange *fed_api_reply_exchange(struct fed_api_reply *r)
{
    return r->x;
}

void fed_api_reply_upgraded(struct fed_api_reply *r)
{
    r->answered = true;
    r->stream_gone = NULL;
    fed_api_count(r, 101);
    fed_api_request_done(r);
}

void fed_api_not_allowed(struct fed_api_reply *r)
{
    fed_api_fail(r, FED_E_METHOD_NOT_ALLOWED, &(struct fed_status_details){0},
                 "the server does not allow this method on the requested resource");
}

void fed_api_not_found_path(struct fed_api_reply *r)
{
    fed_api_fail(r, FED_E_NOT_FOUND, &(struct fed_status_details){0},
                 "the server could not find the requested resource");
}

void fed_api_not_found_group(struct fed_api_reply *r)
{
    if (r->call)
        fed_api_not_found_path(r);
    else
        fed_api_answer(r, 404, "text/plain; charset=utf-8", FED_STR("404 page not found\n"));
}
