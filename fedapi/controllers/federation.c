/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/federation.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "fedapi/controllers/edge.h"
#include "fedapi/controllers/endpoints.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/member.h"
#include "fedapi/controllers/revisions.h"
#include "fedapi/controllers/scheduler.h"
#include "fedapi/controllers/status.h"

struct fapi_federation *fapi_federation_new(const struct fapi_federation_conf *conf)
{
    struct fapi_federation *f = FED_NEW(struct fapi_federation);
    f->env = conf->env;
    f->hub = conf->hub;
    f->all_kinds = conf->kinds;
    f->metrics = conf->metrics;
    f->connector = conf->connector;
    f->timing = conf->timing;
    if (!f->timing.probe_period)
        f->timing.probe_period = 1000;
    if (!f->timing.probe_timeout)
        f->timing.probe_timeout = 1000;
    if (!f->timing.failure_grace)
        f->timing.failure_grace = 30000;
    f->name = fed_strdup(conf->name);
    f->zone_name = fed_strdup(conf->zone_name ? conf->zone_name : "");
    f->recorder = fed_recorder_new(f->hub, "federation-controller", conf->name);
    fapi_kinds_init(f, conf->kinds);
    f->clusters = fapi_clusters_new(f);
    f->scheduler = fapi_scheduler_new(f);
    f->status = fapi_status_new(f);
    f->endpoints = fapi_endpoints_new(f);
    f->revisions = fapi_revisions_new(f);
    f->edge = conf->issuer ? fapi_edge_new(f, conf->issuer) : NULL;
    return f;
}

static const struct fed_resource namespaces_resource = {"", "v1", "namespaces", "Namespace", false};

static void identified(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct fapi_federation *f = ud;
    struct fed_kobj *ns = NULL;
    /* The engine makes this namespace before it answers anything; without its uid nothing may be marked as ours. */
    if (code == 0)
        code = fed_kobj_new(res->body, (struct fed_str){0}, (struct fed_str){0}, &ns, NULL);
    if (code) {
        fed_log_error("federation", "cannot read namespace " FAPI_SYSTEM_NS ": %s", err ? err->text : "");
        fed_client_get(f->hub, &namespaces_resource, (struct fed_str){0}, FED_STR(FAPI_SYSTEM_NS), identified, f);
        return;
    }
    snprintf(f->uid, sizeof(f->uid), "%.*s", FED_STR_ARG(ns->uid));
    fed_kobj_unref(ns);
    f->started = true;
    fapi_kinds_start(f);
    fapi_endpoints_start(f->endpoints);
    fapi_revisions_start(f->revisions);
    fapi_clusters_start(f->clusters);
}

void fapi_federation_start(struct fapi_federation *f)
{
    fed_client_get(f->hub, &namespaces_resource, (struct fed_str){0}, FED_STR(FAPI_SYSTEM_NS), identified, f);
}

void fapi_federation_free(struct fapi_federation *f)
{
    if (!f)
        return;
    fapi_edge_free(f->edge);
    fapi_revisions_free(f->revisions);
    fapi_endpoints_free(f->endpoints);
    fapi_status_free(f->status);
    fapi_scheduler_free(f->scheduler);
    fapi_clusters_free(f->clusters);
    fapi_kinds_release(f);
    fapi_assignments_release(f);
    fed_recorder_free(f->recorder);
    free(f->name);
    free(f->zone_name);
    free(f);
}
