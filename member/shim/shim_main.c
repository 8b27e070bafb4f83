/* SPDX-License-Identifier: Apache-2.0 */
/* hansa-shim: see shim.h. One poll loop over: SIGCHLD and SIGTERM (signalfd), the listening socket, up to four agents,
 * the containers' output pipes. */
#include "member/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "member/shim/shim_session.h"
#include "member/shim/shim_spawn.h"

enum { AGENTS = 4, EXECS = 32, GRACE_MAX_S = 3600, WORDS = 1024 };

struct container {
    char name[MBR_SHIM_NAME];
    unsigned attempt;
    pid_t pid; /* 0: ended */
    int code, signo;
    int64_t started_ms, ended_ms;
    bool failed;
    char why[512];
    struct mbr_shim_log log;
    struct mbr_shim_stream streams[2];
    struct mbr_shim_spec *spec;
    struct mbr_shim_sessions *sessions;
    int in; /* its standard input or terminal; -1: none, or closed */
};
struct exec {
    pid_t pid; /* 0: free */
    unsigned id;
    int64_t deadline_ms;
};
struct shim {
    int listener, signals, agents[AGENTS];
    struct container containers[MBR_SHIM_CONTAINERS];
    size_t n;
    struct exec execs[EXECS];
    struct mbr_shim_sessions sessions;
    bool stopping;
    int64_t kill_at_ms; /* 0: SIGKILL was sent */
    char packet[MBR_SHIM_PACKET];
};

static int64_t mono_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The agent's sessions end with its connection: nobody is there to read them. */
static void drop_agent(struct shim *s, int i)
{
    close(s->agents[i]);
    s->agents[i] = -1;
    mbr_shim_sessions_agent_left(&s->sessions, i, mono_ms());
}

