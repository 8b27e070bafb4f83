/* SPDX-License-Identifier: Apache-2.0 */
/* authn.h: bearer tokens to identities, for requests and for TokenReviews.
 *
 * Model:      a token is static, a service account's or of the OIDC issuer; a JWT's issuer says which of the two last.
 * Ownership:  identities live in the arena given. Threads: the state thread.
 * Failure:    FED_E_UNAUTHORIZED; FED_E_UNAVAILABLE: the OIDC issuer's keys have to be fetched (fed_authn_wait).
 */
#ifndef FED_APISERVER_AUTHN_H
#define FED_APISERVER_AUTHN_H

#include "apiserver/oidc.h"
#include "apiserver/rbac.h"

struct fed_token_answer {
    struct fed_identity who;   /* with system:authenticated */
    struct fed_strs audiences; /* those wanted that the token has; none for tokens without */
};
FED_MUST_USE int fed_api_check_token(struct fed_api *api, struct fed_str token, const struct fed_strs *audiences,
                                     struct fed_arena *a, struct fed_token_answer *out, struct fed_err *err);
/* The bearer token of a request, borrowed. False: its Authorization is absent or says something else. */
bool fed_authn_bearer(const struct fed_http_request *q, struct fed_str *token);
/* Calls again(r) when keys were fetched; false: they cannot be now. The request must be about to be left alone. */
bool fed_authn_wait(struct fed_api_reply *r, void (*again)(struct fed_api_reply *r, void *ud), void *ud);
void fed_authn_leave(struct fed_api_reply *r); /* the server goes */

#endif
