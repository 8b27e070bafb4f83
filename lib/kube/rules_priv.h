/* SPDX-License-Identifier: Apache-2.0 */
/* rules_priv.h: the compiled rules, between rules_compile.c and rules_run.c. */
#ifndef FED_KUBE_RULES_PRIV_H
#define FED_KUBE_RULES_PRIV_H

#include "kube/rules.h"

struct fed_rule {
    struct fed_cel_program *program, *message; /* program NULL: error says why; message NULL: none */
    struct fed_str text;                       /* of the rule */
    struct fed_str given;                      /* message */
    struct fed_str field;                      /* fieldPath without the first dot */
    struct fed_str error;
    enum fed_cause_type reason;
    bool uses_old, optional_old;
};
struct fed_rule_prop {
    struct fed_str key;
    const struct fed_rule_node *node;
};
struct fed_rule_node {
    const struct fed_cel_type *type;
    struct fed_str type_name; /* "object", as messages show it */
    struct fed_rule *rules;
    size_t n_rules;
    struct fed_rule_prop *props; /* sorted by key */
    size_t n_props;
    const struct fed_rule_node *items, *additional;
    const struct fed_rule_node **all_of;
    size_t n_all_of;
    bool atomic; /* x-kubernetes-map-type: members are not told apart */
};
/* As fed_rules_check of a well-formed value; *spent is what was paid before, and then by all. */
void fed_rules_walk(const struct fed_rule_node *rules, const struct fed_json *obj, const struct fed_json *old,
                    struct fed_causes *causes, void (*warn)(void *ud, const char *text), void *ud, uint64_t *spent);

enum { FED_RULE_SELF, FED_RULE_OLD, FED_RULE_VARS };

#endif
