/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets. They are made here and handed to libuv, because libuv 1.44 cannot set SO_REUSEPORT. */
#include <errno.h>
#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/stream_priv.h"

enum { DEFAULT_BACKLOG = 1024, DEFAULT_MAX_STREAMS = 16384, DEFAULT_HANDSHAKE_MS = 10000 };

struct fed_listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct fed_loop *loop;
    struct fed_loop_object object;
    struct fed_listener_conf conf;
    struct fed_addr addr;
    char *unix_path; /* removed at close; NULL for an inherited socket */
    size_t n_streams;
    bool is_pipe, closing, closed;
};

static int sys_err(struct fed_err *err, const char *what, const char *where)
{
    int e = errno;
    return fed_err_set(err, fed_uv_code(-e), "%s: %s: %s", where, what, strerror(e));
}

static int open_tcp(const struct fed_listener_conf *conf, int *out, struct fed_err *err)
{
    char where[64];
    int one = 1, zero = 0;
    fed_addr_format(&conf->addr, where);
    int fd = socket(conf->addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sys_err(err, "socket", where);
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0;
    if (ok && conf->reuseport)
        ok = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0;
    if (ok && conf->addr.sa.sa_family == AF_INET6) /* [::] takes IPv4 too, whatever the host's default is */
        ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) == 0;
    if (!ok || bind(fd, &conf->addr.sa, fed_addr_len(&conf->addr)) != 0) {
        int rc = sys_err(err, "listen", where);
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

/* True when nobody listens on the socket file: left behind by a process that was killed. */
static bool is_stale(const struct sockaddr_un *sun)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool stale = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) != 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int open_unix(const char *path, int *out, struct fed_err *err)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(sun.sun_path))
        return fed_err_set(err, FED_E_INVALID, "%s: path too long for a socket", path);
    memcpy(sun.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sys_err(err, "socket", path);
    int rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
    if (rc != 0 && errno == EADDRINUSE && is_stale(&sun)) {
        unlink(path);
        rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
    }
    if (rc != 0) {
        rc = sys_err(err, "listen", path);
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

static void free_if_done(struct fed_listener *l)
{
    if (!l->closed || l->n_streams > 0)
        return;
    fed_tls_unref(l->conf.tls);
    free(l->unix_path);
    free(l);
}

static void on_closed(uv_handle_t *h)
{
    struct fed_listener *l = fed_container_of(h, struct fed_listener, uv.handle);
    fed_list_remove(&l->object.link);
    l->closed = true;
    free_if_done(l);
}

void fed_listener_close(struct fed_listener *l)
{
    if (!l || l->closing)
        return;
    l->closing = true;
    if (l->unix_path)
        unlink(l->unix_path);
    uv_close(&l->uv.handle, on_closed);
}

static void on_object_close(struct fed_loop_object *object)
{
    fed_listener_close(fed_container_of(object, struct fed_listener, object));
}

static void stream_freed(struct fed_listener *l)
{
    l->n_streams--;
    free_if_done(l);
}

static void stream_ready(void *ud, struct fed_stream *s)
{
    struct fed_listener *l = ud;
    if (l->closing) /* it was still in its handshake: nobody is there to take it */
        fed_stream_close(s);
    else
        l->conf.accept(l->conf.ud, s);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct fed_listener *l = fed_container_of(server, struct fed_listener, uv.stream);
    struct fed_err err;
    if (status < 0 || l->closing) /* out of descriptors: libuv sheds the connection and goes on */
        return;
    struct fed_stream *s = fed_stream_make(l->loop, l->is_pipe);
    s->listener = l;
    s->freed = stream_freed;
    s->handshake_ms = l->conf.handshake_timeout_ms ? l->conf.handshake_timeout_ms : DEFAULT_HANDSHAKE_MS;
    fed_stream_set_handlers(s, &(struct fed_stream_handlers){.open = stream_ready}, l);
    l->n_streams++;
    if (uv_accept(server, &s->uv.stream) != 0 || l->n_streams > l->conf.max_streams) {
        fed_stream_close(s);
        return;
    }
    fed_stream_learn_addresses(s);
    if (l->conf.tls && fed_tls_conn_init(&s->tls, l->conf.tls, fed_mono_ms(&l->loop->env), NULL, NULL, &err) != 0) {
        fed_stream_close(s);
        return;
    }
    fed_stream_transport_ready(s);
}

/* The socket's own address; also what kind of socket an inherited descriptor is. */
static int learn_kind(struct fed_listener *l, int fd, struct fed_err *err)
{
    union {
        struct sockaddr sa;
        struct sockaddr_storage any;
    } name = {0};
    socklen_t len = sizeof(name);
    if (getsockname(fd, &name.sa, &len) != 0)
        return sys_err(err, "getsockname", "inherited socket");
    l->is_pipe = name.sa.sa_family == AF_UNIX;
    if (l->is_pipe)
        l->addr.sa.sa_family = AF_UNIX;
    else
        memcpy(&l->addr, &name, sizeof(l->addr));
    return 0;
}

static int start(struct fed_listener *l, int fd)
{
    int rc;
    if (l->is_pipe) {
        rc = uv_pipe_init(&l->loop->uv, &l->uv.pipe, 0);
        rc = rc ? rc : uv_pipe_open(&l->uv.pipe, fd);
    } else {
        rc = uv_tcp_init(&l->loop->uv, &l->uv.tcp);
        rc = rc ? rc : uv_tcp_open(&l->uv.tcp, fd);
    }
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return uv_listen(&l->uv.stream, l->conf.backlog ? l->conf.backlog : DEFAULT_BACKLOG, on_connection);
}

int fed_listener_open(struct fed_loop *loop, const struct fed_listener_conf *conf, struct fed_listener **out,
                      struct fed_err *err)
{
    int fd = conf->fd, rc = 0;
    if (fd <= 0)
        rc = conf->unix_path ? open_unix(conf->unix_path, &fd, err) : open_tcp(conf, &fd, err);
    if (rc != 0)
        return rc;
    struct fed_listener *l = FED_NEW(struct fed_listener);
    l->loop = loop;
    l->conf = *conf;
    l->conf.max_streams = conf->max_streams ? conf->max_streams : DEFAULT_MAX_STREAMS;
    rc = learn_kind(l, fd, err);
    if (rc != 0) {
        free(l);
        close(fd);
        return rc;
    }
    if (conf->tls)
        fed_tls_ref(conf->tls);
    if (conf->fd <= 0 && conf->unix_path)
        l->unix_path = fed_strdup(conf->unix_path);
    rc = start(l, fd);
    fed_loop_adopt(loop, &l->object, on_object_close);
    if (rc != 0) {
        char where[64];
        fed_addr_format(&l->addr, where);
        fed_err_set(err, fed_uv_code(rc), "%s: listen: %s", l->unix_path ? l->unix_path : where, uv_strerror(rc));
        fed_listener_close(l);
        return fed_uv_code(rc);
    }
    *out = l;
    return 0;
}

const struct fed_addr *fed_listener_addr(const struct fed_listener *l)
{
    return &l->addr;
}
