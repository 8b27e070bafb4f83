/* SPDX-License-Identifier: Apache-2.0 */
/* pki_dir.h: the keys of an API server, in DIR/pki: ca.{crt,key}, server.{crt,key}, admin.{crt,key}, sa.key.
 *
 * Model:   made at first start; the CA lives ten years, leaves one year. A leaf with less than a third of its life left
 *          (or that does not fit: other CA, other addresses) is made anew, at start and by fed_pki_dir_renew, which the
 *          program calls twice a day; the server's listener re-reads its files.
 * Files:   keys 0600, written by rename. Threads: the loop's (blocking, small files).
 */
#ifndef FED_KUBE_PKI_DIR_H
#define FED_KUBE_PKI_DIR_H

#include "base/buf.h"
#include "base/env.h"
#include "codec/settings.h"

struct fed_pki_dir;

struct fed_pki_dir_conf {
    const char *dir;          /* state folder of the server */
    const char *name;         /* of the cluster or federation: CN of the CA, context of the kubeconfig */
    const char *ca_dir;       /* ca.{crt,key} and sa.key are read from here (a mounted Secret); NULL: made in DIR/pki */
    const char *server_cn;    /* subject of the server's certificate */
    const char *const *ips;   /* the server's addresses; NULL-terminated, borrowed for the life */
    const char *const *names; /* and names */
};
FED_MUST_USE int fed_pki_dir_open(struct fed_env *env, const struct fed_pki_dir_conf *conf, struct fed_pki_dir **out,
                                  struct fed_err *err);
void fed_pki_dir_free(struct fed_pki_dir *p);
/* True in *changed when a leaf was made. */
FED_MUST_USE int fed_pki_dir_renew(struct fed_pki_dir *p, bool *changed, struct fed_err *err);
struct fed_str fed_pki_dir_ca(const struct fed_pki_dir *p); /* PEM; borrowed until freed or renewed */
struct fed_str fed_pki_dir_sa_key(const struct fed_pki_dir *p);
const char *fed_pki_dir_sa_key_file(const struct fed_pki_dir *p);
struct fed_str fed_pki_dir_admin_cert(const struct fed_pki_dir *p);
struct fed_str fed_pki_dir_admin_key(const struct fed_pki_dir *p);
const char *fed_pki_dir_server_cert_file(const struct fed_pki_dir *p);
const char *fed_pki_dir_server_key_file(const struct fed_pki_dir *p);
const char *fed_pki_dir_ca_file(const struct fed_pki_dir *p);
/* A new key and client certificate for a program (a year's validity), in PEM. */
FED_MUST_USE int fed_pki_dir_issue(const struct fed_pki_dir *p, struct fed_str cn, struct fed_str org,
                                   struct fed_buf *cert_pem, struct fed_buf *key_pem, struct fed_err *err);
/* A certificate for somebody's own request (crypto/pki_request.h); begins five minutes ago, for clocks that are behind. */
FED_MUST_USE int fed_pki_dir_sign_request(const struct fed_pki_dir *p, struct fed_str csr_pem, unsigned uses,
                                          int64_t seconds, struct fed_buf *cert_pem, struct fed_err *err);
/* DIR/kubeconfig, 0600: one context named as the cluster, with the admin's certificate. */
FED_MUST_USE int fed_pki_dir_write_kubeconfig(const struct fed_pki_dir *p, const char *server, struct fed_err *err);

#endif
