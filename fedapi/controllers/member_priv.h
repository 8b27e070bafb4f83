/* SPDX-License-Identifier: Apache-2.0 */
/* member_priv.h: what clusters.c and member.c say to each other. */
#ifndef FAPI_CONTROLLERS_MEMBER_PRIV_H
#define FAPI_CONTROLLERS_MEMBER_PRIV_H

#include "fedapi/controllers/member.h"

struct fapi_member *fapi_member_new(struct fapi_federation *f, struct fed_str name);
void fapi_member_free(struct fapi_member *m);
/* (Re)connects when the credentials are new; keeps what runs when they are the same. */
void fapi_member_set_rest(struct fapi_member *m, const struct fed_rest_conf *rest);
/* No usable credentials: says why in the Cluster's conditions. */
void fapi_member_set_problem(struct fapi_member *m, const char *reason, const char *message);
/* The member's health or place changed: writes the Cluster's status (clusters.c). */
void fapi_clusters_report(struct fapi_clusters *c, struct fapi_member *m);
/* Its replicator's queue ran empty. */
void fapi_member_queue_idle(struct fapi_member *m);

/* member_kinds.c: nothing happens while the member is not connected. */
void fapi_member_kind_start(struct fapi_member *m, struct fapi_kind *k);
void fapi_member_kind_stop(struct fapi_member *m, struct fapi_kind *k);
/* The hub's definition of a custom kind changed. */
void fapi_member_kind_look(struct fapi_member *m, struct fapi_kind *k);
/* Makes and starts an informer of the member's; conf's transport is filled in. */
struct fed_informer *fapi_member_informer(struct fapi_member *m, const struct fed_informer_conf *conf,
                                          const struct fed_informer_handlers *h);
/* A list of the member's is complete (member.c). */
void fapi_member_listed(struct fapi_member *m);

#endif
