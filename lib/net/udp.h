/* SPDX-License-Identifier: Apache-2.0 */
/* udp.h: a server's UDP socket that receives and answers in batches (recvmmsg, sendmmsg).
 *
 * Model:     readiness by fed_poll; up to 32 datagrams are received at once, the handler is called for each and writes
 *            its answer into the room given, all answers leave in one call, from the address the query came to.
 * Ownership: buffers and message headers belong to the socket and are made once: no allocation for a packet. The
 *            packet and the room are borrowed for the call.
 * Bounds:    a datagram longer than max_query is dropped unseen; answers that the kernel does not take at once are
 *            dropped, never queued (UDP clients ask again). Each is counted.
 * Threads:   the loop's; fed_udp_stats may be called from any.
 */
#ifndef FED_NET_UDP_H
#define FED_NET_UDP_H

#include <stdatomic.h>

#include "net/addr.h"
#include "net/loop.h"

struct fed_udp;

struct fed_udp_packet {
    struct fed_str bytes;
    const struct fed_addr *peer;
    const struct fed_addr *local; /* the address (and port) that it was sent to */
};
struct fed_udp_conf {
    struct fed_addr addr; /* port 0: any free port, see fed_udp_addr; IPv6 sockets take IPv6 only */
    int fd;               /* > 0: an inherited bound socket instead of addr; the udp owns it then */
    bool reuseport;
    int recv_buffer;  /* SO_RCVBUF bytes, best effort; 0: 1 MiB */
    int send_buffer;  /* SO_SNDBUF; 0: 1 MiB */
    size_t max_query; /* bytes; 0: 4,096 */
    size_t max_reply; /* room given to the handler; 0: 4,096 */
    /* Writes at most `room` bytes to `reply` and returns how many; 0: no answer. */
    size_t (*handle)(void *ud, const struct fed_udp_packet *q, char *reply, size_t room);
    void (*batch_end)(void *ud); /* after the answers of a batch were sent; NULL: none */
    void *ud;
};
/* Counters since open. */
struct fed_udp_stats {
    uint64_t received;     /* datagrams given to the handler */
    uint64_t replied;      /* answers that the kernel took */
    uint64_t unanswered;   /* the handler returned 0 */
    uint64_t oversize;     /* dropped: longer than max_query */
    uint64_t send_dropped; /* dropped: send buffer full or the send failed */
    uint64_t recv_errors;
    uint64_t batches; /* recvmmsg calls that returned something */
};

/* loop NULL: a socket for a thread of its own, served by fed_udp_run only. */
FED_MUST_USE int fed_udp_open(struct fed_loop *loop, const struct fed_udp_conf *conf, struct fed_udp **out,
                              struct fed_err *err);
/* Serves on the calling thread, which waits in recvmmsg itself, until
 * *stop is set: seen after each batch and each 100 ms. */
void fed_udp_run(struct fed_udp *u, const atomic_bool *stop);
const struct fed_addr *fed_udp_addr(const struct fed_udp *u);
void fed_udp_stats(const struct fed_udp *u, struct fed_udp_stats *out);
void fed_udp_close(struct fed_udp *u); /* no callback after it returns; also from within the handler */

#endif
