/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "kube/check.h"
#include "kube/names.h"
#include "kube/podspec.h"
#include "kube/kind_rules.h"

static const struct fed_str none = {NULL, 0};

static bool is_type(const struct fed_json *spec, const char *type)
{
    return fed_str_is(fed_json_find_text(spec, "type"), type);
}

/* Addresses that lead nowhere. Those of the loopback are where included clusters have their pods. */
static void check_ordinary(struct fed_causes *c, struct fed_str ip, const char *at)
{
    const char *why = NULL;
    if (!fed_is_ip(ip))
        return;
    if (fed_str_is(ip, "0.0.0.0") || fed_str_is(ip, "::"))
        why = fed_str_is(ip, "::") ? "may not be unspecified (::)" : "may not be unspecified (0.0.0.0)";
    else if (fed_str_starts(ip, FED_STR("169.254.")) || fed_str_starts(ip, FED_STR("fe80:")))
        why = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
    else if (fed_str_starts(ip, FED_STR("224.0.0.")) || fed_str_starts(ip, FED_STR("ff02:")))
        why = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
    if (why)
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, ip), why, "%s", at);
}

static void check_affinity(const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *seconds = fed_json_at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds", NULL);
    if (fed_str_is(fed_json_find_text(spec, "sessionAffinity"), "ClientIP"))
        fed_check_range(c, seconds, 1, 86400, "must be greater than 0 and less than 86400",
                        "spec.sessionAffinityConfig.clientIP.timeoutSeconds");
}

static void check_outside(const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *external = fed_json_find(spec, "externalIPs"), *ranges, *health;
    static const char *const distributions[] = {"PreferClose", "PreferSameNode", "PreferSameZone", NULL};
    bool balanced = is_type(spec, "LoadBalancer");
    bool open = balanced || is_type(spec, "NodePort") || (is_type(spec, "ClusterIP") && external && external->n);
    struct fed_str policy = fed_json_find_text(spec, "externalTrafficPolicy");
    size_t i = 0;
    FED_JSON_EACH(ip, external) {
        fed_check_ip(c, fed_json_str(ip), "spec.externalIPs[%zu]", i);
        check_ordinary(c, fed_json_str(ip), fed_arena_printf(c->arena, "spec.externalIPs[%zu]", i++).p);
    }
    fed_check_one_of(c, fed_json_find_text(spec, "trafficDistribution"), distributions, "spec.trafficDistribution");
    if (policy.n && !open)
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, policy),
                "may only be set for externally-accessible services", "spec.externalTrafficPolicy");
    health = fed_json_find(spec, "healthCheckNodePort");
    if (health && fed_json_int(health, 0) && !(balanced && fed_str_is(policy, "Local")))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, health),
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
                "spec.healthCheckNodePort");
    ranges = fed_json_find(spec, "loadBalancerSourceRanges");
    if (ranges && ranges->n && !balanced)
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may only be used when `type` is 'LoadBalancer'",
                "spec.LoadBalancerSourceRanges");
    FED_JSON_EACH(r, balanced ? ranges : NULL)
        if (!fed_is_cidr(fed_str_trim(fed_json_str(r)))) {
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ranges),
                    "must be a list of IP ranges. For example, 10.240.0.0/24,10.250.0.0/24 ",
                    "spec.LoadBalancerSourceRanges");
            break;
        }
    if (fed_json_find(spec, "allocateLoadBalancerNodePorts") && !balanced)
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may only be used when `type` is 'LoadBalancer'",
                "spec.allocateLoadBalancerNodePorts");
    if (fed_json_find_text(spec, "loadBalancerClass").n && !balanced)
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may only be used when `type` is 'LoadBalancer'",
                "spec.loadBalancerClass");
    fed_check_text(c, fed_json_find_text(spec, "loadBalancerClass"), fed_name_check_qualified,
                   "spec.loadBalancerClass");
}

void fed_rules_service(const struct fed_json *spec, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(l, fed_json_find(spec, "selector"))
        fed_check_text(c, l->key, fed_name_check_qualified, "spec.selector");
    FED_JSON_EACH(p, fed_json_find(spec, "ports"))
        fed_check_text(c, fed_json_find_text(p, "appProtocol"), fed_name_check_qualified, "spec.ports[%zu].appProtocol",
                       i++);
    check_affinity(spec, c);
    check_outside(spec, c);
}

/* --- where a service leads --- */

