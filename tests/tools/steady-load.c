/* SPDX-License-Identifier: Apache-2.0 */
/* steady-load: GET requests at a steady rate over connections that are kept, to see what a loss costs clients.
 *
 *   steady-load ADDRESS PORT HOST PATH RATE SECONDS
 *
 * Request k is due at start + k/RATE whatever became of those before it, and its time counts from then (no coordinated
 * omission). A request takes any idle connection, else a new one: nothing waits for a slow one. Ends after SECONDS, or at
 * SIGTERM, when all that is under way was answered (or took 10 s, a failure), with one JSON object on standard output:
 * sent, ok, failed, max_ms, p99_ms, over_1500, the first failures and slowest times with the moment (seconds of the
 * monotonic clock), and how many answers came from each cluster (`"cluster":"…"` of the body). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNS = 16384, MAX_IN = 65536, MAX_NOTES = 20, MAX_CLUSTERS = 16, BUCKETS = 20001, GIVE_UP_MS = 10000 };

struct conn {
    int fd;
    bool busy, used;
    double due;
    char *in;
    size_t n;
    struct conn *next; /* idle ones */
};
struct note {
    double at, ms;
    char text[64];
};
static struct {
    struct sockaddr_in to;
    char request[1024];
    size_t request_n;
    int epoll;
    struct conn *conns, *idle;
    size_t n_conns;
    unsigned long sent, ok, failed, slow, busy;
    double max_ms;
    unsigned long buckets[BUCKETS]; /* of 1 ms */
    struct note notes[MAX_NOTES];
    size_t n_notes;
    struct {
        char name[64];
        unsigned long n;
    } clusters[MAX_CLUSTERS];
} g;
static volatile sig_atomic_t stop;

static void on_signal(int s)
{
    stop = s;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void note(double due, double ms, const char *text)
{
    if (g.n_notes == MAX_NOTES)
        return;
    struct note *n = &g.notes[g.n_notes++];
    n->at = due;
    n->ms = ms;
    snprintf(n->text, sizeof(n->text), "%s", text);
}

static void done(struct conn *c, const char *failure)
{
    double ms = (now() - c->due) * 1000;
    c->busy = false;
    g.busy--;
    g.buckets[ms >= BUCKETS - 1 ? BUCKETS - 1 : (size_t)ms]++;
    if (ms > g.max_ms)
        g.max_ms = ms;
    if (failure)
        g.failed++;
    else
        g.ok++;
    g.slow += ms > 1500;
    if (failure || ms > 1500)
        note(c->due, ms, failure ? failure : "slow");
}

static void hang_up(struct conn *c)
{
    for (struct conn **at = &g.idle; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    close(c->fd);
    c->used = false;
}

static void count_cluster(const char *body)
{
    const char *p = strstr(body, "\"cluster\":\""), *end = p ? strchr(p + 11, '"') : NULL;
    if (!end || end - p - 11 >= 64)
        return;
    size_t n = (size_t)(end - p - 11);
    for (size_t i = 0; i < MAX_CLUSTERS; i++) {
        if (g.clusters[i].n == 0)
            memcpy(g.clusters[i].name, p + 11, n);
        if (strlen(g.clusters[i].name) == n && memcmp(g.clusters[i].name, p + 11, n) == 0) {
            g.clusters[i].n++;
            return;
        }
    }
}

/* The answer, if all of it is there. */
static void look(struct conn *c)
{
    c->in[c->n] = '\0';
    char *body = strstr(c->in, "\r\n\r\n"), text[64];
    const char *length = strcasestr(c->in, "\r\nContent-Length:");
    if (!body || (length && length > body))
        return;
    body += 4;
    if (!length) {
        done(c, "an answer without Content-Length");
        hang_up(c);
        return;
    }
    if (c->n < (size_t)(body - c->in) + strtoul(length + 17, NULL, 10))
        return;
    int status = (int)strtol(c->in + 9, NULL, 10);
    snprintf(text, sizeof(text), "status %d: %.30s", status, body);
    count_cluster(body);
    done(c, status >= 200 && status < 400 ? NULL : text);
    c->n = 0;
    c->next = g.idle;
    g.idle = c;
}

static void readable(struct conn *c)
{
    for (;;) {
        ssize_t n = read(c->fd, c->in + c->n, MAX_IN - 1 - c->n);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            if (c->busy)
                done(c, n == 0 ? "closed before the answer" : strerror(errno));
            hang_up(c);
            return;
        }
        c->n += (size_t)n;
        if (c->busy)
            look(c);
        if (!c->used)
            return;
    }
}

static struct conn *open_conn(void)
{
    size_t i = 0;
    while (i < g.n_conns && g.conns[i].used)
        i++;
    if (i == MAX_CONNS)
        return NULL;
    struct conn *c = &g.conns[i];
    if (i == g.n_conns) {
        g.n_conns++;
        c->in = malloc(MAX_IN);
    }
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&g.to, sizeof(g.to)) != 0) {
        if (c->fd >= 0)
            close(c->fd);
        return NULL;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->used = true;
    c->n = 0;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(g.epoll, EPOLL_CTL_ADD, c->fd, &ev);
    return c;
}

