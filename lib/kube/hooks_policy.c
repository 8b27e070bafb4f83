/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_policy.c: HorizontalPodAutoscaler, PodDisruptionBudget, PriorityClass, ResourceQuota. */
#include "kube/check.h"
#include "kube/kind_rules.h"
#include "kube/convert.h"
#include "kube/limits.h"
#include "kube/podspec.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

static const struct fed_str none = {NULL, 0};

/* --- HorizontalPodAutoscaler --- */

/* Who says something of how it scales gets the rest of it written out. */
static int default_behavior(struct fed_arena *a, struct fed_json *behavior, struct fed_err *err)
{
    static const char *const ways[] = {"scaleUp", "scaleDown"};
    static const char *const texts[] = {
        "{\"stabilizationWindowSeconds\":0,\"selectPolicy\":\"Max\",\"policies\":[{\"type\":\"Pods\",\"value\":4,"
        "\"periodSeconds\":15},{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]}",
        "{\"selectPolicy\":\"Max\",\"policies\":[{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]}"};

    for (size_t i = 0; i < FED_ARRAY_LEN(ways); i++) {
        struct fed_json *full = NULL, *have = fed_json_ensure_object(a, behavior, ways[i]);
        if (fed_json_parse(a, fed_str(texts[i]), NULL, &full, err))
            return FED_E_INTERNAL;
        FED_JSON_EACH(m, have ? full : NULL)
            if (!fed_json_find_str(have, m->key))
                fed_json_set_str(have, m->key, fed_json_copy(a, m));
    }
    return 0;
}

static int default_hpa(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    static const char cpu[] = "[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":"
                              "\"Utilization\",\"averageUtilization\":80}}}]";
    struct fed_json *spec = fed_json_find(obj, "spec"), *metrics = fed_json_find(spec, "metrics"), *v = NULL;

    (void)ud;
    if (!spec || w->subresource.n)
        return 0;
    if (fed_json_find(spec, "behavior") && default_behavior(w->arena, fed_json_find(spec, "behavior"), err))
        return FED_E_INTERNAL;
    if (metrics && metrics->n)
        return 0;
    if (fed_json_parse(w->arena, FED_STR(cpu), NULL, &v, err))
        return FED_E_INTERNAL;
    fed_json_set(spec, "metrics", v);
    return 0;
}

static void validate_hpa(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    int64_t min = fed_json_int(fed_json_find(spec, "minReplicas"), 1);
    int64_t max = fed_json_int(fed_json_find(spec, "maxReplicas"), 0);

    (void)ud;
    if (w->subresource.n) {
        fed_rules_counts(w, obj, c);
        return;
    }
    if (!spec)
        return;
    if (min < 1)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.minReplicas"),
                       fed_shown(c->arena, fed_json_find(spec, "minReplicas")), "must be greater than or equal to 1");
    if (max < 1)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.maxReplicas"),
                       fed_shown(c->arena, fed_json_find(spec, "maxReplicas")), "must be greater than 0");
    if (max < min)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.maxReplicas"),
                       fed_shown(c->arena, fed_json_find(spec, "maxReplicas")),
                       "must be greater than or equal to `minReplicas`");
    fed_rules_autoscaler(spec, c);
}

/* One metric: what it is now or "<unknown>", and what it should be. */
static struct fed_str metric_text(struct fed_arena *a, const struct fed_json *obj, const struct fed_json *m, size_t i)
{
    static const struct {
        const char *type, *member;
        bool named; /* told with the resource's name, and may be a share of what was requested */
    } types[] = {{"Resource", "resource", true},
                 {"ContainerResource", "containerResource", true},
                 {"Pods", "pods", false},
                 {"Object", "object", false},
                 {"External", "external", false}};
    const struct fed_json *status = fed_json_item(fed_json_at(obj, "status", "currentMetrics", NULL), (uint32_t)i);
    struct fed_str unknown = FED_STR("<unknown>");
    size_t t = 0;

