/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/sa_token.h"

#include "apiserver/access.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "crypto/pki.h"

#define TOKENS_KEPT 4096u
#define KEYS_MAX    16
#define LEGACY      "kubernetes/serviceaccount" /* issuer of tokens in Secrets */
#define LEGACY_KEY  "kubernetes.io/serviceaccount/"
#define PREFIX      "system:serviceaccount:"
enum { SKEW_S = 60, ENDING_S = 60 };

struct token { /* one that held */
    struct fed_arena arena;
    int64_t expires_s; /* 0: never */
    struct fed_str ns, name, uid, jti;
    struct fed_str bound_kind, bound_name, bound_uid; /* resource: "pods", "secrets", "nodes" */
    struct fed_str legacy;                            /* the digest, for a token that its Secret must hold */
    struct fed_strs auds;
};
struct fed_sa {
    struct fed_api *api;
    struct fed_pubkey *keys[KEYS_MAX];
    size_t n_keys;
    struct fed_str signing_pem;
    struct fed_strs issuers, audiences;
    struct fed_arena arena;
    struct fed_map tokens; /* digest -> struct token */
    uint64_t generation;   /* of the access settings that the keys are from */
    struct fed_err defect;
};

static void copy_strings(struct fed_arena *a, const struct fed_strings *from, struct fed_strs *to)
{
    to->v = FED_ARENA_ARRAY(a, struct fed_str, from->n + 1);
    for (size_t i = 0; i < from->n; i++)
        to->v[to->n++] = fed_str(from->v[i]);
}

static void forget(struct fed_sa *s);

static void read_keys(struct fed_sa *s, const struct fed_access_conf *x)
{
    const struct fed_api *api = s->api;
    const struct fed_str own = x->sa_own_pem.n ? x->sa_own_pem : api->conf.sa_key_pem;
    s->signing_pem = x->sa_signing_pem.n ? x->sa_signing_pem : own;
    s->generation = x->generation;
    const struct fed_str pems[] = {s->signing_pem, own, x->sa_verify_pem};
    for (size_t i = 0; i < FED_ARRAY_LEN(pems) && !s->defect.code; i++)
        if (pems[i].n && (i != 1 || pems[1].p != pems[0].p) &&
            fed_pubkeys_from_pem(pems[i], s->keys, KEYS_MAX, &s->n_keys, &s->defect))
            s->defect.code = FED_E_INVALID;
}

static void drop_keys(struct fed_sa *s)
{
    for (size_t i = 0; i < s->n_keys; i++)
        fed_pubkey_free(s->keys[i]);
    s->n_keys = 0;
}

/* The keys as the settings have them now. Tokens that held are forgotten: a key may be gone. */
static void refresh(struct fed_sa *s)
{
    const struct fed_access_conf *x = s->api->conf.access;
    if (!x || x->generation == s->generation)
        return;
    forget(s);
    drop_keys(s);
    read_keys(s, x);
}

struct fed_sa *fed_sa_new(struct fed_api *api)
{
    static const struct fed_access_conf none;
    struct fed_sa *s = FED_NEW(struct fed_sa);
    const struct fed_access_conf *x = api->conf.access ? api->conf.access : &none;
    s->api = api;
    copy_strings(&s->arena, &x->sa_issuers, &s->issuers);
    if (!s->issuers.n)
        s->issuers.v[s->issuers.n++] = fed_str(api->conf.sa_issuer);
    copy_strings(&s->arena, &x->audiences, &s->audiences);
    if (!s->audiences.n)
        s->audiences = s->issuers;
    read_keys(s, x);
    return s;
}

const char *fed_sa_defect(const struct fed_sa *sa)
{
    return sa->defect.code ? sa->defect.text : NULL;
}

static void token_free(struct token *t)
{
    struct fed_arena a = t->arena; /* the token lives in it */
    fed_arena_release(&a);
}

static void forget(struct fed_sa *s)
{
    FED_MAP_EACH(e, &s->tokens)
        token_free(e->value);
    fed_map_release(&s->tokens);
}

void fed_sa_free(struct fed_sa *s)
{
    if (!s)
        return;
    forget(s);
    drop_keys(s);
    fed_arena_release(&s->arena);
    free(s);
}

