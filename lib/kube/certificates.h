/* SPDX-License-Identifier: Apache-2.0 */
/* certificates.h: what a CertificateSigningRequest says: whether it is valid, and what was decided about it. Pure.
 * Source: pkg/apis/certificates/validation of Kubernetes. */
#ifndef FED_KUBE_CERTIFICATES_H
#define FED_KUBE_CERTIFICATES_H

#include "kube/kind.h"

#define FED_CSR_CLIENT_SIGNER "kubernetes.io/kube-apiserver-client"

/* Hook of the kind: signer, usages, the request itself; and which writer may change what of the status. */
void fed_csr_validate(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes);
/* A condition of this type; NULL: there is none. Its status is always True once it is stored. */
const struct fed_json *fed_csr_condition(const struct fed_json *obj, const char *type);
/* What a client's certificate may be for, of enum fed_pki_use (crypto/pki_request.h). 0: something else was asked, or not
 * to be a client. */
unsigned fed_csr_client_uses(const struct fed_json *list);
/* The PEM text of spec.request. */
FED_MUST_USE int fed_csr_request(struct fed_arena *a, const struct fed_json *obj, struct fed_str *pem);

#endif
