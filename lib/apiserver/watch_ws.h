/* SPDX-License-Identifier: Apache-2.0 */
/* watch_ws.h: watches over WebSocket. Threads: the state thread. */
#ifndef FED_APISERVER_WATCH_WS_H
#define FED_APISERVER_WATCH_WS_H

#include "apiserver/audit.h"
#include "apiserver/watch.h"

/* Does the client of this watch ask for a WebSocket? */
bool fed_watch_ws_wanted(const struct fed_api_reply *r);
/* Answers with it, or refuses the handshake (400). Takes over *arena, where the filter lives. */
void fed_watch_ws(struct fed_api_reply *r, const struct fed_watch_spec *spec, struct fed_arena *arena);

#endif
