/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual resources: those of the program, and the built-in ones: reviews of oneself and service account tokens. */
#include "apiserver/admission.h"
#include "apiserver/apiserver_priv.h"
#include "apiserver/rbac.h"
#include "crypto/pki.h"

/* --- built-in --- */

static struct fed_api_request question_of(const struct fed_api_request *q, const struct fed_json *spec)
{
    const struct fed_json *ra = fed_json_find(spec, "resourceAttributes");
    const struct fed_json *na = fed_json_find(spec, "nonResourceAttributes"), *at = ra ? ra : na;
    struct fed_api_request ask = {.who = q->who, .arena = q->arena};
    ask.verb = fed_arena_dupz(q->arena, fed_json_find_text(at, "verb"));
    if (ra) {
        ask.group = fed_json_find_text(ra, "group");
        ask.version = fed_json_find_text(ra, "version");
        ask.resource = fed_json_find_text(ra, "resource");
        ask.subresource = fed_json_find_text(ra, "subresource");
        ask.ns = fed_json_find_text(ra, "namespace");
        ask.name = fed_json_find_text(ra, "name");
        if (!ask.resource.n)
            ask.resource = FED_STR("*");
    } else {
        ask.path = fed_json_find_text(na, "path");
    }
    return ask;
}

/* The body as an object, or NULL and answered. */
static struct fed_json *review_body(struct fed_api_reply *r, const char *kind)
{
    struct fed_json *body = NULL;
    struct fed_err err = {0};
    if (fed_api_body(r, &body, NULL, &err)) {
        fed_api_fail_err(r, &err);
        return NULL;
    }
    struct fed_str k = fed_json_find_text(body, "kind");
    if (body->type != FED_JSON_OBJECT || (k.n && !fed_str_is(k, kind))) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "the request body is not a %s", kind);
        return NULL;
    }
    struct fed_str gv = fed_arena_printf(&r->arena, "%.*s/%.*s", FED_STR_ARG(r->q.group), FED_STR_ARG(r->q.version));
    fed_json_set(body, "kind", fed_json_new_strz(&r->arena, kind));
    if (!fed_json_find(body, "apiVersion"))
        fed_json_set(body, "apiVersion", fed_json_new_str(&r->arena, gv));
    fed_json_ensure_object(&r->arena, body, "metadata");
    return body;
}

static void self_access(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    struct fed_json *body = review_body(r, "SelfSubjectAccessReview");
    if (!body)
        return;
    struct fed_api_request ask = question_of(q, fed_json_find(body, "spec"));
    struct fed_json *status = fed_json_set(body, "status", fed_json_object(&r->arena));
    fed_json_set(status, "allowed", fed_json_new_bool(&r->arena, fed_api_authorized(r->api, &ask)));
    fed_api_answer_tree(r, 201, body);
}

static struct fed_json *rule(struct fed_arena *a, const char *verbs, const char *key, const char *value)
{
    struct fed_json *o = fed_json_object(a);
    fed_json_push(fed_json_set(o, "verbs", fed_json_array(a)), fed_json_new_strz(a, verbs));
    if (strcmp(key, "nonResourceURLs") != 0)
        fed_json_push(fed_json_set(o, "apiGroups", fed_json_array(a)), fed_json_new_strz(a, "*"));
    fed_json_push(fed_json_set(o, key, fed_json_array(a)), fed_json_new_strz(a, value));
    return o;
}

struct rules {
    struct fed_arena *a;
    struct fed_json *resource, *other;
};

static bool add_rule(void *ud, const struct fed_json *rl)
{
    struct rules *k = ud;
    fed_json_push(fed_json_find(rl, "nonResourceURLs") ? k->other : k->resource, fed_json_copy(k->a, rl));
    return true;
}

static void self_rules(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    struct fed_json *body = review_body(r, "SelfSubjectRulesReview");
    if (!body)
        return;
    struct fed_arena *a = &r->arena;
    struct fed_json *status = fed_json_set(body, "status", fed_json_object(a));
    struct rules k = {a, fed_json_set(status, "resourceRules", fed_json_array(a)),
                      fed_json_set(status, "nonResourceRules", fed_json_array(a))};
    bool master = fed_identity_in_group(&q->who, "system:masters");
    if (master) {
        fed_json_push(k.resource, rule(a, "*", "resources", "*"));
        fed_json_push(k.other, rule(a, "*", "nonResourceURLs", "*"));
    } else {
        fed_rbac_rules(r->api, &q->who, fed_json_find_text(fed_json_find(body, "spec"), "namespace"), a, add_rule, &k);
    }
    /* What the program's own rule allows beyond that cannot be listed. */
    fed_json_set(status, "incomplete", fed_json_new_bool(a, !master && r->api->conf.authorize));
    fed_api_answer_tree(r, 201, body);
}

