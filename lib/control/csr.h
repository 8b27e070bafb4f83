/* SPDX-License-Identifier: Apache-2.0 */
/* csr.h: signs CertificateSigningRequests for kubernetes.io/kube-apiserver-client that were approved, and clears away those
 * that are done with.
 *
 * Model:      an informer on the requests. An approved one without a certificate is signed by the program's CA for as long
 *             as it asks (at least ten minutes, at most and by default a year); one that asks for other usages than a
 *             client's fails. Requests of other signers are left alone. As in Kubernetes, what was decided goes after an
 *             hour, what nobody decided after a day, whoever the signer is.
 * Invariants: a deletion names the uid that was looked at; a write the revision.
 * Ownership:  everything given is borrowed. Threads: the transport's env.
 */
#ifndef FED_CONTROL_CSR_H
#define FED_CONTROL_CSR_H

#include "base/buf.h"
#include "kube/client.h"

struct fed_csrctl;
struct fed_csrctl_conf {
    struct fed_transport *transport;
    /* uses: of enum fed_pki_use (crypto/pki_request.h). */
    int (*sign)(void *ud, struct fed_str csr_pem, unsigned uses, int64_t seconds, struct fed_buf *cert_pem,
                struct fed_err *err);
    void *ud;
};
struct fed_csrctl *fed_csrctl_new(const struct fed_csrctl_conf *conf); /* starts at once */
void fed_csrctl_free(struct fed_csrctl *c);                            /* NULL ok */

#endif
