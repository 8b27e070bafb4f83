/* SPDX-License-Identifier: Apache-2.0 */
/* What a ResourceQuota may bound. */
#include "kube/limits.h"
#include "kube/podspec.h"
#include "kube/quantity.h"
#include "kube/kind_rules.h"

static bool is_standard(struct fed_str name)
{
    static const char *const names[] = {"cpu",
                                        "memory",
                                        "ephemeral-storage",
                                        "requests.cpu",
                                        "requests.memory",
                                        "requests.storage",
                                        "requests.ephemeral-storage",
                                        "limits.cpu",
                                        "limits.memory",
                                        "limits.ephemeral-storage",
                                        "pods",
                                        "resourcequotas",
                                        "services",
                                        "services.nodeports",
                                        "services.loadbalancers",
                                        "replicationcontrollers",
                                        "secrets",
                                        "configmaps",
                                        "persistentvolumeclaims"};
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        if (fed_str_is(name, names[i]))
            return true;
    return fed_str_starts(name, FED_STR("hugepages-")) || fed_str_starts(name, FED_STR("requests.hugepages-"));
}

/* Objects are counted in whole numbers. */
static bool is_counted(struct fed_str name)
{
    return is_standard(name) && !fed_str_ends(name, FED_STR("cpu")) && !fed_str_ends(name, FED_STR("memory")) &&
           !fed_str_ends(name, FED_STR("storage")) && fed_str_find(name, FED_STR("hugepages-"), 0) < 0;
}

static void check_amounts(const struct fed_json *hard, const char *where, struct fed_causes *c)
{
    FED_JSON_EACH(h, hard) {
        struct fed_str at = fed_arena_printf(c->arena, "%s[%.*s]", where, FED_STR_ARG(h->key));
        struct fed_str name = fed_arena_printf(c->arena, "\"%.*s\"", FED_STR_ARG(h->key));
        int64_t milli = 0;
        if (fed_str_chr(h->key, '/', 0) < 0 && !is_standard(h->key)) {
            fed_causes_add(c, FED_CAUSE_INVALID, at, name, "must be a standard resource type or fully qualified");
            fed_causes_add(c, FED_CAUSE_INVALID, at, name, "must be a standard resource for quota");
        }
        if (fed_quantity_milli(h->s, &milli))
            continue;
        if (milli < 0)
            fed_causes_add(c, FED_CAUSE_INVALID, at, fed_shown(c->arena, h), "must be greater than or equal to 0");
        else if (is_counted(h->key) && milli % 1000)
            fed_causes_add(c, FED_CAUSE_INVALID, at, fed_shown(c->arena, h), "must be an integer");
    }
}

void fed_quota_validate(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    (void)ud;
    if (w->subresource.n) {
        check_amounts(fed_json_at(obj, "status", "hard", NULL), "status.hard", c);
        check_amounts(fed_json_at(obj, "status", "used", NULL), "status.used", c);
        return;
    }
    check_amounts(fed_json_find(spec, "hard"), "spec.hard", c);
    fed_rules_quota_scopes(spec, c);
    const struct fed_json *was = fed_json_at(w->old, "spec", "scopes", NULL), *now = fed_json_find(spec, "scopes");
    if (w->old && ((was && was->n) != (now && now->n) || (was && now && !fed_json_equal(was, now))))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.scopes"), fed_shown(c->arena, now), "field is immutable");
}
