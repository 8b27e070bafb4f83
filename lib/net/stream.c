/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include <netinet/tcp.h>
#include <sys/un.h>

#include "base/mem.h"
#include "net/stream_priv.h"

enum { CONNECT_TIMEOUT_MS = 10000, KEEPALIVE_S = 60 };

static void on_object_close(struct fed_loop_object *object)
{
    fed_stream_close(fed_container_of(object, struct fed_stream, object));
}

struct fed_stream *fed_stream_make(struct fed_loop *loop, bool pipe)
{
    struct fed_stream *s = FED_NEW(struct fed_stream);
    s->loop = loop;
    fed_list_init(&s->queue);
    int rc = pipe ? uv_pipe_init(&loop->uv, &s->uv.pipe, 0) : uv_tcp_init(&loop->uv, &s->uv.tcp);
    FED_REQUIRE(rc == 0); /* no socket is made yet */
    fed_loop_adopt(loop, &s->object, on_object_close);
    return s;
}

static void on_deadline(struct fed_timer *t)
{
    struct fed_stream *s = fed_container_of(t, struct fed_stream, deadline);
    fed_stream_fail(s, FED_E_TIMEOUT,
                    s->state == FED_STREAM_CONNECTING ? "connect: timed out" : "TLS handshake: timed out");
}

void fed_stream_learn_addresses(struct fed_stream *s)
{
    if (s->uv.handle.type != UV_TCP) {
        s->peer.sa.sa_family = s->local.sa.sa_family = AF_UNIX;
        return;
    }
    int len = sizeof(s->peer);
    if (uv_tcp_getpeername(&s->uv.tcp, &s->peer.sa, &len) == 0)
        fed_addr_unmap(&s->peer);
    len = sizeof(s->local);
    if (uv_tcp_getsockname(&s->uv.tcp, &s->local.sa, &len) == 0)
        fed_addr_unmap(&s->local);
    uv_tcp_nodelay(&s->uv.tcp, 1); /* small writes are joined by us, once a turn */
    int interval = 10, probes = 3, fd;
    if (uv_fileno(&s->uv.handle, &fd) != 0)
        return;
    /* On loopback nothing can be congested. A system's BBR paces there too: lists cost a fifth more. */
    if (fed_addr_is_loopback(&s->peer))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    /* A watcher whose host vanished is gone after 60 + 3 * 10 seconds; libuv's own setting would take 12 minutes. */
    uv_tcp_keepalive(&s->uv.tcp, 1, KEEPALIVE_S);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

void fed_stream_transport_ready(struct fed_stream *s)
{
    if (s->tls.ssl) {
        s->state = FED_STREAM_HANDSHAKE;
        if (s->handshake_ms)
            fed_timer_start(&s->loop->env, &s->deadline, s->handshake_ms, on_deadline);
        fed_stream_continue_handshake(s);
        if (s->state == FED_STREAM_HANDSHAKE)
            fed_stream_read_more(s);
        return;
    }
    s->state = FED_STREAM_OPEN;
    fed_timer_stop(&s->loop->env, &s->deadline);
    if (s->handlers.open)
        s->handlers.open(s->ud, s);
    if (s->state != FED_STREAM_OPEN)
        return;
    fed_stream_pump(s); /* written before it was open */
    fed_stream_read_more(s);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct fed_stream *s = fed_container_of(req, struct fed_stream, connect_req);
    if (s->state == FED_STREAM_CLOSING)
        return;
    if (status < 0) {
        fed_stream_fail(s, fed_uv_code(status), "connect: %s", uv_strerror(status));
        return;
    }
    fed_stream_learn_addresses(s);
    fed_stream_transport_ready(s);
}

static struct fed_stream *begin_connect(struct fed_loop *loop, bool pipe, const struct fed_addr *addr,
                                        const struct fed_stream_conf *conf)
{
    struct fed_err err;
    struct fed_stream *s = fed_stream_make(loop, pipe);
    s->state = FED_STREAM_CONNECTING;
    s->handlers = *conf->handlers;
    s->ud = conf->ud;
    if (addr)
        s->peer = *addr;
    else
        s->peer.sa.sa_family = AF_UNIX;
    if (conf->tls &&
        fed_tls_conn_init(&s->tls, conf->tls, fed_mono_ms(&loop->env), conf->server_name, addr, &err) != 0) {
        fed_stream_fail_err(s, &err);
        return s;
    }
    fed_timer_start(&loop->env, &s->deadline, conf->connect_timeout_ms ? conf->connect_timeout_ms : CONNECT_TIMEOUT_MS,
                    on_deadline);
    return s;
}

struct fed_stream *fed_stream_connect(struct fed_loop *loop, const struct fed_addr *addr,
                                      const struct fed_stream_conf *conf)
{
    struct fed_stream *s = begin_connect(loop, false, addr, conf);
    if (s->state == FED_STREAM_CLOSING)
        return s;
    int rc = conf->local ? uv_tcp_bind(&s->uv.tcp, &conf->local->sa, 0) : 0;
    if (rc == 0)
        rc = uv_tcp_connect(&s->connect_req, &s->uv.tcp, &addr->sa, on_connected);
    if (rc != 0)
        fed_stream_fail(s, fed_uv_code(rc), "connect: %s", uv_strerror(rc));
    return s;
}

struct fed_stream *fed_stream_connect_unix(struct fed_loop *loop, const char *path, const struct fed_stream_conf *conf)
{
    struct fed_stream *s = begin_connect(loop, true, NULL, conf);
    if (s->state == FED_STREAM_CLOSING)
        return s;
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        fed_stream_fail(s, FED_E_INVALID, "%s: path too long", path); /* libuv would cut it */
    else
        uv_pipe_connect(&s->connect_req, &s->uv.pipe, path, on_connected);
    return s;
}

void fed_stream_set_handlers(struct fed_stream *s, const struct fed_stream_handlers *h, void *ud)
{
    s->handlers = *h;
    s->ud = ud;
}

const struct fed_addr *fed_stream_peer(const struct fed_stream *s)
{
    return &s->peer;
}

const struct fed_addr *fed_stream_local(const struct fed_stream *s)
{
    return &s->local;
}

struct fed_str fed_stream_alpn(const struct fed_stream *s)
{
    return fed_tls_conn_alpn(&s->tls);
}

int64_t fed_stream_peer_until(const struct fed_stream *s, bool *refused)
{
    *refused = s->cert_refused;
    return s->cert_until_s;
}

bool fed_stream_peer_identity(const struct fed_stream *s, struct fed_str *cn, const struct fed_str **orgs, size_t *n)
{
    *cn = s->cn;
    *orgs = s->orgs;
    *n = s->n_orgs;
    return s->has_identity;
}
