/* SPDX-License-Identifier: Apache-2.0 */
/* authentication.k8s.io reviews (of oneself, of a token) and TokenRequest. */
#include "apiserver/access.h"
#include "apiserver/authn.h"
#include "apiserver/reviews.h"
#include "apiserver/sa_token.h"
#include "kube/check.h"

void fed_review_self(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    struct fed_json *body = fed_review_body(r, "SelfSubjectReview");
    if (!body)
        return;
    struct fed_json *status = fed_json_set(body, "status", fed_json_object(&r->arena));
    fed_json_set(status, "userInfo", fed_identity_json(&r->arena, &q->who));
    fed_api_answer_tree(r, 201, body);
}

/* --- TokenReview --- */

struct review {
    struct fed_json *body;
    struct fed_str token;
    struct fed_strs audiences;
    bool tried;
};

static void review_token(struct fed_api_reply *r, void *ud)
{
    struct review *k = ud;
    struct fed_arena *a = &r->arena;
    struct fed_token_answer answer;
    struct fed_err err = {0};
    int rc = fed_api_check_token(r->api, k->token, &k->audiences, a, &answer, &err);
    if (rc == FED_E_UNAVAILABLE && !k->tried) {
        k->tried = true;
        if (fed_authn_wait(r, review_token, k))
            return;
    }
    struct fed_json *status = fed_json_set(k->body, "status", fed_json_object(a));
    if (rc) {
        fed_json_set(status, "user", fed_json_object(a));
        fed_json_set(status, "error", fed_json_new_strf(a, "%s", err.text));
        fed_api_answer_tree(r, 201, k->body);
        return;
    }
    fed_json_set(status, "authenticated", fed_json_new_bool(a, true));
    fed_json_set(status, "user", fed_identity_json(a, &answer.who));
    if (answer.audiences.n) {
        struct fed_json *list = fed_json_set(status, "audiences", fed_json_array(a));
        for (size_t i = 0; i < answer.audiences.n; i++)
            fed_json_push(list, fed_json_new_str(a, answer.audiences.v[i]));
    }
    fed_api_answer_tree(r, 201, k->body);
}

void fed_review_token(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud, (void)q;
    struct fed_json *body = fed_review_body(r, "TokenReview");
    if (!body)
        return;
    const struct fed_json *spec = fed_json_find(body, "spec"), *auds = fed_json_find(spec, "audiences");
    struct review *k = FED_ARENA_NEW(&r->arena, struct review);
    k->body = body;
    k->token = fed_json_find_text(spec, "token");
    if (!k->token.n) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "token is required for TokenReview in authentication");
        return;
    }
    k->audiences.v = FED_ARENA_ARRAY(&r->arena, struct fed_str, (auds ? auds->n : 0) + 1);
    FED_JSON_EACH(i, auds)
        k->audiences.v[k->audiences.n++] = fed_json_str(i);
    review_token(r, k);
}

/* --- TokenRequest --- */

/* name: what the refusal says; kube-apiserver names the account where metadata are wrong, nothing elsewhere */
static void refuse(struct fed_api_reply *r, struct fed_str name, const char *field, struct fed_str value,
                   const char *why)
{
    struct fed_causes c = {.arena = &r->arena};
    fed_causes_add(&c, FED_CAUSE_INVALID, fed_str(field), value, "%s", why);
    struct fed_status_details d = {
        .name = name, .group = FED_STR("authentication.k8s.io"), .kind = FED_STR("TokenRequest"), .causes = &c};
    fed_api_fail(r, FED_E_INVALID, &d, NULL);
}

