/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/loop_priv.h"

enum {
    WIDTH = 32,
    /* Batches in one readiness callback before the loop's other work gets its turn. */
    ROUNDS = 8,
    WAKE_MS = 100,
    SMALL_REPLY = 1232, /* passes every path that carries IPv6 */
    DEFAULT_BUFFER = 1 << 20,
    DEFAULT_MAX = 4096,
    CONTROL_SIZE = CMSG_SPACE(sizeof(struct in6_pktinfo)), /* the larger of the two */
};

struct slot { /* one datagram and its answer */
    struct fed_addr peer, local;
    struct iovec in, out;
    union {
        char bytes[CONTROL_SIZE];
        struct cmsghdr align;
    } control;
};
struct fed_udp {
    struct fed_loop *loop;
    struct fed_loop_object object;
    struct fed_poll *poll;
    struct fed_udp_conf conf;
    struct fed_addr addr;
    int fd;
    bool wildcard; /* bound to any address: packet information tells the one that was used */
    bool busy;     /* within the readiness callback: close only marks */
    bool closing;
    struct fed_udp_stats stats;
    struct mmsghdr in[WIDTH], out[WIDTH];
    struct slot slots[WIDTH];
    char *buffers; /* WIDTH * (max_query + max_reply) */
};

/* Written by this thread alone, read by any. */
static void count(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void release(struct fed_udp *u)
{
    close(u->fd);
    free(u->buffers);
    free(u);
}

void fed_udp_close(struct fed_udp *u)
{
    if (!u || u->closing)
        return;
    u->closing = true;
    if (u->poll)
        fed_poll_free(u->poll);
    fed_list_remove(&u->object.link);
    if (!u->busy)
        release(u);
}

static void on_object_close(struct fed_loop_object *object)
{
    fed_udp_close(fed_container_of(object, struct fed_udp, object));
}

static void prepare_receive(struct fed_udp *u)
{
    for (size_t i = 0; i < WIDTH; i++) {
        struct slot *slot = &u->slots[i];
        struct msghdr *h = &u->in[i].msg_hdr;
        h->msg_name = &slot->peer;
        h->msg_namelen = sizeof(slot->peer);
        h->msg_iov = &slot->in;
        h->msg_iovlen = 1;
        h->msg_control = u->wildcard ? slot->control.bytes : NULL;
        h->msg_controllen = u->wildcard ? sizeof(slot->control) : 0;
    }
}

/* The address that the datagram was sent to. */
static void find_local(struct fed_udp *u, struct slot *slot, struct msghdr *h)
{
    slot->local = u->addr;
    for (struct cmsghdr *c = u->wildcard ? CMSG_FIRSTHDR(h) : NULL; c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            slot->local.in.sin_addr = info.ipi_spec_dst; /* ours, also for a broadcast */
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            slot->local.in6.sin6_addr = info.ipi6_addr;
        }
    }
}

/* The answer leaves from `local`; the interface is the routing table's choice, but for link-local addresses it is
 * the peer's scope. */
static size_t write_source(const struct slot *slot, struct msghdr *h)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    if (slot->local.sa.sa_family == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst = slot->local.in.sin_addr};
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        return CMSG_SPACE(sizeof(info));
    }
    struct in6_pktinfo info = {.ipi6_addr = slot->local.in6.sin6_addr};
    c->cmsg_level = IPPROTO_IPV6;
    c->cmsg_type = IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
    return CMSG_SPACE(sizeof(info));
}

static void put_answer(struct fed_udp *u, struct slot *slot, size_t n, unsigned at)
{
    struct msghdr *h = &u->out[at].msg_hdr;
    slot->out.iov_len = n;
    *h = (struct msghdr){
        .msg_name = &slot->peer, .msg_namelen = fed_addr_len(&slot->peer), .msg_iov = &slot->out, .msg_iovlen = 1};
    if (!u->wildcard)
        return;
    h->msg_control = slot->control.bytes;
    h->msg_controllen = sizeof(slot->control);
    h->msg_controllen = write_source(slot, h);
}

