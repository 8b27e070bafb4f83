/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h: x-kubernetes-validations of custom kinds: the rules of a schema, compiled once, and objects held to them.
 *
 * Model:      a tree of nodes beside the schema, with only those parts that have rules in or below them. `self` of a rule
 *             is the value at its node, typed as the schema says (rules_type.c); `oldSelf` is the value that it
 *             replaces, where there is one that it can be told to replace: members of objects, items of keyed lists. Rules
 *             that name oldSelf hold only then, unless they have optionalOldSelf.
 * Bounds:     FED_CEL_CALL_LIMIT for a rule, FED_CEL_REQUEST_LIMIT for an object.
 * Invariants: what did not change and was broken before is told as a warning and let pass (ratcheting), as Kubernetes does.
 * Ownership:  the tree lives in the arena it was compiled in; it borrows nothing. Immutable.
 */
#ifndef FED_KUBE_RULES_H
#define FED_KUBE_RULES_H

#include "cel/cel.h"
#include "kube/status.h"

struct fed_rule_node;

/* The type that rules see values of a schema as. root: of a whole object. NULL: rules do not see it (its type is not
 * known, or that of its items). */
const struct fed_cel_type *fed_rules_type(struct fed_arena *a, const struct fed_json *schema, bool root);

/* The rules of a version's schema; NULL: it has none. Those that do not compile are kept as errors. */
const struct fed_rule_node *fed_rules_compile(struct fed_arena *a, const struct fed_json *schema);
/* The same for a definition that is written: what is wrong with its rules, at `path`; nothing is kept. */
void fed_rules_check_schema(const struct fed_json *schema, struct fed_str path, struct fed_causes *causes);

/* Holds an object to the rules. old (may be NULL): what it replaces. Where other causes say that the object has not even
 * its form, one cause says that rules were not looked at. warn (may be NULL) is told what is only let pass. */
void fed_rules_check(const struct fed_rule_node *rules, const struct fed_json *obj, const struct fed_json *old,
                     struct fed_causes *causes, void (*warn)(void *ud, const char *text), void *ud);

#endif
