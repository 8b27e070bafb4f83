/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h: priority and fairness: a flood from one user does not starve others.
 *
 * Model:      a flow is a user at a level: system:masters are exempt; the system's own identities (system:…, service
 *             accounts of kube-system, groups hansa:…) share one level, everybody else the other. The engine has one
 *             thread, so two things can be flooded: its time, and what is under way (commits, webhooks, answers being
 *             sent).
 *             Time: requests run as they arrive as long as requests took less than half of the time lately (a bucket of
 *             5 ms). Beyond that they queue by flow, and the flow that was served least goes first (start-time fair
 *             queueing by measured time), 2 ms in each turn of the loop. A flow that asks little therefore waits for at
 *             most one request of each flow that asks much, however many connections those have.
 *             Seats: a request under way takes a seat, reading or writing apart, of --max-requests-inflight and
 *             --max-mutating-requests-inflight; an answer above 64 KiB keeps it until the client has taken it, and
 *             takes one more for each MiB. Of N flows with seats each may have a (N+1)th part, and a flow without any
 *             always gets one, so a newcomer never waits for a seat. Watches and other long streams take none.
 *             A flow's queue holds as many requests as half of both limits and 32 MiB of bodies; beyond, and after 15 s
 *             of waiting, the answer is 429 with Retry-After.
 * Ownership:  a request in a queue belongs to it until it is run, refused, or its client leaves.
 * Threads:    the state thread. Local calls (controllers in the process) do not pass here.
 */
#ifndef FED_APISERVER_FLOW_H
#define FED_APISERVER_FLOW_H

#include "apiserver/apiserver_priv.h"

void fed_flows_start(struct fed_api *api, void (*dispatch)(struct fed_api_reply *r));
void fed_flows_release(struct fed_api *api);
/* Runs the request now (dispatch), later, or answers 429. */
void fed_flow_enter(struct fed_api_reply *r);
/* The request ended: its seats are free. */
void fed_flow_leave(struct fed_api_reply *r);
/* Its client left while it was queued. */
void fed_flow_forget(struct fed_api_reply *r);
/* An answer of this size is about to be sent. True: it has seats until it is sent, so its end is to be noticed. */
bool fed_flow_answer(struct fed_api_reply *r, size_t bytes);

#endif