bool fed_sa_is_issuer(const struct fed_sa *s, struct fed_str issuer)
{
    return s->n_keys && (fed_strs_has_str(&s->issuers, issuer) || fed_str_is(issuer, LEGACY));
}

const struct fed_strs *fed_sa_audiences(const struct fed_sa *s)
{
    return &s->audiences;
}

void fed_sa_jwks(struct fed_sa *s, struct fed_buf *out)
{
    struct fed_arena a = {0};
    refresh(s);
    struct fed_json *doc = fed_json_object(&a), *keys = fed_json_set(doc, "keys", fed_json_array(&a));
    for (size_t i = 0; i < s->n_keys; i++)
        fed_json_push(keys, fed_pubkey_jwk(s->keys[i], &a));
    fed_json_write(out, doc);
    fed_arena_release(&a);
}

bool fed_sa_discovery(struct fed_sa *s, struct fed_buf *out)
{
    refresh(s);
    struct fed_str issuer = s->issuers.v[0], base = issuer;
    struct fed_arena a = {0};
    if (!fed_str_starts(issuer, FED_STR("https://")) || !s->n_keys)
        return false;
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    struct fed_json *o = fed_json_object(&a);
    fed_json_set(o, "issuer", fed_json_new_str(&a, issuer));
    fed_json_set(o, "jwks_uri", fed_json_new_strf(&a, "%.*s/openid/v1/jwks", FED_STR_ARG(base)));
    static const char *const fixed[][2] = {{"response_types_supported", "id_token"},
                                           {"subject_types_supported", "public"}};
    for (size_t i = 0; i < FED_ARRAY_LEN(fixed); i++)
        fed_json_push(fed_json_set(o, fixed[i][0], fed_json_array(&a)), fed_json_new_strz(&a, fixed[i][1]));
    struct fed_json *algs = fed_json_set(o, "id_token_signing_alg_values_supported", fed_json_array(&a));
    for (size_t i = 0; i < s->n_keys; i++) {
        struct fed_str alg = fed_json_find_text(fed_pubkey_jwk(s->keys[i], &a), "alg");
        bool has = false;
        FED_JSON_EACH(e, algs)
            has |= fed_str_eq(e->s, alg);
        if (!has)
            fed_json_push(algs, fed_json_new_str(&a, alg));
    }
    fed_json_write(out, o);
    fed_arena_release(&a);
    return true;
}

/* --- what a token hangs on --- */

static struct fed_kobj *find(struct fed_api *api, const char *plural, struct fed_str ns, struct fed_str name)
{
    struct fed_str none = {NULL, 0};
    const struct fed_kind_version *v = fed_kinds_by_resource(api->conf.kinds, none, FED_STR("v1"), fed_str(plural));
    struct fed_kcache *kc = v ? fed_cache_kind(&api->cache, v->kind) : NULL;
    return kc ? fed_cache_find(kc, v->kind->namespaced ? ns : none, name) : NULL;
}

/* There, the same one, and not on its way out for longer than a minute. */
static bool lives(struct fed_api *api, const char *plural, struct fed_str ns, struct fed_str name, struct fed_str uid)
{
    struct fed_kobj *o = find(api, plural, ns, name);
    struct fed_arena a = {0};
    int64_t until = 0;
    if (!o || (uid.n && !fed_str_eq(o->uid, uid)))
        return false;
    if (!o->deleting)
        return true;
    struct fed_str text = fed_json_str(fed_json_at(fed_kobj_parse(o, &a), "metadata", "deletionTimestamp", NULL));
    bool ok = fed_time_parse(text, &until) == 0 && fed_wall_ms(api->env) < until + ENDING_S * 1000;
    fed_arena_release(&a);
    return ok;
}

/* The Secret of a legacy token must hold this very token. */
static bool secret_holds(struct fed_api *api, const struct token *t)
{
    struct fed_kobj *o = find(api, "secrets", t->ns, t->bound_name);
    struct fed_arena a = {0};
    struct fed_str bytes;
    char hex[65];
    if (!o || o->deleting)
        return false;
    struct fed_str text = fed_json_str(fed_json_at(fed_kobj_parse(o, &a), "data", "token", NULL));
    bool ok = text.n && fed_base64_decode(&a, text, &bytes) == 0;
    if (ok)
        fed_sha256_hex(bytes, hex);
    ok = ok && fed_str_is(t->legacy, hex);
    fed_arena_release(&a);
    return ok;
}

