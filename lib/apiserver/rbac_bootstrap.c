/* SPDX-License-Identifier: Apache-2.0 */
/* The roles and bindings that every server has, reconciled at each start: what is missing is made, missing rules and
 * subjects are added, what somebody added stays. The rules are those of Kubernetes for the kinds that are served here. */
#include "apiserver/rbac.h"
#include "apiserver/registry.h"

#define API       "rbac.authorization.k8s.io/v1"
#define GROUP     "rbac.authorization.k8s.io"
#define TO        "rbac.authorization.k8s.io/aggregate-to-"
#define AUTO      "rbac.authorization.kubernetes.io/autoupdate"
#define READ      "get,list,watch"
#define WRITE     "create,delete,deletecollection,patch,update"
#define READWRITE READ "," WRITE

struct boot_rule {                                          /* comma-separated */
    const char *verbs, *groups, *resources, *urls_or_names; /* names: of the resources */
};
struct boot_role {
    const char *name;
    const struct boot_rule *rules;
    const char *label;  /* aggregated to these */
    const char *sum_of; /* an aggregated role */
};

static const struct boot_rule cluster_admin[] = {{"*", "*", "*", NULL}, {"*", NULL, NULL, "*"}, {0}};
static const struct boot_rule discovery[] = {
    {"get", NULL, NULL, "/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/"},
    {0}};
static const struct boot_rule monitoring[] = {
    {"get", NULL, NULL, "/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*"}, {0}};
static const struct boot_rule public_info[] = {{"get", NULL, NULL, "/healthz,/livez,/readyz,/version,/version/"}, {0}};
static const struct boot_rule basic_user[] = {
    {"create", "authorization.k8s.io", "selfsubjectaccessreviews,selfsubjectrulesreviews", NULL},
    {"create", "authentication.k8s.io", "selfsubjectreviews", NULL},
    {0}};
static const struct boot_rule delegator[] = {{"create", "authentication.k8s.io", "tokenreviews", NULL},
                                             {"create", "authorization.k8s.io", "subjectaccessreviews", NULL},
                                             {0}};
static const struct boot_rule issuer[] = {
    {"get", NULL, NULL,
     "/.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/"},
    {0}};
static const struct boot_rule client_approver[] = {
    {"approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client"}, {0}};
static const struct boot_rule to_admin[] = {{"create", "authorization.k8s.io", "localsubjectaccessreviews", NULL},
                                            {READWRITE, GROUP, "roles,rolebindings", NULL},
                                            {0}};
static const struct boot_rule to_edit[] = {
    {READ, "", "pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy", NULL},
    {"impersonate", "", "serviceaccounts", NULL},
    {WRITE, "", "pods,pods/attach,pods/exec,pods/portforward,pods/proxy", NULL},
    {"create", "", "pods/eviction", NULL},
    {WRITE, "",
     "configmaps,endpoints,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,"
     "serviceaccounts,services,services/proxy",
     NULL},
    {"create", "", "serviceaccounts/token", NULL},
    {WRITE, "apps",
     "daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,"
     "statefulsets/scale",
     NULL},
    {WRITE, "autoscaling", "horizontalpodautoscalers", NULL},
    {WRITE, "batch", "cronjobs,jobs", NULL},
    {WRITE, "extensions",
     "daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,"
     "replicasets/scale,replicationcontrollers/scale",
     NULL},
    {WRITE, "policy", "poddisruptionbudgets", NULL},
    {WRITE, "networking.k8s.io", "ingresses,networkpolicies", NULL},
    {READWRITE, "coordination.k8s.io", "leases", NULL},
    {0}};
static const struct boot_rule to_view[] = {
    {READ, "",
     "configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,"
     "replicationcontrollers/scale,serviceaccounts,services,services/status",
     NULL},
    {READ, "",
     "bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,"
     "resourcequotas/status",
     NULL},
    {READ, "", "namespaces", NULL},
    {READ, "discovery.k8s.io", "endpointslices", NULL},
    {READ, "apps",
     "controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,"
     "replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status",
     NULL},
    {READ, "autoscaling", "horizontalpodautoscalers,horizontalpodautoscalers/status", NULL},
    {READ, "batch", "cronjobs,cronjobs/status,jobs,jobs/status", NULL},
    {READ, "extensions",
     "daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,"
     "networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale",
     NULL},
    {READ, "policy", "poddisruptionbudgets,poddisruptionbudgets/status", NULL},
    {READ, "networking.k8s.io", "ingresses,ingresses/status,networkpolicies", NULL},
    {READ, "multicluster.x-k8s.io", "serviceimports", NULL},
    {0}};

