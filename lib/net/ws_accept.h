/* SPDX-License-Identifier: Apache-2.0 */
/* ws_accept.h: the key of a WebSocket handshake (RFC 6455 4.2.2). Here because lib/http has no digests. Pure. */
#ifndef FED_NET_WS_ACCEPT_H
#define FED_NET_WS_ACCEPT_H

#include "base/str.h"

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; NUL-terminated. Other than 24 bytes of base64: FED_E_SYNTAX. */
FED_MUST_USE int fed_ws_accept(struct fed_str key, char out[29]);

#endif
