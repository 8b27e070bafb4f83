/* SPDX-License-Identifier: Apache-2.0 */
/* custom.h: custom kinds of this server, as its CustomResourceDefinitions say.
 *
 * Model:      the set of custom kinds follows the cache: whatever is Established there is served, by every process on
 *             the store alike. A change of a definition's spec compiles the kind anew, swaps it in one step, ends the
 *             watches of the old one and forgets discovery and OpenAPI documents; requests under way end with the kind
 *             that they began with (references, kube/kind.h). Who decides that a definition is Established, and
 *             deletes the objects of one that goes, is control/crd.h.
 * Bounds:     FED_CUSTOM_MAX definitions; a definition is bounded as every object is, its schema in depth (kube/crd.h).
 * Invariants: an object of a custom kind is in the cache exactly while its kind is served; else its bytes are kept as
 *             an orphan (cache.h). Kinds of the program's own cannot be replaced.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_CUSTOM_H
#define FED_APISERVER_CUSTOM_H

#include "apiserver/registry.h"

enum { FED_CUSTOM_MAX = 2000 };

/* The live keys were loaded: kinds of the definitions that are there, before the history of their objects is told.
 * FED_E_CORRUPT names a damaged key. */
FED_MUST_USE int fed_custom_loaded(struct fed_api *api, struct fed_err *err);
/* A change that is in the cache now; others than of definitions are passed over. */
void fed_custom_changed(struct fed_api *api, const struct fed_change *change);
/* No such object may come now, and the request was answered so: the kind is about to go, or there are too many kinds. */
bool fed_custom_refuses_create(struct fed_api_reply *r);
/* Since the write was computed the kind went, or began to. 0, or the code and op->err. */
FED_MUST_USE int fed_custom_check_commit(struct fed_write_op *op);
void fed_custom_release(struct fed_api *api);

#endif
