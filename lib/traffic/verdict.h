/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h: how the control plane's word and what we probe ourselves combine: one pure table.
 *
 * Levels, best first. A choice takes the best level that is not empty among YES, DRAIN and DOUBT; if there is none, all
 * of NO ("if everything is down, everything is answered"). NEVER is not used even then.
 *
 *   cluster not joined any more                                   NEVER
 *   our probes: cluster lost, or this target down                 NO      whatever the control plane says
 *   control plane: endpoint not ready (no ready pod)              NO      (DOUBT if its word is stale and our probe
 *                                                                          of the target says up)
 *   control plane: cluster Offline or not Ready                   DOUBT   (YES if its word is stale and our probe of
 *                                                                          the cluster or the target says up)
 *   cluster cordoned                                              DRAIN
 *   else                                                          YES     unknown probes included
 *
 * "Stale": the federation API has been out of reach for FED_CONTROL_STALE_MS. Threads: pure.
 */
#ifndef FED_TRAFFIC_VERDICT_H
#define FED_TRAFFIC_VERDICT_H

#include <stdbool.h>

#include "traffic/target.h"

#define FED_CONTROL_STALE_MS 60000

enum fed_use { FED_USE_YES, FED_USE_DRAIN, FED_USE_DOUBT, FED_USE_NO, FED_USE_NEVER };

struct fed_verdict_in {
    bool joined;  /* the Cluster object exists */
    bool offline; /* control plane: Offline, or Ready is False */
    bool cordoned;
    bool endpoint_ready; /* control plane: a ready pod behind it */
    bool control_stale;
    enum fed_health cluster; /* our probes of the cluster's edge */
    enum fed_health target;  /* our probes of the target */
};
enum fed_use fed_verdict(const struct fed_verdict_in *in);
const char *fed_use_name(enum fed_use use); /* "yes", "drain", "doubt", "no", "never" */

#endif
