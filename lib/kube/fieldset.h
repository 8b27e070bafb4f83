/* SPDX-License-Identifier: Apache-2.0 */
/* fieldset.h: sets of fields of an object, as server-side apply keeps them in metadata.managedFields (FieldsV1).
 *
 * Model: a set is a JSON tree in the FieldsV1 form itself: members "f:name" (a field), `k:{"name":"c"}` (an item of a
 *        list map), `v:"x"` (an element of a set); an empty object is a member of the set, and "." marks a node that is
 *        a member beside its children. Pure; arena-owned. `a` and `b` are never changed unless a function says so. */
#ifndef FED_KUBE_FIELDSET_H
#define FED_KUBE_FIELDSET_H

#include "kube/schema_priv.h"

/* The fields of a value. s NULL: unknown structure (maps by field, lists as a whole). */
struct fed_json *fed_fieldset_of(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *value);
/* What differs between two objects: fields added or changed, and fields gone; of what came or went as a whole the nodes
 * too. built_in: not of a custom kind. old may be NULL. */
void fed_fieldset_compare(struct fed_arena *a, const struct fed_schema *s, bool built_in, const struct fed_json *old,
                          const struct fed_json *obj, struct fed_json *changed, struct fed_json *removed);
/* The path element of an item of a list map or set; empty when it has no key. */
struct fed_str fed_fieldset_element(struct fed_arena *a, const struct fed_schema *list, const struct fed_json *item);

bool fed_fieldset_empty(const struct fed_json *set);
bool fed_fieldset_member(const struct fed_json *node); /* this node itself is in the set */
void fed_fieldset_tidy(struct fed_json *set);          /* a member that has lost its children is plainly empty */
bool fed_fieldset_equal(const struct fed_json *a, const struct fed_json *b);
void fed_fieldset_add(struct fed_arena *a, struct fed_json *set, const struct fed_json *more);      /* set |= more */
void fed_fieldset_subtract(struct fed_arena *a, struct fed_json *set, const struct fed_json *less); /* set -= less */
/* set -= all that lies at or below a member of `gone`. */
void fed_fieldset_subtract_deep(struct fed_json *set, const struct fed_json *gone);
struct fed_json *fed_fieldset_intersect(struct fed_arena *a, const struct fed_json *x, const struct fed_json *y);
/* Calls cb with the path of each member: '.spec.containers[name="c"].image'. */
void fed_fieldset_each(struct fed_arena *a, const struct fed_json *set, void (*cb)(void *ud, struct fed_str path),
                       void *ud);
/* Takes the fields that managers never own (names, versions, times) out of a whole object's set. */
void fed_fieldset_strip(struct fed_json *set);

#endif
