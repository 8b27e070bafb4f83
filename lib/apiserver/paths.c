/* SPDX-License-Identifier: Apache-2.0 */
/* What is not a resource: health, version, metrics, OpenAPI, the index of paths; and documents made once. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/sa_token.h"
#include "base/mem.h"
#include "crypto/pki.h"

/* --- documents --- */

const struct fed_doc *fed_api_doc(struct fed_api *api, const char *name,
                                  void (*make)(struct fed_api *api, const char *name, struct fed_buf *out))
{
    struct fed_doc *d = fed_map_find(&api->docs, fed_str(name));
    if (d)
        return d;
    struct fed_buf b = {0};
    char hex[65];
    make(api, name, &b);
    d = FED_NEW(struct fed_doc);
    d->blob = fed_blob_new_take(&b);
    fed_sha256_hex(fed_blob_str(d->blob), hex);
    snprintf(d->etag, sizeof d->etag, "\"%s\"", hex);
    fed_map_set(&api->docs, fed_str(name), d);
    return d;
}

void fed_api_docs_release(struct fed_api *api)
{
    FED_MAP_EACH(e, &api->docs) {
        struct fed_doc *d = e->value;
        fed_blob_unref(d->blob);
        free(d);
    }
    fed_map_release(&api->docs);
}

void fed_api_answer_doc(struct fed_api_reply *r, const struct fed_doc *doc, const char *content_type)
{
    if (!r->x) {
        fed_api_answer_blob(r, 200, content_type, doc->blob);
        return;
    }
    struct fed_str match = fed_http_request_header(r->q.http, "if-none-match");
    fed_http_add_header(r->x, FED_STR("Etag"), fed_str(doc->etag));
    fed_http_add_header(r->x, FED_STR("Vary"), FED_STR("Accept"));
    r->public = true;
    fed_http_add_header(r->x, FED_STR("Cache-Control"), FED_STR("public"));
    if (match.n && fed_str_find(match, fed_str(doc->etag), 0) >= 0)
        fed_api_answer(r, 304, NULL, (struct fed_str){NULL, 0});
    else
        fed_api_answer_blob(r, 200, content_type, doc->blob);
}

/* --- the index --- */

static void push_once(struct fed_arena *a, struct fed_json *list, struct fed_map *seen, struct fed_str part)
{
    struct fed_str path = fed_arena_printf(a, "/apis/%.*s", FED_STR_ARG(part));
    if (fed_map_has(seen, path))
        return;
    fed_map_set(seen, path, NULL);
    fed_json_push(list, fed_json_new_str(a, path));
}

/* Also told to those who asked for what is not there. */
static void index_paths(struct fed_api_reply *r, int status)
{
    struct fed_api *api = r->api;
    struct fed_arena *a = &r->arena;
    struct fed_json *o = fed_json_object(a), *list = fed_json_set(o, "paths", fed_json_array(a));
    static const char *const fixed[] = {"/api", "/api/v1", "/apis"};
    static const char *const tail[] = {"/healthz",    "/livez",  "/metrics", "/openapi/v2",
                                       "/openapi/v3", "/readyz", "/version"};
    struct fed_map seen = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(fixed); i++)
        fed_json_push(list, fed_json_new_strz(a, fixed[i]));
    for (size_t i = 0; i < fed_kinds_count(api->conf.kinds); i++) {
        const struct fed_kind *k = fed_kinds_at(api->conf.kinds, i);
        for (size_t j = 0; j < k->n_versions; j++) {
            if (!k->versions[j].group.n || !k->versions[j].served)
                continue;
            push_once(a, list, &seen, k->versions[j].group);
            push_once(a, list, &seen, k->versions[j].api_version);
        }
    }
    fed_map_release(&seen);
    for (size_t i = 0; i < FED_ARRAY_LEN(tail); i++)
        fed_json_push(list, fed_json_new_strz(a, tail[i]));
    r->pretty = true;
    fed_api_answer_tree(r, status, o);
}

/* --- health --- */

static bool is_ready(struct fed_api *api)
{
    return api->ready && !api->stopped && !api->failed;
}

/* Probes made for Kubernetes know the store by another name. */
static bool is_check(struct fed_str asked, const char *name)
{
    return fed_str_is(asked, name) || (fed_str_is(asked, "etcd") && strcmp(name, "store") == 0);
}

/* ?exclude=NAME, as often as wanted */
static bool is_excluded(const struct fed_query *q, const char *name)
{
    for (size_t i = 0; i < q->n; i++)
        if (fed_str_is(q->params[i].name, "exclude") && is_check(q->params[i].value, name))
            return true;
    return false;
}

