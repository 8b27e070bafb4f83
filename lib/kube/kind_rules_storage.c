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
    fed_check_text(c, fed_json_find_text(spec, "storageClassName"), fed_name_check_subdomain, "spec.storageClassName");
}

void fed_rules_claim(const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *modes = fed_json_find(spec, "accessModes");
    FED_JSON_EACH(m, modes)
        if (modes->n > 1 && fed_str_is(fed_json_str(m), "ReadWriteOncePod"))
            fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not use ReadWriteOncePod with other access modes",
                    "spec.accessModes");
    check_storage(fed_json_at(spec, "resources", "requests", "storage", NULL), "spec.resources", c);
    fed_selector_validate(fed_json_find(spec, "selector"), "spec.selector", c);
    fed_check_text(c, fed_json_find_text(spec, "storageClassName"), fed_name_check_subdomain, "spec.storageClassName");
}
