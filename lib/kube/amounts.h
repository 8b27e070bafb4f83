/* SPDX-License-Identifier: Apache-2.0 */
/* amounts.h: sums of resources by name (thousandths), and what pods ask for. Pure. */
#ifndef FED_KUBE_AMOUNTS_H
#define FED_KUBE_AMOUNTS_H

#include "codec/json.h"

struct fed_amount {
    struct fed_str name;
    int64_t milli;
};
struct fed_amounts { /* in the arena; names are borrowed */
    struct fed_arena *arena;
    struct fed_amount *items;
    size_t n, cap;
};
/* NULL: not named. */
struct fed_amount *fed_amounts_find(const struct fed_amounts *l, struct fed_str name);
void fed_amounts_add(struct fed_amounts *l, struct fed_str name, int64_t milli);      /* saturates */
void fed_amounts_at_least(struct fed_amounts *l, struct fed_str name, int64_t milli); /* the larger of the two */
/* A map of quantities, each added; what is no quantity counts as 0. */
void fed_amounts_add_map(struct fed_amounts *l, const struct fed_json *map);
/* `which` "requests" or "limits" of a pod's spec: the sum over containers and restartable init containers, at least
 * what each other init container needs beside those started before it; overhead included. */
void fed_amounts_add_pod(struct fed_amounts *l, const struct fed_json *spec, const char *which);
/* As Kubernetes writes quantities: binary ("512Mi") for memory and storage where it divides, else decimal ("1500m",
 * "2k"). */
void fed_amount_format(struct fed_buf *out, struct fed_str name, int64_t milli);

#endif
