/* SPDX-License-Identifier: Apache-2.0 */
/* setplan.h: which pods of a StatefulSet to make or delete now. Pure.
 *
 * Rules (as the StatefulSet controller of Kubernetes): OrderedReady makes pods from the first on, each when those before it
 * are available, and gives surplus ones up from the last on; Parallel does both at once. A rolling update replaces one
 * pod at a time from the last down to the partition, and waits until it is available again; with OnDelete whoever deletes
 * a pod gets a new one.
 */
#ifndef MEMBER_CONTROLLERS_SETPLAN_H
#define MEMBER_CONTROLLERS_SETPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mbr_set_action { MBR_SET_KEEP, MBR_SET_CREATE, MBR_SET_DELETE };
struct mbr_set_pod {
    int64_t ordinal;
    bool exists, deleting, ended, ready, available; /* available: ready for minReadySeconds */
    bool updated;                                   /* of the current template */
    bool settled;                                   /* of the one that all had last */
    enum mbr_set_action action;                     /* the answer */
};
struct mbr_setplan {
    bool parallel, on_delete;
    int64_t partition;        /* ordinals below it keep the old template */
    struct mbr_set_pod *pods; /* wanted ones, by ordinal */
    size_t n;
    struct mbr_set_pod *extra; /* those past the wanted, the last first */
    size_t n_extra;
};
void mbr_setplan_make(struct mbr_setplan *p);
/* The ordinal in "SET-3", or -1. */
int64_t mbr_set_ordinal(const char *set, size_t n_set, const char *pod, size_t n_pod);

#endif
