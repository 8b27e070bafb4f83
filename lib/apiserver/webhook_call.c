/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/webhook_call.h"

#include "apiserver/apiserver_priv.h"
#include "apiserver/tree.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "crypto/pki.h"
#include "kube/check.h"
#include "kube/names.h"
#include "net/httpc.h"

#define MAX_CLIENTS 32u                /* connection pools kept */
#define MAX_ANSWER  (8u * 1024 * 1024) /* twice the largest object and its patch */

struct client { /* the connections to servers with one trust and one name */
    struct fed_list link;
    struct fed_httpc *http;
    char *key, *name;
    struct fed_arena arena;
    size_t n_calls;
    uint64_t used_ns;
};
struct call {
    struct fed_list link;
    struct fed_webhooks *hooks;
    struct client *client;
    struct fed_httpc_call *http;
    struct fed_task refused; /* a call that could not start */
    struct fed_err err;
    struct fed_arena arena;
    struct fed_str shown; /* the URL in messages */
    fed_webhook_done done;
    void *ud;
};
struct fed_webhooks {
    struct fed_api *api;
    struct fed_list clients, calls;
    size_t n_clients;
};

/* --- targets --- */

int fed_webhook_target_read(struct fed_arena *a, const struct fed_json *cc, struct fed_webhook_target *out,
                            struct fed_err *err)
{
    int64_t from, to;
    const struct fed_json *service = fed_json_find(cc, "service");
    struct fed_str ca = fed_json_find_text(cc, "caBundle");
    *out = (struct fed_webhook_target){.url = fed_json_find_text(cc, "url")};
    if (service && service->type == FED_JSON_OBJECT && !out->url.n) {
        out->ns = fed_json_find_text(service, "namespace");
        out->service = fed_json_find_text(service, "name");
        out->path = fed_json_find_text(service, "path");
        int64_t port = fed_json_int(fed_json_find(service, "port"), 443);
        out->port = port > 0 && port < 65536 ? (uint16_t)port : 443;
    }
    if (!out->url.n && !out->service.n)
        return fed_err_set(err, FED_E_INVALID, "clientConfig: exactly one of url or service is required");
    if (ca.n && fed_base64_decode(a, ca, &out->ca_bundle))
        return fed_err_set(err, FED_E_INVALID, "clientConfig.caBundle: illegal base64 data");
    if (ca.n && fed_pki_validity(out->ca_bundle, &from, &to, NULL))
        return fed_err_set(err, FED_E_INVALID, "unable to load root certificates: unable to parse bytes as PEM block");
    return 0;
}

#define URL_FORM "; desired format: https://host[/path]"

static void bad_url(struct fed_causes *c, struct fed_str field, struct fed_str value, const char *why)
{
    fed_causes_add(c, FED_CAUSE_INVALID, field, fed_quoted(c->arena, value), "%s", why);
}

static void check_url(struct fed_str url, struct fed_str field, struct fed_causes *c)
{
    struct fed_str none = {NULL, 0}, rest = url, scheme = none, fragment = none, query = none, user = none, host;
    ptrdiff_t at = fed_str_find(url, FED_STR("://"), 0);
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f) {
            fed_causes_add(c, FED_CAUSE_REQUIRED, field, none,
                           "url must be a valid URL: net/url: invalid character" URL_FORM);
            return;
        }
    if (at >= 0) {
        scheme = fed_str_head(url, (size_t)at);
        rest = fed_str_from(url, (size_t)at + 3);
    }
    if ((at = fed_str_chr(rest, '#', 0)) >= 0) {
        fragment = fed_str_from(rest, (size_t)at + 1);
        rest = fed_str_head(rest, (size_t)at);
    }
    if ((at = fed_str_chr(rest, '?', 0)) >= 0) {
        query = fed_str_from(rest, (size_t)at + 1);
        rest = fed_str_head(rest, (size_t)at);
    }
    at = fed_str_chr(rest, '/', 0);
    host = !scheme.n ? none : at >= 0 ? fed_str_head(rest, (size_t)at) : rest;
    if ((at = fed_str_chr(host, '@', 0)) >= 0) {
        user = fed_str_head(host, (size_t)at);
        host = fed_str_from(host, (size_t)at + 1);
    }
    if (!fed_str_is(scheme, "https"))
        bad_url(c, field, scheme, "'https' is the only allowed URL scheme" URL_FORM);
    if (!host.n)
        bad_url(c, field, host, "host must be specified" URL_FORM);
    if (user.n)
        bad_url(c, field, user, "user information is not permitted in the URL");
    if (fragment.n)
        bad_url(c, field, fragment, "fragments are not permitted in the URL");
    if (query.n)
        bad_url(c, field, query, "query parameters are not permitted in the URL");
}

