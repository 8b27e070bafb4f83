/* SPDX-License-Identifier: Apache-2.0 */
/* What every object has although nobody wrote it: the least object of each kind, and what is made of it. */
#include "tests/unit/kube/core_kinds.h"

/* Both as YAML; what is made must equal `want` to the last member. */
static const struct {
    const char *api_version, *kind, *given, *want;
} cases[] = {
    {"admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "", "{}"},
    {"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration",
     "webhooks: [{name: w, clientConfig: {url: u}}]",
     "{webhooks: [{name: w, clientConfig: {url: u}, failurePolicy: Fail, matchPolicy: Equivalent, namespaceSelector: "
     "{}, objectSelector: {}, timeoutSeconds: 10}]}"},
    {"apiextensions.k8s.io/v1", "CustomResourceDefinition",
     "spec: {group: g, scope: Cluster, versions: [{name: v1, served: true}]}",
     "{spec: {group: g, scope: Cluster, versions: [{name: \"v1\", served: true, storage: false}], names: {kind: \"\", "
     "plural: \"\"}}, status: {acceptedNames: {kind: \"\", plural: \"\"}, conditions: null, storedVersions: null}}"},
    {"apps/v1", "ControllerRevision", "", "{data: null, revision: 0}"},
    {"apps/v1", "DaemonSet", "status: {conditions: [{type: T, status: \"True\"}]}",
     "{status: {conditions: [{type: T, status: \"True\", lastTransitionTime: null}], currentNumberScheduled: 0, "
     "desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0}, spec: {revisionHistoryLimit: 10, template: "
     "{metadata: {}, spec: {dnsPolicy: ClusterFirst, restartPolicy: Always, schedulerName: default-scheduler, "
     "securityContext: {}, terminationGracePeriodSeconds: 30}}, updateStrategy: {type: RollingUpdate, rollingUpdate: "
     "{maxSurge: 0, maxUnavailable: 1}}}}"},
    {"apps/v1", "Deployment", "status: {conditions: [{type: T, status: \"True\"}]}",
     "{status: {conditions: [{type: T, status: \"True\", lastTransitionTime: null, lastUpdateTime: null}]}, spec: "
     "{progressDeadlineSeconds: 600, replicas: 1, revisionHistoryLimit: 10, strategy: {type: RollingUpdate, "
     "rollingUpdate: {maxSurge: \"25%\", maxUnavailable: \"25%\"}}, template: {metadata: {}, spec: {dnsPolicy: "
     "ClusterFirst, restartPolicy: Always, schedulerName: default-scheduler, securityContext: {}, "
     "terminationGracePeriodSeconds: 30}}}}"},
    {"extensions/v1beta1", "Deployment", "",
     "{spec: {progressDeadlineSeconds: 2147483647, replicas: 1, revisionHistoryLimit: 2147483647, strategy: {type: "
     "RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}, template: {metadata: {}, spec: {dnsPolicy: "
     "ClusterFirst, restartPolicy: Always, schedulerName: default-scheduler, securityContext: {}, "
     "terminationGracePeriodSeconds: 30}}}, status: {}}"},
    {"apps/v1", "ReplicaSet", "status: {conditions: [{type: T, status: \"True\"}]}",
     "{status: {conditions: [{type: T, status: \"True\", lastTransitionTime: null}], replicas: 0}, spec: {replicas: 1, "
     "template: {metadata: {}, spec: {dnsPolicy: ClusterFirst, restartPolicy: Always, schedulerName: "
     "default-scheduler, securityContext: {}, terminationGracePeriodSeconds: 30}}}}"},
    {"apps/v1", "StatefulSet", "spec: {volumeClaimTemplates: [{metadata: {name: d}}]}",
     "{spec: {volumeClaimTemplates: [{metadata: {name: d}, spec: {resources: {}, volumeMode: Filesystem}, status: "
     "{phase: Pending}}], podManagementPolicy: OrderedReady, replicas: 1, revisionHistoryLimit: 10, template: "
     "{metadata: {}, spec: {dnsPolicy: ClusterFirst, restartPolicy: Always, schedulerName: default-scheduler, "
     "securityContext: {}, terminationGracePeriodSeconds: 30}}, updateStrategy: {type: RollingUpdate, rollingUpdate: "
     "{partition: 0}}, serviceName: \"\"}, status: {availableReplicas: 0, replicas: 0}}"},
    {"autoscaling/v2", "HorizontalPodAutoscaler",
     "spec: {metrics: [{type: Object, object: {}}]}, status: {conditions: [{type: T, status: \"True\"}], "
     "currentMetrics: [{type: Resource, resource: {}}]}",
     "{spec: {metrics: [{type: Object, object: {describedObject: {}, metric: {}, target: {}}}], minReplicas: 1, "
     "maxReplicas: 0, scaleTargetRef: {}}, status: {conditions: [{type: T, status: \"True\", lastTransitionTime: "
     "null}], "
     "currentMetrics: [{type: Resource, resource: {current: {}, name: \"\"}}], desiredReplicas: 0}}"},
    {"autoscaling/v1", "HorizontalPodAutoscaler", "",
     "{spec: {minReplicas: 1, maxReplicas: 0, scaleTargetRef: {}}, status: {currentReplicas: 0, desiredReplicas: 0}}"},
    {"batch/v1", "CronJob", "",
     "{spec: {concurrencyPolicy: Allow, failedJobsHistoryLimit: 1, jobTemplate: {metadata: {}, spec: {backoffLimit: 6, "
     "completionMode: NonIndexed, suspend: false, template: {metadata: {}, spec: {dnsPolicy: ClusterFirst, "
     "restartPolicy: Always, schedulerName: default-scheduler, securityContext: {}, terminationGracePeriodSeconds: "
     "30}}}}, successfulJobsHistoryLimit: 3, suspend: false}, status: {}}"},
    {"batch/v1", "Job", "status: {conditions: [{type: T, status: \"True\"}]}",
     "{status: {conditions: [{type: T, status: \"True\", lastProbeTime: null, lastTransitionTime: null}]}, spec: "
     "{backoffLimit: 6, completionMode: NonIndexed, suspend: false, template: {metadata: {}, spec: {dnsPolicy: "
     "ClusterFirst, restartPolicy: Always, schedulerName: default-scheduler, securityContext: {}, "
     "terminationGracePeriodSeconds: 30}}}}"},
    {"certificates.k8s.io/v1", "CertificateSigningRequest", "status: {conditions: [{type: T, status: \"True\"}]}",
     "{status: {conditions: [{type: T, status: \"True\", lastTransitionTime: null, lastUpdateTime: null}]}, spec: {}}"},
    {"coordination.k8s.io/v1", "Lease", "", "{spec: {}}"},
    {"discovery.k8s.io/v1", "EndpointSlice", "", "{endpoints: null, ports: null}"},
    {"discovery.k8s.io/v1", "EndpointSlice", "endpoints: [{addresses: [a]}], ports: [{}]",
     "{endpoints: [{addresses: [a], conditions: {}}], ports: [{name: \"\", protocol: TCP}]}"},
    {"v1", "Event", "",
     "{involvedObject: {}, source: {}, eventTime: null, firstTimestamp: null, lastTimestamp: null, reportingComponent: "
     "\"\", reportingInstance: \"\"}"},
    {"events.k8s.io/v1", "Event", "",
     "{deprecatedSource: {}, regarding: {}, deprecatedFirstTimestamp: null, deprecatedLastTimestamp: null, eventTime: "
     "null}"},
    {"multicluster.x-k8s.io/v1alpha1", "ServiceImport", "", "{}"},
    {"networking.k8s.io/v1", "Ingress", "spec: {defaultBackend: {service: {name: s}}}",
     "{spec: {defaultBackend: {service: {name: s, port: {}}}}, status: {loadBalancer: {}}}"},
    {"extensions/v1beta1", "Ingress", "spec: {backend: {serviceName: s}}",
     "{spec: {backend: {serviceName: s, servicePort: 0}}, status: {loadBalancer: {}}}"},
    {"networking.k8s.io/v1", "IngressClass", "", "{spec: {}}"},
    {"networking.k8s.io/v1", "NetworkPolicy", "", "{spec: {podSelector: {}}}"},
    {"policy/v1", "PodDisruptionBudget", "status: {conditions: [{type: T, status: \"True\"}]}",
     "{status: {conditions: [{type: T, status: \"True\", lastTransitionTime: null, message: \"\", reason: \"\"}], "
     "currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0}, spec: {}}"},
    {"rbac.authorization.k8s.io/v1", "ClusterRole", "", "{rules: null}"},
    {"rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", "{roleRef: {apiGroup: \"rbac.authorization.k8s.io\"}}"},
    {"rbac.authorization.k8s.io/v1", "Role", "", "{rules: null}"},
    {"rbac.authorization.k8s.io/v1", "RoleBinding", "", "{roleRef: {apiGroup: \"rbac.authorization.k8s.io\"}}"},
    {"node.k8s.io/v1", "RuntimeClass", "", "{handler: \"\"}"},
    {"scheduling.k8s.io/v1", "PriorityClass", "", "{preemptionPolicy: PreemptLowerPriority, value: 0}"},
    {"storage.k8s.io/v1", "StorageClass", "", "{reclaimPolicy: Delete, volumeBindingMode: Immediate}"},
    {"storage.k8s.io/v1", "CSIDriver", "spec: {tokenRequests: [{}]}",
     "{spec: {tokenRequests: [{audience: \"\"}], attachRequired: true, podInfoOnMount: false, storageCapacity: false, "
     "volumeLifecycleModes: [Persistent], fsGroupPolicy: ReadWriteOnceWithFSType, requiresRepublish: false, "
     "seLinuxMount: false}}"},
    {"storage.k8s.io/v1", "CSINode", "spec: {drivers: [{name: a}]}",
     "{spec: {drivers: [{name: a, nodeID: \"\", topologyKeys: null}]}}"},
    {"storage.k8s.io/v1", "CSIStorageCapacity", "", "{storageClassName: \"\"}"},
    {"storage.k8s.io/v1", "VolumeAttachment", "status: {attachError: {}}",
     "{spec: {attacher: \"\", nodeName: \"\", source: {}}, status: {attached: false, attachError: {time: null}}}"},
    {"v1", "ConfigMap", "", "{}"},
    {"v1", "Endpoints", "subsets: [{addresses: [{ip: a}], ports: [{port: 1}]}]",
     "{subsets: [{addresses: [{ip: a}], ports: [{port: 1, protocol: TCP}]}]}"},
    {"v1", "LimitRange", "spec: {limits: [{type: Pod}]}", "{spec: {limits: [{type: Pod}]}}"},
    {"v1", "LimitRange", "", "{spec: {limits: null}}"},
    {"v1", "Namespace", "status: {conditions: [{type: T, status: \"True\"}]}",
     "{status: {conditions: [{type: T, status: \"True\", lastTransitionTime: null}]}, spec: {}}"},
    {"v1", "Node",
     "spec: {taints: [{key: k, effect: NoExecute}]}, status: {conditions: [{type: T, status: \"True\"}], images: [{}], "
     "addresses: [{type: InternalIP}]}",
     "{spec: {taints: [{key: k, effect: NoExecute}]}, status: {conditions: [{type: T, status: \"True\", "
     "lastHeartbeatTime: null, lastTransitionTime: null}], images: [{names: null}], addresses: [{type: InternalIP, "
     "address: \"\"}], daemonEndpoints: {kubeletEndpoint: {Port: 0}}, nodeInfo: {architecture: \"\", bootID: \"\", "
     "containerRuntimeVersion: \"\", kernelVersion: \"\", kubeProxyVersion: \"\", kubeletVersion: \"\", machineID: "
     "\"\", operatingSystem: \"\", osImage: \"\", systemUUID: \"\"}}}"},
    {"v1", "PersistentVolume", "spec: {iscsi: {targetPortal: p, iqn: q}}",
     "{spec: {iscsi: {targetPortal: p, iqn: q, iscsiInterface: default, lun: 0}, persistentVolumeReclaimPolicy: "
     "Retain, volumeMode: Filesystem}, status: {phase: Pending}}"},
    {"v1", "PersistentVolumeClaim",
     "spec: {dataSource: {kind: K, name: m}}, status: {conditions: [{type: T, status: \"True\"}]}",
     "{spec: {dataSource: {kind: K, name: m, apiGroup: null}, resources: {}, volumeMode: Filesystem}, status: "
     "{conditions: [{type: T, status: \"True\", lastProbeTime: null, lastTransitionTime: null}], phase: Pending}}"},
    {"v1", "Pod",
     "spec: {containers: [{name: c, lifecycle: {postStart: {httpGet: {port: 1, httpHeaders: [{name: h}]}}}}], "
     "securityContext: {sysctls: [{name: s}]}}, status: {conditions: [{type: T, status: \"True\"}], containerStatuses: "
     "[{name: c, state: {running: {}}, lastState: {terminated: {}}}]}",
     "{spec: {containers: [{name: c, lifecycle: {postStart: {httpGet: {port: 1, httpHeaders: [{name: h, value: \"\"}], "
     "path: \"/\", scheme: HTTP}}}, resources: {}, terminationMessagePath: \"/dev/termination-log\", "
     "terminationMessagePolicy: File}], securityContext: {sysctls: [{name: s, value: \"\"}]}, dnsPolicy: ClusterFirst, "
     "restartPolicy: Always, schedulerName: default-scheduler, terminationGracePeriodSeconds: 30}, status: "
     "{conditions: [{type: T, status: \"True\", lastProbeTime: null, lastTransitionTime: null}], containerStatuses: "
     "[{name: c, state: {running: {startedAt: null}}, lastState: {terminated: {exitCode: 0, finishedAt: null, "
     "startedAt: null}}, image: \"\", imageID: \"\", ready: false, restartCount: 0}]}}"},
    {"v1", "Pod",
     "spec: {volumes: [{name: v, downwardAPI: {items: [{path: p, resourceFieldRef: {resource: limits.cpu}}]}}, {name: "
     "e, ephemeral: {volumeClaimTemplate: {}}}, {name: i, iscsi: {targetPortal: p, iqn: q}}, {name: p, projected: "
     "{}}]}",
     "{spec: {volumes: [{name: v, downwardAPI: {items: [{path: p, resourceFieldRef: {resource: \"limits.cpu\", "
     "divisor: \"0\"}}], defaultMode: 420}}, {name: e, ephemeral: {volumeClaimTemplate: {metadata: {}, spec: "
     "{resources: {}, volumeMode: Filesystem}}}}, {name: i, iscsi: {targetPortal: p, iqn: q, iscsiInterface: default, "
     "lun: 0}}, {name: p, projected: {defaultMode: 420, sources: null}}], dnsPolicy: ClusterFirst, restartPolicy: "
     "Always, schedulerName: default-scheduler, securityContext: {}, terminationGracePeriodSeconds: 30}, status: {}}"},
    {"v1", "PodTemplate", "",
     "{template: {metadata: {}, spec: {dnsPolicy: ClusterFirst, restartPolicy: Always, schedulerName: "
     "default-scheduler, securityContext: {}, terminationGracePeriodSeconds: 30}}}"},
    {"v1", "ReplicationController", "status: {conditions: [{type: T, status: \"True\"}]}",
     "{status: {conditions: [{type: T, status: \"True\", lastTransitionTime: null}], replicas: 0}, spec: {replicas: "
     "1}}"},
    {"v1", "ResourceQuota", "", "{spec: {}, status: {}}"},
    {"v1", "Secret", "", "{type: Opaque}"},
    {"v1", "Service", "status: {loadBalancer: {ingress: [{ip: a, ports: [{port: 1}]}]}}",
     "{status: {loadBalancer: {ingress: [{ip: a, ports: [{port: 1, protocol: \"\"}]}]}}, spec: {sessionAffinity: "
     "\"None\", type: ClusterIP, internalTrafficPolicy: Cluster}}"},
    {"v1", "ServiceAccount", "", "{}"},
};

static struct fed_json *made(struct fed_arena *a, size_t i)
{
    struct fed_json *obj = yaml_of(a, fed_arena_printf(a, "{apiVersion: %s, kind: %s%s%s}", cases[i].api_version,
                                                       cases[i].kind, cases[i].given[0] ? ", " : "", cases[i].given)
                                          .p);
    const struct fed_kind_version *v = version_of(obj);

    fed_schema_default(a, v->schema, obj);
    fed_schema_zeros(a, v->schema, obj);
    return obj;
}

static void test_least_objects(void **state)
{
    struct fed_arena a = {0};
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_json *obj = made(&a, i);
        const struct fed_kind_version *v = version_of(obj);
        struct fed_str before = fed_json_text(&a, obj);

        fed_json_remove_key(obj, "apiVersion");
        fed_json_remove_key(obj, "kind");
        if (!fed_json_equal(obj, yaml_of(&a, cases[i].want))) {
            print_error("%s %s: got %s\n", cases[i].api_version, cases[i].kind, fed_json_text(&a, obj).p);
            wrong++;
        }
        /* Once more changes nothing. */
        obj = made(&a, i);
        fed_schema_default(&a, v->schema, obj);
        fed_schema_zeros(&a, v->schema, obj);
        assert_true(fed_str_eq(fed_json_text(&a, obj), before));
    }
    assert_int_equal(wrong, 0);
    fed_arena_release(&a);
}

