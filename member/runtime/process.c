/* SPDX-License-Identifier: Apache-2.0 */
/* The process runtime: one hansa-shim per pod (shim/shim.h), reached over its abstract socket. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "member/runtime/runtime.h"
#include "member/shim/shim.h"
#include "net/spawn.h"

enum { EXECS = 32, SESSIONS = 64 };

struct waiting { /* an exec under way */
    unsigned id;
    void (*done)(void *ud, int code);
    void *ud;
};
struct session {
    uint32_t id; /* 0: free */
    const struct mbr_run_session_events *events;
    void *ud;
};
struct process_pod {
    struct mbr_run_pod base;
    struct mbr_run_events events;
    void *ud;
    char *dir;
    int fd;
    struct fed_poll *poll;
    struct waiting execs[EXECS];
    struct session sessions[SESSIONS];
    unsigned next_id;
    bool busy, closed; /* inside an event; free when it returns */
};

/* Nobody will answer these any more. */
static void end_execs(struct process_pod *p)
{
    for (int i = 0; i < EXECS; i++) {
        struct waiting w = p->execs[i];
        p->execs[i] = (struct waiting){0};
        if (w.done)
            w.done(w.ud, 126);
    }
}

static void end_sessions(struct process_pod *p)
{
    for (int i = 0; i < SESSIONS; i++) {
        struct session x = p->sessions[i];
        p->sessions[i] = (struct session){0};
        if (x.id)
            x.events->ended(x.ud, 137, NULL);
    }
}

static struct session *find_session(struct process_pod *p, unsigned id)
{
    for (int i = 0; i < SESSIONS; i++)
        if (p->sessions[i].id == id)
            return &p->sessions[i];
    return NULL;
}

static void pod_free(struct process_pod *p)
{
    end_execs(p);
    end_sessions(p);
    if (p->poll)
        fed_poll_free(p->poll);
    if (p->fd >= 0)
        close(p->fd);
    p->poll = NULL;
    p->fd = -1;
    p->closed = true;
    if (p->busy)
        return;
    free(p->dir);
    free(p);
}

static void exec_answered(struct process_pod *p, unsigned id, int code)
{
    for (int i = 0; i < EXECS; i++)
        if (p->execs[i].done && p->execs[i].id == id) {
            struct waiting w = p->execs[i];
            p->execs[i] = (struct waiting){0};
            w.done(w.ud, code);
            return;
        }
}

static void session_ended(struct process_pod *p, unsigned id, int code, const char *failure)
{
    struct session *slot = id ? find_session(p, id) : NULL, x;
    if (!slot)
        return;
    x = *slot;
    *slot = (struct session){0};
    x.events->ended(x.ud, code, failure);
}

/* What concerns sessions; fd came along, or is -1. True: it was that, and fd was taken. */
static bool session_message(struct process_pod *p, const char *text, int fd)
{
    unsigned id;
    int code, at = 0;
    if (sscanf(text, "session %u %d", &id, &code) == 2) {
        session_ended(p, id, code, NULL);
    } else if (sscanf(text, "nosession %u %n", &id, &at) == 1 && at) {
        session_ended(p, id, 126, text + at);
    } else if (sscanf(text, "attached %u", &id) == 1) {
        const struct session *x = id ? find_session(p, id) : NULL;
        if (!x || !x->events->attached)
            return false;
        x->events->attached(x->ud, fd);
        return true;
    }
    return false;
}

static void message(struct process_pod *p, char *text)
{
    char name[128];
    unsigned attempt, id;
    int a, b, at = 0;
    long long from, to;
    if (sscanf(text, "run %127s %u %d %lld", name, &attempt, &a, &from) == 4)
        p->events.running(p->ud, name, attempt, a, from);
    else if (sscanf(text, "exit %127s %u %d %d %lld %lld", name, &attempt, &a, &b, &from, &to) == 6)
        p->events.exited(p->ud, name, attempt, a, b, from, to);
    else if (sscanf(text, "fail %127s %u %n", name, &attempt, &at) == 2 && at)
        p->events.failed(p->ud, name, attempt, text + at);
    else if (sscanf(text, "exec %u %d", &id, &a) == 2)
        exec_answered(p, id, a);
    else if (strcmp(text, "sync") == 0)
        p->events.ready(p->ud);
}

