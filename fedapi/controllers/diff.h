/* SPDX-License-Identifier: Apache-2.0 */
/* diff.h: the smallest JSON merge patch that makes a member's object what it should be.
 *
 * Model:      three-way: desired, the member's object, and the fields written last time, which are recorded in the
 *             annotation applied-fields as a tree of names without values. A field that the member has beyond `desired`
 *             is removed only if it was recorded, so defaults and other writers' fields stay. `data` and `binaryData`
 * of ConfigMaps and Secrets have no defaults and no record: they are made equal. Status is never looked at. Equal are:
 * numbers of one value, quantities of one amount (in resources), and an empty value with none. Invariants: the patch
 * applied to the member's object leaves nothing to do: a second diff is empty. Ownership:  results are in the arena and
 * may borrow desired's nodes' text. Threads: pure.
 */
#ifndef FAPI_CONTROLLERS_DIFF_H
#define FAPI_CONTROLLERS_DIFF_H

#include "kube/obj.h"

/* Who says what may be left out of an object. */
enum fapi_diff_rule {
    FAPI_DIFF_OWN,        /* a kind of Kubernetes: as above */
    FAPI_DIFF_DEFINITION, /* the same, but in a schema {}, 0 and false are words: `status: {}`, `minimum: 0` */
    FAPI_DIFF_CUSTOM      /* a kind of users: a value is equal to itself alone, and no name is known */
};
struct fed_json *fapi_diff_by(struct fed_arena *a, enum fapi_diff_rule rule, const struct fed_json *desired,
                              const struct fed_json *member);
void fapi_diff_record_by(struct fed_arena *a, enum fapi_diff_rule rule, struct fed_json *desired);
/* By FAPI_DIFF_OWN. NULL: nothing to write. The patch updates the record too. */
struct fed_json *fapi_diff(struct fed_arena *a, const struct fed_json *desired, const struct fed_json *member);
/* Puts the record into an object that is to be created. */
void fapi_diff_record(struct fed_arena *a, struct fed_json *desired);

#endif
