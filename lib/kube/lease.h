/* SPDX-License-Identifier: Apache-2.0 */
/* lease.h: leader election on a coordination.k8s.io/v1 Lease, judged by monotonic time since its last observed change.
 */
#ifndef FED_KUBE_LEASE_H
#define FED_KUBE_LEASE_H

#include "kube/client.h"

struct fed_lease;
struct fed_lease_conf {
    struct fed_transport *transport;
    const char *ns, *name, *identity;
    uint32_t duration_ms, renew_ms, retry_ms; /* 15,000 / 10,000 deadline / 2,000 when 0 */
    uint32_t every_ms;                        /* the leader renews so often; 0: retry_ms */
    void (*started)(void *ud);                /* we lead */
    void (*stopped)(void *ud);                /* we do not any more: stop writing at once */
    void *ud;
};
struct fed_lease *fed_lease_new(const struct fed_lease_conf *conf);
bool fed_lease_leads(const struct fed_lease *l);
/* We lead, and by the clock still may: nobody else can have the lease yet. Checked before each write by the careful:
 * after a long stop of the process the deadline has passed before its timer runs. */
bool fed_lease_valid(const struct fed_lease *l);
void fed_lease_free(struct fed_lease *l, bool release); /* release: gives the lease up at once */

#endif