/* Each part of a Service's path is a DNS name. */
static void check_path(struct fed_str path, struct fed_str field, struct fed_causes *c)
{
    struct fed_str rest = path, step;
    size_t i = 0;
    if (!path.n || fed_str_is(path, "/"))
        return;
    if (path.p[0] != '/')
        bad_url(c, field, path, "must start with a '/'");
    if (path.n == 1) {
        bad_url(c, field, path, "segment[0] may not be empty");
        return;
    }
    rest = fed_str_from(rest, 1);
    if (rest.n > 1 && rest.p[rest.n - 1] == '/')
        rest = fed_str_head(rest, rest.n - 1);
    for (; fed_str_cut(&rest, '/', &step); i++) {
        const char *why = step.n ? fed_name_check_subdomain(step) : NULL;
        if (!step.n)
            bad_url(c, field, path, fed_arena_printf(c->arena, "segment[%zu] may not be empty", i).p);
        else if (why)
            bad_url(c, field, path, fed_arena_printf(c->arena, "segment[%zu]: %s", i, why).p);
    }
}

static void check_service(const struct fed_json *s, const char *field, struct fed_causes *c)
{
    const struct fed_json *port = fed_json_find(s, "port");
    struct fed_str path = fed_json_find_text(s, "path");
    static const char *const need[] = {"name", "namespace"};
    for (size_t i = 0; i < FED_ARRAY_LEN(need); i++)
        if (!fed_json_find_text(s, need[i]).n)
            fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.service.%s", field, need[i]),
                           (struct fed_str){NULL, 0}, "service %s is required", need[i]);
    if (port && (fed_json_int(port, 0) < 1 || fed_json_int(port, 0) > 65535))
        fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%s.service.port", field), port->s,
                       "port is not valid: must be between 1 and 65535, inclusive");
    check_path(path, fed_arena_printf(c->arena, "%s.service.path", field), c);
}

void fed_webhook_target_check(const struct fed_json *cc, const char *field, struct fed_causes *c)
{
    const struct fed_json *url = fed_json_find(cc, "url"), *service = fed_json_find(cc, "service");
    bool has_url = url && url->type == FED_JSON_STRING, has_service = service && service->type == FED_JSON_OBJECT;
    if (has_url == has_service) {
        fed_causes_add(c, FED_CAUSE_REQUIRED, fed_str(field), (struct fed_str){NULL, 0},
                       "exactly one of url or service is required");
        return;
    }
    if (has_url)
        check_url(url->s, fed_arena_printf(c->arena, "%s.url", field), c);
    else
        check_service(service, field, c);
}

/* --- a Service's address --- */

struct lookup {
    struct fed_api *api;
    struct fed_arena *a;
    struct fed_str service, port_name;
    struct fed_str address; /* one of the ready endpoints */
    int64_t port;
    uint64_t seen;
};

static struct fed_kcache *kind_cache(struct fed_api *api, struct fed_str group, struct fed_str plural)
{
    const struct fed_kind_version *v = fed_kinds_by_resource(api->conf.kinds, group, FED_STR("v1"), plural);
    return v ? fed_cache_kind(&api->cache, v->kind) : NULL;
}

