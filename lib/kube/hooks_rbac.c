/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_rbac.c: roles and bindings, webhook configurations. Escalation checks are the engine's. */
#include "kube/certificates.h"
#include "kube/check.h"
#include "kube/limits.h"
#include "kube/names.h"
#include "kube/podspec.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

static const struct fed_str none = {NULL, 0};

static bool empty_list(const struct fed_json *v)
{
    return !v || !v->n;
}

static void check_aggregation(const struct fed_json *rule, struct fed_causes *c)
{
    const struct fed_json *list = fed_json_find(rule, "clusterRoleSelectors");
    size_t i = 0;

    if (rule && empty_list(list))
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("aggregationRule.clusterRoleSelectors"), none,
                       "at least one clusterRoleSelector required if aggregationRule is non-nil");
    FED_JSON_EACH(s, list)
        fed_selector_validate(s, fed_arena_printf(c->arena, "aggregationRule.clusterRoleSelectors[%zu]", i++).p, c);
}

static void validate_role(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    size_t i = 0;

    (void)ud;
    check_aggregation(fed_json_find(obj, "aggregationRule"), c);
    FED_JSON_EACH(r, fed_json_find(obj, "rules")) {
        const char *at = fed_arena_printf(c->arena, "rules[%zu]", i++).p;
        const struct fed_json *urls = fed_json_find(r, "nonResourceURLs");

        if (empty_list(fed_json_find(r, "verbs")))
            fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.verbs", at), none,
                           "verbs must contain at least one value");
        if (!empty_list(urls)) {
            if (w->kind->namespaced)
                fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%s.nonResourceURLs", at),
                               fed_shown(c->arena, urls), "namespaced rules cannot apply to non-resource URLs");
            if (!empty_list(fed_json_find(r, "apiGroups")) || !empty_list(fed_json_find(r, "resources")) ||
                !empty_list(fed_json_find(r, "resourceNames")))
                fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%s.nonResourceURLs", at),
                               fed_shown(c->arena, urls),
                               "rules cannot apply to both regular resources and non-resource URLs");
            continue;
        }
        if (empty_list(fed_json_find(r, "apiGroups")))
            fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.apiGroups", at), none,
                           "resource rules must supply at least one api group");
        if (empty_list(fed_json_find(r, "resources")))
            fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.resources", at), none,
                           "resource rules must supply at least one resource");
    }
}

static void check_subject(const struct fed_json *s, const char *at, bool namespaced, struct fed_causes *c)
{
    static const char *const ours[] = {"rbac.authorization.k8s.io", NULL}, *const core[] = {"", NULL};
    struct fed_str kind = fed_json_find_text(s, "kind"), group = fed_json_find_text(s, "apiGroup");

    bool account = fed_str_is(kind, "ServiceAccount");

    if (account || fed_str_is(kind, "User") || fed_str_is(kind, "Group"))
        fed_check_one_of(c, group, account ? core : ours, "%s.apiGroup", at);
    if (fed_str_is(kind, "ServiceAccount")) {
        fed_check_text(c, fed_json_find_text(s, "name"), fed_name_check_subdomain, "%s.name", at);
        if (!fed_json_find_text(s, "namespace").n && !namespaced)
            fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.namespace", at), none, "%s", "");
    } else if (!fed_str_is(kind, "User") && !fed_str_is(kind, "Group")) {
        fed_causes_drop_required(c, fed_arena_printf(c->arena, "%s.kind", at));
        fed_bad(c, FED_CAUSE_NOT_SUPPORTED, fed_quoted(c->arena, kind),
                "supported values: \"ServiceAccount\", \"User\", \"Group\"", "%s.kind", at);
    }
}

static int default_binding(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    (void)ud;
    (void)err;
    (void)fed_json_ensure_object(w->arena, obj, "roleRef"); /* there is always one, so what it lacks is told */
    return 0;
}

