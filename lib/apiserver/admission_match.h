/* SPDX-License-Identifier: Apache-2.0 */
/* admission_match.h: webhook configurations as they are used: compiled, ordered, and matched against a request. Pure.
 *
 * Model:      a configuration object is a tree; its webhooks are compiled into an array that knows operations as bits,
 *             selectors parsed, defaults filled in. Matching says which version of the resource the webhook is to be
 *             shown: that of the request, or with matchPolicy Equivalent another version of the same objects.
 * Ownership:  a list's memory is its arena; hooks borrow from it. Threads: the state thread.
 */
#ifndef FED_APISERVER_ADMISSION_MATCH_H
#define FED_APISERVER_ADMISSION_MATCH_H

#include "kube/match_conditions.h"
#include "apiserver/webhook_call.h"
#include "kube/selector.h"

enum fed_admit_operation { FED_ADMIT_CREATE = 1, FED_ADMIT_UPDATE = 2, FED_ADMIT_DELETE = 4, FED_ADMIT_CONNECT = 8 };
const char *fed_admit_operation_name(enum fed_admit_operation op); /* "CREATE" */

struct fed_hook_rule {
    unsigned operations; /* bits of enum fed_admit_operation */
    const struct fed_json *groups, *versions, *resources;
    enum { FED_SCOPE_ALL, FED_SCOPE_CLUSTER, FED_SCOPE_NAMESPACED } scope;
};
struct fed_hook {
    struct fed_str configuration, name;
    struct fed_webhook_target target;
    struct fed_hook_rule *rules;
    size_t n_rules;
    struct fed_selector namespaces, objects;
    struct fed_match_conditions conditions;
    uint32_t timeout_ms;
    bool exact;         /* matchPolicy Exact */
    bool ignore;        /* failurePolicy Ignore */
    bool dry_run_ok;    /* sideEffects None or NoneOnDryRun */
    bool again;         /* reinvocationPolicy IfNeeded */
    const char *review; /* "admission.k8s.io/v1" or v1beta1 */
    const char *broken; /* the configuration cannot be used: why */
};
struct fed_hook_list {
    struct fed_arena arena;
    struct fed_hook *hooks;
    size_t n, cap;
};
/* Appends the webhooks of a configuration object (copied into the list's arena). */
void fed_hook_list_add(struct fed_hook_list *l, const struct fed_json *configuration);
void fed_hook_list_release(struct fed_hook_list *l);

struct fed_hook_resource { /* one version of what is asked for */
    struct fed_str group, version, resource;
};
struct fed_hook_question {
    enum fed_admit_operation operation;
    const struct fed_hook_resource *resources; /* that of the request, then its equivalents */
    size_t n_resources;
    struct fed_str subresource, ns; /* ns: of a Namespace, its own name */
    bool is_namespace;
    /* Labels: of the namespace (NULL: it has none or is not there), of the object and of the old object. */
    const struct fed_json *ns_labels, *labels, *old_labels;
    bool has_object, has_old;
};
/* The index of the resource to show, or -1. */
int fed_hook_match(const struct fed_hook *h, const struct fed_hook_question *q);

/* --- admission_check.c --- */
/* What Kubernetes refuses in a configuration object. */
void fed_hook_check(const struct fed_json *configuration, struct fed_causes *causes);

#endif
