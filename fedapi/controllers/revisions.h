/* SPDX-License-Identifier: Apache-2.0 */
/* revisions.h: the rollout history of federated Deployments, DaemonSets and StatefulSets at the hub (history.h), which
 * kubectl rollout history and undo read.
 *
 * Model:      hub informers of the workloads and of the records feed one queue of the workloads' keys. Each look makes
 *             at most one write; its event brings the key back until nothing is due, so a crash anywhere is made up by the
 *             next look. Clusters and assignments are not asked: what is in members comes by the workload's status.
 * Invariants: nothing is decided before all informers have listed, nor before they show the record that was written last:
 *             two templates would get one number. A change of status alone waits for others that follow it.
 * Failure:    a record that the hub refuses (a quota, a webhook) is an event of the workload, tried again with back-off.
 * Ownership:  the federation owns it. Threads: the state thread.
 */
#ifndef FAPI_CONTROLLERS_REVISIONS_H
#define FAPI_CONTROLLERS_REVISIONS_H

#include "fedapi/controllers/federation.h"

struct fapi_revisions *fapi_revisions_new(struct fapi_federation *f);
void fapi_revisions_start(struct fapi_revisions *r);
void fapi_revisions_free(struct fapi_revisions *r); /* NULL ok */

#endif
