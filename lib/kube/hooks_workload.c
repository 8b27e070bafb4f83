/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_workload.c: Deployment, ReplicaSet, DaemonSet, StatefulSet, ReplicationController, ControllerRevision. */
#include "kube/check.h"
#include "kube/kind_rules.h"
#include "kube/names.h"
#include "kube/convert.h"
#include "kube/podspec.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

/* --- preparation --- */

/* The beta versions of before apps/v1beta2 take the selector and the labels from the template. */
static bool old_defaults(const struct fed_kind_version *v)
{
    return fed_str_is(v->group, "extensions") || fed_str_is(v->version, "v1beta1") ||
           (!v->group.n && fed_str_is(v->kind->kind, "ReplicationController"));
}

static void defaults_from_template(const struct fed_write *w, struct fed_json *obj, struct fed_json *spec)
{
    const struct fed_json *labels = fed_json_at(spec, "template", "metadata", "labels", NULL);
    struct fed_json *meta = fed_obj_metadata(w->arena, obj), *have = fed_json_find(meta, "labels"), *sel;

    if (!labels || !labels->n)
        return;
    if (!have || !have->n)
        fed_json_set(meta, "labels", fed_json_copy(w->arena, labels));
    have = fed_json_find(spec, "selector");
    if (have && have->n)
        return;
    if (!w->kind->group.n) { /* a ReplicationController's selector is a plain map */
        fed_json_set(spec, "selector", fed_json_copy(w->arena, labels));
        return;
    }
    sel = fed_json_object(w->arena);
    fed_json_set(sel, "matchLabels", fed_json_copy(w->arena, labels));
    fed_json_set(spec, "selector", sel);
}

/* Which template it is, as clients of old versions see it in spec.templateGeneration; the server counts. */
static void count_templates(const struct fed_write *w, struct fed_json *obj, const struct fed_json *spec)
{
    static const char key[] = "deprecated.daemonset.template.generation";
    const struct fed_json *was = fed_json_at(w->old, "spec", "template", NULL), *is = fed_json_find(spec, "template");
    int64_t n = 0;

    if (fed_str_i64(fed_obj_annotation(w->old ? w->old : obj, key), &n) || n < 1)
        n = 1;
    if (was && is && !fed_json_equal_filled(is, was))
        n++;
    fed_obj_set_annotation(w->arena, obj, key, fed_arena_printf(w->arena, "%lld", (long long)n));
}

static int default_workload(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *spec;

    (void)ud;
    (void)err;
    if (w->subresource.n)
        return 0;
    spec = fed_json_ensure_object(w->arena, obj, "spec");
    if (spec && w->kind->group.n) /* there is always one, so what it lacks is told */
        (void)fed_json_ensure_object(w->arena, spec, "template");
    if (!spec)
        return 0;
    if (w->version && old_defaults(w->version))
        defaults_from_template(w, obj, spec);
    fed_podspec_prepare(w->arena, fed_json_at(spec, "template", "spec", NULL), true);
    FED_JSON_EACH(claim, fed_json_find(spec, "volumeClaimTemplates"))
        if (claim->type == FED_JSON_OBJECT) { /* nobody need write them, but they are compared with */
            fed_json_set(claim, "apiVersion", fed_json_new_strz(w->arena, "v1"));
            fed_json_set(claim, "kind", fed_json_new_strz(w->arena, "PersistentVolumeClaim"));
        }
    if (fed_str_is(w->kind->kind, "DaemonSet"))
        count_templates(w, obj, spec);
    return 0;
}

/* --- validation --- */

