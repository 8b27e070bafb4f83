/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"
#include "kube/names.h"
#include "kube/podspec_priv.h"
#include "kube/quantity.h"

static const struct fed_str none = {NULL, 0};

/* --- references --- */

/* "metadata.labels['a']": the path before the bracket and what stands in it. */
static bool split_subscript(struct fed_str path, struct fed_str *front, struct fed_str *key)
{
    ptrdiff_t open = fed_str_find(path, FED_STR("['"), 0);
    if (open < 0 || !fed_str_ends(path, FED_STR("']")))
        return false;
    *front = fed_str_head(path, (size_t)open);
    *key = fed_str_from(fed_str_head(path, path.n - 2), (size_t)open + 2);
    return true;
}

static bool is_word(struct fed_str text, const char *const *words)
{
    for (; *words; words++)
        if (fed_str_is(text, *words))
            return true;
    return false;
}

void fed_podspec_check_field(const struct fed_json *ref, const char *at, bool volume, struct fed_causes *c)
{
    static const char *const known[] = {
        "metadata.annotations", "metadata.labels", "metadata.name",      "metadata.namespace",
        "metadata.uid",         "spec.nodeName",   "spec.restartPolicy", "spec.host",
        "spec.schedulerName",   "status.phase",    "status.hostIP",      "spec.serviceAccountName",
        "status.podIP",         "status.hostIPs",  "status.podIPs",      NULL};
    static const char *const in_env[] = {
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs", NULL};
    static const char *const in_volume[] = {"metadata.annotations", "metadata.labels", "metadata.name",
                                            "metadata.namespace",   "metadata.uid",    NULL};
    struct fed_str path = fed_json_find_text(ref, "fieldPath"), front, key;
    if (!path.n)
        return;
    if (split_subscript(path, &front, &key) &&
        (fed_str_is(front, "metadata.labels") || fed_str_is(front, "metadata.annotations"))) {
        if (fed_str_is(front, "metadata.annotations"))
            key = fed_name_lower(c->arena, key);
        fed_check_text(c, key, fed_name_check_qualified, "%s", at);
        return;
    }
    if (!is_word(path, known)) {
        const char *why =
            fed_arena_printf(c->arena, "error converting fieldPath: field label not supported: %.*s", FED_STR_ARG(path))
                .p;
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, path), why, "%s.fieldPath", at);
        return;
    }
    fed_check_one_of(c, fed_str_is(path, "spec.host") ? FED_STR("spec.nodeName") : path, volume ? in_volume : in_env,
                     "%s.fieldPath", at);
}

void fed_podspec_check_amount(const struct fed_json *ref, const char *at, bool volume, struct fed_causes *c)
{
    static const char *const known[] = {"limits.cpu",
                                        "limits.ephemeral-storage",
                                        "limits.memory",
                                        "requests.cpu",
                                        "requests.ephemeral-storage",
                                        "requests.memory",
                                        NULL};
    struct fed_str name = fed_json_find_text(ref, "resource");
    if (volume)
        fed_check_required(c, fed_json_find_text(ref, "containerName"), "%s.containerName", at);
    if (!fed_str_starts(name, FED_STR("limits.hugepages-")) && !fed_str_starts(name, FED_STR("requests.hugepages-")))
        fed_check_one_of(c, name, known, "%s.resource", at);
}

/* --- environment --- */

static void check_key_ref(const struct fed_json *ref, const char *at, struct fed_causes *c)
{
    fed_check_text(c, fed_json_find_text(ref, "name"), fed_name_check_subdomain, "%s.name", at);
    fed_check_text(c, fed_json_find_text(ref, "key"), fed_name_check_config_key, "%s.key", at);
}

static const char *check_variable(struct fed_str name)
{
    for (size_t k = 0; k < name.n; k++)
        if (name.p[k] <= 0x20 || name.p[k] >= 0x7f || name.p[k] == '=')
            return "a valid environment variable name must consist only of printable ASCII characters other than '='";
    return NULL;
}

