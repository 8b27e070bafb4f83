/* SPDX-License-Identifier: Apache-2.0 */
/* outputs.h: what a command writes on its standard output and error (pipes, or one terminal), on its way to a client.
 *
 * Model:      the ends that we read are watched; their bytes go to `bytes` while `backlog` is below a bound, and wait in
 *             the pipe, which holds the command, while it is not: `go_on` is called when it may have fallen.
 * Invariants: bytes of the error that were written before bytes of the output are told before them: a client that is
 *             content with the output (kubectl cp at the end of an archive) leaves at once, and would take with it what
 *             it was not told yet. After mbr_outputs_command_ended all that the command wrote is told, then `ended`;
 *             what a process that outlives it still writes is not waited for.
 * Ownership:  descriptors given are ours. `ended` may release and free; it is called once, from any call here.
 * Threads:    the loop's.
 */
#ifndef MEMBER_STREAMS_OUTPUTS_H
#define MEMBER_STREAMS_OUTPUTS_H

#include "base/str.h"
#include "net/loop.h"

struct mbr_outputs_events {
    size_t (*backlog)(void *ud); /* bytes that the client did not take yet */
    void (*bytes)(void *ud, bool is_err, struct fed_str bytes);
    void (*ended)(void *ud);
};
struct mbr_outputs;
struct mbr_output {
    struct mbr_outputs *all;
    int fd; /* -1: none, or at its end */
    struct fed_poll *poll;
};
struct mbr_outputs {
    struct fed_loop *loop;
    const struct mbr_outputs_events *events;
    void *ud;
    struct mbr_output out, err;
    bool command_ended;
};
enum { MBR_OUTPUTS_BACKLOG = 256 * 1024 };

void mbr_outputs_init(struct mbr_outputs *o, struct fed_loop *loop, const struct mbr_outputs_events *events, void *ud);
void mbr_outputs_release(struct mbr_outputs *o);
void mbr_outputs_watch(struct mbr_outputs *o, bool is_err, int fd);
void mbr_outputs_go_on(struct mbr_outputs *o);
void mbr_outputs_command_ended(struct mbr_outputs *o);

#endif
