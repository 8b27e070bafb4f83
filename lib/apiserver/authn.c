/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: client certificate (CN, O), bearer token (static, or a service account's JWT), else anonymous. */
#include "apiserver/apiserver_priv.h"
#include "base/mem.h"
#include "crypto/pki.h"

#define TOKENS_KEPT 1024u

struct fed_token {      /* a verified service account token */
    int64_t expires_ms; /* 0: never */
    char *user, *uid, *ns_group;
};

static void token_free(struct fed_token *t)
{
    free(t->user);
    free(t->uid);
    free(t->ns_group);
    free(t);
}

void fed_api_tokens_release(struct fed_api *api)
{
    FED_MAP_EACH(e, &api->tokens)
        token_free(e->value);
    fed_map_release(&api->tokens);
}

static void set_groups(struct fed_api_reply *r, const struct fed_str *groups, size_t n, const char *more)
{
    struct fed_str *all = FED_ARENA_ARRAY(&r->arena, struct fed_str, n + 1);
    for (size_t i = 0; i < n; i++)
        all[i] = fed_arena_dup(&r->arena, groups[i]);
    all[n] = fed_str(more);
    r->q.who.groups = all;
    r->q.who.n_groups = n + 1;
}

static int by_certificate(struct fed_api_reply *r, const struct fed_http_request *h)
{
    r->q.who.user = fed_arena_dup(&r->arena, h->cert_cn);
    set_groups(r, h->cert_orgs, h->n_cert_orgs, "system:authenticated");
    return 0;
}

static int by_static_token(struct fed_api_reply *r, struct fed_str token)
{
    FED_JSON_EACH(t, r->api->conf.tokens) {
        if (!fed_secret_equal(fed_json_find_text(t, "token"), token))
            continue;
        const struct fed_json *groups = fed_json_find(t, "groups");
        size_t n = 0, cap = groups ? groups->n : 0;
        struct fed_str *list = FED_ARENA_ARRAY(&r->arena, struct fed_str, cap + 1);
        FED_JSON_EACH(g, groups)
            list[n++] = g->s;
        r->q.who.user = fed_json_find_text(t, "user");
        r->q.who.uid = fed_json_find_text(t, "uid");
        set_groups(r, list, n, "system:authenticated");
        return 0;
    }
    return FED_E_UNAUTHORIZED;
}

/* The service account has to exist still, with the uid of the token. */
static bool account_lives(struct fed_api *api, struct fed_str ns, struct fed_str name, struct fed_str uid)
{
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, (struct fed_str){NULL, 0}, FED_STR("v1"), FED_STR("serviceaccounts"));
    struct fed_kcache *kc = v ? fed_cache_kind(&api->cache, v->kind) : NULL;
    struct fed_kobj *o = kc ? fed_cache_find(kc, ns, name) : NULL;
    return o && (!uid.n || fed_str_eq(o->uid, uid));
}

static struct fed_token *verify(struct fed_api_reply *r, struct fed_str token)
{
    struct fed_api *api = r->api;
    struct fed_buf claims = {0};
    struct fed_json *c = NULL;
    struct fed_token *t = NULL;
    int64_t now = fed_wall_ms(api->env) / 1000, exp = 0, nbf = 0;
    if (fed_jwt_verify(api->conf.sa_key_pem, token, &claims, NULL))
        goto out;
    struct fed_str text = fed_arena_dup(&r->arena, fed_buf_str(&claims));
    if (fed_json_parse(&r->arena, text, NULL, &c, NULL) || !fed_json_is_int(fed_json_find(c, "exp"), &exp) ||
        exp <= now || !fed_str_is(fed_json_find_text(c, "iss"), api->conf.sa_issuer))
        goto out;
    if (fed_json_is_int(fed_json_find(c, "nbf"), &nbf) && nbf > now + 60)
        goto out;
    const struct fed_json *k = fed_json_find(c, "kubernetes.io");
    struct fed_str ns = fed_json_find_text(k, "namespace");
    struct fed_str name = fed_json_find_text(fed_json_find(k, "serviceaccount"), "name");
    struct fed_str uid = fed_json_find_text(fed_json_find(k, "serviceaccount"), "uid");
    if (!ns.n || !name.n || !account_lives(api, ns, name, uid))
        goto out;
    t = FED_NEW(struct fed_token);
    t->expires_ms = exp * 1000;
    t->user = fed_asprintf("system:serviceaccount:%.*s:%.*s", FED_STR_ARG(ns), FED_STR_ARG(name));
    t->uid = fed_strdup_str(uid);
    t->ns_group = fed_asprintf("system:serviceaccounts:%.*s", FED_STR_ARG(ns));
out:
    fed_buf_release(&claims);
    return t;
}

