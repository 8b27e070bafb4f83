/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ops_copy.h"

#include <stdlib.h>

#include "base/mem.h"

void store_ops_copy(struct store_ops_copy *to, const struct store_op *ops, size_t n)
{
    to->ops = fed_calloc(n, sizeof(*to->ops));
    to->n = n;
    for (size_t i = 0; i < n; i++) {
        to->ops[i].key = fed_str_n(fed_strdup_str(ops[i].key), ops[i].key.n);
        to->ops[i].value = ops[i].value ? fed_blob_ref(ops[i].value) : NULL;
        to->ops[i].expect = ops[i].expect;
        to->ops[i].check = ops[i].check;
    }
}

void store_ops_release(struct store_ops_copy *ops)
{
    for (size_t i = 0; i < ops->n; i++) {
        free((char *)ops->ops[i].key.p);
        fed_blob_unref(ops->ops[i].value);
    }
    free(ops->ops);
    ops->ops = NULL;
    ops->n = 0;
}

int store_conflict(struct fed_err *err, struct fed_str key)
{
    return fed_err_set(err, FED_E_CONFLICT, "%.*s: changed meanwhile", FED_STR_ARG(key));
}
