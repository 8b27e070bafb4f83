/* SPDX-License-Identifier: Apache-2.0 */
/* history.h: what is due next at the hub's record of a workload's pod templates. Pure: objects in, one write out.
 *
 * Model:      a Deployment at the hub has one ReplicaSet for each template that was, a DaemonSet or StatefulSet one
 *             ControllerRevision, as kube-controller-manager would have made them (control/revisions.h). They run nothing:
 *             clusters make their own. What their status says is read off the federated Deployment's: the set of the
 *             present template has what is updated, the one before what is left; of what is ready the latter comes first,
 *             since nobody tells how it divides.
 * Invariants: the records live at the hub alone; ReplicaSets bear a label for that (marks.h), also when their Deployment is
 *             gone. Annotations that say where replicas go are no part of a revision: all sets have the present ones, so
 *             that kubectl rollout undo, which takes all annotations from the set, moves nothing.
 *             After the write that is due another look finds the next, until there is none.
 * Ownership:  results are in the arena and borrow what was given. Threads: pure.
 */
#ifndef FAPI_CONTROLLERS_HISTORY_H
#define FAPI_CONTROLLERS_HISTORY_H

#include "kube/obj.h"

struct fapi_history {
    const struct fed_kobj *owner;
    const struct fed_json *tree;  /* of the owner */
    struct fed_kobj *const *past; /* its ReplicaSets or ControllerRevisions that are not being deleted, in any order */
    size_t n_past;
    struct fed_kobj *const *lost; /* such that nobody controls, of its namespace */
    size_t n_lost;
    bool confirmed; /* every cluster whose pods the status counts has looked at the present template */
    bool (*taken)(void *ud, struct fed_str name); /* another record has the name */
    void *ud;
};
enum fapi_write {
    FAPI_WRITE_NONE,
    FAPI_WRITE_CREATE, /* body: the record */
    FAPI_WRITE_PATCH,  /* body: a merge patch of `of` */
    FAPI_WRITE_STATUS, /* the same of its status */
    FAPI_WRITE_OWNER,  /* the same of the owner: its status, with which annotations go */
    FAPI_WRITE_DELETE
};
struct fapi_due_write {
    enum fapi_write what;
    const struct fed_kobj *of; /* PATCH, STATUS, DELETE: which record */
    const struct fed_json *body;
};
/* Of a Deployment, whose records are ReplicaSets. */
struct fapi_due_write fapi_history_sets(struct fed_arena *a, const struct fapi_history *h);
/* Of a DaemonSet or StatefulSet, whose records are ControllerRevisions; the latter's status names two of them. */
struct fapi_due_write fapi_history_revisions(struct fed_arena *a, const struct fapi_history *h);
/* Of a ReplicaSet whose Deployment went without it: nothing runs by it. */
struct fapi_due_write fapi_history_lost(struct fed_arena *a, const struct fed_kobj *set);
/* Whether the owner (its tree) would take a record that nobody controls. */
bool fapi_history_takes(const struct fed_json *tree, const struct fed_kobj *record);

#endif
