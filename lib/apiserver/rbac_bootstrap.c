/* SPDX-License-Identifier: Apache-2.0 */
/* The roles and bindings that every server has, reconciled at each start: what is missing is made, missing rules and
 * subjects are added, what somebody added stays. The rules are those of Kubernetes for the kinds that are served here. */
#include "apiserver/rbac.h"
#include "apiserver/rbac_defaults.h"
#include "apiserver/registry.h"

#define API   "rbac.authorization.k8s.io/v1"
#define GROUP "rbac.authorization.k8s.io"
#define TO    "rbac.authorization.k8s.io/aggregate-to-"
#define AUTO  "rbac.authorization.kubernetes.io/autoupdate"

enum { BATCH = 32 }; /* so many at a time: all at once would leave the heap twice as large */

/* --- what they should be --- */

static void put_words(struct fed_arena *a, struct fed_json *o, const char *key, const char *words)
{
    struct fed_str rest = fed_str(words), one;
    if (!words)
        return;
    struct fed_json *list = fed_json_set(o, key, fed_json_array(a));
    if (!*words) /* the core group */
        fed_json_push(list, fed_json_new_strz(a, ""));
    while (rest.n && fed_str_cut(&rest, ',', &one))
        fed_json_push(list, fed_json_new_str(a, one));
}

/* NAME or NAMESPACE/NAME. */
static void cut_name(const char *both, struct fed_str *ns, struct fed_str *name)
{
    *name = fed_str(both);
    if (fed_str_find(*name, FED_STR("/"), 0) < 0 || !fed_str_cut(name, '/', ns))
        *ns = (struct fed_str){NULL, 0};
}

static struct fed_json *base_object(struct fed_arena *a, const char *kind, struct fed_str ns, struct fed_str name)
{
    struct fed_json *o = fed_obj_new(a, API, kind, ns, name);
    fed_obj_set_annotation(a, o, AUTO, FED_STR("true"));
    fed_obj_set_label(a, o, "kubernetes.io/bootstrapping", FED_STR("rbac-defaults"));
    return o;
}

/* The role that begins with this row. */
static struct fed_json *role_object(struct fed_arena *a, const struct fed_boot_rule *b)
{
    struct fed_str ns, name, aggregate = FED_STR("system:aggregate-to-");
    cut_name(b->groups, &ns, &name);
    struct fed_json *o = base_object(a, ns.n ? "Role" : "ClusterRole", ns, name);
    if (fed_str_starts(name, aggregate))
        fed_obj_set_label(a, o, fed_arena_printf(a, TO "%s", name.p + aggregate.n).p, FED_STR("true"));
    struct fed_json *rules = fed_json_set(o, "rules", fed_json_array(a));
    for (b++; b->verbs; b++) {
        struct fed_json *rule = fed_json_push(rules, fed_json_object(a));
        put_words(a, rule, "apiGroups", b->groups);
        put_words(a, rule, "resources", b->resources);
        put_words(a, rule, b->resources ? "resourceNames" : "nonResourceURLs", b->names_or_urls);
        put_words(a, rule, "verbs", b->verbs);
    }
    return o;
}

static struct fed_json *sum_object(struct fed_arena *a, const struct fed_boot_sum *b)
{
    struct fed_json *o = base_object(a, "ClusterRole", (struct fed_str){NULL, 0}, fed_str(b->name));
    if (b->inside)
        fed_obj_set_label(a, o, fed_arena_printf(a, TO "%s", b->inside).p, FED_STR("true"));
    fed_json_set(o, "rules", fed_json_array(a));
    struct fed_json *sum = fed_json_set(o, "aggregationRule", fed_json_object(a));
    struct fed_json *list = fed_json_set(sum, "clusterRoleSelectors", fed_json_array(a));
    struct fed_json *labels = fed_json_set(fed_json_push(list, fed_json_object(a)), "matchLabels", fed_json_object(a));
    fed_json_set(labels, fed_arena_printf(a, TO "%s", b->name).p, fed_json_new_strz(a, "true"));
    return o;
}

