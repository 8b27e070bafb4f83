/* SPDX-License-Identifier: Apache-2.0 */
/* rbac.h: rbac.authorization.k8s.io/v1 as an authorizer, where the server holds those kinds.
 *
 * Model:      a request is allowed when a rule of a role allows it that a (Cluster)RoleBinding gives to the user, to one
 *             of the groups or to the service account. The index holds roles with their rules compiled and, for each
 *             subject and namespace, the bindings that name it; every committed change brings it up to date. A question
 *             looks at the asker's own bindings only, so its cost does not grow with those of others.
 *
 *                 (namespace, User|Group, name) -> bindings -> role -> rules
 *
 * Invariants: the index equals the four kinds in the cache at the cache's revision. A binding whose role is missing
 *             stays in the index and gives nothing until the role appears.
 * Ownership:  rules are borrowed until the next change. Threads: the state thread.
 */
#ifndef FED_APISERVER_RBAC_H
#define FED_APISERVER_RBAC_H

#include "apiserver/apiserver_priv.h"

struct fed_strs {
    struct fed_str *v;
    size_t n;
};
struct fed_rule { /* a PolicyRule */
    struct fed_strs verbs, groups, resources, names, urls;
};

/* --- rbac.c: rules --- */
/* Texts are borrowed from the tree. */
void fed_rule_read(struct fed_arena *a, const struct fed_json *json, struct fed_rule *out);
struct fed_json *fed_rule_json(struct fed_arena *a, const struct fed_rule *r);
bool fed_rule_allows(const struct fed_rule *r, const struct fed_api_request *q);
bool fed_rule_path_matches(struct fed_str pattern, struct fed_str path);
bool fed_strs_has(const struct fed_strs *s, const char *z);
bool fed_strs_has_str(const struct fed_strs *s, struct fed_str v);
/* The rules array of a role as rules in the arena. */
struct fed_rule *fed_rules_read(struct fed_arena *a, const struct fed_json *list, size_t *n);

/* --- rbac_index.c --- */
struct fed_rbac *fed_rbac_new(void);
void fed_rbac_free(struct fed_rbac *x);
void fed_rbac_load(struct fed_rbac *x, struct fed_api *api); /* the whole state, at start */
void fed_rbac_changed(struct fed_rbac *x, const struct fed_change *ch);
/* Does the server hold RBAC objects at all? */
bool fed_rbac_served(const struct fed_api *api);
/* With `reason` (may be NULL): why ("RBAC: allowed by …"), or which roles are missing. */
bool fed_rbac_allows(struct fed_api *api, const struct fed_api_request *q, struct fed_buf *reason);
/* Calls each(ud, rule) for every rule that holds for `who` in namespace ns (and at the cluster scope) until false. */
void fed_rbac_rules(struct fed_api *api, const struct fed_identity *who, struct fed_str ns,
                    bool (*each)(void *ud, const struct fed_rule *rule), void *ud);
/* Rules of a role by the index; false: there is none. */
bool fed_rbac_role(struct fed_api *api, bool cluster, struct fed_str ns, struct fed_str name,
                   const struct fed_rule **rules, size_t *n);

/* --- rbac_escalation.c --- */
/* May the asker write the role or binding of this operation (computed, storage version)? Answers with the words of
 * Kubernetes (403, or 404 for a role that is not there) and returns false when not. */
bool fed_rbac_may_grant(struct fed_write_op *op);
/* The rules of `want` that `have` does not cover, made compact; texts borrowed. */
struct fed_rule *fed_rules_missing(struct fed_arena *a, const struct fed_rule *have, size_t n_have,
                                   const struct fed_rule *want, size_t n_want, size_t *n);

/* --- rbac_bootstrap.c: the roles that every server has --- */
/* Starts making what is missing and adding missing rules and subjects, as steps of the engine's start. Objects annotated
 * rbac.authorization.kubernetes.io/autoupdate: "false" are left alone. made() is told of each, which bootstrap_left
 * was counted up for. Some of them at each call; true: there are more, for when these are made. */
bool fed_rbac_bootstrap(struct fed_api *api,
                        void (*made)(struct fed_write_op *op, int code, uint64_t rev, const struct fed_err *err));

#endif