static void self_review(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    struct fed_json *body = review_body(r, "SelfSubjectReview");
    if (!body)
        return;
    struct fed_arena *a = &r->arena;
    struct fed_json *status = fed_json_set(body, "status", fed_json_object(a));
    struct fed_json *info = fed_json_set(status, "userInfo", fed_json_object(a));
    fed_json_set(info, "username", fed_json_new_str(a, q->who.user));
    if (q->who.uid.n)
        fed_json_set(info, "uid", fed_json_new_str(a, q->who.uid));
    struct fed_json *groups = fed_json_set(info, "groups", fed_json_array(a));
    for (size_t i = 0; i < q->who.n_groups; i++)
        fed_json_push(groups, fed_json_new_str(a, q->who.groups[i]));
    fed_api_answer_tree(r, 201, body);
}

int fed_api_sa_token(struct fed_api *api, struct fed_str ns, struct fed_str name, struct fed_str uid, int64_t seconds,
                     struct fed_buf *token, struct fed_err *err)
{
    if (!api->conf.sa_key_pem.n)
        return fed_err_set(err, FED_E_UNSUPPORTED, "this server issues no service account tokens");
    int64_t now = fed_wall_ms(api->env) / 1000;
    struct fed_arena a = {0};
    struct fed_buf text = {0};
    struct fed_json *c = fed_json_object(&a);
    fed_json_push(fed_json_set(c, "aud", fed_json_array(&a)), fed_json_new_strz(&a, api->conf.sa_issuer));
    fed_json_set(c, "exp", fed_json_new_int(&a, now + seconds));
    fed_json_set(c, "iat", fed_json_new_int(&a, now));
    fed_json_set(c, "nbf", fed_json_new_int(&a, now));
    fed_json_set(c, "iss", fed_json_new_strz(&a, api->conf.sa_issuer));
    fed_json_set(c, "sub",
                 fed_json_new_strf(&a, "system:serviceaccount:%.*s:%.*s", FED_STR_ARG(ns), FED_STR_ARG(name)));
    struct fed_json *k = fed_json_set(c, "kubernetes.io", fed_json_object(&a));
    fed_json_set(k, "namespace", fed_json_new_str(&a, ns));
    struct fed_json *sa = fed_json_set(k, "serviceaccount", fed_json_object(&a));
    fed_json_set(sa, "name", fed_json_new_str(&a, name));
    fed_json_set(sa, "uid", fed_json_new_str(&a, uid));
    fed_json_write(&text, c);
    int rc = fed_jwt_sign(api->conf.sa_key_pem, fed_buf_str(&text), token, err);
    fed_buf_release(&text);
    fed_arena_release(&a);
    return rc;
}

static void token_request(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    struct fed_json *body = NULL;
    struct fed_err err = {0};
    struct fed_arena *a = &r->arena;
    struct fed_kcache *kc = r->v ? fed_cache_kind(&r->api->cache, r->v->kind) : NULL;
    struct fed_kobj *sa = kc ? fed_cache_find(kc, q->ns, q->name) : NULL;
    if (!sa) {
        fed_api_fail_object(r, FED_E_NOT_FOUND, NULL);
        return;
    }
    if (fed_api_body(r, &body, NULL, &err)) {
        fed_api_fail_err(r, &err);
        return;
    }
    struct fed_json *spec = fed_json_ensure_object(a, body, "spec");
    int64_t seconds = fed_json_int(fed_json_find(spec, "expirationSeconds"), 3600);
    seconds = FED_MAX(600, FED_MIN(seconds, (int64_t)1 << 31));
    struct fed_buf token = {0};
    if (!spec || fed_api_sa_token(r->api, sa->ns, sa->name, sa->uid, seconds, &token, &err)) {
        fed_buf_release(&token);
        fed_api_fail_err(r, &err);
        return;
    }
    char when[21];
    fed_time_format(fed_wall_ms(r->api->env) + seconds * 1000, when);
    fed_json_set(body, "kind", fed_json_new_strz(a, "TokenRequest"));
    fed_json_set(body, "apiVersion", fed_json_new_strz(a, "authentication.k8s.io/v1"));
    struct fed_json *meta = fed_json_ensure_object(a, body, "metadata");
    fed_json_set(meta, "name", fed_json_new_str(a, fed_arena_dup(a, sa->name)));
    fed_json_set(meta, "namespace", fed_json_new_str(a, fed_arena_dup(a, sa->ns)));
    fed_json_set(spec, "expirationSeconds", fed_json_new_int(a, seconds));
    struct fed_json *status = fed_json_set(body, "status", fed_json_object(a));
    fed_json_set(status, "token", fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&token))));
    fed_json_set(status, "expirationTimestamp", fed_json_new_str(a, fed_arena_dup(a, fed_str(when))));
    fed_buf_release(&token);
    fed_api_answer_tree(r, 201, body);
}

