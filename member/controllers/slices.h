/* SPDX-License-Identifier: Apache-2.0 */
/* slices.h: what the makers of EndpointSlices share (endpoints.c from pods, mirror.c from somebody's Endpoints): a slice
 * says in a label who manages it, and each touches only its own.
 *
 * Sources: Kubernetes, "EndpointSlices", section Management. Threads: the loop's.
 */
#ifndef MEMBER_CONTROLLERS_SLICES_H
#define MEMBER_CONTROLLERS_SLICES_H

#include "member/controllers/ctl.h"

struct mbr_slice {
    struct fed_str name;
    const char *manager, *address_type; /* "IPv4", "IPv6" */
    struct fed_json *labels;            /* owned by the slice from now on; gains the two that every slice has */
    struct fed_json *endpoints, *ports; /* arrays */
};
/* Writes a slice of the Service of that name, which `owner` (the Service, or its Endpoints) controls, if it is not there like that already. */
void mbr_slice_put(struct mbr_job *job, const struct fed_kobj *owner, const struct mbr_slice *s);
bool mbr_slice_is_of(const struct fed_kobj *slice, const char *manager);
/* Queues the Service of a slice of the manager's that changed. */
void mbr_slice_enqueue(struct mbr_ctl *c, const struct fed_kobj *slice, const char *manager);

#endif
