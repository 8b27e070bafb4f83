/* SPDX-License-Identifier: Apache-2.0 */
/* table.h: what the cells hooks of kinds share: pushing cells and the common texts. Pure; results live in the arena. */
#ifndef FED_KUBE_TABLE_H
#define FED_KUBE_TABLE_H

#include "kube/schema.h"
#include "kube/selector.h"

/* A Scale as a Table shows it. */
struct fed_json *fed_scale_columns(struct fed_arena *a);
struct fed_json *fed_scale_row(struct fed_arena *a, const struct fed_json *scale, int64_t now_ms);

void fed_cell_str(struct fed_arena *a, struct fed_json *cells, struct fed_str s);
void fed_cell_strz(struct fed_arena *a, struct fed_json *cells, const char *z);
void fed_cell_int(struct fed_arena *a, struct fed_json *cells, int64_t n);
void fed_cell_or(struct fed_arena *a, struct fed_json *cells, struct fed_str s, const char *dflt);

/* Time since an RFC 3339 text, "<unknown>" when empty; since metadata.creationTimestamp. */
struct fed_str fed_cell_since(struct fed_arena *a, struct fed_str time, int64_t now_ms);
struct fed_str fed_cell_age(struct fed_arena *a, const struct fed_json *obj, int64_t now_ms);
/* The texts of an array (of `member` of its items, when given), comma between. */
struct fed_str fed_cell_join(struct fed_arena *a, const struct fed_json *list, const char *member);
struct fed_str fed_cell_balancers(struct fed_arena *a,
                                  const struct fed_json *obj);                /* of a status, each once, in order */
struct fed_str fed_cell_map(struct fed_arena *a, const struct fed_json *map); /* "a=b,c=d" or "<none>" */
struct fed_str fed_cell_selector(struct fed_arena *a, const struct fed_json *selector); /* string form or "<none>" */

#endif
