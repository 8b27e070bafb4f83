/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h: the persistent ordered map under the cache (see cache.h): objects ordered by (namespace, name).
 *
 * Model:      put and remove take the caller's reference to the old root and return the new one; nodes that nobody
 *             else holds are changed in place, shared ones are copied, so a snapshot costs nothing until a write.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_TREE_H
#define FED_APISERVER_TREE_H

#include "apiserver/cache.h"

FED_MUST_USE struct fed_node *fed_tree_put(struct fed_node *n, struct fed_kobj *obj); /* refs obj */
FED_MUST_USE struct fed_node *fed_tree_remove(struct fed_node *n, struct fed_str ns, struct fed_str name);
/* A tree of n objects in order, each once; refs them. */
FED_MUST_USE struct fed_node *fed_tree_build(struct fed_kobj *const *objs, size_t n);
int fed_tree_cmp(struct fed_str ns, struct fed_str name, const struct fed_kobj *o);

#endif
