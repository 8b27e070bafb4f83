/* SPDX-License-Identifier: Apache-2.0 */
/* keep.h: init again: what is not said keeps what is deployed, and what changes is told. Pure.
 *
 * Model:      a plan is what init would deploy anew. What a flag did not say is taken out of it, or taken over from the
 *             object that is deployed. Overrides of arguments are noted in an annotation of their workload, because its
 *             arguments alone do not tell them from those that an older release gave; without the note (deployed by hand)
 *             they are the arguments that init does not give itself.
 * Ownership:  the arena given. Failure: none.
 */
#ifndef FEDCTL_KEEP_H
#define FEDCTL_KEEP_H

#include "codec/json.h"
#include "codec/settings.h"

#define FCTL_ANN_OVERRIDES "federation.hansa.io/arg-overrides"
#define FCTL_ANN_ADVERTISE "federation.hansa.io/advertise-address"

/* First container of a workload, or NULL. */
struct fed_json *fctl_container(const struct fed_json *workload);
/* Overrides ("--a", "1", ...) of the workload `have` (NULL: not deployed) with those said over them, name by name; one
 * that is said with an empty value is taken away. plan: the workload as init gives it without overrides. */
void fctl_keep_overrides(struct fed_arena *a, const struct fed_json *have, const struct fed_json *plan,
                         const struct fed_strings *said, struct fed_strings *out);
/* They go into plan's arguments and its note. */
void fctl_put_overrides(struct fed_arena *a, struct fed_json *plan, const struct fed_strings *overrides);
/* plan gets the members that only have has. */
void fctl_fill(struct fed_arena *a, struct fed_json *plan, const struct fed_json *have);
/* A merge of `want` over `have` is to leave only what want has: what it lacks becomes null. */
void fctl_replace_members(struct fed_arena *a, struct fed_json *want, const struct fed_json *have);

/* What a patch `want` changes of `have`, a line each: "  spec.replicas: 1 -> 2". hide: only where, not what. */
void fctl_changes(const struct fed_json *have, const struct fed_json *want, bool hide, struct fed_buf *out);

#endif
