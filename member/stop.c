/* SPDX-License-Identifier: Apache-2.0 */
/* `hansa-member stop`: from outside, blocking, by what the running member and its shims hold: the lock on DIR/lock and
 * the sockets' names. No pid is trusted that is not backed by a held lock. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/env.h"
#include "member/member.h"

enum { STOP_WAIT_MS = 20000, POD_GRACE_S = 10, POD_WAIT_MS = 15000, SOCKETS_MAX = 512 };

static void nap(void)
{
    (void)poll(NULL, 0, 20);
}

static int end_member(const char *dir, struct fed_err *err)
{
    char path[PATH_MAX], text[32] = "";
    snprintf(path, sizeof(path), "%s/lock", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    int rc = 0;
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += 20) {
        if (waited == 0) {
            ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
            long pid = n > 0 ? strtol(text, NULL, 10) : 0;
            if (pid <= 1 || kill((pid_t)pid, SIGTERM) < 0) {
                rc = fed_err_set(err, FED_E_BUSY, "%s is held, but its process (%ld) cannot be stopped: %s", path, pid,
                                 strerror(errno));
                break;
            }
            /* A stopped (SIGSTOP) process takes the signal only when it goes on. */
            (void)kill((pid_t)pid, SIGCONT);
        } else if (waited >= STOP_WAIT_MS) {
            rc = fed_err_set(err, FED_E_TIMEOUT, "the member of %s does not end", dir);
            break;
        }
        nap();
    }
    close(fd);
    return rc;
}

/* Tells every shim to stop, then waits until each socket is closed. */
static int end_pods(const char *dir, struct fed_err *err)
{
    struct mbr_range range;
    char path[PATH_MAX], text[32];
    struct pollfd fds[SOCKETS_MAX];
    nfds_t n = 0;
    int rc = mbr_range_load(&range, dir, NULL);
    snprintf(path, sizeof(path), "%s/pods", dir);
    DIR *d = rc == 0 ? opendir(path) : NULL;
    int len = snprintf(text, sizeof(text), "stop %d", POD_GRACE_S);
    for (struct dirent *e; d && n < SOCKETS_MAX && (e = readdir(d));) {
        struct sockaddr_un sa;
        unsigned sa_len = mbr_socket_name(&sa, range.x, e->d_name);
        int fd = e->d_name[0] == '.' ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sa_len) == 0 &&
            send(fd, text, (size_t)len, MSG_NOSIGNAL) == len)
            fds[n++] = (struct pollfd){fd, POLLIN, 0};
        else if (fd >= 0)
            close(fd);
    }
    if (d)
        closedir(d);
    size_t left = n;
    for (int waited = 0; left && waited < POD_WAIT_MS; waited += 20) {
        char drop[4096];
        (void)poll(fds, n, 20);
        for (nfds_t i = 0; i < n; i++)
            if (fds[i].fd >= 0 && (fds[i].revents & (POLLIN | POLLHUP)) &&
                recv(fds[i].fd, drop, sizeof(drop), MSG_DONTWAIT) == 0) {
                close(fds[i].fd);
                fds[i].fd = -1;
                left--;
            }
    }
    return left ? fed_err_set(err, FED_E_TIMEOUT, "%zu pods of %s do not end", left, dir) : 0;
}

int mbr_stop_running(const char *dir, bool stop_pods, struct fed_err *err)
{
    int rc = end_member(dir, err);
    return rc < 0 || !stop_pods ? rc : end_pods(dir, err);
}
