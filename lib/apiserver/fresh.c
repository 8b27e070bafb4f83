/* SPDX-License-Identifier: Apache-2.0 */
/* Several processes on one store (etcd): the cache may lack what another one has just acknowledged. A read of the latest
 * state, or of a revision that the cache has not, waits until the cache has all that was acknowledged before; a write that
 * is refused by the state of the cache is computed once more on such a state before its refusal counts. With a store of
 * one process neither costs anything. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/registry.h"

static bool several(const struct fed_api_reply *r)
{
    return r->api->conf.store->ops->sync != NULL;
}

static void synced(void *ud, int code, const struct fed_err *err)
{
    struct fed_api_reply *r = ud;
    struct fed_status_details d = {.retry_after_s = 1};
    if (code)
        fed_api_fail(r, FED_E_UNAVAILABLE, &d, "%s", err ? err->text : "the store is away");
    else
        r->serve(r);
}

static void later(struct fed_api_reply *r, void (*serve)(struct fed_api_reply *r))
{
    struct store *s = r->api->conf.store;
    r->synced = true;
    r->serve = serve;
    fed_api_request_defer(r);
    s->ops->sync(s, synced, r);
}

void fed_api_fresh(struct fed_api_reply *r, void (*serve)(struct fed_api_reply *r))
{
    struct fed_str t = fed_query_find(&r->query, "resourceVersion");
    uint64_t rev = 0;
    bool known = t.n && (fed_str_u64(t, &rev) || rev <= r->api->cache.rev); /* or not a number: refused */
    if (!several(r) || known)
        serve(r);
    else
        later(r, serve);
}

bool fed_api_unknown_later(struct fed_api_reply *r, void (*serve)(struct fed_api_reply *r))
{
    if (!several(r) || r->synced)
        return false;
    later(r, serve);
    return true;
}

/* A write is about to be refused: when by what the cache says, it is tried once more on a fresher one instead. */
static bool refuse_later(struct fed_api_reply *r, int code)
{
    bool by_state = code == FED_E_NOT_FOUND || code == FED_E_CONFLICT || code == FED_E_FORBIDDEN ||
                    code == FED_E_INVALID || code == FED_E_ALREADY_EXISTS;
    if (!by_state || r->synced || r->answered)
        return false;
    if (r->op)
        fed_commit_release(r->op);
    r->op = NULL;
    if (strcmp(r->q.verb, "create") == 0)
        r->q.name = (struct fed_str){NULL, 0}; /* was taken from the body */
    fed_api_warn_kind(r);
    later(r, r->serve);
    return true;
}

void fed_api_fresh_before_refusal(struct fed_api_reply *r, void (*serve)(struct fed_api_reply *r))
{
    if (!several(r) || r->synced)
        return;
    r->serve = serve;
    r->before_refusal = refuse_later;
}

void fed_api_on_progress(struct fed_api *api, uint64_t rev)
{
    if (rev > api->cache.rev)
        api->cache.rev = rev;
}
