/* SPDX-License-Identifier: Apache-2.0 */
/* ssa_priv.h: the parts of server-side apply: laying one object over another, taking fields out, and the entries of
 * metadata.managedFields. */
#ifndef FED_KUBE_SSA_PRIV_H
#define FED_KUBE_SSA_PRIV_H

#include "kube/fieldset.h"

/* Lays an applied configuration over an object, which is changed and returned. Nothing of it is lost, but for leaves with
 * other values; lists with elements get the configuration's order. */
struct fed_json *fed_ssa_merge(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                               const struct fed_json *applied);
/* Takes all members of the set out of obj, in place. What is left empty by that is null. */
void fed_ssa_remove(struct fed_arena *a, const struct fed_schema *s, struct fed_json *obj,
                    const struct fed_fields *set);

/* An entry. Who it belongs to: name, operation, subresource, and of updates the version. */
struct fed_manager {
    struct fed_str name, operation, api_version, subresource, time;
    const struct fed_fields *set;
};
struct fed_managers {
    struct fed_arena *arena;
    struct fed_manager *items;
    size_t n, cap;
};
/* Reads the entries of an object. False: one of them is none; then there are none. */
bool fed_managers_read(struct fed_managers *m, const struct fed_json *obj);
struct fed_manager *fed_managers_put(struct fed_managers *m, struct fed_manager value);
/* The entry with the same owner, or NULL. */
struct fed_manager *fed_managers_find(const struct fed_managers *m, const struct fed_manager *like);
bool fed_manager_applies(const struct fed_manager *m);
/* As Kubernetes writes the owner in errors: "curl" with subresource "status" using apps/v1. */
struct fed_str fed_manager_text(struct fed_arena *a, const struct fed_manager *m);
/* By the owner as Kubernetes writes it as a key. */
int fed_managers_cmp(const struct fed_manager *x, const struct fed_manager *y);
/* Of more updaters than Kubernetes keeps the oldest become one for each version. */
void fed_managers_cap(struct fed_managers *m);
/* Writes the entries that own anything, in Kubernetes' order. */
void fed_managers_write(struct fed_managers *m, struct fed_json *obj);

#endif
