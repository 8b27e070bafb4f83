/* SPDX-License-Identifier: Apache-2.0 */
/* fence.h: writes that only the leader may make, where several processes write to one store.
 *
 * Model:      a fence is a key in the store that whoever begins to lead writes anew (raise) before it does anything else.
 *             Each write through a fenced transport carries, in its own transaction, the expectation that the key was
 *             last written by this process. So once another process has raised the fence, nothing that an earlier
 *             leader still has in hand can be committed, however late it arrives: the store itself refuses it.
 *             Before that, `valid` (the lease's deadline by the monotonic clock) is asked immediately before each write
 *             is submitted.
 * Ownership:  the fence outlives its transports. Threads: the state thread.
 */
#ifndef FED_APISERVER_FENCE_H
#define FED_APISERVER_FENCE_H

#include "apiserver/apiserver.h"

struct fed_fence;

struct fed_fence *fed_fence_new(struct fed_api *api, const char *name, bool (*valid)(void *ud), void *ud);
void fed_fence_free(struct fed_fence *f); /* NULL ok; what was raised before is not called back */
/* Makes it ours. cb once, later, unless the fence is freed or dropped before. */
void fed_fence_raise(struct fed_fence *f, const char *who, void (*cb)(void *ud, int code, const struct fed_err *err),
                     void *ud);
void fed_fence_drop(struct fed_fence *f); /* not ours any more: writes are refused from now on */
bool fed_fence_holds(const struct fed_fence *f);
/* As fed_api_local; writes are fenced. */
struct fed_transport *fed_api_local_fenced(struct fed_api *api, const struct fed_identity *who, struct fed_fence *f);

#endif