static const struct boot_role roles[] = {
    {"cluster-admin", cluster_admin, NULL, NULL},
    {"system:discovery", discovery, NULL, NULL},
    {"system:monitoring", monitoring, NULL, NULL},
    {"system:basic-user", basic_user, NULL, NULL},
    {"system:public-info-viewer", public_info, NULL, NULL},
    {"system:auth-delegator", delegator, NULL, NULL},
    {"system:service-account-issuer-discovery", issuer, NULL, NULL},
    {"system:certificates.k8s.io:kube-apiserver-client-approver", client_approver, NULL, NULL},
    {"system:aggregate-to-admin", to_admin, "admin", NULL},
    {"system:aggregate-to-edit", to_edit, "edit", NULL},
    {"system:aggregate-to-view", to_view, "view", NULL},
    {"admin", NULL, NULL, "admin"},
    {"edit", NULL, "admin", "edit"},
    {"view", NULL, "edit", "view"},
};
static const struct {
    const char *name, *groups; /* bound to the ClusterRole of the same name */
} bindings[] = {{"cluster-admin", "system:masters"},
                {"system:discovery", "system:authenticated"},
                {"system:basic-user", "system:authenticated"},
                {"system:public-info-viewer", "system:authenticated,system:unauthenticated"},
                {"system:monitoring", "system:monitoring"},
                {"system:service-account-issuer-discovery", "system:serviceaccounts"}};

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

static struct fed_json *base_object(struct fed_arena *a, const char *kind, const char *name)
{
    struct fed_json *o = fed_obj_new(a, API, kind, (struct fed_str){NULL, 0}, fed_str(name));
    fed_obj_set_annotation(a, o, AUTO, FED_STR("true"));
    fed_obj_set_label(a, o, "kubernetes.io/bootstrapping", FED_STR("rbac-defaults"));
    return o;
}

static struct fed_json *role_object(struct fed_arena *a, const struct boot_role *r)
{
    struct fed_json *o = base_object(a, "ClusterRole", r->name);
    if (r->label)
        fed_obj_set_label(a, o, fed_arena_printf(a, TO "%s", r->label).p, FED_STR("true"));
    struct fed_json *rules = fed_json_set(o, "rules", fed_json_array(a));
    for (const struct boot_rule *b = r->rules; b && b->verbs; b++) {
        struct fed_json *rule = fed_json_push(rules, fed_json_object(a));
        put_words(a, rule, "apiGroups", b->groups);
        put_words(a, rule, "resources", b->resources);
        put_words(a, rule, b->resources ? "resourceNames" : "nonResourceURLs", b->urls_or_names);
        put_words(a, rule, "verbs", b->verbs);
    }
    if (!r->sum_of)
        return o;
    struct fed_json *sum = fed_json_set(o, "aggregationRule", fed_json_object(a));
    struct fed_json *list = fed_json_set(sum, "clusterRoleSelectors", fed_json_array(a));
    struct fed_json *labels = fed_json_set(fed_json_push(list, fed_json_object(a)), "matchLabels", fed_json_object(a));
    fed_json_set(labels, fed_arena_printf(a, TO "%s", r->sum_of).p, fed_json_new_strz(a, "true"));
    return o;
}

static struct fed_json *binding_object(struct fed_arena *a, size_t i)
{
    struct fed_json *o = base_object(a, "ClusterRoleBinding", bindings[i].name);
    struct fed_json *ref = fed_json_set(o, "roleRef", fed_json_object(a));
    fed_json_set(ref, "apiGroup", fed_json_new_strz(a, GROUP));
    fed_json_set(ref, "kind", fed_json_new_strz(a, "ClusterRole"));
    fed_json_set(ref, "name", fed_json_new_strz(a, bindings[i].name));
    struct fed_json *list = fed_json_set(o, "subjects", fed_json_array(a));
    struct fed_str rest = fed_str(bindings[i].groups), one;
    while (fed_str_cut(&rest, ',', &one)) {
        struct fed_json *s = fed_json_push(list, fed_json_object(a));
        fed_json_set(s, "apiGroup", fed_json_new_strz(a, GROUP));
        fed_json_set(s, "kind", fed_json_new_strz(a, "Group"));
        fed_json_set(s, "name", fed_json_new_str(a, one));
    }
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
    struct fed_str none = {NULL, 0}, name = fed_obj_name(want);
    struct fed_kobj *old = fed_cache_find(kc, none, name);
    struct fed_json *obj = old ? fed_kobj_parse(old, a) : want;
    if (old && !bring_up(a, obj, want)) {
        r->answered = true;
        fed_api_request_done(r);
        return;
    }
    r->q.verb = old ? "update" : "create";
    r->q.group = kc->kind->group;
    r->q.version = FED_STR("v1");
    r->q.resource = kc->kind->plural;
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

void fed_rbac_bootstrap(struct fed_api *api, made_fn made)
{
    struct fed_kcache *kr = kind_of(api, "clusterroles"), *kb = kind_of(api, "clusterrolebindings");
    for (size_t i = 0; kr && i < FED_ARRAY_LEN(roles); i++) {
        struct fed_api_reply *r = fed_api_request_new(api);
        reconcile(api, kr, r, role_object(&r->arena, &roles[i]), made);
    }
    for (size_t i = 0; kb && i < FED_ARRAY_LEN(bindings); i++) {
        struct fed_api_reply *r = fed_api_request_new(api);
        reconcile(api, kb, r, binding_object(&r->arena, i), made);
    }
}