static bool check_one(struct fed_api_reply *r, const char *root, const char *name, struct fed_buf *out, size_t *n_bad,
                      struct fed_str only)
{
    struct fed_api *api = r->api;
    bool ok, excluded = !only.n && is_excluded(&r->query, name);
    if (only.n && !is_check(only, name))
        return false;
    if (strcmp(name, "ping") == 0) {
        ok = true;
    } else if (strcmp(name, "store") == 0) {
        ok = !api->failed && (!api->conf.suspended || strcmp(root, "livez") == 0);
    } else if (strcmp(name, "cache-synced") == 0 || strcmp(name, "shutdown") == 0) {
        if (strcmp(root, "livez") == 0)
            return false;
        ok = strcmp(name, "shutdown") == 0 ? !api->stopped : is_ready(api) || api->stopped;
    } else if (strcmp(root, "livez") == 0) {
        return false;
    } else {
        ok = false;
        FED_LIST_EACH(it, &api->checks) {
            struct fed_api_check *c = FED_LIST_ENTRY(it, struct fed_api_check, link);
            if (strcmp(c->name, name) == 0)
                ok = c->ok(c->ud);
        }
    }
    if (excluded) {
        fed_buf_addf(out, "[+]%s excluded: ok\n", name);
        return true;
    }
    fed_buf_addf(out, "[%s]%s %s\n", ok ? "+" : "-", name, ok ? "ok" : "failed: reason withheld");
    *n_bad += !ok;
    return true;
}

static const char *const own_checks[] = {"ping", "store", "cache-synced", "shutdown"};

static bool is_known_check(struct fed_api *api, struct fed_str asked)
{
    bool known = false;
    for (size_t i = 0; i < FED_ARRAY_LEN(own_checks); i++)
        known |= is_check(asked, own_checks[i]);
    FED_LIST_EACH(it, &api->checks)
        known |= fed_str_is(asked, FED_LIST_ENTRY(it, struct fed_api_check, link)->name);
    return known;
}

/* Those that were to be excluded and are not there. */
static void warn_excluded(struct fed_api_reply *r, struct fed_buf *b)
{
    const char *before = "warn: some health checks cannot be excluded: no matches for ";
    for (size_t i = 0; i < r->query.n; i++) {
        struct fed_str name = r->query.params[i].value;
        if (!fed_str_is(r->query.params[i].name, "exclude") || is_known_check(r->api, name))
            continue;
        fed_buf_addz(b, before);
        fed_json_write_string(b, name);
        before = ",";
    }
    if (*before == ',')
        fed_buf_addc(b, '\n');
}

static void health(struct fed_api_reply *r, struct fed_str path)
{
    struct fed_api *api = r->api;
    struct fed_str rest = fed_str_from(path, 1), root;
    (void)fed_str_cut(&rest, '/', &root);
    const char *name = fed_arena_dupz(&r->arena, root);
    struct fed_buf b = {0};
    size_t bad = 0, found = 0;
    for (size_t i = 0; i < FED_ARRAY_LEN(own_checks); i++)
        found += check_one(r, name, own_checks[i], &b, &bad, rest);
    FED_LIST_EACH(it, &api->checks)
        found += check_one(r, name, FED_LIST_ENTRY(it, struct fed_api_check, link)->name, &b, &bad, rest);
    bool verbose = fed_query_find(&r->query, "verbose").p && !rest.n;
    if (!found) {
        index_paths(r, 404);
    } else if (bad || verbose) {
        warn_excluded(r, &b);
        fed_buf_addf(&b, "%s check %s\n", name, bad ? "failed" : "passed");
        fed_api_answer(r, bad ? 500 : 200, "text/plain; charset=utf-8", fed_buf_str(&b));
    } else
        fed_api_answer(r, 200, "text/plain; charset=utf-8", FED_STR("ok"));
    fed_buf_release(&b);
}

/* --- version --- */

static void version(struct fed_api_reply *r)
{
    struct fed_str v = fed_str(r->api->conf.git_version ? r->api->conf.git_version : "v1.29.0"), rest, major, minor;
    rest = fed_str_from(v, 1);
    (void)fed_str_cut(&rest, '.', &major);
    (void)fed_str_cut(&rest, '.', &minor);
    struct fed_arena *a = &r->arena;
    struct fed_json *o = fed_json_object(a);
    fed_json_set(o, "major", fed_json_new_str(a, major));
    fed_json_set(o, "minor", fed_json_new_str(a, minor));
    fed_json_set(o, "gitVersion", fed_json_new_str(a, v));
    fed_json_set(o, "gitCommit", fed_json_new_strz(a, ""));
    fed_json_set(o, "gitTreeState", fed_json_new_strz(a, "clean"));
    fed_json_set(o, "buildDate", fed_json_new_strz(a, "1970-01-01T00:00:00Z"));
    fed_json_set(o, "goVersion", fed_json_new_strz(a, "none"));
    fed_json_set(o, "compiler", fed_json_new_strz(a, "gcc"));
    fed_json_set(o, "platform", fed_json_new_strz(a, "linux/amd64"));
    r->pretty = true;
    fed_api_answer_tree(r, 200, o);
}

/* --- OpenAPI --- */

static void make_v2_json(struct fed_api *api, const char *name, struct fed_buf *out)
{
    (void)name;
    fed_openapi_v2_json(api->conf.kinds, out);
}

static void make_v2_pb(struct fed_api *api, const char *name, struct fed_buf *out)
{
    (void)name;
    fed_openapi_v2_pb(api->conf.kinds, out);
}

