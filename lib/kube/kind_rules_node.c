/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "kube/check.h"
#include "kube/kind_rules.h"
#include "kube/names.h"
#include "kube/quantity.h"

static const struct fed_str none = {NULL, 0};
static const char cidr_words[] = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

static void check_taints(const struct fed_json *taints, struct fed_causes *c)
{
    struct fed_map seen = {0};
    size_t i = 0;
    FED_JSON_EACH(t, taints) {
        struct fed_str key = fed_json_find_text(t, "key"), effect = fed_json_find_text(t, "effect");
        fed_check_name(c, key, fed_name_check_qualified, fed_quoted(c->arena, key),
                       fed_arena_printf(c->arena, "spec.taints[%zu].key", i));
        fed_check_text(c, fed_json_find_text(t, "value"), fed_name_check_label_value, "spec.taints[%zu].value", i);
        if (!effect.n)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "", "spec.taints[%zu].effect", i);
        if (fed_seen_before(&seen, fed_arena_printf(c->arena, "%.*s:%.*s", FED_STR_ARG(effect), FED_STR_ARG(key))))
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_shown(c->arena, t), "taints must be unique by key and effect pair",
                    "spec.taints[%zu]", i);
        i++;
    }
    fed_map_release(&seen);
}

static bool differs(const struct fed_json *old, const struct fed_json *spec, const char *key)
{
    const struct fed_json *was = fed_json_find(old, key), *is = fed_json_find(spec, key);
    return was && (was->n || was->s.n) && !(is && fed_json_equal(was, is));
}

static void check_ranges(const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *list = fed_json_find(spec, "podCIDRs");
    size_t i = 0;
    FED_JSON_EACH(r, list) {
        if (!fed_is_cidr(fed_json_str(r)))
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, r), cidr_words, "spec.podCIDRs[%zu]", i);
        i++;
    }
    struct fed_str only = fed_json_find_text(spec, "podCIDR");
    if (only.n && !(list && list->n) && !fed_is_cidr(only))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, only), cidr_words, "spec.podCIDRs[0]");
}

static void check_addresses(const struct fed_json *list, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(it, list) {
        const struct fed_json *before = it->prev;
        while (before && !fed_json_equal(before, it))
            before = before->prev;
        if (before)
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_shown(c->arena, it), "", "status.addresses[%zu]", i);
        i++;
    }
}

void fed_rules_node_status(const struct fed_json *status, struct fed_causes *c)
{
    check_addresses(fed_json_find(status, "addresses"), c);
    static const char *const lists[] = {"capacity", "allocatable"};
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(q, fed_json_find(status, lists[i])) {
            int64_t milli;
            if (fed_quantity_milli(q->s, &milli) == 0 && milli < 0)
                fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, q), "must be greater than or equal to 0",
                        "status.%s.%.*s", lists[i], FED_STR_ARG(q->key));
        }
}

void fed_rules_node(const struct fed_json *old, const struct fed_json *spec, struct fed_causes *c)
{
    check_ranges(spec, c);
    check_taints(fed_json_find(spec, "taints"), c);
    if (differs(old, spec, "podCIDRs") || differs(old, spec, "podCIDR"))
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "node updates may not change podCIDR except from \"\" to valid",
                "spec.podCIDRs");
    if (differs(old, spec, "providerID"))
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "node updates may not change providerID except from \"\" to valid",
                "spec.providerID");
}
