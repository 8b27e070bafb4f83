/* SPDX-License-Identifier: Apache-2.0 */
/* A request from its arrival to the function that answers it. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/cert_requests.h"
#include "apiserver/flow.h"
#include "apiserver/audit.h"
#include "apiserver/registry.h"
#include "apiserver/watch.h"
#include "kube/check.h"

/* --- dispatch --- */

/* dryRun may only be "All". Answers and returns false when it is something else. */
static bool check_dry_run(struct fed_api_reply *r)
{
    if (!fed_query_find(&r->query, "dryRun").p || r->watch)
        return true;
    struct fed_json *all = fed_json_array(&r->arena);
    bool known = true;
    for (size_t i = 0; i < r->query.n; i++)
        if (fed_str_is(r->query.params[i].name, "dryRun")) {
            known &= fed_str_is(r->query.params[i].value, "All");
            fed_json_push(all, fed_json_new_str(&r->arena, r->query.params[i].value));
        }
    if (known) {
        r->q.dry_run = true;
        return true;
    }
    const char *verb = r->q.verb;
    const char *kind = strcmp(verb, "create") == 0   ? "CreateOptions"
                       : strcmp(verb, "patch") == 0  ? "PatchOptions"
                       : strcmp(verb, "update") == 0 ? "UpdateOptions"
                                                     : "DeleteOptions";
    struct fed_causes c = {.arena = &r->arena};
    fed_causes_add(&c, FED_CAUSE_NOT_SUPPORTED, FED_STR("dryRun"), fed_shown(&r->arena, all),
                   "supported values: \"All\"");
    struct fed_status_details det = {.group = FED_STR("meta.k8s.io"), .kind = fed_str(kind), .causes = &c};
    fed_api_fail(r, FED_E_INVALID, &det, NULL);
    return false;
}

static bool known_subresource(const struct fed_kind_version *v, struct fed_str sub)
{
    const struct fed_kind *k = v->kind;
    return !sub.n || (v->has_status && fed_str_is(sub, "status")) || (v->has_scale && fed_str_is(sub, "scale")) ||
           (fed_str_is(sub, "finalize") && fed_str_is(k->plural, "namespaces") && !k->group.n) ||
           (fed_str_is(sub, "approval") && fed_cert_request_kind(k)) ||
           (fed_str_is(sub, "ephemeralcontainers") && fed_str_is(k->plural, "pods") && !k->group.n);
}

static void serve_kind(struct fed_api_reply *r)
{
    const char *verb = r->q.verb;
    bool named = r->q.name.n > 0, sub = r->q.subresource.n > 0;
    r->form.scale = fed_str_is(r->q.subresource, "scale");
    if (!check_dry_run(r))
        return;
    void (*write)(struct fed_api_reply * r) = NULL;
    if (fed_str_is(r->q.subresource, "finalize") && strcmp(verb, "update") != 0)
        fed_api_not_allowed(r);
    else if (strcmp(verb, "watch") == 0)
        fed_api_fresh(r, fed_api_watch);
    else if (strcmp(verb, "get") == 0)
        fed_api_fresh(r, fed_api_get);
    else if (strcmp(verb, "list") == 0)
        fed_api_fresh(r, fed_api_list);
    else if ((strcmp(verb, "create") == 0 && !named) ||
             (named && (strcmp(verb, "update") == 0 || strcmp(verb, "patch") == 0)))
        write = fed_api_write;
    else if (strcmp(verb, "delete") == 0 && !sub)
        write = fed_api_delete;
    else if (strcmp(verb, "deletecollection") == 0)
        fed_api_fresh(r, fed_api_delete_many);
    else
        fed_api_not_allowed(r);
    if (write) {
        fed_api_fresh_before_refusal(r, serve_kind);
        write(r);
    }
}

/* A name that could be taken for more than one piece of a path. */
static bool name_is_sound(struct fed_api_reply *r)
{
    const char *why = fed_str_is(r->q.name, ".")            ? "may not be '.'"
                      : fed_str_is(r->q.name, "..")         ? "may not be '..'"
                      : fed_str_chr(r->q.name, '%', 0) >= 0 ? "may not contain '%'"
                                                            : NULL;
    if (why)
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "Name parameter invalid: \"%.*s\": %s", FED_STR_ARG(r->q.name), why);
    return !why;
}