/* KIND=NAME, KIND=NAMESPACE/NAME */
static void put_subjects(struct fed_arena *a, struct fed_json *o, struct fed_str words)
{
    struct fed_str one, kind, ns;
    struct fed_json *list = words.n ? fed_json_set(o, "subjects", fed_json_array(a)) : NULL;
    while (words.n && fed_str_cut(&words, ',', &one)) {
        struct fed_json *s = fed_json_push(list, fed_json_object(a));
        fed_str_cut(&one, '=', &kind);
        if (!fed_str_is(kind, "ServiceAccount"))
            fed_json_set(s, "apiGroup", fed_json_new_strz(a, GROUP));
        fed_json_set(s, "kind", fed_json_new_str(a, kind));
        bool placed = fed_str_is(kind, "ServiceAccount") && fed_str_cut(&one, '/', &ns);
        fed_json_set(s, "name", fed_json_new_str(a, one));
        if (placed)
            fed_json_set(s, "namespace", fed_json_new_str(a, ns));
    }
}

static struct fed_json *binding_object(struct fed_arena *a, struct fed_str ns, struct fed_str name, struct fed_str role,
                                       struct fed_str subjects)
{
    struct fed_json *o = base_object(a, ns.n ? "RoleBinding" : "ClusterRoleBinding", ns, name);
    struct fed_json *ref = fed_json_set(o, "roleRef", fed_json_object(a));
    fed_json_set(ref, "apiGroup", fed_json_new_strz(a, GROUP));
    fed_json_set(ref, "kind", fed_json_new_strz(a, ns.n ? "Role" : "ClusterRole"));
    fed_json_set(ref, "name", fed_json_new_str(a, role));
    put_subjects(a, o, subjects);
    return o;
}

/* --- what is missing --- */

static bool add_map(struct fed_arena *a, struct fed_json *obj, const struct fed_json *want, const char *key)
{
    struct fed_json *to = fed_json_ensure_object(a, fed_obj_metadata(a, obj), key);
    bool changed = false;
    FED_JSON_EACH(e, fed_json_at(want, "metadata", key, NULL)) {
        if (!to || fed_json_find_str(to, e->key))
            continue;
        fed_json_set_str(to, e->key, fed_json_new_str(a, e->s));
        changed = true;
    }
    return changed;
}

static bool add_rules(struct fed_arena *a, struct fed_json *obj, const struct fed_json *want)
{
    struct fed_json *list = fed_json_ensure_array(a, obj, "rules");
    size_t n_have = 0, n_want = 0, n = 0;
    const struct fed_rule *have = fed_rules_read(a, list, &n_have);
    const struct fed_rule *wanted = fed_rules_read(a, fed_json_find(want, "rules"), &n_want);
    const struct fed_rule *missing = fed_rules_missing(a, have, n_have, wanted, n_want, &n);
    for (size_t i = 0; list && i < n; i++)
        fed_json_push(list, fed_rule_json(a, &missing[i]));
    return n > 0;
}

static bool add_subjects(struct fed_arena *a, struct fed_json *obj, const struct fed_json *want)
{
    struct fed_json *list = fed_json_ensure_array(a, obj, "subjects");
    bool changed = false;
    FED_JSON_EACH(w, fed_json_find(want, "subjects")) {
        bool has = !list;
        FED_JSON_EACH(s, list)
            has |= fed_str_eq(fed_json_find_text(s, "name"), fed_json_find_text(w, "name")) &&
                   fed_str_eq(fed_json_find_text(s, "kind"), fed_json_find_text(w, "kind"));
        if (has)
            continue;
        fed_json_push(list, fed_json_copy(a, w));
        changed = true;
    }
    return changed;
}

/* Brings obj (a copy of what is stored) up to `want`; false: nothing to do. */
static bool bring_up(struct fed_arena *a, struct fed_json *obj, const struct fed_json *want)
{
    if (fed_str_is(fed_obj_annotation(obj, AUTO), "false"))
        return false;
    bool changed = add_map(a, obj, want, "labels");
    changed |= add_map(a, obj, want, "annotations");
    const struct fed_json *sum = fed_json_find(want, "aggregationRule");
    if (sum && !fed_json_find(obj, "aggregationRule")) {
        fed_json_set(obj, "aggregationRule", fed_json_copy(a, sum));
        changed = true;
    }
    if (fed_json_find(want, "rules"))
        changed |= add_rules(a, obj, want);
    if (fed_json_find(want, "subjects"))
        changed |= add_subjects(a, obj, want);
    return changed;
}

/* --- writing --- */

typedef void (*made_fn)(struct fed_write_op *op, int code, uint64_t rev, const struct fed_err *err);