static void check_env(const struct fed_json *list, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(e, list) {
        const struct fed_json *from = fed_json_find(e, "valueFrom");
        const char *here = fed_arena_printf(c->arena, "%s.env[%zu]", at, i++).p;
        fed_check_text(c, fed_json_find_text(e, "name"), check_variable, "%s.name", here);
        if (!from)
            continue;
        FED_JSON_EACH(f, from) {
            const char *there = fed_arena_printf(c->arena, "%s.valueFrom.%.*s", here, FED_STR_ARG(f->key)).p;
            if (fed_str_is(f->key, "fieldRef"))
                fed_podspec_check_field(f, there, false, c);
            else if (fed_str_is(f->key, "resourceFieldRef"))
                fed_podspec_check_amount(f, there, false, c);
            else
                check_key_ref(f, there, c);
        }
        const char *why = NULL;
        if (!from->n)
            why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        else if (fed_json_find_text(e, "value").n)
            why = "may not be specified when `value` is not empty";
        else if (from->n > 1)
            why = "may not have more than one field specified at a time";
        if (why)
            fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"\""), why, "%s.valueFrom", here);
    }
}

static void check_env_from(const struct fed_json *list, const char *at, struct fed_causes *c)
{
    static const char *const sources[] = {"configMapRef", "secretRef"};
    size_t i = 0;
    FED_JSON_EACH(e, list) {
        int n = 0;
        fed_check_text(c, fed_json_find_text(e, "prefix"), check_variable, "%s.envFrom[%zu].prefix", at, i);
        for (size_t k = 0; k < FED_ARRAY_LEN(sources); k++) {
            const struct fed_json *ref = fed_json_find(e, sources[k]);
            if (!ref)
                continue;
            n++;
            fed_check_required(c, fed_json_find_text(ref, "name"), "%s.envFrom[%zu].%s.name", at, i, sources[k]);
            fed_check_text(c, fed_json_find_text(ref, "name"), fed_name_check_subdomain, "%s.envFrom[%zu].%s.name", at,
                           i, sources[k]);
        }
        if (n != 1)
            fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"\""),
                    n ? "may not have more than one field specified at a time"
                      : "must specify one of: `configMapRef` or `secretRef`",
                    "%s.envFrom", at);
        i++;
    }
}

/* --- probes and hooks --- */

static void check_action(const struct fed_json *action, const char *at, struct fed_causes *c)
{
    const struct fed_json *command = fed_json_find(action, "command");
    if (fed_str_ends(fed_str(at), FED_STR(".exec"))) {
        if (!command || !command->n)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "", "%s.command", at);
        return;
    }
    fed_check_port_ref(fed_json_find(action, "port"), fed_arena_printf(c->arena, "%s.port", at).p, c);
}

/* One of exec, httpGet, tcpSocket and the one that only probes (grpc) or only hooks (sleep) have. */
static void check_handler(const struct fed_json *h, const char *last, const char *at, struct fed_causes *c)
{
    const char *const actions[] = {"exec", "httpGet", "tcpSocket", last};
    int n = 0;
    for (size_t i = 0; i < FED_ARRAY_LEN(actions); i++) {
        const struct fed_json *action = fed_json_find(h, actions[i]);
        if (!action)
            continue;
        if (++n > 1)
            fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not specify more than 1 handler type", "%s.%s", at, actions[i]);
        else if (strcmp(actions[i], "sleep"))
            check_action(action, fed_arena_printf(c->arena, "%s.%s", at, actions[i]).p, c);
    }
    if (!n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify a handler type", "%s", at);
}

static void check_probe(const struct fed_json *container, const char *kind, const char *at, struct fed_causes *c)
{
    static const char *const counts[] = {"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
                                         "failureThreshold"};
    const struct fed_json *probe = fed_json_find(container, kind);
    const struct fed_json *grace = fed_json_find(probe, "terminationGracePeriodSeconds");
    const char *here = fed_arena_printf(c->arena, "%s.%s", at, kind).p;
    bool readiness = !strcmp(kind, "readinessProbe");
    if (!probe)
        return;
    check_handler(probe, "grpc", here, c);
    for (size_t i = 0; i < FED_ARRAY_LEN(counts); i++)
        fed_check_nonnegative(probe, here, counts[i], c);
    fed_check_range(c, grace, 1, INT64_MAX, "must be greater than 0", "%s.terminationGracePeriodSeconds", here);
    if (readiness && grace)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, grace), "must not be set for readinessProbes",
                "%s.terminationGracePeriodSeconds", here);
    if (!readiness)
        fed_check_range(c, fed_json_find(probe, "successThreshold"), 1, 1, "must be 1", "%s.successThreshold", here);
}

