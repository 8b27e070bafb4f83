/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/rbac.h"

static struct fed_kcache *kind_of(struct fed_api *api, const char *plural)
{
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, FED_STR("rbac.authorization.k8s.io"), FED_STR("v1"), fed_str(plural));
    return v ? fed_cache_kind(&api->cache, v->kind) : NULL;
}

static bool has(const struct fed_json *list, struct fed_str value)
{
    FED_JSON_EACH(i, list)
        if (fed_str_is(i->s, "*") || fed_str_eq(i->s, value))
            return true;
    return false;
}

static bool subject_is(const struct fed_json *s, const struct fed_identity *who)
{
    struct fed_str kind = fed_json_find_text(s, "kind"), name = fed_json_find_text(s, "name");
    if (fed_str_is(kind, "User"))
        return fed_str_eq(name, who->user);
    if (fed_str_is(kind, "Group")) {
        for (size_t i = 0; i < who->n_groups; i++)
            if (fed_str_eq(name, who->groups[i]))
                return true;
        return false;
    }
    if (!fed_str_is(kind, "ServiceAccount"))
        return false;
    struct fed_str ns = fed_json_find_text(s, "namespace"), user = who->user,
                   prefix = FED_STR("system:serviceaccount:");
    if (!fed_str_starts(user, prefix))
        return false;
    user = fed_str_from(user, prefix.n);
    return user.n == ns.n + 1 + name.n && fed_str_eq(fed_str_head(user, ns.n), ns) && user.p[ns.n] == ':' &&
           fed_str_eq(fed_str_from(user, ns.n + 1), name);
}

struct search {
    struct fed_api *api;
    const struct fed_identity *who;
    struct fed_str ns;
    struct fed_arena *arena;
    bool (*each)(void *ud, const struct fed_json *rule);
    void *ud;
    bool stopped;
};

static bool try_binding(void *ud, struct fed_kobj *o)
{
    struct search *s = ud;
    struct fed_json *b = fed_kobj_parse(o, s->arena);
    bool mine = false;
    FED_JSON_EACH(subject, fed_json_find(b, "subjects"))
        mine |= subject_is(subject, s->who);
    if (!mine)
        return true;
    const struct fed_json *ref = fed_json_find(b, "roleRef");
    bool cluster = fed_str_is(fed_json_find_text(ref, "kind"), "ClusterRole");
    struct fed_kcache *kc = kind_of(s->api, cluster ? "clusterroles" : "roles");
    struct fed_kobj *role =
        kc ? fed_cache_find(kc, cluster ? (struct fed_str){NULL, 0} : o->ns, fed_json_find_text(ref, "name")) : NULL;
    if (!role)
        return true;
    FED_JSON_EACH(rule, fed_json_find(fed_kobj_parse(role, s->arena), "rules")) {
        if (!s->each(s->ud, rule)) {
            s->stopped = true;
            return false;
        }
    }
    return true;
}

void fed_rbac_rules(struct fed_api *api, const struct fed_identity *who, struct fed_str ns, struct fed_arena *a,
                    bool (*each)(void *ud, const struct fed_json *rule), void *ud)
{
    struct search s = {api, who, ns, a, each, ud, false};
    struct fed_str none = {NULL, 0};
    struct fed_kcache *cluster = kind_of(api, "clusterrolebindings"), *local = kind_of(api, "rolebindings");
    if (cluster)
        fed_tree_walk(cluster->root, none, none, none, try_binding, &s);
    if (local && ns.n && !s.stopped)
        fed_tree_walk(local->root, ns, none, none, try_binding, &s);
}

struct question {
    const struct fed_api_request *q;
    struct fed_str resource; /* with its subresource */
    bool yes;
};

static bool path_matches(const struct fed_json *urls, struct fed_str path)
{
    FED_JSON_EACH(u, urls) {
        if (fed_str_is(u->s, "*") || fed_str_eq(u->s, path))
            return true;
        if (fed_str_ends(u->s, FED_STR("*")) && fed_str_starts(path, fed_str_head(u->s, u->s.n - 1)))
            return true;
    }
    return false;
}

static bool resource_matches(const struct fed_json *list, const struct question *k)
{
    if (has(list, k->resource))
        return true;
    FED_JSON_EACH(i, list) /* any resource, this subresource */
        if (k->q->subresource.n && fed_str_starts(i->s, FED_STR("*/")) &&
            fed_str_eq(fed_str_from(i->s, 2), k->q->subresource))
            return true;
    return false;
}

static bool ask(void *ud, const struct fed_json *rule)
{
    struct question *k = ud;
    const struct fed_api_request *q = k->q;
    if (!has(fed_json_find(rule, "verbs"), fed_str(q->verb)))
        return true;
    if (!q->resource.n) {
        k->yes = path_matches(fed_json_find(rule, "nonResourceURLs"), q->path);
        return !k->yes;
    }
    const struct fed_json *names = fed_json_find(rule, "resourceNames");
    k->yes = has(fed_json_find(rule, "apiGroups"), q->group) && resource_matches(fed_json_find(rule, "resources"), k) &&
             (!names || !names->n || has(names, q->name));
    return !k->yes;
}

bool fed_rbac_allows(struct fed_api *api, const struct fed_api_request *q)
{
    if (!kind_of(api, "clusterrolebindings") && !kind_of(api, "rolebindings"))
        return false;
    struct fed_arena a = {0};
    struct question k = {.q = q, .resource = q->resource};
    if (q->subresource.n)
        k.resource = fed_arena_printf(&a, "%.*s/%.*s", FED_STR_ARG(q->resource), FED_STR_ARG(q->subresource));
    fed_rbac_rules(api, &q->who, q->ns, &a, ask, &k);
    fed_arena_release(&a);
    return k.yes;
}