static void test_each_kind_has_a_case(void **state)
{
    (void)state;
    for (size_t k = 0; k < fed_kinds_count(kinds); k++) {
        const struct fed_kind *kind = fed_kinds_at(kinds, k);
        bool found = false;

        for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
            found = found || fed_str_is(kind->kind, cases[i].kind);
        if (!found)
            fail_msg("%.*s", FED_STR_ARG(kind->kind));
    }
}

/* A client may send back what it read: the nulls are no mistakes of type, and go before anything looks at them. */
static void test_nulls_come_back(void **state)
{
    struct fed_arena a = {0};

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_json *obj = made(&a, i);
        const struct fed_kind_version *v = version_of(obj);
        struct fed_causes c = {.arena = &a};
        struct fed_str before = fed_json_text(&a, obj), mistyped = {NULL, 0};

        fed_schema_validate(v->schema, obj, &c, &mistyped);
        if (mistyped.n)
            fail_msg("%.*s", FED_STR_ARG(mistyped));
        fed_schema_prune(v->schema, obj, NULL, NULL);
        fed_schema_zeros(&a, v->schema, obj);
        assert_true(fed_json_equal(obj, yaml_of(&a, before.p)));
    }
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_objects),
        cmocka_unit_test(test_each_kind_has_a_case),
        cmocka_unit_test(test_nulls_come_back),
    };
    return cmocka_run_group_tests(tests, core_kinds_setup, core_kinds_teardown);
}
