/* SPDX-License-Identifier: Apache-2.0 */
#include "member/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"

enum { LINE_MAX_BYTES = 16 * 1024 };

int64_t mbr_shim_wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void mbr_shim_log_open(struct mbr_shim_log *log, const char *container, unsigned attempt)
{
    snprintf(log->path, sizeof(log->path), "logs/%s.%u.log", container, attempt);
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    log->size = log->fd < 0 ? 0 : (size_t)lseek(log->fd, 0, SEEK_END);
}

void mbr_shim_log_close(struct mbr_shim_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

/* The full file gets a second name before the next one takes its first: whoever opens the log finds one at any moment. */
static void rotate(struct mbr_shim_log *log)
{
    char old[sizeof(log->path) + 2], next[sizeof(log->path) + 5];
    snprintf(old, sizeof(old), "%s.1", log->path);
    snprintf(next, sizeof(next), "%s.next", log->path);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return; /* with the next line again */
    (void)!unlink(old);
    if (link(log->path, old) != 0)
        (void)!rename(log->path, old);
    (void)!rename(next, log->path);
    close(log->fd);
    log->fd = fd;
    log->size = 0;
}

/* A full disk loses log lines, never the container. */
static void write_line(struct mbr_shim_log *log, const char *stream, const char *p, size_t n, bool full)
{
    char buf[LINE_MAX_BYTES + 64], stamp[28];
    if (log->fd < 0)
        return;
    fed_time_format_micro(mbr_shim_wall_ms(), stamp);
    int head = snprintf(buf, sizeof(buf), "%s %s %c ", stamp, stream, full ? 'F' : 'P');
    memcpy(buf + head, p, n);
    buf[head + n] = '\n';
    ssize_t w = write(log->fd, buf, (size_t)head + n + 1);
    if (w > 0)
        log->size += (size_t)w;
    if (log->size >= MBR_SHIM_LOG_MAX)
        rotate(log);
}

static void write_lines(struct mbr_shim_stream *s, struct mbr_shim_log *log)
{
    char *p = s->line, *end = s->line + s->n, *nl;
    while (p < end && (nl = memchr(p, '\n', (size_t)(end - p)))) {
        write_line(log, s->name, p, (size_t)(nl - p), true);
        p = nl + 1;
    }
    s->n = (size_t)(end - p);
    memmove(s->line, p, s->n);
    if (s->n == LINE_MAX_BYTES) {
        write_line(log, s->name, s->line, s->n, false);
        s->n = 0;
    }
}

bool mbr_shim_stream_pump(struct mbr_shim_stream *s, struct mbr_shim_log *log)
{
    if (!s->line && !(s->line = malloc(LINE_MAX_BYTES)))
        abort();
    ssize_t r = read(s->fd, s->line + s->n, LINE_MAX_BYTES - s->n);
    if (r < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (r > 0) {
        if (s->tee)
            s->tee(s->ud, s, s->line + s->n, (size_t)r);
        s->n += (size_t)r;
        write_lines(s, log);
        return true;
    }
    if (s->n)
        write_line(log, s->name, s->line, s->n, true);
    close(s->fd);
    s->fd = -1;
    free(s->line);
    s->line = NULL;
    s->n = 0;
    return false;
}