static void check_lifecycle(const struct fed_json *spec, const struct fed_json *container, const char *at,
                            struct fed_causes *c)
{
    static const char *const hooks[] = {"postStart", "preStop"};
    const struct fed_json *cycle = fed_json_find(container, "lifecycle");
    for (size_t i = 0; i < FED_ARRAY_LEN(hooks); i++)
        if (fed_json_find(cycle, hooks[i]))
            check_handler(fed_json_find(cycle, hooks[i]), "sleep",
                          fed_arena_printf(c->arena, "%s.lifecycle.%s", at, hooks[i]).p, c);
    for (size_t i = 0; i < FED_ARRAY_LEN(hooks); i++) {
        int64_t grace = fed_json_int(fed_json_find(spec, "terminationGracePeriodSeconds"), 30);
        fed_check_range(c, fed_json_at(cycle, hooks[i], "sleep", "seconds", NULL), 0, grace < 0 ? 0 : grace,
                        fed_arena_printf(c->arena,
                                         "must be non-negative and less than terminationGracePeriodSeconds (%lld)",
                                         (long long)grace)
                            .p,
                        "%s.lifecycle.%s.sleep", at, hooks[i]);
    }
}

/* Init containers run to their end, unless they are restarted beside the others. */
static void check_kind(const struct fed_json *container, const char *at, bool init, struct fed_causes *c)
{
    static const char *const not_init[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"};
    static const char *const policies[] = {"Always", NULL};
    struct fed_str policy = fed_json_find_text(container, "restartPolicy");
    if (!init && policy.n)
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not be set for non-init containers", "%s.restartPolicy", at);
    if (!init || fed_str_is(policy, "Always"))
        return;
    fed_check_one_of(c, policy, policies, "%s.restartPolicy", at);
    for (size_t i = 0; i < FED_ARRAY_LEN(not_init); i++)
        if (fed_json_find(container, not_init[i]))
            fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not be set for init containers without restartPolicy=Always",
                    "%s.%s", at, not_init[i]);
}

/* --- resources --- */

static bool is_huge(struct fed_str name)
{
    return fed_str_starts(name, FED_STR("hugepages-"));
}

static bool is_native(struct fed_str name)
{
    return fed_str_chr(name, '/', 0) < 0 || fed_str_find(name, FED_STR("kubernetes.io/"), 0) >= 0;
}

void fed_podspec_check_amount_name(struct fed_str name, const char *at, struct fed_causes *c)
{
    static const char *const container[] = {"cpu", "memory", "ephemeral-storage", NULL};
    static const char *const standard[] = {"cpu",
                                           "memory",
                                           "ephemeral-storage",
                                           "storage",
                                           "pods",
                                           "services",
                                           "replicationcontrollers",
                                           "resourcequotas",
                                           "secrets",
                                           "configmaps",
                                           "persistentvolumeclaims",
                                           "services.nodeports",
                                           "services.loadbalancers",
                                           NULL};
    const char *why = fed_name_check_qualified(name);
    bool requests = fed_str_starts(name, FED_STR("requests.")) || fed_str_starts(name, FED_STR("limits."));
    struct fed_str shown = fed_quoted(c->arena, name);
    fed_check_name(c, name, fed_name_check_qualified, shown, fed_str(at));
    if (fed_str_chr(name, '/', 0) < 0) {
        if (!why && !is_huge(name) && !requests && !is_word(name, standard))
            fed_bad(c, FED_CAUSE_INVALID, shown, "must be a standard resource type or fully qualified", "%s", at);
        if (!is_huge(name) && !is_word(name, container))
            fed_bad(c, FED_CAUSE_INVALID, shown, "must be a standard resource for containers", "%s", at);
    } else if (!is_native(name) && requests) {
        fed_bad(c, FED_CAUSE_INVALID, shown, "doesn't follow extended resource name standard", "%s", at);
    }
}

static void check_amounts(const struct fed_json *map, const char *at, struct fed_causes *c)
{
    int64_t milli;
    FED_JSON_EACH(q, map) {
        const char *here = fed_arena_printf(c->arena, "%s[%.*s]", at, FED_STR_ARG(q->key)).p;
        fed_podspec_check_amount_name(q->key, here, c);
        if (fed_quantity_milli(q->s, &milli))
            continue;
        if (milli < 0)
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, q->s), "must be greater than or equal to 0", "%s", here);
        if (!is_native(q->key) && milli % 1000)
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, q->s), "must be an integer", "%s", here);
    }
}

