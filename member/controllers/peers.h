/* SPDX-License-Identifier: Apache-2.0 */
/* peers.h: where a pod may and would rather go because of other pods: affinity and anti-affinity between pods, topology
 * spread constraints, and siblings apart. Pure.
 *
 * Model:      nodes with the same value of a label (topologyKey) are one domain; a rule counts the pods that it selects in
 *             each domain. What is required adds a refusal to nodes that had none; what is preferred adds to the scores.
 * Rules:      as the scheduler of Kubernetes: the first pod of a group that wants to be together may go anywhere its
 *             topology is known; pods that stay away from others are also stayed away from; minDomains, nodeAffinityPolicy,
 *             nodeTaintsPolicy, matchLabelKeys and namespaceSelector count.
 * Ownership:  everything is borrowed, what is made lives in the arena. Cost: rules x (nodes + pods).
 */
#ifndef MEMBER_CONTROLLERS_PEERS_H
#define MEMBER_CONTROLLERS_PEERS_H

#include "member/controllers/choice.h"

struct mbr_peer { /* a pod that has a node */
    struct fed_str ns;
    const struct fed_kv *labels;
    size_t n_labels;
    size_t node;                     /* place in nodes; n_nodes and more: none of them */
    bool gone;                       /* does not count (preemption's trial) */
    bool deleting;                   /* counts for affinity, not for spreading */
    const struct fed_json *affinity; /* its spec.affinity where that speaks of pods, else NULL */
};
struct mbr_peers {
    const struct mbr_node_state *nodes;
    size_t n_nodes;
    const struct mbr_peer *list;
    size_t n;
    struct fed_kobj *const *namespaces; /* for namespaceSelector */
    size_t n_namespaces;
    /* the pod in question */
    struct fed_str ns;
    const struct fed_kv *labels;
    size_t n_labels;
    const struct fed_json *constraints; /* spec.topologySpreadConstraints */
    const struct mbr_pod_need *need;    /* its affinity, selector, tolerations */
    const int64_t *siblings;            /* pods of the same owner on each node, for pods without constraints; or NULL */
};
/* True when a pod's spec.affinity has rules about pods. */
bool mbr_speaks_of_pods(const struct fed_json *affinity);
void mbr_peers_judge(struct fed_arena *a, const struct mbr_peers *in, struct mbr_refusal *refusals);
/* Adds to scores[n_nodes]. */
void mbr_peers_score(struct fed_arena *a, const struct mbr_peers *in, int64_t *scores);

#endif
