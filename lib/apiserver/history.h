/* SPDX-License-Identifier: Apache-2.0 */
/* history.h: the log of changes made again at start from the store's history, so that a watcher from before the restart
 * goes on where it was.
 *
 * Model:      the live objects are loaded first, then each change of the store's history is added in order. The state
 *             before a change is the key's state after its last change, or what the store says that was replaced. A
 *             change whose past cannot be told (an unreadable value, a store that does not know) cuts the log: it
 *             begins behind it, and earlier watchers list again. The past of a custom kind begins with the last change
 *             of its definition.
 * Invariants: the log is without gaps from its floor on. What it keeps beside the live objects is at most 64 MiB.
 * Threads:    the state thread, while the store is loaded. */
#ifndef FED_APISERVER_HISTORY_H
#define FED_APISERVER_HISTORY_H

#include "apiserver/cache.h"

struct fed_history {
    struct fed_map last; /* key -> its object after its last change so far, a reference; NULL: deleted */
    size_t bytes;        /* of objects that only the log keeps */
    uint64_t cut;        /* revision behind which the log begins; 0: no cut */
};
void fed_history_add(struct fed_history *h, struct fed_cache *c, const struct store_change *change);
/* The store is loaded at `rev`; history was told from after `since`. */
void fed_history_done(struct fed_history *h, struct fed_cache *c, uint64_t rev, uint64_t since);
void fed_history_release(struct fed_history *h);

#endif
