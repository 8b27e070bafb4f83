/* SPDX-License-Identifier: Apache-2.0 */
/* pki.h: the keys of an included cluster, in DIR/pki: ca.{crt,key}, server.{crt,key}, admin.{crt,key}, sa.key.
 *
 * Model:   made at first start; the CA lives ten years, leaves one year. A leaf with less than a third of its life left
 *          (or that does not fit: other CA, other addresses) is made anew, at start and by mbr_pki_renew, which the
 *          member calls twice a day; the server's listener re-reads its files.
 * Files:   keys 0600, written by rename. Threads: the loop's (blocking, small files).
 */
#ifndef MEMBER_PKI_H
#define MEMBER_PKI_H

#include "base/buf.h"
#include "base/env.h"
#include "codec/settings.h"

struct mbr_pki;

struct mbr_pki_conf {
    const char *dir;          /* of the member */
    const char *name;         /* of the cluster */
    const char *const *ips;   /* the server's addresses; NULL-terminated, borrowed for the life */
    const char *const *names; /* and names */
};
FED_MUST_USE int mbr_pki_open(struct fed_env *env, const struct mbr_pki_conf *conf, struct mbr_pki **out,
                              struct fed_err *err);
void mbr_pki_free(struct mbr_pki *p);
/* True in *changed when a leaf was made. */
FED_MUST_USE int mbr_pki_renew(struct mbr_pki *p, bool *changed, struct fed_err *err);
struct fed_str mbr_pki_ca(const struct mbr_pki *p);       /* PEM; borrowed until freed or renewed */
struct fed_str mbr_pki_sa_key(const struct mbr_pki *p);
struct fed_str mbr_pki_admin_cert(const struct mbr_pki *p);
struct fed_str mbr_pki_admin_key(const struct mbr_pki *p);
const char *mbr_pki_server_cert_file(const struct mbr_pki *p);
const char *mbr_pki_server_key_file(const struct mbr_pki *p);
const char *mbr_pki_ca_file(const struct mbr_pki *p);
/* DIR/kubeconfig, 0600: one context named as the cluster, with the admin's certificate. */
FED_MUST_USE int mbr_pki_write_kubeconfig(const struct mbr_pki *p, const char *server, struct fed_err *err);

#endif