static void validate_binding(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const groups[] = {"rbac.authorization.k8s.io", NULL};
    const struct fed_json *ref = fed_json_find(obj, "roleRef");
    struct fed_str kind = fed_json_find_text(ref, "kind");
    size_t i = 0;

    (void)ud;
    fed_check_one_of(c, fed_json_find_text(ref, "apiGroup"), groups, "roleRef.apiGroup");
    fed_check_text(c, fed_json_find_text(ref, "name"), fed_name_check_path_segment, "roleRef.name");
    if (!fed_str_is(kind, "ClusterRole") && !(fed_str_is(kind, "Role") && w->kind->namespaced)) {
        fed_causes_drop_required(c, FED_STR("roleRef.kind"));
        fed_bad(c, FED_CAUSE_NOT_SUPPORTED, fed_quoted(c->arena, kind),
                w->kind->namespaced ? "supported values: \"Role\", \"ClusterRole\""
                                    : "supported values: \"ClusterRole\"",
                "roleRef.kind");
    }
    if (w->old && !fed_json_equal(fed_json_find(w->old, "roleRef"), ref))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("roleRef"), fed_shown(c->arena, ref), "cannot change roleRef");
    FED_JSON_EACH(s, fed_json_find(obj, "subjects"))
        check_subject(s, fed_arena_printf(c->arena, "subjects[%zu]", i++).p, w->kind->namespaced, c);
}

static void created_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                          int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    (void)now_ms;
    fed_cell_str(a, cells, fed_json_find_text(fed_json_find(obj, "metadata"), "creationTimestamp"));
}

static struct fed_str subjects_of(struct fed_arena *a, const struct fed_json *obj, const char *kind)
{
    struct fed_buf b = {0};
    struct fed_str out;

    FED_JSON_EACH(s, fed_json_find(obj, "subjects")) {
        if (!fed_str_is(fed_json_find_text(s, "kind"), kind))
            continue;
        if (b.n)
            fed_buf_addz(&b, ", ");
        if (fed_str_is(fed_str(kind), "ServiceAccount"))
            fed_buf_addf(&b, "%.*s/", FED_STR_ARG(fed_json_find_text(s, "namespace")));
        fed_buf_add(&b, fed_json_find_text(s, "name"));
    }
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static void binding_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                          int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *ref = fed_json_find(obj, "roleRef");

    (void)ud;
    (void)v;
    fed_cell_str(a, cells,
                 fed_arena_printf(a, "%.*s/%.*s", FED_STR_ARG(fed_json_find_text(ref, "kind")),
                                  FED_STR_ARG(fed_json_find_text(ref, "name"))));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_cell_str(a, cells, subjects_of(a, obj, "User"));
    fed_cell_str(a, cells, subjects_of(a, obj, "Group"));
    fed_cell_str(a, cells, subjects_of(a, obj, "ServiceAccount"));
}

static void webhook_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                          int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *list = fed_json_find(obj, "webhooks");

    (void)ud;
    (void)v;
    fed_cell_int(a, cells, list ? list->n : 0);
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

static void request_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                          int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *status = fed_json_find(obj, "status");
    const struct fed_json *seconds = fed_json_find(spec, "expirationSeconds");
    struct fed_str types = fed_cell_join(a, fed_json_find(status, "conditions"), "type");

    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_cell_str(a, cells, fed_json_find_text(spec, "signerName"));
    fed_cell_or(a, cells, fed_json_find_text(spec, "username"), "<none>");
    fed_cell_str(a, cells, seconds ? fed_duration_human(a, fed_json_int(seconds, 0) * 1000) : FED_STR("<none>"));
    if (!types.n)
        types = FED_STR("Pending");
    fed_cell_str(a, cells,
                 fed_json_find_text(status, "certificate").n ? fed_arena_printf(a, "%.*s,Issued", FED_STR_ARG(types))
                                                             : types);
}

const struct fed_core_hooks fed_hooks_rbac[] = {
    {"rbac.authorization.k8s.io", "roles", {.validate = validate_role, .cells = created_cells}},
    {"rbac.authorization.k8s.io", "clusterroles", {.validate = validate_role, .cells = created_cells}},
    {"rbac.authorization.k8s.io",
     "rolebindings",
     {.defaults = default_binding, .validate = validate_binding, .cells = binding_cells}},
    {"rbac.authorization.k8s.io",
     "clusterrolebindings",
     {.defaults = default_binding, .validate = validate_binding, .cells = binding_cells}},
    {"admissionregistration.k8s.io", "validatingwebhookconfigurations", {.cells = webhook_cells}},
    {"admissionregistration.k8s.io", "mutatingwebhookconfigurations", {.cells = webhook_cells}},
    {"certificates.k8s.io", "certificatesigningrequests", {.validate = fed_csr_validate, .cells = request_cells}},
    {"", "limitranges", {.defaults = fed_limits_fill, .validate = fed_limits_validate, .cells = created_cells}},
    {NULL, NULL, {0}}};
