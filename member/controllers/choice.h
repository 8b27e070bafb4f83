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

enum { MBR_POD_EXTRAS = 4, MBR_NEED_PORTS = 16, MBR_WHYS = 8 };
struct mbr_extra { /* a resource besides cpu, memory and pods */
    struct fed_str name;
    int64_t n;
};
struct mbr_node_state {
    struct fed_str name;
    bool ready, cordoned;
    int64_t cpu_milli, memory, pods; /* allocatable */
    int64_t used_cpu, used_memory, used_pods;
    int64_t asked_cpu, asked_memory;     /* like used, with something for pods that ask for nothing */
    int64_t used_extras[MBR_POD_EXTRAS]; /* of the extras of the pod in question, by their place */
    const struct fed_json *allocatable;  /* status.allocatable, for extras */
    const struct fed_kv *labels;
    size_t n_labels;
    const struct fed_json *taints; /* spec.taints or NULL */
    const uint32_t *host_ports;    /* in use: port, + 65536 for UDP */
    size_t n_host_ports;
};
struct mbr_pod_need {
    int64_t cpu_milli, memory, asked_cpu, asked_memory;
    const struct fed_json *node_selector, *tolerations, *affinity; /* trees of the spec; NULL: not said */
    uint32_t host_ports[MBR_NEED_PORTS];
    size_t n_host_ports;
    struct mbr_extra extras[MBR_POD_EXTRAS];
    size_t n_extras;
};
struct mbr_refusal { /* why a node cannot have a pod, in the scheduler's words ("Insufficient cpu"); n 0: it can */
    struct fed_str why[MBR_WHYS];
    size_t n;
    bool final; /* giving up other pods would not help */
};
void mbr_refuse(struct mbr_refusal *r, struct fed_str why, bool final);
/* Texts live in the arena or for ever. */
void mbr_node_judge(struct fed_arena *a, const struct mbr_node_state *n, const struct mbr_pod_need *need,
                    struct mbr_refusal *r);
/* The best of the nodes that do not refuse, or -1: by preferences of the pod, the taints that are better avoided, free
 * room and `scores` (NULL: none), then the one with the fewest pods. */
int mbr_node_best(struct fed_arena *a, const struct mbr_node_state *nodes, size_t n, const struct mbr_pod_need *need,
                  const struct mbr_refusal *refusals, const int64_t *scores);
/* "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu." */
void mbr_explain(const struct mbr_refusal *refusals, size_t n, struct fed_buf *out);
/* Scores from 0 to MBR_SCORE, the largest for the largest (or, reversed, the smallest) value. Of equals all get 0 (all get
 * MBR_SCORE). Adds times the weight. */
enum { MBR_SCORE = 10000 };
void mbr_score_add(int64_t *scores, const int64_t *values, size_t n, bool reversed, int64_t weight);
bool mbr_node_affine(const struct fed_json *affinity, const struct mbr_node_state *n);
/* True when every NoSchedule and NoExecute taint is tolerated. */
bool mbr_tolerates(const struct fed_json *tolerations, const struct fed_json *taints);
/* Seconds that a pod may stay where NoExecute taints are: -1 for ever, 0 not at all. */
int64_t mbr_tolerated_for(const struct fed_json *tolerations, const struct fed_json *taints);
struct fed_str mbr_label(const struct fed_kv *labels, size_t n, struct fed_str key); /* p NULL: absent */
bool mbr_node_selected(const struct fed_json *node_selector, const struct fed_kv *labels, size_t n);

#endif
