/* SPDX-License-Identifier: Apache-2.0 */
/* nodetaints.h: the taints that a node's conditions and its `unschedulable` are. Pure. */
#ifndef MEMBER_CONTROLLERS_NODETAINTS_H
#define MEMBER_CONTROLLERS_NODETAINTS_H

#include "codec/json.h"
#include "kube/obj.h"

/* The taints as they should be: those of others as they are, ours by the conditions. may_evict: NoExecute taints of a node
 * that is not ready may be there. A new array; what stands there already keeps its timeAdded. */
struct fed_json *mbr_node_taints(struct fed_arena *a, const struct fed_json *node, bool may_evict, int64_t now_ms);
/* Whether NoExecute taints of ours are among them. */
bool mbr_node_sends_off(const struct fed_json *taints);
/* ready: nodes that are, in the whole cluster; n, silent: of the node's zone. */
bool mbr_node_eviction_allowed(size_t ready, size_t n, size_t silent);

#endif
