/* SPDX-License-Identifier: Apache-2.0 */
/* Nobody grants what they do not hold themselves: writes of roles and bindings are checked rule by rule, unless the asker
 * may `escalate` the role or `bind` the role that a binding names. */
#include "apiserver/rbac.h"
#include "apiserver/registry.h"

#define MAX_PARTS 10000u /* of one check: a role that falls apart into more is refused to those who must be checked */

/* --- which rules cover which --- */

static bool has_all(const struct fed_strs *have, const struct fed_strs *want)
{
    if (fed_strs_has(have, "*"))
        return true;
    for (size_t i = 0; i < want->n; i++)
        if (!fed_strs_has_str(have, want->v[i]))
            return false;
    return true;
}

static bool resources_cover(const struct fed_strs *have, const struct fed_strs *want)
{
    if (has_all(have, want))
        return true;
    for (size_t i = 0; i < want->n; i++) {
        struct fed_str r = want->v[i];
        if (fed_strs_has_str(have, r))
            continue;
        ptrdiff_t slash = fed_str_chr(r, '/', 0);
        bool any = false;
        for (size_t j = 0; slash >= 0 && j < have->n; j++)
            any |= fed_str_starts(have->v[j], FED_STR("*/")) &&
                   fed_str_eq(fed_str_from(have->v[j], 1), fed_str_from(r, (size_t)slash));
        if (!any)
            return false;
    }
    return true;
}

static bool urls_cover(const struct fed_strs *have, const struct fed_strs *want)
{
    for (size_t i = 0; i < want->n; i++) {
        bool any = false;
        for (size_t j = 0; j < have->n && !any; j++)
            any = fed_rule_path_matches(have->v[j], want->v[i]);
        if (!any)
            return false;
    }
    return true;
}

static bool covers(const struct fed_rule *have, const struct fed_rule *want)
{
    bool names = want->names.n ? !have->names.n || has_all(&have->names, &want->names) : !have->names.n;
    return names && has_all(&have->verbs, &want->verbs) && has_all(&have->groups, &want->groups) &&
           resources_cover(&have->resources, &want->resources) && urls_cover(&have->urls, &want->urls);
}

static bool any_covers(const struct fed_rule *have, size_t n, const struct fed_rule *want)
{
    for (size_t i = 0; i < n; i++)
        if (covers(&have[i], want))
            return true;
    return false;
}

struct parts { /* what is missing: one verb on one thing each, put together again by thing */
    struct fed_arena *a;
    const struct fed_rule *have;
    size_t n_have, looked_at;
    struct fed_rule *missing;
    size_t n, cap;
};

static void add_missing(struct parts *p, const struct fed_rule *one)
{
    for (size_t i = 0; i < p->n; i++) {
        struct fed_rule *m = &p->missing[i];
        bool same = m->groups.n == one->groups.n && m->urls.n == one->urls.n && m->names.n == one->names.n &&
                    (!one->groups.n || (fed_str_eq(m->groups.v[0], one->groups.v[0]) &&
                                        fed_str_eq(m->resources.v[0], one->resources.v[0]))) &&
                    (!one->names.n || fed_str_eq(m->names.v[0], one->names.v[0])) && !one->urls.n;
        if (!same)
            continue;
        if (fed_strs_has_str(&m->verbs, one->verbs.v[0]))
            return;
        struct fed_str *v = FED_ARENA_ARRAY(p->a, struct fed_str, m->verbs.n + 1);
        memcpy(v, m->verbs.v, m->verbs.n * sizeof(*v));
        v[m->verbs.n++] = one->verbs.v[0];
        m->verbs.v = v;
        return;
    }
    FED_ARENA_ROOM(p->a, p->missing, p->n, p->cap, 16);
    p->missing[p->n++] = *one;
}

static void look_at(struct parts *p, const struct fed_rule *one)
{
    if (p->looked_at++ < MAX_PARTS && any_covers(p->have, p->n_have, one))
        return;
    if (p->looked_at <= MAX_PARTS + 1) /* the first one too many stands for the rest */
        add_missing(p, one);
}

