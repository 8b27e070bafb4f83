/* SPDX-License-Identifier: Apache-2.0 */
/* Watch requests: their parameters, and the stream over HTTP. */
#include "apiserver/audit.h"
#include "apiserver/watch.h"

static bool refuse(struct fed_api_reply *r, const char *field, const char *text)
{
    struct fed_causes c = {.arena = &r->arena};
    fed_causes_add(&c, FED_CAUSE_FORBIDDEN, fed_str(field), (struct fed_str){NULL, 0}, "%s", text);
    struct fed_status_details d = {.group = FED_STR("meta.k8s.io"), .kind = FED_STR("ListOptions"), .causes = &c};
    fed_api_fail(r, FED_E_INVALID, &d, NULL);
    return false;
}

static bool read_timeout(struct fed_api_reply *r, uint64_t *ms)
{
    struct fed_str t = fed_query_find(&r->query, "timeoutSeconds");
    int64_t s = 0;
    *ms = 0;
    if (!t.n)
        return true;
    if (fed_str_i64(t, &s)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "strconv.ParseInt: parsing \"%.*s\": invalid syntax", FED_STR_ARG(t));
        return false;
    }
    if (s > 0)
        *ms = (uint64_t)FED_MIN(s, (int64_t)86400) * 1000;
    return true;
}

bool fed_watch_params(struct fed_api_reply *r, struct fed_watch_spec *spec, struct fed_arena *arena)
{
    bool given;
    struct fed_str match = fed_query_find(&r->query, "resourceVersionMatch");
    struct fed_str send = fed_query_find(&r->query, "sendInitialEvents");
    bool want = fed_query_true(&r->query, "sendInitialEvents");
    if (fed_api_read_rev(r, &spec->rev, &given))
        return false;
    if (send.p && !fed_str_is(match, "NotOlderThan"))
        return refuse(r, "resourceVersionMatch",
                      "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (!send.p && match.n)
        return refuse(r, "resourceVersionMatch",
                      "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    if (!fed_filter_read(r, &spec->filter, arena) || !read_timeout(r, &spec->timeout_ms))
        return false;
    if (want && spec->rev && fed_api_refuse_future(r, spec->rev))
        return false;
    spec->form = r->form;
    spec->bookmarks = fed_query_true(&r->query, "allowWatchBookmarks");
    spec->initial = want || (!send.p && spec->rev == 0);
    spec->initial_bookmark = want && spec->bookmarks;
    spec->from_rev = !spec->initial && spec->rev != 0;
    return true;
}

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
    fed_buf_addz(&b, "{\"type\":\"ERROR\",\"object\":");
    fed_status_write(&b, err->code, err->text, NULL);
    while (b.n && b.p[b.n - 1] == '\n')
        b.n--;
    fed_buf_addz(&b, "}\n");
    fed_http_stream_write(r->x, fed_buf_str(&b));
    fed_buf_release(&b);
}

static void end(void *ud, int code, const struct fed_err *err)
{
    struct fed_api_reply *r = ud;
    r->watcher = NULL;
    r->answered = true;
    if (r->x) {
        if (code)
            put_error(r, err);
        fed_http_stream_end(r->x);
    }
    fed_api_request_done(r);
}

static const struct fed_sink_ops http_sink = {.line = line, .flush = flush, .end = end};

static void drained(void *ud)
{
    struct fed_api_reply *r = ud;
    if (r->watcher)
        fed_watch_drained(r->watcher);
}

void fed_api_watch(struct fed_api_reply *r)
{
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
    struct fed_err err = {0};
    fed_api_request_defer(r);
    fed_audit_started(r, 200);
    fed_http_stream_begin(r->x, 200, "application/json", drained, r);
    if (fed_watch_start(r->api->hub, r->kc, &spec, &arena, &http_sink, r, &r->watcher, &err)) {
        fed_arena_release(&arena);
        end(r, err.code, &err);
    }
}
