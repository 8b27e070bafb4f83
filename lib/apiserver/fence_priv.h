/* SPDX-License-Identifier: Apache-2.0 */
/* fence_priv.h: what the engine needs of a fence. */
#ifndef FED_APISERVER_FENCE_PRIV_H
#define FED_APISERVER_FENCE_PRIV_H

#include "apiserver/fence.h"
#include "base/list.h"

struct fed_fence {
    struct fed_list link; /* api->fences */
    struct fed_api *api;
    char *key;
    uint64_t rev;  /* of our raising; 0: not ours */
    uint64_t seen; /* the key's last change */
    bool (*valid)(void *ud);
    void *ud;
    struct raising *raising;
};
void fed_fence_seen(struct fed_api *api, const struct store_change *c);
/* The expectation that goes with each fenced write; 0: there is no fence, else 1. */
size_t fed_fence_check(const struct fed_fence *f, struct store_op *op);

#endif
