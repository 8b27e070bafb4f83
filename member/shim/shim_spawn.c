/* SPDX-License-Identifier: Apache-2.0 */
#include "member/shim/shim_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(int fd, const char *what)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
    (void)!write(fd, text, (size_t)n);
    _exit(127);
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        if (s != SIGKILL && s != SIGSTOP)
            signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The container's environment; programs on a terminal want to know which. */
static char *const *environment(const struct mbr_shim_spec *spec, bool tty)
{
    const char **envp = calloc(spec->n_envp + 2, sizeof(*envp));
    if (!envp)
        abort();
    for (size_t i = 0; i < spec->n_envp; i++) {
        envp[i] = spec->envp[i];
        tty = tty && strncmp(envp[i], "TERM=", 5) != 0;
    }
    if (tty)
        envp[spec->n_envp] = "TERM=xterm";
    return (char *const *)envp;
}

/* Searches PATH of the container itself, for a file without '/'. */
static void exec_path(const struct mbr_shim_spec *spec, const char *file, char *const *argv, bool tty)
{
    char full[4096];
    const char *path = "/usr/local/bin:/usr/bin:/bin";
    char *const *envp = environment(spec, tty);
    if (strchr(file, '/')) {
        execve(file, argv, envp);
        return;
    }
    for (size_t i = 0; i < spec->n_envp; i++)
        if (strncmp(spec->envp[i], "PATH=", 5) == 0)
            path = spec->envp[i] + 5;
    while (*path) {
        size_t n = strcspn(path, ":");
        if ((size_t)snprintf(full, sizeof(full), "%.*s/%s", (int)n, path, file) < sizeof(full))
            execve(full, argv, envp);
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
            return;
        path += n + (path[n] == ':');
    }
    errno = ENOENT;
}

/* Makes the standard files of a new session; the terminal becomes its controlling one. */
static bool take_files(const int *fds, bool tty)
{
    setsid();
    reset_signals();
    for (int i = 0; i < 3; i++)
        if (dup2(fds[tty ? 0 : i], i) < 0)
            return false;
    return !tty || ioctl(0, TIOCSCTTY, 0) == 0;
}

