/* SPDX-License-Identifier: Apache-2.0 */
/* revisions.h: the history of a workload's pod template: which of its revisions a template is, and the objects that keep
 * them, as kube-controller-manager makes them and kubectl reads them. For the federation's hub and an included member.
 *
 * Model:      a Deployment has one ReplicaSet for each template that was, a DaemonSet or StatefulSet one
 *             ControllerRevision. The highest number is the present one, so a template that comes back takes its old
 *             object with a new number.
 * Ownership:  what is made is in the arena and may borrow from the trees given. Threads: pure.
 */
#ifndef FED_CONTROL_REVISIONS_H
#define FED_CONTROL_REVISIONS_H

#include "kube/obj.h"

#define FED_REVISION         "deployment.kubernetes.io/revision"         /* of the Deployment too: the present one */
#define FED_REVISION_HISTORY "deployment.kubernetes.io/revision-history" /* numbers that a set had before */
#define FED_DESIRED_REPLICAS "deployment.kubernetes.io/desired-replicas"
#define FED_MAX_REPLICAS     "deployment.kubernetes.io/max-replicas"
#define FED_TEMPLATE_HASH    "pod-template-hash"        /* label of ReplicaSets and their pods */
#define FED_REVISION_HASH    "controller-revision-hash" /* label of pods, and of a DaemonSet's ControllerRevisions */
#define FED_HISTORY_HASH     "controller.kubernetes.io/hash" /* label of a StatefulSet's ControllerRevisions */

/* --- which one it is --- */
struct fed_past {                /* one that was */
    const struct fed_json *what; /* a template, or a revision's data */
    int64_t number;              /* 0: none yet */
};
/* Whether two templates, or data of revisions, make the same pods: but for the hash label, and for what a client in Go leaves out of a template
 * that it read and writes back. */
bool fed_template_same(const struct fed_json *x, const struct fed_json *y);
/* The first of the list that is `want` (-1: none), and in *number what it should have: more than all others. */
int fed_revision_find(const struct fed_past *list, size_t n, const struct fed_json *want, int64_t *number);
/* Of the template; salt: what else tells two names apart. */
void fed_template_hash(const struct fed_json *template, const char *salt, char out[11]);
/* spec.revisionHistoryLimit: how many are kept beside the present one. */
int64_t fed_revision_limit(const struct fed_json *spec);

/* --- ReplicaSets of a Deployment --- */
/* The revision that a ReplicaSet is; 0: it does not say. */
int64_t fed_replicaset_revision(const struct fed_kobj *set);
struct fed_replicaset_conf {
    const struct fed_kobj *owner;
    const struct fed_json *tree; /* of the owner */
    int64_t revision;            /* 0: left as it is */
    int64_t max_replicas;        /* -1: its size is not what is written */
    bool (*skips)(
        struct fed_str key); /* annotations of the owner that are not copied beside Kubernetes' own; or NULL */
};
/* The annotations that the set of the present template should have; have: its own (may be NULL), whose number goes to
 * its history when it gets another. */
struct fed_json *fed_replicaset_annotations(struct fed_arena *a, const struct fed_replicaset_conf *conf,
                                            const struct fed_json *have);
/* The whole set, `<owner>-<hash>`. */
struct fed_json *fed_replicaset_new(struct fed_arena *a, const struct fed_replicaset_conf *conf, const char *hash,
                                    int64_t replicas);
/* Whether a Deployment's annotation stays its own, as kubectl rollout undo takes it. */
bool fed_replicaset_skips(struct fed_str key);

/* --- ControllerRevisions of a DaemonSet or StatefulSet --- */
/* `data` of the owner's present template: a strategic merge patch of the owner, byte for byte as kubectl rollout undo makes
 * it of the owner to see whether there is anything to undo. */
struct fed_json *fed_revision_data(struct fed_arena *a, const struct fed_json *tree);
/* The hash in a ControllerRevision's labels; empty: it has none. */
struct fed_str fed_revision_hash(const struct fed_kobj *revision);
/* The whole object, `<owner>-<hash>`; skips: as above. */
struct fed_json *fed_revision_new(struct fed_arena *a, const struct fed_kobj *owner, const struct fed_json *tree,
                                  const char *hash, int64_t number, bool (*skips)(struct fed_str key));

/* --- rolling updates --- */
/* An int or a percentage of `total`. */
int64_t fed_int_or_percent(const struct fed_json *v, int64_t dflt_percent, int64_t total, bool round_up);
/* spec.strategy.rollingUpdate.maxSurge of so many replicas. */
int64_t fed_rollout_surge(const struct fed_json *strategy, int64_t replicas);

#endif
