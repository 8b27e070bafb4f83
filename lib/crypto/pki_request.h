/* SPDX-License-Identifier: Apache-2.0 */
/* pki_request.h: certificate signing requests that others made (PEM, PKCS#10): what they ask for, and granting it.
 * The subject and the alternative names are the request's own; what for and how long is the signer's word. */
#ifndef FED_CRYPTO_PKI_REQUEST_H
#define FED_CRYPTO_PKI_REQUEST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct fed_pki_request { /* of the subject; texts in the arena */
    struct fed_str cn;
    struct fed_str *orgs;
    size_t n_orgs;
};
/* One request, signed by its own key. FED_E_INVALID with Kubernetes' words otherwise. */
FED_MUST_USE int fed_pki_request_read(struct fed_arena *a, struct fed_str csr_pem, struct fed_pki_request *out,
                                      struct fed_err *err);

enum fed_pki_use {
    FED_PKI_SIGNATURE = 1, /* key usages */
    FED_PKI_ENCIPHERMENT = 2,
    FED_PKI_SERVER = 4, /* extended key usages */
    FED_PKI_CLIENT = 8,
};
/* uses: of enum fed_pki_use. The certificate does not outlive the CA's. */
FED_MUST_USE int fed_pki_request_sign(struct fed_str ca_cert_pem, struct fed_str ca_key_pem, struct fed_str csr_pem,
                                      unsigned uses, int64_t not_before_ms, int64_t not_after_ms,
                                      struct fed_buf *cert_pem, struct fed_err *err);
/* True when the text is nothing but one or more PEM certificates. */
bool fed_pki_is_chain(struct fed_str pem);

#endif
