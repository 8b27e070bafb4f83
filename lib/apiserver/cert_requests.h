/* SPDX-License-Identifier: Apache-2.0 */
/* cert_requests.h: the server's own part in writes of CertificateSigningRequests.
 *
 * Model:      who asks is written into the spec at the create, whatever the client says, and the spec stays as it is.
 *             Conditions are written through the subresource approval by those who may `approve` the signer, conditions
 *             and the certificate through status by those who may `sign` for it: verbs on the resource `signers` of
 *             certificates.k8s.io with the signer's name, or all of its domain ("*" after the slash), as the name.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_CERT_REQUESTS_H
#define FED_APISERVER_CERT_REQUESTS_H

#include "apiserver/registry.h"

bool fed_cert_request_kind(const struct fed_kind *k);
/* What the server fills in; nothing for other kinds. */
void fed_cert_request_prepare(struct fed_write_op *op);
/* May the writer do this? FED_E_FORBIDDEN in op->err otherwise. */
FED_MUST_USE int fed_cert_request_admit(struct fed_write_op *op);
/* From obj to base (the current object) what the subresource approval writes. */
void fed_cert_request_approval(struct fed_arena *a, struct fed_json *base, struct fed_json *obj);

#endif