static bool still_holds(struct fed_sa *s, const struct token *t)
{
    if (t->expires_s && t->expires_s <= fed_wall_ms(s->api->env) / 1000)
        return false;
    if (!lives(s->api, "serviceaccounts", t->ns, t->name, t->uid))
        return false;
    if (t->legacy.n)
        return secret_holds(s->api, t);
    if (!t->bound_kind.n)
        return true;
    return lives(s->api, t->bound_kind.p, t->ns, t->bound_name, t->bound_uid);
}

/* --- verifying --- */

static bool key_signed(const struct fed_sa *s, const struct fed_jwt *jwt)
{
    for (size_t i = 0; i < s->n_keys; i++) {
        struct fed_str id = fed_pubkey_id(s->keys[i]);
        if ((!jwt->kid.n || fed_str_eq(jwt->kid, id)) && fed_jwt_holds(jwt, s->keys[i]))
            return true;
    }
    return false;
}

static void read_audiences(struct fed_arena *a, const struct fed_json *aud, struct fed_strs *out)
{
    if (!aud)
        return;
    out->v = FED_ARENA_ARRAY(a, struct fed_str, aud->n + 1);
    if (aud->type == FED_JSON_STRING)
        out->v[out->n++] = aud->s;
    if (aud->type == FED_JSON_ARRAY)
        FED_JSON_EACH(i, aud)
            if (i->type == FED_JSON_STRING)
                out->v[out->n++] = i->s;
}

static bool read_legacy(struct token *t, const struct fed_json *c, struct fed_str token)
{
    t->ns = fed_json_find_text(c, LEGACY_KEY "namespace");
    t->name = fed_json_find_text(c, LEGACY_KEY "service-account.name");
    t->uid = fed_json_find_text(c, LEGACY_KEY "service-account.uid");
    t->bound_name = fed_json_find_text(c, LEGACY_KEY "secret.name");
    char hex[65];
    fed_sha256_hex(token, hex);
    t->legacy = fed_arena_dup(&t->arena, fed_str(hex));
    return t->bound_name.n > 0 && t->name.n && t->ns.n;
}

static bool read_bound(struct fed_sa *s, struct token *t, const struct fed_json *c)
{
    static const char *const kinds[][2] = {{"pod", "pods"}, {"secret", "secrets"}, {"node", "nodes"}};
    const struct fed_json *k = fed_json_find(c, "kubernetes.io"), *account = fed_json_find(k, "serviceaccount");
    int64_t now = fed_wall_ms(s->api->env) / 1000, nbf = 0;
    if (!fed_json_is_int(fed_json_find(c, "exp"), &t->expires_s) || t->expires_s <= now)
        return false;
    if (fed_json_find(c, "nbf") && (!fed_json_is_int(fed_json_find(c, "nbf"), &nbf) || nbf > now + SKEW_S))
        return false;
    t->ns = fed_json_find_text(k, "namespace");
    t->name = fed_json_find_text(account, "name");
    t->uid = fed_json_find_text(account, "uid");
    t->jti = fed_json_find_text(c, "jti");
    for (size_t i = 0; i < FED_ARRAY_LEN(kinds) && !t->bound_kind.n; i++) {
        const struct fed_json *b = fed_json_find(k, kinds[i][0]);
        if (!b)
            continue;
        t->bound_kind = fed_str(kinds[i][1]);
        t->bound_name = fed_json_find_text(b, "name");
        t->bound_uid = fed_json_find_text(b, "uid");
    }
    read_audiences(&t->arena, fed_json_find(c, "aud"), &t->auds);
    return t->ns.n && t->name.n;
}

