/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate.h: fills the rules of ClusterRoles that have an aggregationRule from the ClusterRoles that it selects.
 *
 * Model:      an informer on ClusterRoles; whenever one changes, each aggregated role is looked at again. Its rules are
 *             those of the selected roles in order of name, each once. Rules that somebody wrote by hand are replaced.
 * Invariants: nothing is written when the rules are right. Threads: the transport's env.
 */
#ifndef FED_CONTROL_AGGREGATE_H
#define FED_CONTROL_AGGREGATE_H

#include "kube/client.h"

struct fed_aggregate;
struct fed_aggregate *fed_aggregate_new(struct fed_transport *transport); /* borrowed; starts at once */
void fed_aggregate_free(struct fed_aggregate *c);                         /* NULL ok */

#endif
