/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.h: ends Terminating namespaces: deletes all objects inside of the resources given, waits until they are
 * gone, then takes the `kubernetes` finalizer out through /finalize.
 *
 * Invariants: /finalize is called only after a LIST of every resource came back empty. Threads: the transport's env.
 */
#ifndef FED_CONTROL_NAMESPACE_H
#define FED_CONTROL_NAMESPACE_H

#include "kube/client.h"

struct fed_nsctl;
struct fed_nsctl_conf {
    struct fed_transport *transport;      /* borrowed */
    const struct fed_resource *resources; /* static; those not namespaced are passed over */
    size_t n_resources;
    /* What is in a namespace that is deleted with orphan is orphaned too (a cluster deletes it all the same). */
    bool orphans;
};
struct fed_nsctl *fed_nsctl_new(const struct fed_nsctl_conf *conf);
/* A resource more or less, of a custom kind: borrowed from add to remove. Passes under way begin anew. */
void fed_nsctl_add(struct fed_nsctl *c, const struct fed_resource *r);
void fed_nsctl_remove(struct fed_nsctl *c, const struct fed_resource *r);
void fed_nsctl_start(struct fed_nsctl *c);
void fed_nsctl_free(struct fed_nsctl *c);
bool fed_nsctl_idle(const struct fed_nsctl *c);

#endif
