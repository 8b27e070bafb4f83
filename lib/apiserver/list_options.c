/* SPDX-License-Identifier: Apache-2.0 */
/* The options of list, watch and deletecollection: what they may be, and what a client is told that they may not. */
#include "apiserver/list_options.h"

#include <ctype.h>

#include "apiserver/watch.h"
#include "base/mem.h"

static const char *why_no_number(struct fed_str t)
{
    size_t i = t.n && (t.p[0] == '-' || t.p[0] == '+');
    while (i < t.n && isdigit((unsigned char)t.p[i]))
        i++;
    return i == t.n && t.n > 1 ? "value out of range" : "invalid syntax";
}

static bool read_int(struct fed_api_reply *r, const char *name, int64_t *n)
{
    struct fed_str t = fed_query_find(&r->query, name);
    *n = 0;
    if (!t.p || (t.n && fed_str_i64(t, n) == 0))
        return true;
    fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "strconv.ParseInt: parsing \"%.*s\": %s", FED_STR_ARG(t),
                 why_no_number(t));
    return false;
}

static void forbid(struct fed_causes *c, const char *field, const char *text)
{
    fed_causes_add(c, FED_CAUSE_FORBIDDEN, fed_str(field), (struct fed_str){NULL, 0}, "%s", text);
}

static void unsupported_match(struct fed_causes *c, struct fed_str match, const char *supported)
{
    fed_causes_add(c, FED_CAUSE_NOT_SUPPORTED, FED_STR("resourceVersionMatch"),
                   fed_arena_printf(c->arena, "\"%.*s\"", FED_STR_ARG(match)), "supported values: %s", supported);
}

