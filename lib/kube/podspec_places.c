/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"
#include "kube/names.h"
#include "kube/podspec_priv.h"

static const struct fed_str none = {NULL, 0};
static const char id_words[] = "must be between 0 and 2147483647, inclusive";

/* --- nodes --- */

static void check_requirement(const struct fed_json *e, const char *at, struct fed_causes *c)
{
    struct fed_str op = fed_json_find_text(e, "operator");
    const struct fed_json *values = fed_json_find(e, "values");
    size_t n = values ? values->n : 0;
    if ((fed_str_is(op, "In") || fed_str_is(op, "NotIn")) && !n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must be specified when `operator` is 'In' or 'NotIn'", "%s.values", at);
    if ((fed_str_is(op, "Exists") || fed_str_is(op, "DoesNotExist")) && n)
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                "%s.values", at);
    if ((fed_str_is(op, "Gt") || fed_str_is(op, "Lt")) && n != 1)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must be specified single value when `operator` is 'Lt' or 'Gt'",
                "%s.values", at);
}

static void check_term(const struct fed_json *term, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(e, fed_json_find(term, "matchExpressions")) {
        const char *here = fed_arena_printf(c->arena, "%s.matchExpressions[%zu]", at, i++).p;
        check_requirement(e, here, c);
        fed_check_name(c, fed_json_find_text(e, "key"), fed_name_check_qualified,
                       fed_quoted(c->arena, fed_json_find_text(e, "key")), fed_arena_printf(c->arena, "%s.key", here));
    }
    i = 0;
    FED_JSON_EACH(e, fed_json_find(term, "matchFields")) {
        const char *here = fed_arena_printf(c->arena, "%s.matchFields[%zu]", at, i++).p;
        struct fed_str key = fed_json_find_text(e, "key");
        if (key.n && !fed_str_is(key, "metadata.name"))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, key), "not a valid field selector key", "%s.key", here);
    }
}

/* Terms with a weight; `of` is the term's name in each. */
static void check_preferred(const struct fed_json *affinity, const char *of,
                            void (*check)(const struct fed_json *term, const char *at, struct fed_causes *c),
                            const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(p, fed_json_find(affinity, "preferredDuringSchedulingIgnoredDuringExecution")) {
        const char *here =
            fed_arena_printf(c->arena, "%s.preferredDuringSchedulingIgnoredDuringExecution[%zu]", at, i++).p;
        fed_check_range(c, fed_json_find(p, "weight"), 1, 100, "must be in the range 1-100", "%s.weight", here);
        check(fed_json_find(p, of), fed_arena_printf(c->arena, "%s.%s", here, of).p, c);
    }
}

static void check_node_affinity(const struct fed_json *affinity, const char *at, struct fed_causes *c)
{
    const struct fed_json *must = fed_json_find(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
    const struct fed_json *terms = fed_json_find(must, "nodeSelectorTerms");
    size_t i = 0;
    if (must && (!terms || !terms->n))
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must have at least one node selector term",
                "%s.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms", at);
    FED_JSON_EACH(term, terms)
        check_term(term,
                   fed_arena_printf(c->arena,
                                    "%s.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[%zu]", at, i++)
                       .p,
                   c);
    check_preferred(affinity, "preference", check_term, at, c);
}

/* --- pods --- */

static void check_pod_term(const struct fed_json *term, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    fed_selector_validate(fed_json_find(term, "labelSelector"), fed_arena_printf(c->arena, "%s.labelSelector", at).p,
                          c);
    fed_selector_validate(fed_json_find(term, "namespaceSelector"),
                          fed_arena_printf(c->arena, "%s.namespaceSelector", at).p, c);
    FED_JSON_EACH(ns, fed_json_find(term, "namespaces"))
        fed_check_text(c, fed_json_str(ns), fed_name_check_label, "%s.namespaces[%zu]", at, i++);
    fed_check_text(c, fed_json_find_text(term, "topologyKey"), fed_name_check_qualified, "%s.topologyKey", at);
}

static void check_pod_affinity(const struct fed_json *affinity, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(term, fed_json_find(affinity, "requiredDuringSchedulingIgnoredDuringExecution"))
        check_pod_term(
            term, fed_arena_printf(c->arena, "%s.requiredDuringSchedulingIgnoredDuringExecution[%zu]", at, i++).p, c);
    check_preferred(affinity, "podAffinityTerm", check_pod_term, at, c);
}

