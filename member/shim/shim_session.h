/* SPDX-License-Identifier: Apache-2.0 */
/* shim_session.h: what people do in a container beside its first process: commands with standard files of their own
 * (exec), and copies of the container's output (attach).
 *
 * Model:      the table holds what runs; the shim's loop feeds it: a message of an agent, the end of a child, of a
 *             container, of an agent's connection, bytes of output. Answers go out through `tell`.
 * Invariants: the descriptors of a command are the child's alone: its reader sees the end when it ends. Nothing here
 *             waits for a reader: copies that do not fit are dropped.
 */
#ifndef MEMBER_SHIM_SHIM_SESSION_H
#define MEMBER_SHIM_SHIM_SESSION_H

#include "member/shim/shim.h"

enum { MBR_SHIM_SESSIONS = 64 };

struct mbr_shim_session {
    bool used;
    int agent;   /* index of its connection; -1: gone */
    unsigned id; /* the agent's number */
    pid_t pid;   /* of a command; 0: an attachment */
    int64_t kill_at_ms;
    const void *container; /* of an attachment */
    int out, err;
};
struct mbr_shim_sessions {
    struct mbr_shim_session list[MBR_SHIM_SESSIONS];
    /* Sends a packet, with a descriptor beside it when fd >= 0. */
    void (*tell)(void *ud, int agent, const char *text, int fd);
    void *ud;
};

void mbr_shim_sessions_start(struct mbr_shim_sessions *s, int agent, unsigned id, const struct mbr_shim_spec *spec,
                             pid_t container, const char *const *argv, const int *fds, bool tty);
/* Takes the descriptors. in: the container's, or -1. */
void mbr_shim_sessions_attach(struct mbr_shim_sessions *s, int agent, unsigned id, const void *container, int in,
                              const int *fds, size_t n_fds);
void mbr_shim_sessions_hangup(struct mbr_shim_sessions *s, int agent, unsigned id, int64_t now_ms);
void mbr_shim_sessions_agent_left(struct mbr_shim_sessions *s, int agent, int64_t now_ms);
void mbr_shim_sessions_reaped(struct mbr_shim_sessions *s, pid_t pid, int code); /* of any child */
void mbr_shim_sessions_container_ended(struct mbr_shim_sessions *s, const void *container);
void mbr_shim_sessions_output(struct mbr_shim_sessions *s, const void *container, bool is_err, const char *p, size_t n);
/* Kills what is due; the time of the next, or INT64_MAX. */
int64_t mbr_shim_sessions_deadline(struct mbr_shim_sessions *s, int64_t now_ms);
void mbr_shim_sessions_refuse(struct mbr_shim_sessions *s, int agent, unsigned id, const char *text);

#endif
