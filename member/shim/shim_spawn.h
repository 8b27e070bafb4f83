/* SPDX-License-Identifier: Apache-2.0 */
/* shim_spawn.h: starting processes of a pod: a container's first process, and commands beside it (exec probes).
 * Blocking until the program was executed or refused, which is milliseconds. */
#ifndef MEMBER_SHIM_SHIM_SPAWN_H
#define MEMBER_SHIM_SHIM_SPAWN_H

#include "member/shim/shim.h"

struct mbr_shim_io {
    int in;       /* write end of its standard input, or the terminal; -1: none */
    int out, err; /* read ends, non-blocking; of a terminal: err -1 */
};
/* Returns the pid, or -1 with `text` saying why. The child leads a session of its own. */
pid_t mbr_shim_spawn(const struct mbr_shim_spec *spec, struct mbr_shim_io *io, char *text, size_t room);
/* A command with standard files of its own in the container of process `pid`: three, or one terminal. */
pid_t mbr_shim_spawn_session(const struct mbr_shim_spec *spec, pid_t pid, const char *const *argv, const int *fds,
                             bool tty, char *text, size_t room);
/* A command in the container of process `pid` (its root, name spaces, environment and folder). Output is dropped. */
pid_t mbr_shim_spawn_exec(const struct mbr_shim_spec *spec, pid_t pid, const char *const *argv);

#endif
