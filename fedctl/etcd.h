/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.h: a control plane whose objects are in an etcd: several servers instead of one with a file on its node.
 *
 * Ownership: strings are in the command's arena. Threads: the command's. */
#ifndef FCTL_ETCD_H
#define FCTL_ETCD_H

#include "fedctl/fedctl.h"

#define FCTL_ETCD_SECRET "apiserver-etcd"

struct fctl_etcd {
    const char *servers;         /* URLs with commas between; NULL or empty: no etcd */
    const char *ca, *cert, *key; /* files; NULL: none */
    int64_t replicas;            /* 0: the default */
    const struct fed_json *kept; /* files of the Secret that is there; NULL: none */
    struct fed_json *files;      /* by check: {"ca.crt": base64, …} */
};
static inline bool fctl_etcd_used(const struct fctl_etcd *e)
{
    return e->servers && e->servers[0];
}
/* What the flags do not say is as deployed. deployment, secret: as they are, or NULL. */
void fctl_etcd_keep(struct fed_arena *a, struct fctl_etcd *e, const struct fed_json *deployment,
                    const struct fed_json *secret);
/* Flags against each other; reads the files. */
FED_MUST_USE int fctl_etcd_check(struct fed_arena *a, struct fctl_etcd *e, struct fed_err *err);
/* deployment: as it is, or NULL. A store is not moved by a change of flags. */
FED_MUST_USE int fctl_etcd_check_store(const struct fctl_etcd *e, const struct fed_json *deployment,
                                       struct fed_err *err);
/* The Deployment made for a file becomes one for etcd. */
void fctl_etcd_apply(struct fed_arena *a, const struct fctl_etcd *e, struct fed_json *deployment);

#endif
