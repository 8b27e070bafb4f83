/* SPDX-License-Identifier: Apache-2.0 */
/* leader.h: which of several processes on one store runs the controllers.
 *
 * Model:      a Lease elects; whoever gets it raises the fence (apiserver/fence.h) and only then starts. What the hub's
 *             store is written with goes through the fenced transport, what members are sent through fapi_leader_may.
 *             Times come from one number, the lease's duration D: renewed every D/4, given up by ourselves D*2/3 after
 *             the last renewal was sent, taken by others D after they saw the last change, looked at every D/6.
 * Threads:    the loop's.
 */
#ifndef FAPI_LEADER_H
#define FAPI_LEADER_H

#include "apiserver/fence.h"

struct fapi_leader;
struct fapi_leader_conf {
    struct fed_api *api;
    struct fed_identity who; /* of the controllers */
    const char *ns, *name;   /* of the Lease */
    uint32_t lease_ms;
    void (*started)(void *ud, struct fed_transport *hub); /* we lead: the fenced transport */
    void (*stopped)(void *ud);                            /* stop at once; the transport is gone after it */
    void *ud;
};
struct fapi_leader *fapi_leader_new(const struct fapi_leader_conf *conf);
/* `stopped` is called when we led. The lease is given up by a write that leaves with the loop's next turns: free later. */
void fapi_leader_resign(struct fapi_leader *l);
void fapi_leader_free(struct fapi_leader *l); /* NULL ok */
bool fapi_leader_leads(const struct fapi_leader *l);
/* Nobody else can lead by now. */
bool fapi_leader_may(const struct fapi_leader *l);

#endif
