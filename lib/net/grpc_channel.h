/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_channel.h: one connection to one gRPC server, with the calls on it (http/grpc.h).
 *
 * Model:      resolving -> connecting -> up -> down. A channel is used once: its owner makes a new one for the next try.
 * Ownership:  the owner's until fed_grpc_channel_free, which may be called in every handler; no handler is called after
 *             it, neither the channel's nor a call's. When the connection breaks, `down` is called and no call's done:
 *             the owner knows his calls (fed_grpc_sent still answers for them) and frees the channel.
 * Threads:    the loop's.
 */
#ifndef FED_NET_GRPC_CHANNEL_H
#define FED_NET_GRPC_CHANNEL_H

#include "http/grpc.h"
#include "net/stream.h"

struct fed_grpc_channel;
struct fed_grpc_channel_conf {
    const char *host; /* name or address */
    uint16_t port;
    struct fed_tls *tls; /* NULL: plain HTTP/2 */
    uint32_t connect_timeout_ms;
    const struct fed_http_header *metadata; /* with each call */
    size_t n_metadata;
    size_t max_message;
    void (*up)(void *ud);
    void (*down)(void *ud, int code, const struct fed_err *err); /* once, never before new returned */
    void *ud;
};
struct fed_grpc_channel *fed_grpc_channel_new(struct fed_loop *loop, const struct fed_grpc_channel_conf *conf);
void fed_grpc_channel_free(struct fed_grpc_channel *ch); /* NULL ok */
/* As fed_grpc_start and fed_grpc_write; only while up. What one turn of the loop starts leaves together. */
struct fed_grpc_call *fed_grpc_channel_start(struct fed_grpc_channel *ch, const char *path, struct fed_str message,
                                             bool last, uint32_t timeout_ms, const struct fed_grpc_handlers *h,
                                             void *ud);
void fed_grpc_channel_write(struct fed_grpc_channel *ch, struct fed_grpc_call *call, struct fed_str message);
void fed_grpc_channel_cancel(struct fed_grpc_channel *ch, struct fed_grpc_call *call);
/* When the last byte arrived, by the env's mono clock in milliseconds. */
uint64_t fed_grpc_channel_heard_ms(const struct fed_grpc_channel *ch);

#endif
