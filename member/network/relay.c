/* SPDX-License-Identifier: Apache-2.0 */
#include "member/network/relay.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"

enum { HIGH_WATER = 256 * 1024, CONNECT_MS = 3000, SESSIONS_MAX = 1024, SESSION_IDLE_MS = 30000, PACKET_MAX = 65536 };

struct side {
    struct relay *relay;
    struct fed_stream *s; /* NULL: ended */
};
struct relay {
    struct fed_loop *loop;
    struct side client, backend;
    struct fed_addr tries[MBR_RELAY_TRIES];
    size_t n, next;
    bool open; /* a backend took the connection */
};

static void connect_next(struct relay *r);

static struct side *other(struct side *s)
{
    return s == &s->relay->client ? &s->relay->backend : &s->relay->client;
}

static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct side *me = ud, *to = other(me);
    if (to->s && fed_stream_write(to->s, bytes) > HIGH_WATER)
        fed_stream_pause(s, true);
}

static void on_drained(void *ud, struct fed_stream *s)
{
    struct side *from = other(ud);
    (void)s;
    if (from->s)
        fed_stream_pause(from->s, false);
}

static void on_eof(void *ud, struct fed_stream *s)
{
    struct side *to = other(ud);
    (void)s;
    if (to->s)
        fed_stream_shutdown(to->s);
}

static void on_open(void *ud, struct fed_stream *s)
{
    struct side *me = ud;
    (void)s;
    me->relay->open = true;
    if (me->relay->client.s)
        fed_stream_pause(me->relay->client.s, false);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct side *me = ud, *to = other(me);
    struct relay *r = me->relay;
    (void)err;
    me->s = NULL;
    if (me == &r->backend && !r->open && r->client.s && r->next < r->n)
        return connect_next(r);
    if (to->s) { /* in order: what is unsent goes out; a failure is passed on as one */
        if (code == 0)
            fed_stream_shutdown(to->s);
        else
            fed_stream_close(to->s);
        return;
    }
    free(r);
}

static const struct fed_stream_handlers handlers = {
    .open = on_open, .data = on_data, .eof = on_eof, .drained = on_drained, .end = on_end};

static void connect_next(struct relay *r)
{
    struct fed_stream_conf conf = {.handlers = &handlers, .ud = &r->backend, .connect_timeout_ms = CONNECT_MS};
    r->backend.s = fed_stream_connect(r->loop, &r->tries[r->next++], &conf);
}

void mbr_relay_tcp(struct fed_loop *loop, struct fed_stream *client, const struct fed_addr *backends, size_t n)
{
    struct relay *r = FED_NEW(struct relay);
    r->loop = loop;
    r->client = (struct side){r, client};
    r->backend.relay = r;
    r->n = FED_MIN(n, (size_t)MBR_RELAY_TRIES);
    for (size_t i = 0; i < r->n; i++)
        r->tries[i] = backends[i];
    fed_stream_set_handlers(client, &handlers, &r->client);
    if (!r->n) {
        fed_stream_close(client);
        return;
    }
    fed_stream_pause(client, true);
    connect_next(r);
}

bool mbr_relay_upgrade(struct fed_http_exchange *client, const char *protocol, struct fed_stream *backend,
                       struct fed_str first)
{
    struct relay *r = FED_NEW(struct relay);
    r->open = true;
    r->client.relay = r->backend.relay = r;
    r->client.s = fed_http_upgrade(client, protocol, &handlers, &r->client);
    if (!r->client.s) {
        free(r);
        return false;
    }
    r->backend.s = backend;
    fed_stream_set_handlers(backend, &handlers, &r->backend);
    if (first.n)
        fed_stream_write(r->client.s, first);
    return true;
}

/* --- UDP --- */

struct session {
    struct fed_list link; /* oldest use first */
    struct mbr_udp_front *front;
    struct fed_addr client;
    int fd;
    struct fed_poll *poll;
    uint64_t used_ms;
};
struct mbr_udp_front {
    struct fed_loop *loop;
    int fd;
    struct fed_poll *poll;
    struct fed_map sessions; /* client address bytes -> session */
    struct fed_list order;
    struct fed_timer timer;
    bool (*pick)(void *ud, const struct fed_addr *client, struct fed_addr *out);
    void *ud;
    char packet[PACKET_MAX];
};

static struct fed_str session_key(const struct fed_addr *a, char text[64])
{
    fed_addr_format(a, text);
    return fed_str(text);
}

static void session_free(struct session *s)
{
    char text[64];
    fed_map_remove(&s->front->sessions, session_key(&s->client, text));
    fed_list_remove(&s->link);
    fed_poll_free(s->poll);
    close(s->fd);
    free(s);
}

