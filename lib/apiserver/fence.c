/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/fence.h"

#include "apiserver/apiserver_priv.h"
#include "apiserver/fence_priv.h"
#include "base/mem.h"

#define PREFIX "/fence/" /* of the keys; objects are under /registry/ */

struct raising { /* the write; it outlives the fence */
    struct fed_fence *fence;
    void (*cb)(void *ud, int code, const struct fed_err *err);
    void *ud;
};

struct fed_fence *fed_fence_new(struct fed_api *api, const char *name, bool (*valid)(void *ud), void *ud)
{
    struct fed_fence *f = FED_NEW(struct fed_fence);
    f->api = api;
    f->key = fed_asprintf(PREFIX "%s", name);
    f->valid = valid;
    f->ud = ud;
    fed_list_push_back(&api->fences, &f->link);
    return f;
}

void fed_fence_drop(struct fed_fence *f)
{
    f->rev = 0;
    if (f->raising)
        f->raising->fence = NULL;
    f->raising = NULL;
}

void fed_fence_free(struct fed_fence *f)
{
    if (!f)
        return;
    fed_fence_drop(f);
    fed_list_remove(&f->link);
    free(f->key);
    free(f);
}

bool fed_fence_holds(const struct fed_fence *f)
{
    return f->rev && f->seen <= f->rev && f->valid(f->ud);
}

void fed_fence_seen(struct fed_api *api, const struct store_change *c)
{
    if (!fed_str_starts(c->key, FED_STR(PREFIX)))
        return;
    FED_LIST_EACH(it, &api->fences) {
        struct fed_fence *f = FED_LIST_ENTRY(it, struct fed_fence, link);
        if (fed_str_is(c->key, f->key))
            f->seen = c->rev;
    }
}

static void raised(void *ud, int code, uint64_t rev, const struct fed_err *err)
{
    struct raising *r = ud;
    struct fed_fence *f = r->fence;
    if (f) {
        f->raising = NULL;
        f->rev = code ? 0 : rev;
        r->cb(r->ud, code, err);
    }
    free(r);
}

void fed_fence_raise(struct fed_fence *f, const char *who, void (*cb)(void *ud, int code, const struct fed_err *err),
                     void *ud)
{
    struct store *s = f->api->conf.store;
    struct raising *r = FED_NEW(struct raising);
    struct store_op op = {.key = fed_str(f->key), .value = fed_blob_new(fed_str(who)), .expect = STORE_ANY};
    fed_fence_drop(f);
    *r = (struct raising){f, cb, ud};
    f->raising = r;
    s->ops->commit(s, &op, 1, raised, r);
    fed_blob_unref(op.value);
}

size_t fed_fence_check(const struct fed_fence *f, struct store_op *op)
{
    if (!f)
        return 0;
    *op = (struct store_op){.key = fed_str(f->key), .expect = f->rev, .check = true};
    return 1;
}