static void send_one(double due)
{
    struct conn *c = g.idle;
    g.sent++;
    if (c)
        g.idle = c->next;
    else
        c = open_conn();
    if (!c) {
        g.failed++;
        note(due, 0, strerror(errno));
        return;
    }
    c->busy = true;
    c->due = due;
    g.busy++;
    if (write(c->fd, g.request, g.request_n) != (ssize_t)g.request_n) {
        done(c, strerror(errno));
        hang_up(c);
    }
}

static void give_up_old(double t)
{
    for (size_t i = 0; i < g.n_conns; i++) {
        struct conn *c = &g.conns[i];
        if (c->used && c->busy && (t - c->due) * 1000 > GIVE_UP_MS) {
            done(c, "no answer in 10 s");
            hang_up(c);
        }
    }
}

static void report(void)
{
    unsigned long sum = 0, total = g.ok + g.failed;
    size_t p99 = 0;
    while (p99 < BUCKETS - 1 && (sum += g.buckets[p99]) < total - total / 100)
        p99++;
    printf("{\"sent\":%lu,\"ok\":%lu,\"failed\":%lu,\"max_ms\":%.1f,\"p99_ms\":%zu,\"over_1500\":%lu,\"notes\":[",
           g.sent, g.ok, g.failed, g.max_ms, p99, g.slow);
    for (size_t i = 0; i < g.n_notes; i++) {
        for (char *p = g.notes[i].text; *p; p++)
            *p = *p < ' ' || *p == '"' || *p == '\\' ? ' ' : *p;
        printf("%s[%.3f,%.1f,\"%s\"]", i ? "," : "", g.notes[i].at, g.notes[i].ms, g.notes[i].text);
    }
    printf("],\"clusters\":{");
    for (size_t i = 0; i < MAX_CLUSTERS && g.clusters[i].n; i++)
        printf("%s\"%s\":%lu", i ? "," : "", g.clusters[i].name, g.clusters[i].n);
    printf("}}\n");
}

static void run(double rate, double seconds)
{
    struct epoll_event events[256];
    double start = now(), cleaned = start;
    unsigned long k = 0;
    while ((!stop && now() - start < seconds) || g.busy) {
        bool ended = stop || now() - start >= seconds;
        for (; !ended && start + (double)k / rate <= now(); k++)
            send_one(start + (double)k / rate);
        int n = epoll_wait(g.epoll, events, 256, 1);
        for (int i = 0; i < n; i++)
            if (((struct conn *)events[i].data.ptr)->used)
                readable(events[i].data.ptr);
        if (now() - cleaned > 0.5)
            give_up_old(cleaned = now());
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: steady-load ADDRESS PORT HOST PATH RATE SECONDS\n");
        return 2;
    }
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGTERM, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
    g.to.sin_family = AF_INET;
    g.to.sin_port = htons((uint16_t)(int)strtol(argv[2], NULL, 10));
    if (inet_pton(AF_INET, argv[1], &g.to.sin_addr) != 1)
        return 2;
    g.request_n =
        (size_t)snprintf(g.request, sizeof(g.request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[4], argv[3]);
    g.conns = calloc(MAX_CONNS, sizeof(*g.conns));
    g.epoll = epoll_create1(EPOLL_CLOEXEC);
    run(atof(argv[5]), atof(argv[6]));
    report();
    return 0;
}
