/* SPDX-License-Identifier: Apache-2.0 */
/* crd.h: the life of CustomResourceDefinitions: their names are accepted (or not), they become Established, and when one
 * is deleted its objects are deleted first.
 *
 * Model:      an informer over the definitions. The kinds themselves are served by the API server as soon as it sees
 *             Established (apiserver/custom.h). Garbage collection and the end of namespaces are told of them here.
 * Invariants: names of one group are taken once: by a kind of the program, or by the definition whose status has them.
 *             The finalizer goes only after a LIST of the objects came back empty.
 * Threads:    the transport's env.
 */
#ifndef FED_CONTROL_CRD_H
#define FED_CONTROL_CRD_H

#include "control/gc.h"
#include "control/namespace.h"
#include "kube/kind.h"

struct fed_crdctl;
struct fed_crdctl_conf {
    struct fed_transport *transport; /* borrowed */
    const struct fed_kinds *kinds;   /* borrowed; the server's set, for the names of its own kinds */
    struct fed_gc *gc;               /* borrowed, outlive this; NULL: not told */
    struct fed_nsctl *namespaces;
    /* A definition that is deleted with orphan passes that on to its objects: what others hold for them (copies in
     * members) stays. In a cluster it would only leave their dependents behind. */
    bool pass_orphan;
};
struct fed_crdctl *fed_crdctl_new(const struct fed_crdctl_conf *conf);
void fed_crdctl_start(struct fed_crdctl *c);
void fed_crdctl_free(struct fed_crdctl *c);
bool fed_crdctl_idle(const struct fed_crdctl *c);

#endif
