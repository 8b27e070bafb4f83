/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.h: what one controller is made of: a work queue of keys with a reconciler, informer handlers that fill it, events.
 *
 * Ownership: controllers.c makes and frees them, with what their beginnings put into them. Threads: the loop's.
 */
#ifndef MEMBER_CONTROLLERS_CTL_H
#define MEMBER_CONTROLLERS_CTL_H

#include "member/job.h"
#include "member/podinfo.h"

struct mbr_ctl;
typedef void (*mbr_reconcile)(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name);
struct mbr_ctl {
    struct mbr *m;
    mbr_reconcile reconcile;
    struct fed_workqueue *queue;
    struct fed_recorder *events;
    struct mbr_expect expect;
    enum mbr_kind kind;     /* owner.h, mbr_ctl_enqueue_controller: of the owners */
    enum mbr_kind owned;    /* owner.h: of what they own */
    bool adopts;            /* owner.h */
    struct fed_map orphans; /* owner.h: uid -> kobj (referenced): children without a controller, few */
    struct fed_map refused; /* owner.h: key -> text: why the last pod could not be made */
    void *own;              /* freed with free() after `release` */
    void (*release)(struct mbr_ctl *c);
};

/* For a controller's beginning: the queue with its reconciler, and a handler set. */
void mbr_ctl_queue(struct mbr_ctl *c, const char *name, mbr_reconcile reconcile);
void mbr_ctl_watch(struct mbr_ctl *c, enum mbr_kind kind,
                   void (*changed)(void *ctl, struct fed_kobj *old, struct fed_kobj *now));
/* A `changed` that queues the object itself. */
void mbr_ctl_enqueue_self(void *ctl, struct fed_kobj *old, struct fed_kobj *now);
/* A `changed` that queues the object's controller, when it is of c->kind. */
void mbr_ctl_enqueue_controller(void *ctl, struct fed_kobj *old, struct fed_kobj *now);
void mbr_ctl_add(struct mbr_ctl *c, struct fed_str ns, struct fed_str name);
void mbr_ctl_add_pods_of(struct mbr_ctl *c, struct fed_str node); /* all pods that are bound to it */

/* A new pod from a template, owned by `owner`, its name generated from the owner's. */
struct fed_json *mbr_pod_from_template(struct mbr_ctl *c, struct fed_arena *a, const struct fed_kobj *owner,
                                       const struct fed_json *template);
struct mbr_kobjs { /* borrowed ones, in an arena */
    struct fed_arena *a;
    struct fed_kobj **list;
    size_t n, cap;
};
void mbr_kobjs_add(struct mbr_kobjs *l, struct fed_kobj *o);
/* Objects that `owner` controls, as an arena array of borrowed kobjs. */
struct fed_kobj **mbr_owned(struct mbr *m, struct fed_arena *a, enum mbr_kind kind, const struct fed_kobj *owner,
                            size_t *n);
void mbr_set_time(struct fed_arena *a, struct fed_json *o, const char *key, int64_t ms);

#endif
