/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"
#include "kube/kind_rules.h"

static int64_t count_of(const struct fed_json *status, const char *name)
{
    return fed_json_int(fed_json_find(status, name), 0);
}

static void check_part(const struct fed_json *status, const char *part, const char *whole, const char *why,
                       struct fed_causes *c)
{
    if (count_of(status, part) > count_of(status, whole))
        fed_bad(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%lld", (long long)count_of(status, part)), why,
                "status.%s", part);
}

/* A part is no more than the whole; how that is said differs from kind to kind. */
static void check_parts(const struct fed_kind *kind, const struct fed_json *status, struct fed_causes *c)
{
    static const char *const of_sets[] = {"readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"};
    static const char *const of_deployments[] = {"updatedReplicas", "readyReplicas", "availableReplicas"};
    static const char *const of_others[] = {"fullyLabeledReplicas", "readyReplicas", "availableReplicas"};
    bool set = fed_str_is(kind->kind, "StatefulSet"), deployment = fed_str_is(kind->kind, "Deployment");
    const char *const *parts = set ? of_sets : deployment ? of_deployments : of_others;
    if (!set && !deployment && !fed_str_is(kind->kind, "ReplicaSet") &&
        !fed_str_is(kind->kind, "ReplicationController"))
        return;
    for (size_t i = 0; i < (set ? 4 : 3); i++)
        check_part(status, parts[i], "replicas", "cannot be greater than status.replicas", c);
    check_part(status, "availableReplicas", "readyReplicas",
               set ? "cannot be greater than status.readyReplicas" : "cannot be greater than readyReplicas", c);
}

/* Collisions only become more. */
static void check_collisions(const struct fed_write *w, const struct fed_json *status, struct fed_causes *c)
{
    int64_t now = count_of(status, "collisionCount");
    if (now < count_of(fed_json_find(w->old, "status"), "collisionCount"))
        fed_bad(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%lld", (long long)now), "cannot be decremented",
                "status.collisionCount");
}

static bool holds(const struct fed_json *status, const char *type)
{
    return fed_str_is(fed_json_find_text(fed_obj_condition(status, type), "status"), "True");
}

/* A Job has one end. What was written before there was this rule may stay. */
void fed_rules_job_status(const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const others[] = {"Failed", "FailureTarget"};
    const struct fed_json *status = fed_json_find(obj, "status"), *old = fed_json_find(w->old, "status");
    for (size_t i = 0; i < FED_ARRAY_LEN(others); i++)
        if (holds(status, "Complete") && holds(status, others[i]) && !(holds(old, "Complete") && holds(old, others[i])))
            fed_bad(c, FED_CAUSE_INVALID, (struct fed_str){NULL, 0},
                    i ? "cannot set Complete=True and FailureTarget=true conditions"
                      : "cannot set Complete=True and Failed=true conditions",
                    "status.conditions");
    const struct fed_json *ended = fed_json_find(status, "completionTime"), *was = fed_json_find(old, "completionTime");
    struct fed_str started = fed_json_find_text(status, "startTime");
    if (!ended || (was && fed_json_equal(was, ended)))
        return;
    if (!holds(status, "Complete"))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ended),
                "cannot set completionTime when there is no Complete=True condition", "status.completionTime");
    if (started.n && fed_str_cmp(fed_json_str(ended), started) < 0) /* both in UTC, to the second */
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, ended), "completionTime cannot be set before startTime",
                "status.completionTime");
}

/* What is counted is never less than nothing, whoever counts. */
void fed_rules_counts(const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const names[] = {"observedGeneration",
                                        "replicas",
                                        "updatedReplicas",
                                        "readyReplicas",
                                        "availableReplicas",
                                        "unavailableReplicas",
                                        "fullyLabeledReplicas",
                                        "currentReplicas",
                                        "desiredReplicas",
                                        "currentNumberScheduled",
                                        "numberMisscheduled",
                                        "desiredNumberScheduled",
                                        "numberReady",
                                        "updatedNumberScheduled",
                                        "numberAvailable",
                                        "numberUnavailable",
                                        "collisionCount",
                                        "active",
                                        "succeeded",
                                        "failed",
                                        "disruptionsAllowed",
                                        "currentHealthy",
                                        "desiredHealthy",
                                        "expectedPods"};
    const struct fed_json *status = fed_json_find(obj, "status");
    for (size_t i = 0; status && i < FED_ARRAY_LEN(names); i++)
        fed_check_nonnegative(status, "status", names[i], c);
    check_parts(w->kind, status, c);
    check_collisions(w, status, c);
}
