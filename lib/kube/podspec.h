/* SPDX-License-Identifier: Apache-2.0 */
/* podspec.h: rules of pod specs, alone and in templates, and small checks that several kinds' hooks share. Pure. */
#ifndef FED_KUBE_PODSPEC_H
#define FED_KUBE_PODSPEC_H

#include "kube/check.h"
#include "kube/schema.h"

/* Defaults that depend on other fields: pull policy by tag, emptyDir for a volume without source, host ports on the
 * host network; for a pod also requests from limits and service links. */
void fed_podspec_prepare(struct fed_arena *a, struct fed_json *spec, bool template);
/* The name of a resource as containers have them: "cpu", "example.com/gpu". */
void fed_podspec_check_amount_name(struct fed_str name, const char *at, struct fed_causes *causes);
/* at: "spec" or "spec.template.spec". */
void fed_podspec_validate(const struct fed_json *spec, const char *at, struct fed_causes *causes);

/* A pod template: labels that `selector` matches. kind: whose pods run on until they are told to stop; NULL: a Job's. */
void fed_template_validate(const struct fed_json *spec, const char *kind, struct fed_causes *causes);
/* Labels and annotations of one; at: "spec.template". */
void fed_template_check_metadata(const struct fed_json *template, const char *at, struct fed_causes *c);
/* What such pods may not have. */
void fed_template_runs_on(const struct fed_json *pod, const char *kind, struct fed_causes *c);

/* int_or_percent.c: numbers or percentages, in Kubernetes' words. The number or percentage, -1: neither, -2: absent. */
int64_t fed_check_int_or_percent(const struct fed_json *obj, const char *at, const char *key, struct fed_causes *c);
void fed_check_at_most_all(const struct fed_json *obj, const char *at, const char *key, struct fed_causes *c);
struct fed_str fed_shown_int_or_string(struct fed_arena *a, const struct fed_json *v);

#endif