/* As recv, with the descriptor that came along, or -1. */
static ssize_t receive(int sock, char *text, size_t room, int *fd)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {text, room};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)};
    ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    *fd = -1;
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len >= CMSG_LEN(sizeof(int)))
        memcpy(fd, CMSG_DATA(c), sizeof(int));
    return n;
}

static void readable(void *ud, int events)
{
    struct process_pod *p = ud;
    char text[2048];
    (void)events;
    p->busy = true;
    for (int i = 0; i < 16 && !p->closed; i++) {
        int fd;
        ssize_t n = receive(p->fd, text, sizeof(text) - 1, &fd);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0) { /* the shim is gone, and with it its containers */
            void (*gone)(void *) = p->events.gone;
            void *owner = p->ud;
            p->busy = false;
            pod_free(p);
            gone(owner);
            return;
        }
        text[n] = 0;
        if (!session_message(p, text, fd)) {
            if (fd >= 0)
                close(fd);
            message(p, text);
        }
    }
    p->busy = false;
    if (p->closed)
        pod_free(p);
}

static void shim_exited(void *ud, int status, int signo, struct fed_str out, struct fed_str errout)
{
    (void)ud, (void)status, (void)signo, (void)out, (void)errout; /* the socket tells */
}

/* The listening socket is made here and becomes the shim's standard output, so that connecting needs no waiting. */
static int start_shim(struct mbr_runtime *rt, const char *uid, const char *dir, struct fed_err *err)
{
    struct mbr *m = rt->m;
    struct sockaddr_un sa;
    char path[PATH_MAX];
    unsigned len = mbr_socket_name(&sa, m->range.x, uid);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(path, sizeof(path), "%s/shim.log", dir);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640), rc;
    char *file = fed_asprintf("%s/hansa-shim", m->bin_dir);
    struct fed_child *child;
    if (fd < 0 || log < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 4) < 0) {
        rc = fed_err_set(err, fed_code_from_errno(errno), "socket of the pod: %s", strerror(errno));
    } else {
        const char *argv[] = {"hansa-shim", dir, NULL};
        const char *envp[] = {NULL};
        struct fed_spawn spec = {.file = file,
                                 .argv = argv,
                                 .envp = envp,
                                 .detached = true,
                                 .stdout_fd = fd,
                                 .stderr_fd = log,
                                 .exited = shim_exited};
        rc = fed_spawn(m->loop, &spec, &child, err);
    }
    if (fd >= 0)
        close(fd);
    if (log >= 0)
        close(log);
    free(file);
    return rc;
}

static int connect_shim(const struct mbr *m, const char *uid)
{
    struct sockaddr_un sa;
    unsigned len = mbr_socket_name(&sa, m->range.x, uid);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), room = MBR_SHIM_PACKET * 2;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, len) < 0) {
        close(fd);
        return -1;
    }
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    return fd;
}

static struct mbr_run_pod *open_pod(struct mbr_runtime *rt, const char *uid, const char *dir, bool adopt,
                                    const struct mbr_run_events *events, void *ud, struct fed_err *err)
{
    int fd = connect_shim(rt->m, uid);
    if (fd < 0 && adopt)
        return NULL;
    if (fd < 0) {
        char path[PATH_MAX];
        static const char *const folders[] = {"spec", "logs", "root"};
        for (size_t i = 0; i < FED_ARRAY_LEN(folders); i++) {
            snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
            if (fed_file_mkdirs(path, 0700, err) < 0)
                return NULL;
        }
        if (start_shim(rt, uid, dir, err) < 0)
            return NULL;
        fd = connect_shim(rt->m, uid);
    }
    if (fd < 0) {
        fed_err_set(err, FED_E_UNAVAILABLE, "hansa-shim ended at once, see %s/shim.log", dir);
        return NULL;
    }
    struct process_pod *p = FED_NEW(struct process_pod);
    p->base.rt = rt;
    p->events = *events;
    p->ud = ud;
    p->dir = fed_strdup(dir);
    p->fd = fd;
    p->poll = fed_poll_new(rt->m->loop, fd, readable, p);
    fed_poll_set(p->poll, FED_POLL_IN);
    return &p->base;
}

