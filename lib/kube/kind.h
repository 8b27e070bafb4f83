/* SPDX-License-Identifier: Apache-2.0 */
/* kind.h: every kind is data: one schema document per kind, embedded in the binary or from a CustomResourceDefinition.
 *
 * Model:      struct fed_kinds is the set of kinds that one API server serves, keyed by group + plural. A kind has
 *             versions; one is stored. Each version has a compiled structural schema (kube/schema.h). What a schema
 *             cannot say is a hook: conversion, cross-field validation, preparation, printer cells.
 * Ownership:  kinds of documents live as long as the set. Custom kinds (fed_kind_compile) have memory of their own and
 *             count references: the set, the cache, each request, watch and encoding holds one, so that a definition
 *             may change or go at any time. Threads: built on one thread, then read-only (custom kinds: state thread).
 *
 * The document (YAML, one file per kind in lib/kube/schema/ for core kinds, fedapi/schema/ for the federation's):
 *   group: apps                      # "" for core
 *   kind: Deployment                 # listKind is kind + "List" unless given
 *   plural: deployments
 *   singular: deployment
 *   shortNames: [deploy]
 *   categories: [all]
 *   namespaced: true
 *   residence: both                  # hub | members | both: where its objects may live (federation propagates "both")
 *   storageVersion: v1
 *   otherGroups: [extensions]        # the same objects are served there too (cohabitation)
 *   nameRule: subdomain              # subdomain | label | dns1035 | path
 *   generation: true                 # metadata.generation counts spec changes
 *   subresources: {status: true, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas,
 *                  labelSelectorPath: .status.selector}}
 *   selectableFields: [status.phase] # besides metadata.name and metadata.namespace
 *                                    # (subresources and selectableFields may also stand in a version)
 *   versions:
 *   - name: v1                       # "apps/v1beta1", "extensions/v1beta1": group/version where they differ
 *     served: true
 *     deprecated: "text of the Warning header"
 *     columns: [{name: Ready, type: string, format: "", priority: 0, jsonPath: .status.x, description: ""}]
 *     schema: {type: object, properties: …}   # OpenAPI v3 structural + x-kubernetes-* and the words below
 *   types: {apps.v1.DeploymentSpec: {…}}      # named types, used as {$type: NAME}; a document may hold types only
 *
 * Words of our own in schemas: $type: NAME (a named type; description, default, x-… beside it belong to this use);
 * x-pb: N or [OUTER, N] (protobuf field, in the message at field OUTER when Go embeds a struct); x-pb-raw (message {1:
 * JSON text}); x-pb-ptr (zero and empty are sent as values); x-pb-wrap (message {repeated items = 1}); x-micro (a time with microseconds); x-default-if: "type=A|B"
 * (the default applies when the sibling has one of the values); x-or-bool (a boolean fits too); x-default-from: NAME
 * (default is that sibling's value); x-zero: VALUE (what kube-apiserver writes of the field when nobody gave it a value,
 * because Go writes structures and whatever has no "omitempty" always: {}, "", 0, false, or null for lists, maps, times
 * and pointers; a structure is the default too, unless `default` says another; nothing that a client must send).
 * x-wrong: TEXT (a value that is
 * none of `enum`, or none at all, is told as `Invalid value: "V": TEXT`; with an empty TEXT as an unsupported one);
 * x-told: item (a value that is none of `enum` is told at the list that it is in) or parent (and the whole parent is shown);
 * x-missing: MESSAGE (what is told of the field where it is missing, or a number that is zero, instead of "Required value":
 * `Invalid value: 0: must be between 1 and 65535, inclusive`). Faults are told in the order of the properties.
 * Columns named Name or Age take the place of those that the server adds; the core kinds name their Age column because
 * wide columns follow it. A version without columns shows those of the storage version.
 */
#ifndef FED_KUBE_KIND_H
#define FED_KUBE_KIND_H

#include "base/map.h"
#include "kube/obj.h"
#include "kube/status.h"

struct fed_schema;    /* kube/schema.h */
struct fed_rule_node; /* kube/rules.h */
struct fed_kinds;

enum fed_residence { FED_RESIDE_HUB, FED_RESIDE_MEMBERS, FED_RESIDE_BOTH };