static bool take_slice(void *ud, struct fed_kobj *o)
{
    struct lookup *l = ud;
    struct fed_str of = fed_kobj_label(o, "kubernetes.io/service-name");
    if (!of.n)
        of = fed_kobj_label(o, "multicluster.kubernetes.io/service-name");
    if (!fed_str_eq(of, l->service))
        return true;
    const struct fed_json *slice = fed_kobj_parse(o, l->a);
    int64_t port = 0;
    FED_JSON_EACH(p, fed_json_find(slice, "ports"))
        if (fed_str_eq(fed_json_find_text(p, "name"), l->port_name))
            port = fed_json_int(fed_json_find(p, "port"), 0);
    FED_JSON_EACH(e, port > 0 && port < 65536 ? fed_json_find(slice, "endpoints") : NULL) {
        struct fed_str address = fed_json_str(fed_json_item(fed_json_find(e, "addresses"), 0));
        if (!address.n || !fed_json_bool(fed_json_at(e, "conditions", "ready", NULL), true))
            continue;
        if (fed_random_below(l->api->env, ++l->seen) == 0) { /* each of those seen has the same chance */
            l->address = address;
            l->port = port;
        }
    }
    return true;
}

static bool has_colon(struct fed_str s)
{
    return fed_str_chr(s, ':', 0) >= 0;
}

/* "HOST:PORT" to connect to. FED_E_NOT_FOUND, FED_E_UNREACHABLE with Kubernetes' words. */
static int find_service(struct fed_api *api, struct fed_arena *a, const struct fed_webhook_target *t,
                        struct fed_str *authority, struct fed_err *err)
{
    struct fed_str none = {NULL, 0};
    uint16_t want = t->port ? t->port : 443;
    struct fed_kcache *services = kind_cache(api, none, FED_STR("services"));
    struct fed_kobj *o = services ? fed_cache_find(services, t->ns, t->service) : NULL;
    if (!o)
        return fed_err_set(err, FED_E_NOT_FOUND, "service \"%.*s\" not found", FED_STR_ARG(t->service));
    const struct fed_json *spec = fed_json_find(fed_kobj_parse(o, a), "spec"), *port = NULL;
    if (fed_str_is(fed_json_find_text(spec, "type"), "ExternalName")) {
        *authority = fed_arena_printf(a, "%.*s:%u", FED_STR_ARG(fed_json_find_text(spec, "externalName")), want);
        return 0;
    }
    FED_JSON_EACH(p, fed_json_find(spec, "ports"))
        if (fed_json_int(fed_json_find(p, "port"), 0) == want)
            port = p;
    if (!port)
        return fed_err_set(err, FED_E_NOT_FOUND, "no service port %u found for service \"%.*s\"", want,
                           FED_STR_ARG(t->service));
    struct lookup l = {
        .api = api, .a = a, .service = t->service, .port_name = fed_json_find_text(port, "name"), .port = want};
    struct fed_kcache *slices = kind_cache(api, FED_STR("discovery.k8s.io"), FED_STR("endpointslices"));
    if (slices)
        fed_tree_walk(slices->root, t->ns, none, none, take_slice, &l);
    if (!l.address.n) {
        l.address = fed_json_find_text(spec, "clusterIP");
        if (!l.address.n || fed_str_is(l.address, "None") || fed_json_find(spec, "selector"))
            return fed_err_set(err, FED_E_UNREACHABLE, "no endpoints available for service \"%.*s\"",
                               FED_STR_ARG(t->service));
    }
    *authority =
        fed_arena_printf(a, has_colon(l.address) ? "[%.*s]:%d" : "%.*s:%d", FED_STR_ARG(l.address), (int)l.port);
    return 0;
}

/* --- connections --- */

static void client_free(struct fed_webhooks *h, struct client *c)
{
    fed_list_remove(&c->link);
    h->n_clients--;
    fed_httpc_free(c->http);
    fed_arena_release(&c->arena);
    free(c->key);
    free(c);
}

static void drop_oldest(struct fed_webhooks *h)
{
    struct client *oldest = NULL;
    FED_LIST_EACH(it, &h->clients) {
        struct client *c = FED_LIST_ENTRY(it, struct client, link);
        if (!c->n_calls && (!oldest || c->used_ns < oldest->used_ns))
            oldest = c;
    }
    if (oldest)
        client_free(h, oldest);
}