static void break_down(struct parts *p, const struct fed_rule *w)
{
    for (size_t v = 0; v < w->verbs.n && p->looked_at <= MAX_PARTS; v++) {
        struct fed_strs verb = {&w->verbs.v[v], 1};
        for (size_t u = 0; u < w->urls.n && p->looked_at <= MAX_PARTS; u++)
            look_at(p, &(struct fed_rule){.verbs = verb, .urls = {&w->urls.v[u], 1}});
        for (size_t g = 0; g < w->groups.n; g++)
            for (size_t r = 0; r < w->resources.n; r++) {
                struct fed_rule one = {
                    .verbs = verb, .groups = {&w->groups.v[g], 1}, .resources = {&w->resources.v[r], 1}};
                if (!w->names.n && p->looked_at <= MAX_PARTS)
                    look_at(p, &one);
                for (size_t i = 0; i < w->names.n && p->looked_at <= MAX_PARTS; i++) {
                    one.names = (struct fed_strs){&w->names.v[i], 1};
                    look_at(p, &one);
                }
            }
    }
}

struct fed_rule *fed_rules_missing(struct fed_arena *a, const struct fed_rule *have, size_t n_have,
                                   const struct fed_rule *want, size_t n_want, size_t *n)
{
    struct parts p = {.a = a, .have = have, .n_have = n_have};
    for (size_t i = 0; i < n_want; i++)
        if (!any_covers(have, n_have, &want[i]))
            break_down(&p, &want[i]);
    *n = p.n;
    return p.missing;
}

/* --- the words --- */

static void put_strs(struct fed_buf *out, const char *name, const struct fed_strs *s)
{
    if (!s->n)
        return;
    fed_buf_addf(out, "%s%s:[", out->n > 1 ? ", " : "", name);
    for (size_t i = 0; i < s->n; i++) {
        fed_buf_addz(out, i ? " " : "");
        fed_json_write_string(out, s->v[i]);
    }
    fed_buf_addc(out, ']');
}

static struct fed_str describe(struct fed_arena *a, const struct fed_rule *r)
{
    struct fed_buf b = {0};
    fed_buf_addc(&b, '{');
    put_strs(&b, "APIGroups", &r->groups);
    put_strs(&b, "Resources", &r->resources);
    put_strs(&b, "NonResourceURLs", &r->urls);
    put_strs(&b, "ResourceNames", &r->names);
    put_strs(&b, "Verbs", &r->verbs);
    fed_buf_addc(&b, '}');
    struct fed_str s = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return s;
}

static int by_text(const void *x, const void *y)
{
    return fed_str_cmp(*(const struct fed_str *)x, *(const struct fed_str *)y);
}

static void tell(struct fed_api_reply *r, const struct fed_rule *missing, size_t n)
{
    const struct fed_identity *who = &r->q.who;
    struct fed_str *lines = FED_ARENA_ARRAY(&r->arena, struct fed_str, n);
    struct fed_buf m = {0};
    for (size_t i = 0; i < n; i++)
        lines[i] = describe(&r->arena, &missing[i]);
    qsort(lines, n, sizeof(*lines), by_text);
    fed_buf_addf(&m, "%.*s \"%.*s\" is forbidden: user ", FED_STR_ARG(fed_api_qualified(r)), FED_STR_ARG(r->q.name));
    fed_json_write_string(&m, who->user);
    fed_buf_addz(&m, " (groups=[");
    for (size_t i = 0; i < who->n_groups; i++) {
        fed_buf_addz(&m, i ? " " : "");
        fed_json_write_string(&m, who->groups[i]);
    }
    fed_buf_addz(&m, "]) is attempting to grant RBAC permissions not currently held:");
    for (size_t i = 0; i < n; i++)
        fed_buf_addf(&m, "\n%.*s", FED_STR_ARG(lines[i]));
    fed_api_fail_object(r, FED_E_FORBIDDEN, "%s", fed_buf_z(&m));
    fed_buf_release(&m);
}

/* --- the check --- */

struct held {
    struct fed_arena *a;
    struct fed_rule *v;
    size_t n, cap;
};

static bool hold(void *ud, const struct fed_rule *rule)
{
    struct held *h = ud;
    FED_ARENA_ROOM(h->a, h->v, h->n, h->cap, 32);
    h->v[h->n++] = *rule;
    return true;
}

static const struct fed_rule *lacking(struct fed_api_reply *r, struct fed_str ns, const struct fed_rule *want,
                                      size_t n_want, size_t *n)
{
    struct held h = {.a = &r->arena};
    *n = 0;
    fed_rbac_rules(r->api, &r->q.who, ns, hold, &h);
    return fed_rules_missing(&r->arena, h.v, h.n, want, n_want, n);
}

