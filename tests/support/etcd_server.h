/* SPDX-License-Identifier: Apache-2.0 */
/* etcd_server.h: real etcd processes for tests, on free loopback ports with their data in a temporary folder. */
#ifndef TESTS_SUPPORT_ETCD_SERVER_H
#define TESTS_SUPPORT_ETCD_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct etcd_server {
    pid_t pid; /* 0: not running */
    char dir[96], name[16];
    unsigned client_port, peer_port;
    char endpoint[64];
    char cluster[256];           /* --initial-cluster */
    const char *ca, *cert, *key; /* TLS with client certificates, when set */
};

bool etcd_server_available(void); /* the program etcd is installed */
/* Members of one cluster (n 1 or 3) in new temporary folders; started and answering when it returns true. */
bool etcd_servers_start(struct etcd_server *s, int n, const char *ca, const char *cert, const char *key);
bool etcd_server_restart(struct etcd_server *s); /* after etcd_server_kill, with the same data */
void etcd_server_signal(struct etcd_server *s, int signo);
void etcd_server_kill(struct etcd_server *s);        /* -9 */
void etcd_servers_end(struct etcd_server *s, int n); /* kills them and removes their data */
/* Runs a shell command; its first line of output into out. Returns its exit status. */
int etcd_run(const char *command, char *out, unsigned size);

#endif