static void reconcile(struct fed_api *api, struct fed_kcache *kc, struct fed_api_reply *r, struct fed_json *want,
                      made_fn made)
{
    struct fed_arena *a = &r->arena;
    struct fed_str ns = fed_obj_ns(want), name = fed_obj_name(want);
    struct fed_kobj *old = fed_cache_find(kc, ns, name);
    struct fed_json *obj = old ? fed_kobj_parse(old, a) : want;
    /* Somebody's own server may do without kube-system. */
    bool nowhere = ns.n && fed_ns_cache(api) && !fed_cache_find(fed_ns_cache(api), (struct fed_str){NULL, 0}, ns);
    if (nowhere || (old && !bring_up(a, obj, want))) {
        r->answered = true;
        fed_api_request_done(r);
        return;
    }
    r->q.verb = old ? "update" : "create";
    r->q.group = kc->kind->group;
    r->q.version = FED_STR("v1");
    r->q.resource = kc->kind->plural;
    r->q.ns = ns;
    r->q.name = name;
    r->v = fed_kind_storage(kc->kind);
    r->kc = kc;
    struct fed_write_op *op = fed_write_op_new(r, NULL);
    op->done = made;
    op->create = !old;
    op->client_rev = true; /* whoever writes in between does the same */
    op->manager = fed_str(api->conf.server_name ? api->conf.server_name : "hansa");
    op->obj = obj;
    if (old) {
        op->old = fed_kobj_ref(old);
        op->old_tree = fed_kobj_parse(old, a);
    } else {
        fed_schema_default(a, r->v->schema, obj);
        fed_meta_create(op, obj);
    }
    api->bootstrap_left++;
    fed_commit_object(op);
}

static struct fed_kcache *kind_of(struct fed_api *api, const char *plural)
{
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, FED_STR(GROUP), FED_STR("v1"), fed_str(plural));
    return v ? fed_cache_kind(&api->cache, v->kind) : NULL;
}

/* Each object has its number, in the order of the tables. */
struct batch {
    size_t from, n;
};

static bool is_due(struct batch *b)
{
    size_t number = b->n++;
    return number >= b->from && number < b->from + BATCH;
}

static void bootstrap_roles(struct fed_api *api, struct batch *batch, made_fn made)
{
    struct fed_kcache *cluster = kind_of(api, "clusterroles"), *spaced = kind_of(api, "roles");
    for (const struct fed_boot_rule *b = fed_boot_rules; b->verbs || b->groups; b++) {
        struct fed_kcache *kc = b->verbs ? NULL : strchr(b->groups, '/') ? spaced : cluster;
        if (!kc || !is_due(batch))
            continue;
        struct fed_api_reply *r = fed_api_request_new(api);
        reconcile(api, kc, r, role_object(&r->arena, b), made);
    }
    for (const struct fed_boot_sum *b = fed_boot_sums; cluster && b->name; b++) {
        if (!is_due(batch))
            continue;
        struct fed_api_reply *r = fed_api_request_new(api);
        reconcile(api, cluster, r, sum_object(&r->arena, b), made);
    }
}

static void bootstrap_bindings(struct fed_api *api, struct batch *batch, made_fn made)
{
    struct fed_kcache *cluster = kind_of(api, "clusterrolebindings"), *spaced = kind_of(api, "rolebindings");
    struct fed_str ns, name, none = {NULL, 0}, controller = FED_STR(FED_BOOT_CONTROLLER);
    for (const struct fed_boot_binding *b = fed_boot_bindings; b->name; b++) {
        cut_name(b->name, &ns, &name);
        if (!(ns.n ? spaced : cluster) || !is_due(batch))
            continue;
        struct fed_api_reply *r = fed_api_request_new(api);
        reconcile(api, ns.n ? spaced : cluster, r,
                  binding_object(&r->arena, ns, name, fed_str(b->role), fed_str(b->subjects)), made);
    }
    for (const struct fed_boot_rule *b = fed_boot_rules; cluster && (b->verbs || b->groups); b++) {
        if (b->verbs || !fed_str_starts(fed_str(b->groups), controller) || !is_due(batch))
            continue;
        struct fed_api_reply *r = fed_api_request_new(api);
        struct fed_str account = fed_arena_printf(&r->arena, "ServiceAccount=kube-system/%s", b->groups + controller.n);
        reconcile(api, cluster, r, binding_object(&r->arena, none, fed_str(b->groups), fed_str(b->groups), account),
                  made);
    }
}

bool fed_rbac_bootstrap(struct fed_api *api, made_fn made)
{
    struct batch batch = {.from = api->bootstrap_at};
    bootstrap_roles(api, &batch, made);
    bootstrap_bindings(api, &batch, made);
    api->bootstrap_at += BATCH;
    return api->bootstrap_at < batch.n;
}
