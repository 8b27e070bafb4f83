/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_pod.c: pods: conditional defaults, phase and class of a new pod, what may change later, and the cells that
 * `kubectl get pods` shows. */
#include "kube/kind_rules.h"
#include "kube/podspec.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

/* --- preparation --- */

/* Guaranteed: every container limits cpu and memory and requests the same. BestEffort: nobody asks for anything. */
static const char *qos_class(const struct fed_json *spec)
{
    static const char *const lists[] = {"initContainers", "containers"}, *const names[] = {"cpu", "memory"};
    bool any = false, guaranteed = true;

    for (size_t i = 0; i < 2; i++) {
        FED_JSON_EACH(c, fed_json_find(spec, lists[i])) {
            const struct fed_json *limits = fed_json_at(c, "resources", "limits", NULL);
            const struct fed_json *requests = fed_json_at(c, "resources", "requests", NULL);

            for (size_t k = 0; k < 2; k++) {
                const struct fed_json *l = fed_json_find(limits, names[k]), *r = fed_json_find(requests, names[k]);

                any |= l || r;
                guaranteed &= l && r && fed_str_eq(l->s, r->s);
            }
        }
    }
    return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

/* Who does not speak of it does not mean another. */
static void keep_qos(const struct fed_write *w, struct fed_json *status)
{
    const struct fed_json *was = fed_json_at(w->old, "status", "qosClass", NULL);

    if (was && status && !fed_json_find_text(status, "qosClass").n)
        fed_json_set(status, "qosClass", fed_json_copy(w->arena, was));
}

static int default_pod(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *status = fed_json_find(obj, "status");

    (void)ud;
    (void)err;
    if (status)
        fed_kind_pair(w->arena, status, "podIP", "podIPs", "ip");
    if (!fed_str_is(w->subresource, "status"))
        fed_podspec_prepare(w->arena, fed_json_find(obj, "spec"), false);
    return 0;
}

static int prepare_pod(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(obj, "spec"), *status;

    (void)ud;
    (void)err;
    if (fed_str_is(w->subresource, "status")) {
        keep_qos(w, fed_json_find(obj, "status"));
        return 0;
    }
    status = fed_json_ensure_object(w->arena, obj, "status");
    if (status && !w->old) {
        fed_json_set(status, "phase", fed_json_new_strz(w->arena, "Pending"));
        fed_json_set(status, "qosClass", fed_json_new_strz(w->arena, qos_class(spec)));
    }
    return 0;
}

/* --- validation --- */

/* The spec without what an update may change. */
static struct fed_json *frozen_part(struct fed_arena *a, const struct fed_json *spec)
{
    static const char *const lists[] = {"containers", "initContainers"};
    static const char *const free_fields[] = {"activeDeadlineSeconds", "tolerations", "schedulingGates",
                                              "nodeSelector"};
    struct fed_json *copy = fed_json_copy(a, spec);

    for (size_t i = 0; i < FED_ARRAY_LEN(free_fields); i++)
        if (strcmp(free_fields[i], "nodeSelector") || fed_json_find(spec, "schedulingGates"))
            fed_json_remove_key(copy, free_fields[i]);
    for (size_t i = 0; i < 2; i++)
        FED_JSON_EACH(c, fed_json_find(copy, lists[i]))
            fed_json_remove_key(c, "image");
    return copy;
}

/* It may become 1 where it was negative. */
static bool grace_mended(const struct fed_json *old, const struct fed_json *spec)
{
    return fed_json_int(fed_json_find(old, "terminationGracePeriodSeconds"), 0) < 0 &&
           fed_json_int(fed_json_find(spec, "terminationGracePeriodSeconds"), 0) == 1;
}

static void check_deadline(const struct fed_json *was, const struct fed_json *is, struct fed_causes *c)
{
    int64_t before = fed_json_int(was, 0), now = fed_json_int(is, 0);
    const char *why = NULL;

    if (is && (now < 0 || now > INT32_MAX))
        why = "must be between 0 and 2147483647, inclusive";
    else if (is && was && before < now)
        why = "must be less than or equal to previous value";
    else if (!is && was)
        why = "must not update from a positive integer to nil value";
    if (why)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, is), why, "spec.activeDeadlineSeconds");
}

