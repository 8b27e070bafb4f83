/* SPDX-License-Identifier: Apache-2.0 */
/* cache_index.h: the two indices of one kind's objects (see cache.h): the hash index for single reads, and how both are
 * made at once at start.
 *
 * Model:      while the store is loaded, objects are only gathered. Then they are sorted and the tree and the hash index
 *             are built from the sorted list, which costs a third of putting each in its place as it comes.
 * Ownership:  the hash index borrows: the tree holds the references.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_CACHE_INDEX_H
#define FED_APISERVER_CACHE_INDEX_H

#include "apiserver/cache.h"

uint64_t fed_index_hash(const struct fed_cache *c, struct fed_str ns, struct fed_str name);
void fed_index_put(struct fed_kcache *kc, struct fed_kobj *o);
void fed_index_remove(struct fed_kcache *kc, struct fed_str ns, struct fed_str name);

void fed_index_gather(struct fed_kcache *kc, struct fed_kobj *o); /* takes a reference */
/* Tree and hash index of what was gathered; where the kind has objects already, each is put in its place. Idempotent. */
void fed_index_build(struct fed_kcache *kc);

#endif
