/* SPDX-License-Identifier: Apache-2.0 */
#include "member/shim/shim_session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "member/shim/shim_spawn.h"

enum { HANGUP_GRACE_MS = 2000 };

void mbr_shim_sessions_refuse(struct mbr_shim_sessions *s, int agent, unsigned id, const char *text)
{
    char packet[640];
    snprintf(packet, sizeof(packet), "nosession %u %.600s", id, text);
    s->tell(s->ud, agent, packet, -1);
}

static struct mbr_shim_session *take_slot(struct mbr_shim_sessions *s, int agent, unsigned id)
{
    for (int i = 0; i < MBR_SHIM_SESSIONS; i++)
        if (!s->list[i].used) {
            s->list[i] = (struct mbr_shim_session){.used = true, .agent = agent, .id = id, .out = -1, .err = -1};
            return &s->list[i];
        }
    mbr_shim_sessions_refuse(s, agent, id, "too many sessions in this pod");
    return NULL;
}

static void free_slot(struct mbr_shim_session *x)
{
    if (x->out >= 0)
        close(x->out);
    if (x->err >= 0)
        close(x->err);
    x->used = false;
}

void mbr_shim_sessions_start(struct mbr_shim_sessions *s, int agent, unsigned id, const struct mbr_shim_spec *spec,
                             pid_t container, const char *const *argv, const int *fds, bool tty)
{
    char text[512] = "";
    struct mbr_shim_session *x = take_slot(s, agent, id);
    if (!x)
        return;
    x->pid = mbr_shim_spawn_session(spec, container, argv, fds, tty, text, sizeof(text));
    if (x->pid < 0) {
        x->used = false;
        mbr_shim_sessions_refuse(s, agent, id, text);
    }
}

void mbr_shim_sessions_attach(struct mbr_shim_sessions *s, int agent, unsigned id, const void *container, int in,
                              const int *fds, size_t n_fds)
{
    char packet[64];
    struct mbr_shim_session *x = take_slot(s, agent, id);
    for (size_t i = 0; i < n_fds; i++) {
        if (!x)
            close(fds[i]);
        else
            fcntl(fds[i], F_SETFL, O_NONBLOCK | O_WRONLY);
    }
    if (!x)
        return;
    x->container = container;
    x->out = n_fds > 0 ? fds[0] : -1;
    x->err = n_fds > 1 ? fds[1] : -1;
    snprintf(packet, sizeof(packet), "attached %u", id);
    s->tell(s->ud, agent, packet, in);
}

static void hang_up(struct mbr_shim_session *x, int64_t now_ms)
{
    x->agent = -1;
    if (!x->pid) {
        free_slot(x);
        return;
    }
    kill(-x->pid, SIGHUP);
    x->kill_at_ms = now_ms + HANGUP_GRACE_MS;
}

void mbr_shim_sessions_hangup(struct mbr_shim_sessions *s, int agent, unsigned id, int64_t now_ms)
{
    for (int i = 0; i < MBR_SHIM_SESSIONS; i++)
        if (s->list[i].used && s->list[i].agent == agent && s->list[i].id == id)
            hang_up(&s->list[i], now_ms);
}

void mbr_shim_sessions_agent_left(struct mbr_shim_sessions *s, int agent, int64_t now_ms)
{
    for (int i = 0; i < MBR_SHIM_SESSIONS; i++)
        if (s->list[i].used && s->list[i].agent == agent)
            hang_up(&s->list[i], now_ms);
}

static void end(struct mbr_shim_sessions *s, struct mbr_shim_session *x, int code)
{
    char packet[64];
    int agent = x->agent;
    free_slot(x);
    snprintf(packet, sizeof(packet), "session %u %d", x->id, code);
    if (agent >= 0)
        s->tell(s->ud, agent, packet, -1);
}

void mbr_shim_sessions_reaped(struct mbr_shim_sessions *s, pid_t pid, int code)
{
    for (int i = 0; i < MBR_SHIM_SESSIONS; i++)
        if (s->list[i].used && s->list[i].pid == pid)
            end(s, &s->list[i], code);
}

void mbr_shim_sessions_container_ended(struct mbr_shim_sessions *s, const void *container)
{
    for (int i = 0; i < MBR_SHIM_SESSIONS; i++)
        if (s->list[i].used && s->list[i].container == container)
            end(s, &s->list[i], 0);
}

void mbr_shim_sessions_output(struct mbr_shim_sessions *s, const void *container, bool is_err, const char *p, size_t n)
{
    for (int i = 0; i < MBR_SHIM_SESSIONS; i++) {
        struct mbr_shim_session *x = &s->list[i];
        if (!x->used || x->container != container)
            continue;
        int *fd = is_err ? &x->err : &x->out;
        if (*fd >= 0 && write(*fd, p, n) < 0 && errno != EAGAIN) { /* its reader has gone */
            close(*fd);
            *fd = -1;
        }
    }
}

int64_t mbr_shim_sessions_deadline(struct mbr_shim_sessions *s, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < MBR_SHIM_SESSIONS; i++) {
        struct mbr_shim_session *x = &s->list[i];
        if (!x->used || !x->kill_at_ms)
            continue;
        if (x->kill_at_ms <= now_ms) {
            x->kill_at_ms = 0;
            kill(-x->pid, SIGKILL);
        } else if (x->kill_at_ms < next) {
            next = x->kill_at_ms;
        }
    }
    return next;
}
