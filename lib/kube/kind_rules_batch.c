/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "kube/check.h"
#include "kube/podspec.h"
#include "kube/kind_rules.h"

static const struct fed_str none = {NULL, 0};

static bool has_container(const struct fed_json *pod, struct fed_str name)
{
    static const char *const lists[] = {"containers", "initContainers"};
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(ctr, fed_json_find(pod, lists[i]))
            if (fed_str_eq(fed_json_find_text(ctr, "name"), name))
                return true;
    return false;
}

static void check_codes(const struct fed_json *on, const struct fed_json *pod, const char *at, struct fed_causes *c)
{
    const struct fed_json *values = fed_json_find(on, "values");
    struct fed_str name = fed_json_find_text(on, "containerName");
    struct fed_map seen = {0};
    int64_t before = INT64_MIN;
    size_t i = 0;
    if (!values || !values->n)
        fed_bad(c, FED_CAUSE_INVALID, FED_STR("[]"), "at least one value is required", "%s.values", at);
    FED_JSON_EACH(v, values) {
        int64_t n = fed_json_int(v, 0);
        if (n == 0 && fed_str_is(fed_json_find_text(on, "operator"), "In"))
            fed_bad(c, FED_CAUSE_INVALID, FED_STR("0"), "must not be 0 for the In operator", "%s.values[%zu]", at, i);
        if (fed_map_has(&seen, v->s))
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_shown(c->arena, v), "", "%s.values[%zu]", at, i);
        else if (n < before)
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, values), "must be ordered", "%s.values", at);
        fed_map_set(&seen, v->s, NULL);
        before = n;
        i++;
    }
    fed_map_release(&seen);
    if (name.n && !has_container(pod, name))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, name),
                "must be one of the container or initContainer names in the pod template", "%s.containerName", at);
}

static void check_failures(const struct fed_json *spec, const struct fed_json *pod, const char *at,
                           struct fed_causes *c)
{
    struct fed_str restart = fed_json_find_text(pod, "restartPolicy");
    size_t i = 0;
    if (!fed_str_is(restart, "Never"))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, restart),
                "only \"Never\" is supported when podFailurePolicy is specified", "%s.template.spec.restartPolicy", at);
    FED_JSON_EACH(r, fed_json_at(spec, "podFailurePolicy", "rules", NULL)) {
        const struct fed_json *codes = fed_json_find(r, "onExitCodes"),
                              *conditions = fed_json_find(r, "onPodConditions");
        const char *here = fed_arena_printf(c->arena, "%s.podFailurePolicy.rules[%zu]", at, i++).p;
        bool conditional = conditions && conditions->n;
        if (codes)
            check_codes(codes, pod, fed_arena_printf(c->arena, "%s.onExitCodes", here).p, c);
        if (codes && conditional)
            fed_bad(c, FED_CAUSE_INVALID, none, "specifying both OnExitCodes and OnPodConditions is not supported",
                    "%s", here);
        if (!codes && !conditional)
            fed_bad(c, FED_CAUSE_INVALID, none, "specifying one of OnExitCodes and OnPodConditions is required", "%s",
                    here);
        if (fed_str_is(fed_json_find_text(r, "action"), "FailIndex") && !fed_json_find(spec, "backoffLimitPerIndex"))
            fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"FailIndex\""), "requires the backoffLimitPerIndex to be set",
                    "%s.action", here);
    }
}

void fed_rules_job(const struct fed_json *spec, const char *at, struct fed_causes *c)
{
    static const char *const per_index[] = {"backoffLimitPerIndex", "maxFailedIndexes"};
    const struct fed_json *pod = fed_json_at(spec, "template", "spec", NULL);
    bool indexed = fed_str_is(fed_json_find_text(spec, "completionMode"), "Indexed");
    if (indexed && !fed_json_find(spec, "completions"))
        fed_bad(c, FED_CAUSE_REQUIRED, none, "when completion mode is Indexed", "%s.completions", at);
    for (size_t i = 0; i < FED_ARRAY_LEN(per_index); i++) {
        fed_check_nonnegative(spec, at, per_index[i], c);
        if (fed_json_find(spec, per_index[i]) && !indexed)
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, fed_json_find(spec, per_index[i])),
                    "requires indexed completion mode", "%s.%s", at, per_index[i]);
    }
    if (fed_json_find(spec, "maxFailedIndexes") && !fed_json_find(spec, "backoffLimitPerIndex"))
        fed_bad(c, FED_CAUSE_REQUIRED, none, "when maxFailedIndexes is specified", "%s.backoffLimitPerIndex", at);
    if (fed_json_find(spec, "backoffLimitPerIndex") && !fed_str_is(fed_json_find_text(pod, "restartPolicy"), "Never"))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, fed_json_find_text(pod, "restartPolicy")),
                "only \"Never\" is supported when backoffLimitPerIndex is specified", "%s.template.spec.restartPolicy",
                at);
    if (fed_json_find(spec, "managedBy"))
        fed_check_domain_path(c, fed_json_find_text(spec, "managedBy"), "%s.managedBy", at);
    if (fed_json_find(spec, "podFailurePolicy"))
        check_failures(spec, pod, at, c);
    if (fed_json_bool(fed_json_find(spec, "manualSelector"), false) && !fed_json_find(spec, "selector"))
        fed_bad(c, FED_CAUSE_REQUIRED, none, "", "%s.selector", at);
}