static void touch(struct session *s)
{
    s->used_ms = fed_mono_ms(fed_loop_env(s->front->loop));
    fed_list_remove(&s->link);
    fed_list_push_back(&s->front->order, &s->link);
}

static void backend_readable(void *ud, int events)
{
    struct session *s = ud;
    struct mbr_udp_front *f = s->front;
    (void)events;
    for (int i = 0; i < 32; i++) {
        ssize_t n = recv(s->fd, f->packet, sizeof(f->packet), MSG_DONTWAIT);
        if (n < 0 && errno == ECONNREFUSED) { /* nobody listens there any more: the next packet picks anew */
            session_free(s);
            return;
        }
        if (n < 0)
            break;
        (void)!sendto(f->fd, f->packet, (size_t)n, MSG_DONTWAIT, &s->client.sa, fed_addr_len(&s->client));
    }
    touch(s);
}

static struct session *session_new(struct mbr_udp_front *f, const struct fed_addr *client)
{
    struct fed_addr to;
    char text[64];
    if (!f->pick(f->ud, client, &to))
        return NULL;
    int fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, &to.sa, fed_addr_len(&to)) < 0) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (fed_map_count(&f->sessions) >= SESSIONS_MAX)
        session_free(FED_LIST_ENTRY(f->order.next, struct session, link));
    struct session *s = FED_NEW(struct session);
    s->front = f;
    s->client = *client;
    s->fd = fd;
    s->poll = fed_poll_new(f->loop, fd, backend_readable, s);
    fed_poll_set(s->poll, FED_POLL_IN);
    fed_list_push_back(&f->order, &s->link);
    fed_map_set(&f->sessions, session_key(client, text), s);
    return s;
}

static void expire(struct fed_timer *t)
{
    struct mbr_udp_front *f = fed_container_of(t, struct mbr_udp_front, timer);
    struct fed_env *env = fed_loop_env(f->loop);
    uint64_t now = fed_mono_ms(env);
    while (!fed_list_empty(&f->order)) {
        struct session *s = FED_LIST_ENTRY(f->order.next, struct session, link);
        if (now - s->used_ms < SESSION_IDLE_MS) {
            fed_timer_start(env, &f->timer, SESSION_IDLE_MS - (now - s->used_ms), expire);
            return;
        }
        session_free(s);
    }
}

static void client_readable(void *ud, int events)
{
    struct mbr_udp_front *f = ud;
    char text[64];
    (void)events;
    for (int i = 0; i < 32; i++) {
        struct fed_addr from = {0};
        socklen_t len = sizeof(from);
        ssize_t n = recvfrom(f->fd, f->packet, sizeof(f->packet), MSG_DONTWAIT, &from.sa, &len);
        if (n < 0)
            break;
        struct session *s = fed_map_find(&f->sessions, session_key(&from, text));
        if (!s && !(s = session_new(f, &from)))
            continue;
        touch(s);
        (void)!send(s->fd, f->packet, (size_t)n, MSG_DONTWAIT);
    }
    if (!fed_timer_active(&f->timer) && !fed_list_empty(&f->order))
        fed_timer_start(fed_loop_env(f->loop), &f->timer, SESSION_IDLE_MS, expire);
}

int mbr_udp_front_open(struct fed_loop *loop, const struct fed_addr *addr,
                       bool (*pick)(void *ud, const struct fed_addr *client, struct fed_addr *out), void *ud,
                       struct mbr_udp_front **out, struct fed_err *err)
{
    char text[64];
    int fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, &addr->sa, fed_addr_len(addr)) < 0) {
        int saved = errno;
        if (fd >= 0)
            close(fd);
        fed_addr_format(addr, text);
        return fed_err_set(err, fed_code_from_errno(saved), "udp %s: %s", text, strerror(saved));
    }
    struct mbr_udp_front *f = FED_NEW(struct mbr_udp_front);
    f->loop = loop;
    f->fd = fd;
    f->pick = pick;
    f->ud = ud;
    fed_list_init(&f->order);
    f->poll = fed_poll_new(loop, fd, client_readable, f);
    fed_poll_set(f->poll, FED_POLL_IN);
    *out = f;
    return 0;
}

void mbr_udp_front_close(struct mbr_udp_front *f)
{
    if (!f)
        return;
    while (!fed_list_empty(&f->order))
        session_free(FED_LIST_ENTRY(f->order.next, struct session, link));
    fed_timer_stop(fed_loop_env(f->loop), &f->timer);
    fed_map_release(&f->sessions);
    fed_poll_free(f->poll);
    close(f->fd);
    free(f);
}
