/* SPDX-License-Identifier: Apache-2.0 */
/* authorization.k8s.io: reviews of access, for oneself and for others. */
#include "apiserver/rbac.h"
#include "apiserver/reviews.h"
#include "kube/check.h"

struct fed_json *fed_review_body(struct fed_api_reply *r, const char *kind)
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

/* kube-apiserver names no kind here (it has forgotten it by then): kubectl says "The request is invalid". */
static void refuse(struct fed_api_reply *r, const char *field, struct fed_str value, const char *why)
{
    struct fed_causes c = {.arena = &r->arena};
    fed_causes_add(&c, FED_CAUSE_INVALID, fed_str(field), value, "%s", why);
    struct fed_status_details d = {.group = FED_STR("authorization.k8s.io"), .causes = &c};
    fed_api_fail(r, FED_E_INVALID, &d, ".authorization.k8s.io \"\" is invalid: %s: %.*s", field,
                 FED_STR_ARG(c.items[0].message));
}

/* A question is no object: it has no metadata, a local one its namespace only. Answers: false. */
static bool check_metadata(struct fed_api_reply *r, const char *kind, const struct fed_json *body)
{
    const struct fed_json *meta = fed_json_find(body, "metadata");
    bool local = strcmp(kind, "LocalSubjectAccessReview") == 0;
    FED_JSON_EACH(m, meta) {
        if (m->type == FED_JSON_NULL || fed_str_is(m->key, "managedFields") ||
            (local && fed_str_is(m->key, "namespace")))
            continue;
        refuse(r, "metadata", fed_shown(&r->arena, meta),
               local ? "must be empty except for namespace" : "must be empty");
        return false;
    }
    return true;
}

/* Exactly one of the two kinds of attributes. Answers: false. */
static bool read_question(struct fed_api_reply *r, const struct fed_json *spec, struct fed_api_request *ask)
{
    const struct fed_json *ra = fed_json_find(spec, "resourceAttributes");
    const struct fed_json *na = fed_json_find(spec, "nonResourceAttributes");
    bool has_ra = ra && ra->type == FED_JSON_OBJECT, has_na = na && na->type == FED_JSON_OBJECT;
    if (has_ra && has_na)
        refuse(r, "spec.nonResourceAttributes", fed_shown(&r->arena, na),
               "cannot be specified in combination with resourceAttributes");
    else if (!has_ra && !has_na)
        refuse(r, "spec.resourceAttributes", FED_STR("null"),
               "exactly one of nonResourceAttributes or resourceAttributes must be specified");
    if (has_ra == has_na)
        return false;
    *ask = (struct fed_api_request){.who = r->q.who, .arena = &r->arena};
    ask->verb = fed_arena_dupz(&r->arena, fed_json_find_text(has_ra ? ra : na, "verb"));
    if (has_na) {
        ask->path = fed_json_find_text(na, "path");
        return true;
    }
    ask->group = fed_json_find_text(ra, "group");
    ask->version = fed_json_find_text(ra, "version");
    ask->resource = fed_json_find_text(ra, "resource");
    ask->subresource = fed_json_find_text(ra, "subresource");
    ask->ns = fed_json_find_text(ra, "namespace");
    ask->name = fed_json_find_text(ra, "name");
    if (!ask->resource.n) /* a question about everything */
        ask->resource = FED_STR("*");
    return true;
}

static void answer(struct fed_api_reply *r, struct fed_json *body, const struct fed_api_request *ask)
{
    struct fed_buf reason = {0};
    enum fed_authz says = fed_api_decide(r->api, ask, &reason);
    struct fed_json *status = fed_json_set(body, "status", fed_json_object(&r->arena));
    fed_json_set(status, "allowed", fed_json_new_bool(&r->arena, says == FED_AUTHZ_ALLOW));
    if (says == FED_AUTHZ_DENY)
        fed_json_set(status, "denied", fed_json_new_bool(&r->arena, true));
    if (reason.n)
        fed_json_set(status, "reason", fed_json_new_str(&r->arena, fed_arena_dup(&r->arena, fed_buf_str(&reason))));
    fed_buf_release(&reason);
    fed_api_answer_tree(r, 201, body);
}

void fed_review_self_access(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud, (void)q;
    struct fed_json *body = fed_review_body(r, "SelfSubjectAccessReview");
    struct fed_api_request ask;
    if (body && check_metadata(r, "SelfSubjectAccessReview", body) &&
        read_question(r, fed_json_find(body, "spec"), &ask))
        answer(r, body, &ask);
}

/* --- about others --- */