static void check_spread(const struct fed_json *list, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(s, list) {
        const char *here = fed_arena_printf(c->arena, "%s.topologySpreadConstraints[%zu]", at, i++).p;
        struct fed_str key = fed_json_find_text(s, "topologyKey"), when = fed_json_find_text(s, "whenUnsatisfiable");
        const struct fed_json *domains = fed_json_find(s, "minDomains");
        fed_check_range(c, fed_json_find(s, "maxSkew"), 1, INT32_MAX, "must be greater than zero", "%s.maxSkew", here);
        fed_check_text(c, key, fed_name_check_qualified, "%s.topologyKey", here);
        for (const struct fed_json *o = s->next; o; o = o->next)
            if (fed_str_eq(key, fed_json_find_text(o, "topologyKey")) &&
                fed_str_eq(when, fed_json_find_text(o, "whenUnsatisfiable"))) {
                fed_bad(c, FED_CAUSE_DUPLICATE,
                        fed_arena_printf(c->arena, "\"{%.*s, %.*s}\"", FED_STR_ARG(key), FED_STR_ARG(when)), "",
                        "%s.{topologyKey, whenUnsatisfiable}", here);
                break;
            }
        fed_check_range(c, domains, 1, INT32_MAX, "must be greater than zero", "%s.minDomains", here);
        if (domains && !fed_str_is(when, "DoNotSchedule"))
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, domains),
                    fed_arena_printf(c->arena, "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %.*s",
                                     FED_STR_ARG(when))
                        .p,
                    "%s.minDomains", here);
        fed_selector_validate(fed_json_find(s, "labelSelector"), fed_arena_printf(c->arena, "%s.labelSelector", here).p,
                              c);
    }
}

void fed_podspec_check_tolerations(const struct fed_json *list, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(t, list) {
        const char *here = fed_arena_printf(c->arena, "%s.tolerations[%zu]", at, i++).p;
        struct fed_str key = fed_json_find_text(t, "key"), op = fed_json_find_text(t, "operator");
        struct fed_str effect = fed_json_find_text(t, "effect"), value = fed_json_find_text(t, "value");
        fed_check_text(c, key, fed_name_check_qualified, "%s.key", here);
        if (!key.n && !fed_str_is(op, "Exists"))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, op),
                    "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
                    "%s.operator", here);
        if (fed_json_find(t, "tolerationSeconds") && !fed_str_is(effect, "NoExecute"))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, effect),
                    "effect must be 'NoExecute' when `tolerationSeconds` is set", "%s.effect", here);
        if (fed_str_is(op, "Exists") && value.n)
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, t), "value must be empty when `operator` is 'Exists'",
                    "%s.operator", here);
        if (!op.n || fed_str_is(op, "Equal"))
            fed_check_text(c, value, fed_name_check_label_value, "%s.operator", here);
    }
}

/* --- names --- */

static void check_dns(const struct fed_json *spec, const char *at, struct fed_causes *c)
{
    const struct fed_json *conf = fed_json_find(spec, "dnsConfig"), *servers = fed_json_find(conf, "nameservers");
    bool alone = fed_str_is(fed_json_find_text(spec, "dnsPolicy"), "None");
    size_t i = 0;
    if (alone && !conf)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must provide `dnsConfig` when `dnsPolicy` is None", "%s.dnsConfig", at);
    else if (alone && (!servers || !servers->n))
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must provide at least one DNS nameserver when `dnsPolicy` is None",
                "%s.dnsConfig.nameservers", at);
    if (servers && servers->n > 3)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, servers), "must not have more than 3 nameservers",
                "%s.dnsConfig.nameservers", at);
    FED_JSON_EACH(s, servers)
        fed_check_ip(c, fed_json_str(s), "%s.dnsConfig.nameservers[%zu]", at, i++);
    i = 0;
    FED_JSON_EACH(o, fed_json_find(conf, "options")) {
        if (!fed_json_find_text(o, "name").n)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "must not be empty", "%s.dnsConfig.options[%zu]", at, i);
        i++;
    }
    i = 0;
    FED_JSON_EACH(h, fed_json_find(spec, "hostAliases")) {
        size_t k = 0;
        fed_check_ip(c, fed_json_find_text(h, "ip"), "%s.hostAliases[%zu].ip", at, i);
        FED_JSON_EACH(name, fed_json_find(h, "hostnames"))
            fed_check_text(c, fed_json_str(name), fed_name_check_subdomain, "%s.hostAliases[%zu].hostnames[%zu]", at, i,
                           k++);
        i++;
    }
}