static struct client *client_of(struct fed_webhooks *h, const char *name, struct fed_str ca)
{
    char digest[65];
    fed_sha256_hex(ca, digest);
    char *key = fed_asprintf("%s %s", digest, name ? name : "");
    FED_LIST_EACH(it, &h->clients) {
        struct client *c = FED_LIST_ENTRY(it, struct client, link);
        if (strcmp(c->key, key) == 0) {
            free(key);
            return c;
        }
    }
    if (h->n_clients >= MAX_CLIENTS)
        drop_oldest(h);
    struct client *c = FED_NEW(struct client);
    c->key = key;
    struct fed_httpc_conf conf = {.max_connections = 32, .user_agent = h->api->conf.server_name};
    conf.tls.ca_pem = fed_arena_dup(&c->arena, ca);
    conf.tls.server_name = name ? fed_arena_dupz(&c->arena, fed_str(name)) : NULL;
    c->http = fed_httpc_new(h->api->conf.loop, &conf);
    fed_list_push_back(&h->clients, &c->link);
    h->n_clients++;
    return c;
}

/* --- calls --- */

static void call_end(struct call *c, int code, struct fed_str body, const struct fed_err *err)
{
    fed_list_remove(&c->link);
    if (c->client)
        c->client->n_calls--;
    c->done(c->ud, code, body, err);
    fed_arena_release(&c->arena);
    free(c);
}

static void refused(struct fed_task *t)
{
    struct call *c = fed_container_of(t, struct call, refused);
    call_end(c, c->err.code, (struct fed_str){NULL, 0}, &c->err);
}

static void refuse(struct call *c)
{
    struct fed_err why = c->err;
    fed_err_set(&c->err, why.code, "Post \"%.*s\": %s", FED_STR_ARG(c->shown), why.text);
    fed_task_post(c->hooks->api->env, &c->refused, refused);
}

/* What a client of Go would have said. */
static void explain(struct call *c, int code, const struct fed_err *from, struct fed_err *err)
{
    const char *text = from ? from->text : "";
    switch (code) {
    case FED_E_TIMEOUT:
        fed_err_set(err, code, "Post \"%.*s\": context deadline exceeded", FED_STR_ARG(c->shown));
        break;
    case FED_E_REFUSED:
        fed_err_set(err, code, "Post \"%.*s\": dial tcp: connect: connection refused", FED_STR_ARG(c->shown));
        break;
    case FED_E_RESOLVE:
        fed_err_set(err, code, "Post \"%.*s\": dial tcp: lookup: no such host", FED_STR_ARG(c->shown));
        break;
    case FED_E_TLS:
        fed_err_set(err, code, "Post \"%.*s\": tls: failed to verify certificate: x509: %s", FED_STR_ARG(c->shown),
                    text);
        break;
    case FED_E_END:
        fed_err_set(err, code, "Post \"%.*s\": EOF", FED_STR_ARG(c->shown));
        break;
    default:
        fed_err_set(err, code, "Post \"%.*s\": %s", FED_STR_ARG(c->shown), text);
    }
}

static void explain_status(int status, struct fed_str body, struct fed_err *err)
{
    struct fed_str head = fed_str_head(fed_str_trim(body), 200);
    switch (status) {
    case 404:
        fed_err_set(err, FED_E_INTERNAL, "the server could not find the requested resource");
        break;
    case 401:
        fed_err_set(err, FED_E_INTERNAL, "the server has asked for the client to provide credentials");
        break;
    case 403:
        fed_err_set(err, FED_E_INTERNAL, "%.*s", FED_STR_ARG(head.n ? head : FED_STR("forbidden")));
        break;
    case 429:
        fed_err_set(err, FED_E_INTERNAL,
                    "the server has received too many requests and has asked us to try again later");
        break;
    case 503:
        fed_err_set(err, FED_E_INTERNAL, "the server is currently unable to handle the request");
        break;
    default:
        if (status >= 500)
            fed_err_set(err, FED_E_INTERNAL,
                        "an error on the server (\"%.*s\") has prevented the request from succeeding",
                        FED_STR_ARG(head.n ? head : FED_STR("unknown")));
        else
            fed_err_set(err, FED_E_INTERNAL,
                        "the server responded with the status code %d but did not return more information", status);
    }
}

static void answered(void *ud, int code, const struct fed_httpc_response *r, const struct fed_err *from)
{
    struct call *c = ud;
    struct fed_err err = {0};
    struct fed_str none = {NULL, 0};
    c->http = NULL;
    if (code)
        explain(c, code, from, &err);
    else if (r->status < 200 || r->status > 299)
        explain_status(r->status, r->body, &err);
    call_end(c, err.code, err.code ? none : r->body, err.code ? &err : NULL);
}

