/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/oidc.h"

#include "base/mem.h"
#include "crypto/jwt.h"

enum { HOUR_MS = 3600000, REFETCH_MS = 10000, RETRY_MAX_MS = 60000, SKEW_S = 300 };
#define MAX_KEYS    64
#define MAX_WAITING 1000
#define MAX_GROUPS  1000

struct fed_oidc {
    struct fed_oidc_conf conf;
    struct fed_arena arena;
    struct fed_pubkey *keys[MAX_KEYS];
    size_t n_keys, n_waiting;
    struct fed_list waiting;
    struct fed_timer timer;
    uint64_t fetched_at, retry_ms; /* monotonic start of the last fetch */
    bool fetching, at_jwks, ever;
};

static const char *keep(struct fed_arena *a, const char *z)
{
    return z ? fed_arena_dupz(a, fed_str(z)) : NULL;
}

static struct fed_strings keep_list(struct fed_arena *a, struct fed_strings from)
{
    struct fed_strings to = {.v = FED_ARENA_ARRAY(a, const char *, from.n + 1), .n = from.n};
    for (size_t i = 0; i < from.n; i++)
        to.v[i] = keep(a, from.v[i]);
    return to;
}

static int check(const struct fed_oidc_conf *c, struct fed_err *err)
{
    if (!fed_str_starts(fed_str(c->issuer_url), FED_STR("https://")))
        return fed_err_set(err, FED_E_INVALID, "oidc-issuer-url: \"%s\" is not an https URL", c->issuer_url);
    if (!c->client_id || !*c->client_id)
        return fed_err_set(err, FED_E_INVALID, "oidc-client-id is needed with oidc-issuer-url");
    for (size_t i = 0; i < c->algs.n; i++)
        if (!fed_jwt_alg_known(fed_str(c->algs.v[i])))
            return fed_err_set(err, FED_E_INVALID, "oidc-signing-algs: \"%s\" is not supported", c->algs.v[i]);
    for (size_t i = 0; i < c->required_claims.n; i++)
        if (fed_str_chr(fed_str(c->required_claims.v[i]), '=', 1) < 0)
            return fed_err_set(err, FED_E_INVALID, "oidc-required-claim: \"%s\" is not CLAIM=VALUE",
                               c->required_claims.v[i]);
    return 0;
}

/* --- keys --- */

static void fetch(struct fed_oidc *o, const char *url)
{
    o->conf.fetch(o->conf.ud, o, url);
}

static void begin(struct fed_oidc *o)
{
    if (o->fetching)
        return;
    o->fetching = true;
    o->at_jwks = false;
    o->fetched_at = fed_mono_ms(o->conf.env);
    fed_timer_stop(o->conf.env, &o->timer);
    struct fed_str base = fed_str(o->conf.issuer_url);
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    char *url = fed_asprintf("%.*s/.well-known/openid-configuration", FED_STR_ARG(base));
    fetch(o, url);
    free(url);
}

static void again(struct fed_timer *t)
{
    begin(fed_container_of(t, struct fed_oidc, timer));
}

void fed_oidc_again(struct fed_oidc *o)
{
    o->retry_ms = 0;
    begin(o);
}

static void end(struct fed_oidc *o, bool ok)
{
    struct fed_list now;
    o->fetching = false;
    o->retry_ms = ok                                       ? HOUR_MS
                  : o->retry_ms >= HOUR_MS || !o->retry_ms ? 1000
                                                           : FED_MIN(o->retry_ms * 2, (uint64_t)RETRY_MAX_MS);
    fed_timer_start(o->conf.env, &o->timer, o->retry_ms, again);
    fed_list_init(&now); /* one that waits may register anew */
    while (!fed_list_empty(&o->waiting)) {
        struct fed_list *first = o->waiting.next;
        fed_list_remove(first);
        fed_list_push_back(&now, first);
    }
    while (!fed_list_empty(&now)) {
        struct fed_oidc_wait *w = FED_LIST_ENTRY(now.next, struct fed_oidc_wait, link);
        fed_list_remove(&w->link);
        o->n_waiting--;
        w->done(w);
    }
}

static bool take_keys(struct fed_oidc *o, const struct fed_json *doc)
{
    struct fed_pubkey *keys[MAX_KEYS];
    size_t n = 0;
    FED_JSON_EACH(k, fed_json_find(doc, "keys"))
        if (n < MAX_KEYS && fed_pubkey_from_jwk(k, &keys[n], NULL) == 0) /* others may be for encryption */
            n++;
    if (!n)
        return false;
    for (size_t i = 0; i < o->n_keys; i++)
        fed_pubkey_free(o->keys[i]);
    memcpy(o->keys, keys, n * sizeof(*keys));
    o->n_keys = n;
    o->ever = true;
    return true;
}

