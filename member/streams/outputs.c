/* SPDX-License-Identifier: Apache-2.0 */
#include "member/streams/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { CHUNK = 32 * 1024 };

static void output_close(struct mbr_output *e)
{
    if (e->poll)
        fed_poll_free(e->poll);
    if (e->fd >= 0)
        close(e->fd);
    e->poll = NULL;
    e->fd = -1;
}

void mbr_outputs_init(struct mbr_outputs *o, struct fed_loop *loop, const struct mbr_outputs_events *events, void *ud)
{
    *o = (struct mbr_outputs){.loop = loop, .events = events, .ud = ud};
    o->out = o->err = (struct mbr_output){o, -1, NULL};
}

void mbr_outputs_release(struct mbr_outputs *o)
{
    output_close(&o->out);
    output_close(&o->err);
}

static void pump(struct mbr_output *e);

/* Reads until the pipe is empty, ended, or the client slow. False: nothing more comes. */
static bool take(struct mbr_output *e)
{
    struct mbr_outputs *o = e->all;
    char buf[CHUNK];
    for (;;) {
        if (o->events->backlog(o->ud) > MBR_OUTPUTS_BACKLOG) {
            fed_poll_set(e->poll, 0);
            return true;
        }
        ssize_t n = read(e->fd, buf, sizeof(buf));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            fed_poll_set(e->poll, FED_POLL_IN);
            return !o->command_ended;
        }
        if (n <= 0) /* EIO: nobody has the terminal open any more */
            return false;
        if (e == &o->out) /* only now: what was written before these bytes is there now */
            pump(&o->err);
        o->events->bytes(o->ud, e == &o->err, fed_str_n(buf, (size_t)n));
    }
}

static void pump(struct mbr_output *e)
{
    if (e->fd >= 0 && !take(e))
        output_close(e);
}

void mbr_outputs_go_on(struct mbr_outputs *o)
{
    pump(&o->err);
    pump(&o->out);
    if (o->command_ended && o->out.fd < 0 && o->err.fd < 0)
        o->events->ended(o->ud);
}

static void readable(void *ud, int events)
{
    (void)events;
    mbr_outputs_go_on(((struct mbr_output *)ud)->all);
}

void mbr_outputs_watch(struct mbr_outputs *o, bool is_err, int fd)
{
    struct mbr_output *e = is_err ? &o->err : &o->out;
    e->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    e->poll = fed_poll_new(o->loop, fd, readable, e);
    fed_poll_set(e->poll, FED_POLL_IN);
}

void mbr_outputs_command_ended(struct mbr_outputs *o)
{
    o->command_ended = true;
    mbr_outputs_go_on(o);
}
