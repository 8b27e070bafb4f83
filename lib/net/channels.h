/* SPDX-License-Identifier: Apache-2.0 */
/* channels.h: several byte streams over one upgraded HTTP/1.1 exchange, as Kubernetes' exec, attach and port-forward use
 * them; what uses channels does not see which protocol carries them.
 *
 * Carriers:   SPDY/3.1 (kubectl before 1.30), WebSocket with a channel number before each message, the same in base64
 *             text, and SPDY tunnelled in WebSocket messages (port-forward of newer kubectl).
 * Model:      accept answers 101 and returns the session. Over SPDY the client opens channels, each described by fields
 *             (streamtype, port, requestid); over WebSocket there is a fixed number of them, open from the beginning.
 *
 *                 opened -> data* -> eof -> gone           (we: write*, finish, or reset)
 *
 * Invariants: for each channel that `opened` took `gone` is called exactly once, unless fed_channel_reset was, or the
 *             session was ended by us. `ended` is called when the peer left first, after `gone` of all; then the session
 *             is freed. After fed_channels_finish or _abort nothing is called any more, and the session frees itself.
 *             Handlers are never called from inside a call on a channel.
 * Ownership:  the session owns its channels; a channel may be used until gone, reset, or the session's end.
 * Bounds:     messages 1 MiB, channels 512; reading stops while a channel is paused or the peer does not read 1 MiB.
 * Threads:    the loop's.
 */
#ifndef FED_NET_CHANNELS_H
#define FED_NET_CHANNELS_H

#include "net/httpd.h"

struct fed_channels;
struct fed_channel;

enum fed_carrier { FED_CARRIER_SPDY, FED_CARRIER_WS, FED_CARRIER_WS_BASE64, FED_CARRIER_WS_SPDY };
struct fed_channels_protocol {
    const char *name; /* "v4.channel.k8s.io"; "": the client names none */
    enum fed_carrier carrier;
};
struct fed_channels_handlers {
    bool (*opened)(void *ud, struct fed_channel *c); /* false refuses it */
    void (*data)(void *ud, struct fed_channel *c, struct fed_str bytes);
    void (*eof)(void *ud, struct fed_channel *c);
    void (*gone)(void *ud, struct fed_channel *c);
    void (*drained)(void *ud); /* all that was written has left */
    void (*ended)(void *ud);
};
struct fed_channels_conf {
    const struct fed_channels_protocol *protocols; /* a static table; the client's order of wishes decides */
    size_t n_protocols;
    unsigned ws_channels; /* number of channels over WebSocket; at most 64 */
    const struct fed_channels_handlers *handlers;
    void *ud;
};
/* FED_E_BAD_REQUEST or FED_E_FORBIDDEN and err: answer it. */
FED_MUST_USE int fed_channels_accept(struct fed_loop *loop, struct fed_http_exchange *x,
                                     const struct fed_channels_conf *conf, struct fed_channels **out,
                                     struct fed_err *err);
const struct fed_channels_protocol *fed_channels_protocol(const struct fed_channels *s);
size_t fed_channels_backlog(const struct fed_channels *s);
/* In order: what was written is sent, then the connection ends. */
void fed_channels_finish(struct fed_channels *s);
void fed_channels_abort(struct fed_channels *s);

/* Number of the channel over WebSocket, -1 over SPDY. */
int fed_channel_index(const struct fed_channel *c);
/* Over SPDY, a field in lower case; p == NULL: none. */
struct fed_str fed_channel_field(const struct fed_channel *c, const char *name);
uint32_t fed_channel_id(const struct fed_channel *c); /* of the SPDY stream; the channel's number over WebSocket */
void fed_channel_set_ud(struct fed_channel *c, void *ud);
void *fed_channel_ud(const struct fed_channel *c);
/* Returns the session's backlog. */
size_t fed_channel_write(struct fed_channel *c, struct fed_str bytes);
void fed_channel_finish(struct fed_channel *c); /* our side of it */
void fed_channel_reset(struct fed_channel *c);
/* Nothing is read from the peer while any channel is paused: the carriers have no windows that clients keep to. */
void fed_channel_pause(struct fed_channel *c, bool paused);

#endif
