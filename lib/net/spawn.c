/* SPDX-License-Identifier: Apache-2.0 */
/* A child is over when its process has ended and its output pipes are at their end. A grandchild may keep a pipe open
 * for ever, so after the exit the pipes get a short grace. The child's memory goes when all handles are closed. */
#include "net/spawn.h"

#include <signal.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/loop_priv.h"

enum { DEFAULT_MAX_OUTPUT = 1 << 20, PIPE_GRACE_MS = 1000 };

struct output { /* one collected stream */
    uv_pipe_t pipe;
    struct fed_buf bytes;
    bool open;
};
struct fed_child {
    struct fed_loop *loop;
    struct fed_loop_object object;
    uv_process_t process;
    uv_pipe_t in;
    uv_write_t in_req;
    char *in_bytes;
    bool in_open;
    struct output out, err;
    struct fed_timer timer; /* timeout while it runs, then the grace of its pipes */
    size_t max_output;
    size_t n_handles; /* not yet closed */
    bool running, finished;
    int status, signo;
    void (*exited)(void *ud, int status, int signo, struct fed_str out, struct fed_str errout); /* NULL: forgotten */
    void *ud;
};

static void on_closed(struct fed_child *c)
{
    if (--c->n_handles > 0)
        return;
    fed_list_remove(&c->object.link);
    fed_buf_release(&c->out.bytes);
    fed_buf_release(&c->err.bytes);
    free(c->in_bytes);
    free(c);
}

static void on_handle_closed(uv_handle_t *h)
{
    on_closed(h->data);
}

static void close_handle(uv_handle_t *h)
{
    if (!uv_is_closing(h))
        uv_close(h, on_handle_closed);
}

static void close_output(struct output *o)
{
    if (o->open)
        close_handle((uv_handle_t *)&o->pipe);
    o->open = false;
}

static void close_input(struct fed_child *c)
{
    if (c->in_open)
        close_handle((uv_handle_t *)&c->in);
    c->in_open = false;
}

static void finish(struct fed_child *c)
{
    if (c->finished)
        return;
    c->finished = true;
    fed_timer_stop(&c->loop->env, &c->timer);
    close_input(c);
    close_output(&c->out);
    close_output(&c->err);
    close_handle((uv_handle_t *)&c->process);
    if (c->exited)
        c->exited(c->ud, c->status, c->signo, fed_buf_str(&c->out.bytes), fed_buf_str(&c->err.bytes));
}

static void on_grace_over(struct fed_timer *t)
{
    finish(fed_container_of(t, struct fed_child, timer));
}

static void maybe_finish(struct fed_child *c)
{
    if (c->running)
        return;
    if (!c->out.open && !c->err.open)
        finish(c);
    else if (!c->finished)
        fed_timer_start(&c->loop->env, &c->timer, PIPE_GRACE_MS, on_grace_over);
}

static void on_exit_notice(uv_process_t *process, int64_t status, int signo)
{
    struct fed_child *c = fed_container_of(process, struct fed_child, process);
    c->running = false;
    c->status = (int)status;
    c->signo = signo;
    maybe_finish(c);
}

static void on_timeout(struct fed_timer *t)
{
    struct fed_child *c = fed_container_of(t, struct fed_child, timer);
    uv_process_kill(&c->process, SIGKILL);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct fed_child *c = h->data;
    (void)suggested;
    *buf = uv_buf_init(c->loop->input, FED_LOOP_INPUT_SIZE);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct fed_child *c = stream->data;
    struct output *o = fed_container_of(stream, struct output, pipe);
    if (n < 0) {
        close_output(o);
        maybe_finish(c);
    } else if (c->exited && o->bytes.n < c->max_output) { /* a forgotten child's pipes are read and dropped */
        fed_buf_append(&o->bytes, buf->base, FED_MIN((size_t)n, c->max_output - o->bytes.n));
    }
}

static void on_input_written(uv_write_t *req, int status)
{
    (void)status; /* a child need not read all of it */
    close_input(fed_container_of(req, struct fed_child, in_req));
}

