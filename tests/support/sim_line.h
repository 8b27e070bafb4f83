/* SPDX-License-Identifier: Apache-2.0 */
/* sim_line.h: the way between the control plane and one API server, with latency and faults, on virtual time.
 *
 * Model:      a line stands between the transports that the control plane opens over it (sim_line_open) and the API
 *             server's own local transport. Requests, answers and watch events travel for a random time; those of one
 *             watch arrive in order, calls overtake each other. Nothing arrives twice.
 *               refused: requests fail at once, watches end;
 *               silent:  nothing arrives in either direction: calls run into their time-out, watch events wait (as TCP
 *                        sends again) until the line is back or the watch is given up;
 *               lossy:   some requests are lost, and some answers, which is worse: the write has happened.
 *             A write whose caller goes away while it travels may arrive all the same.
 * Ownership:  the line borrows env, chance and the server's transport; opened transports are freed before the line.
 * Threads:    one.
 */
#ifndef TESTS_SUPPORT_SIM_LINE_H
#define TESTS_SUPPORT_SIM_LINE_H

#include "base/list.h"
#include "kube/client.h"
#include "support/sim_random.h"

struct sim_line {
    struct fed_env *env;
    struct sim_random *chance;
    struct fed_transport *server;
    const char *name;
    uint32_t latency_min, latency_max; /* ms, one way; both 0: at once, in the server's own callback */
    bool refused, silent, watch_list;
    uint32_t lose_permille;
    /* Every write that reached the server, before it is carried out; may be NULL. */
    void (*on_write)(void *ud, const char *line, const struct fed_call_request *req);
    void *ud;
    size_t calls, writes;
    struct fed_list open; /* of transports */
};

void sim_line_init(struct sim_line *l, struct fed_env *env, struct sim_random *chance, struct fed_transport *server,
                   const char *name);
struct fed_transport *sim_line_open(struct sim_line *l);
/* Each watch is cut with this chance, its undelivered events lost. */
void sim_line_cut_watches(struct sim_line *l, uint32_t permille);

#endif