/* One packet to one agent, a descriptor beside it when fd >= 0. */
static void tell_one(void *ud, int agent, const char *text, int fd)
{
    struct shim *s = ud;
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.buf = {0}};
    struct iovec iov = {(char *)text, strlen(text)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        msg.msg_control = control.buf;
        msg.msg_controllen = sizeof(control.buf);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    if (s->agents[agent] >= 0 && sendmsg(s->agents[agent], &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        drop_agent(s, agent);
}

/* An agent that does not read is cut off: it connects again and is told everything. */
static void tell(struct shim *s, int only, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void tell(struct shim *s, int only, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    n = n < (int)sizeof(text) ? n : (int)sizeof(text) - 1;
    for (int i = 0; i < AGENTS; i++) {
        if (s->agents[i] < 0 || (only >= 0 && only != i))
            continue;
        if (send(s->agents[i], text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            drop_agent(s, i);
    }
}

static void tell_state(struct shim *s, int only, const struct container *c)
{
    if (c->failed)
        tell(s, only, "fail %s %u %s", c->name, c->attempt, c->why);
    else if (c->pid)
        tell(s, only, "run %s %u %d %lld", c->name, c->attempt, (int)c->pid, (long long)c->started_ms);
    else
        tell(s, only, "exit %s %u %d %d %lld %lld", c->name, c->attempt, c->code, c->signo, (long long)c->started_ms,
             (long long)c->ended_ms);
}

static struct container *find(struct shim *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->containers[i].name, name) == 0)
            return &s->containers[i];
    return NULL;
}

static void close_stdin(struct container *c)
{
    if (c->in >= 0)
        close(c->in);
    c->in = -1;
}

static void drain(struct container *c)
{
    for (int i = 0; i < 2; i++)
        if (c->streams[i].fd >= 0) { /* what a grandchild that outlived the session kept open is not waited for */
            for (int k = 0; k < 64 && (errno = 0, mbr_shim_stream_pump(&c->streams[i], &c->log)) && errno != EAGAIN;
                 k++)
                ;
            if (c->streams[i].fd >= 0) {
                close(c->streams[i].fd);
                c->streams[i].fd = -1;
                free(c->streams[i].line);
                c->streams[i].line = NULL;
                c->streams[i].n = 0;
            }
        }
    close_stdin(c);
    mbr_shim_log_close(&c->log);
}

static void output(void *ud, const struct mbr_shim_stream *stream, const char *p, size_t n)
{
    struct container *c = ud;
    mbr_shim_sessions_output(c->sessions, c, stream == &c->streams[1], p, n);
}

static void forget_old_logs(const struct container *c)
{
    char path[256];
    if (c->attempt < 2)
        return;
    snprintf(path, sizeof(path), "logs/%s.%u.log", c->name, c->attempt - 2);
    unlink(path);
    snprintf(path, sizeof(path), "logs/%s.%u.log.1", c->name, c->attempt - 2);
    unlink(path);
    snprintf(path, sizeof(path), "spec/%s.%u", c->name, c->attempt - 1);
    unlink(path);
}

static void start(struct shim *s, const char *name, unsigned attempt)
{
    char path[256];
    struct mbr_shim_io io;
    struct container *c = find(s, name);
    if (s->stopping || (c && c->pid))
        return; /* asked twice */
    if (!c) {
        if (s->n == MBR_SHIM_CONTAINERS || strlen(name) >= MBR_SHIM_NAME || strchr(name, '/'))
            return tell(s, -1, "fail %s %u too many containers", name, attempt);
        c = &s->containers[s->n++];
        snprintf(c->name, sizeof(c->name), "%s", name);
        c->sessions = &s->sessions;
        c->in = -1;
    }
    mbr_shim_spec_free(c->spec);
    c->attempt = attempt;
    c->failed = false;
    c->pid = 0;
    forget_old_logs(c);
    snprintf(path, sizeof(path), "spec/%s.%u", name, attempt);
    c->spec = mbr_shim_spec_read(path);
    c->started_ms = mbr_shim_wall_ms();
    pid_t pid = -1;
    if (!c->spec)
        snprintf(c->why, sizeof(c->why), "%s: %s", path, strerror(errno));
    else
        pid = mbr_shim_spawn(c->spec, &io, c->why, sizeof(c->why));
    if (pid < 0) {
        c->failed = true;
        return tell_state(s, -1, c);
    }
    c->pid = pid;
    c->code = c->signo = 0;
    mbr_shim_log_open(&c->log, name, attempt);
    c->in = io.in;
    c->streams[0] = (struct mbr_shim_stream){"stdout", io.out, NULL, 0, output, c};
    c->streams[1] = (struct mbr_shim_stream){"stderr", io.err, NULL, 0, output, c};
    tell_state(s, -1, c);
}

static void kill_container(const struct container *c, int signo)
{
    if (!c->pid)
        return;
    kill(c->pid, signo);
    if (signo == SIGKILL)
        kill(-c->pid, SIGKILL);
}

static void stop_all(struct shim *s, long grace_s)
{
    int64_t at = mono_ms() + (grace_s > GRACE_MAX_S ? GRACE_MAX_S : grace_s) * 1000;
    if (!s->stopping || at < s->kill_at_ms)
        s->kill_at_ms = at;
    s->stopping = true;
    for (size_t i = 0; i < s->n; i++)
        kill_container(&s->containers[i], SIGTERM);
}

/* Words that follow each other with NULs. At most room - 1. */
static size_t split_words(char *p, size_t n, const char **argv, size_t room)
{
    size_t argc = 0;
    for (char *end = p + n; p < end && argc < room - 1; p += strlen(p) + 1)
        argv[argc++] = p;
    argv[argc] = NULL;
    return argc;
}

static void start_exec(struct shim *s, char *p, size_t n, unsigned id, long ms, const char *name)
{
    const char *argv[WORDS];
    size_t argc = split_words(p, n, argv, WORDS);
    struct container *c = find(s, name);
    for (int i = 0; i < EXECS && c && c->pid && argc; i++) {
        struct exec *e = &s->execs[i];
        if (e->pid)
            continue;
        pid_t pid = mbr_shim_spawn_exec(c->spec, c->pid, argv);
        if (pid < 0)
            break;
        *e = (struct exec){pid, id, mono_ms() + ms};
        return;
    }
    tell(s, -1, "exec %u 126", id);
}

/* `session` and `attach`: descriptors came along; what is not taken is closed by the caller. */
static void start_session(struct shim *s, int agent, char *p, size_t n, unsigned id, bool tty, const char *name,
                          const int *fds, size_t n_fds)
{
    const char *argv[WORDS];
    struct container *c = find(s, name);
    if (!c || !c->pid)
        mbr_shim_sessions_refuse(&s->sessions, agent, id, "the container does not run");
    else if (!split_words(p, n, argv, WORDS) || n_fds != (tty ? 1 : 3))
        mbr_shim_sessions_refuse(&s->sessions, agent, id, "bad request");
    else
        mbr_shim_sessions_start(&s->sessions, agent, id, c->spec, c->pid, argv, fds, tty);
}

static bool attach(struct shim *s, int agent, unsigned id, bool with_stdin, const char *name, const int *fds,
                   size_t n_fds)
{
    struct container *c = find(s, name);
    if (!c || !c->pid) {
        mbr_shim_sessions_refuse(&s->sessions, agent, id, "the container does not run");
        return false;
    }
    mbr_shim_sessions_attach(&s->sessions, agent, id, c, with_stdin ? c->in : -1, fds, n_fds);
    return true;
}

/* Commands of sessions. True: the descriptors were taken. */
static bool session_command(struct shim *s, int agent, char *p, size_t n, const int *fds, size_t n_fds)
{
    char name[MBR_SHIM_NAME * 2] = "";
    unsigned id = 0, flag = 0;
    size_t head = strlen(p) + 1;
    if (sscanf(p, "session %u %u %127s", &id, &flag, name) == 3 && head < n)
        start_session(s, agent, p + head, n - head, id, flag, name, fds, n_fds);
    else if (sscanf(p, "attach %u %u %127s", &id, &flag, name) == 3)
        return attach(s, agent, id, flag, name, fds, n_fds);
    else if (sscanf(p, "hangup %u", &id) == 1)
        mbr_shim_sessions_hangup(&s->sessions, agent, id, mono_ms());
    else if (sscanf(p, "closestdin %127s", name) == 1) {
        struct container *c = find(s, name);
        if (c)
            close_stdin(c);
    }
    return false;
}

/* One packet, NUL-terminated beyond n. */
static void command(struct shim *s, char *p, size_t n)
{
    char name[MBR_SHIM_NAME * 2] = "";
    unsigned a = 0;
    long b = 0;
    if (sscanf(p, "start %127s %u", name, &a) == 2)
        start(s, name, a);
    else if (sscanf(p, "kill %127s %u", name, &a) == 2 && a < NSIG) {
        struct container *c = find(s, name);
        if (c)
            kill_container(c, (int)a);
    } else if (sscanf(p, "exec %u %ld %127s", &a, &b, name) == 3) {
        size_t head = strlen(p) + 1;
        if (head < n)
            start_exec(s, p + head, n - head, a, b, name);
    } else if (sscanf(p, "stop %ld", &b) == 1)
        stop_all(s, b);
}

static void reap(struct shim *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0, signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        mbr_shim_sessions_reaped(&s->sessions, pid, signo ? 128 + signo : code);
        for (int i = 0; i < EXECS; i++)
            if (s->execs[i].pid == pid) {
                s->execs[i].pid = 0;
                tell(s, -1, "exec %u %d", s->execs[i].id, s->execs[i].deadline_ms ? (signo ? 128 + signo : code) : 124);
            }
        for (size_t i = 0; i < s->n; i++) {
            struct container *c = &s->containers[i];
            if (c->pid != pid)
                continue;
            kill(-pid, SIGKILL); /* what is left of its session */
            c->pid = 0;
            c->code = code;
            c->signo = signo;
            c->ended_ms = mbr_shim_wall_ms();
            drain(c);
            mbr_shim_sessions_container_ended(&s->sessions, c);
            tell_state(s, -1, c);
        }
    }
}

static void accept_agent(struct shim *s)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int slot = 0;
    while (slot < AGENTS && s->agents[slot] >= 0)
        slot++;
    /* Abstract sockets have no permissions: only our own user (or root) may command. */
    if (slot == AGENTS || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
        (peer.uid != geteuid() && peer.uid != 0)) {
        close(fd);
        return;
    }
    s->agents[slot] = fd;
    for (size_t i = 0; i < s->n; i++)
        tell_state(s, slot, &s->containers[i]);
    tell(s, slot, "sync");
}

static void read_agent(struct shim *s, int i)
{
    union {
        char buf[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control;
    int fds[3];
    size_t n_fds = 0;
    struct iovec iov = {s->packet, sizeof(s->packet) - 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
    ssize_t n = recvmsg(s->agents[i], &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        drop_agent(s, i);
    if (n <= 0)
        return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            n_fds = n_fds < 3 ? n_fds : 3;
            memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
        }
    s->packet[n] = 0;
    if (!session_command(s, i, s->packet, (size_t)n, fds, n_fds)) {
        for (size_t k = 0; k < n_fds; k++)
            close(fds[k]);
        command(s, s->packet, (size_t)n);
    }
}

static void read_signals(struct shim *s)
{
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            stop_all(s, 30);
    reap(s);
}

/* Sends what is due; returns milliseconds until the next deadline, -1: none. */
static int run_deadlines(struct shim *s)
{
    int64_t now = mono_ms(), next = mbr_shim_sessions_deadline(&s->sessions, now);
    for (int i = 0; i < EXECS; i++) {
        struct exec *e = &s->execs[i];
        if (!e->pid || !e->deadline_ms)
            continue;
        if (e->deadline_ms <= now) {
            e->deadline_ms = 0;
            kill(-e->pid, SIGKILL);
        } else if (e->deadline_ms < next)
            next = e->deadline_ms;
    }
    if (s->stopping && s->kill_at_ms) {
        if (s->kill_at_ms <= now) {
            s->kill_at_ms = 0;
            for (size_t i = 0; i < s->n; i++)
                kill_container(&s->containers[i], SIGKILL);
        } else if (s->kill_at_ms < next)
            next = s->kill_at_ms;
    }
    return next == INT64_MAX ? -1 : (int)(next - now);
}

static bool all_ended(const struct shim *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->containers[i].pid)
            return false;
    return true;
}

static void turn(struct shim *s)
{
    struct pollfd fds[2 + AGENTS + 2 * MBR_SHIM_CONTAINERS];
    struct {
        struct container *c;
        int stream;
    } of[2 * MBR_SHIM_CONTAINERS];
    nfds_t n = 0, m = 0;
    int timeout = run_deadlines(s);
    fds[n++] = (struct pollfd){s->signals, POLLIN, 0};
    fds[n++] = (struct pollfd){s->listener, POLLIN, 0};
    for (int i = 0; i < AGENTS; i++)
        fds[n++] = (struct pollfd){s->agents[i], POLLIN, 0};
    for (size_t i = 0; i < s->n; i++)
        for (int k = 0; k < 2; k++)
            if (s->containers[i].pid && s->containers[i].streams[k].fd >= 0) {
                fds[n + m] = (struct pollfd){s->containers[i].streams[k].fd, POLLIN, 0};
                of[m].c = &s->containers[i];
                of[m++].stream = k;
            }
    if (poll(fds, n + m, timeout) <= 0)
        return;
    for (nfds_t i = 0; i < m; i++)
        if (fds[n + i].revents && of[i].c->streams[of[i].stream].fd >= 0)
            mbr_shim_stream_pump(&of[i].c->streams[of[i].stream], &of[i].c->log);
    if (fds[0].revents)
        read_signals(s);
    for (int i = 0; i < AGENTS; i++)
        if (fds[2 + i].revents && s->agents[i] == fds[2 + i].fd)
            read_agent(s, i);
    if (fds[1].revents)
        accept_agent(s);
}

static int prepare(struct shim *s, const char *dir)
{
    sigset_t set;
    if (chdir(dir) < 0)
        return -1;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* The socket moves away from 1 so that no container can inherit it as its output. */
    s->listener = fcntl(1, F_DUPFD_CLOEXEC, 3);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (s->listener < 0 || s->signals < 0 || null < 0 || dup2(null, 1) < 0)
        return -1;
    for (int i = 0; i < AGENTS; i++)
        s->agents[i] = -1;
    s->sessions.tell = tell_one;
    s->sessions.ud = s;
    return 0;
}

int main(int argc, char **argv)
{
    static struct shim shim;
    if (argc == 3 && strcmp(argv[1], "--probe-mounts") == 0)
        return mbr_shim_probe_mounts(argv[2]);
    if (argc != 2 || argv[1][0] == '-') {
        fputs("usage: hansa-shim PODDIR (a listening socket as standard output)\n"
              "Owns the processes of one pod. Started by hansa-member.\n",
              stderr);
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    if (prepare(&shim, argv[1]) < 0) {
        fprintf(stderr, "hansa-shim: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    while (!shim.stopping || !all_ended(&shim))
        turn(&shim);
    return 0;
}