static void init_pipe(struct fed_child *c, uv_pipe_t *pipe)
{
    FED_REQUIRE(uv_pipe_init(&c->loop->uv, pipe, 0) == 0);
    pipe->data = c;
    c->n_handles++;
}

static void set_output(struct fed_child *c, struct output *o, int fd, uv_stdio_container_t *io)
{
    if (fd >= 0) {
        *io = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = fd};
    } else if (fd == -1) {
        init_pipe(c, &o->pipe);
        o->open = true;
        *io =
            (uv_stdio_container_t){.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&o->pipe};
    } else {
        *io = (uv_stdio_container_t){.flags = UV_IGNORE};
    }
}

static void set_input(struct fed_child *c, struct fed_str bytes, uv_stdio_container_t *io)
{
    *io = (uv_stdio_container_t){.flags = UV_IGNORE}; /* libuv opens /dev/null */
    if (bytes.n == 0)
        return;
    init_pipe(c, &c->in);
    c->in_open = true;
    c->in_bytes = fed_strdup_str(bytes);
    *io = (uv_stdio_container_t){.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&c->in};
}

static void start_pipes(struct fed_child *c, size_t n_in)
{
    if (c->out.open)
        uv_read_start((uv_stream_t *)&c->out.pipe, on_alloc, on_output);
    if (c->err.open)
        uv_read_start((uv_stream_t *)&c->err.pipe, on_alloc, on_output);
    if (c->in_open) {
        uv_buf_t buf = uv_buf_init(c->in_bytes, (unsigned)n_in);
        if (uv_write(&c->in_req, (uv_stream_t *)&c->in, &buf, 1, on_input_written) != 0)
            close_input(c);
    }
}

static void on_object_close(struct fed_loop_object *object)
{
    struct fed_child *c = fed_container_of(object, struct fed_child, object);
    c->exited = NULL; /* it goes on without us */
    finish(c);
}

int fed_spawn(struct fed_loop *loop, const struct fed_spawn *spec, struct fed_child **out, struct fed_err *err)
{
    struct fed_child *c = FED_NEW(struct fed_child);
    uv_stdio_container_t io[3];
    c->loop = loop;
    c->max_output = spec->max_output ? spec->max_output : DEFAULT_MAX_OUTPUT;
    c->exited = spec->exited;
    c->ud = spec->ud;
    set_input(c, spec->stdin_bytes, &io[0]);
    set_output(c, &c->out, spec->stdout_fd, &io[1]);
    set_output(c, &c->err, spec->stderr_fd, &io[2]);
    uv_process_options_t options = {
        .exit_cb = on_exit_notice,
        .file = spec->file,
        .args = (char **)spec->argv,
        .env = (char **)spec->envp,
        .cwd = spec->cwd,
        .flags = spec->detached ? UV_PROCESS_DETACHED : 0,
        .stdio_count = 3,
        .stdio = io,
    };
    fed_loop_adopt(loop, &c->object, on_object_close);
    c->n_handles++;
    int rc = uv_spawn(&loop->uv, &c->process, &options);
    c->process.data = c;
    if (rc != 0) {
        c->exited = NULL;
        finish(c);
        return fed_err_set(err, fed_uv_code(rc), "%s: cannot start: %s", spec->file, uv_strerror(rc));
    }
    c->running = true;
    start_pipes(c, spec->stdin_bytes.n);
    if (spec->timeout_ms)
        fed_timer_start(&loop->env, &c->timer, spec->timeout_ms, on_timeout);
    *out = c;
    return 0;
}

int fed_child_pid(const struct fed_child *c)
{
    return uv_process_get_pid(&c->process);
}

void fed_child_kill(struct fed_child *c, int signo)
{
    if (c->running) /* else the pid may be another's already */
        uv_process_kill(&c->process, signo);
}

void fed_child_forget(struct fed_child *c)
{
    c->exited = NULL;
    if (c->running)
        fed_timer_stop(&c->loop->env, &c->timer);
}