static struct token *verify(struct fed_sa *s, struct fed_str text, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_jwt jwt;
    struct fed_json *c = NULL;
    struct fed_str token = fed_arena_dup(&a, text);
    int rc = fed_jwt_parse(&a, token, &jwt, err);
    if (!rc && !key_signed(s, &jwt))
        rc = fed_err_set(err, FED_E_UNAUTHORIZED, "token: invalid signature");
    if (!rc && (fed_json_parse(&a, jwt.claims, NULL, &c, NULL) || c->type != FED_JSON_OBJECT))
        rc = fed_err_set(err, FED_E_UNAUTHORIZED, "token: malformed claims");
    if (rc) {
        fed_arena_release(&a);
        return NULL;
    }
    struct token *t = FED_ARENA_NEW(&a, struct token);
    t->arena = a;
    struct fed_str iss = fed_json_find_text(c, "iss");
    bool legacy = fed_str_is(iss, LEGACY) && !fed_json_find(c, "exp");
    bool ok = legacy ? read_legacy(t, c, token) : fed_strs_has_str(&s->issuers, iss) && read_bound(s, t, c);
    if (ok)
        return t;
    fed_err_set(err, FED_E_UNAUTHORIZED, "token: expired, not valid yet, of another issuer or incomplete");
    token_free(t);
    return NULL;
}

static void add_extra(struct fed_arena *a, struct fed_extra *x, size_t *n, const char *key, struct fed_str value)
{
    if (!value.n)
        return;
    struct fed_str *v = FED_ARENA_NEW(a, struct fed_str);
    *v = fed_arena_dup(a, value);
    x[(*n)++] = (struct fed_extra){.key = fed_str(key), .values = v, .n_values = 1};
}

/* ["a" "b"], as Go prints a list. */
static struct fed_str listed(struct fed_arena *a, const struct fed_strs *list)
{
    struct fed_buf b = {0};
    for (size_t i = 0; i < list->n; i++) {
        fed_buf_addc(&b, i ? ' ' : '[');
        fed_json_write_string(&b, list->v[i]);
    }
    fed_buf_addz(&b, list->n ? "]" : "[]");
    struct fed_str s = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return s;
}

static void identify(const struct token *t, struct fed_arena *a, struct fed_identity *who)
{
    struct fed_str *groups = FED_ARENA_ARRAY(a, struct fed_str, 3);
    struct fed_extra *x = FED_ARENA_ARRAY(a, struct fed_extra, 5);
    size_t n = 0;
    groups[0] = FED_STR("system:serviceaccounts");
    groups[1] = fed_arena_printf(a, "system:serviceaccounts:%.*s", FED_STR_ARG(t->ns));
    groups[2] = FED_STR("system:authenticated");
    if (t->jti.n)
        add_extra(a, x, &n, "authentication.kubernetes.io/credential-id",
                  fed_arena_printf(a, "JTI=%.*s", FED_STR_ARG(t->jti)));
    if (fed_str_is(t->bound_kind, "pods")) {
        add_extra(a, x, &n, "authentication.kubernetes.io/pod-name", t->bound_name);
        add_extra(a, x, &n, "authentication.kubernetes.io/pod-uid", t->bound_uid);
    }
    *who =
        (struct fed_identity){.user = fed_arena_printf(a, PREFIX "%.*s:%.*s", FED_STR_ARG(t->ns), FED_STR_ARG(t->name)),
                              .uid = fed_arena_dup(a, t->uid),
                              .groups = groups,
                              .n_groups = 3,
                              .extra = x,
                              .n_extra = n};
}

int fed_sa_authenticate(struct fed_sa *s, struct fed_str token, const struct fed_strs *want, struct fed_arena *a,
                        struct fed_identity *who, struct fed_strs *got, struct fed_err *err)
{
    char hex[65];
    refresh(s);
    fed_sha256_hex(token, hex);
    struct token *t = fed_map_find(&s->tokens, fed_str(hex));
    if (!t) {
        t = verify(s, token, err);
        if (!t)
            return FED_E_UNAUTHORIZED;
        if (fed_map_count(&s->tokens) >= TOKENS_KEPT)
            forget(s);
        fed_map_set(&s->tokens, fed_str(hex), t);
    }
    if (!still_holds(s, t)) {
        fed_map_remove(&s->tokens, fed_str(hex));
        token_free(t);
        return fed_err_set(err, FED_E_UNAUTHORIZED,
                           "token: expired, or its service account or what it is bound to is gone");
    }
    const struct fed_strs *has = t->legacy.n ? &s->audiences : &t->auds;
    struct fed_strs both = {.v = FED_ARENA_ARRAY(a, struct fed_str, want->n + 1)};
    for (size_t i = 0; i < want->n; i++)
        if (fed_strs_has_str(has, want->v[i]))
            both.v[both.n++] = want->v[i];
    if (!both.n)
        return fed_err_set(err, FED_E_UNAUTHORIZED, "token audiences %.*s is invalid for the target audiences %.*s",
                           FED_STR_ARG(listed(a, has)), FED_STR_ARG(listed(a, want)));
    if (got)
        *got = both;
    identify(t, a, who);
    return 0;
}

