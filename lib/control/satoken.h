/* SPDX-License-Identifier: Apache-2.0 */
/* satoken.h: tokens in Secrets: fills Secrets of type kubernetes.io/service-account-token, and deletes them when their
 * service account is gone.
 *
 * Model:      informers on Secrets and ServiceAccounts. A Secret names its account by annotation; its data gets the
 *             token, the CA and the namespace.
 * Invariants: a Secret is deleted only when its account was there for it before (annotated uid) and a live GET says that
 *             it is gone or another one; with the Secret's uid as a precondition.
 * Ownership:  everything given is borrowed. Threads: the transport's env.
 */
#ifndef FED_CONTROL_SATOKEN_H
#define FED_CONTROL_SATOKEN_H

#include "base/buf.h"
#include "kube/client.h"

struct fed_satoken;
struct fed_satoken_conf {
    struct fed_transport *transport;
    struct fed_str ca_pem; /* copied */
    /* A token for the account, to be kept in the Secret of this name. */
    int (*make)(void *ud, const struct fed_kobj *account, struct fed_str secret, struct fed_buf *token,
                struct fed_err *err);
    void *ud;
};
struct fed_satoken *fed_satoken_new(const struct fed_satoken_conf *conf); /* starts at once */
void fed_satoken_free(struct fed_satoken *c);                             /* NULL ok */

#endif
