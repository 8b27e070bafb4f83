/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h: the libuv loop as a fed_env. One loop a thread; nothing of it crosses threads but fed_wakeup_signal.
 * uv.h is included only by files of lib/net (loop_priv.h gives them the uv_loop_t) and by programs' io/ folders. */
#ifndef FED_NET_LOOP_H
#define FED_NET_LOOP_H

#include "base/env.h"
#include "base/err.h"

struct fed_loop;

struct fed_loop *fed_loop_new(void);
/* Closes what is still open: streams and listeners get their last callbacks (so their owners must still live, or have
 * taken their handlers off). Call on its thread after run returned. */
void fed_loop_free(struct fed_loop *loop);
struct fed_env *fed_loop_env(struct fed_loop *loop);
void fed_loop_run(struct fed_loop *loop);  /* until fed_loop_stop */
void fed_loop_stop(struct fed_loop *loop); /* its thread; from elsewhere use a wakeup */
/* cb for each arrival of signo, until the loop is freed. SIGPIPE is ignored by fed_loop_new. */
void fed_loop_on_signal(struct fed_loop *loop, int signo, void (*cb)(void *ud, int signo), void *ud);
/* Readiness of a file descriptor that is ours (an inotify fd, a pty, a raw socket). */
struct fed_poll;
enum { FED_POLL_IN = 1, FED_POLL_OUT = 2 };
struct fed_poll *fed_poll_new(struct fed_loop *loop, int fd, void (*cb)(void *ud, int events), void *ud);
void fed_poll_set(struct fed_poll *poll, int events); /* 0 pauses */
void fed_poll_free(struct fed_poll *poll);            /* does not close the fd */
/* Runs work(ud) on the thread pool, then done(ud) on the loop. For blocking file and name operations only. */
void fed_loop_work(struct fed_loop *loop, void (*work)(void *ud), void (*done)(void *ud), void *ud);

#endif
