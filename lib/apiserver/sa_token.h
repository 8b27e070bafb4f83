/* SPDX-License-Identifier: Apache-2.0 */
/* sa_token.h: service account tokens: made, and judged.
 *
 * Model:      a token is a JWT signed with the signing key; its claims name the account and, when it is bound, the pod
 *             or Secret without which it is void. A signature costs more than the rest of a request, so tokens that
 *             held are kept by digest until they expire; whether the account and what they are bound to still live is
 *             looked up for each request. Legacy tokens have no expiry and are void without their Secret.
 * Ownership:  fed_sa belongs to the server. Threads: the state thread.
 * Failure:    FED_E_UNAUTHORIZED with words for the operator; clients see "Unauthorized" alone.
 */
#ifndef FED_APISERVER_SA_TOKEN_H
#define FED_APISERVER_SA_TOKEN_H

#include "apiserver/apiserver_priv.h"
#include "apiserver/rbac.h"
#include "crypto/jwt.h"

struct fed_sa *fed_sa_new(struct fed_api *api);
void fed_sa_free(struct fed_sa *sa);
/* Keys that do not parse; NULL: fine. */
const char *fed_sa_defect(const struct fed_sa *sa);
/* Is this the token of an issuer of ours? `claims` were not verified. */
bool fed_sa_is_issuer(const struct fed_sa *sa, struct fed_str issuer);
/* The audiences of this API. */
const struct fed_strs *fed_sa_audiences(const struct fed_sa *sa);
/* Who the token is of. want: audiences of which it must have one; *got (may be NULL) those that it has of them. */
FED_MUST_USE int fed_sa_authenticate(struct fed_sa *sa, struct fed_str token, const struct fed_strs *want,
                                     struct fed_arena *a, struct fed_identity *who, struct fed_strs *got,
                                     struct fed_err *err);
/* The public keys as a JWKS document. */
void fed_sa_jwks(struct fed_sa *sa, struct fed_buf *out);
/* The OpenID discovery document; false: the issuer is no https URL, so nobody could find it. */
bool fed_sa_discovery(struct fed_sa *sa, struct fed_buf *out);
void fed_sa_request(void *ud, const struct fed_api_request *q, struct fed_api_reply *r); /* serviceaccounts/token */

#endif