#define MAX_S ((int64_t)1 << 32)
static bool read_life(struct fed_api_reply *r, const struct fed_json *spec, int64_t *seconds)
{
    const struct fed_access_conf *x = r->api->conf.access;
    const struct fed_json *given = fed_json_find(spec, "expirationSeconds");
    const struct fed_str none = {NULL, 0};
    *seconds = fed_json_int(given, 3600);
    struct fed_str value = fed_arena_printf(&r->arena, "%lld", (long long)*seconds);
    if (*seconds < 600) {
        refuse(r, none, "spec.expirationSeconds", value, "may not specify a duration less than 10 minutes");
        return false;
    }
    if (*seconds > MAX_S) {
        refuse(r, none, "spec.expirationSeconds", value, "may not specify a duration larger than 2^32 seconds");
        return false;
    }
    if (x && x->sa_max_s && *seconds > x->sa_max_s)
        *seconds = x->sa_max_s;
    return true;
}

/* What the body says of the account is what the path says. Answers: false. */
static bool check_metadata(struct fed_api_reply *r, const struct fed_json *body)
{
    const struct fed_json *meta = fed_json_find(body, "metadata");
    struct fed_str name = fed_json_find_text(meta, "name"), ns = fed_json_find_text(meta, "namespace");
    if (name.n && !fed_str_eq(name, r->q.name))
        refuse(r, r->q.name, "metadata.name", fed_quoted(&r->arena, name),
               "must match the service account name if specified");
    else if (ns.n && !fed_str_eq(ns, r->q.ns))
        refuse(r, r->q.name, "metadata.namespace", fed_quoted(&r->arena, ns),
               "must match the service account namespace if specified");
    else
        return true;
    return false;
}

static void no_such(struct fed_api_reply *r, const char *plural, struct fed_str name)
{
    struct fed_status_details d = {.name = name, .kind = fed_str(plural)};
    fed_api_fail(r, FED_E_NOT_FOUND, &d, "%s \"%.*s\" not found", plural, FED_STR_ARG(name));
}

/* The pod must run as this account. Answers: false. */
static bool pod_is_of(struct fed_api_reply *r, const struct fed_kobj *pod)
{
    struct fed_str runs_as =
        fed_json_str(fed_json_at(fed_kobj_parse(pod, &r->arena), "spec", "serviceAccountName", NULL));
    if (fed_str_eq(runs_as.n ? runs_as : FED_STR("default"), r->q.name))
        return true;
    fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                 "cannot bind token for serviceaccount \"%.*s\" to pod running with different serviceaccount name.",
                 FED_STR_ARG(r->q.name));
    return false;
}

/* What the token shall be bound to: it has to be there, and the one that is meant. Answers: false. */
static bool read_bound(struct fed_api_reply *r, const struct fed_json *ref, struct fed_sa_spec *s)
{
    struct fed_str none = {NULL, 0}, kind = fed_json_find_text(ref, "kind"), name = fed_json_find_text(ref, "name");
    struct fed_str uid = fed_json_find_text(ref, "uid");
    const char *plural = fed_str_is(kind, "Pod")      ? "pods"
                         : fed_str_is(kind, "Secret") ? "secrets"
                         : fed_str_is(kind, "Node")   ? "nodes"
                                                      : NULL;
    if (!ref || ref->type != FED_JSON_OBJECT)
        return true;
    const struct fed_kind_version *v =
        plural ? fed_kinds_by_resource(r->api->conf.kinds, none, FED_STR("v1"), fed_str(plural)) : NULL;
    if (!v) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "cannot bind token to object of type %s%.*s, Kind=%.*s",
                     fed_str_chr(fed_json_find_text(ref, "apiVersion"), '/', 0) < 0 ? "/" : "",
                     FED_STR_ARG(fed_json_find_text(ref, "apiVersion")), FED_STR_ARG(kind));
        return false;
    }
    struct fed_kcache *kc = fed_cache_kind(&r->api->cache, v->kind);
    struct fed_kobj *o = fed_cache_find(kc, v->kind->namespaced ? r->q.ns : none, name);
    if (!o) {
        no_such(r, plural, name);
        return false;
    }
    if (uid.n && !fed_str_eq(uid, o->uid)) {
        struct fed_status_details d = {.name = name, .kind = kind};
        fed_api_fail(
            r, FED_E_CONFLICT, &d,
            "Operation cannot be fulfilled on %.*s \"%.*s\": the UID in the bound object reference (%.*s) does "
            "not match the UID in record. The object might have been deleted and then recreated",
            FED_STR_ARG(kind), FED_STR_ARG(name), FED_STR_ARG(uid));
        return false;
    }
    if (strcmp(plural, "pods") == 0 && !pod_is_of(r, o))
        return false;
    s->bound_kind = kind;
    s->bound_name = name;
    s->bound_uid = o->uid;
    return true;
}

