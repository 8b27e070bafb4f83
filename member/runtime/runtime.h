/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.h: what runs pods: `process` (hansa-shim) or `hollow` (nothing runs, everything is said to).
 *
 * Model:      open a pod (new, or adopt what already runs) -> `ready` after every container was told -> start, kill, exec
 *             -> stop -> `gone`. Attempts number the starts of a container.
 * Ownership:  a pod handle is the runtime's from stop or `gone` on, or after close (which leaves the processes alone).
 *             Event handlers are never called from inside a call on the handle.
 * Threads:    the loop's.
 */
#ifndef MEMBER_RUNTIME_RUNTIME_H
#define MEMBER_RUNTIME_RUNTIME_H

#include "member/member.h"

struct mbr_run_mount {
    const char *source, *target;
    bool read_only;
};
struct mbr_run_spec { /* NUL-terminated texts, borrowed for the call */
    const char *file, *cwd;
    const char *const *argv;
    size_t n_argv;
    const char *const *envp;
    size_t n_envp;
    const struct mbr_run_mount *mounts;
    size_t n_mounts;
    bool has_stdin, tty;
};
struct mbr_run_events {
    void (*ready)(void *ud);
    void (*running)(void *ud, const char *name, unsigned attempt, int pid, int64_t started_ms);
    void (*exited)(void *ud, const char *name, unsigned attempt, int code, int signo, int64_t started_ms,
                   int64_t ended_ms);
    void (*failed)(void *ud, const char *name, unsigned attempt, const char *text);
    void (*gone)(void *ud); /* the pod's processes have all ended; last event */
};
struct mbr_run_session_events {
    /* Of an attachment that asked for it: the container's standard input or terminal; -1: it has none. Yours to close. */
    void (*attached)(void *ud, int fd);
    /* Once, last. failure: why it could not be started, else NULL. Of an attachment: the container has ended. */
    void (*ended)(void *ud, int code, const char *failure);
};
enum { MBR_SESSION_TTY = 1, MBR_SESSION_STDIN = 2 };
struct mbr_runtime;
struct mbr_run_pod;

struct mbr_runtime_ops {
    /* dir: the pod's folder (exists). adopt: only if it runs already, else NULL. NULL and err on failure. */
    struct mbr_run_pod *(*open)(struct mbr_runtime *rt, const char *uid, const char *dir, bool adopt,
                                const struct mbr_run_events *events, void *ud, struct fed_err *err);
    int (*start)(struct mbr_run_pod *p, const char *name, unsigned attempt, const struct mbr_run_spec *spec,
                 struct fed_err *err);
    void (*kill)(struct mbr_run_pod *p, const char *name, int signo);
    /* done(ud, exit code) once; 124 time-out, 126 could not run or the pod ended (then from inside stop or close). */
    void (*exec)(struct mbr_run_pod *p, const char *name, const char *const *argv, size_t argc, uint32_t timeout_ms,
                 void (*done)(void *ud, int code), void *ud);
    /* A command with files of its own: input, output, error, or one terminal (MBR_SESSION_TTY). Without argv: copies of
     * the container's output go to fds (output, error). The descriptors stay the caller's, who closes them at once.
     * Returns the session's number; 0: not possible now, and no event comes. NULL where nothing runs. */
    uint32_t (*session)(struct mbr_run_pod *p, const char *name, const char *const *argv, size_t argc, const int *fds,
                        size_t n_fds, unsigned flags, const struct mbr_run_session_events *events, void *ud);
    void (*hangup)(struct mbr_run_pod *p, uint32_t id); /* no more events of it */
    void (*close_stdin)(struct mbr_run_pod *p, const char *name);
    void (*stop)(struct mbr_run_pod *p, unsigned grace_s);
    void (*close)(struct mbr_run_pod *p);
    void (*free)(struct mbr_runtime *rt);
};
struct mbr_runtime {
    const struct mbr_runtime_ops *ops;
    struct mbr *m;
    bool real;        /* processes: volumes and environments matter */
    bool name_spaces; /* mounts work; else paths are rewritten */
};
struct mbr_run_pod { /* first member of a runtime's own */
    struct mbr_runtime *rt;
};
struct mbr_runtime *mbr_runtime_process(struct mbr *m);
struct mbr_runtime *mbr_runtime_hollow(struct mbr *m);

#endif
