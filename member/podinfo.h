/* SPDX-License-Identifier: Apache-2.0 */
/* podinfo.h: what controllers ask of pods again and again, read once per revision of a pod.
 *
 * Ownership: an info is borrowed until the pod changes (next turn of the loop); slices point into it. Threads: the loop's.
 */
#ifndef MEMBER_PODINFO_H
#define MEMBER_PODINFO_H

#include "member/controllers/choice.h"
#include "member/member.h"

enum { MBR_POD_PORTS = 16 };
struct mbr_pod_port {
    struct fed_str name, protocol;
    uint16_t port, real, host; /* declared; listened on; host port or 0 */
};
struct mbr_pod_info {
    uint64_t rev;
    struct fed_str node, ip, phase, scheduler;
    struct fed_str hostname, subdomain;        /* of its spec */
    bool host_network, ready, deleting, ended; /* ended: Succeeded or Failed */
    bool gated, speaks;                        /* schedulingGates; its affinity speaks of pods */
    int64_t created_ms, ready_ms;              /* ready_ms: since when */
    int64_t priority;
    struct mbr_pod_need need; /* requests and host ports; no trees */
    int64_t restarts;
    struct mbr_pod_port ports[MBR_POD_PORTS];
    size_t n_ports;
    struct fed_arena arena;
};
struct mbr_pods *mbr_pods_new(struct mbr *m); /* watches m->informers[MBR_PODS] to forget what is gone */
void mbr_pods_free(struct mbr_pods *p);
const struct mbr_pod_info *mbr_pod_info_get(struct mbr *m, const struct fed_kobj *pod);
/* The same from a tree, for tests. */
void mbr_pod_info_read(struct mbr_pod_info *info, const struct fed_json *pod);
/* The pod as one of several of which some are to go; cost and siblings are left at 0. */
struct mbr_victim mbr_pod_victim(const struct mbr_pod_info *p, struct fed_kobj *pod);

#endif
