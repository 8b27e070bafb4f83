/* SPDX-License-Identifier: Apache-2.0 */
/* rbac.h: rbac.authorization.k8s.io/v1 objects as an authorizer, where the server holds those kinds.
 *
 * Model:      a request is allowed when a rule of a role allows it that a (Cluster)RoleBinding gives to the user, one of
 *             the groups or the service account. Objects are read from the cache for each question; there are few.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_RBAC_H
#define FED_APISERVER_RBAC_H

#include "apiserver/apiserver_priv.h"

bool fed_rbac_allows(struct fed_api *api, const struct fed_api_request *q);
/* Calls each(ud, rule) for every rule that holds for `who` in namespace ns (and at the cluster scope). */
void fed_rbac_rules(struct fed_api *api, const struct fed_identity *who, struct fed_str ns, struct fed_arena *a,
                    bool (*each)(void *ud, const struct fed_json *rule), void *ud);

#endif
