/* SPDX-License-Identifier: Apache-2.0 */
/* list_options.h: the query of list, watch and deletecollection requests, and the tokens that a paged list goes on with.
 *
 * Model:      what is no number is refused with 400, what is of no meaning together with 422 and one cause for each; the
 *             rules are those of Kubernetes' ListOptions. A token names the revision that the list is of and the key
 *             after which it goes on; revision -1 stands for the newest, where the first one is gone.
 * Ownership:  texts are borrowed from the request. Threads: the state thread.
 */
#ifndef FED_APISERVER_LIST_OPTIONS_H
#define FED_APISERVER_LIST_OPTIONS_H

#include "apiserver/apiserver_priv.h"
#include "codec/base64.h"

struct fed_list_options {
    uint64_t limit, timeout_ms; /* 0: none */
    uint64_t rev;
    bool rev_given;
    struct fed_str match; /* "", Exact, NotOlderThan */
    struct fed_str token; /* of continue */
    bool initial_given, initial;
};
/* Answers and returns false on error. */
bool fed_list_options_read(struct fed_api_reply *r, bool watch, struct fed_list_options *o);

/* Parses resourceVersion; -1: answered with an error. *given is false when absent. */
int fed_api_read_rev(struct fed_api_reply *r, uint64_t *rev, bool *given);
/* FED_E_TIMEOUT with the cause ResourceVersionTooLarge answered; returns true when it was. */
bool fed_api_refuse_future(struct fed_api_reply *r, uint64_t rev);

struct fed_list_token {
    int64_t rev;
    struct fed_str ns, name; /* go on after this one */
};
/* Answers and returns false on error. */
bool fed_list_token_read(struct fed_api_reply *r, struct fed_arena *a, struct fed_str token,
                         struct fed_list_token *out);
struct fed_str fed_list_token_make(struct fed_arena *a, int64_t rev, struct fed_str ns, struct fed_str name);

#endif
