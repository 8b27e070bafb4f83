/* SPDX-License-Identifier: Apache-2.0 */
/* crd.h: CustomResourceDefinitions: what a valid one is, and what kind of objects it describes.
 *
 * Model:      a definition is an object like any other; hooks_crd.c prepares and validates it when it is written. Once
 *             its names are accepted (control/crd.h) and it is Established, fed_crd_document makes the document of its
 *             kind (kube/kind.h), which fed_kind_compile compiles and the server serves (apiserver/custom.h).
 * Invariants: a definition that passed the hooks compiles. Pure; results are in the arena.
 */
#ifndef FED_KUBE_CRD_H
#define FED_KUBE_CRD_H

#include "kube/kind.h"
#include "kube/status.h"

#define FED_CRD_GROUP     "apiextensions.k8s.io"
#define FED_CRD_PLURAL    "customresourcedefinitions"
#define FED_CRD_FINALIZER "customresourcecleanup.apiextensions.k8s.io"
/* Annotation of a definition at a federation: where its objects live, "members" or "hub". Its kind's residence is both
 * or hub accordingly. */
#define FED_CRD_RESIDENCE "federation.hansa.io/residence"

bool fed_crd_is(const struct fed_kind *kind); /* the kind of definitions itself */

/* The document of the kind that a valid definition describes, under the names that were accepted. */
struct fed_json *fed_crd_document(struct fed_arena *a, const struct fed_json *crd);
/* Names were accepted and the kind is (or was) served. */
bool fed_crd_established(const struct fed_json *crd);
/* What deletion begins with: the finalizer and the condition Terminating. */
void fed_crd_begin_deletion(struct fed_arena *a, struct fed_json *crd, int64_t now_ms);

/* Adds all that is wrong with it, in the order of Kubernetes. */
void fed_crd_validate(const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes);
/* The schema of one version at `path` ("spec.versions[0].schema.openAPIV3Schema"): structural rules, patterns, defaults.
 * has_status: the status is a subresource. warn (may be NULL) is told what we accept but do not evaluate. */
void fed_crd_schema_check(const struct fed_json *schema, struct fed_str path, bool has_status,
                          struct fed_causes *causes, void (*warn)(void *ud, const char *text), void *ud);

#endif
