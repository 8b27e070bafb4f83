/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_ckpt.h: brings what is in the store's log into its file, beside the writer instead of in its way.
 *
 * Model:      a second connection on a thread of its own copies what was committed (a pass) while the writer goes on
 *             appending. The log can begin anew only when nothing is left to copy, and behind a busy writer something
 *             always is: so when it has grown to a round (32 MiB) and a pass has left little, the writer copies that
 *             rest itself, between two batches, in about the time of one; its next commit begins the log anew, in the
 *             room that the file has already (which costs an fsync less than growing).
 * Invariants: SQLite's: nothing of the log is overwritten before the file has it on the disk.
 * Threads:    all calls come from the writer's thread, or while it does not run.
 * Failure:    a full disk ends the pass, later ones try again, and the log grows until a commit fails. A failed fsync
 *             is an error: what it should have kept may be lost, and the next one would not tell.
 */
#ifndef STORE_SQLITE_CKPT_H
#define STORE_SQLITE_CKPT_H

#include <sqlite3.h>

#include "base/err.h"

struct store_ckpt;

/* writer: the connection that commits, open; it loses its automatic checkpoints. */
FED_MUST_USE int store_ckpt_open(sqlite3 *writer, const char *path, struct store_ckpt **out, struct fed_err *err);
/* Before the writer's connection is closed. NULL is fine. */
void store_ckpt_close(struct store_ckpt *c);
/* After each commit, outside of transactions. */
FED_MUST_USE int store_ckpt_turn(struct store_ckpt *c, struct fed_err *err);

#endif