/* --- making --- */

static void put_ref(struct fed_arena *a, struct fed_json *to, const char *key, struct fed_str name, struct fed_str uid)
{
    struct fed_json *o = fed_json_set(to, key, fed_json_object(a));
    fed_json_set(o, "name", fed_json_new_str(a, name));
    if (uid.n)
        fed_json_set(o, "uid", fed_json_new_str(a, uid));
}

static int sign(struct fed_sa *s, const struct fed_json *claims, struct fed_buf *token, struct fed_err *err)
{
    struct fed_buf text = {0};
    refresh(s);
    if (!s->signing_pem.n)
        return fed_err_set(err, FED_E_UNSUPPORTED, "this server issues no service account tokens");
    fed_json_write(&text, claims);
    int rc = fed_jwt_sign(s->signing_pem, fed_buf_str(&text), token, err);
    fed_buf_release(&text);
    return rc;
}

int fed_api_sa_token(struct fed_api *api, const struct fed_sa_spec *spec, struct fed_buf *token, struct fed_err *err)
{
    struct fed_sa *s = api->sa;
    struct fed_arena a = {0};
    int64_t now = fed_wall_ms(api->env) / 1000;
    char jti[37];
    fed_uuid(api->env, jti);
    struct fed_json *c = fed_json_object(&a), *aud = fed_json_set(c, "aud", fed_json_array(&a));
    for (size_t i = 0; i < (spec->n_audiences ? spec->n_audiences : s->audiences.n); i++)
        fed_json_push(aud, fed_json_new_str(&a, spec->n_audiences ? spec->audiences[i] : s->audiences.v[i]));
    fed_json_set(c, "exp", fed_json_new_int(&a, now + spec->seconds));
    fed_json_set(c, "iat", fed_json_new_int(&a, now));
    fed_json_set(c, "iss", fed_json_new_str(&a, s->issuers.v[0]));
    fed_json_set(c, "jti", fed_json_new_strz(&a, jti));
    struct fed_json *k = fed_json_set(c, "kubernetes.io", fed_json_object(&a));
    fed_json_set(k, "namespace", fed_json_new_str(&a, spec->ns));
    if (spec->bound_kind.n) {
        const char *key = fed_str_is(spec->bound_kind, "Pod")    ? "pod"
                          : fed_str_is(spec->bound_kind, "Node") ? "node"
                                                                 : "secret";
        put_ref(&a, k, key, spec->bound_name, spec->bound_uid);
    }
    put_ref(&a, k, "serviceaccount", spec->name, spec->uid);
    fed_json_set(c, "nbf", fed_json_new_int(&a, now));
    fed_json_set(c, "sub", fed_json_new_strf(&a, PREFIX "%.*s:%.*s", FED_STR_ARG(spec->ns), FED_STR_ARG(spec->name)));
    int rc = sign(s, c, token, err);
    fed_arena_release(&a);
    return rc;
}

int fed_api_legacy_token(struct fed_api *api, struct fed_str ns, struct fed_str name, struct fed_str uid,
                         struct fed_str secret, struct fed_buf *token, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_json *c = fed_json_object(&a);
    fed_json_set(c, "iss", fed_json_new_strz(&a, LEGACY));
    fed_json_set(c, LEGACY_KEY "namespace", fed_json_new_str(&a, ns));
    fed_json_set(c, LEGACY_KEY "secret.name", fed_json_new_str(&a, secret));
    fed_json_set(c, LEGACY_KEY "service-account.name", fed_json_new_str(&a, name));
    fed_json_set(c, LEGACY_KEY "service-account.uid", fed_json_new_str(&a, uid));
    fed_json_set(c, "sub", fed_json_new_strf(&a, PREFIX "%.*s:%.*s", FED_STR_ARG(ns), FED_STR_ARG(name)));
    int rc = sign(api->sa, c, token, err);
    fed_arena_release(&a);
    return rc;
}