static void serve_resource(struct fed_api_reply *r)
{
    struct fed_api *api = r->api;
    r->v = fed_kinds_by_resource(api->conf.kinds, r->q.group, r->q.version, r->q.resource);
    const struct fed_virtual *virt =
        fed_api_virtual_find(api, r->q.group, r->q.version, r->q.resource, r->q.subresource);
    if (virt) {
        fed_api_serve_virtual(r, virt);
        return;
    }
    if (api->conf.suspended) {
        fed_api_fail(r, FED_E_UNAVAILABLE, NULL, "%s", api->conf.suspended);
        return;
    }
    if (!r->v || r->rest.n || !known_subresource(r->v, r->q.subresource) ||
        (!r->v->served && r->v->kind->custom && r->x)) {
        bool group = !r->q.group.n || fed_api_has_version(api, r->q.group, (struct fed_str){NULL, 0});
        if (!fed_api_unknown_later(r, fed_api_dispatch))
            (group ? fed_api_not_found_path : fed_api_not_found_group)(r);
        return;
    }
    if (!name_is_sound(r))
        return;
    const struct fed_kind *k = r->v->kind;
    if (r->legacy_watch && !r->watch) {
        fed_api_not_allowed(r);
        return;
    }
    bool all_ns = !r->q.ns.n && !r->q.name.n;
    if (k->namespaced && r->q.ns.p && !r->q.ns.n && r->q.name.n) { /* /namespaces//pods/x */
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "Namespace parameter required.");
        return;
    }
    if (k->namespaced ? (!r->q.ns.n && !all_ns) : (r->q.ns.n && !fed_str_is(k->plural, "namespaces"))) {
        fed_api_not_found_path(r);
        return;
    }
    if (k->namespaced && all_ns && strcmp(r->q.verb, "list") != 0 && strcmp(r->q.verb, "watch") != 0) {
        fed_api_not_allowed(r);
        return;
    }
    if (fed_api_is_head(r)) {
        fed_api_not_allowed(r);
        return;
    }
    if (!k->namespaced)
        r->q.ns = (struct fed_str){NULL, 0};
    r->kc = r->held_kc = fed_kcache_ref(fed_cache_kind(&api->cache, k));
    r->held = fed_kind_ref(k);
    fed_api_warn_kind(r);
    if (fed_api_negotiate(r)) {
        fed_api_fail(r, FED_E_NOT_ACCEPTABLE, NULL,
                     "only the following media types are accepted: application/json, application/yaml");
        return;
    }
    if (!fed_api_include_ok(r)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "unrecognized includeObject value: \"%.*s\"",
                     FED_STR_ARG(fed_query_find(&r->query, "includeObject")));
        return;
    }
    serve_kind(r);
}

/* A list, watch or deletion of many that selects one name is about that name (RequestInfo of k8s.io/apiserver): so
 * resourceNames of a role can allow it. */
static struct fed_str selected_name(struct fed_api_reply *r)
{
    struct fed_str none = {NULL, 0}, text = fed_query_find(&r->query, "fieldSelector");
    struct fed_field_selector fields = {0};
    const char *v = r->q.verb;
    if (!text.n || r->q.name.n || r->route != FED_ROUTE_RESOURCE ||
        (strcmp(v, "list") != 0 && strcmp(v, "watch") != 0 && strcmp(v, "deletecollection") != 0) ||
        fed_field_selector_parse(&r->arena, fed_arena_dup(&r->arena, text), &fields, NULL))
        return none;
    for (size_t i = 0; i < fields.n; i++)
        if (fed_str_is(fields.reqs[i].path, "metadata.name") && !fields.reqs[i].not_equal)
            return fields.reqs[i].value;
    return none;
}

/* Answers and returns false when not. Why is worked out only when somebody will read it. */
static bool may(struct fed_api_reply *r)
{
    struct fed_buf reason = {0};
    struct fed_api_request q = r->q;
    struct fed_str name = selected_name(r);
    if (name.n)
        q.name = name;
    bool ok = fed_api_decide(r->api, &q, r->audit ? &reason : NULL) == FED_AUTHZ_ALLOW;
    if (r->audit)
        fed_audit_decided(r, ok, fed_buf_str(&reason));
    if (!ok) {
        fed_buf_reset(&reason);
        (void)fed_api_decide(r->api, &q, &reason);
        fed_api_forbid(r, &q, fed_buf_str(&reason));
    }
    fed_buf_release(&reason);
    return ok;
}