struct fed_column {
    struct fed_str name, type, format, description, json_path;
    int priority;
};
struct fed_kind;
struct fed_kind_version {
    const struct fed_kind *kind;
    struct fed_str group, version; /* of this version (extensions/v1beta1 of an apps kind) */
    struct fed_str api_version;    /* "apps/v1", "v1" */
    bool served;
    struct fed_str warning; /* deprecation, empty if none */
    const struct fed_schema *schema;
    const struct fed_rule_node *rules; /* of custom kinds (kube/rules.h); NULL: none */
    struct fed_column *columns;        /* after Name, before Age, which the server adds unless the hooks print all */
    size_t n_columns;
    /* As of the kind; those of custom kinds may differ from version to version. */
    bool has_status, has_scale;
    struct fed_str scale_spec_path, scale_status_path, scale_selector_path; /* ".spec.replicas" */
    struct fed_str *selectable;                                             /* field selector paths */
    size_t n_selectable;
};
/* Context of a write, for hooks. */
struct fed_write {
    struct fed_env *env;
    struct fed_arena *arena;
    const struct fed_kind *kind;
    const struct fed_kind_version *version; /* of the request */
    const struct fed_json *old;             /* storage version; NULL on create */
    struct fed_str subresource;             /* "", "status", "scale" */
    struct fed_str user;
    bool dry_run;
    void (*warn)(void *ud, const char *text); /* a Warning header of the answer; may be NULL */
    void *warn_ud;
};
struct fed_hooks {
    void *ud;
    /* Defaults that a schema cannot say. They belong to whoever writes the object, and webhooks see them; idempotent, as
     * what webhooks made gets them, too. obj is in the storage version. */
    int (*defaults)(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err);
    /* After admission, before validation: what the server alone sets or resets, which nobody owns. */
    int (*prepare)(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err);
    /* Cross-field rules and immutability. */
    void (*validate)(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes);
    /* In place, between two versions of the kind (always to or from the storage version). */
    int (*convert)(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                   const struct fed_kind_version *to, struct fed_err *err);
    /* Table cells for `columns` of the version (after Name; the server adds Name first). Each value is a new JSON node. */
    void (*cells)(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                  int64_t now_ms, struct fed_json *cells);
    /* After the write was committed or refused: frees what prepare took (cluster IPs). obj of the attempt. */
    void (*settled)(void *ud, const struct fed_write *w, const struct fed_json *obj, bool committed);
};
#define FED_DEFAULTS_ID 9 /* with its end */
struct fed_kind {
    struct fed_str group, kind, list_kind, plural, singular;
    struct fed_str *short_names, *categories, *status_keeps; /* members of metadata that a write of status leaves */
    size_t n_short_names, n_categories, n_status_keeps;
    bool namespaced, has_generation, has_status, has_scale; /* of the storage version */
    bool create_on_update;                                  /* a PUT of what is not there makes it */
    bool needs_revision;                                    /* a PUT must say which revision it changes */
    bool go_json;                                           /* <, > and & are escaped: clients compare bytes */
    bool generation_notes;                                  /* other annotations are another generation, too */
    enum fed_residence residence;
    const char *(*check_name)(struct fed_str name); /* kube/names.h */
    struct fed_kind_version *versions;              /* storage version first, then by preference */
    size_t n_versions;
    struct fed_hooks hooks;
    struct fed_str store_prefix; /* "/registry/apps/deployments/" */
    char *defaults_id;           /* of fed_kind_defaults_id, once it was asked for */
    /* Kinds of CustomResourceDefinitions: */
    struct fed_kind_own *own; /* memory and references; NULL: the set's */
    bool custom;
    bool terminating;                  /* being deleted: no new objects */
    const struct fed_json *conversion; /* spec.conversion.webhook; NULL: versions differ in apiVersion only */
};

struct fed_kinds *fed_kinds_new(void);
void fed_kinds_free(struct fed_kinds *k);
/* Adds the kinds of an embedded bundle (JSON array of documents made by the build from the YAML files). */
FED_MUST_USE int fed_kinds_add_bundle(struct fed_kinds *k, struct fed_str json, struct fed_err *err);
/* Adds one document (tests). Replaces a kind of the same group and plural. */
FED_MUST_USE int fed_kinds_add(struct fed_kinds *k, const struct fed_json *doc, struct fed_err *err);
/* A custom kind of one document (see kube/crd.h) with memory of its own, one reference, not yet in the set, which must
 * outlive it (types). */
FED_MUST_USE int fed_kind_compile(struct fed_kinds *k, const struct fed_json *doc, struct fed_kind **out,
                                  struct fed_err *err);
/* Puts a custom kind into the set (its own reference), in place of one of the same group and plural. */
void fed_kinds_put(struct fed_kinds *k, struct fed_kind *kind);
/* References of custom kinds; of others both do nothing. NULL ok. */
const struct fed_kind *fed_kind_ref(const struct fed_kind *kind);
void fed_kind_unref(const struct fed_kind *kind);
/* The core kinds' bundle, and their built-in hooks (conversion, validation, cells). names: NULL-terminated list of
 * "group/plural" ("" group: "/pods") to serve, or NULL for all. */
FED_MUST_USE int fed_kinds_add_core(struct fed_kinds *k, const char *const *names, struct fed_err *err);
/* Adds hooks to those present, each with its own ud: prepare, validate and settled run after those set before (the core
 * kinds' own run first); a convert or cells that is set replaces the one present. */
void fed_kinds_set_hooks(struct fed_kinds *k, const char *group, const char *plural, const struct fed_hooks *hooks);

/* Takes a kind out (a CRD was deleted) and drops the set's reference. */
bool fed_kinds_remove(struct fed_kinds *k, struct fed_str group, struct fed_str plural);
/* Place of a group in discovery: core, apps, … custom groups, extensions last. Smaller is earlier; equal: by name. */
int fed_kind_group_rank(struct fed_str group);

size_t fed_kinds_count(const struct fed_kinds *k);
const struct fed_kind *fed_kinds_at(const struct fed_kinds *k, size_t i); /* discovery order: apps, networking.k8s.io
                                                                              before extensions */
/* Any version that serves it: ("extensions","v1beta1","deployments"). NULL: unknown. version empty: preferred. */
const struct fed_kind_version *fed_kinds_by_resource(const struct fed_kinds *k, struct fed_str group,
                                                     struct fed_str version, struct fed_str plural);
const struct fed_kind_version *fed_kinds_by_kind(const struct fed_kinds *k, struct fed_str api_version,
                                                 struct fed_str kind);
static inline const struct fed_kind_version *fed_kind_storage(const struct fed_kind *kind)
{
    return &kind->versions[0];
}
/* Whether a write of status leaves this member of metadata as it is (as the status strategies of kube-apiserver do). */
static inline bool fed_kind_status_keeps(const struct fed_kind *kind, const char *member)
{
    for (size_t i = 0; i < kind->n_status_keeps; i++)
        if (fed_str_is(kind->status_keeps[i], member))
            return true;
    return false;
}

#endif