static bool same_toleration(const struct fed_json *a, const struct fed_json *b)
{
    static const char *const keys[] = {"key", "operator", "value", "effect"};

    for (size_t i = 0; i < FED_ARRAY_LEN(keys); i++)
        if (!fed_str_eq(fed_json_find_text(a, keys[i]), fed_json_find_text(b, keys[i])))
            return false;
    return true;
}

static bool has_toleration(const struct fed_json *list, const struct fed_json *t)
{
    FED_JSON_EACH(it, list)
        if (same_toleration(it, t))
            return true;
    return false;
}

static bool as_many(const struct fed_json *old, const struct fed_json *spec, const char *list, struct fed_causes *c)
{
    const struct fed_json *was = fed_json_find(old, list), *is = fed_json_find(spec, list);

    if ((was ? was->n : 0) == (is ? is->n : 0))
        return true;
    fed_bad(c, FED_CAUSE_FORBIDDEN, (struct fed_str){NULL, 0}, "pod updates may not add or remove containers",
            "spec.%s", list);
    return false;
}

static void validate_pod_update(const struct fed_json *old, const struct fed_json *spec, struct fed_causes *c)
{
    if (!as_many(old, spec, "containers", c) || !as_many(old, spec, "initContainers", c))
        return;
    FED_JSON_EACH(t, fed_json_find(old, "tolerations")) {
        if (has_toleration(fed_json_find(spec, "tolerations"), t))
            continue;
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec.tolerations"), (struct fed_str){NULL, 0},
                       "existing toleration can not be modified except its tolerationSeconds");
        break;
    }
    check_deadline(fed_json_find(old, "activeDeadlineSeconds"), fed_json_find(spec, "activeDeadlineSeconds"), c);
    struct fed_json *was = frozen_part(c->arena, old), *is = frozen_part(c->arena, spec);

    if (grace_mended(old, spec)) {
        fed_json_remove_key(was, "terminationGracePeriodSeconds");
        fed_json_remove_key(is, "terminationGracePeriodSeconds");
    }
    if (fed_json_equal(was, is))
        return;
    fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec"), (struct fed_str){NULL, 0},
                   "pod updates may not change fields other than `spec.containers[*].image`,"
                   "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
                   "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
                   "previously negative)");
}

static const struct fed_json *named(const struct fed_json *list, struct fed_str name)
{
    FED_JSON_EACH(it, list)
        if (fed_str_eq(fed_json_find_text(it, "name"), name))
            return it;
    return NULL;
}

/* What makes no sense of a container that is added to a running pod and never restarted. */
static void validate_ephemeral(const struct fed_json *spec, const struct fed_json *c, size_t i, struct fed_causes *out)
{
    static const char *const no[] = {"ports",     "livenessProbe", "readinessProbe", "startupProbe",
                                     "lifecycle", "resizePolicy",  "restartPolicy"};
    struct fed_arena *a = out->arena;
    struct fed_str target = fed_json_find_text(c, "targetContainerName");
    const struct fed_json *resources = fed_json_find(c, "resources");
    for (size_t k = 0; k < FED_ARRAY_LEN(no); k++)
        if (fed_json_find(c, no[k]))
            fed_causes_add(out, FED_CAUSE_FORBIDDEN, fed_arena_printf(a, "spec.ephemeralContainers[%zu].%s", i, no[k]),
                           (struct fed_str){NULL, 0}, "cannot be set for an Ephemeral Container");
    if (resources && resources->n)
        fed_causes_add(out, FED_CAUSE_FORBIDDEN, fed_arena_printf(a, "spec.ephemeralContainers[%zu].resources", i),
                       (struct fed_str){NULL, 0}, "cannot be set for an Ephemeral Container");
    if (target.n && !named(fed_json_find(spec, "containers"), target) &&
        !named(fed_json_find(spec, "initContainers"), target))
        fed_causes_add(out, FED_CAUSE_NOT_FOUND,
                       fed_arena_printf(a, "spec.ephemeralContainers[%zu].targetContainerName", i),
                       fed_arena_printf(a, "\"%.*s\"", FED_STR_ARG(target)), "%s", "");
}

