/* SPDX-License-Identifier: Apache-2.0 */
/* member_priv.h: what clusters.c, member.c and member_kinds.c share; each calls those after it, and members.c. */
#ifndef FAPI_CONTROLLERS_MEMBER_PRIV_H
#define FAPI_CONTROLLERS_MEMBER_PRIV_H

#include "fedapi/controllers/jobs.h"
#include "fedapi/controllers/member.h"

struct fapi_clusters {
    struct fapi_federation *fed;
    struct fed_informer *objects, *secrets;
    struct fed_map members; /* name -> struct fapi_member */
    struct fapi_member *first;
    struct fed_workqueue *reports;
    struct fapi_jobs jobs;
};
struct fapi_there { /* a kind in a member */
    struct fapi_member *member;
    struct fapi_kind *kind;
    struct fed_informer *objects; /* marked ones; of namespaces all */
    /* Of custom kinds: */
    struct fed_informer *definition;
    struct fed_resource resource; /* version is owned */
    enum fapi_served served;
    char *why; /* of FAPI_SERVED_OTHER; owned or NULL */
};

struct fapi_member *fapi_member_new(struct fapi_federation *f, struct fed_str name);
void fapi_member_free(struct fapi_member *m);
/* (Re)connects when the credentials are new; keeps what runs when they are the same. */
void fapi_member_set_rest(struct fapi_member *m, const struct fed_rest_conf *rest);
/* No usable credentials: says why in the Cluster's conditions. */
void fapi_member_set_problem(struct fapi_member *m, const char *reason, const char *message);

/* members.c: borrowed or NULL */
struct fapi_there *fapi_member_there(const struct fapi_member *m, const struct fapi_kind *k);

/* member_kinds.c: nothing happens while the member is not connected. */
void fapi_member_kind_start(struct fapi_member *m, struct fapi_kind *k);
void fapi_member_kind_stop(struct fapi_member *m, struct fapi_kind *k);
/* The hub's definition of a custom kind changed. */
void fapi_member_kind_look(struct fapi_member *m, struct fapi_kind *k);
/* Makes and starts an informer of the member's; conf's transport is filled in. */
struct fed_informer *fapi_member_informer(struct fapi_member *m, const struct fed_informer_conf *conf,
                                          const struct fed_informer_handlers *h);

#endif
