/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds that the parts of a cluster follow, and their objects by name. */
#include "member/member.h"

static const struct fed_resource resources[MBR_N_KINDS] = {
    [MBR_NODES] = {"", "v1", "nodes", "Node", false},
    [MBR_PODS] = {"", "v1", "pods", "Pod", true},
    [MBR_SERVICES] = {"", "v1", "services", "Service", true},
    [MBR_ENDPOINTS] = {"", "v1", "endpoints", "Endpoints", true},
    [MBR_SLICES] = {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true},
    [MBR_CONFIGMAPS] = {"", "v1", "configmaps", "ConfigMap", true},
    [MBR_SECRETS] = {"", "v1", "secrets", "Secret", true},
    [MBR_NAMESPACES] = {"", "v1", "namespaces", "Namespace", false},
    [MBR_SERVICEACCOUNTS] = {"", "v1", "serviceaccounts", "ServiceAccount", true},
    [MBR_DEPLOYMENTS] = {"apps", "v1", "deployments", "Deployment", true},
    [MBR_REPLICASETS] = {"apps", "v1", "replicasets", "ReplicaSet", true},
    [MBR_DAEMONSETS] = {"apps", "v1", "daemonsets", "DaemonSet", true},
    [MBR_STATEFULSETS] = {"apps", "v1", "statefulsets", "StatefulSet", true},
    [MBR_CONTROLLERS] = {"", "v1", "replicationcontrollers", "ReplicationController", true},
    [MBR_REVISIONS] = {"apps", "v1", "controllerrevisions", "ControllerRevision", true},
    [MBR_JOBS] = {"batch", "v1", "jobs", "Job", true},
    [MBR_CRONJOBS] = {"batch", "v1", "cronjobs", "CronJob", true},
    [MBR_BUDGETS] = {"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true},
    [MBR_AUTOSCALERS] = {"autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true},
    [MBR_CLAIMS] = {"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true},
    [MBR_VOLUMES] = {"", "v1", "persistentvolumes", "PersistentVolume", false},
    [MBR_CLASSES] = {"storage.k8s.io", "v1", "storageclasses", "StorageClass", false},
    [MBR_LEASES] = {"coordination.k8s.io", "v1", "leases", "Lease", true},
};

const struct fed_resource *mbr_resource(enum mbr_kind kind)
{
    return &resources[kind];
}

struct fed_str mbr_key(struct fed_arena *a, struct fed_str ns, struct fed_str name)
{
    return ns.n ? fed_arena_printf(a, "%.*s/%.*s", FED_STR_ARG(ns), FED_STR_ARG(name)) : fed_arena_dup(a, name);
}

void mbr_key_split(struct fed_str key, struct fed_str *ns, struct fed_str *name)
{
    ptrdiff_t slash = fed_str_chr(key, '/', 0);
    *ns = slash < 0 ? FED_STR("") : fed_str_head(key, (size_t)slash);
    *name = slash < 0 ? key : fed_str_from(key, (size_t)slash + 1);
}

struct fed_kobj *mbr_find(const struct mbr *m, enum mbr_kind kind, struct fed_str ns, struct fed_str name)
{
    return m->informers[kind] ? fed_informer_find(m->informers[kind], ns, name) : NULL;
}
