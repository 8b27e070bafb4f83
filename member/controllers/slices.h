/* SPDX-License-Identifier: Apache-2.0 */
/* slices.h: what the makers of EndpointSlices share (endpoints.c from pods, mirror.c from somebody's Endpoints): a slice
 * says in a label who manages it, and each touches only its own.
 *
 * Sources: Kubernetes, "EndpointSlices", section Management. Threads: the loop's.
 */
#ifndef MEMBER_CONTROLLERS_SLICES_H
#define MEMBER_CONTROLLERS_SLICES_H

#include "member/controllers/ctl.h"

#define MBR_TRIGGERED    "endpoints.kubernetes.io/last-change-trigger-time" /* annotation, of Endpoints too */
#define MBR_ENDPOINTS_BY "endpoints.kubernetes.io/managed-by"               /* label of Endpoints that we make */
enum { MBR_SLICE_MOST = 100 };                                              /* endpoints in one of them */

/* The annotation's value. */
struct fed_str mbr_triggered(struct fed_arena *a, int64_t ms);

struct mbr_slice {
    struct fed_str name;
    const char *manager, *address_type; /* "IPv4", "IPv6" */
    struct fed_json *labels;            /* owned by the slice from now on; gains the two that every slice has */
    struct fed_json *endpoints, *ports; /* arrays */
    int64_t triggered_ms;               /* when what it says changed; 0: not told */
};
/* Writes a slice of the Service of that name, which `owner` (the Service, or its Endpoints) controls, if it is not there like that already. */
void mbr_slice_put(struct mbr_job *job, const struct fed_kobj *owner, const struct mbr_slice *s);
bool mbr_slice_is_of(const struct fed_kobj *slice, const char *manager);
/* Queues the Service of a slice of the manager's that changed. */
void mbr_slice_enqueue(struct mbr_ctl *c, const struct fed_kobj *slice, const char *manager);

#endif