/* Its body was not read: said to those who may ask at all. */
static void answer_refused(struct fed_api_reply *r)
{
    struct fed_buf b = {0};
    int status = r->q.http->refused;
    (void)fed_api_refusal(status, &b);
    if (status == 503) {
        fed_api_count_termination(r, status);
        fed_http_add_header(r->x, FED_STR("Retry-After"), FED_STR("1"));
    }
    fed_api_answer_text(r, status, fed_buf_str(&b));
    fed_buf_release(&b);
}

void fed_api_dispatch(struct fed_api_reply *r)
{
    if (!r->api->ready || r->api->stopped || r->api->failed) {
        struct fed_status_details d = {.retry_after_s = 1};
        fed_api_fail(r, FED_E_UNAVAILABLE, &d,
                     r->api->stopped ? "the server is shutting down"
                                     : "the server is currently unable to handle the request");
        return;
    }
    if (!may(r))
        return;
    if (r->x && r->q.http->refused) {
        answer_refused(r);
        return;
    }
    if (r->route == FED_ROUTE_RESOURCE)
        serve_resource(r);
    else if (fed_str_is(r->q.path, "/api") || fed_str_is(r->q.path, "/apis") ||
             fed_str_starts(r->q.path, FED_STR("/api/")) || fed_str_starts(r->q.path, FED_STR("/apis/")))
        fed_api_discovery(r);
    else
        fed_api_other(r);
}

/* --- arrival over HTTP --- */

static void take_headers(struct fed_api_reply *r, const struct fed_http_request *h)
{
    for (size_t i = 0; i < h->n_headers; i++) {
        struct fed_str name = h->headers[i].name, value = h->headers[i].value;
        if (fed_str_is(name, "accept")) /* several lines are one list */
            r->accept = r->accept.n
                            ? fed_arena_printf(&r->arena, "%.*s,%.*s", FED_STR_ARG(r->accept), FED_STR_ARG(value))
                            : value;
        else if (fed_str_is(name, "user-agent"))
            r->user_agent = value;
        else if (fed_str_is(name, "content-type"))
            r->q.content_type = value;
        else if (fed_str_is(name, "accept-encoding"))
            r->gzip = fed_str_find(value, FED_STR("gzip"), 0) >= 0;
    }
    /* What is looked at after the exchange may be gone. */
    r->user_agent = fed_arena_dup(&r->arena, r->user_agent);
    r->q.content_type = fed_arena_dup(&r->arena, r->q.content_type);
}

const char *fed_api_refusal(int http_status, struct fed_buf *body)
{
    const char *text = http_status == 413   ? "Request entity too large: limit is 3145728"
                       : http_status == 429 ? "too many connections, please try again later"
                                            : fed_http_reason(http_status);
    int code = fed_code_from_status(http_status, NULL);
    if (fed_code_status(code) == http_status) {
        fed_status_write(body, code, text, NULL);
        return "application/json";
    }
    /* A status that Kubernetes has no reason for. */
    fed_buf_addz(body,
                 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    fed_json_write_string(body, fed_str(text));
    fed_buf_addf(body, ",\"code\":%d}", http_status);
    return "application/json";
}

static void authenticated(struct fed_api_reply *r)
{
    fed_audit_begin(r);
    if (fed_api_impersonate(r))
        fed_flow_enter(r);
}

void fed_api_handle(void *ud, struct fed_http_exchange *x)
{
    struct fed_api *api = ud;
    const struct fed_http_request *h = fed_http_request(x);
    struct fed_api_reply *r = fed_api_request_new(api);
    r->x = x;
    r->q.http = h;
    take_headers(r, h);
    fed_audit_arrived(r);
    r->q.verb = fed_arena_dupz(&r->arena, h->method);
    r->q.query = fed_arena_dup(&r->arena, h->query);
    if (h->body.n)
        r->q.body = fed_arena_dup(&r->arena, h->body);
    if (fed_url_decode(&r->arena, h->path, false, &r->q.path) || !r->q.path.n || r->q.path.p[0] != '/' ||
        fed_query_parse(&r->arena, r->q.query, &r->query, NULL)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "the request's URL is malformed");
        return;
    }
    if (fed_api_is_health(r->q.path) && fed_api_anonymous_allowed(r)) { /* also before anything is loaded */
        if (h->refused)
            answer_refused(r);
        else
            fed_api_other(r);
        return;
    }
    fed_api_route(r);
    fed_api_authenticate(r, authenticated);
}