void fed_oidc_fetched(struct fed_oidc *o, int http_status, struct fed_str body)
{
    struct fed_arena a = {0};
    struct fed_json *doc = NULL;
    bool ok = http_status == 200 && fed_json_parse(&a, body, NULL, &doc, NULL) == 0;
    if (ok && !o->at_jwks) {
        struct fed_str uri = fed_json_find_text(doc, "jwks_uri");
        ok = fed_str_is(fed_json_find_text(doc, "issuer"), o->conf.issuer_url) &&
             fed_str_starts(uri, FED_STR("https://"));
        if (ok) {
            o->at_jwks = true;
            fetch(o, fed_arena_dupz(&a, uri));
            fed_arena_release(&a);
            return;
        }
    } else if (ok) {
        ok = take_keys(o, doc);
    }
    fed_arena_release(&a);
    end(o, ok);
}

int fed_oidc_new(const struct fed_oidc_conf *conf, struct fed_oidc **out, struct fed_err *err)
{
    int rc = check(conf, err);
    *out = NULL;
    if (rc)
        return rc;
    struct fed_oidc *o = FED_NEW(struct fed_oidc);
    struct fed_oidc_conf *c = &o->conf;
    *c = *conf;
    c->issuer_url = keep(&o->arena, conf->issuer_url);
    c->client_id = keep(&o->arena, conf->client_id);
    c->username_claim = keep(&o->arena, conf->username_claim ? conf->username_claim : "sub");
    c->groups_claim = keep(&o->arena, conf->groups_claim);
    c->groups_prefix = keep(&o->arena, conf->groups_prefix ? conf->groups_prefix : "");
    c->required_claims = keep_list(&o->arena, conf->required_claims);
    c->algs = keep_list(&o->arena, conf->algs);
    if (conf->username_prefix && strcmp(conf->username_prefix, "-") == 0)
        c->username_prefix = "";
    else if (conf->username_prefix)
        c->username_prefix = keep(&o->arena, conf->username_prefix);
    else if (strcmp(c->username_claim, "email") == 0)
        c->username_prefix = "";
    else
        c->username_prefix = fed_arena_printf(&o->arena, "%s#", c->issuer_url).p;
    fed_list_init(&o->waiting);
    *out = o;
    begin(o);
    return 0;
}

void fed_oidc_free(struct fed_oidc *o)
{
    if (!o)
        return;
    fed_timer_stop(o->conf.env, &o->timer);
    for (size_t i = 0; i < o->n_keys; i++)
        fed_pubkey_free(o->keys[i]);
    fed_arena_release(&o->arena);
    free(o);
}

bool fed_oidc_is_issuer(const struct fed_oidc *o, struct fed_str issuer)
{
    return fed_str_is(issuer, o->conf.issuer_url);
}

bool fed_oidc_ready(const struct fed_oidc *o)
{
    return o->ever;
}

const char *fed_oidc_client_id(const struct fed_oidc *o)
{
    return o->conf.client_id;
}

bool fed_oidc_wait(struct fed_oidc *o, struct fed_oidc_wait *w, void (*done)(struct fed_oidc_wait *w))
{
    uint64_t since = fed_mono_ms(o->conf.env) - o->fetched_at;
    if ((!o->fetching && since < (o->ever ? REFETCH_MS : 1000)) || o->n_waiting >= MAX_WAITING)
        return false;
    w->done = done;
    fed_list_push_back(&o->waiting, &w->link);
    o->n_waiting++;
    begin(o);
    return true;
}

void fed_oidc_leave(struct fed_oidc *o, struct fed_oidc_wait *w)
{
    if (!fed_list_linked(&w->link))
        return;
    fed_list_remove(&w->link);
    o->n_waiting--;
}

/* --- tokens --- */

static bool alg_taken(const struct fed_oidc *o, struct fed_str alg)
{
    for (size_t i = 0; i < o->conf.algs.n; i++)
        if (fed_str_is(alg, o->conf.algs.v[i]))
            return true;
    return !o->conf.algs.n && fed_str_is(alg, "RS256");
}

/* 0: signed by a key of the issuer; FED_E_UNAVAILABLE: its key is not known. */
static int check_signature(const struct fed_oidc *o, const struct fed_jwt *jwt, struct fed_err *err)
{
    bool known = false;
    for (size_t i = 0; i < o->n_keys; i++) {
        if (jwt->kid.n && !fed_str_eq(jwt->kid, fed_pubkey_id(o->keys[i])))
            continue;
        known = true;
        if (fed_jwt_holds(jwt, o->keys[i]))
            return 0;
    }
    if (!known)
        return fed_err_set(err, FED_E_UNAVAILABLE, "oidc: the token's key is not known");
    return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: invalid signature");
}

static bool has_audience(const struct fed_json *aud, const char *id)
{
    if (!aud)
        return false;
    if (aud->type == FED_JSON_STRING)
        return fed_str_is(aud->s, id);
    if (aud->type == FED_JSON_ARRAY)
        FED_JSON_EACH(i, aud)
            if (i->type == FED_JSON_STRING && fed_str_is(i->s, id))
                return true;
    return false;
}

/* A NumericDate: whole seconds, or not (RFC 7519); some issuers quote it. */
static bool read_time(const struct fed_json *v, int64_t *seconds)
{
    double d = fed_json_double(v, -1);
    if (v && v->type == FED_JSON_STRING)
        return fed_str_i64(v->s, seconds) == 0;
    if (!v || v->type != FED_JSON_NUMBER || !(d >= 0 && d < 1e15))
        return false;
    *seconds = (int64_t)d;
    return true;
}