/* A signature costs more than the rest of a request: verified tokens are kept by digest until they expire. */
static int by_account_token(struct fed_api_reply *r, struct fed_str token)
{
    struct fed_api *api = r->api;
    char hex[65];
    if (!api->conf.sa_key_pem.n)
        return FED_E_UNAUTHORIZED;
    fed_sha256_hex(token, hex);
    struct fed_token *t = fed_map_find(&api->tokens, fed_str(hex));
    if (!t) {
        t = verify(r, token);
        if (!t)
            return FED_E_UNAUTHORIZED;
        if (fed_map_count(&api->tokens) >= TOKENS_KEPT)
            fed_api_tokens_release(api);
        fed_map_set(&api->tokens, fed_str(hex), t);
    }
    struct fed_str rest = fed_str_from(fed_str(t->user), sizeof("system:serviceaccount:") - 1), ns;
    (void)fed_str_cut(&rest, ':', &ns);
    if (t->expires_ms <= fed_wall_ms(api->env) || !account_lives(api, ns, rest, fed_str(t->uid))) {
        fed_map_remove(&api->tokens, fed_str(hex));
        token_free(t);
        return FED_E_UNAUTHORIZED;
    }
    struct fed_str groups[] = {FED_STR("system:serviceaccounts"), fed_str(t->ns_group)};
    r->q.who.user = fed_arena_dup(&r->arena, fed_str(t->user));
    r->q.who.uid = fed_arena_dup(&r->arena, fed_str(t->uid));
    set_groups(r, groups, 2, "system:authenticated");
    return 0;
}

int fed_api_authenticate(struct fed_api_reply *r)
{
    const struct fed_http_request *h = r->q.http;
    struct fed_str auth = fed_http_request_header(h, "authorization");
    if (h->cert_cn.n)
        return by_certificate(r, h);
    if (auth.n) {
        if (auth.n < 7 || !fed_str_ieq(fed_str_head(auth, 7), FED_STR("Bearer ")))
            return FED_E_UNAUTHORIZED;
        struct fed_str token = fed_str_trim(fed_str_from(auth, 7));
        return token.n && by_static_token(r, token) == 0 ? 0 : by_account_token(r, token);
    }
    r->q.who.user = FED_STR("system:anonymous");
    set_groups(r, NULL, 0, "system:unauthenticated");
    return 0;
}

static bool may_impersonate(struct fed_api_reply *r, const char *resource, struct fed_str name)
{
    struct fed_api_request q = {.verb = "impersonate",
                                .version = FED_STR("v1"),
                                .resource = fed_str(resource),
                                .name = name,
                                .path = r->q.path,
                                .who = r->q.who,
                                .arena = &r->arena};
    if (fed_api_authorized(r->api, &q))
        return true;
    fed_api_fail(r, FED_E_FORBIDDEN, &(struct fed_status_details){.name = name, .kind = fed_str(resource)},
                 "%s \"%.*s\" is forbidden: User \"%.*s\" cannot impersonate resource \"%s\" in API group \"\" at the "
                 "cluster scope",
                 resource, FED_STR_ARG(name), FED_STR_ARG(r->q.who.user), resource);
    return false;
}

bool fed_api_impersonate(struct fed_api_reply *r)
{
    const struct fed_http_request *h = r->q.http;
    struct fed_str user = fed_http_request_header(h, "impersonate-user"), groups[32];
    size_t n = 0;
    if (!user.n) { /* groups or extras alone are an error, never ignored */
        for (size_t i = 0; i < h->n_headers; i++)
            if (fed_str_starts(h->headers[i].name, FED_STR("impersonate-"))) {
                fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "requested %.*s without impersonating a user",
                             FED_STR_ARG(h->headers[i].name));
                return false;
            }
        return true;
    }
    if (!may_impersonate(r, "users", user))
        return false;
    for (size_t i = 0; i < h->n_headers; i++) {
        if (!fed_str_is(h->headers[i].name, "impersonate-group") || n == FED_ARRAY_LEN(groups))
            continue;
        if (!may_impersonate(r, "groups", h->headers[i].value))
            return false;
        groups[n++] = h->headers[i].value;
    }
    r->q.who.user = fed_arena_dup(&r->arena, user);
    r->q.who.uid = (struct fed_str){NULL, 0};
    bool anonymous = fed_str_is(user, "system:anonymous");
    set_groups(r, groups, n, anonymous ? "system:unauthenticated" : "system:authenticated");
    return true;
}