static void read_extra(struct fed_arena *a, const struct fed_json *extra, struct fed_identity *who)
{
    if (!extra || extra->type != FED_JSON_OBJECT || !extra->n)
        return;
    struct fed_extra *x = FED_ARENA_ARRAY(a, struct fed_extra, extra->n);
    FED_JSON_EACH(e, extra) {
        struct fed_str *v = FED_ARENA_ARRAY(a, struct fed_str, e->n + 1);
        size_t n = 0;
        FED_JSON_EACH(i, e)
            v[n++] = fed_json_str(i);
        x[who->n_extra++] = (struct fed_extra){e->key, v, n};
    }
    who->extra = x;
}

static bool read_subject(struct fed_api_reply *r, const struct fed_json *spec, struct fed_identity *who)
{
    const struct fed_json *groups = fed_json_find(spec, "groups");
    struct fed_str *list = FED_ARENA_ARRAY(&r->arena, struct fed_str, (groups ? groups->n : 0) + 1);
    *who = (struct fed_identity){.user = fed_json_find_text(spec, "user"), .uid = fed_json_find_text(spec, "uid")};
    FED_JSON_EACH(g, groups)
        list[who->n_groups++] = fed_json_str(g);
    who->groups = list;
    read_extra(&r->arena, fed_json_find(spec, "extra"), who);
    if (who->user.n || who->n_groups)
        return true;
    refuse(r, "spec.user", FED_STR("\"\""), "at least one of user or group must be specified");
    return false;
}

void fed_review_access(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud, (void)q;
    static const char kind[] = "SubjectAccessReview";
    struct fed_json *body = fed_review_body(r, kind);
    const struct fed_json *spec = fed_json_find(body, "spec");
    struct fed_api_request ask;
    struct fed_identity who;
    if (!body || !check_metadata(r, kind, body) || !read_question(r, spec, &ask) || !read_subject(r, spec, &who))
        return;
    ask.who = who;
    answer(r, body, &ask);
}

void fed_review_local_access(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    static const char kind[] = "LocalSubjectAccessReview";
    struct fed_json *body = fed_review_body(r, kind);
    const struct fed_json *spec = fed_json_find(body, "spec");
    struct fed_api_request ask;
    struct fed_identity who;
    if (!body || !check_metadata(r, kind, body) || !read_question(r, spec, &ask) || !read_subject(r, spec, &who))
        return;
    if (!ask.resource.n) {
        refuse(r, "spec.nonResourceAttributes", fed_shown(&r->arena, fed_json_find(spec, "nonResourceAttributes")),
               "disallowed on this kind of request");
        return;
    }
    if (!fed_str_eq(ask.ns, q->ns)) {
        refuse(r, "spec.resourceAttributes.namespace", fed_quoted(&r->arena, ask.ns), "must match metadata.namespace");
        return;
    }
    ask.who = who;
    answer(r, body, &ask);
}

/* --- what oneself may --- */

struct rules {
    struct fed_arena *a;
    struct fed_json *resource, *other;
};

static bool add_rule(void *ud, const struct fed_rule *rule)
{
    struct rules *k = ud;
    fed_json_push(rule->urls.n ? k->other : k->resource, fed_rule_json(k->a, rule));
    return true;
}

void fed_review_self_rules(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    struct fed_json *body = fed_review_body(r, "SelfSubjectRulesReview");
    if (!body)
        return;
    struct fed_arena *a = &r->arena;
    struct fed_str ns = fed_json_find_text(fed_json_find(body, "spec"), "namespace");
    if (!ns.n) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "no namespace on request");
        return;
    }
    struct fed_json *status = fed_json_set(body, "status", fed_json_object(a));
    struct rules k = {a, fed_json_set(status, "resourceRules", fed_json_array(a)),
                      fed_json_set(status, "nonResourceRules", fed_json_array(a))};
    bool master = fed_identity_in_group(&q->who, "system:masters");
    static struct fed_str star = FED_STR_INIT("*");
    const struct fed_strs all = {&star, 1};
    if (master) {
        add_rule(&k, &(struct fed_rule){.verbs = all, .groups = all, .resources = all});
        add_rule(&k, &(struct fed_rule){.verbs = all, .urls = all});
    } else {
        fed_rbac_rules(r->api, &q->who, ns, add_rule, &k);
    }
    /* What the program's own rule allows beyond that cannot be listed. */
    fed_json_set(status, "incomplete", fed_json_new_bool(a, !master && r->api->conf.authorize));
    fed_api_answer_tree(r, 201, body);
}
