/* SPDX-License-Identifier: Apache-2.0 */
/* gc.h: the garbage collector: objects whose owners are gone are deleted (background), owners that wait for their
 * dependents (foregroundDeletion) or that give them up (orphan) are served.
 *
 * Model:      an informer for each resource given; an index of owner uid -> dependents. A dependent is examined when it
 *             appears, when an owner of it vanishes, and again with back-off after failures.
 * Invariants: absent data never causes a delete: an owner counts as absent only after a live GET answered 404 or an
 * object of another uid. Deletes carry the dependent's uid as a precondition. An owner kind that is not in the list of
 * resources is never judged. Threads:    the env's of the transport.
 */
#ifndef FED_CONTROL_GC_H
#define FED_CONTROL_GC_H

#include "kube/client.h"

struct fed_gc;
struct fed_gc_conf {
    struct fed_transport *transport;      /* borrowed */
    const struct fed_resource *resources; /* static; every kind that may own or be owned */
    size_t n_resources;
    /* An object that bears this finalizer is not touched yet, although it waits for us (foregroundDeletion, orphan): its
     * owner must still see what was asked for. NULL: none. Static. */
    const char *hold_for;
};
struct fed_gc *fed_gc_new(const struct fed_gc_conf *conf);
/* A resource more or less, of a custom kind: borrowed from add to remove. */
void fed_gc_add(struct fed_gc *gc, const struct fed_resource *r);
void fed_gc_remove(struct fed_gc *gc, const struct fed_resource *r);
void fed_gc_start(struct fed_gc *gc);
void fed_gc_free(struct fed_gc *gc);
bool fed_gc_synced(const struct fed_gc *gc);
bool fed_gc_idle(const struct fed_gc *gc); /* nothing queued or under way: for tests */

#endif
