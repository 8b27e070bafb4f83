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
};
struct mbr_run_events {
    void (*ready)(void *ud);
    void (*running)(void *ud, const char *name, unsigned attempt, int pid, int64_t started_ms);
    void (*exited)(void *ud, const char *name, unsigned attempt, int code, int signo, int64_t started_ms,
                   int64_t ended_ms);
    void (*failed)(void *ud, const char *name, unsigned attempt, const char *text);
    void (*gone)(void *ud); /* the pod's processes have all ended; last event */
};
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
