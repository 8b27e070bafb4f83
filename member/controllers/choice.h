/* SPDX-License-Identifier: Apache-2.0 */
/* choice.h: which pods a ReplicaSet gives up first, and on which node a pod goes. Pure. */
#ifndef MEMBER_CONTROLLERS_CHOICE_H
#define MEMBER_CONTROLLERS_CHOICE_H

#include "codec/json.h"
#include "kube/obj.h"

struct mbr_victim {                /* one pod of a ReplicaSet */
    bool assigned, running, ready; /* on a node; phase Running; Ready */
    int64_t cost;                  /* controller.kubernetes.io/pod-deletion-cost */
    int64_t siblings;              /* pods of the set on the same node */
    int64_t ready_ms, restarts, created_ms;
    struct fed_kobj *pod;
};
/* Orders pods so that the first are deleted first: unassigned, pending, not ready, cheap, crowded, recently ready, often
 * restarted, young. qsort comparison. */
int mbr_victim_cmp(const void *a, const void *b);

struct mbr_node_state {
    struct fed_str name;
    bool ready, cordoned;
    int64_t cpu_milli, memory, pods; /* allocatable */
    int64_t used_cpu, used_memory, used_pods;
    const struct fed_kv *labels;
    size_t n_labels;
    const struct fed_json *taints; /* spec.taints or NULL */
    const uint32_t *host_ports;    /* in use: port, + 65536 for UDP */
    size_t n_host_ports;
};
struct mbr_pod_need {
    int64_t cpu_milli, memory;
    const struct fed_json *node_selector, *tolerations, *affinity; /* nodeAffinity required terms */
    uint32_t host_ports[16];
    size_t n_host_ports;
};
/* NULL when the pod fits, else why not, in the scheduler's words ("Insufficient cpu"). */
const char *mbr_node_refuses(const struct mbr_node_state *n, const struct mbr_pod_need *need);
/* The node with the fewest pods of those that fit, or -1 with *why ("0/3 nodes are available: 3 Insufficient cpu."). */
int mbr_node_choose(const struct mbr_node_state *nodes, size_t n, const struct mbr_pod_need *need, struct fed_buf *why);
/* True when every NoSchedule and NoExecute taint is tolerated. */
bool mbr_tolerates(const struct fed_json *tolerations, const struct fed_json *taints);
/* Seconds that a pod may stay where NoExecute taints are: -1 for ever, 0 not at all. */
int64_t mbr_tolerated_for(const struct fed_json *tolerations, const struct fed_json *taints);
bool mbr_node_selected(const struct fed_json *node_selector, const struct fed_kv *labels, size_t n);

#endif
