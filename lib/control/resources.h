/* SPDX-License-Identifier: Apache-2.0 */
/* resources.h: every kind that an API server ships with, as the collector and the namespace controller are given them.
 * Custom kinds come and go through crd.h. Events stand last: they own nothing and are many. Threads: any.
 */
#ifndef FED_CONTROL_RESOURCES_H
#define FED_CONTROL_RESOURCES_H

#include "kube/client.h"
#include "kube/kind.h"

/* In the storage versions. */
struct fed_resource *fed_resources_of(const struct fed_kinds *kinds, size_t *n);
void fed_resources_free(struct fed_resource *resources, size_t n);

#endif