static void check_empty_selector(const struct fed_json *spec, const char *kind, struct fed_causes *c)
{
    const struct fed_json *sel = fed_json_find(spec, "selector"), *l = fed_json_find(sel, "matchLabels");
    const struct fed_json *e = fed_json_find(sel, "matchExpressions");
    const struct fed_json *labels = fed_json_at(spec, "template", "metadata", "labels", NULL);

    if (sel && !(l && l->n) && !(e && e->n))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.selector"), fed_shown(c->arena, sel),
                       "empty selector is invalid for %s", kind);
    if (!sel && strcmp(kind, "statefulset") == 0) /* of the others the schema says it */
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.selector"), (struct fed_str){NULL, 0}, "%s", "");
    if (!sel) /* the schema says that it is required; none selects nothing, so not the template either */
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.template.metadata.labels"), fed_shown(c->arena, labels),
                       "`selector` does not match template `labels`");
}

/* The selector is fixed in apps/v1 and v1beta2; the older versions let it change. */
static void check_selector_fixed(const struct fed_write *w, const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *old = fed_json_find(w->old, "spec");

    if (old && !(w->version && old_defaults(w->version)))
        fed_check_immutable(old, spec, "spec", "selector", c);
}

static void check_strategy(const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *strategy = fed_json_find(spec, "strategy");
    const struct fed_json *rolling = fed_json_find(strategy, "rollingUpdate");
    int64_t down, up;

    if (fed_str_is(fed_json_find_text(strategy, "type"), "Recreate") && rolling)
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec.strategy.rollingUpdate"), (struct fed_str){NULL, 0},
                       "may not be specified when strategy `type` is 'Recreate'");
    if (!fed_str_is(fed_json_find_text(strategy, "type"), "RollingUpdate") || !rolling)
        return;
    down = fed_check_int_or_percent(rolling, "spec.strategy.rollingUpdate", "maxUnavailable", c);
    up = fed_check_int_or_percent(rolling, "spec.strategy.rollingUpdate", "maxSurge", c);
    if (down == 0 && up == 0)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.strategy.rollingUpdate.maxUnavailable"),
                       fed_shown_int_or_string(c->arena, fed_json_find(rolling, "maxUnavailable")),
                       "may not be 0 when `maxSurge` is 0");
    fed_check_at_most_all(rolling, "spec.strategy.rollingUpdate", "maxUnavailable", c);
}

static void validate_deployment(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    int64_t ready = fed_json_int(fed_json_find(spec, "minReadySeconds"), 0);

    (void)ud;
    if (w->subresource.n) {
        fed_rules_counts(w, obj, c);
        return;
    }
    fed_check_nonnegative(spec, "spec", "replicas", c);
    fed_check_nonnegative(spec, "spec", "minReadySeconds", c);
    fed_check_nonnegative(spec, "spec", "revisionHistoryLimit", c);
    fed_check_nonnegative(spec, "spec", "progressDeadlineSeconds", c);
    if (fed_json_int(fed_json_find(spec, "progressDeadlineSeconds"), INT32_MAX) <= ready)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.progressDeadlineSeconds"),
                       fed_shown(c->arena, fed_json_find(spec, "progressDeadlineSeconds")),
                       "must be greater than minReadySeconds");
    check_empty_selector(spec, "deployment", c);
    fed_template_validate(spec, "ReplicaSet", c);
    check_strategy(spec, c);
    check_selector_fixed(w, spec, c);
}

static void validate_replicaset(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");

    (void)ud;
    if (w->subresource.n) {
        fed_rules_counts(w, obj, c);
        return;
    }
    fed_check_nonnegative(spec, "spec", "replicas", c);
    fed_check_nonnegative(spec, "spec", "minReadySeconds", c);
    check_empty_selector(spec, "replicaset", c);
    fed_template_validate(spec, "ReplicaSet", c);
    check_selector_fixed(w, spec, c);
}