/* They are added, one after another; none is changed or taken away. */
static void validate_ephemeral_update(const struct fed_json *old, const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *list = fed_json_find(spec, "ephemeralContainers");
    size_t i = 0;
    FED_JSON_EACH(it, list)
        validate_ephemeral(spec, it, i++, c);
    FED_JSON_EACH(was, fed_json_find(old, "ephemeralContainers")) {
        struct fed_str name = fed_json_find_text(was, "name");
        const struct fed_json *now = named(list, name);
        if (!now)
            fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec.ephemeralContainers"), (struct fed_str){NULL, 0},
                           "existing ephemeral containers \"%.*s\" may not be removed", FED_STR_ARG(name));
        else if (!fed_json_equal(was, now))
            fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec.ephemeralContainers"), (struct fed_str){NULL, 0},
                           "existing ephemeral containers \"%.*s\" may not be changed", FED_STR_ARG(name));
    }
}

static void validate_pod(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *old = fed_json_find(w->old, "spec");

    (void)ud;
    if (fed_str_is(w->subresource, "status"))
        fed_rules_pod_status(w, obj, c);
    if (w->subresource.n && !fed_str_is(w->subresource, "ephemeralcontainers"))
        return;
    if (!spec) {
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.containers"), (struct fed_str){NULL, 0}, "%s", "");
        return;
    }
    fed_podspec_validate(spec, "spec", c);
    if (w->subresource.n)
        return validate_ephemeral_update(old, spec, c); /* nothing else was taken from the request */
    if (old)
        validate_pod_update(old, spec, c);
    else if (fed_json_find(spec, "ephemeralContainers") && fed_json_find(spec, "ephemeralContainers")->n)
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec.ephemeralContainers"), (struct fed_str){NULL, 0},
                       "cannot be set on create");
}

static void validate_pod_template(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    (void)ud;
    (void)w;
    if (!fed_json_at(obj, "template", "spec", NULL))
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("template.spec.containers"), (struct fed_str){NULL, 0}, "%s", "");
    fed_template_check_metadata(fed_json_find(obj, "template"), "template", c);
    fed_podspec_validate(fed_json_at(obj, "template", "spec", NULL), "template.spec", c);
}

static int default_pod_template(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    (void)ud;
    (void)err;
    fed_podspec_prepare(w->arena, fed_json_at(obj, "template", "spec", NULL), true);
    return 0;
}

/* --- cells --- */

struct counts {
    int64_t restarts, ready, total, of_sidecars; /* the last: restarts of those that run beside the containers */
    struct fed_str reason, last_restart, last_of_sidecars;
    bool initializing;
};

static void count_restarts(const struct fed_json *c, int64_t *restarts, struct fed_str *latest)
{
    struct fed_str last = fed_json_find_text(fed_json_at(c, "lastState", "terminated", NULL), "finishedAt");

    *restarts += fed_json_int(fed_json_find(c, "restartCount"), 0);
    if (last.n && fed_str_cmp(last, *latest) > 0)
        *latest = last;
}

/* How a container ended whose end has no reason. */
static struct fed_str end_text(struct fed_arena *a, const struct fed_json *end, const char *before)
{
    int64_t signal = fed_json_int(fed_json_find(end, "signal"), 0);

