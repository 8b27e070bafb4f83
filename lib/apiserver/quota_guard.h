/* SPDX-License-Identifier: Apache-2.0 */
/* quota_guard.h: one decision about a namespace's quota at a time, where several processes write to one store.
 *
 * Model:      each namespace with a quota has a key in the store, its guard. A write that takes more of a quota writes
 *             the guard in the same transaction and expects it to be as this process has seen it. All that was taken
 *             before is then in the cache that decided; otherwise the store refuses, nothing is written, and it is
 *             decided anew on the state that the refusal has shown. Within one process such writes take turns, so that
 *             they do not refuse each other. With a store of one process there are no guards.
 * Failure:    who has not got through in GUARD_WAIT_MS is told to try again later (429).
 * Ownership:  guards are the api's; what waits lies in its operation's arena. Threads: the state thread.
 */
#ifndef FED_APISERVER_QUOTA_GUARD_H
#define FED_APISERVER_QUOTA_GUARD_H

#include "apiserver/registry.h"

/* A change of a key of the store, as it is loaded or follows. */
void fed_guard_seen(struct fed_api *api, const struct store_change *c);
/* FED_GUARD_TURN: decide now; also when it is the operation's turn already. FED_GUARD_WAITS: go_on(op) is called later.
 * FED_E_TOO_MANY with op->err. */
enum { FED_GUARD_TURN, FED_GUARD_WAITS };
FED_MUST_USE int fed_guard_enter(struct fed_write_op *op, void (*go_on)(struct fed_write_op *op));
/* The operation that goes with the write, 1; 0: there is none. The key is in op's arena. */
FED_MUST_USE size_t fed_guard_op(struct fed_write_op *op, struct store_op *out);
bool fed_guard_missed(const struct fed_write_op *op);          /* after a conflict: another process was faster */
void fed_guard_leave(struct fed_write_op *op);                 /* it ends: the next one's turn */
void fed_guard_forget(struct fed_api *api, struct fed_str ns); /* no quotas there any more */
void fed_guards_release(struct fed_api *api);

#endif
