/* SPDX-License-Identifier: Apache-2.0 */
/* fieldset.h: sets of fields of an object, as server-side apply keeps them in metadata.managedFields (FieldsV1).
 *
 * Model: a set is a tree; a node below the root is one step of a path: a field ('f', its name), an item of a list map
 *        ('k', its keys as JSON: {"name":"c"}), an element of a set ('v', its value as JSON) or of a list ('i', index).
 *        `member` says that the path to here is in the set; what is below is in it or not by itself.
 * Invariants: siblings are sorted as Kubernetes sorts them; a node is a member or has members below it. Nodes that a
 *        function returned are never changed again, so sets share them. Linear in the size of both sets.
 * Ownership: the arena's; texts are borrowed from the values and documents that the sets were made of. */
#ifndef FED_KUBE_FIELDSET_H
#define FED_KUBE_FIELDSET_H

#include "kube/schema_priv.h"

struct fed_fields {
    const struct fed_fields *next, *first; /* sibling, child */
    struct fed_str text;
    char kind; /* 'f', 'k', 'v', 'i'; 0: the root */
    bool member;
};

/* Sets of one path less each; the root of an empty one has no child. NULL is an empty set everywhere. */
bool fed_fields_empty(const struct fed_fields *set);
bool fed_fields_equal(const struct fed_fields *x, const struct fed_fields *y);
const struct fed_fields *fed_fields_union(struct fed_arena *a, const struct fed_fields *x, const struct fed_fields *y);
const struct fed_fields *fed_fields_intersect(struct fed_arena *a, const struct fed_fields *x,
                                              const struct fed_fields *y);
const struct fed_fields *fed_fields_minus(struct fed_arena *a, const struct fed_fields *x, const struct fed_fields *y);
/* Without all that lies at or below a member of y. */
const struct fed_fields *fed_fields_minus_deep(struct fed_arena *a, const struct fed_fields *x,
                                               const struct fed_fields *y);
/* The child of a node, or NULL. */
const struct fed_fields *fed_fields_find(const struct fed_fields *node, char kind, struct fed_str text);
/* Calls cb with the path of each member: '.spec.containers[name="c"].image'; of a node's children, members first. */
void fed_fields_each(struct fed_arena *a, const struct fed_fields *set, void (*cb)(void *ud, struct fed_str path),
                     void *ud);

/* From and to the FieldsV1 form. What is no path is left out. */
const struct fed_fields *fed_fields_parse(struct fed_arena *a, const struct fed_json *doc);
struct fed_json *fed_fields_json(struct fed_arena *a, const struct fed_fields *set);

/* --- by a schema (NULL: unknown structure: maps by field, lists as a whole) --- */

/* The fields of an applied configuration. */
const struct fed_fields *fed_fields_of(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *value);
/* Of a built-in kind Kubernetes has structures: some parts are there also where nobody wrote them, and lists and maps
 * without anything in them are not; but what an applied configuration was laid over is a plain tree. */
enum fed_fields_of_kind { FED_FIELDS_CUSTOM, FED_FIELDS_BUILT_IN, FED_FIELDS_APPLIED /* obj; built-in, too */ };
/* What differs between two objects: fields added or changed, and fields gone. old may be NULL. */
void fed_fields_compare(struct fed_arena *a, const struct fed_schema *s, enum fed_fields_of_kind of,
                        const struct fed_json *old, const struct fed_json *obj, const struct fed_fields **changed,
                        const struct fed_fields **removed);
/* The path element of an item of a list map or set; empty when it has no key. */
struct fed_str fed_fields_element(struct fed_arena *a, const struct fed_schema *list, const struct fed_json *item);
/* What a key is that an item lacks; NULL: there is no default. */
const struct fed_json *fed_fields_key_default(const struct fed_schema *list, struct fed_str name);
/* 'k' or 'v', as the elements of this list are. */
char fed_fields_element_kind(const struct fed_schema *list);
/* The set with each declared field that something below is in. */
const struct fed_fields *fed_fields_named(struct fed_arena *a, const struct fed_schema *s,
                                          const struct fed_fields *set);
/* The set after its schema changed: what is atomic now is owned as a whole. */
const struct fed_fields *fed_fields_fit(struct fed_arena *a, const struct fed_schema *s, const struct fed_fields *set);
bool fed_fields_granular_list(const struct fed_schema *s);
bool fed_fields_granular_map(const struct fed_schema *s);

#endif
