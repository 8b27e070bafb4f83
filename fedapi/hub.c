/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/hub.h"

#include <stdlib.h>

#include "base/mem.h"
#include "control/crd.h"
#include "control/aggregate.h"
#include "control/eventttl.h"
#include "control/gc.h"
#include "control/namespace.h"
#include "control/resources.h"
#include "fedapi/controllers/marks.h"

const char *const fapi_core_kinds[] = {
    "/namespaces",
    "/configmaps",
    "/secrets",
    "/services",
    "/serviceaccounts",
    "/events",
    "apps/deployments",
    "apps/replicasets",
    "apps/daemonsets",
    "apps/statefulsets",
    "apps/controllerrevisions",
    "/replicationcontrollers",
    "/persistentvolumeclaims",
    "/podtemplates",
    "batch/jobs",
    "batch/cronjobs",
    "autoscaling/horizontalpodautoscalers",
    "policy/poddisruptionbudgets",
    "scheduling.k8s.io/priorityclasses",
    "storage.k8s.io/storageclasses",
    "networking.k8s.io/networkpolicies",
    "networking.k8s.io/ingressclasses",
    "networking.k8s.io/ingresses",
    "discovery.k8s.io/endpointslices",
    "multicluster.x-k8s.io/serviceimports",
    "coordination.k8s.io/leases",
    "apiextensions.k8s.io/customresourcedefinitions",
    "/resourcequotas",
    "/limitranges",
    "admissionregistration.k8s.io/mutatingwebhookconfigurations",
    "admissionregistration.k8s.io/validatingwebhookconfigurations",
    "rbac.authorization.k8s.io/roles",
    "rbac.authorization.k8s.io/rolebindings",
    "rbac.authorization.k8s.io/clusterroles",
    "rbac.authorization.k8s.io/clusterrolebindings",
    "certificates.k8s.io/certificatesigningrequests",
    NULL,
};

struct fapi_hub {
    struct fed_resource *resources;
    size_t n;
    struct fed_gc *gc;
    struct fed_nsctl *namespaces;
    struct fed_eventttl *events;
    struct fed_crdctl *definitions;
    struct fed_aggregate *aggregate;
};

struct fapi_hub *fapi_hub_start(struct fed_transport *t, const struct fed_kinds *kinds)
{
    struct fapi_hub *h = FED_NEW(struct fapi_hub);
    h->resources = fed_resources_of(kinds, &h->n);
    struct fed_gc_conf gc = {
        .transport = t, .resources = h->resources, .n_resources = h->n, .hold_for = FAPI_FINALIZER};
    struct fed_nsctl_conf ns = {.transport = t, .resources = h->resources, .n_resources = h->n, .orphans = true};
    h->gc = fed_gc_new(&gc);
    h->namespaces = fed_nsctl_new(&ns);
    h->events = fed_eventttl_new(t, 0);
    if (fed_kinds_by_resource(kinds, FED_STR("rbac.authorization.k8s.io"), FED_STR("v1"), FED_STR("clusterroles")))
        h->aggregate = fed_aggregate_new(t);
    fed_gc_start(h->gc);
    fed_nsctl_start(h->namespaces);
    h->definitions = fed_crdctl_new(&(struct fed_crdctl_conf){
        .transport = t, .kinds = kinds, .gc = h->gc, .namespaces = h->namespaces, .pass_orphan = true});
    fed_crdctl_start(h->definitions);
    return h;
}

void fapi_hub_free(struct fapi_hub *h)
{
    if (!h)
        return;
    fed_crdctl_free(h->definitions);
    fed_aggregate_free(h->aggregate);
    fed_eventttl_free(h->events);
    fed_nsctl_free(h->namespaces);
    fed_gc_free(h->gc);
    fed_resources_free(h->resources, h->n);
    free(h);
}