static void check_list(const struct fed_list_options *o, struct fed_str rev, struct fed_causes *c)
{
    bool exact = fed_str_is(o->match, "Exact");
    if (o->match.n && !rev.n)
        forbid(c, "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (o->match.n && o->token.n)
        forbid(c, "resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
    if (o->match.n && !exact && !fed_str_is(o->match, "NotOlderThan"))
        unsupported_match(c, o->match, "\"Exact\", \"NotOlderThan\", \"\"");
    if (exact && fed_str_is(rev, "0"))
        forbid(c, "resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    if (o->initial_given)
        forbid(c, "sendInitialEvents", "sendInitialEvents is forbidden for list");
}

static void check_watch(const struct fed_list_options *o, struct fed_causes *c)
{
    bool newer = fed_str_is(o->match, "NotOlderThan");
    if (o->initial_given && !newer)
        forbid(c, "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (o->match.n && !o->initial_given)
        forbid(c, "resourceVersionMatch",
               "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    if (o->match.n && !newer)
        unsupported_match(c, o->match, "\"NotOlderThan\"");
    if (o->match.n && o->token.n)
        forbid(c, "resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
}

bool fed_list_options_read(struct fed_api_reply *r, bool watch, struct fed_list_options *o)
{
    struct fed_causes c = {.arena = &r->arena};
    int64_t limit, seconds;
    *o = (struct fed_list_options){.match = fed_query_find(&r->query, "resourceVersionMatch"),
                                   .token = fed_query_find(&r->query, "continue"),
                                   .initial_given = fed_query_find(&r->query, "sendInitialEvents").p != NULL,
                                   .initial = fed_query_true(&r->query, "sendInitialEvents")};
    if (!read_int(r, "limit", &limit) || !read_int(r, "timeoutSeconds", &seconds))
        return false;
    o->limit = limit > 0 ? (uint64_t)limit : 0;
    o->timeout_ms = seconds > 0 ? (uint64_t)FED_MIN(seconds, (int64_t)86400) * 1000 : 0;
    if (watch)
        check_watch(o, &c);
    else
        check_list(o, fed_query_find(&r->query, "resourceVersion"), &c);
    if (c.n) {
        struct fed_status_details d = {.group = FED_STR("meta.k8s.io"), .kind = FED_STR("ListOptions"), .causes = &c};
        fed_api_fail(r, FED_E_INVALID, &d, NULL);
        return false;
    }
    return fed_api_read_rev(r, &o->rev, &o->rev_given) == 0;
}

/* --- continue tokens: {"v":"meta.k8s.io/v1","rv":352,"start":"ns/name\u0000"} --- */

static bool bad(struct fed_api_reply *r, struct fed_str why)
{
    fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "invalid continue token: continue key is not valid: %.*s",
                 FED_STR_ARG(why));
    return false;
}

static size_t first_not_base64url(struct fed_str s)
{
    size_t i = 0;
    while (i < s.n && (isalnum((unsigned char)s.p[i]) || s.p[i] == '-' || s.p[i] == '_'))
        i++;
    return i < s.n ? i : s.n - s.n % 4; /* or its last piece is too short */
}

static bool token_tree(struct fed_api_reply *r, struct fed_arena *a, struct fed_str token, struct fed_json **t)
{
    struct fed_str text;
    if (fed_base64url_decode(a, token, &text))
        return bad(r, fed_arena_printf(a, "illegal base64 data at input byte %zu", first_not_base64url(token)));
    if (fed_json_parse(a, text, NULL, t, NULL) == 0 && (*t)->type == FED_JSON_OBJECT)
        return true;
    if (text.n && text.p[0] != '{')
        return bad(r, fed_arena_printf(a, "invalid character '%c' looking for beginning of value",
                                       text.p[0] > ' ' && text.p[0] < 0x7f ? text.p[0] : '?'));
    return bad(r, FED_STR("unexpected end of JSON input"));
}

/* A path with "..", empty pieces or the like could point elsewhere. */
static bool is_clean(struct fed_str start)
{
    struct fed_str piece, rest = start;
    bool clean = start.n > 0 && start.p[start.n - 1] != '/';
    while (clean && fed_str_cut(&rest, '/', &piece))
        clean = piece.n && !fed_str_is(piece, ".") && !fed_str_is(piece, "..");
    return clean;
}

bool fed_list_token_read(struct fed_api_reply *r, struct fed_arena *a, struct fed_str token, struct fed_list_token *out)
{
    struct fed_json *t = NULL;
    bool namespaced = r->v->kind->namespaced;
    if (!token_tree(r, a, token, &t))
        return false;
    struct fed_str version = fed_json_find_text(t, "v"), start = fed_json_find_text(t, "start");
    if (!fed_str_is(version, "meta.k8s.io/v1"))
        return bad(
            r, fed_arena_printf(a, "server does not recognize this encoded version \"%.*s\"", FED_STR_ARG(version)));
    if (!fed_json_is_int(fed_json_find(t, "rv"), &out->rev) || !out->rev)
        return bad(r, FED_STR("incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
    if (!start.n)
        return bad(r, FED_STR("encoded start key empty (version meta.k8s.io/v1)"));
    if (start.p[start.n - 1] == 0)
        start.n--;
    ptrdiff_t slash = fed_str_chr(start, '/', 0);
    if (!is_clean(start) || namespaced != (slash >= 0))
        return bad(r, start);
    out->ns = namespaced ? fed_str_head(start, (size_t)slash) : (struct fed_str){NULL, 0};
    out->name = namespaced ? fed_str_from(start, (size_t)slash + 1) : start;
    return true;
}

struct fed_str fed_list_token_make(struct fed_arena *a, int64_t rev, struct fed_str ns, struct fed_str name)
{
    struct fed_buf json = {0}, token = {0};
    fed_buf_addf(&json, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%lld,\"start\":\"", (long long)rev);
    if (ns.n)
        fed_buf_addf(&json, "%.*s/", FED_STR_ARG(ns));
    fed_buf_addf(&json, "%.*s\\u0000\"}", FED_STR_ARG(name));
    fed_base64url_encode(&token, fed_buf_str(&json));
    struct fed_str out = fed_arena_dup(a, fed_buf_str(&token));
    fed_buf_release(&json);
    fed_buf_release(&token);
    return out;
}

int fed_api_read_rev(struct fed_api_reply *r, uint64_t *rev, bool *given)
{
    struct fed_str t = fed_query_find(&r->query, "resourceVersion");
    *rev = 0;
    *given = t.n > 0;
    if (t.n && fed_str_u64(t, rev)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                     "invalid resource version: resourceVersion: Invalid value: \"%.*s\": strconv.ParseUint: parsing "
                     "\"%.*s\": %s",
                     FED_STR_ARG(t), FED_STR_ARG(t), t.p[0] == '-' ? "invalid syntax" : why_no_number(t));
        return -1;
    }
    return 0;
}

bool fed_api_refuse_future(struct fed_api_reply *r, uint64_t rev)
{
    uint64_t now = r->api->cache.rev;
    if (rev <= now)
        return false;
    struct fed_buf b = {0};
    fed_buf_addf(&b,
                 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":"
                 "\"Timeout: Too large resource version: %llu, current: %llu\",\"reason\":\"Timeout\",\"details\":{"
                 "\"causes\":[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large resource version\"}],"
                 "\"retryAfterSeconds\":1},\"code\":504}",
                 (unsigned long long)rev, (unsigned long long)now);
    if (r->x)
        fed_http_add_header(r->x, FED_STR("Retry-After"), FED_STR("1"));
    fed_api_answer_text(r, 504, fed_buf_str(&b));
    fed_buf_release(&b);
    return true;
}

bool fed_watch_params(struct fed_api_reply *r, struct fed_watch_spec *spec, struct fed_arena *arena)
{
    struct fed_list_options o;
    if (!fed_filter_read(r, &spec->filter, arena) || !fed_list_options_read(r, true, &o))
        return false;
    if (o.initial && fed_api_refuse_future(r, o.rev))
        return false;
    spec->rev = o.rev;
    spec->timeout_ms = o.timeout_ms;
    spec->form = r->form;
    spec->bookmarks = fed_query_true(&r->query, "allowWatchBookmarks");
    spec->initial = o.initial || (!o.initial_given && spec->rev == 0);
    spec->initial_bookmark = o.initial && spec->bookmarks;
    spec->from_rev = !spec->initial && spec->rev != 0;
    return true;
}
