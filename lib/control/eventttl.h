/* SPDX-License-Identifier: Apache-2.0 */
/* eventttl.h: deletes Events that were last seen longer ago than their time to live.
 * Threads: the transport's env. */
#ifndef FED_CONTROL_EVENTTTL_H
#define FED_CONTROL_EVENTTTL_H

#include "kube/client.h"

struct fed_eventttl;
/* ttl_ms 0: one hour. Looks once each ttl / 12 at all Events, in pages of 500; starts at once. */
struct fed_eventttl *fed_eventttl_new(struct fed_transport *t, uint64_t ttl_ms);
void fed_eventttl_free(struct fed_eventttl *e);

#endif
