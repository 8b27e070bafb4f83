/* SPDX-License-Identifier: Apache-2.0 */
/* crd_priv.h: what the files that look at schemas of CustomResourceDefinitions share.
 *
 * Model: as in Kubernetes a schema is looked at twice: for its structure (crd_structural.c), whose faults are told sorted by
 *        their text, then word by word (crd_schema.c). Defaults are looked at where the structure is right. */
#ifndef FED_KUBE_CRD_PRIV_H
#define FED_KUBE_CRD_PRIV_H

#include "kube/crd.h"

enum { FED_CRD_MAX_DEPTH = 60 };
struct fed_crd_walk {
    struct fed_causes *causes;
    struct fed_arena *a;
    void (*warn)(void *ud, const char *text);
    void *ud;
    int depth;
};

/* crd_structural.c: adds its faults; true: there were none. */
bool fed_crd_structural(struct fed_crd_walk *w, const struct fed_json *schema, struct fed_str path);

/* Both files' hands. */
struct fed_str fed_crd_child(struct fed_crd_walk *w, struct fed_str path, const char *name);
struct fed_str fed_crd_keyed(struct fed_crd_walk *w, struct fed_str path, const char *name, struct fed_str key);
struct fed_str fed_crd_item(struct fed_crd_walk *w, struct fed_str path, const char *name, uint32_t i);
void fed_crd_invalid(struct fed_crd_walk *w, struct fed_str path, const char *name, const struct fed_json *v,
                     const char *why);
void fed_crd_required(struct fed_crd_walk *w, struct fed_str path, const char *name, const char *why);
void fed_crd_forbidden(struct fed_crd_walk *w, struct fed_str path, const char *name, const char *why);
bool fed_crd_flag(const struct fed_json *s, const char *name);
bool fed_crd_type_is(const struct fed_json *s, const char *type);

#endif
