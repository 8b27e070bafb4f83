/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: client certificate (CN, O), bearer token, else anonymous where that is allowed. */
#include "apiserver/authn.h"

#include "apiserver/access.h"
#include "apiserver/audit.h"
#include "apiserver/sa_token.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "crypto/pki.h"

static const struct fed_access_conf *access_of(const struct fed_api *api)
{
    static const struct fed_access_conf none;
    return api->conf.access ? api->conf.access : &none;
}

/* --- tokens --- */

static bool find_static(struct fed_arena *a, const struct fed_json *tokens, struct fed_str token,
                        struct fed_identity *who)
{
    const struct fed_json *found = NULL;
    FED_JSON_EACH(t, tokens)
        if (fed_secret_equal(fed_json_find_text(t, "token"), token))
            found = t; /* of one that is there twice the last counts */
    if (!found)
        return false;
    const struct fed_json *groups = fed_json_find(found, "groups");
    struct fed_str *list = FED_ARENA_ARRAY(a, struct fed_str, (groups ? groups->n : 0) + 1);
    size_t n = 0;
    FED_JSON_EACH(g, groups) /* copies: the file may be read again while the request is under way */
        list[n++] = fed_arena_dup(a, g->s);
    list[n++] = FED_STR("system:authenticated");
    *who = (struct fed_identity){.user = fed_arena_dup(a, fed_json_find_text(found, "user")),
                                 .uid = fed_arena_dup(a, fed_json_find_text(found, "uid")),
                                 .groups = list,
                                 .n_groups = n};
    return true;
}

/* The issuer that an unverified token names; empty when it is no JWT. */
static struct fed_str issuer_of(struct fed_arena *a, struct fed_str token)
{
    struct fed_jwt jwt;
    struct fed_json *c = NULL;
    if (fed_jwt_parse(a, token, &jwt, NULL) || fed_json_parse(a, jwt.claims, NULL, &c, NULL))
        return (struct fed_str){NULL, 0};
    return fed_json_find_text(c, "iss");
}

static int take_oidc(struct fed_oidc *oidc, struct fed_str token, const struct fed_strs *wanted,
                     const struct fed_strs *own, struct fed_arena *a, struct fed_token_answer *out, struct fed_err *err)
{
    struct fed_str *id = FED_ARENA_NEW(a, struct fed_str);
    *id = fed_str(fed_oidc_client_id(oidc));
    /* Those who ask for no audience get this API's, which the issuer's tokens are for. */
    if (wanted == own)
        out->audiences = *own;
    else if (fed_strs_has_str(wanted, *id))
        out->audiences = (struct fed_strs){id, 1};
    else
        for (size_t i = 0; i < wanted->n && !out->audiences.n; i++)
            if (fed_strs_has_str(own, wanted->v[i]))
                out->audiences = (struct fed_strs){&wanted->v[i], 1};
    if (!out->audiences.n)
        return fed_err_set(err, FED_E_UNAUTHORIZED, "token: made for another audience");
    return fed_oidc_authenticate(oidc, token, a, &out->who, err);
}

int fed_api_check_token(struct fed_api *api, struct fed_str token, const struct fed_strs *audiences,
                        struct fed_arena *a, struct fed_token_answer *out, struct fed_err *err)
{
    const struct fed_access_conf *x = access_of(api);
    const struct fed_strs *own = fed_sa_audiences(api->sa), *want = audiences && audiences->n ? audiences : own;
    *out = (struct fed_token_answer){0};
    if (find_static(a, api->conf.tokens, token, &out->who) || find_static(a, x->tokens, token, &out->who)) {
        /* They know no audience: they are for this API, under each of its names. */
        out->audiences.v = FED_ARENA_ARRAY(a, struct fed_str, want->n + 1);
        for (size_t i = 0; i < want->n; i++)
            if (fed_strs_has_str(own, want->v[i]))
                out->audiences.v[out->audiences.n++] = want->v[i];
        return out->audiences.n || want == own ? 0 : fed_err_set(err, FED_E_UNAUTHORIZED, "invalid bearer token");
    }
    struct fed_str iss = issuer_of(a, token);
    if (iss.n && fed_sa_is_issuer(api->sa, iss))
        return fed_sa_authenticate(api->sa, token, want, a, &out->who, &out->audiences, err);
    if (iss.n && x->oidc && fed_oidc_is_issuer(x->oidc, iss))
        return take_oidc(x->oidc, token, want, own, a, out, err);
    return fed_err_set(err, FED_E_UNAUTHORIZED, "invalid bearer token");
}

/* --- waiting for an issuer's keys --- */

struct waiting {
    struct fed_oidc_wait wait;
    struct fed_api_reply *r;
    void (*again)(struct fed_api_reply *r, void *ud);
    void *ud;
};

static void fetched(struct fed_oidc_wait *w)
{
    struct waiting *k = fed_container_of(w, struct waiting, wait);
    struct fed_api_reply *r = k->r;
    r->authn = NULL;
    if (r->gone) { /* nobody waits for the answer */
        r->answered = true;
        fed_api_request_done(r);
        return;
    }
    k->again(r, k->ud);
}

