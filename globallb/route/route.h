/* SPDX-License-Identifier: Apache-2.0 */
/* route.h: from host and path to a backend, by the rules of Ingress v1, compiled once into hash tables.
 *
 * Model:      host: exact before wildcard ("*.example.com" is exactly one label more) before rules without host. Within
 *             the host that was chosen the longest path wins, Exact before Prefix of the same length; Prefix goes by
 *             path elements and ignores a trailing slash; ImplementationSpecific is Prefix, a final "*" ignored. No path
 *             matches: the defaultBackend of the host's ingress, else the oldest defaultBackend of all, else none (404).
 *             Of two equal rules the older ingress' wins. Ingresses of a class that is not ours are left out.
 * Invariants: immutable; a look-up takes time linear in the path's length and allocates nothing.
 * Ownership:  counted; backends and their strings live as long as the routes.
 * Threads:    made, ref and unref: control thread; look-ups: any.
 */
#ifndef GLB_ROUTE_ROUTE_H
#define GLB_ROUTE_ROUTE_H

#include "traffic/snapshot.h"

struct glb_backend {
    uint32_t index;             /* 0 … glb_routes_count - 1 */
    struct fed_str ns, service; /* service empty: the ingress names none (a resource backend) */
    struct fed_str port_name;
    uint16_t port; /* 0: by name */
};
struct glb_routes;

/* classes: ingress classes served beside "" (none). */
struct glb_routes *glb_routes_new(const struct fed_snapshot *s, const char *const *classes, size_t n_classes);
struct glb_routes *glb_routes_ref(struct glb_routes *r);
void glb_routes_unref(struct glb_routes *r); /* NULL ok */
size_t glb_routes_count(const struct glb_routes *r);
const struct glb_backend *glb_routes_backend(const struct glb_routes *r, size_t index);

/* host as in the request (any case, with or without port and final dot); path "/…" without query, still encoded.
 * Borrowed, or NULL: no rule. */
const struct glb_backend *glb_routes_find(const struct glb_routes *r, struct fed_str host, struct fed_str path);
/* The host in lower case without port and final dot, in room of 256 bytes; a longer one is cut to nothing. */
struct fed_str glb_route_host(struct fed_str host, char room[256]);
/* `host` is matched by `pattern` (a name, or "*." and a name). Both lower case. */
bool glb_route_host_matches(struct fed_str pattern, struct fed_str host);

#endif