static int check_claims(const struct fed_oidc *o, const struct fed_json *c, struct fed_err *err)
{
    int64_t now = fed_wall_ms(o->conf.env) / 1000, exp = 0, nbf = 0;
    const struct fed_json *not_before = fed_json_find(c, "nbf");
    if (!fed_oidc_is_issuer(o, fed_json_find_text(c, "iss")))
        return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: wrong issuer");
    if (!has_audience(fed_json_find(c, "aud"), o->conf.client_id))
        return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: made for another audience");
    if (!read_time(fed_json_find(c, "exp"), &exp) || exp <= now)
        return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: expired");
    if (not_before && (!read_time(not_before, &nbf) || nbf > now + SKEW_S))
        return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: not valid yet");
    for (size_t i = 0; i < o->conf.required_claims.n; i++) {
        struct fed_str value = fed_str(o->conf.required_claims.v[i]), name;
        (void)fed_str_cut(&value, '=', &name);
        const struct fed_json *v = fed_json_find_str(c, name);
        if (!v || v->type != FED_JSON_STRING || !fed_str_eq(v->s, value))
            return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: required claim \"%.*s\" is missing or differs",
                               FED_STR_ARG(name));
    }
    return 0;
}

static int read_user(const struct fed_oidc *o, const struct fed_json *c, struct fed_arena *a, struct fed_str *user,
                     struct fed_err *err)
{
    struct fed_str name = fed_json_find_text(c, o->conf.username_claim);
    if (!name.n)
        return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: claim \"%s\" is missing", o->conf.username_claim);
    const struct fed_json *verified = fed_json_find(c, "email_verified");
    if (strcmp(o->conf.username_claim, "email") == 0 && verified && !fed_json_bool(verified, false))
        return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: email not verified");
    *user = fed_arena_printf(a, "%s%.*s", o->conf.username_prefix, FED_STR_ARG(name));
    if (fed_str_starts(*user, FED_STR("system:")))
        return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: names that begin with \"system:\" are the server's own");
    return 0;
}

static void add_group(const struct fed_oidc *o, struct fed_arena *a, struct fed_str *groups, size_t *n,
                      struct fed_str name)
{
    struct fed_str g = fed_arena_printf(a, "%s%.*s", o->conf.groups_prefix, FED_STR_ARG(name));
    if (name.n && *n < MAX_GROUPS && !fed_str_starts(g, FED_STR("system:")))
        groups[(*n)++] = g;
}

/* A text or a list of texts; whatever else is refused as by kube-apiserver, as nobody knows who that is. */
static int read_groups(const struct fed_oidc *o, const struct fed_json *c, struct fed_arena *a,
                       struct fed_identity *who, struct fed_err *err)
{
    const struct fed_json *list = o->conf.groups_claim ? fed_json_find(c, o->conf.groups_claim) : NULL;
    struct fed_str *groups =
        FED_ARENA_ARRAY(a, struct fed_str, (list ? FED_MIN(list->n, (uint32_t)MAX_GROUPS) : 0) + 2);
    size_t n = 0;
    bool ok = !list || list->type == FED_JSON_NULL || list->type == FED_JSON_ARRAY || list->type == FED_JSON_STRING;
    if (list && list->type == FED_JSON_STRING)
        add_group(o, a, groups, &n, list->s);
    FED_JSON_EACH(g, list && list->type == FED_JSON_ARRAY ? list : NULL) {
        ok &= g->type == FED_JSON_STRING;
        if (ok)
            add_group(o, a, groups, &n, g->s);
    }
    if (!ok)
        return fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: claim \"%s\" is neither a text nor a list of texts",
                           o->conf.groups_claim);
    groups[n++] = FED_STR("system:authenticated");
    who->groups = groups;
    who->n_groups = n;
    return 0;
}

int fed_oidc_authenticate(struct fed_oidc *o, struct fed_str token, struct fed_arena *a, struct fed_identity *who,
                          struct fed_err *err)
{
    struct fed_jwt jwt;
    struct fed_json *c = NULL;
    struct fed_identity id = {0};
    int rc = fed_jwt_parse(a, token, &jwt, err);
    if (!rc && (fed_json_parse(a, jwt.claims, NULL, &c, NULL) || c->type != FED_JSON_OBJECT))
        rc = fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: malformed claims");
    if (!rc && !alg_taken(o, jwt.alg))
        rc = fed_err_set(err, FED_E_UNAUTHORIZED, "oidc: algorithm not taken");
    if (!rc)
        rc = check_claims(o, c, err); /* before the signature: a stale token costs no fetch */
    if (!rc)
        rc = check_signature(o, &jwt, err);
    if (!rc)
        rc = read_user(o, c, a, &id.user, err);
    if (!rc)
        rc = read_groups(o, c, a, &id, err);
    if (!rc)
        *who = id;
    return rc;
}
