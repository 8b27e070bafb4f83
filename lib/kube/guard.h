/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h: a transport in front of another one that lets writes pass only while `allow` says so, asked immediately before
 * each is handed on. Refused calls end with FED_E_CANCELED. Reads and watches always pass.
 *
 * Ownership: takes over the inner transport. Threads: the env's thread.
 */
#ifndef FED_KUBE_GUARD_H
#define FED_KUBE_GUARD_H

#include "kube/client.h"

struct fed_transport *fed_guard_new(struct fed_transport *inner, bool (*allow)(void *ud), void *ud);

#endif
