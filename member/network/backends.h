/* SPDX-License-Identifier: Apache-2.0 */
/* backends.h: where the traffic of one port of a Service may go, out of its EndpointSlices, and whose turn it is.
 *
 * Model:      an endpoint is used when it is ready (unknown counts as ready), or, while none of the port's is, when it is
 *             serving although it terminates: as kube-proxy does. One at a time in turn; with affinity the same client
 *             address goes to the same backend as long as that is there.
 * Ownership:  the addresses are the struct's; fed_calloc'ed zero is empty. Threads: the loop's.
 */
#ifndef MEMBER_NETWORK_BACKENDS_H
#define MEMBER_NETWORK_BACKENDS_H

#include "codec/json.h"
#include "net/addr.h"

struct mbr_backends {
    struct fed_addr *v;
    size_t n, cap, turn;
};
/* Those of the slices (an array of EndpointSlices) whose port has this name and protocol; what was there goes. */
void mbr_backends_read(struct mbr_backends *b, const struct fed_json *slices, const char *port, bool udp);
void mbr_backends_release(struct mbr_backends *b);
/* Up to max different ones, the best first. client: the one whose address decides, or NULL: in turn. */
size_t mbr_backends_pick(struct mbr_backends *b, const struct fed_addr *client, struct fed_addr *out, size_t max);

#endif
