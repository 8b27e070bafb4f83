/* SPDX-License-Identifier: Apache-2.0 */
/* local_priv.h: a call over the local transport, shared by local.c (the transport), local_watch.c (its watches) and
 * local_call.c (how a call ends), each of which stands on the next.
 *
 * Ownership:  a call is on its transport's list until it has ended; its request, while one is under way, points to it.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_LOCAL_PRIV_H
#define FED_APISERVER_LOCAL_PRIV_H

#include "apiserver/watch.h"

struct fed_local {
    struct fed_transport t; /* first */
    struct fed_list link;   /* api->locals */
    struct fed_api *api;
    struct fed_list calls; /* of struct fed_local_call */
    struct fed_arena arena;
    struct fed_identity who;
    struct fed_fence *fence;
};
struct fed_local_call {
    struct fed_call call; /* first */
    struct fed_list link; /* local->calls */
    struct fed_local *local;
    struct fed_task task;
    struct fed_timer timer;
    struct fed_api_reply *r; /* under way */
    /* the request, copied */
    struct fed_arena arena;
    const char *method;
    struct fed_str path, content_type, accept, body;
    uint32_t timeout_ms;
    fed_call_cb cb;
    struct fed_buf collected; /* a streamed answer */
    /* a watch */
    bool is_watch;
    struct fed_form form;
    struct fed_watch_handlers h;
    struct fed_watcher *watcher;
    void *ud;
};

/* --- local_call.c --- */
void fed_local_call_free(struct fed_local_call *c); /* its callback is not called */
void fed_local_finish_call(struct fed_local_call *c, int code, int status, struct fed_str body,
                           const struct fed_err *err);
void fed_local_finish_watch(struct fed_local_call *c, int code, const struct fed_err *err);

#endif
