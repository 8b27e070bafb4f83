/* SPDX-License-Identifier: Apache-2.0 */
/* tries.h: the life of one proxied request: when is it sent again, and when is it given up? No input, no output, no
 * clock: events and `now` go in, the next step comes out.
 *
 * Model:      a request is sent to one place: a try. A try ends by the first byte of an answer (it has won; all others
 *             are dropped) or is lost. A try that stays silent for its hedge delay does not end: a second one is made
 *             beside it, and the first answer wins.
 *
 *                 init -> begin(0) -> [wrote] -> heard                                    answer passed on
 *                                   \-> lost(CONNECT…) -> AGAIN -> begin(1) …              retry
 *                                   \-> timer -> AGAIN (hedge) -> begin(1) …               hedge
 *                                   \-> GIVE_UP(502, 503, 504)
 *
 * Rules:      nothing sent (refused, no connection, turned away unprocessed): any request is tried again.
 *             Sent, no byte of an answer: only an idempotent request of which we still have every byte.
 *             A byte of an answer was passed on: never again; a cut answer is passed on as cut.
 *             A second try beside a silent one: idempotent only; the caller asks its budget, unless the silent place has
 *             been found down meanwhile.
 * Threads:    a value.
 */
#ifndef GLB_PROXY_TRIES_H
#define GLB_PROXY_TRIES_H

#include <stdbool.h>
#include <stdint.h>

enum { GLB_MAX_TRIES = 5 };

enum glb_loss {
    GLB_LOST_CONNECT, /* refused or unreachable: nothing was sent */
    GLB_LOST_CONNECT_TIMEOUT,
    GLB_LOST_UNPROCESSED, /* turned away before anything was done (a balancer without an endpoint) */
    GLB_LOST_CUT,         /* the connection ended before the answer's head was complete */
    GLB_LOST_STATUS,      /* answered 502, 503 or 504 */
    GLB_LOST_MALFORMED,   /* no HTTP */
};
struct glb_tries_conf {
    uint32_t max_tries;   /* at most GLB_MAX_TRIES */
    uint32_t response_ms; /* from the begin to the first byte of an answer */
    uint32_t recheck_ms;  /* a second try that was denied is asked for again after this */
};
struct glb_try {
    uint64_t began;
    uint32_t hedge_ms;
    bool live, wrote;
};
struct glb_tries {
    const struct glb_tries_conf *conf;
    uint64_t began;
    bool idempotent, replay, heard;
    uint8_t n, live;
    int status; /* what to answer when given up */
    struct glb_try t[GLB_MAX_TRIES];
};
enum glb_do { GLB_WAIT, GLB_AGAIN, GLB_GIVE_UP };
struct glb_step {
    enum glb_do what;
    bool hedge;       /* AGAIN beside a silent try: ask the budget */
    int status;       /* GIVE_UP */
    uint64_t wake_ms; /* WAIT: call glb_tries_timer then */
};

void glb_tries_init(struct glb_tries *m, const struct glb_tries_conf *conf, uint64_t now, bool idempotent);
/* A try was started; returns its number. Only after init or AGAIN. */
int glb_tries_begin(struct glb_tries *m, uint64_t now, uint32_t hedge_ms);
void glb_tries_wrote(struct glb_tries *m, int i);      /* bytes of the request went to its connection */
void glb_tries_forget(struct glb_tries *m);            /* the request can no longer be sent from its begin */
void glb_tries_fed(struct glb_tries *m, uint64_t now); /* more of the request's body was sent: silence begins now */
void glb_tries_heard(struct glb_tries *m, int i);      /* its answer is passed on */
struct glb_step glb_tries_lost(struct glb_tries *m, int i, enum glb_loss why, uint64_t now);
struct glb_step glb_tries_timer(struct glb_tries *m, uint64_t now);
/* The AGAIN could not be done (no budget, no other place): wait on. */
struct glb_step glb_tries_denied(struct glb_tries *m, uint64_t now);
/* The place of a live try has been found down: a second try is due now. */
void glb_tries_suspect(struct glb_tries *m, int i, uint64_t now);
/* Would a loss for this reason lead to another try? */
bool glb_tries_may_again(const struct glb_tries *m, enum glb_loss why);

#endif
