/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a stream, both directions. Every path that calls a handler checks the state afterwards: a handler may
 * close the stream (which stays allocated until the loop's close callback). */
#include <errno.h>

#include "base/mem.h"
#include "net/stream_priv.h"

/* ---- out ---- */

static void free_segment(struct fed_segment *seg)
{
    fed_list_remove(&seg->link);
    fed_blob_unref(seg->blob);
    free(seg);
}

void fed_stream_drop_queue(struct fed_stream *s)
{
    FED_LIST_EACH_SAFE(it, &s->queue)
        free_segment(FED_LIST_ENTRY(it, struct fed_segment, link));
    s->queued = 0;
}

static void consume(struct fed_stream *s, size_t n)
{
    s->queued -= n;
    while (n > 0) {
        struct fed_segment *seg = FED_LIST_ENTRY(s->queue.next, struct fed_segment, link);
        size_t part = FED_MIN(n, seg->n);
        seg->p += part;
        seg->n -= part;
        n -= part;
        if (seg->n == 0)
            free_segment(seg);
    }
}

/* The bytes that our kernel has not been given yet; libuv may have sent part of what is in flight. */
static size_t waiting(const struct fed_stream *s)
{
    size_t unsent = s->writing ? uv_stream_get_write_queue_size(&s->uv.stream) : 0;
    if (s->tls.ssl)
        return s->queued + s->tls.out.n + unsent;
    return s->queued - s->flying + unsent;
}

static void drained(struct fed_stream *s)
{
    if (!s->was_behind || s->queued > 0 || s->tls.out.n > 0 || s->writing)
        return;
    s->was_behind = false;
    if (s->handlers.drained && !s->shutdown_asked)
        s->handlers.drained(s->ud, s);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct fed_stream *s = fed_container_of(req, struct fed_stream, shutdown_req);
    if (s->state == FED_STREAM_CLOSING)
        return;
    s->shutdown_done = true;
    if (status < 0 && status != UV_ENOTCONN)
        fed_stream_fail(s, fed_uv_code(status), "shutdown: %s", uv_strerror(status));
    else
        fed_stream_settled(s);
}

static void on_written(uv_write_t *req, int status)
{
    struct fed_stream *s = fed_container_of(req, struct fed_stream, write_req);
    s->writing = false;
    if (s->state == FED_STREAM_CLOSING)
        return;
    if (status < 0) {
        fed_stream_fail(s, fed_uv_code(status), "write: %s", uv_strerror(status));
        return;
    }
    if (s->tls.ssl)
        fed_buf_reset(&s->wire);
    else
        consume(s, s->flying);
    s->flying = 0;
    fed_stream_pump(s);
}

/* Sends what the socket takes; the rest goes into flight. Returns bytes sent at once, or a libuv error. */
static ssize_t send_some(struct fed_stream *s, const uv_buf_t *bufs, unsigned n)
{
    uv_os_fd_t fd;
    if (n != 1 || uv_fileno(&s->uv.handle, &fd) != 0) {
        int sent = uv_try_write(&s->uv.stream, bufs, n);
        return sent == UV_EAGAIN ? 0 : sent;
    }
    /* Nothing of ours is in flight. For a socket this is shorter than the write that libuv makes. */
    ssize_t sent;
    do
        sent = send(fd, bufs->base, bufs->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    return sent;
}

static void fly(struct fed_stream *s, const uv_buf_t *bufs, unsigned n, size_t bytes)
{
    s->writing = true;
    s->flying = bytes;
    int rc = uv_write(&s->write_req, &s->uv.stream, bufs, n, on_written);
    if (rc != 0) {
        s->writing = false;
        fed_stream_fail(s, fed_uv_code(rc), "write: %s", uv_strerror(rc));
    }
}

static unsigned fill_iov(const struct fed_stream *s, uv_buf_t bufs[FED_STREAM_IOV], size_t *bytes)
{
    unsigned n = 0;
    *bytes = 0;
    FED_LIST_EACH(it, &s->queue) {
        const struct fed_segment *seg = FED_LIST_ENTRY(it, struct fed_segment, link);
        if (n == FED_STREAM_IOV)
            break;
        bufs[n++] = uv_buf_init((char *)seg->p, (unsigned)FED_MIN(seg->n, (size_t)1 << 30));
        *bytes += bufs[n - 1].len;
        if (bufs[n - 1].len < seg->n)
            break;
    }
    return n;
}

static void pump_plain(struct fed_stream *s)
{
    uv_buf_t bufs[FED_STREAM_IOV];
    size_t bytes;
    while (s->queued > 0) {
        unsigned n = fill_iov(s, bufs, &bytes);
        ssize_t sent = send_some(s, bufs, n);
        if (sent < 0) {
            fed_stream_fail(s, fed_uv_code((int)sent), "write: %s", uv_strerror((int)sent));
            return;
        }
        consume(s, (size_t)sent);
        if ((size_t)sent < bytes) {
            n = fill_iov(s, bufs, &bytes);
            fly(s, bufs, n, bytes);
            return;
        }
    }
}

/* The next record's worth of plaintext: straight from a large segment, else small ones joined. */
static struct fed_str next_record(struct fed_stream *s)
{
    struct fed_segment *seg = FED_LIST_ENTRY(s->queue.next, struct fed_segment, link);
    if (seg->n >= FED_LOOP_RECORD_SIZE || seg->link.next == &s->queue)
        return fed_str_n(seg->p, FED_MIN(seg->n, (size_t)FED_LOOP_RECORD_SIZE));
    size_t n = 0;
    FED_LIST_EACH(it, &s->queue) {
        seg = FED_LIST_ENTRY(it, struct fed_segment, link);
        size_t part = FED_MIN(seg->n, FED_LOOP_RECORD_SIZE - n);
        memcpy(s->loop->gather + n, seg->p, part);
        n += part;
        if (n == FED_LOOP_RECORD_SIZE)
            break;
    }
    return fed_str_n(s->loop->gather, n);
}

static int encrypt_some(struct fed_stream *s)
{
    struct fed_err err;
    while (s->state == FED_STREAM_OPEN && s->queued > 0 && s->tls.out.n < FED_STREAM_WIRE_MAX) {
        struct fed_str record = next_record(s);
        int rc = fed_tls_conn_write(&s->tls, record, &err);
        if (rc != 0) {
            fed_stream_fail_err(s, &err);
            return rc;
        }
        consume(s, record.n);
    }
    return 0;
}

/* Most output is encrypted and sent at once: its buffer is the loop's, so that thousands of idle streams hold none. */
static void borrow_wire(struct fed_stream *s)
{
    if (s->tls.out.cap > 0)
        return;
    size_t max = s->tls.out.max;
    s->tls.out = s->loop->wire;
    s->tls.out.max = max;
    s->loop->wire = (struct fed_buf){0};
}

static void return_wire(struct fed_stream *s)
{
    size_t max = s->tls.out.max;
    fed_buf_reset(&s->tls.out);
    if (s->loop->wire.cap > 0)
        return;
    s->loop->wire = s->tls.out;
    fed_buf_init(&s->tls.out, max);
}

/* The ciphertext that is there. False: part of it is in flight, or the stream failed. */
static bool send_wire(struct fed_stream *s)
{
    uv_buf_t buf = uv_buf_init(s->tls.out.p, (unsigned)s->tls.out.n);
    ssize_t sent = send_some(s, &buf, 1);
    if (sent < 0) {
        fed_buf_reset(&s->tls.out);
        fed_stream_fail(s, fed_uv_code((int)sent), "write: %s", uv_strerror((int)sent));
        return false;
    }
    if ((size_t)sent == s->tls.out.n) {
        return_wire(s);
        return true;
    }
    /* The buffers change places: the full one flies, the empty one collects. */
    struct fed_buf rest = s->tls.out;
    s->tls.out = s->wire;
    s->tls.out.max = rest.max;
    s->wire = rest;
    buf = uv_buf_init(rest.p + sent, (unsigned)(rest.n - (size_t)sent));
    fly(s, &buf, 1, rest.n - (size_t)sent);
    return false;
}

static void pump_tls(struct fed_stream *s)
{
    do {
        if (s->queued > 0)
            borrow_wire(s);
        if (encrypt_some(s) != 0)
            return;
    } while (s->tls.out.n > 0 && send_wire(s));
}

static void release_idle_buffers(struct fed_stream *s)
{
    /* A watch that is idle for hours should not hold the buffers of its busiest moment. */
    if (s->tls.out.n == 0 && s->tls.out.cap > FED_STREAM_KEEP) {
        size_t max = s->tls.out.max;
        fed_buf_release(&s->tls.out);
        fed_buf_init(&s->tls.out, max);
    }
    if (s->wire.cap > FED_STREAM_KEEP) {
        fed_buf_release(&s->wire);
        fed_buf_init(&s->wire, 0);
    }
}

void fed_stream_send_queued(struct fed_stream *s)
{
    if (s->tls.ssl)
        pump_tls(s);
    else
        pump_plain(s);
}

void fed_stream_pump(struct fed_stream *s)
{
    if (s->writing || s->state == FED_STREAM_CLOSING || s->state == FED_STREAM_CONNECTING)
        return;
    fed_task_cancel(&s->flush_task);
    fed_stream_send_queued(s);
    if (s->state != FED_STREAM_OPEN || s->writing || s->queued > 0)
        return;
    if (s->shutdown_asked && !s->shutdown_begun) {
        s->shutdown_begun = true;
        if (s->tls.ssl) {
            fed_tls_conn_shutdown(&s->tls);
            pump_tls(s);
            if (s->state != FED_STREAM_OPEN)
                return;
        }
        /* libuv sends the FIN after what is still in flight. */
        int rc = uv_shutdown(&s->shutdown_req, &s->uv.stream, on_shutdown);
        if (rc != 0)
            fed_stream_fail(s, fed_uv_code(rc), "shutdown: %s", uv_strerror(rc));
        return;
    }
    release_idle_buffers(s);
    drained(s);
}

static void on_flush(struct fed_task *task)
{
    fed_stream_pump(fed_container_of(task, struct fed_stream, flush_task));
}

static void enqueued(struct fed_stream *s, size_t n)
{
    s->queued += n;
    s->was_behind = true;
    if (s->state != FED_STREAM_OPEN || s->writing)
        return;
    /* Never deliver `drained` from within a write: only try the socket, the rest waits for the task. */
    if (s->queued >= FED_STREAM_EAGER)
        fed_stream_send_queued(s);
    if (s->state == FED_STREAM_OPEN && !s->writing)
        fed_task_post(&s->loop->env, &s->flush_task, on_flush);
}

/* The last segment, when it can take more, or a new one. */
static struct fed_segment *segment_with_room(struct fed_stream *s, size_t want)
{
    size_t cap = FED_STREAM_SEGMENT;
    if (fed_list_empty(&s->queue)) {
        cap = FED_MIN(FED_MAX(want, (size_t)FED_STREAM_FIRST), (size_t)FED_STREAM_SEGMENT);
    } else {
        struct fed_segment *last = FED_LIST_ENTRY(s->queue.prev, struct fed_segment, link);
        if (last->cap > 0 && last->p + last->n < last->room + last->cap)
            return last;
    }
    struct fed_segment *seg = fed_malloc(sizeof(*seg) + cap);
    *seg = (struct fed_segment){.p = seg->room, .cap = cap};
    fed_list_push_back(&s->queue, &seg->link);
    return seg;
}

size_t fed_stream_write(struct fed_stream *s, struct fed_str bytes)
{
    if (s->state == FED_STREAM_CLOSING || s->shutdown_asked)
        return 0;
    size_t total = bytes.n;
    while (bytes.n > 0) {
        struct fed_segment *seg = segment_with_room(s, bytes.n);
        char *end = (char *)seg->p + seg->n;
        size_t part = FED_MIN(bytes.n, (size_t)(seg->room + seg->cap - end));
        memcpy(end, bytes.p, part);
        seg->n += part;
        bytes = fed_str_from(bytes, part);
    }
    if (total > 0)
        enqueued(s, total);
    return fed_stream_backlog(s);
}

/* What could not be sent at once is left in *bytes or in flight. */
static void send_tls(struct fed_stream *s, struct fed_str *bytes)
{
    struct fed_err err;
    borrow_wire(s);
    do {
        while (bytes->n > 0 && s->tls.out.n < FED_STREAM_WIRE_MAX) {
            struct fed_str record = fed_str_head(*bytes, FED_LOOP_RECORD_SIZE);
            if (fed_tls_conn_write(&s->tls, record, &err) != 0) {
                fed_stream_fail_err(s, &err);
                return;
            }
            *bytes = fed_str_from(*bytes, record.n);
        }
    } while (s->tls.out.n > 0 && send_wire(s) && bytes->n > 0);
}

static void send_plain(struct fed_stream *s, struct fed_str *bytes)
{
    uv_buf_t buf = uv_buf_init((char *)bytes->p, (unsigned)FED_MIN(bytes->n, (size_t)1 << 30));
    ssize_t sent = send_some(s, &buf, 1);
    if (sent < 0)
        fed_stream_fail(s, fed_uv_code((int)sent), "write: %s", uv_strerror((int)sent));
    else
        *bytes = fed_str_from(*bytes, (size_t)sent);
}

size_t fed_stream_write_now(struct fed_stream *s, struct fed_str bytes)
{
    if (s->state != FED_STREAM_OPEN || s->shutdown_asked || s->writing || s->queued > 0 || s->tls.out.n > 0)
        return fed_stream_write(s, bytes); /* behind what waits already */
    if (s->tls.ssl)
        send_tls(s, &bytes);
    else
        send_plain(s, &bytes);
    if (s->state != FED_STREAM_OPEN)
        return 0;
    s->was_behind |= s->writing;
    return bytes.n > 0 ? fed_stream_write(s, bytes) : fed_stream_backlog(s);
}

size_t fed_stream_write_blob(struct fed_stream *s, struct fed_blob *blob)
{
    struct fed_str bytes = fed_blob_str(blob);
    if (s->state == FED_STREAM_CLOSING || s->shutdown_asked)
        return 0;
    if (bytes.n <= 1024) /* cheaper copied than carried along */
        return fed_stream_write(s, bytes);
    struct fed_segment *seg = fed_malloc(sizeof(*seg));
    *seg = (struct fed_segment){.blob = fed_blob_ref(blob), .p = bytes.p, .n = bytes.n};
    fed_list_push_back(&s->queue, &seg->link);
    enqueued(s, bytes.n);
    return fed_stream_backlog(s);
}

size_t fed_stream_backlog(const struct fed_stream *s)
{
    return s->state == FED_STREAM_CLOSING ? 0 : waiting(s);
}

void fed_stream_shutdown(struct fed_stream *s)
{
    if (s->state == FED_STREAM_CLOSING || s->shutdown_asked)
        return;
    s->shutdown_asked = true;
    if (s->state == FED_STREAM_OPEN && !s->writing)
        fed_task_post(&s->loop->env, &s->flush_task, on_flush);
}

/* ---- in ---- */

static void deliver(struct fed_stream *s, const char *p, size_t n)
{
    if (s->handlers.data)
        s->handlers.data(s->ud, s, fed_str_n(p, n));
}

static void peer_ended(struct fed_stream *s)
{
    if (s->eof_in)
        return;
    s->eof_in = true;
    if (s->reading)
        uv_read_stop(&s->uv.stream);
    s->reading = false;
    if (s->handlers.eof)
        s->handlers.eof(s->ud, s);
    else
        fed_stream_shutdown(s);
    if (s->state != FED_STREAM_CLOSING)
        fed_stream_settled(s);
}

static void handshake_done(struct fed_stream *s)
{
    s->state = FED_STREAM_OPEN;
    fed_timer_stop(&s->loop->env, &s->deadline);
    s->has_identity = fed_tls_conn_identity(&s->tls, &s->arena, &s->cn, &s->orgs, &s->n_orgs);
    s->cert_until_s = fed_tls_conn_peer_until(&s->tls, &s->cert_refused);
    if (s->listener)
        fed_listener_stream_ready(s->listener, s);
    else if (s->handlers.open)
        s->handlers.open(s->ud, s);
    if (s->state == FED_STREAM_OPEN)
        fed_stream_pump(s);
}

void fed_stream_continue_handshake(struct fed_stream *s)
{
    struct fed_err err;
    int step = fed_tls_conn_handshake(&s->tls, &err);
    if (step < 0) {
        fed_stream_fail(s, err.code, "%s", err.text);
        return;
    }
    fed_stream_pump(s); /* flights of the handshake */
    if (step == FED_TLS_DONE && s->state == FED_STREAM_HANDSHAKE)
        handshake_done(s);
}

/* Decrypts and delivers until the input is used up, the reader pauses or the stream closes. */
static void read_tls(struct fed_stream *s)
{
    struct fed_err err;
    s->held = false;
    while (s->state == FED_STREAM_OPEN && !s->eof_in) {
        if (s->paused) {
            s->held = true;
            return;
        }
        size_t n;
        int step = fed_tls_conn_read(&s->tls, s->loop->plain, FED_LOOP_PLAIN_SIZE, &n, &err);
        if (step < 0) {
            fed_stream_fail(s, err.code, "%s", err.text);
            return;
        }
        if (s->tls.out.n > 0 && !s->writing) /* an answer to a key update */
            fed_task_post(&s->loop->env, &s->flush_task, on_flush);
        if (step == FED_TLS_WAIT)
            return;
        if (step == FED_TLS_CLOSED) {
            peer_ended(s);
            return;
        }
        deliver(s, s->loop->plain, n);
    }
}

static void tls_input(struct fed_stream *s)
{
    s->in_callback = true;
    if (s->state == FED_STREAM_HANDSHAKE)
        fed_stream_continue_handshake(s);
    if (s->state == FED_STREAM_OPEN)
        read_tls(s);
    s->in_callback = false;
    if (s->state != FED_STREAM_CLOSING)
        fed_tls_conn_keep_input(&s->tls);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct fed_stream *s = fed_container_of(h, struct fed_stream, uv.handle);
    *buf = uv_buf_init(s->loop->input, FED_LOOP_INPUT_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct fed_stream *s = fed_container_of(stream, struct fed_stream, uv.stream);
    if (n == 0 || s->state == FED_STREAM_CLOSING)
        return;
    if (n == UV_EOF && s->tls.ssl) /* an end without close_notify may be an attacker's cut */
        fed_stream_fail(s, FED_E_END,
                        s->state == FED_STREAM_OPEN ? "closed by the peer without TLS close_notify"
                                                    : "TLS handshake: closed by the peer");
    else if (n == UV_EOF)
        peer_ended(s);
    else if (n < 0)
        fed_stream_fail(s, fed_uv_code((int)n), "read: %s", uv_strerror((int)n));
    else if (!s->tls.ssl)
        deliver(s, buf->base, (size_t)n);
    else {
        s->tls.in = fed_str_n(buf->base, (size_t)n);
        tls_input(s);
        fed_stream_read_more(s);
    }
}

static void on_catch_up(struct fed_task *task)
{
    struct fed_stream *s = fed_container_of(task, struct fed_stream, read_task);
    if (s->state == FED_STREAM_CLOSING || s->paused)
        return;
    tls_input(s);
    fed_stream_read_more(s);
}

void fed_stream_read_more(struct fed_stream *s)
{
    if (s->state != FED_STREAM_HANDSHAKE && s->state != FED_STREAM_OPEN)
        return;
    bool held = s->held && !s->in_callback;
    bool want = !s->eof_in && !held && (!s->paused || s->state == FED_STREAM_HANDSHAKE);
    if (held && !s->paused && !s->eof_in) /* what was decrypted or received before the pause comes first */
        fed_task_post(&s->loop->env, &s->read_task, on_catch_up);
    if (want == s->reading)
        return;
    s->reading = want;
    if (!want) {
        uv_read_stop(&s->uv.stream);
        return;
    }
    int rc = uv_read_start(&s->uv.stream, on_alloc, on_read);
    if (rc != 0)
        fed_stream_fail(s, fed_uv_code(rc), "read: %s", uv_strerror(rc));
}

void fed_stream_pause(struct fed_stream *s, bool paused)
{
    if (s->paused == paused)
        return;
    s->paused = paused;
    fed_stream_read_more(s);
}
