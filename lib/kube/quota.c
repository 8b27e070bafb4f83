/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/quota.h"

#define ONE 1000 /* thousandths */

void fed_quota_kind_init(struct fed_quota_kind *q, struct fed_arena *a, const struct fed_kind *kind)
{
    static const char *const named[] = {"pods",
                                        "services",
                                        "secrets",
                                        "configmaps",
                                        "resourcequotas",
                                        "replicationcontrollers",
                                        "persistentvolumeclaims"};
    *q = (struct fed_quota_kind){.rule = FED_QUOTA_PLAIN};
    if (kind->group.n) {
        q->count = fed_arena_printf(a, "count/%.*s.%.*s", FED_STR_ARG(kind->plural), FED_STR_ARG(kind->group));
        return;
    }
    q->count = fed_arena_printf(a, "count/%.*s", FED_STR_ARG(kind->plural));
    for (size_t i = 0; i < FED_ARRAY_LEN(named); i++)
        if (fed_str_is(kind->plural, named[i]))
            q->plain = fed_str(named[i]);
    if (fed_str_is(kind->plural, "pods"))
        q->rule = FED_QUOTA_POD;
    else if (fed_str_is(kind->plural, "services"))
        q->rule = FED_QUOTA_SERVICE;
    else if (fed_str_is(kind->plural, "persistentvolumeclaims"))
        q->rule = FED_QUOTA_CLAIM;
}

/* --- cost --- */

static bool is_over(const struct fed_json *pod)
{
    struct fed_str phase = fed_json_find_text(fed_json_find(pod, "status"), "phase");
    return fed_str_is(phase, "Succeeded") || fed_str_is(phase, "Failed");
}

static bool is_native(struct fed_str name)
{
    return fed_str_is(name, "cpu") || fed_str_is(name, "memory") || fed_str_is(name, "ephemeral-storage");
}

static void pod_usage(const struct fed_json *pod, struct fed_amounts *out)
{
    struct fed_arena *a = out->arena;
    const struct fed_json *spec = fed_json_find(pod, "spec");
    struct fed_amounts r = {.arena = a}, l = {.arena = a};
    fed_amounts_add_pod(&r, spec, "requests");
    fed_amounts_add_pod(&l, spec, "limits");
    for (size_t i = 0; i < r.n; i++) {
        struct fed_str name = r.items[i].name;
        bool huge = fed_str_starts(name, FED_STR("hugepages-"));
        if (is_native(name) || huge)
            fed_amounts_add(out, name, r.items[i].milli);
        if (is_native(name) || huge || fed_str_chr(name, '/', 0) >= 0)
            fed_amounts_add(out, fed_arena_printf(a, "requests.%.*s", FED_STR_ARG(name)), r.items[i].milli);
    }
    for (size_t i = 0; i < l.n; i++)
        if (is_native(l.items[i].name))
            fed_amounts_add(out, fed_arena_printf(a, "limits.%.*s", FED_STR_ARG(l.items[i].name)), l.items[i].milli);
}

static void service_usage(const struct fed_json *service, struct fed_amounts *out)
{
    const struct fed_json *spec = fed_json_find(service, "spec"), *ports = fed_json_find(spec, "ports");
    struct fed_str type = fed_json_find_text(spec, "type");
    int64_t n = ports ? ports->n : 0;
    fed_amounts_add(out, FED_STR("services.loadbalancers"), fed_str_is(type, "LoadBalancer") ? ONE : 0);
    if (fed_str_is(type, "LoadBalancer") &&
        !fed_json_bool(fed_json_find(spec, "allocateLoadBalancerNodePorts"), true)) {
        n = 0;
        FED_JSON_EACH(p, ports)
            n += fed_json_int(fed_json_find(p, "nodePort"), 0) != 0;
    } else if (!fed_str_is(type, "NodePort") && !fed_str_is(type, "LoadBalancer")) {
        n = 0;
    }
    fed_amounts_add(out, FED_STR("services.nodeports"), n * ONE);
}

static void claim_usage(const struct fed_json *claim, struct fed_amounts *out)
{
    struct fed_arena *a = out->arena;
    const struct fed_json *spec = fed_json_find(claim, "spec");
    struct fed_amounts r = {.arena = a};
    struct fed_str class = fed_json_find_text(spec, "storageClassName");
    fed_amounts_add_map(&r, fed_json_at(spec, "resources", "requests", NULL));
    const struct fed_amount *storage = fed_amounts_find(&r, FED_STR("storage"));
    int64_t n = storage ? storage->milli : 0;
    fed_amounts_add(out, FED_STR("requests.storage"), n);
    if (!class.n)
        return;
    fed_amounts_add(out, fed_arena_printf(a, "%.*s.storageclass.storage.k8s.io/requests.storage", FED_STR_ARG(class)),
                    n);
    fed_amounts_add(
        out, fed_arena_printf(a, "%.*s.storageclass.storage.k8s.io/persistentvolumeclaims", FED_STR_ARG(class)), ONE);
}

void fed_quota_usage(const struct fed_quota_kind *q, const struct fed_json *obj, struct fed_amounts *out)
{
    fed_amounts_add(out, q->count, ONE);
    if (q->rule == FED_QUOTA_POD && is_over(obj))
        return;
    if (q->plain.n)
        fed_amounts_add(out, q->plain, ONE);
    if (q->rule == FED_QUOTA_POD)
        pod_usage(obj, out);
    else if (q->rule == FED_QUOTA_SERVICE)
        service_usage(obj, out);
    else if (q->rule == FED_QUOTA_CLAIM)
        claim_usage(obj, out);
}

/* --- scopes --- */