    while (t < FED_ARRAY_LEN(types) && !fed_str_is(fed_json_find_text(m, "type"), types[t].type))
        t++;
    if (t == FED_ARRAY_LEN(types))
        return FED_STR("<unknown type>");
    const struct fed_json *source = fed_json_find(m, types[t].member), *target = fed_json_find(source, "target");
    const struct fed_json *now = fed_json_at(status, types[t].member, "current", NULL);
    struct fed_str average = fed_json_find_text(target, "averageValue"), name = fed_json_find_text(source, "name");
    struct fed_str have = fed_json_find_text(now, average.n ? "averageValue" : "value");
    if (types[t].named && !average.n) {
        const struct fed_json *is = fed_json_find(now, "averageUtilization");
        const struct fed_json *want = fed_json_find(target, "averageUtilization");

        have = is ? fed_arena_printf(a, "%lld%%", (long long)fed_json_int(is, 0)) : unknown;
        return fed_arena_printf(
            a, "%.*s: %.*s/%.*s", FED_STR_ARG(name), FED_STR_ARG(have),
            FED_STR_ARG(want ? fed_arena_printf(a, "%lld%%", (long long)fed_json_int(want, 0)) : FED_STR("<auto>")));
    }
    if (!have.n)
        have = unknown;
    if (types[t].named)
        return fed_arena_printf(a, "%.*s: %.*s/%.*s", FED_STR_ARG(name), FED_STR_ARG(have), FED_STR_ARG(average));
    return fed_arena_printf(a, "%.*s/%.*s%s", FED_STR_ARG(have),
                            FED_STR_ARG(average.n ? average : fed_json_find_text(target, "value")),
                            average.n && t > 2 ? " (avg)" : "");
}

static void hpa_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                      int64_t now_ms, struct fed_json *cells)
{
    struct fed_json *copy = fed_json_copy(a, obj);
    const struct fed_json *ref = fed_json_at(obj, "spec", "scaleTargetRef", NULL), *min;
    struct fed_buf b = {0};
    size_t i = 0;

    (void)ud;
    if (v != fed_kind_storage(v->kind) && fed_kind_convert(a, copy, v, fed_kind_storage(v->kind), NULL) == 0)
        obj = copy;
    FED_JSON_EACH(m, fed_json_at(obj, "spec", "metrics", NULL)) {
        if (i < 2) {
            fed_buf_addz(&b, i ? ", " : "");
            fed_buf_add(&b, metric_text(a, obj, m, i));
        }
        i++;
    }
    if (i > 2)
        fed_buf_addf(&b, " + %zu more...", i - 2);
    min = fed_json_at(obj, "spec", "minReplicas", NULL);
    fed_cell_str(a, cells,
                 fed_arena_printf(a, "%.*s/%.*s", FED_STR_ARG(fed_json_find_text(ref, "kind")),
                                  FED_STR_ARG(fed_json_find_text(ref, "name"))));
    fed_cell_or(a, cells, fed_arena_dup(a, fed_buf_str(&b)), "<none>");
    fed_cell_str(a, cells, min ? fed_shown(a, min) : FED_STR("<unset>"));
    fed_cell_int(a, cells, fed_json_int(fed_json_at(obj, "spec", "maxReplicas", NULL), 0));
    fed_cell_int(a, cells, fed_json_int(fed_json_at(obj, "status", "currentReplicas", NULL), 0));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_buf_release(&b);
}

/* --- PodDisruptionBudget --- */

static void validate_budget(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const budgets[] = {"minAvailable", "maxUnavailable"};
    const struct fed_json *spec = fed_json_find(obj, "spec");

    (void)ud;
    if (w->subresource.n) {
        fed_rules_counts(w, obj, c);
        fed_rules_conditions(fed_json_at(obj, "status", "conditions", NULL), "status.conditions", c);
        return;
    }
    if (fed_json_find(spec, "minAvailable") && fed_json_find(spec, "maxUnavailable"))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec"), FED_STR("{}"),
                       "minAvailable and maxUnavailable cannot be both set");
    for (size_t i = 0; i < FED_ARRAY_LEN(budgets); i++) {
        (void)fed_check_int_or_percent(spec, "spec", budgets[i], c);
        fed_check_at_most_all(spec, "spec", budgets[i], c);
    }
    fed_selector_validate(fed_json_find(spec, "selector"), "spec.selector", c);
}

