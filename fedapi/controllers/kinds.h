/* SPDX-License-Identifier: Apache-2.0 */
/* kinds.h: the set of kinds that propagate: those of the program, and those that users define.
 *
 * Model:      the program's own are there from the start. Those of users follow the hub's CustomResourceDefinitions: one
 *             that is Established and whose objects live in members becomes a kind with an informer at the hub and, in
 *             each cluster that serves it, one there (member_kinds.c). It goes with its definition, or when all copies
 *             are gone after its objects were withdrawn to the hub. A change that matters begins it anew.
 * Invariants: ids are never used again, so a key of a kind that went means nothing. While anything of the kind may be in
 *             members the definition bears our finalizer, so the kind is there again after a restart.
 * Threads:    the state thread.
 */
#ifndef FAPI_CONTROLLERS_KINDS_H
#define FAPI_CONTROLLERS_KINDS_H

#include "fedapi/controllers/federation.h"

void fapi_kinds_init(struct fapi_federation *f, const struct fed_kinds *all);
void fapi_kinds_release(struct fapi_federation *f); /* the informers at the hub too */
void fapi_kinds_start(struct fapi_federation *f);
/* A definition of the hub changed (now NULL: is gone). */
void fapi_kinds_follow(struct fapi_federation *f, struct fed_kobj *now, struct fed_str name);
/* The custom kind of a definition, or NULL. */
struct fapi_kind *fapi_kinds_defined(struct fapi_federation *f, struct fed_str definition);
/* Its definition at the hub: borrowed or NULL. */
struct fed_kobj *fapi_kinds_definition(const struct fapi_kind *k);
/* True while an object of the kind may have copies. */
bool fapi_kinds_bound(const struct fapi_kind *k);
/* The definition is to be looked at again: objects of a kind that ends are gone, here or there. */
void fapi_kinds_wake_definition(const struct fapi_kind *k);

/* The number of an object that is divided, or -1. */
int64_t fapi_kind_number(const struct fapi_kind *k, const struct fed_json *tree);

/* federation.c: an object of the hub changed. */
void fapi_hub_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now);

#endif
