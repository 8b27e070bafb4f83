/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/controllers.h"

#include "base/mem.h"
#include "member/controllers/owner.h"

static void (*const inits[])(struct mbr_ctl *) = {
    mbr_namespace_init, mbr_service_init,     mbr_deployment_init, mbr_replicaset_init, mbr_replication_init,
    mbr_daemonset_init, mbr_statefulset_init, mbr_jobs_init,       mbr_cronjob_init,    mbr_claims_init,
    mbr_budget_init,    mbr_taints_init,      mbr_autoscaler_init, mbr_scheduler_init,  mbr_endpoints_init,
    mbr_mirror_init,    mbr_nodelife_init,    mbr_podgc_init,
};

struct mbr_controllers {
    struct mbr_ctl ctls[FED_ARRAY_LEN(inits)];
    size_t n;
};

struct mbr_controllers *mbr_controllers_some(struct mbr *m, void (*const *which)(struct mbr_ctl *), size_t n)
{
    struct mbr_controllers *c = FED_NEW(struct mbr_controllers);
    for (size_t i = 0; i < n && i < FED_ARRAY_LEN(inits); i++) {
        c->ctls[c->n].m = m;
        which[i](&c->ctls[c->n++]);
    }
    return c;
}

struct mbr_controllers *mbr_controllers_new(struct mbr *m)
{
    return mbr_controllers_some(m, inits, FED_ARRAY_LEN(inits));
}

void mbr_controllers_free(struct mbr_controllers *c)
{
    if (!c)
        return;
    for (size_t i = c->n; i-- > 0;) {
        struct mbr_ctl *ctl = &c->ctls[i];
        if (ctl->release)
            ctl->release(ctl);
        fed_workqueue_free(ctl->queue);
        fed_recorder_free(ctl->events);
        mbr_expect_release(&ctl->expect);
        mbr_owner_release(ctl);
        free(ctl->own);
    }
    free(c);
}