static void send_answers(struct fed_udp *u, unsigned n)
{
    unsigned at = 0;
    while (at < n) {
        int sent = sendmmsg(u->fd, u->out + at, n - at, MSG_DONTWAIT);
        if (sent > 0) {
            count(&u->stats.replied, (uint64_t)sent);
            at += (unsigned)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            count(&u->stats.send_dropped, n - at);
            return;
        } else if (errno != EINTR) { /* this one cannot be sent (no route, a firewall, port 0): on to the next */
            count(&u->stats.send_dropped, 1);
            at++;
        }
    }
}

/* Receives and answers one batch; false when there was nothing (more). */
static bool one_batch(struct fed_udp *u)
{
    unsigned n_answers = 0;
    prepare_receive(u);
    int n = recvmmsg(u->fd, u->in, WIDTH, u->loop ? MSG_DONTWAIT : MSG_WAITFORONE, NULL);
    if (n <= 0) {
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            count(&u->stats.recv_errors, 1);
        return false;
    }
    count(&u->stats.batches, 1);
    for (int i = 0; i < n && !u->closing; i++) {
        struct slot *slot = &u->slots[i];
        struct msghdr *h = &u->in[i].msg_hdr;
        if (h->msg_flags & MSG_TRUNC) {
            count(&u->stats.oversize, 1);
            continue;
        }
        find_local(u, slot, h);
        count(&u->stats.received, 1);
        struct fed_udp_packet q = {fed_str_n(slot->in.iov_base, u->in[i].msg_len), &slot->peer, &slot->local};
        size_t len = u->conf.handle(u->conf.ud, &q, slot->out.iov_base, u->conf.max_reply);
        FED_REQUIRE(len <= u->conf.max_reply);
        if (len == 0)
            count(&u->stats.unanswered, 1);
        else
            put_answer(u, slot, len, n_answers++);
    }
    send_answers(u, n_answers);
    if (u->conf.batch_end && !u->closing)
        u->conf.batch_end(u->conf.ud);
    return n == WIDTH;
}

void fed_udp_run(struct fed_udp *u, const atomic_bool *stop)
{
    FED_REQUIRE(!u->loop);
    u->busy = true;
    while (!u->closing && !atomic_load_explicit(stop, memory_order_relaxed))
        one_batch(u);
    u->busy = false;
    if (u->closing)
        release(u);
}

static void on_ready(void *ud, int events)
{
    struct fed_udp *u = ud;
    (void)events;
    u->busy = true;
    for (int round = 0; round < ROUNDS && !u->closing; round++)
        if (!one_batch(u))
            break;
    u->busy = false;
    if (u->closing)
        release(u);
}

static int sys_err(struct fed_err *err, const char *what, const struct fed_addr *addr)
{
    int e = errno;
    char where[64];
    fed_addr_format(addr, where);
    return fed_err_set(err, fed_uv_code(-e), "%s: UDP %s: %s", where, what, strerror(e));
}

static int open_socket(const struct fed_udp_conf *conf, int *out, struct fed_err *err)
{
    int one = 1, rc = 0;
    const struct fed_addr *addr = &conf->addr;
    int fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sys_err(err, "socket", addr);
    if (conf->reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0)
        rc = sys_err(err, "SO_REUSEPORT", addr);
    else if (addr->sa.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) != 0)
        rc = sys_err(err, "IPV6_V6ONLY", addr);
    else if (bind(fd, &addr->sa, fed_addr_len(addr)) != 0)
        rc = sys_err(err, "bind", addr);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

