/* SPDX-License-Identifier: Apache-2.0 */
/* kind_rules.h: cross-field rules of kinds whose hooks are elsewhere, one function for each; in the words of Kubernetes. Pure. */
#ifndef FED_KUBE_KIND_RULES_H
#define FED_KUBE_KIND_RULES_H

#include "kube/schema.h"

/* kind_rules_service.c */
void fed_rules_service(const struct fed_json *spec, struct fed_causes *c);
void fed_rules_endpoints(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c);
void fed_rules_slice(const struct fed_json *slice, struct fed_causes *c);
/* service_addresses.c. False: nothing else is to be looked at; the causes are those only. */
bool fed_rules_service_addresses(const struct fed_json *spec, struct fed_causes *c);
void fed_rules_service_external(const struct fed_json *spec, struct fed_causes *c); /* of type ExternalName */
void fed_rules_service_same_addresses(const struct fed_json *old, const struct fed_json *spec, struct fed_causes *c);
/* kind_rules_event.c: of the form that core/v1 has */
void fed_rules_event(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c);
/* kind_rules_node.c */
void fed_rules_node_status(const struct fed_json *status, struct fed_causes *c);
void fed_rules_node(const struct fed_json *old, const struct fed_json *spec, struct fed_causes *c);
/* kind_rules_workload.c: of a status */
void fed_rules_counts(const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c);
void fed_rules_job_status(const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c);
/* kind_rules_status.c */
void fed_rules_pod_status(const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c);
void fed_rules_namespace_status(const struct fed_json *obj, struct fed_causes *c);
void fed_rules_balancer(const struct fed_json *obj, struct fed_causes *c);                    /* status.loadBalancer */
void fed_rules_conditions(const struct fed_json *list, const char *at, struct fed_causes *c); /* of meta/v1's form */
void fed_rules_amounts(const struct fed_json *map, const char *at, struct fed_causes *c);     /* none is negative */
/* kind_rules_network.c */
void fed_rules_network_policy(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c);
void fed_rules_ingress_class(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c);
void fed_rules_ingress_host(struct fed_str host, const char *at, struct fed_causes *c);
void fed_rules_ingress(const struct fed_json *spec, struct fed_causes *c);
/* kind_rules_policy.c */
void fed_rules_autoscaler(const struct fed_json *spec, struct fed_causes *c);
void fed_rules_quota_scopes(const struct fed_json *spec, struct fed_causes *c);
/* kind_rules_storage.c */
void fed_rules_volume(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c);
void fed_rules_class(const struct fed_json *class, struct fed_causes *c);
void fed_rules_claim(const struct fed_json *spec, struct fed_causes *c);
/* kind_rules_batch.c */
void fed_rules_job(const struct fed_json *spec, const char *at, struct fed_causes *c);

/* hooks_node.c */
void fed_kind_pair(struct fed_arena *a, struct fed_json *obj, const char *one, const char *list, const char *member);

#endif
