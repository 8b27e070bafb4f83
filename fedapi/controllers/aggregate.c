/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/aggregate_priv.h"

#include "fedapi/controllers/federation.h"
#include "fedapi/controllers/rounds.h"

enum { STATUS_ROOM = 32768 }; /* of all statuses in the annotation; all annotations have 256 KiB */

static const char *const deployment_sums[] = {"replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
                                              "unavailableReplicas"};
static const char *const replicaset_sums[] = {"replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"};
static const char *const daemonset_sums[] = {
    "currentNumberScheduled", "desiredNumberScheduled", "numberAvailable", "numberMisscheduled", "numberReady",
    "updatedNumberScheduled", "numberUnavailable"};

static const char *const statefulset_sums[] = {"replicas", "availableReplicas", "readyReplicas", "currentReplicas",
                                               "updatedReplicas"};
static const char *const budget_sums[] = {"disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"};
static const char *const autoscaler_sums[] = {"currentReplicas", "desiredReplicas"};

static bool is_kind(const struct fapi_aggregate_in *in, const char *kind)
{
    return !in->custom && fed_str_is(in->hub->kind, kind);
}

static bool is_workload(const struct fapi_aggregate_in *in)
{
    static const char *const kinds[] = {"Deployment",
                                        "ReplicaSet",
                                        "DaemonSet",
                                        "StatefulSet",
                                        "ReplicationController",
                                        "Job",
                                        "CronJob",
                                        "HorizontalPodAutoscaler"};
    for (size_t i = 0; i < FED_ARRAY_LEN(kinds); i++)
        if (is_kind(in, kinds[i]))
            return true;
    return false;
}

static bool has_problem(const struct fapi_report *r)
{
    return fed_str_is(fed_str(r->state), "Conflict") || fed_str_is(fed_str(r->state), "Failed");
}

static void set_sums(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status,
                     const char *const *fields, size_t n_fields, bool required)
{
    for (size_t f = 0; f < n_fields; f++) {
        int64_t sum = 0;
        for (size_t i = 0; i < in->n; i++)
            sum += fed_json_int(fed_json_at(in->reports[i].object, "status", fields[f], NULL), 0);
        if (sum || required)
            fed_json_set(status, fields[f], fed_json_new_int(a, sum));
        else
            fed_json_remove_key(status, fields[f]);
    }
}

static void set_observed(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status)
{
    int64_t before = fed_json_int(fed_json_find(status, "observedGeneration"), 0);
    int64_t now = fapi_aggregate_observed(in) ? in->hub->generation : before;
    if (now)
        fed_json_set(status, "observedGeneration", fed_json_new_int(a, now));
}

/* "True" when all clusters say so, "False" when one says so, else "Unknown". */
static const char *join_condition(const struct fapi_aggregate_in *in, const char *type)
{
    size_t yes = 0;
    for (size_t i = 0; i < in->n; i++) {
        const struct fed_json *c = fed_obj_condition(fed_json_find(in->reports[i].object, "status"), type);
        struct fed_str status = fed_json_find_text(c, "status");
        if (fed_str_is(status, "False"))
            return "False";
        yes += fed_str_is(status, "True");
    }
    return in->n && yes == in->n ? "True" : "Unknown";
}

/* The first cluster's that has the value and, where `but` is not NULL, another reason than that. */
static const struct fed_json *first_condition(const struct fapi_aggregate_in *in, const char *type, const char *value,
                                              const char *but, struct fed_str *cluster)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct fed_json *c = fed_obj_condition(fed_json_find(in->reports[i].object, "status"), type);
        *cluster = in->reports[i].cluster;
        if (c && fed_str_is(fed_json_find_text(c, "status"), value) &&
            !(but && fed_str_is(fed_json_find_text(c, "reason"), but)))
            return c;
    }
    return NULL;
}

/* One cluster that is not where all should be says why: clients wait for its reason, and give up for some. */
static void set_joined(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status,
                       const char *type, const char *reason_true, const char *reason_else)
{
    const char *value = join_condition(in, type);
    bool yes = value[0] == 'T';
    struct fed_str cluster = {0}, message = yes ? FED_STR("in every cluster") : FED_STR("not in every cluster");
    const struct fed_json *c = first_condition(in, type, value, yes ? reason_true : NULL, &cluster);
    struct fed_str reason = fed_json_find_text(c, "reason");
    if (reason.n)
        message = fed_arena_printf(a, "cluster %.*s: %.*s", FED_STR_ARG(cluster),
                                   FED_STR_ARG(fed_json_find_text(c, "message")));
    else
        reason = fed_str(yes ? reason_true : reason_else);
    fed_obj_set_condition(a, status, type, value, fed_arena_dupz(a, reason), message, in->now_ms);
}

