/* SPDX-License-Identifier: Apache-2.0 */
/* shim.h: hansa-shim, the owner of one pod's processes, and how the agent talks to it.
 *
 * Model:      `hansa-shim PODDIR` with a listening SOCK_SEQPACKET Unix socket as file descriptor 1. Its abstract name is
 *             mbr_shim_socket_name(range, uid): whoever connects is answered only if it runs as the same user. The shim
 *             starts containers from spec files, keeps their logs and exit codes, and lives until told to go; agents
 *             come and go. If the shim dies the kernel kills its containers.
 *
 * Messages (one packet each, words separated by a space):
 *   to the shim    start NAME ATTEMPT        reads PODDIR/spec/NAME.ATTEMPT
 *                  kill NAME SIGNO           the container's first process; with SIGKILL its whole session
 *                  exec ID MILLISECONDS NAME\0ARG\0ARG…\0
 *                  session ID TTY NAME\0ARG\0ARG…\0   a command with the descriptors sent beside it: standard input,
 *                                            output, error, or one terminal for all
 *                  attach ID STDIN NAME      copies of the container's output go to the descriptors sent (output,
 *                                            error); a reader that is slow misses some
 *                  hangup ID                 ends a session: SIGHUP, SIGKILL after 2 s; or an attachment
 *                  closestdin NAME           the container's standard input ends
 *                  stop SECONDS              SIGTERM to all, SIGKILL after the grace, then exit
 *   from the shim  run NAME ATTEMPT PID STARTED_MS
 *                  exit NAME ATTEMPT CODE SIGNO STARTED_MS ENDED_MS
 *                  fail NAME ATTEMPT TEXT    it could not be started
 *                  exec ID CODE              124: time-out
 *                  attached ID               beside it, when STDIN is 1: the container's input or its terminal
 *                  session ID CODE           ended; of an attachment: the container has
 *                  nosession ID TEXT         it could not be started
 *                  sync                      after a connection: all containers were told (their latest attempt)
 *
 * Spec file: NUL-terminated records, the first byte says what: X program file, A argument (argv[0] included), E VAR=VALUE,
 *            C working folder, M "SOURCE\x1fTARGET\x1fro|rw" bind mount (in order, parents first), I standard input is
 *            a pipe, T a terminal.
 * Sessions:  belong to the agent that asked for them: when its connection ends they are hung up.
 * Logs:      PODDIR/logs/NAME.ATTEMPT.log, lines "TIME stdout|stderr F|P TEXT"; at 10 MB renamed to .log.1.
 * Threads:   the shim is single-threaded. It uses libc only; its clock is its own (it is a program, not a component).
 */
#ifndef MEMBER_SHIM_SHIM_H
#define MEMBER_SHIM_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    MBR_SHIM_PACKET = 64 * 1024,
    MBR_SHIM_NAME = 64,
    MBR_SHIM_CONTAINERS = 32,
    MBR_SHIM_SPEC = 1024 * 1024,
    MBR_SHIM_LOG_MAX = 10 * 1024 * 1024,
};

struct mbr_shim_mount {
    const char *source, *target;
    bool read_only;
};
struct mbr_shim_spec { /* slices of `text` */
    char *text;
    const char *file, *cwd;
    const char **argv, **envp;
    struct mbr_shim_mount *mounts;
    size_t n_argv, n_envp, n_mounts;
    bool has_stdin, tty;
};
/* NULL and errno on failure. */
struct mbr_shim_spec *mbr_shim_spec_read(const char *path);
void mbr_shim_spec_free(struct mbr_shim_spec *spec);

/* Puts the calling process into a mount name space of its own (with a user name space unless root) and binds the
 * mounts. `staging` is a folder to build a new root at when one is needed. 0 or -1 with errno and *what set. */
int mbr_shim_enter_mounts(const struct mbr_shim_mount *mounts, size_t n, const char *staging, const char **what);
/* Exit status 0 when such name spaces work here: run in a child. */
int mbr_shim_probe_mounts(const char *staging);

/* One stream of a container's output. */
struct mbr_shim_log {
    char path[256]; /* relative to PODDIR */
    int fd;
    size_t size;
};
struct mbr_shim_stream {
    const char *name; /* "stdout" */
    int fd;           /* pipe; -1 closed */
    char *line;       /* pending bytes without newline */
    size_t n;
    /* Sees the bytes as they come; may be NULL. */
    void (*tee)(void *ud, const struct mbr_shim_stream *s, const char *p, size_t n);
    void *ud;
};
void mbr_shim_log_open(struct mbr_shim_log *log, const char *container, unsigned attempt);
void mbr_shim_log_close(struct mbr_shim_log *log);
/* Reads what is there and writes its lines. False at the end of the stream (closed then). */
bool mbr_shim_stream_pump(struct mbr_shim_stream *s, struct mbr_shim_log *log);
int64_t mbr_shim_wall_ms(void);

#endif
