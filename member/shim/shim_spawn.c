/* SPDX-License-Identifier: Apache-2.0 */
#include "member/shim/shim_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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

/* Searches PATH of the container itself, for a file without '/'. */
static void exec_path(const struct mbr_shim_spec *spec, const char *file, char *const *argv)
{
    char full[4096];
    const char *path = "/usr/local/bin:/usr/bin:/bin";
    if (strchr(file, '/')) {
        execve(file, argv, (char *const *)spec->envp);
        return;
    }
    for (size_t i = 0; i < spec->n_envp; i++)
        if (strncmp(spec->envp[i], "PATH=", 5) == 0)
            path = spec->envp[i] + 5;
    while (*path) {
        size_t n = strcspn(path, ":");
        if ((size_t)snprintf(full, sizeof(full), "%.*s/%s", (int)n, path, file) < sizeof(full))
            execve(full, argv, (char *const *)spec->envp);
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
            return;
        path += n + (path[n] == ':');
    }
    errno = ENOENT;
}

static void child(const struct mbr_shim_spec *spec, const int out[2], const int err[2], int report, pid_t shim)
{
    const char *what = "";
    int null = open("/dev/null", O_RDONLY);
    setsid();
    reset_signals();
    if (null < 0 || dup2(null, 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
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
    exec_path(spec, spec->file, (char *const *)spec->argv);
    fail(report, spec->file);
}

pid_t mbr_shim_spawn(const struct mbr_shim_spec *spec, struct mbr_shim_io *io, char *text, size_t room)
{
    int out[2], err[2], report[2];
    pid_t shim = getpid();
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0) {
        snprintf(text, room, "pipe: %s", strerror(errno));
        return -1; /* out of descriptors: the shim is useless then, the agent kills it */
    }
    pid_t pid = fork();
    if (pid == 0)
        child(spec, out, err, report[1], shim);
    close(out[1]);
    close(err[1]);
    close(report[1]);
    ssize_t n = pid < 0 ? -1 : read(report[0], text, room - 1);
    if (pid < 0)
        snprintf(text, room, "fork: %s", strerror(errno));
    close(report[0]);
    if (n != 0) { /* the child wrote why and is exiting; its status is reaped by the shim's loop */
        if (n > 0)
            text[n] = 0;
        close(out[0]);
        close(err[0]);
        return -1;
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    *io = (struct mbr_shim_io){out[0], err[0]};
    return pid;
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
    exec_path(spec, argv[0], (char *const *)argv);
    _exit(126);
}
