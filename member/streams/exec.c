/* SPDX-License-Identifier: Apache-2.0 */
/* exec and attach: channels of a client on one side, pipes or a terminal of a process on the other.
 *
 *            client                                                       container
 *            stdin  ──> pending ──> in.fd ─────────────────────────────> 0
 *            stdout <── (backlog) ── out.fd <─────────────────────────── 1
 *            stderr <── (backlog) ── err.fd <─────────────────────────── 2
 *            resize ──> TIOCSWINSZ
 *            error  <── Status when the command has ended and its output is read
 *
 * Whoever does not take bytes stops the other side: a client that does not read stops the reading of the pipes, a process
 * that does not read stops the reading of the client. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "member/streams/outputs.h"
#include "member/streams/streams.h"

enum { PIPE_SIZE = 256 * 1024, OPEN_MS = 30 * 1000, SETTLE_MS = 50 };
enum kind { STDIN, STDOUT, STDERR, ERROR, RESIZE, N_KINDS }; /* the numbers are WebSocket's too */

struct exec {
    struct mbr_stream base;
    struct fed_channels *channels;
    struct fed_channel *channel[N_KINDS];
    bool wanted[N_KINDS];
    bool tty, attach, stdin_once, stdin_eof, stdin_closed, started, with_json, greets;
    struct mbr_run_pod *run; /* NULL: no session there, or it ended */
    uint32_t session;
    char *uid, *container, **argv;
    size_t argc;
    struct mbr_outputs outputs;
    int in; /* our end of its input; -1: none, or closed */
    struct fed_poll *in_poll;
    struct fed_buf pending; /* for `in` */
    char text[128];         /* a resize message that came in pieces */
    size_t n_text;
    struct winsize size; /* the last one, which may come before the terminal is there */
    int code;
    char *failure;
    struct fed_timer timer;
};

static void in_close(struct exec *x)
{
    if (x->in_poll)
        fed_poll_free(x->in_poll);
    if (x->in >= 0)
        close(x->in);
    x->in_poll = NULL;
    x->in = -1;
}

static void exec_free(struct exec *x)
{
    fed_timer_stop(x->base.m->env, &x->timer);
    if (x->run && x->session)
        x->run->rt->ops->hangup(x->run, x->session);
    in_close(x);
    mbr_outputs_release(&x->outputs);
    fed_buf_release(&x->pending);
    for (size_t i = 0; i < x->argc; i++)
        free(x->argv[i]);
    free(x->argv);
    free(x->container);
    free(x->uid);
    free(x->failure);
    mbr_stream_remove(&x->base);
    free(x);
}

static void stop(struct mbr_stream *base)
{
    struct exec *x = fed_container_of(base, struct exec, base);
    fed_channels_abort(x->channels);
    exec_free(x);
}

/* All is said: the outcome goes last. */
static void finish(void *ud)
{
    struct exec *x = ud;
    struct fed_buf b = {0};
    struct fed_channel *error = x->channel[ERROR];
    mbr_exit_write(&b, x->with_json, x->code, x->failure);
    static const enum kind out[] = {STDOUT, STDERR, RESIZE, STDIN};
    for (size_t i = 0; i < FED_ARRAY_LEN(out); i++)
        if (x->channel[out[i]])
            fed_channel_finish(x->channel[out[i]]);
    if (error && b.n)
        fed_channel_write(error, fed_buf_str(&b));
    if (error)
        fed_channel_finish(error);
    fed_buf_release(&b);
    fed_channels_finish(x->channels);
    exec_free(x);
}

static void close_input(struct exec *x)
{
    x->stdin_closed = true;
    in_close(x);
    fed_buf_release(&x->pending);
    if (x->channel[STDIN])
        fed_channel_pause(x->channel[STDIN], false); /* the rest is dropped */
}

/* --- from the process --- */

static size_t backlog(void *ud)
{
    const struct exec *x = ud;
    return fed_channels_backlog(x->channels);
}

static void output(void *ud, bool is_err, struct fed_str bytes)
{
    struct exec *x = ud;
    struct fed_channel *c = x->channel[is_err ? STDERR : STDOUT];
    if (c)
        fed_channel_write(c, bytes);
}

/* --- to the process --- */