static void set_propagated(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status)
{
    const char *reason = "Synced";
    struct fed_str message = fed_arena_printf(a, "in %zu clusters", in->n);
    bool ok = true;
    for (size_t i = 0; i < in->n && ok; i++) {
        const struct fapi_report *r = &in->reports[i];
        if (fed_str_is(fed_str(r->state), "Synced"))
            continue;
        ok = false;
        reason = r->state;
        message = fed_arena_printf(a, "cluster %.*s: %.*s", FED_STR_ARG(r->cluster),
                                   FED_STR_ARG(r->message.n ? r->message : fed_str(r->state)));
    }
    if (in->problem.n) {
        ptrdiff_t colon = fed_str_chr(in->problem, ':', 0);
        ok = false;
        reason = colon > 0 ? fed_arena_dupz(a, fed_str_head(in->problem, (size_t)colon)) : "Placement";
        message = colon > 0 ? fed_str_trim(fed_str_from(in->problem, (size_t)colon + 1)) : in->problem;
    }
    fed_obj_set_condition(a, status, "Propagated", ok ? "True" : "False", reason, message, in->now_ms);
}

static void set_load_balancer(struct fed_arena *a, struct fed_json *status, const struct fed_str *ips, size_t n)
{
    struct fed_json *lb = fed_json_set(status, "loadBalancer", fed_json_object(a));
    if (!n)
        return;
    struct fed_json *ingress = fed_json_ensure_array(a, lb, "ingress");
    for (size_t i = 0; i < n; i++) {
        bool host = false;
        for (size_t c = 0; c < ips[i].n; c++)
            host |= ips[i].p[c] >= 'g' && ips[i].p[c] <= 'z';
        fed_json_set(fed_json_push(ingress, fed_json_object(a)), host ? "hostname" : "ip", fed_json_new_str(a, ips[i]));
    }
}

static void service_status(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status)
{
    size_t cap = 0, n = 0;
    for (size_t i = 0; i < in->n; i++) {
        const struct fed_json *list = fed_json_at(in->reports[i].object, "status", "loadBalancer", "ingress", NULL);
        cap += list ? list->n : 0;
    }
    struct fed_str *found = FED_ARENA_ARRAY(a, struct fed_str, cap + 1);
    for (size_t i = 0; i < in->n; i++)
        FED_JSON_EACH(e, fed_json_at(in->reports[i].object, "status", "loadBalancer", "ingress", NULL)) {
            struct fed_str ip = fed_json_find_text(e, "ip"), host = fed_json_find_text(e, "hostname");
            if (ip.n || host.n)
                n = fed_str_insert(found, n, ip.n ? ip : host);
        }
    set_load_balancer(a, status, found, n);
}

struct fed_json *fapi_aggregate_status(struct fed_arena *a, const struct fapi_aggregate_in *in)
{
    const struct fed_json *was = fed_json_find(in->tree, "status");
    struct fed_json *status = was && was->type == FED_JSON_OBJECT ? fed_json_copy(a, was) : fed_json_object(a);
    if (in->custom)
        return in->custom_status ? fapi_aggregate_custom(a, in) : NULL;
    if (is_kind(in, "Deployment")) {
        set_sums(a, in, status, deployment_sums, FED_ARRAY_LEN(deployment_sums), false);
        set_joined(a, in, status, "Available", "MinimumReplicasAvailable", "MinimumReplicasUnavailable");
        set_joined(a, in, status, "Progressing", "NewReplicaSetAvailable", "ReplicaSetUpdated");
    } else if (is_kind(in, "ReplicaSet") || is_kind(in, "ReplicationController")) {
        set_sums(a, in, status, replicaset_sums, FED_ARRAY_LEN(replicaset_sums), false);
        if (!fed_json_find(status, "replicas"))
            fed_json_set(status, "replicas", fed_json_new_int(a, 0));
    } else if (is_kind(in, "DaemonSet")) {
        set_sums(a, in, status, daemonset_sums, 5, true);
        set_sums(a, in, status, daemonset_sums + 5, 2, false);
    } else if (is_kind(in, "StatefulSet")) {
        set_sums(a, in, status, statefulset_sums, 2, true);
        set_sums(a, in, status, statefulset_sums + 2, 3, false);
    } else if (is_kind(in, "PodDisruptionBudget")) {
        set_sums(a, in, status, budget_sums, FED_ARRAY_LEN(budget_sums), true);
    } else if (is_kind(in, "HorizontalPodAutoscaler")) {
        set_sums(a, in, status, autoscaler_sums, FED_ARRAY_LEN(autoscaler_sums), true);
        fapi_aggregate_times(a, in, status, "lastScaleTime", true);
        set_propagated(a, in, status);
        return status;
    } else if (is_kind(in, "Job")) {
        fapi_aggregate_job(a, in, status);
        set_propagated(a, in, status);
        return status;
    } else if (is_kind(in, "CronJob")) {
        fapi_aggregate_cronjob(a, in, status);
        return status;
    } else if (is_kind(in, "PersistentVolumeClaim")) {
        fapi_aggregate_claim(a, in, status);
        return status;
    } else if (is_kind(in, "Service")) {
        service_status(a, in, status);
        return status;
    } else if (is_kind(in, "Ingress")) {
        set_load_balancer(a, status, in->balancers, in->n_balancers);
        return status;
    } else {
        return NULL;
    }
    set_observed(a, in, status);
    set_propagated(a, in, status);
    return status;
}

