/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler.h: decides for each federated object which clusters have it and with how many replicas, by the pure planner,
 * and hands the object to the replicators. Threads: the state thread. */
#ifndef FAPI_CONTROLLERS_SCHEDULER_H
#define FAPI_CONTROLLERS_SCHEDULER_H

#include "fedapi/controllers/member.h"

struct fapi_scheduler *fapi_scheduler_new(struct fapi_federation *f);
void fapi_scheduler_free(struct fapi_scheduler *s);

#endif
