/* SPDX-License-Identifier: Apache-2.0 */
/* What a status may say of pods, namespaces and amounts. */
#include "base/map.h"
#include "kube/check.h"
#include "kube/kind_rules.h"
#include "kube/names.h"
#include "kube/quantity.h"

static const struct fed_str none = {NULL, 0};

static const struct fed_json *named(const struct fed_json *list, struct fed_str name)
{
    FED_JSON_EACH(it, list)
        if (fed_str_eq(fed_json_find_text(it, "name"), name))
            return it;
    return NULL;
}

/* May this container run again? */
static bool may_restart(const struct fed_json *spec, const char *list, struct fed_str name, int64_t code)
{
    const struct fed_json *ctr = named(fed_json_find(spec, list), name);
    struct fed_str own = fed_json_find_text(ctr, "restartPolicy"), policy = fed_json_find_text(spec, "restartPolicy");
    if (own.n)
        policy = own;
    return !policy.n || fed_str_is(policy, "Always") || (code != 0 && fed_str_is(policy, "OnFailure"));
}

/* What has ended for good does not run again. */
static void check_ended(const struct fed_write *w, const struct fed_json *status, const char *list, const char *of,
                        struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(w->old, "spec");
    size_t i = 0;
    FED_JSON_EACH(was, fed_json_at(w->old, "status", list, NULL)) {
        const struct fed_json *ended = fed_json_at(was, "state", "terminated", NULL);
        struct fed_str name = fed_json_find_text(was, "name");
        const struct fed_json *now = named(fed_json_find(status, list), name);
        if (ended && now && !fed_json_at(now, "state", "terminated", NULL) &&
            !may_restart(spec, of, name, fed_json_int(fed_json_find(ended, "exitCode"), 0)))
            fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not be transitioned to non-terminated state",
                    "status.%s[%zu].state", list, i);
        i++;
    }
}

/* One address of each family. */
static void check_addresses(const struct fed_json *status, const char *list, struct fed_causes *c)
{
    const struct fed_json *ips = fed_json_find(status, list);
    size_t i = 0, n[2] = {0};
    FED_JSON_EACH(it, ips) {
        struct fed_str ip = fed_json_find_text(it, "ip");
        fed_check_ip(c, ip, "status.%s[%zu]", list, i++);
        n[fed_str_chr(ip, ':', 0) >= 0]++;
    }
    if (n[0] > 1 || n[1] > 1)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ips), "may specify no more than one IP for each IP family",
                "status.%s", list);
}

static void check_conditions(const struct fed_json *status, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(it, fed_json_find(status, "conditions")) {
        struct fed_str type = fed_json_find_text(it, "type");
        fed_check_name(c, type, fed_name_check_qualified, fed_quoted(c->arena, type),
                       fed_arena_printf(c->arena, "status.conditions[%zu].Type", i++));
    }
}

void fed_rules_pod_status(const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *status = fed_json_find(obj, "status"), *old = fed_json_find(w->old, "status");
    struct fed_str node = fed_json_find_text(status, "nominatedNodeName"), qos = fed_json_find_text(status, "qosClass");
    const struct fed_json *host = fed_json_at(fed_json_item(fed_json_find(status, "hostIPs"), 0), "ip", NULL);
    check_conditions(status, c);
    if (!fed_str_eq(node, fed_json_find_text(old, "nominatedNodeName")))
        fed_check_text(c, node, fed_name_check_subdomain, "status.nominatedNodeName");
    if (fed_json_find_text(old, "qosClass").n && !fed_str_eq(qos, fed_json_find_text(old, "qosClass")))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, qos), "field is immutable", "status.qosClass");
    check_ended(w, status, "containerStatuses", "containers", c);
    check_ended(w, status, "initContainerStatuses", "initContainers", c);
    check_addresses(status, "podIPs", c);
    if (host && !fed_str_eq(fed_json_str(host), fed_json_find_text(status, "hostIP")))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, fed_json_str(host)), "must be equal to `hostIP`",
                "status.hostIPs[0].ip");
    check_addresses(status, "hostIPs", c);
}

void fed_rules_namespace_status(const struct fed_json *obj, struct fed_causes *c)
{
    struct fed_str phase = fed_json_find_text(fed_json_find(obj, "status"), "phase");
    bool ends = fed_json_find_text(fed_json_find(obj, "metadata"), "deletionTimestamp").n > 0;
    if (!fed_str_is(phase, ends ? "Terminating" : "Active"))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, phase),
                ends ? "may only be 'Terminating' if `deletionTimestamp` is not empty"
                     : "may only be 'Active' if `deletionTimestamp` is empty",
                "status.Phase");
}

