/* SPDX-License-Identifier: Apache-2.0 */
/* authorization.k8s.io: reviews of access, for oneself and for others. */
#include "apiserver/rbac.h"
#include "apiserver/reviews.h"
#include "kube/check.h"

struct fed_json *fed_review_body(struct fed_api_reply *r, const char *kind)
{
    struct fed_json *body = NULL;
    struct fed_err err = {0};
    if (fed_api_typed_body(r, &body, &err)) {
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

static void add(struct fed_causes *c, const char *field, struct fed_str value, const char *why)
{
    fed_causes_add(c, FED_CAUSE_INVALID, fed_str(field), value, "%s", why);
}

/* kube-apiserver names no kind here (it has forgotten it by then): kubectl says "The request is invalid". Answers: false. */
static bool accepted(struct fed_api_reply *r, const struct fed_causes *c)
{
    struct fed_status_details d = {.group = FED_STR("authorization.k8s.io"), .causes = c};
    if (c->n)
        fed_api_fail(r, FED_E_INVALID, &d, NULL);
    return c->n == 0;
}

/* A question is no object: it has no metadata, a local one its namespace only. */
static void check_metadata(struct fed_causes *c, bool local, const struct fed_json *body)
{
    const struct fed_json *meta = fed_json_find(body, "metadata");
    FED_JSON_EACH(m, meta) {
        if (m->type == FED_JSON_NULL || fed_str_is(m->key, "managedFields") ||
            (local && fed_str_is(m->key, "namespace")))
            continue;
        add(c, "metadata", fed_shown(c->arena, meta), local ? "must be empty except for namespace" : "must be empty");
        return;
    }
}

/* Exactly one of the two kinds of attributes. */
static void read_question(struct fed_api_reply *r, const struct fed_json *spec, struct fed_api_request *ask,
                          struct fed_causes *c)
{
    const struct fed_json *ra = fed_json_find(spec, "resourceAttributes");
    const struct fed_json *na = fed_json_find(spec, "nonResourceAttributes");
    bool has_ra = ra && ra->type == FED_JSON_OBJECT, has_na = na && na->type == FED_JSON_OBJECT;
    if (has_ra && has_na)
        add(c, "spec.nonResourceAttributes", fed_shown(&r->arena, na),
            "cannot be specified in combination with resourceAttributes");
    else if (!has_ra && !has_na)
        add(c, "spec.resourceAttributes", FED_STR("null"),
            "exactly one of nonResourceAttributes or resourceAttributes must be specified");
    *ask = (struct fed_api_request){.who = r->q.who, .arena = &r->arena};
    ask->verb = fed_arena_dupz(&r->arena, fed_json_find_text(has_ra ? ra : na, "verb"));
    if (has_na) {
        ask->path = fed_json_find_text(na, "path");
        return;
    }
    ask->group = fed_json_find_text(ra, "group");
    ask->version = fed_json_find_text(ra, "version");
    ask->resource = fed_json_find_text(ra, "resource");
    ask->subresource = fed_json_find_text(ra, "subresource");
    ask->ns = fed_json_find_text(ra, "namespace");
    ask->name = fed_json_find_text(ra, "name");
    if (!ask->resource.n) /* a question about everything */
        ask->resource = FED_STR("*");
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
    struct fed_causes c = {.arena = &r->arena};
    struct fed_api_request ask;
    if (!body)
        return;
    read_question(r, fed_json_find(body, "spec"), &ask, &c);
    check_metadata(&c, false, body);
    if (accepted(r, &c))
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

static void read_subject(struct fed_api_reply *r, const struct fed_json *spec, struct fed_identity *who,
                         struct fed_causes *c)
{
    const struct fed_json *groups = fed_json_find(spec, "groups");
    struct fed_str *list = FED_ARENA_ARRAY(&r->arena, struct fed_str, (groups ? groups->n : 0) + 1);
    *who = (struct fed_identity){.user = fed_json_find_text(spec, "user"), .uid = fed_json_find_text(spec, "uid")};
    FED_JSON_EACH(g, groups)
        list[who->n_groups++] = fed_json_str(g);
    who->groups = list;
    read_extra(&r->arena, fed_json_find(spec, "extra"), who);
    if (!who->user.n && !who->n_groups)
        add(c, "spec.user", FED_STR("\"\""), "at least one of user or group must be specified");
}

/* A question about somebody is asked in the namespace of its path. */
static void check_place(const struct fed_api_request *q, const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *ra = fed_json_find(spec, "resourceAttributes");
    const struct fed_json *na = fed_json_find(spec, "nonResourceAttributes");
    struct fed_str ns = fed_json_find_text(ra, "namespace");
    if (ra && !fed_str_eq(ns, q->ns))
        add(c, "spec.resourceAttributes.namespace", fed_quoted(c->arena, ns), "must match metadata.namespace");
    if (na)
        add(c, "spec.nonResourceAttributes", fed_shown(c->arena, na), "disallowed on this kind of request");
}

/* As of an object: the path's namespace is the body's. Answers: false. */
static bool take_namespace(struct fed_api_reply *r, struct fed_json *body)
{
    struct fed_json *meta = fed_json_ensure_object(&r->arena, body, "metadata");
    struct fed_str ns = fed_json_find_text(meta, "namespace");
    if (ns.n && !fed_str_eq(ns, r->q.ns)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                     "the namespace of the provided object does not match the namespace sent on the request");
        return false;
    }
    if (meta)
        fed_json_set(meta, "namespace", fed_json_new_str(&r->arena, r->q.ns));
    return true;
}

static void review(const struct fed_api_request *q, struct fed_api_reply *r, const char *kind, bool local)
{
    struct fed_json *body = fed_review_body(r, kind);
    const struct fed_json *spec = fed_json_find(body, "spec");
    struct fed_causes c = {.arena = &r->arena};
    struct fed_api_request ask;
    struct fed_identity who;
    if (!body || (local && !take_namespace(r, body)))
        return;
    read_question(r, spec, &ask, &c);
    read_subject(r, spec, &who, &c);
    check_metadata(&c, local, body);
    if (local)
        check_place(q, spec, &c);
    if (!accepted(r, &c))
        return;
    ask.who = who;
    answer(r, body, &ask);
}

void fed_review_access(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    review(q, r, "SubjectAccessReview", false);
}

void fed_review_local_access(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    (void)ud;
    review(q, r, "LocalSubjectAccessReview", true);
}

/* --- what oneself may --- */

struct rules {
    struct fed_arena *a;
    struct fed_json *resource, *other;
    bool all; /* one of them is about everything */
};

static bool add_rule(void *ud, const struct fed_rule *rule)
{
    struct rules *k = ud;
    k->all |=
        fed_strs_has(&rule->verbs, "*") && fed_strs_has(&rule->groups, "*") && fed_strs_has(&rule->resources, "*");
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
    fed_json_set(body, "spec", fed_json_object(a)); /* kube-apiserver does not repeat the question */
    struct fed_json *status = fed_json_set(body, "status", fed_json_object(a));
    struct rules k = {a, fed_json_set(status, "resourceRules", fed_json_array(a)),
                      fed_json_set(status, "nonResourceRules", fed_json_array(a)), false};
    bool master = fed_identity_in_group(&q->who, "system:masters");
    static struct fed_str star = FED_STR_INIT("*");
    const struct fed_strs all = {&star, 1};
    fed_rbac_rules(r->api, &q->who, ns, add_rule, &k);
    if (master && !k.all) { /* who is one by its group, whatever is bound */
        add_rule(&k, &(struct fed_rule){.verbs = all, .groups = all, .resources = all});
        add_rule(&k, &(struct fed_rule){.verbs = all, .urls = all});
    }
    /* What the program's own rule allows beyond that cannot be listed. */
    fed_json_set(status, "incomplete", fed_json_new_bool(a, !master && r->api->conf.authorize));
    fed_api_answer_tree(r, 201, body);
}
