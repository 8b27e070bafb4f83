/* SPDX-License-Identifier: Apache-2.0 */
/* oidc.h: ID tokens of an OpenID Connect issuer as identities.
 *
 * Model:      the issuer's discovery document names its JWKS document; both are fetched at the start, then once an hour
 *             (so that a key that the issuer withdrew ends), and when a token names a key that is not known, at most
 *             every ten seconds. A request with such a token waits for that fetch. While the issuer is away the last
 *             keys stay.
 *
 *                 no keys --fetched--> keys --an hour, unknown kid--> fetching --> keys
 *                    ^---- failed: again after 1 s doubling to 60 s ----'
 *
 * Invariants: one fetch at a time; at most 1,000 requests wait. Names that begin with "system:" are never given: those
 *             are the server's own.
 * Ownership:  a wait belongs to who registered it, until its done was called or it was left.
 * Threads:    the env's. Failure: FED_E_UNAUTHORIZED with words; FED_E_UNAVAILABLE: the key is not known (yet).
 */
#ifndef FED_APISERVER_OIDC_H
#define FED_APISERVER_OIDC_H

#include "apiserver/apiserver.h"
#include "codec/settings.h"

struct fed_oidc;
struct fed_oidc_conf { /* copied */
    struct fed_env *env;
    const char *issuer_url, *client_id, *username_claim, *username_prefix, *groups_claim, *groups_prefix;
    struct fed_strings required_claims, algs;
    /* Starts a GET; must end in fed_oidc_fetched, later. */
    void (*fetch)(void *ud, struct fed_oidc *o, const char *url);
    void *ud;
};
FED_MUST_USE int fed_oidc_new(const struct fed_oidc_conf *conf, struct fed_oidc **out, struct fed_err *err);
void fed_oidc_free(struct fed_oidc *o);
/* The answer of a fetch; http_status 0: none came. */
void fed_oidc_fetched(struct fed_oidc *o, int http_status, struct fed_str body);

/* Fetches the keys now, unless it does already: what stood in the way may be gone. */
void fed_oidc_again(struct fed_oidc *o);

bool fed_oidc_is_issuer(const struct fed_oidc *o, struct fed_str issuer);
FED_MUST_USE int fed_oidc_authenticate(struct fed_oidc *o, struct fed_str token, struct fed_arena *a,
                                       struct fed_identity *who, struct fed_err *err);
/* For a token whose key is not known: done(wait) when keys were fetched or that failed. False: not now. */
struct fed_oidc_wait {
    struct fed_list link;
    void (*done)(struct fed_oidc_wait *w);
};
FED_MUST_USE bool fed_oidc_wait(struct fed_oidc *o, struct fed_oidc_wait *w, void (*done)(struct fed_oidc_wait *w));
void fed_oidc_leave(struct fed_oidc *o, struct fed_oidc_wait *w); /* idempotent */
/* Keys were fetched at least once: for health pages. */
bool fed_oidc_ready(const struct fed_oidc *o);
const char *fed_oidc_client_id(const struct fed_oidc *o);

#endif
