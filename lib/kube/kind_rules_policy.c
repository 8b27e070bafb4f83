/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"
#include "kube/names.h"
#include "kube/podspec.h"
#include "kube/quantity.h"
#include "kube/kind_rules.h"

static const struct fed_str none = {NULL, 0};

/* --- HorizontalPodAutoscaler --- */

/* "ContainerResource" is at "containerResource". */
static const char *member_of(struct fed_causes *c, struct fed_str type)
{
    return fed_arena_printf(c->arena, "%c%.*s", type.p[0] | 0x20, FED_STR_ARG(fed_str_from(type, 1))).p;
}

static void check_target(const struct fed_json *target, const char *at, struct fed_causes *c)
{
    static const char *const types[] = {"AverageValue", "Utilization", "Value", NULL};
    static const char *const amounts[] = {"averageValue", "value"};
    if (!fed_json_find_text(target, "type").n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify a metric target type", "%s.type", at);
    fed_check_one_of(c, fed_json_find_text(target, "type"), types, "%s.type", at);
    fed_check_range(c, fed_json_find(target, "averageUtilization"), 1, INT32_MAX, "must be greater than 0",
                    "%s.averageUtilization", at);
    for (size_t i = 0; i < FED_ARRAY_LEN(amounts); i++) {
        const struct fed_json *v = fed_json_find(target, amounts[i]);
        int64_t milli;
        if (v && fed_quantity_milli(v->s, &milli) == 0 && milli <= 0)
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, v->s), "must be positive", "%s.%s", at, amounts[i]);
    }
}

static void check_metric(const struct fed_json *m, const char *at, struct fed_causes *c)
{
    static const char *const types[] = {"ContainerResource", "External", "Object", "Pods", "Resource", NULL};
    struct fed_str type = fed_json_find_text(m, "type");
    size_t before = c->n;
    if (!type.n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify a metric source type", "%s.type", at);
    fed_check_one_of(c, type, types, "%s.type", at);
    if (c->n != before || !type.n) /* the schema may have said first that it is required */
        return;
    const char *key = member_of(c, type);
    const struct fed_json *of = fed_json_find(m, key), *target = fed_json_find(of, "target");
    const char *here = fed_arena_printf(c->arena, "%s.%s", at, key).p;
    if (!of) {
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must populate information for the given metric source", "%s", here);
        return;
    }
    if (fed_str_ends(type, FED_STR("Resource"))) {
        if (!fed_json_find_text(of, "name").n)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify a resource name", "%s.name", here);
    } else if (!fed_json_find_text(fed_json_find(of, "metric"), "name").n) {
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify a metric name", "%s.metric.name", here);
    }
    check_target(target, fed_arena_printf(c->arena, "%s.target", here).p, c);
    if (fed_str_is(type, "Pods") && !fed_json_find(target, "averageValue"))
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify a positive target averageValue", "%s.target.averageValue",
                here);
    if ((fed_str_is(type, "Object") || fed_str_is(type, "External")) && !fed_json_find(target, "averageValue") &&
        !fed_json_find(target, "value"))
        fed_bad(c, FED_CAUSE_REQUIRED, none,
                fed_str_is(type, "Object") ? "must set either a target value or averageValue"
                                           : "must set either a target value for metric or a per-pod target",
                "%s.target.averageValue", here);
    if (fed_str_ends(type, FED_STR("Resource")) && !fed_json_find(target, "averageUtilization") &&
        !fed_json_find(target, "averageValue"))
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must set either a target raw value or a target utilization",
                "%s.target.averageUtilization", here);
}

