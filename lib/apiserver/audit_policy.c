/* SPDX-License-Identifier: Apache-2.0 */
/* audit.k8s.io/v1 Policy: strict reading, and matching as the API server of Kubernetes does it. */
#include "apiserver/audit.h"
#include "apiserver/rbac.h"
#include "base/mem.h"
#include "codec/yaml.h"
#include "kube/names.h"

struct gr { /* resources of a group */
    struct fed_str group;
    struct fed_strs resources, names;
};
struct rule {
    enum fed_audit_level level;
    struct fed_strs users, groups, verbs, namespaces, urls;
    struct gr *resources;
    size_t n_resources;
    unsigned omit;
    bool omit_managed_fields;
};
struct fed_audit_policy {
    struct fed_arena arena;
    struct rule *rules;
    size_t n;
};

/* --- reading --- */

static int fail(struct fed_err *err, const struct fed_json *at, const char *what)
{
    struct fed_buf path = {0};
    fed_json_path(at, &path);
    int rc = fed_err_set(err, FED_E_INVALID, "audit policy: %s: %s", fed_buf_z(&path), what);
    fed_buf_release(&path);
    return rc;
}

static int only_keys(const struct fed_json *o, const char *const *known, struct fed_err *err)
{
    if (o->type != FED_JSON_OBJECT)
        return fail(err, o, "must be an object");
    FED_JSON_EACH(m, o) {
        size_t i = 0;
        while (known[i] && !fed_str_is(m->key, known[i]))
            i++;
        if (!known[i])
            return fail(err, m, "unknown field");
    }
    return 0;
}

static int read_list(struct fed_arena *a, const struct fed_json *o, const char *key, struct fed_strs *out,
                     struct fed_err *err)
{
    const struct fed_json *list = fed_json_find(o, key);
    if (!list || list->type == FED_JSON_NULL)
        return 0;
    if (list->type != FED_JSON_ARRAY)
        return fail(err, list, "must be a list of texts");
    out->v = FED_ARENA_ARRAY(a, struct fed_str, list->n + 1);
    FED_JSON_EACH(i, list) {
        if (i->type != FED_JSON_STRING)
            return fail(err, i, "must be a text");
        out->v[out->n++] = i->s;
    }
    return 0;
}

static int read_level(const struct fed_json *o, enum fed_audit_level *level, struct fed_err *err)
{
    static const char *const names[] = {"None", "Metadata", "Request", "RequestResponse"};
    struct fed_str text = fed_json_find_text(o, "level");
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        if (fed_str_is(text, names[i])) {
            *level = (enum fed_audit_level)i;
            return 0;
        }
    return fail(err, o, "level must be None, Metadata, Request or RequestResponse");
}

static int read_stages(const struct fed_json *o, unsigned *omit, struct fed_err *err)
{
    static const struct {
        const char *name;
        unsigned bit;
    } stages[] = {{"RequestReceived", FED_AUDIT_RECEIVED},
                  {"ResponseStarted", FED_AUDIT_STARTED},
                  {"ResponseComplete", FED_AUDIT_COMPLETE},
                  {"Panic", 0}};
    FED_JSON_EACH(s, fed_json_find(o, "omitStages")) {
        size_t i = 0;
        while (i < FED_ARRAY_LEN(stages) && !fed_str_is(fed_json_str(s), stages[i].name))
            i++;
        if (i == FED_ARRAY_LEN(stages))
            return fail(err, s, "must be RequestReceived, ResponseStarted, ResponseComplete or Panic");
        *omit |= stages[i].bit;
    }
    return 0;
}