/* Writes what it takes; then the client may send again, or is held. */
static void feed(struct exec *x)
{
    while (x->pending.n && x->in >= 0) {
        ssize_t n = write(x->in, x->pending.p, x->pending.n);
        if (n > 0) {
            fed_buf_consume(&x->pending, (size_t)n);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) { /* it reads no more */
            close_input(x);
            return;
        }
    }
    if (x->in_poll)
        fed_poll_set(x->in_poll, x->pending.n ? FED_POLL_OUT : 0);
    if (x->channel[STDIN])
        fed_channel_pause(x->channel[STDIN], x->pending.n > 0);
    if (!x->pending.n && x->stdin_eof && !x->tty) {
        close_input(x);
        if (x->attach && x->stdin_once && x->run)
            x->run->rt->ops->close_stdin(x->run, x->container);
    }
}

static void writable(void *ud, int events)
{
    (void)events;
    feed(ud);
}

static void apply_size(const struct exec *x)
{
    int fd = x->attach ? x->in : x->outputs.out.fd;
    if (x->tty && fd >= 0 && x->size.ws_col)
        (void)!ioctl(fd, TIOCSWINSZ, &x->size);
}

static void resize(struct exec *x, struct fed_str bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        if (x->n_text == sizeof(x->text))
            x->n_text = 0; /* not a size: begin anew */
        x->text[x->n_text++] = bytes.p[i];
        if (bytes.p[i] != '}')
            continue;
        if (mbr_size_parse(fed_str_n(x->text, x->n_text), &x->size.ws_col, &x->size.ws_row))
            apply_size(x);
        x->n_text = 0;
    }
}

/* --- the session in the runtime --- */

static void watch_in(struct exec *x, int fd)
{
    x->in = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    x->in_poll = fed_poll_new(x->base.m->loop, fd, writable, x);
}

static void on_attached(void *ud, int fd)
{
    struct exec *x = ud;
    if (fd < 0)
        return close_input(x);
    watch_in(x, fd);
    apply_size(x);
    feed(x);
}

static void on_ended(void *ud, int code, const char *failure)
{
    struct exec *x = ud;
    x->run = NULL;
    x->session = 0;
    x->code = code;
    x->failure = failure ? fed_strdup(failure) : NULL;
    close_input(x);
    mbr_outputs_command_ended(&x->outputs); /* finishes, now or when the client has read */
}

/* A pipe of ours and its other end in *theirs, or the null device when nobody wants it. */
static bool make_pipe(struct exec *x, enum kind kind, bool wanted, int *theirs)
{
    int fds[2], ours = kind == STDIN ? 1 : 0;
    if (!wanted) {
        *theirs = open("/dev/null", O_RDWR | O_CLOEXEC);
        return *theirs >= 0;
    }
    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    (void)!fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE);
    *theirs = fds[1 - ours];
    if (kind == STDIN)
        watch_in(x, fds[ours]);
    else
        mbr_outputs_watch(&x->outputs, kind == STDERR, fds[ours]);
    return true;
}

static bool make_terminal(struct exec *x, int *theirs)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0)
        return false;
    *theirs = grantpt(master) == 0 && unlockpt(master) == 0 ? open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    int again = fcntl(master, F_DUPFD_CLOEXEC, 3); /* a descriptor has one poll: one to read, one to write */
    mbr_outputs_watch(&x->outputs, false, master);
    if (again >= 0 && x->wanted[STDIN])
        watch_in(x, again);
    else if (again >= 0)
        close(again);
    return *theirs >= 0;
}

static bool make_files(struct exec *x, int theirs[3], size_t *n)
{
    *n = x->tty && !x->attach ? 1 : x->attach ? 2 : 3;
    if (x->tty && !x->attach)
        return make_terminal(x, theirs);
    if (x->attach)
        return make_pipe(x, STDOUT, true, &theirs[0]) && make_pipe(x, STDERR, true, &theirs[1]);
    return make_pipe(x, STDIN, x->wanted[STDIN], &theirs[0]) && make_pipe(x, STDOUT, x->wanted[STDOUT], &theirs[1]) &&
           make_pipe(x, STDERR, x->wanted[STDERR], &theirs[2]);
}

