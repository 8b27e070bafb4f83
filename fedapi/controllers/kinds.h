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

enum { FAPI_KINDS_MAX = 4096 }; /* more than an API server serves (apiserver/custom.h) */

void fapi_kinds_init(struct fapi_federation *f, const struct fed_kinds *all);
void fapi_kinds_release(struct fapi_federation *f); /* the informers at the hub too */
/* The custom kind of a definition, or NULL. */
struct fapi_kind *fapi_kinds_defined(struct fapi_federation *f, struct fed_str definition);
/* Its definition at the hub: borrowed or NULL. */
struct fed_kobj *fapi_kinds_definition(const struct fapi_kind *k);
/* True while an object of the kind may have copies. */
bool fapi_kinds_bound(const struct fapi_kind *k);

/* The number of an object that is divided, or -1. */
int64_t fapi_kind_number(const struct fapi_kind *k, const struct fed_json *tree);

/* Whether an object of the kind goes to members at all. */
bool fapi_kind_goes(const struct fapi_kind *k, const struct fed_kobj *hub);
/* A definition whose objects live at the hub alone now. */
bool fapi_kind_is_withdrawn(const struct fapi_kind *k, const struct fed_kobj *hub);
/* True for a Namespace that is not empty yet (spec.finalizers), or a definition that still has objects: they go after
 * their contents. */
bool fapi_has_contents(const struct fapi_kind *k, const struct fed_kobj *hub);
/* Whether an autoscaler's target (scaleTargetRef) is of the kind. */
bool fapi_kind_is_target(const struct fed_json *ref, const struct fapi_kind *k);
/* True when a HorizontalPodAutoscaler of the federation scales the object. */
bool fapi_is_scaled(struct fapi_federation *f, const struct fapi_kind *k, const struct fed_kobj *hub);

/* --- hub_kinds.c: as the hub changes --- */
/* Informers of all kinds at the hub; definitions there make kinds come and go. */
void fapi_kinds_start(struct fapi_federation *f);

/* --- for hub_kinds.c --- */
/* The kind that a definition describes now, not yet in the set. */
struct fapi_kind *fapi_kind_describe(const struct fed_json *tree);
void fapi_kind_free(struct fapi_kind *k);
/* Puts the kind into the first free place; false when there is none. */
bool fapi_kinds_put(struct fapi_federation *f, struct fapi_kind *k);

#endif
