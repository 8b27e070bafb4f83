/* SPDX-License-Identifier: Apache-2.0 */
/* flow_priv.h: what flow.c (flows and their seats) and flow_queue.c (who runs when), which stands on it, share. */
#ifndef FED_APISERVER_FLOW_PRIV_H
#define FED_APISERVER_FLOW_PRIV_H

#include "apiserver/flow.h"

enum { FLOW_READS, FLOW_WRITES };
enum { FLOW_SYSTEM, FLOW_WORKLOAD, FLOW_LEVELS };

struct fed_flow_level {
    size_t used[2], holders[2]; /* seats taken, flows with any */
};
struct fed_flow {
    struct fed_list link; /* flows->waiting while something is queued */
    struct fed_list queue;
    size_t n_queued, bytes, seats[2], busy;
    uint64_t served_ns; /* virtual time */
    struct fed_flow_level *level;
    bool system;
};
struct fed_flows {
    struct fed_api *api;
    void (*dispatch)(struct fed_api_reply *r); /* whose turn it is */
    struct fed_map map;                        /* level and user -> struct fed_flow */
    struct fed_flow_level levels[FLOW_LEVELS];
    size_t limit[2], queue_max;
    struct fed_list waiting;
    size_t n_queued;
    int64_t credit_ns;
    uint64_t credit_at, virtual_ns;
    struct fed_timer slice, sweep;
    struct fed_metric_family *m_rejected;
    struct fed_metric *m_queued;
};

/* --- flow.c --- */
struct fed_flow *fed_flow_of(struct fed_flows *fl, const struct fed_identity *who); /* made when there is none */
bool fed_flow_seat_free(const struct fed_flows *fl, const struct fed_flow *f, int class);
void fed_flow_take_seats(struct fed_api_reply *r, size_t n);
void fed_flow_unqueue(struct fed_flows *fl, struct fed_flow *f, struct fed_api_reply *r);

#endif