static void start(struct exec *x)
{
    static const struct mbr_run_session_events events = {on_attached, on_ended};
    int theirs[3] = {-1, -1, -1};
    size_t n = 0;
    unsigned flags = (x->tty ? MBR_SESSION_TTY : 0) | (x->wanted[STDIN] ? MBR_SESSION_STDIN : 0);
    x->started = true;
    fed_timer_stop(x->base.m->env, &x->timer);
    bool ok = make_files(x, theirs, &n);
    apply_size(x);
    /* The client took its time: the pod may have gone. */
    const struct mbr_pod *pod = fed_map_find(&x->base.m->agents->pods, fed_str(x->uid));
    x->run = pod ? pod->run : NULL;
    if (ok && x->run)
        x->session = x->run->rt->ops->session(x->run, x->container, x->attach ? NULL : (const char *const *)x->argv,
                                              x->argc, theirs, n, flags, &events, x);
    for (int i = 0; i < 3; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    if (!x->session)
        return on_ended(x, 1, ok ? "the container's owner does not answer" : "out of file descriptors");
    feed(x);
}

/* --- the client --- */

static enum kind kind_of(const struct fed_channel *c)
{
    static const char *const names[] = {"stdin", "stdout", "stderr", "error", "resize"};
    int index = fed_channel_index(c);
    struct fed_str type = fed_channel_field(c, "streamtype");
    for (int i = 0; index < 0 && i < N_KINDS; i++)
        if (fed_str_is(type, names[i]))
            index = i;
    return index < 0 ? N_KINDS : (enum kind)index;
}

static bool on_opened(void *ud, struct fed_channel *c)
{
    struct exec *x = ud;
    enum kind k = kind_of(c);
    if (k == N_KINDS || x->channel[k])
        return false;
    x->channel[k] = c;
    if (x->greets && fed_channel_index(c) >= 0 && k == (x->wanted[STDOUT] ? STDOUT : ERROR))
        fed_channel_write(c, FED_STR(""));
    return true;
}

static bool all_open(const struct exec *x)
{
    for (int i = 0; i < N_KINDS; i++)
        if (x->wanted[i] && !x->channel[i])
            return false;
    return true;
}

static void on_task_start(struct fed_timer *t)
{
    struct exec *x = fed_container_of(t, struct exec, timer);
    if (all_open(x))
        start(x);
    else
        stop(&x->base);
}

/* client-go (v5) up to 1.33 may read before it has made its streams, and drops what it reads then. Where it is not heard, it
 * has a moment before anything starts. */
static void start_soon(struct exec *x, bool heard)
{
    if (!x->started && all_open(x))
        fed_timer_start(x->base.m->env, &x->timer, x->greets || heard ? 0 : SETTLE_MS, on_task_start);
}

/* The timer that waits for the client's streams runs soon when the last has come. */
static bool on_opened_start(void *ud, struct fed_channel *c)
{
    struct exec *x = ud;
    bool ok = on_opened(ud, c);
    if (ok)
        start_soon(x, false);
    return ok;
}

static void on_data(void *ud, struct fed_channel *c, struct fed_str bytes)
{
    struct exec *x = ud;
    start_soon(x, true);
    if (c == x->channel[RESIZE])
        return resize(x, bytes);
    if (c != x->channel[STDIN] || !x->wanted[STDIN] || x->stdin_closed)
        return;
    fed_buf_add(&x->pending, bytes);
    if (x->in >= 0)
        feed(x);
    else
        fed_channel_pause(c, true);
}

static void on_eof(void *ud, struct fed_channel *c)
{
    struct exec *x = ud;
    if (c != x->channel[STDIN])
        return;
    start_soon(x, true);
    x->stdin_eof = true;
    if (x->in >= 0)
        feed(x);
}

static void on_gone(void *ud, struct fed_channel *c)
{
    struct exec *x = ud;
    for (int i = 0; i < N_KINDS; i++)
        if (x->channel[i] == c)
            x->channel[i] = NULL;
}

static void on_drained(void *ud)
{
    struct exec *x = ud;
    mbr_outputs_go_on(&x->outputs);
}

static void on_left(void *ud)
{
    exec_free(ud);
}

static const struct fed_channels_protocol protocols[] = {
    {"v5.channel.k8s.io", FED_CARRIER_WS},
    {"v4.channel.k8s.io", FED_CARRIER_WS},
    {"v4.channel.k8s.io", FED_CARRIER_SPDY},
    {"v4.base64.channel.k8s.io", FED_CARRIER_WS_BASE64},
    {"base64.channel.k8s.io", FED_CARRIER_WS_BASE64},
    {"channel.k8s.io", FED_CARRIER_WS},
    {"", FED_CARRIER_WS},
    {"v3.channel.k8s.io", FED_CARRIER_SPDY},
    {"v2.channel.k8s.io", FED_CARRIER_SPDY},
    {"channel.k8s.io", FED_CARRIER_SPDY},
    {"", FED_CARRIER_SPDY},
};
static const struct fed_channels_handlers handlers = {on_opened_start, on_data, on_eof, on_gone, on_drained, on_left};

static const struct mbr_outputs_events output_events = {backlog, output, finish};

static void read_wishes(struct exec *x, const struct fed_query *q)
{
    x->wanted[STDIN] = mbr_query_true(q, "stdin");
    x->wanted[STDOUT] = mbr_query_true(q, "stdout");
    x->wanted[STDERR] = mbr_query_true(q, "stderr");
    x->wanted[ERROR] = true;
    x->tty = mbr_query_true(q, "tty");
    for (size_t i = 0; i < q->n; i++)
        if (fed_str_is(q->params[i].name, "command"))
            x->argv[x->argc++] = fed_strdup_str(q->params[i].value);
    if (x->tty)
        x->wanted[STDERR] = false;
}

static bool check_wishes(const struct exec *x, struct fed_api_reply *reply)
{
    if (!x->wanted[STDIN] && !x->wanted[STDOUT] && !x->wanted[STDERR])
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "you must specify at least 1 of stdin, stdout, stderr");
    else if (!x->attach && !x->argc)
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "you must specify at least one command for the container");
    else
        return true;
    return false;
}