static void check_own_names(const struct fed_json *spec, const char *at, struct fed_causes *c)
{
    static const struct {
        const char *key;
        const char *(*check)(struct fed_str);
    } rows[] = {{"serviceAccountName", fed_name_check_subdomain},
                {"nodeName", fed_name_check_subdomain},
                {"priorityClassName", fed_name_check_subdomain},
                {"runtimeClassName", fed_name_check_subdomain},
                {"hostname", fed_name_check_label},
                {"subdomain", fed_name_check_label}};
    static const char *const systems[] = {"linux", "windows", NULL};
    size_t i = 0;
    for (size_t k = 0; k < FED_ARRAY_LEN(rows); k++)
        fed_check_text(c, fed_json_find_text(spec, rows[k].key), rows[k].check, "%s.%s", at, rows[k].key);
    fed_check_one_of(c, fed_json_find_text(fed_json_find(spec, "os"), "name"), systems, "%s.os.name", at);
    FED_JSON_EACH(g, fed_json_find(spec, "readinessGates"))
        fed_check_text(c, fed_json_find_text(g, "conditionType"), fed_name_check_qualified,
                       "%s.readinessGates[%zu].conditionType", at, i++);
    i = 0;
    FED_JSON_EACH(g, fed_json_find(spec, "schedulingGates"))
        fed_check_text(c, fed_json_find_text(g, "name"), fed_name_check_qualified, "%s.schedulingGates[%zu]", at, i++);
}

/* --- security --- */

/* ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$ */
static const char *check_sysctl(struct fed_str name)
{
    static const char words[] = "must have at most 253 characters and match regex "
                                "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    bool edge = true; /* only a letter or a digit may stand here */
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9'), cut = ch == '.' || ch == '/';
        bool last_of_part = i + 1 == name.n || name.p[i + 1] == '.' || name.p[i + 1] == '/';
        if (!plain && (edge || last_of_part ? !cut || edge : ch != '-' && ch != '_' && !cut))
            return words;
        edge = cut;
    }
    return name.n > 253 || edge ? words : NULL;
}

static void check_security(const struct fed_json *security, const char *at, struct fed_causes *c)
{
    static const char *const ids[] = {"runAsUser", "runAsGroup", "fsGroup"};
    struct fed_map seen = {0};
    size_t i = 0;
    for (size_t k = 0; k < FED_ARRAY_LEN(ids); k++)
        fed_check_range(c, fed_json_find(security, ids[k]), 0, INT32_MAX, id_words, "%s.securityContext.%s", at,
                        ids[k]);
    FED_JSON_EACH(g, fed_json_find(security, "supplementalGroups"))
        fed_check_range(c, g, 0, INT32_MAX, id_words, "%s.securityContext.supplementalGroups[%zu]", at, i++);
    i = 0;
    FED_JSON_EACH(s, fed_json_find(security, "sysctls")) {
        struct fed_str name = fed_json_find_text(s, "name");
        fed_check_text(c, name, check_sysctl, "%s.securityContext.sysctls[%zu].name", at, i);
        if (name.n && fed_seen_before(&seen, name))
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_quoted(c->arena, name), "", "%s.securityContext.sysctls[%zu].name", at,
                    i);
        i++;
    }
    fed_map_release(&seen);
    fed_podspec_check_seccomp(fed_json_find(security, "seccompProfile"),
                              fed_arena_printf(c->arena, "%s.securityContext.seccompProfile", at).p, c);
}

void fed_podspec_check_places(const struct fed_json *spec, const char *at, struct fed_causes *c)
{
    static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
    const struct fed_json *affinity = fed_json_find(spec, "affinity");
    fed_check_range(c, fed_json_find(spec, "activeDeadlineSeconds"), 1, INT32_MAX,
                    "must be between 1 and 2147483647, inclusive", "%s.activeDeadlineSeconds", at);
    fed_check_labels(c, fed_json_find(spec, "nodeSelector"), fed_arena_printf(c->arena, "%s.nodeSelector", at).p);
    check_security(fed_json_find(spec, "securityContext"), at, c);
    if (fed_json_bool(fed_json_find(spec, "hostPID"), false) &&
        fed_json_bool(fed_json_find(spec, "shareProcessNamespace"), false))
        fed_bad(c, FED_CAUSE_INVALID, FED_STR("true"), "ShareProcessNamespace and HostPID cannot both be enabled",
                "%s.securityContext.shareProcessNamespace", at);
    if (fed_json_find(affinity, "nodeAffinity"))
        check_node_affinity(fed_json_find(affinity, "nodeAffinity"),
                            fed_arena_printf(c->arena, "%s.affinity.nodeAffinity", at).p, c);
    for (size_t k = 0; k < FED_ARRAY_LEN(kinds); k++)
        check_pod_affinity(fed_json_find(affinity, kinds[k]),
                           fed_arena_printf(c->arena, "%s.affinity.%s", at, kinds[k]).p, c);
    check_own_names(spec, at, c);
    fed_podspec_check_tolerations(fed_json_find(spec, "tolerations"), at, c);
    check_dns(spec, at, c);
    check_spread(fed_json_find(spec, "topologySpreadConstraints"), at, c);
}
