/* SPDX-License-Identifier: Apache-2.0 */
/* strict.h: what a body writes twice and what no schema has, told as ?fieldValidation asks, in Kubernetes' words.
 *
 * Model:      what is found is collected while the body is read and pruned; each finding has its place in the body, because
 *             Kubernetes tells of a typed object in the order of its text, of a YAML text its duplicates first (by line),
 *             and of a patched object, whose text nobody wrote, the fields by name.
 * Ownership:  everything lives in the request's arena. Threads: the state thread. */
#ifndef FED_APISERVER_STRICT_H
#define FED_APISERVER_STRICT_H

#include "codec/json.h"

struct fed_strict_item {
    struct fed_str path, text;
    uint32_t at, first; /* places in the body: of the value, and of the earlier one of the same name */
    bool unknown;
};
struct fed_strict {
    struct fed_arena *arena;
    struct fed_str body;
    bool yaml, patch; /* duplicates are told by line; of a patch they come before what is unknown in its result */
    bool operations;  /* the body is a JSON patch */
    struct fed_strict_item *items;
    size_t n, cap;
};

/* For limits.on_duplicate; ud is a struct fed_strict. */
void fed_strict_duplicate(void *ud, const struct fed_json_duplicate *d);
/* For fed_schema_prune; likewise. */
void fed_strict_unknown(void *ud, const char *path, const struct fed_json *value);
/* Members of a JSON patch's operations that are none. */
void fed_strict_operations(struct fed_strict *s, const struct fed_json *patch);
/* Each finding's text, in Kubernetes' order: to be told one by one as warnings. */
struct fed_json *fed_strict_texts(struct fed_strict *s);
/* All of them in one text, as an error has it: what YAML has twice is one finding of several lines. */
struct fed_str fed_strict_text(struct fed_strict *s);

#endif
