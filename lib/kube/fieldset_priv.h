/* SPDX-License-Identifier: Apache-2.0 */
/* fieldset_priv.h: making the nodes of sets of fields, for the files that read them from values. */
#ifndef FED_KUBE_FIELDSET_PRIV_H
#define FED_KUBE_FIELDSET_PRIV_H

#include "kube/fieldset.h"

/* Children of one node, in the order in which they are found; no two may be the same. */
struct fed_gather { /* zero-initialised = none */
    struct fed_fields *first, *last;
    bool unsorted;
};
/* Takes a copy of the node, unless nothing is in it. */
void fed_gather_add(struct fed_arena *a, struct fed_gather *g, const struct fed_fields *node);
const struct fed_fields *fed_gather_list(struct fed_gather *g);
const struct fed_fields *fed_fields_root(struct fed_arena *a, const struct fed_fields *first);
/* The union of two lists of siblings. */
const struct fed_fields *fed_fields_unite(struct fed_arena *a, const struct fed_fields *x, const struct fed_fields *y);

#endif