static void check_way(const struct fed_json *rules, const char *at, struct fed_causes *c)
{
    static const char *const selects[] = {"Disabled", "Max", "Min", NULL}, *const types[] = {"Percent", "Pods", NULL};
    const struct fed_json *policies = fed_json_find(rules, "policies");
    size_t i = 0;
    fed_check_range(c, fed_json_find(rules, "stabilizationWindowSeconds"), 0, 3600,
                    fed_json_int(fed_json_find(rules, "stabilizationWindowSeconds"), 0) < 0
                        ? "must be greater than or equal to zero"
                        : "must be less than or equal to 3600",
                    "%s.stabilizationWindowSeconds", at);
    fed_check_one_of(c, fed_json_find_text(rules, "selectPolicy"), selects, "%s.selectPolicy", at);
    if (policies && !policies->n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify at least one Policy", "%s.policies", at);
    FED_JSON_EACH(p, policies) {
        fed_check_one_of(c, fed_json_find_text(p, "type"), types, "%s.policies[%zu].type", at, i);
        if (!fed_json_find_text(p, "type").n)
            fed_bad(c, FED_CAUSE_NOT_SUPPORTED, FED_STR("\"\""), "supported values: \"Percent\", \"Pods\"",
                    "%s.policies[%zu].type", at, i);
        fed_check_range(c, fed_json_find(p, "value"), 1, INT32_MAX, "must be greater than zero",
                        "%s.policies[%zu].value", at, i);
        fed_check_range(c, fed_json_find(p, "periodSeconds"), 1, 1800,
                        fed_json_int(fed_json_find(p, "periodSeconds"), 0) < 1 ? "must be greater than zero"
                                                                               : "must be less than or equal to 1800",
                        "%s.policies[%zu].periodSeconds", at, i);
        i++;
    }
}

void fed_rules_autoscaler(const struct fed_json *spec, struct fed_causes *c)
{
    static const char *const ways[] = {"scaleUp", "scaleDown"};
    size_t i = 0;
    const struct fed_json *target = fed_json_find(spec, "scaleTargetRef");
    fed_check_text(c, fed_json_find_text(target, "kind"), fed_name_check_path_segment, "spec.scaleTargetRef.kind");
    fed_check_text(c, fed_json_find_text(target, "name"), fed_name_check_path_segment, "spec.scaleTargetRef.name");
    FED_JSON_EACH(m, fed_json_find(spec, "metrics"))
        check_metric(m, fed_arena_printf(c->arena, "spec.metrics[%zu]", i++).p, c);
    for (size_t k = 0; k < FED_ARRAY_LEN(ways); k++) {
        const struct fed_json *rules = fed_json_at(spec, "behavior", ways[k], NULL);
        if (rules)
            check_way(rules, fed_arena_printf(c->arena, "spec.behavior.%s", ways[k]).p, c);
    }
}

/* --- ResourceQuota --- */

static bool has(const struct fed_json *list, const char *word)
{
    FED_JSON_EACH(s, list)
        if (fed_str_is(fed_json_str(s), word))
            return true;
    return false;
}

/* What a scope about pods can count. */
static bool about_pods(struct fed_str name, bool without_amounts)
{
    static const char *const amounts[] = {"cpu",           "memory", "requests.cpu", "requests.memory", "limits.cpu",
                                          "limits.memory", NULL};
    if (fed_str_is(name, "pods"))
        return true;
    for (size_t i = 0; amounts[i] && !without_amounts; i++)
        if (fed_str_is(name, amounts[i]))
            return true;
    return false;
}

static const struct fed_json *quota_selector(const struct fed_json *spec)
{
    return fed_json_at(spec, "scopeSelector", "matchExpressions", NULL);
}

static void check_scope_selector(const struct fed_json *spec, struct fed_causes *c)
{
    static const char *const at = "spec.scopeSelector.matchExpressions";
    static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist"};
    FED_JSON_EACH(e, quota_selector(spec)) {
        struct fed_str name = fed_json_find_text(e, "scopeName"), op = fed_json_find_text(e, "operator");
        const struct fed_json *values = fed_json_find(e, "values");
        size_t k = 0;
        while (k < 4 && !fed_str_is(op, operators[k]))
            k++;
        if (!fed_str_is(name, "PriorityClass") && k != 2)
            fed_bad(
                c, FED_CAUSE_INVALID, fed_quoted(c->arena, op),
                "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                "ResourceQuotaScopeCrossNamespacePodAffinity",
                "%s.operator", at);
        if (k < 2 && !(values && values->n))
            fed_bad(c, FED_CAUSE_REQUIRED, none,
                    "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector", "%s.values",
                    at);
        else if ((k == 2 || k == 3) && values && values->n)
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, values),
                    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector", "%s.values",
                    at);
        else if (k == 4)
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, op), "not a valid selector operator", "%s.operator", at);
    }
}

void fed_rules_quota_scopes(const struct fed_json *spec, struct fed_causes *c)
{
    static const char *const pods[] = {"BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "PriorityClass"};
    const struct fed_json *scopes = fed_json_find(spec, "scopes");
    for (size_t i = 0; i < FED_ARRAY_LEN(pods); i++)
        FED_JSON_EACH(h, has(scopes, pods[i]) ? fed_json_find(spec, "hard") : NULL)
            if (!about_pods(h->key, i == 0)) {
                fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, scopes), "unsupported scope applied to resource",
                        "spec.scopes");
                break;
            }
    if ((has(scopes, "BestEffort") && has(scopes, "NotBestEffort")) ||
        (has(scopes, "Terminating") && has(scopes, "NotTerminating")))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, scopes), "conflicting scopes", "spec.scopes");
    check_scope_selector(spec, c);
}