static void check_against_limit(const struct fed_json *q, const struct fed_json *limits, const char *at,
                                struct fed_causes *c)
{
    const struct fed_json *l = fed_json_find_str(limits, q->key);
    bool free = is_native(q->key) && !is_huge(q->key); /* nodes may promise more of it than they have */
    int64_t have, limit;
    if (!l) {
        if (!free)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "Limit must be set for non overcommitable resources", "%s.limits", at);
        return;
    }
    if (fed_quantity_milli(q->s, &have) || fed_quantity_milli(l->s, &limit) || have == limit || (free && have < limit))
        return;
    fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%s.requests", at), fed_quoted(c->arena, q->s),
                   "must be %sequal to %.*s limit of %.*s", free ? "less than or " : "", FED_STR_ARG(q->key),
                   FED_STR_ARG(l->s));
}

static void check_resources(const struct fed_json *container, const char *at, struct fed_causes *c)
{
    const struct fed_json *res = fed_json_find(container, "resources"), *limits = fed_json_find(res, "limits");
    const struct fed_json *both[] = {limits, fed_json_find(res, "requests")};
    const char *here = fed_arena_printf(c->arena, "%s.resources", at).p;
    bool huge = false, plain = false;
    check_amounts(limits, fed_arena_printf(c->arena, "%s.limits", here).p, c);
    check_amounts(both[1], fed_arena_printf(c->arena, "%s.requests", here).p, c);
    FED_JSON_EACH(q, both[1])
        check_against_limit(q, limits, here, c);
    for (size_t i = 0; i < 2; i++)
        FED_JSON_EACH(q, both[i]) {
            huge = huge || is_huge(q->key);
            plain = plain || fed_str_is(q->key, "cpu") || fed_str_is(q->key, "memory");
        }
    if (huge && !plain)
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "HugePages require cpu or memory", "%s", here);
}

/* --- mounts and the rest --- */

static void check_paths(const struct fed_json *container, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(m, fed_json_find(container, "volumeMounts")) {
        struct fed_str plain = fed_json_find_text(m, "subPath"), expr = fed_json_find_text(m, "subPathExpr");
        fed_check_descending(c, plain, "%s.volumeMounts[%zu].subPath", at, i);
        if (plain.n && expr.n)
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, expr), "subPathExpr and subPath are mutually exclusive",
                    "%s.volumeMounts[%zu].subPathExpr", at, i);
        fed_check_descending(c, expr, "%s.volumeMounts[%zu].subPathExpr", at, i);
        i++;
    }
}

static void check_host_ports(const struct fed_json *container, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(p, fed_json_find(container, "ports")) {
        const struct fed_json *own = fed_json_find(p, "containerPort"), *host = fed_json_find(p, "hostPort");
        if (host && own && fed_json_int(host, 0) && fed_json_int(host, 0) != fed_json_int(own, 0))
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, own), "must match `hostPort` when `hostNetwork` is true",
                    "%s.ports[%zu].containerPort", at, i);
        i++;
    }
}

void fed_podspec_check_container(const struct fed_json *spec, const struct fed_json *container, const char *at,
                                 bool init, struct fed_causes *c)
{
    const struct fed_json *security = fed_json_find(container, "securityContext");
    check_env(fed_json_find(container, "env"), at, c);
    check_env_from(fed_json_find(container, "envFrom"), at, c);
    check_paths(container, at, c);
    check_resources(container, at, c);
    check_kind(container, at, init, c);
    if (!init || fed_str_is(fed_json_find_text(container, "restartPolicy"), "Always")) {
        check_lifecycle(spec, container, at, c);
        check_probe(container, "livenessProbe", at, c);
        check_probe(container, "readinessProbe", at, c);
        check_probe(container, "startupProbe", at, c);
    }
    if (fed_json_bool(fed_json_find(spec, "hostNetwork"), false))
        check_host_ports(container, at, c);
    fed_check_range(c, fed_json_find(security, "runAsUser"), 0, INT32_MAX,
                    "must be between 0 and 2147483647, inclusive", "%s.securityContext.runAsUser", at);
    fed_check_range(c, fed_json_find(security, "runAsGroup"), 0, INT32_MAX,
                    "must be between 0 and 2147483647, inclusive", "%s.securityContext.runAsGroup", at);
    fed_podspec_check_rights(security, fed_arena_printf(c->arena, "%s.securityContext", at).p, c);
    fed_podspec_check_devices(spec, container, at, c);
}