static void budget_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                         int64_t now_ms, struct fed_json *cells)
{
    static const char *const names[] = {"minAvailable", "maxUnavailable"};

    (void)ud;
    (void)v;
    for (size_t i = 0; i < 2; i++) {
        const struct fed_json *n = fed_json_at(obj, "spec", names[i], NULL);

        fed_cell_str(a, cells, n ? n->s : FED_STR("N/A"));
    }
    fed_cell_int(a, cells, fed_json_int(fed_json_at(obj, "status", "disruptionsAllowed", NULL), 0));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

/* --- PriorityClass, ResourceQuota --- */

static void validate_priority(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    struct fed_str name = fed_obj_name(obj);

    (void)ud;
    if (fed_str_starts(name, FED_STR("system-")) && !fed_str_is(name, "system-node-critical") &&
        !fed_str_is(name, "system-cluster-critical"))
        fed_causes_add(
            c, FED_CAUSE_FORBIDDEN, FED_STR("metadata.name"), none,
            "priority class names with 'system-' prefix are reserved for system use only. error: %.*s is not a "
            "known system priority class",
            FED_STR_ARG(name));
    if (fed_json_int(fed_json_find(obj, "value"), 0) > 1000000000 &&
        !fed_str_starts(fed_obj_name(obj), FED_STR("system-")))
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("value"), none,
                       "maximum allowed value of a user defined priority is 1000000000");
    if (w->old) {
        if (fed_json_int(fed_json_find(w->old, "value"), 0) != fed_json_int(fed_json_find(obj, "value"), 0))
            fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("value"), none, "may not be changed in an update.");
        fed_check_immutable(w->old, obj, "", "preemptionPolicy", c);
    }
}

static void priority_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                           int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_int(a, cells, fed_json_int(fed_json_find(obj, "value"), 0));
    fed_json_push(cells, fed_json_new_bool(a, fed_json_bool(fed_json_find(obj, "globalDefault"), false)));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_cell_str(a, cells, fed_json_find_text(obj, "preemptionPolicy"));
}

/* "cpu: 1/2, pods: 3/10": requests in the first cell, limits in the second. */
static void quota_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                        int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *used = fed_json_at(obj, "status", "used", NULL);
    struct fed_buf b[2] = {{0}, {0}};

    (void)ud;
    (void)v;
    FED_JSON_EACH(h, fed_json_at(obj, "status", "hard", NULL)) {
        struct fed_buf *to = &b[fed_str_starts(h->key, FED_STR("limits")) ? 1 : 0];
        const struct fed_json *u = fed_json_find_str(used, h->key);

        fed_buf_addf(to, "%s%.*s: %.*s/%.*s", to->n ? ", " : "", FED_STR_ARG(h->key),
                     FED_STR_ARG(u ? u->s : FED_STR("0")), FED_STR_ARG(h->s));
    }
    for (size_t i = 0; i < 2; i++) {
        fed_cell_str(a, cells, fed_arena_dup(a, fed_buf_str(&b[i])));
        fed_buf_release(&b[i]);
    }
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

const struct fed_core_hooks fed_hooks_policy[] = {
    {"autoscaling",
     "horizontalpodautoscalers",
     {.defaults = default_hpa, .validate = validate_hpa, .convert = fed_convert_hpa, .cells = hpa_cells}},
    {"policy", "poddisruptionbudgets", {.validate = validate_budget, .cells = budget_cells}},
    {"scheduling.k8s.io", "priorityclasses", {.validate = validate_priority, .cells = priority_cells}},
    {"", "resourcequotas", {.validate = fed_quota_validate, .cells = quota_cells}},
    {NULL, NULL, {0}}};