static void child(const struct mbr_shim_spec *spec, const int *fds, int report, pid_t shim)
{
    const char *what = "";
    if (!take_files(fds, spec->tty))
        fail(report, "standard files");
    if (spec->n_mounts && mbr_shim_enter_mounts(spec->mounts, spec->n_mounts, "root", &what) < 0)
        fail(report, what);
    if (chdir(spec->cwd && *spec->cwd ? spec->cwd : "/") < 0)
        fail(report, spec->cwd);
    umask(022);
    /* After the user name space, whose making clears it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != shim)
        _exit(127);
    exec_path(spec, spec->file, (char *const *)spec->argv, spec->tty);
    fail(report, spec->file);
}

static int open_terminal(int *master)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*master < 0 || grantpt(*master) < 0 || unlockpt(*master) < 0)
        return -1;
    return open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* fds: the child's standard files; io: our ends. */
static int make_files(const struct mbr_shim_spec *spec, int fds[3], struct mbr_shim_io *io)
{
    int out[2], err[2], in[2] = {-1, -1};
    *io = (struct mbr_shim_io){-1, -1, -1};
    if (spec->tty) {
        fds[0] = fds[1] = fds[2] = open_terminal(&io->out);
        io->in = spec->has_stdin && io->out >= 0 ? fcntl(io->out, F_DUPFD_CLOEXEC, 3) : -1;
        return fds[0] < 0 ? -1 : 0;
    }
    if (pipe2(out, O_CLOEXEC) < 0)
        return -1;
    io->out = out[0];
    fds[1] = out[1];
    if (pipe2(err, O_CLOEXEC) < 0)
        return -1;
    io->err = err[0];
    fds[2] = err[1];
    if (spec->has_stdin && pipe2(in, O_CLOEXEC) < 0)
        return -1;
    io->in = in[1];
    fds[0] = spec->has_stdin ? in[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fds[0] < 0 ? -1 : 0;
}

static void close_files(const int fds[3])
{
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0 && (i == 0 || fds[i] != fds[0]))
            close(fds[i]);
}

/* The end of the pipe is the good news: the program was executed. Otherwise the child writes why and exits; its status
 * is reaped by the shim's loop. */
static bool executed(int report, char *text, size_t room)
{
    ssize_t n = read(report, text, room - 1);
    if (n > 0)
        text[n] = 0;
    return n == 0;
}

pid_t mbr_shim_spawn(const struct mbr_shim_spec *spec, struct mbr_shim_io *io, char *text, size_t room)
{
    int fds[3] = {-1, -1, -1}, report[2] = {-1, -1};
    pid_t shim = getpid(), pid = -1;
    /* Out of descriptors: the shim is useless then, the agent kills it. */
    if (make_files(spec, fds, io) < 0 || pipe2(report, O_CLOEXEC) < 0)
        snprintf(text, room, "pipe: %s", strerror(errno));
    else if ((pid = fork()) < 0)
        snprintf(text, room, "fork: %s", strerror(errno));
    if (pid == 0)
        child(spec, fds, report[1], shim);
    close_files(fds);
    if (report[1] >= 0)
        close(report[1]);
    bool ok = pid > 0 && executed(report[0], text, room);
    if (report[0] >= 0)
        close(report[0]);
    const int ours[] = {io->in, io->out, io->err};
    for (int i = 0; i < 3; i++)
        if (ours[i] >= 0 && ok)
            fcntl(ours[i], F_SETFL, O_NONBLOCK | (i == 0 && !spec->tty ? O_WRONLY : 0));
        else if (ours[i] >= 0)
            close(ours[i]);
    return ok ? pid : -1;
}

static void join(pid_t pid)
{
    char path[64];
    static const char *const spaces[] = {"user", "mnt"};
    snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, spaces[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            (void)!setns(fd, 0); /* our own user name space cannot be joined: EINVAL, and is right already */
    }
    if (root >= 0 && fchdir(root) == 0)
        (void)!chroot(".");
}

pid_t mbr_shim_spawn_exec(const struct mbr_shim_spec *spec, pid_t pid, const char *const *argv)
{
    pid_t child_pid = fork();
    if (child_pid != 0)
        return child_pid;
    int null = open("/dev/null", O_RDWR);
    setsid();
    reset_signals();
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    if (spec->n_mounts)
        join(pid);
    if (chdir(spec->cwd && *spec->cwd ? spec->cwd : "/") < 0)
        (void)!chdir("/");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    exec_path(spec, argv[0], (char *const *)argv, false);
    _exit(126);
}

/* As the runtimes that Kubernetes' users know word it. */
static void fail_command(int report, const char *file)
{
    char text[512];
    int n;
    if (errno == ENOENT && !strchr(file, '/'))
        n = snprintf(text, sizeof(text), "exec: \"%.200s\": executable file not found in $PATH", file);
    else if (errno == ENOENT)
        n = snprintf(text, sizeof(text), "exec: \"%.200s\": stat %.200s: no such file or directory", file, file);
    else
        n = snprintf(text, sizeof(text), "exec: \"%.200s\": %s", file,
                     errno == EACCES ? "permission denied" : strerror(errno));
    (void)!write(report, text, (size_t)n);
    _exit(127);
}

pid_t mbr_shim_spawn_session(const struct mbr_shim_spec *spec, pid_t pid, const char *const *argv, const int *fds,
                             bool tty, char *text, size_t room)
{
    int report[2];
    pid_t child_pid = -1;
    if (pipe2(report, O_CLOEXEC) < 0) {
        snprintf(text, room, "pipe: %s", strerror(errno));
        return -1;
    }
    if ((child_pid = fork()) < 0)
        snprintf(text, room, "fork: %s", strerror(errno));
    if (child_pid == 0) {
        if (!take_files(fds, tty))
            fail(report[1], "standard files");
        if (spec->n_mounts)
            join(pid);
        if (chdir(spec->cwd && *spec->cwd ? spec->cwd : "/") < 0)
            (void)!chdir("/");
        umask(022);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        exec_path(spec, argv[0], (char *const *)argv, tty);
        fail_command(report[1], argv[0]);
    }
    close(report[1]);
    bool ok = child_pid > 0 && executed(report[0], text, room);
    close(report[0]);
    return ok ? child_pid : -1;
}
