/* SPDX-License-Identifier: Apache-2.0 */
/* replicator.h: brings one cluster to what was decided: what it should have against what its informer sees, and the
 * smallest write between the two. Idempotent: with nothing changed it writes nothing.
 *
 * It touches only objects that bear our mark (federation uid and source uid, written at creation). An unmarked object
 * of the same name is a conflict until the federated object's annotation federation.hansa.io/adopt says "true".
 * Threads: the state thread.
 */
#ifndef FAPI_CONTROLLERS_REPLICATOR_H
#define FAPI_CONTROLLERS_REPLICATOR_H

#include "fedapi/controllers/member.h"

struct fapi_replicator *fapi_replicator_new(struct fapi_member *m);
void fapi_replicator_free(struct fapi_replicator *r);
void fapi_replicator_start(struct fapi_replicator *r); /* the member has a transport */
void fapi_replicator_stop(
    struct fapi_replicator *r); /* cancels calls; keys are forgotten: all are to be added after a start */
bool fapi_replicator_idle(const struct fapi_replicator *r);

#endif