    if (signal)
        return fed_arena_printf(a, "%sSignal:%lld", before, (long long)signal);
    return fed_arena_printf(a, "%sExitCode:%lld", before, (long long)fed_json_int(fed_json_find(end, "exitCode"), 0));
}

/* An init container that is to run as long as the pod. */
static bool is_sidecar(const struct fed_json *obj, struct fed_str name)
{
    FED_JSON_EACH(c, fed_json_at(obj, "spec", "initContainers", NULL))
        if (fed_str_eq(fed_json_find_text(c, "name"), name))
            return fed_str_is(fed_json_find_text(c, "restartPolicy"), "Always");
    return false;
}

/* Reason of the init container that the pod waits for; empty when all are done. */
static void init_state(struct fed_arena *a, const struct fed_json *obj, struct counts *n)
{
    const struct fed_json *list = fed_json_at(obj, "status", "initContainerStatuses", NULL);
    size_t i = 0, total = 0;

    FED_JSON_EACH(c, fed_json_at(obj, "spec", "initContainers", NULL)) {
        total++;
        n->total += fed_str_is(fed_json_find_text(c, "restartPolicy"), "Always");
    }
    FED_JSON_EACH(c, list) {
        const struct fed_json *end = fed_json_at(c, "state", "terminated", NULL);
        struct fed_str waiting = fed_json_find_text(fed_json_at(c, "state", "waiting", NULL), "reason");
        struct fed_str why = fed_json_find_text(end, "reason");
        bool sidecar = is_sidecar(obj, fed_json_find_text(c, "name"));

        count_restarts(c, &n->restarts, &n->last_restart);
        if (sidecar)
            count_restarts(c, &n->of_sidecars, &n->last_of_sidecars);
        if ((end && fed_json_int(fed_json_find(end, "exitCode"), 0) == 0) ||
            (sidecar && fed_json_bool(fed_json_find(c, "started"), false))) {
            n->ready += !end && fed_json_bool(fed_json_find(c, "ready"), false);
            i++;
            continue;
        }
        if (end)
            n->reason = why.n ? fed_arena_printf(a, "Init:%.*s", FED_STR_ARG(why)) : end_text(a, end, "Init:");
        else if (waiting.n && !fed_str_is(waiting, "PodInitializing"))
            n->reason = fed_arena_printf(a, "Init:%.*s", FED_STR_ARG(waiting));
        else
            n->reason = fed_arena_printf(a, "Init:%zu/%zu", i, total);
        n->initializing = true;
        return;
    }
}

static void count_container(struct fed_arena *a, const struct fed_json *c, struct counts *n, bool *running)
{
    const struct fed_json *end = fed_json_at(c, "state", "terminated", NULL);
    struct fed_str waiting = fed_json_find_text(fed_json_at(c, "state", "waiting", NULL), "reason");
    struct fed_str why = fed_json_find_text(end, "reason");

    count_restarts(c, &n->restarts, &n->last_restart);
    if (waiting.n)
        n->reason = waiting;
    else if (why.n)
        n->reason = why;
    else if (end)
        n->reason = end_text(a, end, "");
    else if (fed_json_bool(fed_json_find(c, "ready"), false) && fed_json_at(c, "state", "running", NULL)) {
        *running = true;
        n->ready++;
    }
}

static struct counts pod_counts(struct fed_arena *a, const struct fed_json *obj)
{
    const struct fed_json *status = fed_json_find(obj, "status"), *list = fed_json_find(status, "containerStatuses");
    const struct fed_json *ready = fed_obj_condition(status, "Ready");
    struct counts n = {.reason = fed_json_find_text(status, "phase")};
    struct fed_str reason = fed_json_find_text(status, "reason");
    bool running = false;

