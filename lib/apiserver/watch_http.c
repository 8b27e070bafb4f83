/* SPDX-License-Identifier: Apache-2.0 */
/* Watch requests: their parameters, and the stream over HTTP. */
#include "apiserver/audit.h"
#include "apiserver/list_options.h"
#include "apiserver/watch.h"
#include "apiserver/watch_ws.h"

static size_t line(void *ud, struct fed_blob *blob)
{
    struct fed_api_reply *r = ud;
    return r->x ? fed_http_stream_write_blob(r->x, blob) : 0;
}

static size_t flush(void *ud)
{
    struct fed_api_reply *r = ud;
    return r->x ? fed_http_stream_flush(r->x) : 0;
}

static void put_error(struct fed_api_reply *r, const struct fed_err *err)
{
    struct fed_buf b = {0};
    fed_watch_put_error(&b, err);
    fed_http_stream_write(r->x, fed_buf_str(&b));
    fed_buf_release(&b);
}

static void end(void *ud, int code, const struct fed_err *err)
{
    struct fed_api_reply *r = ud;
    r->watcher = NULL;
    r->stream_gone = NULL;
    r->answered = true;
    if (r->x) {
        if (code)
            put_error(r, err);
        fed_http_stream_end(r->x);
    }
    fed_api_request_done(r);
}

static const struct fed_sink_ops http_sink = {.line = line, .flush = flush, .end = end};

static void gone(void *ud)
{
    struct fed_api_reply *r = ud;
    fed_watch_gone(r->watcher);
    r->watcher = NULL;
}

static void drained(void *ud)
{
    struct fed_api_reply *r = ud;
    if (r->watcher)
        fed_watch_drained(r->watcher);
}

void fed_api_watch(struct fed_api_reply *r)
{
    if (r->gone) { /* while the state was made fresh */
        r->answered = true;
        fed_api_request_done(r);
        return;
    }
    if (r->call) {
        fed_api_local_watch(r);
        return;
    }
    struct fed_watch_spec spec = {0};
    struct fed_arena arena = {0};
    if (!fed_watch_params(r, &spec, &arena)) {
        fed_arena_release(&arena);
        return;
    }
    if (fed_watch_ws_wanted(r)) {
        fed_watch_ws(r, &spec, &arena);
        return;
    }
    struct fed_err err = {0};
    fed_api_request_defer(r);
    fed_audit_started(r, 200);
    fed_api_no_cache(r);
    fed_http_stream_begin(r->x, 200, "application/json", drained, r);
    if (fed_watch_start(r->api->hub, r->kc, &spec, &arena, &http_sink, r, &r->watcher, &err)) {
        fed_arena_release(&arena);
        end(r, err.code, &err);
        return;
    }
    r->stream_gone = gone;
    r->stream_ud = r;
}
