/* SPDX-License-Identifier: Apache-2.0 */
/* shim_spawn.h: starting processes of a pod: a container's first process, and commands beside it (exec probes).
 * Blocking until the program was executed or refused, which is milliseconds. */
#ifndef MEMBER_SHIM_SHIM_SPAWN_H
#define MEMBER_SHIM_SHIM_SPAWN_H

#include "member/shim/shim.h"

struct mbr_shim_io {
    int out, err; /* read ends, non-blocking */
};
/* Returns the pid, or -1 with `text` saying why. The child leads a session of its own. */
pid_t mbr_shim_spawn(const struct mbr_shim_spec *spec, struct mbr_shim_io *io, char *text, size_t room);
/* A command in the container of process `pid` (its root, name spaces, environment and folder). Output is dropped. */
pid_t mbr_shim_spawn_exec(const struct mbr_shim_spec *spec, pid_t pid, const char *const *argv);

#endif
