/* SPDX-License-Identifier: Apache-2.0 */
/* podspec.h: rules of pod specs, alone and in templates, and small checks that several kinds' hooks share. Pure. */
#ifndef FED_KUBE_PODSPEC_H
#define FED_KUBE_PODSPEC_H

#include "kube/schema.h"

/* Defaults that depend on other fields: pull policy by tag, emptyDir for a volume without source, host ports on the
 * host network; for a pod also requests from limits and service links. */
void fed_podspec_prepare(struct fed_arena *a, struct fed_json *spec, bool template);
/* at: "spec" or "spec.template.spec". */
void fed_podspec_validate(const struct fed_json *spec, const char *at, struct fed_causes *causes);

/* A pod template that a workload controller restarts: labels that `selector` matches, restartPolicy Always (unless any). */
void fed_template_validate(const struct fed_json *spec, bool any_restart, struct fed_causes *causes);
void fed_selector_validate(const struct fed_json *selector, const char *at, struct fed_causes *causes);

/* "must be greater than or equal to 0" when the integer at `key` is negative. */
void fed_check_nonnegative(const struct fed_json *obj, const char *at, const char *key, struct fed_causes *causes);
/* 1-65535. */
void fed_check_port_number(const struct fed_json *v, const char *at, struct fed_causes *causes);
/* A port number or a port name. */
void fed_check_port_ref(const struct fed_json *v, const char *at, struct fed_causes *causes);
/* FieldValueInvalid "field is immutable" when the member differs between old and new (both may lack it). */
void fed_check_immutable(const struct fed_json *old, const struct fed_json *obj, const char *at, const char *key,
                         struct fed_causes *causes);
/* The compact JSON text of a value, for messages. */
struct fed_str fed_shown(struct fed_arena *a, const struct fed_json *v);
/* int_or_percent.c: numbers or percentages, in Kubernetes' words. The number or percentage, -1: neither, -2: absent. */
int64_t fed_check_int_or_percent(const struct fed_json *obj, const char *at, const char *key, struct fed_causes *c);
void fed_check_at_most_all(const struct fed_json *obj, const char *at, const char *key, struct fed_causes *c);
struct fed_str fed_shown_int_or_string(struct fed_arena *a, const struct fed_json *v);

#endif