/* Clients look for these where no such kind is: kubectl for pods when it describes a workload, for definitions when it
 * does not know a kind. There are none, which is what they are told. */
static void empty_list(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    struct fed_json *list = fed_json_object(&r->arena);
    struct fed_str gv = q->group.n
                            ? fed_arena_printf(&r->arena, "%.*s/%.*s", FED_STR_ARG(q->group), FED_STR_ARG(q->version))
                            : q->version;
    fed_json_set(list, "kind", fed_json_new_strz(&r->arena, ud));
    fed_json_set(list, "apiVersion", fed_json_new_str(&r->arena, gv));
    fed_json_set(list, "metadata", fed_json_object(&r->arena));
    fed_json_set(list, "items", fed_json_array(&r->arena));
    fed_api_answer_tree(r, 200, list);
}

static const struct fed_virtual built_in[] = {
    {"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false, "create", self_access,
     NULL},
    {"authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false, "create", self_rules,
     NULL},
    {"authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", false, "create", self_review, NULL},
    {"authentication.k8s.io", "v1beta1", "selfsubjectreviews", "SelfSubjectReview", false, "create", self_review, NULL},
    {"", "v1", "serviceaccounts/token", "TokenRequest", true, "create", token_request, NULL},
    {"", "v1", "pods", NULL, true, "list", empty_list, "PodList"},
    {"apiextensions.k8s.io", "v1", "customresourcedefinitions", NULL, false, "list", empty_list,
     "CustomResourceDefinitionList"},
};

int fed_api_request_body(struct fed_api_reply *r, struct fed_json **out, struct fed_err *err)
{
    return fed_api_body(r, out, NULL, err);
}

/* --- finding and serving --- */

static bool resource_is(const struct fed_virtual *v, struct fed_str resource, struct fed_str sub)
{
    struct fed_str s = fed_str(v->resource), plural;
    (void)fed_str_cut(&s, '/', &plural);
    return fed_str_eq(plural, resource) && fed_str_eq(s, sub);
}

/* A subresource is served where its resource is, an empty list where it is not. */
static bool is_offered(struct fed_api *api, const struct fed_virtual *v)
{
    struct fed_str s = fed_str(v->resource), plural;
    if (v->kind && (v < built_in || v >= built_in + FED_ARRAY_LEN(built_in) || !strchr(v->resource, '/')))
        return true;
    (void)fed_str_cut(&s, '/', &plural);
    bool served = fed_kinds_by_resource(api->conf.kinds, fed_str(v->group), fed_str(v->version), plural) != NULL;
    return v->kind ? served : !served;
}

const struct fed_virtual *fed_api_virtual_find(struct fed_api *api, struct fed_str group, struct fed_str version,
                                               struct fed_str resource, struct fed_str sub)
{
    for (int turn = 0; turn < 2; turn++) { /* the program's own come first */
        const struct fed_virtual *list = turn ? built_in : api->conf.virtuals;
        size_t n = turn ? FED_ARRAY_LEN(built_in) : api->conf.n_virtuals;
        for (size_t i = 0; i < n; i++)
            if (resource_is(&list[i], resource, sub) && fed_str_is(group, list[i].group) &&
                fed_str_is(version, list[i].version) && is_offered(api, &list[i]))
                return &list[i];
    }
    return NULL;
}

void fed_api_virtual_each(struct fed_api *api, void (*each)(void *ud, const struct fed_virtual *v), void *ud)
{
    for (size_t i = 0; i < api->conf.n_virtuals; i++)
        each(ud, &api->conf.virtuals[i]);
    for (size_t i = 0; i < FED_ARRAY_LEN(built_in); i++)
        if (built_in[i].kind && is_offered(api, &built_in[i]))
            each(ud, &built_in[i]);
}

static bool verb_offered(const struct fed_virtual *v, const char *verb)
{
    struct fed_str rest = fed_str(v->verbs), one;
    while (fed_str_cut(&rest, ',', &one))
        if (fed_str_is(one, verb) || fed_str_is(one, "*"))
            return true;
    return false;
}

void fed_api_serve_virtual(struct fed_api_reply *r, const struct fed_virtual *v)
{
    if (!verb_offered(v, r->q.verb)) {
        fed_api_fail(r, FED_E_METHOD_NOT_ALLOWED, NULL,
                     "the server does not allow this method on the requested resource");
        return;
    }
    struct fed_str dry = fed_query_find(&r->query, "dryRun");
    r->q.dry_run = dry.n > 0;
    fed_admission_virtual(r, v);
}