static void read_audiences(struct fed_api_reply *r, struct fed_json *spec, struct fed_sa_spec *s)
{
    struct fed_arena *a = &r->arena;
    const struct fed_strs *own = fed_sa_audiences(r->api->sa);
    struct fed_json *list = fed_json_ensure_array(a, spec, "audiences");
    if (list && !list->n)
        for (size_t i = 0; i < own->n; i++)
            fed_json_push(list, fed_json_new_str(a, own->v[i]));
    struct fed_str *v = FED_ARENA_ARRAY(a, struct fed_str, (list ? list->n : 0) + 1);
    FED_JSON_EACH(i, list)
        v[s->n_audiences++] = fed_json_str(i);
    s->audiences = v;
}

static void answer(struct fed_api_reply *r, struct fed_json *body, struct fed_json *spec, int64_t seconds,
                   struct fed_str token)
{
    struct fed_arena *a = &r->arena;
    char when[21], now[21];
    fed_time_format(fed_wall_ms(r->api->env), now);
    fed_time_format(fed_wall_ms(r->api->env) + seconds * 1000, when);
    fed_json_set(body, "kind", fed_json_new_strz(a, "TokenRequest"));
    fed_json_set(body, "apiVersion", fed_json_new_strz(a, "authentication.k8s.io/v1"));
    struct fed_json *meta = fed_json_ensure_object(a, body, "metadata");
    fed_json_set(meta, "name", fed_json_new_str(a, fed_arena_dup(a, r->q.name)));
    fed_json_set(meta, "namespace", fed_json_new_str(a, fed_arena_dup(a, r->q.ns)));
    fed_json_set(meta, "creationTimestamp", fed_json_new_str(a, fed_arena_dup(a, fed_str(now))));
    fed_json_set(spec, "expirationSeconds", fed_json_new_int(a, seconds));
    if (!fed_json_find(spec, "boundObjectRef"))
        fed_json_set(spec, "boundObjectRef", fed_json_null(a));
    struct fed_json *status = fed_json_set(body, "status", fed_json_object(a));
    fed_json_set(status, "token", fed_json_new_str(a, fed_arena_dup(a, token)));
    fed_json_set(status, "expirationTimestamp", fed_json_new_str(a, fed_arena_dup(a, fed_str(when))));
    fed_api_answer_tree(r, 201, body);
}

void fed_sa_request(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    struct fed_json *body = NULL;
    struct fed_err err = {0};
    struct fed_kcache *kc = r->v ? fed_cache_kind(&r->api->cache, r->v->kind) : NULL;
    struct fed_kobj *sa = kc ? fed_cache_find(kc, q->ns, q->name) : NULL;
    if (fed_api_typed_body(r, &body, &err)) {
        fed_api_fail_err(r, &err);
        return;
    }
    if (!check_metadata(r, body))
        return;
    if (!sa) {
        fed_api_fail_object(r, FED_E_NOT_FOUND, NULL);
        return;
    }
    struct fed_json *spec = fed_json_ensure_object(&r->arena, body, "spec");
    struct fed_sa_spec s = {.ns = sa->ns, .name = sa->name, .uid = sa->uid};
    if (!spec) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "the request body is not a TokenRequest");
        return;
    }
    if (!read_life(r, spec, &s.seconds) || !read_bound(r, fed_json_find(spec, "boundObjectRef"), &s))
        return;
    read_audiences(r, spec, &s);
    struct fed_buf token = {0};
    if (fed_api_sa_token(r->api, &s, &token, &err))
        fed_api_fail_err(r, &err);
    else
        answer(r, body, spec, s.seconds, fed_buf_str(&token));
    fed_buf_release(&token);
}