static void start(struct call *c, const char *name, struct fed_str url, struct fed_str ca, struct fed_str body,
                  uint32_t timeout_ms)
{
    static const struct fed_http_header headers[] = {
        {.name = FED_STR_INIT("Content-Type"), .value = FED_STR_INIT("application/json")},
        {.name = FED_STR_INIT("Accept"), .value = FED_STR_INIT("application/json, */*")}};
    c->client = client_of(c->hooks, name, ca);
    c->client->n_calls++;
    c->client->used_ns = fed_mono_ns(c->hooks->api->env);
    struct fed_httpc_request req = {.method = "POST",
                                    .url = fed_arena_dupz(&c->arena, url),
                                    .headers = headers,
                                    .n_headers = FED_ARRAY_LEN(headers),
                                    .body = body,
                                    .timeout_ms = timeout_ms,
                                    .max_body = MAX_ANSWER,
                                    .done = answered,
                                    .ud = c};
    c->http = fed_httpc_start(c->client->http, &req);
}

static struct fed_webhooks *hooks_of(struct fed_api *api)
{
    if (!api->webhooks) {
        api->webhooks = FED_NEW(struct fed_webhooks);
        api->webhooks->api = api;
        fed_list_init(&api->webhooks->clients);
        fed_list_init(&api->webhooks->calls);
    }
    return api->webhooks;
}

/* "10s", "1.5s", as Go writes a duration. */
static struct fed_str seconds(struct fed_arena *a, uint32_t ms)
{
    if (ms < 1000)
        return fed_arena_printf(a, "%ums", ms);
    return ms % 1000 ? fed_arena_printf(a, "%gs", ms / 1000.0) : fed_arena_printf(a, "%us", ms / 1000);
}

void fed_webhook_post(struct fed_api *api, const struct fed_webhook_target *t, struct fed_str body, uint32_t timeout_ms,
                      fed_webhook_done done, void *ud)
{
    struct fed_webhooks *h = hooks_of(api);
    struct call *c = FED_NEW(struct call);
    struct fed_arena *a = &c->arena;
    struct fed_str limit = seconds(a, timeout_ms), name = {NULL, 0}, url = t->url, authority = {NULL, 0};
    c->hooks = h;
    c->done = done;
    c->ud = ud;
    fed_list_push_back(&h->calls, &c->link);
    if (!url.n) {
        struct fed_str path = t->path.n ? t->path : FED_STR("/");
        name = fed_arena_printf(a, "%.*s.%.*s.svc", FED_STR_ARG(t->service), FED_STR_ARG(t->ns));
        c->shown = fed_arena_printf(a, "https://%.*s:%u%.*s?timeout=%.*s", FED_STR_ARG(name), t->port ? t->port : 443,
                                    FED_STR_ARG(path), FED_STR_ARG(limit));
        if (api->conf.loop && find_service(api, a, t, &authority, &c->err)) {
            refuse(c);
            return;
        }
        url = fed_arena_printf(a, "https://%.*s%.*s?timeout=%.*s", FED_STR_ARG(authority), FED_STR_ARG(path),
                               FED_STR_ARG(limit));
    } else {
        c->shown = url = fed_arena_printf(a, "%.*s?timeout=%.*s", FED_STR_ARG(t->url), FED_STR_ARG(limit));
    }
    if (!api->conf.loop) {
        fed_err_set(&c->err, FED_E_UNSUPPORTED, "this server calls no webhooks");
        refuse(c);
        return;
    }
    start(c, name.p, url, t->ca_bundle, body, timeout_ms);
}

void fed_webhooks_release(struct fed_api *api)
{
    struct fed_webhooks *h = api->webhooks;
    if (!h)
        return;
    api->webhooks = NULL;
    FED_LIST_EACH_SAFE(it, &h->calls) {
        struct call *c = FED_LIST_ENTRY(it, struct call, link);
        fed_task_cancel(&c->refused);
        if (c->http)
            fed_httpc_cancel(c->http);
        fed_arena_release(&c->arena);
        free(c);
    }
    FED_LIST_EACH_SAFE(it, &h->clients)
        client_free(h, FED_LIST_ENTRY(it, struct client, link));
    free(h);
}
