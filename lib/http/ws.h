/* SPDX-License-Identifier: Apache-2.0 */
/* ws.h: WebSocket frames (RFC 6455) without input or output; the handshake is HTTP's (net/ws_accept.h has its key).
 *
 * Model:      fed_ws_next takes bytes and yields whole messages (fragments joined) and control frames, which may lie
 *             between fragments. No extensions.
 * Ownership:  the payload of an event is valid until the next call on the decoder.
 * Failure:    FED_E_SYNTAX or FED_E_LIMIT; close_code then holds what to tell the peer (1002, 1007, 1009). The decoder
 * is of no more use. Threads:    one at a time.
 */
#ifndef FED_HTTP_WS_H
#define FED_HTTP_WS_H

#include "base/buf.h"
#include "base/err.h"

enum fed_ws_op { FED_WS_TEXT = 1, FED_WS_BINARY = 2, FED_WS_CLOSE = 8, FED_WS_PING = 9, FED_WS_PONG = 10 };

struct fed_ws_event {
    enum fed_ws_op op;
    struct fed_str payload; /* of a close: the reason */
    uint16_t code;          /* of a close; 1005 when the peer gave none */
};
struct fed_ws {
    uint16_t close_code;
    /* Private. */
    bool from_client;
    uint8_t head[14], n_head, op, message_op, mask[4], n_control;
    bool fin, in_payload;
    unsigned mask_at;
    uint64_t left;
    bool delivered; /* the message buffer's bytes were handed out */
    char control[125];
    struct fed_buf message;
};

/* from_client: frames must be masked (we are the server), else must not. Messages beyond max_message: FED_E_LIMIT. */
void fed_ws_init(struct fed_ws *ws, bool from_client, size_t max_message);
void fed_ws_release(struct fed_ws *ws);
/* Takes bytes off *in. 1: *ev holds an event (call again); 0: *in is used up; else a failure. */
FED_MUST_USE int fed_ws_next(struct fed_ws *ws, struct fed_str *in, struct fed_ws_event *ev);

/* The head of a whole unmasked message of n bytes, which follow it without being copied. A slice of to. */
#define FED_WS_HEAD_MAX 10
struct fed_str fed_ws_head(char to[FED_WS_HEAD_MAX], enum fed_ws_op op, uint64_t n);
/* One whole message or control frame. mask: four random bytes when we are the client, else NULL. Control payloads are
 * cut at 125 bytes. */
void fed_ws_put(struct fed_buf *out, enum fed_ws_op op, struct fed_str payload, const uint8_t mask[4]);
void fed_ws_put_close(struct fed_buf *out, uint16_t code, struct fed_str reason, const uint8_t mask[4]);

#endif
