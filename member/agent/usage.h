/* SPDX-License-Identifier: Apache-2.0 */
/* usage.h: what the pods of this member use of processor and memory, measured from /proc.
 *
 * Model:      nothing is measured until somebody asks. The first question starts two looks, 1 s apart, and from then on
 *             there is one each 15 s for as long as the last question is younger than 5 min. A container's processes are
 *             its first one, what descends from it and what is in its session; processor time is the rate between the last
 *             two looks (children that ended included), memory the resident pages (shared ones counted for each).
 * Ownership:  struct mbr owns it (m->usage). Threads: the loop's; the reading of /proc is done on the thread pool.
 * Failure:    a container that has not been looked at twice is unknown (false).
 */
#ifndef MEMBER_AGENT_USAGE_H
#define MEMBER_AGENT_USAGE_H

#include "member/member.h"

struct mbr_usage;
struct mbr_usage_value {
    int64_t cpu_nano; /* nanocores: 1,000,000 are 1m */
    int64_t memory;   /* bytes */
    int64_t at_ms;    /* wall time of the last look */
    uint32_t window_ms;
};
struct mbr_usage *mbr_usage_new(struct mbr *m);
void mbr_usage_free(struct mbr_usage *u);

/* Somebody wants to know: keeps the figures fresh for 5 min. True when there are some already. */
bool mbr_usage_ask(struct mbr_usage *u);
/* The same, and tells when there are figures (at once, from inside, when there are). */
struct mbr_usage_wait {
    struct fed_list link;
    void (*ready)(struct mbr_usage_wait *w, bool measured); /* false: the member is stopping */
};
void mbr_usage_wait(struct mbr_usage *u, struct mbr_usage_wait *w);

/* One container; all running containers of a pod (false when any is unknown or none runs); the pods of a node, and on the
 * first node the member's own process. */
bool mbr_usage_container(const struct mbr_usage *u, struct fed_str pod_uid, const char *container,
                         struct mbr_usage_value *out);
bool mbr_usage_pod(const struct mbr_usage *u, struct fed_str pod_uid, struct mbr_usage_value *out);
bool mbr_usage_node(const struct mbr_usage *u, struct fed_str node, struct mbr_usage_value *out);

/* --- the pure part, for tests --- */

struct mbr_process {
    int pid, parent, session;
    uint64_t ticks; /* user and system time, and that of children waited for */
    uint64_t pages; /* resident */
};
/* The text of /proc/PID/stat. False: not one. */
bool mbr_process_parse(struct fed_str text, struct mbr_process *out);
struct mbr_usage_sum {
    int pid; /* of the first process; in: sorted by it */
    uint64_t ticks, pages;
};
/* Adds each process to the sum it belongs to. Sorts list by pid. */
void mbr_usage_attribute(struct mbr_process *list, size_t n, struct mbr_usage_sum *sums, size_t n_sums);

#endif
