/* SPDX-License-Identifier: Apache-2.0 */
/* services.h: who has which cluster address, node port and load balancer address.
 *
 * Model:      a hook on the kind Service takes addresses and ports while a write is prepared and gives them back when it
 *             was refused; deletions and changes seen by the informer give back the rest. Each number knows its owner
 *             ("NS/NAME"), so nothing is given back twice. The memory is rebuilt from the stored Services before the
 *             API listens.
 * Failure:    an address outside the range or taken: a cause of a 422, as Kubernetes says it; a full range:
 *             FED_E_INTERNAL.
 */
#ifndef MEMBER_SERVICES_H
#define MEMBER_SERVICES_H

#include "member/member.h"

enum { MBR_NODE_PORT_MIN = 30000, MBR_NODE_PORT_MAX = 32767 };

struct mbr_services *mbr_services_new(struct mbr *m); /* sets the hooks on m->kinds */
void mbr_services_free(struct mbr_services *s);
void mbr_services_follow(struct mbr_services *s); /* after the informers were made */
/* A load balancer address for the Service: `wanted` if free, its present one, else the next; false: full. */
bool mbr_services_balancer(struct mbr_services *s, struct fed_str owner, struct fed_str wanted, char out[16]);
void mbr_services_drop_balancer(struct mbr_services *s, struct fed_str owner, struct fed_str ip);
/* The port really listened on for a Service port at `ip`: itself, or the node port when it may not be bound. */
uint16_t mbr_services_real_port(const char *ip, uint16_t port, uint16_t node_port);

/* For tests: the preparation of one write against the memory. */
FED_MUST_USE int mbr_services_prepare(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err);
void mbr_services_validate(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes);
void mbr_services_settled(void *ud, const struct fed_write *w, const struct fed_json *obj, bool committed);

#endif
