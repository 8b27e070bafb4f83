/* SPDX-License-Identifier: Apache-2.0 */
/* reviews.h: virtual resources about access: who am I, may I, may they, whose token is this, a new token.
 *
 * Model:      each takes a body, answers the same body with its status filled in (201). Nothing is stored.
 * Threads:    the state thread. */
#ifndef FED_APISERVER_REVIEWS_H
#define FED_APISERVER_REVIEWS_H

#include "apiserver/apiserver_priv.h"

/* The body as an object of this kind with apiVersion and metadata, or NULL and answered. */
struct fed_json *fed_review_body(struct fed_api_reply *r, const char *kind);

/* The body without what its type does not have. */
FED_MUST_USE int fed_api_typed_body(struct fed_api_reply *r, struct fed_json **body, struct fed_err *err);

void fed_review_self_access(void *ud, const struct fed_api_request *q, struct fed_api_reply *r);
void fed_review_access(void *ud, const struct fed_api_request *q, struct fed_api_reply *r);
void fed_review_local_access(void *ud, const struct fed_api_request *q, struct fed_api_reply *r);
void fed_review_self_rules(void *ud, const struct fed_api_request *q, struct fed_api_reply *r);
void fed_review_self(void *ud, const struct fed_api_request *q, struct fed_api_reply *r);
void fed_review_token(void *ud, const struct fed_api_request *q, struct fed_api_reply *r);

#endif
