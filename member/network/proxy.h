/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.h: the service proxy: listens on what Services offer and carries to their ready endpoints, round robin.
 *
 * Model:      for each Service: cluster address:port, each node's address:nodePort, load balancer address:port. A change
 *             of Services or Endpoints closes and opens only the fronts that differ; running connections stay.
 * Failure:    a port that may not be bound is left to its node port (on the load balancer's address too); an address in
 *             use is tried again each 2 s, with an event.
 */
#ifndef MEMBER_NETWORK_PROXY_H
#define MEMBER_NETWORK_PROXY_H

#include "member/member.h"

struct mbr_proxy *mbr_proxy_new(struct mbr *m);
void mbr_proxy_free(struct mbr_proxy *p);

#endif