/* A shim that does not read its socket is stopped (SIGSTOP): what we say is lost, and the agent finds out by silence. */
static int say(struct process_pod *p, const char *text, size_t n)
{
    return p->fd >= 0 && send(p->fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n ? 0 : FED_E_UNAVAILABLE;
}

static void record(struct fed_buf *b, char kind, const char *text)
{
    fed_buf_addc(b, kind);
    fed_buf_addz(b, text);
    fed_buf_addc(b, 0);
}

static int start(struct mbr_run_pod *base, const char *name, unsigned attempt, const struct mbr_run_spec *spec,
                 struct fed_err *err)
{
    struct process_pod *p = fed_container_of(base, struct process_pod, base);
    char path[PATH_MAX], text[256];
    struct fed_buf b;
    fed_buf_init(&b, MBR_SHIM_SPEC);
    record(&b, 'X', spec->file);
    record(&b, 'C', spec->cwd);
    for (size_t i = 0; i < spec->n_argv; i++)
        record(&b, 'A', spec->argv[i]);
    for (size_t i = 0; i < spec->n_envp; i++)
        record(&b, 'E', spec->envp[i]);
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const struct mbr_run_mount *m = &spec->mounts[i];
        fed_buf_addf(&b, "M%s\x1f%s\x1f%s", m->source, m->target, m->read_only ? "ro" : "rw");
        fed_buf_addc(&b, 0);
    }
    if (spec->has_stdin)
        record(&b, 'I', "");
    if (spec->tty)
        record(&b, 'T', "");
    snprintf(path, sizeof(path), "%s/spec/%s.%u", p->dir, name, attempt);
    int rc = fed_buf_status(&b), fd = rc < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (rc < 0)
        fed_err_set(err, rc, "arguments and environment are longer than 1 MiB");
    else if (fd < 0 || write(fd, b.p, b.n) != (ssize_t)b.n)
        rc = fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    fed_buf_release(&b);
    if (rc == 0 && (rc = say(p, text, (size_t)snprintf(text, sizeof(text), "start %s %u", name, attempt))) < 0)
        fed_err_set(err, rc, "hansa-shim does not answer");
    return rc;
}

static void kill_container(struct mbr_run_pod *base, const char *name, int signo)
{
    char text[256];
    (void)!say(fed_container_of(base, struct process_pod, base), text,
               (size_t)snprintf(text, sizeof(text), "kill %s %d", name, signo));
}

static void exec(struct mbr_run_pod *base, const char *name, const char *const *argv, size_t argc, uint32_t timeout_ms,
                 void (*done)(void *ud, int code), void *ud)
{
    struct process_pod *p = fed_container_of(base, struct process_pod, base);
    struct fed_buf b;
    int slot = 0;
    while (slot < EXECS && p->execs[slot].done)
        slot++;
    fed_buf_init(&b, MBR_SHIM_PACKET - 1);
    fed_buf_addf(&b, "exec %u %u %s", ++p->next_id, timeout_ms, name);
    fed_buf_addc(&b, 0);
    for (size_t i = 0; i < argc; i++) {
        fed_buf_addz(&b, argv[i]);
        fed_buf_addc(&b, 0);
    }
    if (slot < EXECS && fed_buf_status(&b) == 0 && say(p, b.p, b.n) == 0)
        p->execs[slot] = (struct waiting){p->next_id, done, ud};
    fed_buf_release(&b); /* otherwise the prober's own time-out ends it */
}