/* Of a Job is told which copy it is, and while that cannot be seen what it had completed: rounds.h reads it. */
static void tell_copy(struct fed_arena *a, const struct fapi_aggregate_in *in, const struct fapi_report *r,
                      struct fed_json *one)
{
    struct fed_str uid = fed_json_str(fed_json_at(r->object, "metadata", "uid", NULL));
    if (!r->object && fed_str_is(fed_str(r->state), "Unknown")) {
        struct fapi_copy told = fapi_copy_told(a, in->hub, r->cluster);
        uid = told.uid;
        if (uid.n)
            fed_json_set(one, "ready", fed_json_new_int(a, told.succeeded));
    }
    if (uid.n)
        fed_json_set(one, "copy", fed_json_new_str(a, uid));
}

struct fed_str fapi_aggregate_annotation(struct fed_arena *a, const struct fapi_aggregate_in *in)
{
    bool wanted = (is_workload(in) || in->custom_status || is_kind(in, "CustomResourceDefinition")) && in->n > 0;
    struct fed_json *all = fed_json_object(a), *status;
    size_t room = STATUS_ROOM;
    for (size_t i = 0; i < in->n; i++) {
        const struct fapi_report *r = &in->reports[i];
        struct fed_json *one = fed_json_set_str(all, r->cluster, fed_json_object(a));
        wanted |= has_problem(r);
        fed_json_set(one, "state", fed_json_new_strz(a, r->state));
        if (r->replicas >= 0)
            fed_json_set(one, "replicas", fed_json_new_int(a, r->replicas));
        if (is_workload(in)) {
            const char *ready = is_kind(in, "DaemonSet")                 ? "numberReady"
                                : is_kind(in, "Job")                     ? "succeeded"
                                : is_kind(in, "HorizontalPodAutoscaler") ? "currentReplicas"
                                                                         : "readyReplicas";
            fed_json_set(one, "ready",
                         fed_json_new_int(a, fed_json_int(fed_json_at(r->object, "status", ready, NULL), 0)));
        }
        if (is_kind(in, "Job"))
            tell_copy(a, in, r, one);
        if (r->own)
            fed_json_set(one, "own", fed_json_new_bool(a, true));
        if ((status = fapi_aggregate_shown(a, in, r, &room)))
            fed_json_set(one, "status", status);
        if (has_problem(r) && r->message.n)
            fed_json_set(one, "message", fed_json_new_str(a, r->message));
    }
    if (in->problem.n) {
        wanted = true;
        fed_json_set(all, "*", fed_json_new_str(a, in->problem));
    }
    return wanted ? fed_json_text(a, all) : (struct fed_str){0};
}

static const struct fed_json *told_of(struct fed_arena *a, const struct fed_kobj *hub, const char *cluster)
{
    struct fed_json *all;
    struct fed_str text = fed_kobj_annotation(hub, FAPI_ANN_CLUSTERS);
    return text.n && fed_json_parse(a, text, NULL, &all, NULL) == 0 ? fed_json_find(all, cluster) : NULL;
}

bool fapi_aggregate_told(const struct fed_kobj *hub, const char *cluster, struct fed_str message)
{
    struct fed_arena a = {0};
    const struct fed_json *one = told_of(&a, hub, cluster);
    struct fed_str text = one && one->type == FED_JSON_STRING ? fed_json_str(one) : fed_json_find_text(one, "message");
    bool told = one && fed_str_eq(text, message);
    fed_arena_release(&a);
    return told;
}

bool fapi_aggregate_own(const struct fed_kobj *hub, const char *cluster)
{
    struct fed_arena a = {0};
    bool own = fed_json_bool(fed_json_find(told_of(&a, hub, cluster), "own"), false);
    fed_arena_release(&a);
    return own;
}