static void check_ports(const struct fed_json *ports, const char *at, struct fed_causes *c)
{
    struct fed_map names = {0};
    size_t i = 0;
    FED_JSON_EACH(p, ports) {
        struct fed_str name = fed_json_find_text(p, "name");
        if (fed_map_has(&names, name) && (name.n || fed_str_is(fed_str(at), "ports")))
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_quoted(c->arena, name), "", "%s[%zu].name", at, i);
        fed_map_set(&names, name, NULL);
        if (!name.n && ports->n > 1 && !fed_str_is(fed_str(at), "ports"))
            fed_bad(c, FED_CAUSE_REQUIRED, none, "", "%s[%zu].name", at, i);
        fed_check_text(c, name, fed_name_check_label, "%s[%zu].name", at, i);
        fed_check_range(c, fed_json_find(p, "port"), 1, 65535, "must be between 1 and 65535, inclusive", "%s[%zu].port",
                        at, i);
        fed_check_text(c, fed_json_find_text(p, "appProtocol"), fed_name_check_qualified, "%s[%zu].appProtocol", at, i);
        i++;
    }
    fed_map_release(&names);
}

static void check_addresses(const struct fed_json *list, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(a, list) {
        fed_check_ip(c, fed_json_find_text(a, "ip"), "%s[%zu].ip", at, i);
        if (!fed_is_ip(fed_json_find_text(a, "ip")))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, fed_json_find_text(a, "ip")),
                    "must be a valid IP address", "%s[%zu].ip", at, i);
        check_ordinary(c, fed_json_find_text(a, "ip"), fed_arena_printf(c->arena, "%s[%zu].ip", at, i).p);
        fed_check_text(c, fed_json_find_text(a, "hostname"), fed_name_check_label, "%s[%zu].hostname", at, i);
        fed_check_text(c, fed_json_find_text(a, "nodeName"), fed_name_check_subdomain, "%s[%zu].nodeName", at, i);
        i++;
    }
}

void fed_rules_endpoints(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    size_t i = 0;
    (void)ud;
    (void)w;
    FED_JSON_EACH(set, fed_json_find(obj, "subsets")) {
        const struct fed_json *ready = fed_json_find(set, "addresses"),
                              *other = fed_json_find(set, "notReadyAddresses");
        const char *at = fed_arena_printf(c->arena, "subsets[%zu]", i++).p;
        if (!(ready && ready->n) && !(other && other->n))
            fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify `addresses` or `notReadyAddresses`", "%s", at);
        check_addresses(ready, fed_arena_printf(c->arena, "%s.addresses", at).p, c);
        check_addresses(other, fed_arena_printf(c->arena, "%s.notReadyAddresses", at).p, c);
        check_ports(fed_json_find(set, "ports"), fed_arena_printf(c->arena, "%s.ports", at).p, c);
    }
}

void fed_rules_slice(const struct fed_json *slice, struct fed_causes *c)
{
    static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
    struct fed_str type = fed_json_find_text(slice, "addressType");
    size_t i = 0;
    fed_check_one_of(c, type, types, "addressType");
    FED_JSON_EACH(e, fed_json_find(slice, "endpoints")) {
        const struct fed_json *list = fed_json_find(e, "addresses");
        size_t k = 0;
        if (!list || !list->n)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "must contain at least 1 address", "endpoints[%zu].addresses", i);
        FED_JSON_EACH(a, list) {
            struct fed_str s = fed_json_str(a);
            bool six = fed_str_chr(s, ':', 0) >= 0;
            if (fed_str_is(type, "FQDN"))
                fed_check_text(c, s, fed_name_check_subdomain, "endpoints[%zu].addresses[%zu]", i, k);
            else if (fed_str_is(type, "IPv4") && (!fed_is_ip(s) || six))
                fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, s), "must be a valid IPv4 address",
                        "endpoints[%zu].addresses[%zu]", i, k);
            else if (fed_str_is(type, "IPv6") && (!fed_is_ip(s) || !six))
                fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, s), "must be a valid IPv6 address",
                        "endpoints[%zu].addresses[%zu]", i, k);
            if (!fed_str_is(type, "FQDN"))
                check_ordinary(c, s, fed_arena_printf(c->arena, "endpoints[%zu].addresses[%zu]", i, k).p);
            k++;
        }
        fed_check_text(c, fed_json_find_text(e, "hostname"), fed_name_check_label, "endpoints[%zu].hostname", i);
        fed_check_text(c, fed_json_find_text(e, "nodeName"), fed_name_check_subdomain, "endpoints[%zu].nodeName", i);
        i++;
    }
    check_ports(fed_json_find(slice, "ports"), "ports", c);
}
