/* SPDX-License-Identifier: Apache-2.0 */
/* service_addresses.c: what a Service asks of addresses and their families. Kubernetes looks at that before anything else
 * of a Service, where it gives addresses out, and where it is wrong tells nothing else. Included clusters and the
 * federation have addresses of one family, IPv4. */
#include "base/map.h"
#include "kube/check.h"
#include "kube/kind_rules.h"

static const char *const families[] = {"IPv4", "IPv6", NULL};
static const char *const policies[] = {"PreferDualStack", "RequireDualStack", "SingleStack", NULL};

static bool is_six(struct fed_str ip)
{
    return fed_str_chr(ip, ':', 0) >= 0;
}

static void check_synced(struct fed_str ip, const struct fed_json *ips, struct fed_causes *c)
{
    if (ip.n && !(ips && ips->n))
        fed_bad(c, FED_CAUSE_REQUIRED, (struct fed_str){NULL, 0}, "", "spec.clusterIPs");
    else if (ip.n && !fed_str_eq(fed_json_str(ips->first), ip))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ips), "first value must match `clusterIP`",
                "spec.clusterIPs");
    else if (!ip.n && ips && ips->n)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ips), "must be empty when `clusterIP` is not specified",
                "spec.clusterIPs");
}

static void check_families(const struct fed_json *list, struct fed_causes *c)
{
    struct fed_map seen = {0};
    size_t i = 0;
    FED_JSON_EACH(f, list) {
        fed_check_one_of(c, fed_json_str(f), families, "spec.ipFamilies[%zu]", i);
        if (fed_seen_before(&seen, fed_json_str(f)))
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_shown(c->arena, f), "", "spec.ipFamilies[%zu]", i);
        i++;
    }
    fed_map_release(&seen);
}

/* False: not worth looking further. */
static bool check_ips(const struct fed_json *ips, struct fed_causes *c)
{
    size_t i = 0, before;
    bool well = true;
    FED_JSON_EACH(ip, ips) {
        if (i == 0 && fed_str_is(fed_json_str(ip), "None")) {
            if (ips->n > 1)
                fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ips), "'None' must be the first and only value",
                        "spec.clusterIPs");
            well = well && ips->n == 1;
        } else {
            before = c->n;
            fed_check_ip(c, fed_json_str(ip), "spec.clusterIPs[%zu]", i);
            well = well && c->n == before;
        }
        i++;
    }
    if (i > 2)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ips), "may only hold up to 2 values", "spec.clusterIPs");
    return well;
}

static void check_match(const struct fed_json *ips, const struct fed_json *list, struct fed_causes *c)
{
    const struct fed_json *ip = ips ? ips->first : NULL, *f = list ? list->first : NULL;
    for (size_t i = 0; ip && f; i++, ip = ip->next, f = f->next) {
        bool six = fed_str_is(fed_json_str(f), "IPv6");
        if (six != is_six(fed_json_str(ip)))
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ip),
                    fed_arena_printf(c->arena, "expected an IPv%c value as indicated by `ipFamilies[%zu]`",
                                     six ? '6' : '4', i)
                        .p,
                    "spec.clusterIPs[%zu]", i);
    }
}

/* Each for itself. */
static void check_forms(const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *ips = fed_json_find(spec, "clusterIPs"), *list = fed_json_find(spec, "ipFamilies");
    bool headless = fed_str_is(fed_json_find_text(spec, "clusterIP"), "None");
    check_synced(fed_json_find_text(spec, "clusterIP"), ips, c);
    check_families(list, c);
    fed_check_one_of(c, fed_json_find_text(spec, "ipFamilyPolicy"), policies, "spec.ipFamilyPolicy");
    if (!check_ips(ips, c))
        return;
    if (ips && ips->n == 2 && is_six(fed_json_str(ips->first)) == is_six(fed_json_str(ips->last)))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ips),
                "may specify no more than one IP for each IP family, i.e. IPv4 and IPv6", "spec.clusterIPs");
    if (!headless && !c->n)
        check_match(ips, list, c);
}

/* What this cluster can give. */
static void check_stack(const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *ips = fed_json_find(spec, "clusterIPs"), *list = fed_json_find(spec, "ipFamilies");
    const struct fed_json *selector = fed_json_find(spec, "selector"), *shown = fed_json_find(spec, "ipFamilyPolicy");
    struct fed_str policy = fed_json_find_text(spec, "ipFamilyPolicy");
    size_t i = 0;
    if (fed_str_is(policy, "SingleStack") && ips && ips->n == 2)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, shown),
                "must be RequireDualStack or PreferDualStack when multiple clusterIPs are specified",
                "spec.ipFamilyPolicy");
    if (fed_str_is(policy, "SingleStack") && list && list->n == 2)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, shown),
                "must be RequireDualStack or PreferDualStack when multiple ipFamilies are specified",
                "spec.ipFamilyPolicy");
    if (c->n || (fed_str_is(fed_json_find_text(spec, "clusterIP"), "None") && !(selector && selector->n)))
        return; /* whose endpoints are written by hand may be of any family */
    if (fed_str_is(policy, "RequireDualStack"))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, shown),
                "this cluster is not configured for dual-stack services", "spec.ipFamilyPolicy");
    FED_JSON_EACH(f, list) {
        if (!fed_str_is(fed_json_str(f), "IPv4"))
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, f), "not configured on this cluster",
                    "spec.ipFamilies[%zu]", i);
        i++;
    }
    i = 0;
    FED_JSON_EACH(ip, list && list->n ? NULL : ips) {
        if (is_six(fed_json_str(ip))) /* the family that it implies */
            fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"IPv6\""), "not configured on this cluster", "spec.ipFamilies[%zu]",
                    i);
        i++;
    }
}

bool fed_rules_service_addresses(const struct fed_json *spec, struct fed_causes *c)
{
    struct fed_causes own = {.arena = c->arena};
    if (fed_str_is(fed_json_find_text(spec, "type"), "ExternalName"))
        return true;
    check_forms(spec, &own);
    if (!own.n)
        check_stack(spec, &own);
    if (!own.n)
        return true;
    c->n = 0;
    for (size_t i = 0; i < own.n; i++)
        fed_causes_keep(c, &own.items[i]);
    return false;
}

void fed_rules_service_external(const struct fed_json *spec, struct fed_causes *c)
{
    static const char *const unused[] = {"clusterIPs", "ipFamilies", "ipFamilyPolicy"};
    for (size_t i = 0; i < FED_ARRAY_LEN(unused); i++) {
        const struct fed_json *v = fed_json_find(spec, unused[i]);
        if (v && (v->n || v->s.n))
            fed_bad(c, FED_CAUSE_FORBIDDEN, (struct fed_str){NULL, 0}, "may not be set for ExternalName services",
                    "spec.%s", unused[i]);
    }
}

void fed_rules_service_same_addresses(const struct fed_json *old, const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *was = fed_json_find(old, "clusterIPs"), *is = fed_json_find(spec, "clusterIPs");
    size_t i = 0;
    if (fed_str_is(fed_json_find_text(old, "type"), "ExternalName") ||
        fed_str_is(fed_json_find_text(spec, "type"), "ExternalName") || !was || !was->n)
        return;
    if (!is || !is->n) {
        fed_bad(c, FED_CAUSE_INVALID, FED_STR("null"), "primary clusterIP can not be unset", "spec.clusterIPs[0]");
        return;
    }
    for (const struct fed_json *a = was->first, *b = is->first; a && b; a = a->next, b = b->next, i++)
        if (!fed_json_equal(a, b))
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, is), "may not change once set", "spec.clusterIPs[%zu]",
                    i);
}
