/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h: names to addresses by the system's resolver, on the thread pool (it blocks).
 * Ownership: the lookup is the house's until cb was called (once, never before start returned) or it was canceled.
 * Threads: the loop's. */
#ifndef FED_NET_RESOLVE_H
#define FED_NET_RESOLVE_H

#include "net/addr.h"
#include "net/loop.h"

enum { FED_RESOLVE_MAX = 8 };
struct fed_resolve;

/* code 0 with n > 0 addresses, or FED_E_RESOLVE. */
typedef void (*fed_resolve_cb)(void *ud, int code, const struct fed_addr *addrs, size_t n, const struct fed_err *err);
struct fed_resolve *fed_resolve_start(struct fed_loop *loop, const char *host, uint16_t port, fed_resolve_cb cb,
                                      void *ud);
void fed_resolve_cancel(struct fed_resolve *r); /* NULL ok */

#endif
