/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h: what a LimitRange says of pods and claims: defaults and refusals. Pure.
 * Source: the LimitRanger admission plugin of Kubernetes. */
#ifndef FED_KUBE_LIMITS_H
#define FED_KUBE_LIMITS_H

#include "kube/kind.h"

/* Gives the pod's containers the default requests and limits of the range, and says so in an annotation. */
void fed_limits_default(struct fed_arena *a, const struct fed_json *range, struct fed_json *pod);
/* Appends what is wrong with a pod or a claim to `wrong` (array of texts). */
void fed_limits_check(struct fed_arena *a, const struct fed_json *range, const struct fed_json *obj, bool is_pod,
                      struct fed_json *wrong);
/* "a" or "[a, b]", as Kubernetes joins errors. */
struct fed_str fed_limits_join(struct fed_arena *a, const struct fed_json *wrong);

/* Hooks of the LimitRange kind: defaults from max and min, and validation. */
int fed_limits_fill(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err);
void fed_limits_validate(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes);
/* Of a ResourceQuota (quota_check.c). */
void fed_quota_validate(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes);

#endif