static void validate_controller(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *sel = fed_json_find(spec, "selector");
    const struct fed_json *labels = fed_json_at(spec, "template", "metadata", "labels", NULL);

    (void)ud;
    if (w->subresource.n) {
        fed_rules_counts(w, obj, c);
        return;
    }
    fed_check_nonnegative(spec, "spec", "replicas", c);
    if (!sel || !sel->n)
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.selector"), (struct fed_str){NULL, 0}, "%s", "");
    fed_check_nonnegative(spec, "spec", "minReadySeconds", c);
    if (!fed_json_find(spec, "template")) {
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.template"), (struct fed_str){NULL, 0}, "%s", "");
        return;
    }
    FED_JSON_EACH(l, sel) {
        if (fed_str_eq(fed_json_str(fed_json_find_str(labels, l->key)), fed_json_str(l)))
            continue;
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.template.metadata.labels"), fed_shown(c->arena, labels),
                       "`selector` does not match template `labels`");
        break;
    }
    fed_template_check_metadata(fed_json_find(spec, "template"), "spec.template", c);
    fed_podspec_validate(fed_json_at(spec, "template", "spec", NULL), "spec.template.spec", c);
    fed_template_runs_on(fed_json_at(spec, "template", "spec", NULL), "ReplicationController", c);
}

static void validate_daemonset(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    const struct fed_json *rolling = fed_json_at(spec, "updateStrategy", "rollingUpdate", NULL);
    int64_t down, up;

    (void)ud;
    if (w->subresource.n) {
        fed_rules_counts(w, obj, c);
        return;
    }
    fed_check_nonnegative(spec, "spec", "minReadySeconds", c);
    fed_check_nonnegative(spec, "spec", "revisionHistoryLimit", c);
    check_empty_selector(spec, "daemonset", c);
    fed_template_validate(spec, "DaemonSet", c);
    check_selector_fixed(w, spec, c);
    down = fed_check_int_or_percent(rolling, "spec.updateStrategy.rollingUpdate", "maxUnavailable", c);
    up = fed_check_int_or_percent(rolling, "spec.updateStrategy.rollingUpdate", "maxSurge", c);
    fed_check_at_most_all(rolling, "spec.updateStrategy.rollingUpdate", "maxUnavailable", c);
    fed_check_at_most_all(rolling, "spec.updateStrategy.rollingUpdate", "maxSurge", c);
    if (down > 0 && up > 0)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.updateStrategy.rollingUpdate.maxSurge"),
                       fed_shown_int_or_string(c->arena, fed_json_find(rolling, "maxSurge")),
                       "may not be set when maxUnavailable is non-zero");
    if (down == 0 && up <= 0)
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.updateStrategy.rollingUpdate.maxUnavailable"),
                       (struct fed_str){NULL, 0}, "cannot be 0 when maxSurge is 0");
}

/* What a StatefulSet may change after it was made. */
static struct fed_json *statefulset_frozen(struct fed_arena *a, const struct fed_json *spec)
{
    static const char *const free_fields[] = {"replicas",
                                              "ordinals",
                                              "template",
                                              "updateStrategy",
                                              "minReadySeconds",
                                              "persistentVolumeClaimRetentionPolicy",
                                              "revisionHistoryLimit"};
    struct fed_json *copy = fed_json_copy(a, spec);

    for (size_t i = 0; i < FED_ARRAY_LEN(free_fields); i++)
        fed_json_remove_key(copy, free_fields[i]);
    FED_JSON_EACH(claim, fed_json_find(copy, "volumeClaimTemplates")) {
        fed_json_remove_key(claim, "apiVersion");
        fed_json_remove_key(claim, "kind");
    }
    return copy;
}

/* The same spec with the volumes that the controller will add for the claims. */
static const struct fed_json *with_claims(struct fed_arena *a, const struct fed_json *spec)
{
    const struct fed_json *claims = fed_json_find(spec, "volumeClaimTemplates");
    struct fed_json *copy, *volumes;

    if (!claims || !claims->n || !fed_json_at(spec, "template", "spec", NULL))
        return spec;
    copy = fed_json_copy(a, spec);
    volumes = fed_json_ensure_array(a, fed_json_at(copy, "template", "spec", NULL), "volumes");
    FED_JSON_EACH(t, claims) {
        struct fed_json *v = fed_json_object(a);
        bool have = false;

        FED_JSON_EACH(old, volumes)
            have = have || fed_str_eq(fed_json_find_text(old, "name"), fed_obj_name(t));
        fed_json_set(v, "name", fed_json_new_str(a, fed_obj_name(t)));
        fed_json_set(v, "emptyDir", fed_json_object(a));
        if (!have && volumes && fed_obj_name(t).n)
            fed_json_push(volumes, v);
    }
    return copy;
}