static bool is_best_effort(const struct fed_json *spec)
{
    static const char *const lists[] = {"containers", "initContainers"};
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(c, fed_json_find(spec, lists[i])) {
            const struct fed_json *r = fed_json_find(c, "resources");
            static const char *const sides[] = {"requests", "limits"};
            for (size_t k = 0; k < FED_ARRAY_LEN(sides); k++)
                FED_JSON_EACH(m, fed_json_find(r, sides[k]))
                    if (fed_str_is(m->key, "cpu") || fed_str_is(m->key, "memory"))
                        return false;
        }
    return true;
}

static bool crosses_namespaces(const struct fed_json *spec)
{
    static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
    for (size_t i = 0; i < FED_ARRAY_LEN(kinds); i++) {
        const struct fed_json *aff = fed_json_at(spec, "affinity", kinds[i], NULL);
        const struct fed_json *must = fed_json_find(aff, "requiredDuringSchedulingIgnoredDuringExecution");
        const struct fed_json *may = fed_json_find(aff, "preferredDuringSchedulingIgnoredDuringExecution");
        for (int turn = 0; turn < 2; turn++)
            FED_JSON_EACH(t, turn ? may : must) {
                const struct fed_json *term = turn ? fed_json_find(t, "podAffinityTerm") : t;
                const struct fed_json *names = fed_json_find(term, "namespaces");
                const struct fed_json *sel = fed_json_find(term, "namespaceSelector");
                if ((names && names->n) || (sel && sel->type == FED_JSON_OBJECT))
                    return true;
            }
    }
    return false;
}

static bool has_scope(struct fed_str scope, const struct fed_json *pod)
{
    const struct fed_json *spec = fed_json_find(pod, "spec");
    const struct fed_json *deadline = fed_json_find(spec, "activeDeadlineSeconds");
    bool ends = deadline && deadline->type == FED_JSON_NUMBER;
    if (fed_str_is(scope, "Terminating"))
        return ends;
    if (fed_str_is(scope, "NotTerminating"))
        return !ends;
    if (fed_str_is(scope, "BestEffort"))
        return is_best_effort(spec);
    if (fed_str_is(scope, "NotBestEffort"))
        return !is_best_effort(spec);
    if (fed_str_is(scope, "PriorityClass"))
        return fed_json_find_text(spec, "priorityClassName").n > 0;
    if (fed_str_is(scope, "CrossNamespacePodAffinity"))
        return crosses_namespaces(spec);
    return false;
}

static bool expression_matches(const struct fed_json *e, const struct fed_json *pod)
{
    struct fed_str scope = fed_json_find_text(e, "scopeName"), op = fed_json_find_text(e, "operator");
    bool has = has_scope(scope, pod), in = false;
    if (fed_str_is(op, "Exists"))
        return has;
    if (fed_str_is(op, "DoesNotExist"))
        return !has;
    if (!fed_str_is(scope, "PriorityClass"))
        return false;
    struct fed_str class = fed_json_find_text(fed_json_find(pod, "spec"), "priorityClassName");
    FED_JSON_EACH(v, fed_json_find(e, "values"))
        in |= fed_str_eq(v->s, class) && class.n;
    return fed_str_is(op, "In") ? in : fed_str_is(op, "NotIn") && !in;
}

bool fed_quota_in_scope(const struct fed_quota_kind *q, const struct fed_json *spec, const struct fed_json *obj)
{
    const struct fed_json *scopes = fed_json_find(spec, "scopes");
    const struct fed_json *exprs = fed_json_at(spec, "scopeSelector", "matchExpressions", NULL);
    if ((!scopes || !scopes->n) && (!exprs || !exprs->n))
        return true;
    if (q->rule != FED_QUOTA_POD) /* scopes speak of pods */
        return false;
    FED_JSON_EACH(s, scopes)
        if (!has_scope(s->s, obj))
            return false;
    FED_JSON_EACH(e, exprs)
        if (!expression_matches(e, obj))
            return false;
    return true;
}

/* --- what has to be said --- */

static bool container_says(const struct fed_json *c, struct fed_str resource)
{
    struct fed_str name = resource;
    const char *side = "requests";
    if (fed_str_starts(name, FED_STR("requests."))) {
        name = fed_str_from(name, 9);
    } else if (fed_str_starts(name, FED_STR("limits."))) {
        name = fed_str_from(name, 7);
        side = "limits";
    }
    return fed_json_find_str(fed_json_at(c, "resources", side, NULL), name) != NULL;
}

static void add_silent(struct fed_buf *b, const struct fed_json *list, struct fed_str resource, size_t *n)
{
    FED_JSON_EACH(c, list)
        if (!container_says(c, resource))
            fed_buf_addf(b, "%s%.*s", (*n)++ ? "," : "", FED_STR_ARG(fed_json_find_text(c, "name")));
}

struct fed_str fed_quota_unspecified(struct fed_arena *a, const struct fed_json *hard, const struct fed_json *pod)
{
    static const char *const needed[] = {"cpu",    "limits.cpu",   "limits.memory",
                                         "memory", "requests.cpu", "requests.memory"};
    const struct fed_json *spec = fed_json_find(pod, "spec");
    struct fed_buf all = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(needed); i++) {
        struct fed_buf one = {0};
        size_t n = 0;
        if (!fed_json_find(hard, needed[i]))
            continue;
        add_silent(&one, fed_json_find(spec, "containers"), fed_str(needed[i]), &n);
        add_silent(&one, fed_json_find(spec, "initContainers"), fed_str(needed[i]), &n);
        if (n)
            fed_buf_addf(&all, "%s%s for: %.*s", all.n ? "; " : "must specify ", needed[i],
                         FED_STR_ARG(fed_buf_str(&one)));
        fed_buf_release(&one);
    }
    struct fed_str out = fed_arena_dup(a, fed_buf_str(&all));
    fed_buf_release(&all);
    return out;
}
