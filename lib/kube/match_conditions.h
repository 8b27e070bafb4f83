/* SPDX-License-Identifier: Apache-2.0 */
/* match_conditions.h: matchConditions of webhooks: expressions that say whether a webhook is asked about a request.
 *
 * Model:      compiled with the webhook, evaluated when rules and selectors let the request through. Expressions see
 *             `object` and `oldObject` (null where there is none) and `request`, which is AdmissionReview's without the
 *             objects. The one false condition is enough: errors beside it do not matter.
 * Bounds:     FED_MATCH_CONDITIONS_MAX a webhook, FED_MATCH_CONDITIONS_LIMIT for all of a webhook's together.
 * Ownership:  programs live in the arena that they were compiled in.
 */
#ifndef FED_KUBE_MATCH_CONDITIONS_H
#define FED_KUBE_MATCH_CONDITIONS_H

#include "cel/cel.h"
#include "kube/status.h"

enum { FED_MATCH_CONDITIONS_MAX = 64, FED_MATCH_CONDITIONS_LIMIT = FED_CEL_REQUEST_LIMIT / 4 };

struct fed_match_condition {
    struct fed_str text;
    struct fed_cel_program *program; /* NULL: it does not compile */
    struct fed_str why;
};
struct fed_match_conditions {
    struct fed_match_condition *items;
    size_t n;
};
void fed_match_conditions_compile(struct fed_arena *a, const struct fed_json *list, struct fed_match_conditions *out);
/* 1: all hold; 0: one does not; FED_E_INVALID: nobody can say, *why (in the arena) says the reason. NULL: null. */
FED_MUST_USE int fed_match_conditions_hold(const struct fed_match_conditions *c, struct fed_arena *a,
                                           const struct fed_json *object, const struct fed_json *old,
                                           const struct fed_json *request, struct fed_str *why);
/* What is wrong with a list of conditions that is written. */
void fed_match_conditions_check(const struct fed_json *list, struct fed_str at, struct fed_causes *causes);

#endif