static void make_v3(struct fed_api *api, const char *name, struct fed_buf *out)
{
    if (fed_openapi_v3(api->conf.kinds, fed_str(name + sizeof("/openapi/v3/") - 1), out))
        fed_buf_reset(out);
}

/* The index with the hash of each document, by which clients cache them. */
static void make_v3_index(struct fed_api *api, const char *name, struct fed_buf *out)
{
    struct fed_buf b = {0};
    struct fed_arena a = {0};
    struct fed_json *doc = NULL;
    (void)name;
    fed_openapi_v3_index(api->conf.kinds, &b);
    if (fed_json_parse(&a, fed_buf_str(&b), NULL, &doc, NULL) == 0) {
        FED_JSON_EACH(p, fed_json_find(doc, "paths")) {
            char *path = fed_arena_dupz(&a, fed_arena_printf(&a, "/openapi/v3/%.*s", FED_STR_ARG(p->key)));
            const struct fed_doc *d = fed_api_doc(api, path, make_v3);
            fed_json_set(p, "serverRelativeURL", fed_json_new_strf(&a, "%s?hash=%.64s", path, d->etag + 1));
        }
        fed_json_write(out, doc);
    }
    fed_arena_release(&a);
    fed_buf_release(&b);
}

static void openapi(struct fed_api_reply *r, struct fed_str path)
{
    if (fed_str_is(path, "/openapi/v2")) {
        /* kubectl asks for protobuf only. Its media type must not carry '@': mime parsers refuse it. */
        bool json =
            fed_accept_ok(r->accept, "application/json") && fed_str_find(r->accept, FED_STR("openapi.spec.v2"), 0) < 0;
        fed_api_answer_doc(
            r, fed_api_doc(r->api, json ? "openapi v2 json" : "openapi v2", json ? make_v2_json : make_v2_pb),
            json ? "application/json" : "application/octet-stream");
        return;
    }
    if (fed_str_is(path, "/openapi/v3")) {
        fed_api_answer_doc(r, fed_api_doc(r->api, "/openapi/v3", make_v3_index), "application/json");
        return;
    }
    struct fed_buf probe = {0};
    const char *name = fed_arena_dupz(&r->arena, path);
    bool known = fed_str_starts(path, FED_STR("/openapi/v3/")) &&
                 (fed_map_find(&r->api->docs, path) ||
                  fed_openapi_v3(r->api->conf.kinds, fed_str_from(path, sizeof("/openapi/v3/") - 1), &probe) == 0);
    fed_buf_release(&probe);
    if (known)
        fed_api_answer_doc(r, fed_api_doc(r->api, name, make_v3), "application/json");
    else
        index_paths(r, 404);
}

/* --- metrics --- */

static void metrics(struct fed_api_reply *r)
{
    struct fed_buf b = {0};
    fed_api_metrics_scrape(r->api);
    fed_metrics_render(r->api->conf.metrics, &b);
    fed_api_answer(r, 200, "text/plain; version=0.0.4; charset=utf-8", fed_buf_str(&b));
    fed_buf_release(&b);
}

/* How others verify service account tokens (OpenID Connect discovery). */
static bool openid(struct fed_api_reply *r, struct fed_str path)
{
    struct fed_buf b = {0};
    bool jwks = fed_str_is(path, "/openid/v1/jwks"), yes = jwks;
    if (jwks)
        fed_sa_jwks(r->api->sa, &b);
    else if (fed_str_is(path, "/.well-known/openid-configuration"))
        yes = fed_sa_discovery(r->api->sa, &b);
    if (yes)
        fed_api_answer(r, 200, jwks ? "application/jwk-set+json" : "application/json", fed_buf_str(&b));
    fed_buf_release(&b);
    return yes;
}

static bool is_path(struct fed_str path, const char *name)
{
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return fed_str_is(path, name);
}

static void read_other(struct fed_api_reply *r)
{
    struct fed_str path = r->q.path;
    if (fed_api_is_health(path))
        health(r, path);
    else if (is_path(path, "/version"))
        version(r);
    else if (fed_str_is(path, "/metrics"))
        metrics(r);
    else if (fed_str_starts(path, FED_STR("/openapi/v")))
        openapi(r, path);
    else if (fed_str_is(path, "/"))
        index_paths(r, 200);
    else if (!openid(r, path))
        index_paths(r, 404);
}

void fed_api_other(struct fed_api_reply *r)
{
    static const char *const fixed[] = {"/", "/metrics", "/openapi/v2", "/openapi/v3"};
    bool head = fed_api_is_head(r), read = head || fed_str_ieq(fed_str(r->q.verb), FED_STR("get"));
    bool known = fed_api_is_health(r->q.path) || is_path(r->q.path, "/version");
    for (size_t i = 0; i < FED_ARRAY_LEN(fixed); i++)
        known |= fed_str_is(r->q.path, fixed[i]);
    if ((!read && known) || (head && is_path(r->q.path, "/version")))
        fed_api_not_allowed(r);
    else if (read)
        read_other(r);
    else
        index_paths(r, 404);
}
