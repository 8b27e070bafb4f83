/* SPDX-License-Identifier: Apache-2.0 */
#include "support/etcd_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

bool etcd_server_available(void)
{
    return access("/usr/bin/etcd", X_OK) == 0;
}

/* A port that is free now; the socket is kept open in *fd until all are chosen. */
static unsigned free_port(int *fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(*fd, (struct sockaddr *)&a, n) || getsockname(*fd, (struct sockaddr *)&a, &n))
        return 0;
    return ntohs(a.sin_port);
}

static bool answers(const struct etcd_server *s)
{
    char cmd[512], out[64] = "", tls[320] = "";
    if (s->ca)
        snprintf(tls, sizeof tls, "--cacert %s --cert %s --key %s", s->ca, s->cert, s->key);
    snprintf(cmd, sizeof cmd, "timeout 2 curl -sf %s %s/health 2>/dev/null", tls, s->endpoint);
    return etcd_run(cmd, out, sizeof out) == 0 && strstr(out, "true");
}

static bool wait_ready(struct etcd_server *s)
{
    for (int i = 0; i < 600; i++) {
        if (answers(s))
            return true;
        usleep(50000);
    }
    return false;
}

static bool spawn(struct etcd_server *s)
{
    char data[128], peer[64], log[128];
    snprintf(data, sizeof data, "%s/data", s->dir);
    snprintf(log, sizeof log, "%s/log", s->dir);
    snprintf(peer, sizeof peer, "http://127.0.0.1:%u", s->peer_port);
    char *argv[40] = {"/usr/bin/etcd",
                      "--name",
                      s->name,
                      "--data-dir",
                      data,
                      "--listen-client-urls",
                      s->endpoint,
                      "--advertise-client-urls",
                      s->endpoint,
                      "--listen-peer-urls",
                      peer,
                      "--initial-advertise-peer-urls",
                      peer,
                      "--initial-cluster",
                      s->cluster,
                      "--logger",
                      "zap",
                      "--log-outputs",
                      "stderr",
                      "--heartbeat-interval",
                      "50",
                      "--election-timeout",
                      "500"};
    int n = 23;
    if (s->ca) {
        char *tls[] = {"--trusted-ca-file", (char *)s->ca,  "--cert-file",       (char *)s->cert,
                       "--key-file",        (char *)s->key, "--client-cert-auth"};
        memcpy(argv + n, tls, sizeof tls);
    }
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
    int rc = posix_spawn(&s->pid, argv[0], &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    if (rc)
        s->pid = 0;
    return rc == 0;
}

bool etcd_servers_start(struct etcd_server *s, int n, const char *ca, const char *cert, const char *key)
{
    int fds[8];
    char cluster[256] = "";
    for (int i = 0; i < n; i++) {
        memset(&s[i], 0, sizeof s[i]);
        snprintf(s[i].dir, sizeof s[i].dir, "/tmp/hansa-etcd-XXXXXX");
        snprintf(s[i].name, sizeof s[i].name, "m%d", i);
        s[i].ca = ca;
        s[i].cert = cert;
        s[i].key = key;
        s[i].client_port = free_port(&fds[2 * i]);
        s[i].peer_port = free_port(&fds[2 * i + 1]);
        if (!mkdtemp(s[i].dir))
            return false;
        snprintf(s[i].endpoint, sizeof s[i].endpoint, "%s://127.0.0.1:%u", ca ? "https" : "http", s[i].client_port);
        size_t at = strlen(cluster);
        snprintf(cluster + at, sizeof cluster - at, "%s%s=http://127.0.0.1:%u", i ? "," : "", s[i].name,
                 s[i].peer_port);
    }
    for (int i = 0; i < 2 * n; i++)
        close(fds[i]);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        snprintf(s[i].cluster, sizeof s[i].cluster, "%s", cluster);
        ok &= spawn(&s[i]);
    }
    for (int i = 0; i < n && ok; i++)
        ok &= wait_ready(&s[i]);
    return ok;
}

bool etcd_server_restart(struct etcd_server *s)
{
    return spawn(s) && wait_ready(s);
}

void etcd_server_signal(struct etcd_server *s, int signo)
{
    if (!s->pid)
        return;
    kill(s->pid, signo);
    /* Its threads may still answer until all of them have stopped. */
    while (signo == SIGSTOP && waitpid(s->pid, NULL, WUNTRACED) < 0 && errno == EINTR) {
    }
}

void etcd_server_kill(struct etcd_server *s)
{
    if (!s->pid)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void etcd_servers_end(struct etcd_server *s, int n)
{
    for (int i = 0; i < n; i++) {
        char cmd[160], out[8];
        etcd_server_kill(&s[i]);
        if (strncmp(s[i].dir, "/tmp/hansa-etcd-", 16) != 0)
            continue;
        snprintf(cmd, sizeof cmd, "rm -rf %s", s[i].dir);
        etcd_run(cmd, out, sizeof out);
    }
}

int etcd_run(const char *command, char *out, unsigned size)
{
    FILE *f = popen(command, "r");
    out[0] = 0;
    if (!f)
        return -1;
    if (!fgets(out, (int)size, f))
        out[0] = 0;
    while (fgetc(f) != EOF)
        continue;
    int rc = pclose(f);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}
