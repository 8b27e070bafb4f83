/* SPDX-License-Identifier: Apache-2.0 */
/* quota.h: what objects cost and which ResourceQuotas they count against. Pure.
 * Source: the quota evaluators of Kubernetes (pkg/quota/v1). */
#ifndef FED_KUBE_QUOTA_H
#define FED_KUBE_QUOTA_H

#include "kube/amounts.h"
#include "kube/kind.h"

struct fed_quota_kind { /* how objects of a kind count */
    enum { FED_QUOTA_PLAIN, FED_QUOTA_POD, FED_QUOTA_SERVICE, FED_QUOTA_CLAIM } rule;
    struct fed_str count; /* "count/deployments.apps", in the arena */
    struct fed_str plain; /* "secrets", for those with a name of their own; empty */
};
void fed_quota_kind_init(struct fed_quota_kind *q, struct fed_arena *a, const struct fed_kind *kind);
/* Adds the cost of one object; obj may be NULL for kinds whose rule is PLAIN. */
void fed_quota_usage(const struct fed_quota_kind *q, const struct fed_json *obj, struct fed_amounts *out);
/* Does an object of this kind count against a quota with these scopes (spec of a ResourceQuota)? */
bool fed_quota_in_scope(const struct fed_quota_kind *q, const struct fed_json *quota_spec, const struct fed_json *obj);
/* "must specify limits.cpu for: web; memory for: web", or empty: what a pod has to say when `hard` limits it. */
struct fed_str fed_quota_unspecified(struct fed_arena *a, const struct fed_json *hard, const struct fed_json *pod);

#endif