static int read_resources(struct fed_arena *a, const struct fed_json *o, struct rule *r, struct fed_err *err)
{
    static const char *const known[] = {"group", "resources", "resourceNames", NULL};
    const struct fed_json *list = fed_json_find(o, "resources");
    r->resources = FED_ARENA_ARRAY(a, struct gr, (list ? list->n : 0) + 1);
    FED_JSON_EACH(g, list) {
        struct gr *to = &r->resources[r->n_resources++];
        int rc = only_keys(g, known, err);
        to->group = fed_json_find_text(g, "group");
        if (!rc && to->group.n && fed_name_check_subdomain(to->group))
            rc = fail(err, fed_json_find(g, "group"), "must be the name of a group, without a version");
        if (!rc)
            rc = read_list(a, g, "resources", &to->resources, err);
        if (!rc)
            rc = read_list(a, g, "resourceNames", &to->names, err);
        if (!rc && to->names.n && !to->resources.n)
            rc = fail(err, g, "resourceNames need resources");
        if (rc)
            return rc;
    }
    return 0;
}

/* A wrong pattern would match nothing, silently. */
static int read_urls(struct fed_arena *a, const struct fed_json *o, struct fed_strs *out, struct fed_err *err)
{
    int rc = read_list(a, o, "nonResourceURLs", out, err);
    FED_JSON_EACH(u, rc ? NULL : fed_json_find(o, "nonResourceURLs")) {
        ptrdiff_t star = fed_str_chr(u->s, '*', 0);
        if (fed_str_is(u->s, "*"))
            continue;
        if (!fed_str_starts(u->s, FED_STR("/")))
            return fail(err, u, "must begin with a /");
        if (star >= 0 && (size_t)star + 1 < u->s.n)
            return fail(err, u, "a * must be its end");
    }
    return rc;
}

static int read_rule(struct fed_arena *a, const struct fed_json *o, struct rule *r, struct fed_err *err)
{
    static const char *const known[] = {
        "level",           "users",      "userGroups",        "verbs", "resources", "namespaces",
        "nonResourceURLs", "omitStages", "omitManagedFields", NULL};
    struct {
        const char *key;
        struct fed_strs *to;
    } lists[] = {
        {"users", &r->users}, {"userGroups", &r->groups}, {"verbs", &r->verbs}, {"namespaces", &r->namespaces}};
    int rc = only_keys(o, known, err);
    if (!rc)
        rc = read_level(o, &r->level, err);
    for (size_t i = 0; !rc && i < FED_ARRAY_LEN(lists); i++)
        rc = read_list(a, o, lists[i].key, lists[i].to, err);
    if (!rc)
        rc = read_urls(a, o, &r->urls, err);
    if (!rc)
        rc = read_resources(a, o, r, err);
    if (!rc)
        rc = read_stages(o, &r->omit, err);
    if (!rc && r->urls.n && (r->n_resources || r->namespaces.n))
        rc = fail(err, o, "a rule cannot be about resources and about nonResourceURLs");
    r->omit_managed_fields = fed_json_bool(fed_json_find(o, "omitManagedFields"), r->omit_managed_fields);
    return rc;
}

static int read_policy(struct fed_audit_policy *p, const struct fed_json *doc, struct fed_err *err)
{
    static const char *const known[] = {"apiVersion",        "kind",  "metadata", "omitStages",
                                        "omitManagedFields", "rules", NULL};
    int rc = only_keys(doc, known, err);
    unsigned omit = 0;
    if (!rc && (!fed_str_is(fed_json_find_text(doc, "apiVersion"), "audit.k8s.io/v1") ||
                !fed_str_is(fed_json_find_text(doc, "kind"), "Policy")))
        rc = fed_err_set(err, FED_E_INVALID, "audit policy: not a Policy of audit.k8s.io/v1");
    if (!rc)
        rc = read_stages(doc, &omit, err);
    const struct fed_json *rules = fed_json_find(doc, "rules");
    if (!rc && (!rules || rules->type != FED_JSON_ARRAY || !rules->n))
        rc = fed_err_set(err, FED_E_INVALID, "audit policy: it has no rules");
    if (rc)
        return rc;
    p->rules = FED_ARENA_ARRAY(&p->arena, struct rule, rules->n);
    FED_JSON_EACH(o, rules) {
        struct rule *r = &p->rules[p->n++];
        r->omit = omit;
        r->omit_managed_fields = fed_json_bool(fed_json_find(doc, "omitManagedFields"), false);
        rc = read_rule(&p->arena, o, r, err);
        if (rc)
            return rc;
    }
    return 0;
}