static int say_with(struct process_pod *p, struct fed_str text, const int *fds, size_t n_fds)
{
    union {
        char buf[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {.buf = {0}};
    struct iovec iov = {(char *)text.p, text.n};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    return p->fd >= 0 && sendmsg(p->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)text.n ? 0 : FED_E_UNAVAILABLE;
}

static uint32_t session(struct mbr_run_pod *base, const char *name, const char *const *argv, size_t argc,
                        const int *fds, size_t n_fds, unsigned flags, const struct mbr_run_session_events *events,
                        void *ud)
{
    struct process_pod *p = fed_container_of(base, struct process_pod, base);
    struct session *slot = find_session(p, 0);
    struct fed_buf b;
    uint32_t id = ++p->next_id ? p->next_id : ++p->next_id;
    if (!slot)
        return 0;
    fed_buf_init(&b, MBR_SHIM_PACKET - 1);
    if (argv)
        fed_buf_addf(&b, "session %u %d %s", id, flags & MBR_SESSION_TTY ? 1 : 0, name);
    else
        fed_buf_addf(&b, "attach %u %d %s", id, flags & MBR_SESSION_STDIN ? 1 : 0, name);
    fed_buf_addc(&b, 0);
    for (size_t i = 0; i < argc; i++) {
        fed_buf_addz(&b, argv[i]);
        fed_buf_addc(&b, 0);
    }
    bool sent = fed_buf_status(&b) == 0 && say_with(p, fed_buf_str(&b), fds, n_fds) == 0;
    fed_buf_release(&b);
    if (!sent)
        return 0;
    *slot = (struct session){id, events, ud};
    return id;
}

static void hangup(struct mbr_run_pod *base, uint32_t id)
{
    struct process_pod *p = fed_container_of(base, struct process_pod, base);
    struct session *slot = id ? find_session(p, id) : NULL;
    char text[64];
    if (!slot)
        return;
    *slot = (struct session){0};
    (void)!say(p, text, (size_t)snprintf(text, sizeof(text), "hangup %u", id));
}

static void close_stdin(struct mbr_run_pod *base, const char *name)
{
    char text[256];
    (void)!say(fed_container_of(base, struct process_pod, base), text,
               (size_t)snprintf(text, sizeof(text), "closestdin %s", name));
}

static void stop(struct mbr_run_pod *base, unsigned grace_s)
{
    struct process_pod *p = fed_container_of(base, struct process_pod, base);
    char text[64];
    end_execs(p);
    (void)!say(p, text, (size_t)snprintf(text, sizeof(text), "stop %u", grace_s));
}

static void close_pod(struct mbr_run_pod *base)
{
    pod_free(fed_container_of(base, struct process_pod, base));
}

static void rt_free(struct mbr_runtime *rt)
{
    free(rt);
}

/* Blocking, a few milliseconds, once: the answer decides how every container sees its volumes. */
static bool probe_name_spaces(struct mbr *m)
{
    char *file = fed_asprintf("%s/hansa-shim", m->bin_dir), *staging = fed_asprintf("%s/staging", m->dir);
    int status = 1;
    if (fed_file_mkdirs(staging, 0700, NULL) == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            execl(file, "hansa-shim", "--probe-mounts", staging, (char *)NULL);
            _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
            status = 1;
    }
    free(file);
    free(staging);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct mbr_runtime *mbr_runtime_process(struct mbr *m)
{
    static const struct mbr_runtime_ops ops = {open_pod, start,       kill_container, exec,      session,
                                               hangup,   close_stdin, stop,           close_pod, rt_free};
    struct mbr_runtime *rt = FED_NEW(struct mbr_runtime);
    rt->ops = &ops;
    rt->m = m;
    rt->real = true;
    rt->name_spaces = !m->conf->rewrite_paths && probe_name_spaces(m);
    if (!rt->name_spaces)
        fed_log_warn("member", "mount name spaces are not allowed here: volumes are found by rewritten paths");
    return rt;
}
