/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.h: child processes: start with pipes, exit notice, kill. Threads: the loop's.
 *
 * Model:     `exited` is called once, when the process has ended and its pipes are at their end (at most a second later,
 *            for a grandchild may hold them). A forgotten child is reaped, its output read and dropped.
 * Ownership: the fed_child is the house's: invalid after `exited` or fed_child_forget. A loop that is freed lets its
 *            children go on, without notice. */
#ifndef FED_NET_SPAWN_H
#define FED_NET_SPAWN_H

#include "net/loop.h"

struct fed_child;
struct fed_spawn {
    const char *file;           /* looked up in PATH when without '/' */
    const char *const *argv;    /* NULL-terminated, argv[0] included */
    const char *const *envp;    /* NULL: inherited */
    const char *cwd;            /* NULL: inherited */
    bool detached;              /* own session: survives us */
    struct fed_str stdin_bytes; /* written, then closed; empty: /dev/null */
    int stdout_fd, stderr_fd;   /* >= 0: given to the child; -1: collected (max_output), -2: /dev/null */
    size_t max_output;          /* 0: 1 MiB; beyond is dropped */
    uint32_t timeout_ms;        /* then SIGKILL; 0: none */
    void (*exited)(void *ud, int status, int signo, struct fed_str out, struct fed_str errout); /* last call */
    void *ud;
};
FED_MUST_USE int fed_spawn(struct fed_loop *loop, const struct fed_spawn *spec, struct fed_child **out,
                           struct fed_err *err);
int fed_child_pid(const struct fed_child *c);
void fed_child_kill(struct fed_child *c, int signo);
void fed_child_forget(struct fed_child *c); /* exited will not be called; the child goes on */

#endif
