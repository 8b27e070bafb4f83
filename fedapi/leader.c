/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/leader.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "kube/lease.h"

struct fapi_leader {
    struct fapi_leader_conf conf;
    struct fed_transport *plain; /* the lease's own */
    struct fed_transport *hub;   /* fenced; while we lead */
    struct fed_fence *fence;
    struct fed_lease *lease;
    char identity[128];
};

bool fapi_leader_may(const struct fapi_leader *l)
{
    return l->lease && fed_lease_valid(l->lease);
}

static bool valid(void *ud)
{
    return fapi_leader_may(ud);
}

static void stop(struct fapi_leader *l)
{
    fed_fence_drop(l->fence);
    if (!l->hub)
        return;
    l->conf.stopped(l->conf.ud);
    fed_transport_free(l->hub);
    l->hub = NULL;
    fed_log_info("fedapi", "%s: does not lead the controllers any more", l->identity);
}

static void raised(void *ud, int code, const struct fed_err *err)
{
    struct fapi_leader *l = ud;
    if (code) { /* the lease is renewed all the same: try again with its next term */
        fed_log_error("fedapi", "the fence of the controllers: %s", err ? err->text : fed_code_text(code));
        if (fapi_leader_may(l))
            fed_fence_raise(l->fence, l->identity, raised, l);
        return;
    }
    if (!fapi_leader_may(l) || l->hub)
        return;
    fed_log_info("fedapi", "%s: leads the controllers", l->identity);
    l->hub = fed_api_local_fenced(l->conf.api, &l->conf.who, l->fence);
    l->conf.started(l->conf.ud, l->hub);
}

static void lease_started(void *ud)
{
    struct fapi_leader *l = ud;
    fed_fence_raise(l->fence, l->identity, raised, l);
}

static void lease_stopped(void *ud)
{
    stop(ud);
}

struct fapi_leader *fapi_leader_new(const struct fapi_leader_conf *conf)
{
    struct fapi_leader *l = FED_NEW(struct fapi_leader);
    char host[64] = "", uuid[37];
    l->conf = *conf;
    l->plain = fed_api_local(conf->api, &conf->who);
    if (gethostname(host, sizeof host - 1) || !host[0])
        snprintf(host, sizeof host, "hansa-fedapi");
    fed_uuid(l->plain->env, uuid);
    snprintf(l->identity, sizeof l->identity, "%s_%s", host, uuid);
    l->fence = fed_fence_new(conf->api, conf->name, valid, l);
    struct fed_lease_conf lease = {.transport = l->plain,
                                   .ns = conf->ns,
                                   .name = conf->name,
                                   .identity = l->identity,
                                   .duration_ms = conf->lease_ms,
                                   .renew_ms = conf->lease_ms * 2 / 3,
                                   .every_ms = conf->lease_ms / 4,
                                   .retry_ms = conf->lease_ms / 6,
                                   .started = lease_started,
                                   .stopped = lease_stopped,
                                   .ud = l};
    l->lease = fed_lease_new(&lease);
    return l;
}

bool fapi_leader_leads(const struct fapi_leader *l)
{
    return l->hub != NULL;
}

void fapi_leader_resign(struct fapi_leader *l)
{
    stop(l);
    fed_lease_free(l->lease, true);
    l->lease = NULL;
}

void fapi_leader_free(struct fapi_leader *l)
{
    if (!l)
        return;
    stop(l);
    fed_lease_free(l->lease, false);
    fed_fence_free(l->fence);
    fed_transport_free(l->plain);
    free(l);
}
