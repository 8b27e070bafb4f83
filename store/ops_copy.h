/* SPDX-License-Identifier: Apache-2.0 */
/* ops_copy.h: a transaction copied out of the caller's hands, for the backends. Keys are owned, values referenced. */
#ifndef STORE_OPS_COPY_H
#define STORE_OPS_COPY_H

#include "store/store.h"

#define STORE_MAX_OPS 128

struct store_op_copy {
    struct fed_str key; /* owned */
    struct fed_blob *value;
    uint64_t expect;
    bool check;
};
struct store_ops_copy {
    struct store_op_copy *ops;
    size_t n;
};
void store_ops_copy(struct store_ops_copy *to, const struct store_op *ops, size_t n);
void store_ops_release(struct store_ops_copy *ops);
/* The one wording of a failed expectation; returns FED_E_CONFLICT. */
int store_conflict(struct fed_err *err, struct fed_str key);

#endif
