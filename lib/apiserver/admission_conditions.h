/* SPDX-License-Identifier: Apache-2.0 */
/* admission_conditions.h: matchConditions of webhooks: expressions that say whether a webhook is asked about a request.
 *
 * Model:      compiled with the webhook, evaluated when rules and selectors let the request through. Expressions see
 *             `object` and `oldObject` (null where there is none) and `request`, which is AdmissionReview's without the
 *             objects. The one false condition is enough: errors beside it do not matter.
 * Bounds:     FED_HOOK_MAX_CONDITIONS a webhook, FED_HOOK_CONDITIONS_LIMIT for all of a webhook's together.
 * Ownership:  programs live in the arena that they were compiled in.
 */
#ifndef FED_APISERVER_ADMISSION_CONDITIONS_H
#define FED_APISERVER_ADMISSION_CONDITIONS_H

#include "cel/cel.h"
#include "kube/status.h"

enum { FED_HOOK_MAX_CONDITIONS = 64, FED_HOOK_CONDITIONS_LIMIT = FED_CEL_REQUEST_LIMIT / 4 };

struct fed_hook_condition {
    struct fed_str text;
    struct fed_cel_program *program; /* NULL: it does not compile */
    struct fed_str why;
};
struct fed_hook_conditions {
    struct fed_hook_condition *items;
    size_t n;
};
void fed_hook_conditions_compile(struct fed_arena *a, const struct fed_json *list, struct fed_hook_conditions *out);
/* 1: all hold; 0: one does not; FED_E_INVALID: nobody can say, *why (in the arena) says the reason. NULL: null. */
FED_MUST_USE int fed_hook_conditions_hold(const struct fed_hook_conditions *c, struct fed_arena *a,
                                          const struct fed_json *object, const struct fed_json *old,
                                          const struct fed_json *request, struct fed_str *why);
/* What is wrong with a list of conditions that is written. */
void fed_hook_conditions_check(const struct fed_json *list, struct fed_str at, struct fed_causes *causes);

#endif
