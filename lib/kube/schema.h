/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h: what a structural schema does to objects: defaults, pruning, validation, merge strategies, conversion,
 * protobuf. Pure functions on trees. */
#ifndef FED_KUBE_SCHEMA_H
#define FED_KUBE_SCHEMA_H

#include "kube/kind.h"

/* Fills absent fields that have a default, in place (also inside list items). */
void fed_schema_default(struct fed_arena *a, const struct fed_schema *s, struct fed_json *obj);
/* Fills what Go always writes of a value of the type (x-zero) and obj lacks, in place. Structures are defaults too, because
 * there are defaults in them; the rest comes when all that looks at the object has run. */
void fed_schema_zeros(struct fed_arena *a, const struct fed_schema *s, struct fed_json *obj);
/* Writes each quantity as Kubernetes gives it back: a string, canonical (0.5 -> "500m"). What is none stays. In place. */
void fed_schema_quantities(struct fed_arena *a, const struct fed_schema *s, struct fed_json *obj);
/* A short name for all defaults of the storage version: it differs when any of them does. Empty: there are none. */
struct fed_str fed_kind_defaults_id(const struct fed_kind *kind);
/* Removes unknown fields and nulls where a field is not nullable; unknown(ud, path, value) is called for each unknown
 * field, still in its place, with its path ("spec.template.spec.containers[0].imag"); may be NULL. metadata is checked against ObjectMeta. */
void fed_schema_prune(const struct fed_schema *s, struct fed_json *obj,
                      void (*unknown)(void *ud, const char *path, const struct fed_json *value), void *ud);
/* Removes all members that are null where the schema knows them and does not let them be: of custom kinds also those of
 * maps and of what may be anything, as Kubernetes does when it reads them. */
void fed_schema_drop_nulls(const struct fed_schema *s, struct fed_json *obj);
/* The same of an object; of a built-in kind's also what Go does not write: empty lists and maps, zero values that are as
 * good as none. */
void fed_kind_prune(const struct fed_kind_version *v, struct fed_json *obj,
                    void (*unknown)(void *ud, const char *path, const struct fed_json *value), void *ud);
/* Types, required, enum, ranges, lengths, patterns, formats (int-or-string, quantity, date-time, byte), list maps and
 * sets without duplicates. A type mismatch on decoding is what Kubernetes answers 400 for: *type_error is then set to
 * the first such message (may be NULL: mismatches become causes). */
void fed_schema_validate(const struct fed_schema *s, const struct fed_json *obj, struct fed_causes *causes,
                         struct fed_str *type_error);
/* Puts causes about objects of that schema into the order in which Kubernetes tells them (schema_order.c). */
void fed_causes_order(const struct fed_schema *s, struct fed_causes *c);
/* Of a body by apiVersion and kind: a stored kind's or that of a named type with x-kubernetes-group-version-kind. */
const struct fed_schema *fed_kinds_body(const struct fed_kinds *k, struct fed_str api_version, struct fed_str kind);
/* The schema of a member / item, for walkers (NULL: unknown). */
const struct fed_schema *fed_schema_property(const struct fed_schema *s, struct fed_str name);
const struct fed_schema *fed_schema_items(const struct fed_schema *s);

/* Strategic merge patch (kube-api-facts section 4). Returns the merged tree (may reuse both). FED_E_BAD_REQUEST for a
 * malformed patch or a missing merge key, FED_E_UNSUPPORTED_MEDIA when the kind has no strategies (CRDs). */
FED_MUST_USE int fed_smp_apply(struct fed_arena *a, const struct fed_schema *s, struct fed_json *doc,
                               const struct fed_json *patch, struct fed_json **out, struct fed_err *err);

/* Who writes, through what. */
struct fed_ssa_write {
    struct fed_str manager, subresource;
    bool force; /* of an apply: conflicts are won */
    int64_t now_ms;
};
/* Server-side apply. `live` NULL: create. Returns the merged object with metadata.managedFields updated.
 * FED_E_CONFLICT fills `causes` (FieldManagerConflict) and err's text. The configuration passed fed_ssa_check. */
FED_MUST_USE int fed_ssa_apply(struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *live,
                               const struct fed_json *applied, const struct fed_ssa_write *how, struct fed_json **out,
                               struct fed_causes *causes, struct fed_err *err);
/* What of an applied configuration the schema does not know, or knows as another type: ".spec.x: field not declared in
 * schema"; empty when all fits. Server-side apply refuses it. */
struct fed_str fed_ssa_check(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *applied);
/* After a plain create/update/patch by a request in version `as`: gives the changed fields, as that version has them, to
 * (manager, Update). old and obj are in version v; obj's managedFields are changed. */
void fed_ssa_track(struct fed_arena *a, const struct fed_kind_version *v, const struct fed_kind_version *as,
                   const struct fed_json *old, struct fed_json *obj, const struct fed_ssa_write *how);

/* The entries of metadata.managedFields are such: operation, version, type. */
bool fed_ssa_readable(struct fed_arena *a, const struct fed_json *obj);

/* Converts in place between served versions (through the storage version when needed), setting apiVersion and kind. */
FED_MUST_USE int fed_kind_convert(struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                                  const struct fed_kind_version *to, struct fed_err *err);

/* The row of an object: [Name, columns…, Age] cells as a JSON array, in the version's column order. */
struct fed_json *fed_kind_row(struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                              int64_t now_ms);
/* Adds `,"conditions":[…]` of a row, when it has any. */
void fed_kind_row_conditions(struct fed_buf *out, const struct fed_kind_version *v, const struct fed_json *obj);
/* Table columnDefinitions for the version, [Name, columns…, Age]. */
struct fed_json *fed_kind_column_definitions(struct fed_arena *a, const struct fed_kind_version *v);
/* "5s", "3m20s", "4d3h": as kubectl prints ages. */
struct fed_str fed_duration_human(struct fed_arena *a, int64_t ms);

/* A body in application/vnd.kubernetes.protobuf ("k8s\0" + runtime.Unknown) as a tree, by the x-pb numbers of the
 * schemas. DeleteOptions and other meta kinds included. FED_E_BAD_REQUEST, FED_E_UNSUPPORTED_MEDIA (unknown kind). */
FED_MUST_USE int fed_pb_to_json(struct fed_arena *a, const struct fed_kinds *kinds, struct fed_str body,
                                struct fed_json **out, struct fed_err *err);

/* Evaluates a simple JSON path as printer columns use it (".status.phase", ".spec.ports[*].port",
 * ".status.conditions[?(@.type==\"Ready\")].status"): text of the results joined by ','. */
struct fed_str fed_json_path_text(struct fed_arena *a, const struct fed_json *obj, struct fed_str path);
/* The first result alone, borrowed; NULL: there is none. */
const struct fed_json *fed_json_path_first(struct fed_arena *a, const struct fed_json *obj, struct fed_str path);

/* OpenAPI documents of the set, made once by the caller and cached: v3 JSON of one group/version ("apis/apps/v1",
 * "api/v1"), v2 as JSON and as the gnostic protobuf that kubectl asks for. */
void fed_openapi_v3_index(const struct fed_kinds *k, struct fed_buf *out);
FED_MUST_USE int fed_openapi_v3(const struct fed_kinds *k, struct fed_str path, struct fed_buf *out);
void fed_openapi_v2_json(const struct fed_kinds *k, struct fed_buf *out);
void fed_openapi_v2_pb(const struct fed_kinds *k, struct fed_buf *out);

#endif