bool fed_authn_wait(struct fed_api_reply *r, void (*again)(struct fed_api_reply *r, void *ud), void *ud)
{
    struct waiting *k = FED_ARENA_NEW(&r->arena, struct waiting);
    k->r = r;
    k->again = again;
    k->ud = ud;
    if (!fed_oidc_wait(access_of(r->api)->oidc, &k->wait, fetched))
        return false;
    r->authn = k;
    fed_api_request_defer(r);
    return true;
}

void fed_authn_leave(struct fed_api_reply *r)
{
    struct waiting *k = r->authn;
    if (k)
        fed_oidc_leave(access_of(r->api)->oidc, &k->wait);
    r->authn = NULL;
}

/* --- a request --- */

static void set_groups(struct fed_api_reply *r, const struct fed_str *groups, size_t n, const char *more)
{
    struct fed_str *all = FED_ARENA_ARRAY(&r->arena, struct fed_str, n + 1);
    for (size_t i = 0; i < n; i++)
        all[i] = fed_arena_dup(&r->arena, groups[i]);
    all[n] = fed_str(more);
    r->q.who.groups = all;
    r->q.who.n_groups = n + 1;
}

static void refuse(struct fed_api_reply *r)
{
    fed_audit_stranger(r);
    fed_api_fail(r, FED_E_UNAUTHORIZED, NULL, "Unauthorized");
}

struct bearer {
    struct fed_str token;
    void (*next)(struct fed_api_reply *r);
    bool tried;
};

static void check_bearer(struct fed_api_reply *r, void *ud)
{
    struct bearer *b = ud;
    struct fed_token_answer answer;
    int rc = fed_api_check_token(r->api, b->token, NULL, &r->arena, &answer, NULL);
    if (rc == FED_E_UNAVAILABLE && !b->tried) {
        b->tried = true;
        if (fed_authn_wait(r, check_bearer, b))
            return;
    }
    if (rc) {
        refuse(r);
        return;
    }
    r->q.who = answer.who;
    b->next(r);
}

bool fed_api_anonymous_allowed(const struct fed_api_reply *r)
{
    const struct fed_access_conf *x = access_of(r->api);
    struct fed_str path = r->q.path;
    if (x->no_anonymous)
        return false;
    for (size_t i = 0; i < x->anonymous_paths.n; i++)
        if (fed_str_is(path, x->anonymous_paths.v[i]))
            return true;
    return !x->anonymous_paths.n;
}

bool fed_authn_bearer(const struct fed_http_request *q, struct fed_str *token)
{
    struct fed_str rest = fed_str_trim(fed_http_request_header(q, "authorization")), scheme;
    return rest.p && fed_str_cut(&rest, ' ', &scheme) && fed_str_ieq(scheme, FED_STR("bearer")) && rest.n &&
           (fed_str_cut(&rest, ' ', token), token->n > 0);
}

/* Browsers set no headers of a WebSocket: their token is among the protocols that they offer, with one that is answered.
 * 1: *token; 0: there is none; FED_E_UNAUTHORIZED. */
static int socket_token(struct fed_api_reply *r, struct fed_str *token)
{
    const struct fed_http_request *h = r->q.http;
    struct fed_str rest = fed_http_request_header(h, "sec-websocket-protocol"), one, prefix = FED_STR(FED_WS_BEARER);
    size_t tokens = 0, others = 0;
    if (!rest.n || !fed_str_ieq(fed_http_request_header(h, "upgrade"), FED_STR("websocket")))
        return 0;
    while (rest.p && fed_str_cut(&rest, ',', &one)) {
        one = fed_str_trim(one);
        if (!fed_str_starts(one, prefix))
            others += one.n > 0;
        else if (fed_base64url_decode(&r->arena, fed_str_from(one, prefix.n), token) || ++tokens > 1)
            return FED_E_UNAUTHORIZED;
    }
    return !tokens ? 0 : others && token->n ? 1 : FED_E_UNAUTHORIZED;
}

void fed_api_authenticate(struct fed_api_reply *r, void (*next)(struct fed_api_reply *r))
{
    const struct fed_http_request *h = r->q.http;
    struct fed_str token;
    /* A connection may outlive the certificate that it began with. */
    bool ended = h->cert_until_s && h->cert_until_s * 1000 < fed_wall_ms(r->api->env);
    if (h->cert_cn.n && !ended) {
        r->q.who.user = fed_arena_dup(&r->arena, h->cert_cn);
        set_groups(r, h->cert_orgs, h->n_cert_orgs, "system:authenticated");
        next(r);
        return;
    }
    /* What is no bearer token (another scheme, one that is empty) is no credential at all, as in Kubernetes. */
    if (fed_authn_bearer(h, &token)) {
        struct bearer *b = FED_ARENA_NEW(&r->arena, struct bearer);
        b->token = fed_arena_dup(&r->arena, token);
        b->next = next;
        check_bearer(r, b);
        return;
    }
    struct fed_str offered = {NULL, 0};
    int by_socket = socket_token(r, &offered);
    if (by_socket == 1) {
        struct bearer *b = FED_ARENA_NEW(&r->arena, struct bearer);
        b->token = offered;
        b->next = next;
        check_bearer(r, b);
        return;
    }
    /* Whoever shows a certificate that does not hold is not nobody in particular. */
    if (by_socket < 0 || h->cert_refused || ended || !fed_api_anonymous_allowed(r)) {
        refuse(r);
        return;
    }
    r->q.who.user = FED_STR("system:anonymous");
    set_groups(r, NULL, 0, "system:unauthenticated");
    next(r);
}
