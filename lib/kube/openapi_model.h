/* SPDX-License-Identifier: Apache-2.0 */
/* openapi_model.h: compiled schemas back as JSON schema documents, for OpenAPI v2 and v3. */
#ifndef FED_KUBE_OPENAPI_MODEL_H
#define FED_KUBE_OPENAPI_MODEL_H

#include "kube/schema_priv.h"

struct fed_models {
    struct fed_arena *arena;
    const char *ref_prefix; /* "#/definitions/" or "#/components/schemas/" */
    bool v3;                /* $ref with siblings goes through allOf */
    struct fed_json *out;   /* name -> schema */
    unsigned branches;      /* inside of anyOf and so on: what a structure says is not said again there */
};
/* Adds the model of a version (with x-kubernetes-group-version-kind) and all that it refers to. Returns its name. */
struct fed_str fed_models_add_version(struct fed_models *m, const struct fed_kind_version *v);
/* The same for a named type that is no stored kind but has a group, version and kind. */
void fed_models_add_type(struct fed_models *m, const struct fed_shape *shape);

/* Calls cb for each group/version that the set serves, in discovery order. */
void fed_kinds_each_gv(const struct fed_kinds *k, void (*cb)(void *ud, struct fed_str group, struct fed_str version),
                       void *ud);
/* Calls cb for each named type that has x-kubernetes-group-version-kind. */
void fed_kinds_each_body(const struct fed_kinds *k, void (*cb)(void *ud, const struct fed_shape *shape), void *ud);

/* Operations of the resource as OpenAPI paths: an object path -> {get, post, patch…}; the parts that clients look at. */
void fed_openapi_paths(struct fed_arena *a, const struct fed_kind_version *v, bool v3, struct fed_json *paths);

#endif