void fed_rules_amounts(const struct fed_json *map, const char *at, struct fed_causes *c)
{
    int64_t milli;
    FED_JSON_EACH(q, map)
        if (fed_quantity_milli(q->s, &milli) == 0 && milli < 0)
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, q), "must be greater than or equal to 0", "%s[%.*s]", at,
                    FED_STR_ARG(q->key));
}

/* Where a balancer is reached: an address or a name. */
void fed_rules_balancer(const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const modes[] = {"Proxy", "VIP", NULL};
    size_t i = 0;
    FED_JSON_EACH(it, fed_json_at(obj, "status", "loadBalancer", "ingress", NULL)) {
        struct fed_str ip = fed_json_find_text(it, "ip"), host = fed_json_find_text(it, "hostname");
        const struct fed_json *mode = fed_json_find(it, "ipMode");
        const char *at = fed_arena_printf(c->arena, "status.loadBalancer.ingress[%zu]", i++).p;
        if (ip.n)
            fed_check_ip(c, ip, "%s.ip", at);
        if (mode && !ip.n)
            fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not be specified when `ip` is not set", "%s.ipMode", at);
        else if (mode)
            fed_check_one_of(c, fed_json_str(mode), modes, "%s.ipMode", at);
        fed_check_text(c, host, fed_name_check_subdomain, "%s.hostname", at);
        if (fed_is_ip(host))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, host), "must be a DNS name, not an IP address",
                    "%s.hostname", at);
    }
}

/* "CamelCase", as reasons are written: a letter first, at the end no punctuation. */
static bool is_reason(struct fed_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool letter = (s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z', digit = s.p[i] >= '0' && s.p[i] <= '9';
        bool inside = s.p[i] == '_' || ((s.p[i] == ',' || s.p[i] == ':') && i + 1 < s.n);
        if (!letter && (i == 0 || (!digit && !inside)))
            return false;
    }
    return true;
}

static void check_condition(const struct fed_json *it, const char *at, struct fed_causes *c)
{
    static const char *const truths[] = {"False", "True", "Unknown", NULL};
    struct fed_str type = fed_json_find_text(it, "type"), reason = fed_json_find_text(it, "reason");
    struct fed_str status = fed_json_find_text(it, "status");
    const struct fed_json *seen = fed_json_find(it, "observedGeneration");
    fed_check_name(c, type, fed_name_check_qualified, fed_quoted(c->arena, type),
                   fed_arena_printf(c->arena, "%s.type", at));
    if (!status.n)
        fed_bad(c, FED_CAUSE_NOT_SUPPORTED, FED_STR("\"\""), "supported values: \"False\", \"True\", \"Unknown\"",
                "%s.status", at);
    fed_check_one_of(c, status, truths, "%s.status", at);
    if (fed_json_int(seen, 0) < 0)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, seen), "must be greater than or equal to zero",
                "%s.observedGeneration", at);
    if (!fed_json_find_text(it, "lastTransitionTime").n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must be set", "%s.lastTransitionTime", at);
    if (!reason.n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must be set", "%s.reason", at);
    else if (!is_reason(reason))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, reason),
                "a condition reason must start with alphabetic character, optionally followed by a string of "
                "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. "
                "'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for "
                "validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')",
                "%s.reason", at);
    if (reason.n > 1024)
        fed_bad(c, FED_CAUSE_TOO_LONG, none, "may not be more than 1024 bytes", "%s.reason", at);
    if (fed_json_find_text(it, "message").n > 32768)
        fed_bad(c, FED_CAUSE_TOO_LONG, none, "may not be more than 32768 bytes", "%s.message", at);
}

void fed_rules_conditions(const struct fed_json *list, const char *at, struct fed_causes *c)
{
    struct fed_map seen = {0};
    size_t i = 0;
    FED_JSON_EACH(it, list) {
        struct fed_str type = fed_json_find_text(it, "type");
        if (fed_seen_before(&seen, type))
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_quoted(c->arena, type), "", "%s[%zu].type", at, i);
        check_condition(it, fed_arena_printf(c->arena, "%s[%zu]", at, i++).p, c);
    }
    fed_map_release(&seen);
}
