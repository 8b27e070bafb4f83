/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"
#include "kube/names.h"
#include "kube/podspec.h"
#include "kube/quantity.h"
#include "kube/kind_rules.h"

static const struct fed_str none = {NULL, 0};

static void check_storage(const struct fed_json *amount, const char *at, struct fed_causes *c)
{
    int64_t milli;
    if (amount && fed_quantity_milli(amount->s, &milli) == 0 && milli <= 0)
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, amount->s), "must be greater than zero", "%s[storage]", at);
}

static void check_alone(const struct fed_json *modes, struct fed_causes *c)
{
    FED_JSON_EACH(m, modes)
        if (modes->n > 1 && fed_str_is(fed_json_str(m), "ReadWriteOncePod"))
            fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not use ReadWriteOncePod with other access modes",
                    "spec.accessModes");
}

static bool is_source(struct fed_str key)
{
    static const char *const others[] = {
        "capacity",         "accessModes", "persistentVolumeReclaimPolicy", "claimRef",
        "storageClassName", "volumeMode",  "volumeAttributesClassName",     "mountOptions",
        "nodeAffinity"};
    for (size_t i = 0; i < FED_ARRAY_LEN(others); i++)
        if (fed_str_is(key, others[i]))
            return false;
    return true;
}

/* What lies behind a volume never changes, nor from where it can be reached. */
static void check_same_volume(const struct fed_json *old, const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *affinity = fed_json_find(old, "nodeAffinity");
    bool same = true;
    for (int turn = 0; turn < 2; turn++)
        FED_JSON_EACH(source, turn ? spec : old)
            same = same && (!is_source(source->key) ||
                            fed_same_value(fed_json_find_str(old, source->key), fed_json_find_str(spec, source->key)));
    if (!same)
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "spec.persistentvolumesource is immutable after creation",
                "spec.persistentvolumesource");
    fed_check_immutable(old, spec, "", "volumeMode", c);
    if (affinity && !fed_same_value(affinity, fed_json_find(spec, "nodeAffinity")))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, fed_json_find(spec, "nodeAffinity")),
                "field is immutable, except for updating from beta label to GA", "nodeAffinity");
}

void fed_rules_volume(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *modes = fed_json_find(spec, "accessModes");
    const struct fed_json *capacity = fed_json_find(spec, "capacity");
    size_t n = 0;
    (void)ud;
    if (w->subresource.n)
        return;
    if (!modes || !modes->n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "", "spec.accessModes");
    if (!capacity || !capacity->n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "", "spec.capacity");
    else if (!fed_json_find(capacity, "storage") || capacity->n > 1)
        fed_bad(c, FED_CAUSE_NOT_SUPPORTED, fed_shown(c->arena, capacity), "supported values: \"storage\"",
                "spec.capacity");
    check_storage(fed_json_find(capacity, "storage"), "spec.capacity", c);
    FED_JSON_EACH(source, spec) {
        if (!is_source(source->key))
            continue;
        if (n++)
            fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not specify more than 1 volume type", "spec.%.*s",
                    FED_STR_ARG(source->key));
        else if (fed_str_is(source->key, "hostPath"))
            fed_check_no_backsteps(c, fed_json_find_text(source, "path"), "spec.hostPath.path");
    }
    if (!n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify a volume type", "spec");
    check_alone(modes, c);
    if (fed_str_is(fed_json_find_text(spec, "persistentVolumeReclaimPolicy"), "Recycle") &&
        fed_str_is(fed_json_find_text(fed_json_find(spec, "hostPath"), "path"), "/"))
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not be 'recycle' for a hostPath mount of '/'",
                "spec.persistentVolumeReclaimPolicy");
    if (fed_json_find(spec, "local") && !fed_json_find(spec, "nodeAffinity"))
        fed_bad(c, FED_CAUSE_REQUIRED, none, "Local volume requires node affinity", "spec.nodeAffinity");
    if (fed_json_find(spec, "nodeAffinity") && !fed_json_at(spec, "nodeAffinity", "required", NULL))
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify required node constraints", "spec.nodeAffinity.required");
    fed_check_text(c, fed_json_find_text(spec, "storageClassName"), fed_name_check_subdomain, "spec.storageClassName");
    if (w->old)
        check_same_volume(fed_json_find(w->old, "spec"), spec, c);
}

void fed_rules_class(const struct fed_json *class, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(p, fed_json_find(class, "parameters"))
        if (!p->key.n)
            fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"\""), "field can not be empty.", "parameters");
    FED_JSON_EACH(t, fed_json_find(class, "allowedTopologies")) {
        size_t k = 0;
        FED_JSON_EACH(e, fed_json_find(t, "matchLabelExpressions")) {
            const struct fed_json *values = fed_json_find(e, "values");
            const char *at = fed_arena_printf(c->arena, "allowedTopologies[%zu].matchLabelExpressions[%zu]", i, k++).p;
            if (!values || !values->n)
                fed_bad(c, FED_CAUSE_REQUIRED, none, "", "%s.values", at);
            fed_check_text(c, fed_json_find_text(e, "key"), fed_name_check_qualified, "%s.key", at);
        }
        i++;
    }
}

void fed_rules_claim(const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *modes = fed_json_find(spec, "accessModes");
    check_alone(modes, c);
    check_storage(fed_json_at(spec, "resources", "requests", "storage", NULL), "spec.resources", c);
    fed_selector_validate(fed_json_find(spec, "selector"), "spec.selector", c);
    fed_check_text(c, fed_json_find_text(spec, "storageClassName"), fed_name_check_subdomain, "spec.storageClassName");
}
