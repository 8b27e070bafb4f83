/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"
#include "kube/kind_rules.h"

/* What is counted is never less than nothing, whoever counts. */
void fed_rules_counts(const struct fed_json *obj, struct fed_causes *c)
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
}