static void check_set_strategy(const struct fed_json *spec, struct fed_causes *c)
{
    static const char *const retained[] = {"Delete", "Retain", NULL};
    const struct fed_json *strategy = fed_json_find(spec, "updateStrategy");
    const struct fed_json *rolling = fed_json_find(strategy, "rollingUpdate");
    const struct fed_json *keep = fed_json_find(spec, "persistentVolumeClaimRetentionPolicy");

    if (rolling && fed_str_is(fed_json_find_text(strategy, "type"), "OnDelete"))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.updateStrategy.rollingUpdate"), fed_shown(c->arena, rolling),
                       "only allowed for updateStrategy 'RollingUpdate'");
    fed_check_nonnegative(rolling, "spec.updateStrategy.rollingUpdate", "partition", c);
    fed_check_nonnegative(spec, "spec", "minReadySeconds", c);
    fed_check_nonnegative(spec, "spec", "revisionHistoryLimit", c);
    fed_check_nonnegative(fed_json_find(spec, "ordinals"), "spec.ordinals", "start", c);
    fed_check_one_of(c, fed_json_find_text(keep, "whenDeleted"), retained,
                     "spec.persistentVolumeClaimRetentionPolicy.whenDeleted");
    fed_check_one_of(c, fed_json_find_text(keep, "whenScaled"), retained,
                     "spec.persistentVolumeClaimRetentionPolicy.whenScaled");
}

static void validate_statefulset(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *old = fed_json_find(w->old, "spec");

    (void)ud;
    if (w->subresource.n) {
        fed_rules_counts(w, obj, c);
        return;
    }
    fed_check_nonnegative(spec, "spec", "replicas", c);
    check_set_strategy(spec, c);
    check_empty_selector(spec, "statefulset", c);
    fed_template_validate(with_claims(c->arena, spec), "StatefulSet", c);
    if (old && spec && !fed_json_equal(statefulset_frozen(c->arena, old), statefulset_frozen(c->arena, spec)))
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec"), (struct fed_str){NULL, 0},
                       "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                       "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                       "'minReadySeconds' are forbidden");
}

static void validate_revision(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    (void)ud;
    if (w->old)
        fed_check_immutable(w->old, obj, "", "data", c);
    const struct fed_json *data = fed_json_find(obj, "data");
    if (!data || data->type == FED_JSON_NULL)
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("data"), (struct fed_str){NULL, 0}, "data is mandatory");
    fed_check_nonnegative(obj, "", "revision", c);
}

/* --- cells --- */

static int64_t status_int(const struct fed_json *obj, const char *key)
{
    return fed_json_int(fed_json_at(obj, "status", key, NULL), 0);
}

static void containers_cells(struct fed_arena *a, const struct fed_json *obj, struct fed_json *cells)
{
    const struct fed_json *containers = fed_json_at(obj, "spec", "template", "spec", "containers", NULL);

    fed_cell_str(a, cells, fed_cell_join(a, containers, "name"));
    fed_cell_str(a, cells, fed_cell_join(a, containers, "image"));
}