    if (reason.n)
        n.reason = reason;
    if (fed_str_is(fed_json_find_text(fed_obj_condition(status, "PodScheduled"), "reason"), "SchedulingGated"))
        n.reason = FED_STR("SchedulingGated");
    FED_JSON_EACH(c, fed_json_at(obj, "spec", "containers", NULL)) {
        (void)c;
        n.total++;
    }
    init_state(a, obj, &n);
    if (!n.initializing || fed_str_is(fed_json_find_text(fed_obj_condition(status, "Initialized"), "status"), "True")) {
        n.restarts = n.of_sidecars;
        n.last_restart = n.last_of_sidecars;
        for (const struct fed_json *c = list ? list->last : NULL; c; c = c->prev)
            count_container(a, c, &n, &running);
        /* A container that ended well beside one that runs does not make the pod completed. */
        if (fed_str_is(n.reason, "Completed") && running)
            n.reason =
                fed_str_is(fed_json_find_text(ready, "status"), "True") ? FED_STR("Running") : FED_STR("NotReady");
    }
    if (!fed_json_at(obj, "metadata", "deletionTimestamp", NULL))
        return n;
    if (fed_str_is(reason, "NodeLost"))
        n.reason = FED_STR("Unknown");
    else if (!fed_str_is(fed_json_find_text(status, "phase"), "Failed") &&
             !fed_str_is(fed_json_find_text(status, "phase"), "Succeeded"))
        n.reason = FED_STR("Terminating");
    return n;
}

static struct fed_str gates_text(struct fed_arena *a, const struct fed_json *obj)
{
    const struct fed_json *gates = fed_json_at(obj, "spec", "readinessGates", NULL);
    int total = 0, ok = 0;
    char type[320];

    if (!gates || !gates->n)
        return FED_STR("<none>");
    FED_JSON_EACH(g, gates) {
        const struct fed_json *c;

        snprintf(type, sizeof(type), "%.*s", FED_STR_ARG(fed_json_find_text(g, "conditionType")));
        c = fed_obj_condition(fed_json_find(obj, "status"), type);
        total++;
        ok += fed_str_is(fed_json_find_text(c, "status"), "True");
    }
    return fed_arena_printf(a, "%d/%d", ok, total);
}

static void pod_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                      int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *status = fed_json_find(obj, "status");
    struct counts n = pod_counts(a, obj);

    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_arena_printf(a, "%lld/%lld", (long long)n.ready, (long long)n.total));
    fed_cell_or(a, cells, n.reason, "Pending");
    if (n.restarts && n.last_restart.n)
        fed_cell_str(a, cells,
                     fed_arena_printf(a, "%lld (%.*s ago)", (long long)n.restarts,
                                      FED_STR_ARG(fed_cell_since(a, n.last_restart, now_ms))));
    else
        fed_cell_str(a, cells, fed_arena_printf(a, "%lld", (long long)n.restarts));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_cell_or(a, cells, fed_json_find_text(status, "podIP"), "<none>");
    fed_cell_or(a, cells, fed_json_find_text(spec, "nodeName"), "<none>");
    fed_cell_or(a, cells, fed_json_find_text(status, "nominatedNodeName"), "<none>");
    fed_cell_str(a, cells, gates_text(a, obj));
}

static void template_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                           int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *containers = fed_json_at(obj, "template", "spec", "containers", NULL);

    (void)ud;
    (void)v;
    (void)now_ms;
    fed_cell_str(a, cells, fed_cell_join(a, containers, "name"));
    fed_cell_str(a, cells, fed_cell_join(a, containers, "image"));
    fed_cell_str(a, cells, fed_cell_map(a, fed_json_at(obj, "template", "metadata", "labels", NULL)));
}

const struct fed_core_hooks fed_hooks_pod[] = {
    {"", "pods", {.defaults = default_pod, .prepare = prepare_pod, .validate = validate_pod, .cells = pod_cells}},
    {"",
     "podtemplates",
     {.defaults = default_pod_template, .validate = validate_pod_template, .cells = template_cells}},
    {NULL, NULL, {0}}};