static bool holds_all(struct fed_api_reply *r, struct fed_str ns, const struct fed_rule *want, size_t n_want)
{
    size_t n;
    const struct fed_rule *missing = lacking(r, ns, want, n_want, &n);
    if (n)
        tell(r, missing, n);
    return n == 0;
}

/* Which rules a sum will have is not known: only those who may do all write one. */
static bool may_sum(struct fed_api_reply *r)
{
    static struct fed_str star = FED_STR_INIT("*");
    const struct fed_strs all = {&star, 1};
    const struct fed_rule full[] = {{.verbs = all, .groups = all, .resources = all}, {.verbs = all, .urls = all}};
    size_t n;
    (void)lacking(r, (struct fed_str){NULL, 0}, full, FED_ARRAY_LEN(full), &n);
    if (n)
        fed_api_fail_object(r, FED_E_FORBIDDEN,
                            "%.*s \"%.*s\" is forbidden: must have cluster-admin privileges to use an aggregationRule",
                            FED_STR_ARG(fed_api_qualified(r)), FED_STR_ARG(r->q.name));
    return n == 0;
}

static bool may(struct fed_api_reply *r, const char *verb, const char *resource, struct fed_str ns, struct fed_str name)
{
    struct fed_api_request q = {.verb = verb,
                                .group = r->q.group,
                                .version = r->q.version,
                                .resource = fed_str(resource),
                                .ns = ns,
                                .name = name,
                                .path = r->q.path,
                                .who = r->q.who,
                                .arena = &r->arena};
    return fed_api_authorized(r->api, &q);
}

static bool same(const struct fed_json *old, const struct fed_json *obj, const char *key)
{
    const struct fed_json *a = fed_json_find(old, key), *b = fed_json_find(obj, key);
    return (!a || !a->n) == (!b || !b->n) && ((!a || !a->n) || fed_json_equal(a, b));
}

static bool check_role(struct fed_write_op *op, bool cluster)
{
    struct fed_api_reply *r = op->r;
    struct fed_str none = {NULL, 0}, ns = cluster ? none : r->q.ns;
    if (op->old && same(op->old_tree, op->obj, "rules") && same(op->old_tree, op->obj, "aggregationRule"))
        return true;
    if (may(r, "escalate", cluster ? "clusterroles" : "roles", ns, op->old ? r->q.name : none))
        return true;
    const struct fed_json *sum = fed_json_find(op->obj, "aggregationRule");
    size_t n = 0;
    const struct fed_rule *rules = fed_rules_read(&r->arena, fed_json_find(op->obj, "rules"), &n);
    return holds_all(r, ns, rules, n) && (!sum || !sum->n || may_sum(r));
}

static bool check_binding(struct fed_write_op *op, bool cluster)
{
    struct fed_api_reply *r = op->r;
    struct fed_str none = {NULL, 0}, ns = cluster ? none : r->q.ns;
    const struct fed_json *ref = fed_json_find(op->obj, "roleRef");
    bool to_cluster = fed_str_is(fed_json_find_text(ref, "kind"), "ClusterRole");
    struct fed_str name = fed_json_find_text(ref, "name");
    const struct fed_rule *rules;
    size_t n = 0;
    if (op->old && same(op->old_tree, op->obj, "subjects") && same(op->old_tree, op->obj, "roleRef"))
        return true;
    if (may(r, "bind", to_cluster ? "clusterroles" : "roles", ns, name))
        return true;
    if (fed_rbac_role(r->api, to_cluster, ns, name, &rules, &n))
        return holds_all(r, ns, rules, n);
    const char *plural = to_cluster ? "clusterroles" : "roles";
    struct fed_status_details d = {.name = name, .group = r->q.group, .kind = fed_str(plural)};
    fed_api_fail(r, FED_E_NOT_FOUND, &d, "%s.%.*s \"%.*s\" not found", plural, FED_STR_ARG(r->q.group),
                 FED_STR_ARG(name));
    return false;
}

bool fed_rbac_may_grant(struct fed_write_op *op)
{
    const struct fed_kind *k = op->w.kind;
    struct fed_api_reply *r = op->r;
    if (op->done || !fed_str_is(k->group, "rbac.authorization.k8s.io") ||
        fed_identity_in_group(&r->q.who, "system:masters"))
        return true;
    bool ok = fed_str_is(k->plural, "roles") || fed_str_is(k->plural, "clusterroles")
                  ? check_role(op, !k->namespaced)
                  : check_binding(op, !k->namespaced);
    return ok;
}