int fed_audit_policy_parse(struct fed_str yaml, struct fed_audit_policy **out, struct fed_err *err)
{
    struct fed_audit_policy *p = FED_NEW(struct fed_audit_policy);
    struct fed_json *doc = NULL;
    struct fed_str text = fed_arena_dup(&p->arena, yaml);
    int rc = fed_yaml_parse(&p->arena, text, NULL, &doc, err);
    if (rc)
        rc = fed_err_wrap(err, rc, "audit policy");
    else
        rc = read_policy(p, doc, err);
    if (rc) {
        fed_audit_policy_free(p);
        p = NULL;
    }
    *out = p;
    return rc;
}

void fed_audit_policy_free(struct fed_audit_policy *p)
{
    if (!p)
        return;
    fed_arena_release(&p->arena);
    free(p);
}

/* --- matching --- */

static bool resource_is(struct fed_str pattern, const struct fed_api_request *q)
{
    if (fed_str_is(pattern, "*"))
        return true;
    struct fed_str sub = pattern, name;
    (void)fed_str_cut(&sub, '/', &name);
    if (!sub.p || !sub.n) /* no subresource in the pattern */
        return !q->subresource.n && fed_str_eq(name, q->resource);
    bool any_name = fed_str_is(name, "*"), any_sub = fed_str_is(sub, "*");
    if (!any_name && !fed_str_eq(name, q->resource))
        return false;
    return any_sub ? true : fed_str_eq(sub, q->subresource);
}

struct fed_str fed_audit_namespace(const struct fed_api_request *q)
{
    bool itself = !q->ns.n && !q->group.n && fed_str_is(q->resource, "namespaces");
    return itself ? q->name : q->ns;
}

static bool matches_resources(const struct rule *r, const struct fed_api_request *q)
{
    if (!q->resource.n)
        return false;
    if (r->namespaces.n && !fed_strs_has_str(&r->namespaces, fed_audit_namespace(q)))
        return false;
    for (size_t i = 0; i < r->n_resources; i++) {
        const struct gr *g = &r->resources[i];
        if (!fed_str_eq(g->group, q->group))
            continue;
        if (!g->resources.n)
            return true;
        if (g->names.n && !fed_strs_has_str(&g->names, q->name))
            continue;
        for (size_t j = 0; j < g->resources.n; j++)
            if (resource_is(g->resources.v[j], q))
                return true;
    }
    return !r->n_resources;
}

static bool matches(const struct rule *r, const struct fed_api_request *q)
{
    if (r->users.n && !fed_strs_has_str(&r->users, q->who.user))
        return false;
    bool in = !r->groups.n;
    for (size_t i = 0; i < q->who.n_groups && !in; i++)
        in = fed_strs_has_str(&r->groups, q->who.groups[i]);
    if (!in || (r->verbs.n && !fed_strs_has(&r->verbs, q->verb)))
        return false;
    if (r->namespaces.n || r->n_resources)
        return matches_resources(r, q);
    if (!r->urls.n)
        return true;
    for (size_t i = 0; !q->resource.n && i < r->urls.n; i++)
        if (fed_rule_path_matches(r->urls.v[i], q->path))
            return true;
    return false;
}

struct fed_audit_verdict fed_audit_judge(const struct fed_audit_policy *p, const struct fed_api_request *q)
{
    for (size_t i = 0; i < p->n; i++)
        if (matches(&p->rules[i], q))
            return (struct fed_audit_verdict){p->rules[i].level, p->rules[i].omit, p->rules[i].omit_managed_fields};
    return (struct fed_audit_verdict){FED_AUDIT_NONE, 0, false};
}