static void deployment_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v,
                             const struct fed_json *obj, int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_str(a, cells,
                 fed_arena_printf(a, "%lld/%lld", (long long)status_int(obj, "readyReplicas"),
                                  (long long)fed_json_int(fed_json_at(obj, "spec", "replicas", NULL), 1)));
    fed_cell_int(a, cells, status_int(obj, "updatedReplicas"));
    fed_cell_int(a, cells, status_int(obj, "availableReplicas"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    containers_cells(a, obj, cells);
    fed_cell_str(a, cells, fed_cell_selector(a, fed_json_at(obj, "spec", "selector", NULL)));
}

static void replicaset_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v,
                             const struct fed_json *obj, int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *sel = fed_json_at(obj, "spec", "selector", NULL);

    (void)ud;
    fed_cell_int(a, cells, fed_json_int(fed_json_at(obj, "spec", "replicas", NULL), 1));
    fed_cell_int(a, cells, status_int(obj, "replicas"));
    fed_cell_int(a, cells, status_int(obj, "readyReplicas"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    containers_cells(a, obj, cells);
    fed_cell_str(a, cells, v->group.n ? fed_cell_selector(a, sel) : fed_cell_map(a, sel));
}

static void daemonset_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                            int64_t now_ms, struct fed_json *cells)
{
    static const char *const counts[] = {"desiredNumberScheduled", "currentNumberScheduled", "numberReady",
                                         "updatedNumberScheduled", "numberAvailable"};

    (void)ud;
    (void)v;
    for (size_t i = 0; i < FED_ARRAY_LEN(counts); i++)
        fed_cell_int(a, cells, status_int(obj, counts[i]));
    fed_cell_str(a, cells, fed_cell_map(a, fed_json_at(obj, "spec", "template", "spec", "nodeSelector", NULL)));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    containers_cells(a, obj, cells);
    fed_cell_str(a, cells, fed_cell_selector(a, fed_json_at(obj, "spec", "selector", NULL)));
}

static void statefulset_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v,
                              const struct fed_json *obj, int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_str(a, cells,
                 fed_arena_printf(a, "%lld/%lld", (long long)status_int(obj, "readyReplicas"),
                                  (long long)fed_json_int(fed_json_at(obj, "spec", "replicas", NULL), 1)));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    containers_cells(a, obj, cells);
}

static void revision_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                           int64_t now_ms, struct fed_json *cells)
{
    struct fed_str text = FED_STR("<none>");

    (void)ud;
    (void)v;
    FED_JSON_EACH(o, fed_json_at(obj, "metadata", "ownerReferences", NULL))
        if (fed_json_bool(fed_json_find(o, "controller"), false)) {
            struct fed_str group = fed_json_find_text(o, "apiVersion");
            ptrdiff_t slash = fed_str_chr(group, '/', 0);

            group = fed_str_head(group, slash < 0 ? 0 : (size_t)slash);
            text = fed_arena_printf(a, "%.*s%s%.*s/%.*s", FED_STR_ARG(fed_name_lower(a, fed_json_find_text(o, "kind"))),
                                    group.n ? "." : "", FED_STR_ARG(group), FED_STR_ARG(fed_json_find_text(o, "name")));
        }
    fed_cell_str(a, cells, text);
    fed_cell_int(a, cells, fed_json_int(fed_json_find(obj, "revision"), 0));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

#define WORKLOAD(plural, valid, shown)                                                                                 \
    {                                                                                                                  \
        "apps", plural,                                                                                                \
        {                                                                                                              \
            .defaults = default_workload, .validate = (valid), .convert = fed_convert_workload, .cells = (shown)       \
        }                                                                                                              \
    }

const struct fed_core_hooks fed_hooks_workload[] = {
    WORKLOAD("deployments", validate_deployment, deployment_cells),
    WORKLOAD("replicasets", validate_replicaset, replicaset_cells),
    WORKLOAD("daemonsets", validate_daemonset, daemonset_cells),
    WORKLOAD("statefulsets", validate_statefulset, statefulset_cells),
    {"",
     "replicationcontrollers",
     {.defaults = default_workload, .validate = validate_controller, .cells = replicaset_cells}},
    {"apps", "controllerrevisions", {.validate = validate_revision, .cells = revision_cells}},
    {NULL, NULL, {0}}};
