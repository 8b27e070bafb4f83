/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h: bytes between a client and a backend: TCP with back-pressure, UDP in sessions.
 *
 * Model:     a TCP relay owns its two streams and knows no Service: it lives through every reconfiguration. It tries up
 *            to three backends, given at the start, until one accepts. A UDP front keeps one session (a connected socket
 *            to one backend) for each client address, for 30 s of silence.
 * Bounds:    one side stops reading when the other has 256 KiB unsent; 1,024 UDP sessions per front, the oldest goes.
 * Threads:   the loop's.
 */
#ifndef MEMBER_NETWORK_RELAY_H
#define MEMBER_NETWORK_RELAY_H

#include "net/httpd.h"

enum { MBR_RELAY_TRIES = 3 };

/* Takes the client's stream over. */
void mbr_relay_tcp(struct fed_loop *loop, struct fed_stream *client, const struct fed_addr *backends, size_t n);

/* Answers 101 and joins the client with a backend that is open already; `first` came from it behind its head. False:
 * the client cannot be joined (HTTP/2, or it has left), and nothing was taken. */
bool mbr_relay_upgrade(struct fed_http_exchange *client, const char *protocol, struct fed_stream *backend,
                       struct fed_str first);

struct mbr_udp_front;
/* pick gives a backend for a new client; false: none. */
FED_MUST_USE int mbr_udp_front_open(struct fed_loop *loop, const struct fed_addr *addr,
                                    bool (*pick)(void *ud, const struct fed_addr *client, struct fed_addr *out),
                                    void *ud, struct mbr_udp_front **out, struct fed_err *err);
void mbr_udp_front_close(struct mbr_udp_front *f);

#endif
