/* SPDX-License-Identifier: Apache-2.0 */
/* custom.h: custom kinds of this server, as its CustomResourceDefinitions say.
 *
 * Model:      the set of custom kinds follows the cache: whatever is Established there is served, by every process on
 *             the store alike. A change of a definition's spec compiles the kind anew, swaps it in one step, ends the
 *             watches of the old one and forgets discovery and OpenAPI documents; requests under way end with the kind
 *             that they began with (references, kube/kind.h). Who decides that a definition is Established, and
 *             deletes the objects of one that goes, is control/crd.h.
 * Invariants: an object of a custom kind is in the cache exactly while its kind is served; else its bytes are kept as
 *             an orphan (cache.h). Kinds of the program's own cannot be replaced.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_CUSTOM_H
#define FED_APISERVER_CUSTOM_H

#include "apiserver/apiserver_priv.h"

/* The store was loaded: definitions first, then their objects. FED_E_CORRUPT names a damaged key. */
FED_MUST_USE int fed_custom_loaded(struct fed_api *api, struct fed_err *err);
/* A change that is in the cache now; others than of definitions are passed over. */
void fed_custom_changed(struct fed_api *api, const struct fed_change *change);
void fed_custom_release(struct fed_api *api);

#endif