static void serve(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply, bool attach)
{
    struct mbr_target t;
    struct fed_err err = {0};
    if (!mbr_target_find(m, req, reply, true, &t))
        return;
    if (!fed_api_reply_exchange(reply))
        return fed_api_reply_error(reply, FED_E_BAD_REQUEST, "Upgrade request required");
    struct exec *x = FED_NEW(struct exec);
    x->attach = attach;
    x->argv = fed_calloc(t.query.n + 1, sizeof(*x->argv));
    x->in = -1;
    mbr_outputs_init(&x->outputs, m->loop, &output_events, x);
    mbr_stream_add(m, &x->base, stop);
    read_wishes(x, &t.query);
    x->uid = fed_strdup(t.pod->uid);
    x->container = fed_strdup(t.container->name);
    const struct fed_json *spec = mbr_container_spec(t.tree, t.container);
    if (attach) {
        x->tty = fed_json_bool(fed_json_find(spec, "tty"), false);
        x->stdin_once = fed_json_bool(fed_json_find(spec, "stdinOnce"), false);
        x->wanted[STDIN] = x->wanted[STDIN] && fed_json_bool(fed_json_find(spec, "stdin"), false);
    }
    const struct fed_channels_conf conf = {protocols, FED_ARRAY_LEN(protocols), N_KINDS, &handlers, x};
    if (!check_wishes(x, reply))
        return exec_free(x);
    if (fed_channels_accept(m->loop, fed_api_reply_exchange(reply), &conf, &x->channels, &err) < 0) {
        exec_free(x);
        return fed_api_reply_error(reply, err.code, "%s", err.text);
    }
    fed_api_reply_upgraded(reply);
    const char *name = fed_channels_protocol(x->channels)->name;
    x->with_json = strncmp(name, "v4.", 3) == 0 || strncmp(name, "v5.", 3) == 0;
    /* An empty message tells old WebSocket clients that all is well before there is output. Those of v5 (client-go) need
     * none, and up to kubectl 1.33 complain of it when it comes before they have made their streams. */
    x->greets = strncmp(name, "v5.", 3) != 0;
    fed_timer_start(m->env, &x->timer, OPEN_MS, on_task_start);
}

void mbr_serve_exec(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    serve(ud, req, reply, false);
}

void mbr_serve_attach(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    serve(ud, req, reply, true);
}