static int set_options(struct fed_udp *u, struct fed_err *err)
{
    /* Forged "fragmentation needed" messages must not make our answers fragment (RFC 9715): what the path is said to
     * take is never believed. Answers that fit everywhere go with DF, which also spares the kernel an identifier. */
    bool small = u->conf.max_reply <= SMALL_REPLY;
    int one = 1, discover4 = small ? IP_PMTUDISC_PROBE : IP_PMTUDISC_OMIT;
    int discover6 = small ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_OMIT;
    int recv_buffer = u->conf.recv_buffer ? u->conf.recv_buffer : DEFAULT_BUFFER;
    int send_buffer = u->conf.send_buffer ? u->conf.send_buffer : DEFAULT_BUFFER;
    bool v4 = u->addr.sa.sa_family == AF_INET;
    /* Best effort: the kernel cuts the sizes at its limits. */
    setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &recv_buffer, sizeof(recv_buffer));
    setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
    if (v4)
        setsockopt(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover4, sizeof(discover4));
    else
        setsockopt(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover6, sizeof(discover6));
    if (!u->wildcard)
        return 0;
    int rc = v4 ? setsockopt(u->fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one))
                : setsockopt(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
    return rc == 0 ? 0 : sys_err(err, "packet information", &u->addr);
}

static void make_buffers(struct fed_udp *u)
{
    size_t q = u->conf.max_query, r = u->conf.max_reply;
    u->buffers = fed_malloc(WIDTH * (q + r));
    for (size_t i = 0; i < WIDTH; i++) {
        u->slots[i].in = (struct iovec){u->buffers + i * (q + r), q};
        u->slots[i].out = (struct iovec){u->buffers + i * (q + r) + q, r};
    }
}

/* For fed_udp_run: receiving blocks, and wakes now and then to look at the stop word. */
static int wait_in_kernel(struct fed_udp *u, struct fed_err *err)
{
    struct timeval wake = {.tv_usec = WAKE_MS * 1000};
    int flags = fcntl(u->fd, F_GETFL);
    if (flags >= 0 && fcntl(u->fd, F_SETFL, flags & ~O_NONBLOCK) == 0 &&
        setsockopt(u->fd, SOL_SOCKET, SO_RCVTIMEO, &wake, sizeof(wake)) == 0)
        return 0;
    int rc = sys_err(err, "SO_RCVTIMEO", &u->addr);
    release(u);
    return rc;
}

int fed_udp_open(struct fed_loop *loop, const struct fed_udp_conf *conf, struct fed_udp **out, struct fed_err *err)
{
    int fd = conf->fd, rc = 0;
    if (fd <= 0)
        rc = open_socket(conf, &fd, err);
    if (rc != 0)
        return rc;
    struct fed_udp *u = FED_NEW(struct fed_udp);
    socklen_t len = sizeof(u->addr);
    u->loop = loop;
    u->fd = fd;
    u->conf = *conf;
    u->conf.max_query = conf->max_query ? conf->max_query : DEFAULT_MAX;
    u->conf.max_reply = conf->max_reply ? conf->max_reply : DEFAULT_MAX;
    if (getsockname(fd, &u->addr.sa, &len) != 0) {
        rc = sys_err(err, "getsockname", &conf->addr);
    } else {
        u->wildcard = fed_addr_is_any(&u->addr);
        rc = set_options(u, err);
    }
    if (rc != 0) {
        release(u);
        return rc;
    }
    make_buffers(u);
    *out = u;
    if (!loop)
        return wait_in_kernel(u, err);
    u->poll = fed_poll_new(loop, fd, on_ready, u);
    fed_poll_set(u->poll, FED_POLL_IN);
    fed_loop_adopt(loop, &u->object, on_object_close);
    return 0;
}

const struct fed_addr *fed_udp_addr(const struct fed_udp *u)
{
    return &u->addr;
}

void fed_udp_stats(const struct fed_udp *u, struct fed_udp_stats *out)
{
    const struct fed_udp_stats *s = &u->stats;
    *out = (struct fed_udp_stats){
        .received = __atomic_load_n(&s->received, __ATOMIC_RELAXED),
        .replied = __atomic_load_n(&s->replied, __ATOMIC_RELAXED),
        .unanswered = __atomic_load_n(&s->unanswered, __ATOMIC_RELAXED),
        .oversize = __atomic_load_n(&s->oversize, __ATOMIC_RELAXED),
        .send_dropped = __atomic_load_n(&s->send_dropped, __ATOMIC_RELAXED),
        .recv_errors = __atomic_load_n(&s->recv_errors, __ATOMIC_RELAXED),
        .batches = __atomic_load_n(&s->batches, __ATOMIC_RELAXED),
    };
}
