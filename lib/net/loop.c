/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks and timers live in struct fed_env; libuv sees one prepare handle that runs what is due before each poll and
 * one timer that ends the poll at the earliest deadline. So starting and stopping a timer costs a heap operation and
 * no libuv call, and there is no rearm: whatever changed the heap ran inside a turn, and the next turn's prepare sees it. */
#include "net/loop_priv.h"

#include <errno.h>
#include <signal.h>
#include <sys/random.h>

#include "base/mem.h"

struct waker { /* outlives its fed_wakeup until libuv has closed the handle */
    uv_async_t async;
    struct fed_wakeup *wakeup; /* NULL after close */
};
struct watch { /* one signal handler */
    uv_signal_t signal;
    struct fed_loop_object object;
    void (*cb)(void *ud, int signo);
    void *ud;
};
struct fed_poll {
    uv_poll_t uv;
    struct fed_loop_object object;
    void (*cb)(void *ud, int events);
    void *ud;
    bool closing;
};
struct work {
    uv_work_t req;
    struct fed_loop *loop;
    void (*work)(void *ud);
    void (*done)(void *ud);
    void *ud;
};

static struct fed_loop *loop_of(struct fed_env *env)
{
    return fed_container_of(env, struct fed_loop, env);
}

static uint64_t mono_ns(struct fed_env *env)
{
    (void)env;
    return uv_hrtime();
}

static int64_t wall_ms(struct fed_env *env)
{
    (void)env;
    struct timespec ts;
    FED_REQUIRE(clock_gettime(CLOCK_REALTIME, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void random_bytes(struct fed_env *env, void *out, size_t n)
{
    (void)env;
    for (size_t got = 0; got < n;) {
        ssize_t r = getrandom((char *)out + got, n - got, 0);
        FED_REQUIRE(r > 0 || errno == EINTR);
        got += r > 0 ? (size_t)r : 0;
    }
}

static void on_async(uv_async_t *async)
{
    struct waker *waker = fed_container_of(async, struct waker, async);
    if (waker->wakeup)
        waker->wakeup->cb(waker->wakeup);
}

static void wakeup_open(struct fed_env *env, struct fed_wakeup *w)
{
    struct waker *waker = FED_NEW(struct waker);
    waker->wakeup = w;
    FED_REQUIRE(uv_async_init(&loop_of(env)->uv, &waker->async, on_async) == 0);
    w->impl = waker;
}

static void wakeup_signal(struct fed_wakeup *w)
{
    struct waker *waker = w->impl;
    uv_async_send(&waker->async);
}

static void on_async_closed(uv_handle_t *h)
{
    free(fed_container_of(h, struct waker, async));
}

static void wakeup_close(struct fed_wakeup *w)
{
    struct waker *waker = w->impl;
    if (!waker)
        return;
    waker->wakeup = NULL;
    w->impl = NULL;
    uv_close((uv_handle_t *)&waker->async, on_async_closed);
}

static const struct fed_env_ops env_ops = {
    .mono_ns = mono_ns,
    .wall_ms = wall_ms,
    .random = random_bytes,
    .wakeup_open = wakeup_open,
    .wakeup_signal = wakeup_signal,
    .wakeup_close = wakeup_close,
};

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* the poll has ended; prepare does the work */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct fed_loop *loop = fed_container_of(prepare, struct fed_loop, prepare);
    fed_env_run_due(&loop->env);
    uint64_t next = fed_env_next_ms(&loop->env);
    if (next == UINT64_MAX) {
        uv_timer_stop(&loop->timer);
        return;
    }
    uv_update_time(&loop->uv); /* the callbacks took time; the timeout counts from now */
    uv_timer_start(&loop->timer, on_timer, next, 0);
}

struct fed_loop *fed_loop_new(void)
{
    struct fed_loop *loop = FED_NEW(struct fed_loop);
    FED_REQUIRE(uv_loop_init(&loop->uv) == 0);
    fed_env_init(&loop->env, &env_ops);
    fed_list_init(&loop->objects);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_timer_init(&loop->uv, &loop->timer);
    signal(SIGPIPE, SIG_IGN);
    return loop;
}

static void close_leftover(uv_handle_t *h, void *ud)
{
    (void)ud;
    if (!uv_is_closing(h))
        uv_close(h, h->type == UV_ASYNC ? on_async_closed : NULL);
}

void fed_loop_free(struct fed_loop *loop)
{
    if (!loop)
        return;
    /* Callbacks of a closing object may close or open others: go on until none is left. Closing never waits for
     * the outside, but a job on the thread pool is awaited (its owner's memory is in use). */
    struct fed_list ending;
    fed_list_init(&ending);
    while (!fed_list_empty(&loop->objects) || !fed_list_empty(&ending) || loop->n_work > 0) {
        while (!fed_list_empty(&loop->objects)) {
            struct fed_list *link = loop->objects.next;
            fed_list_remove(link);
            fed_list_push_back(&ending, link); /* the object unlinks itself when it is gone */
            struct fed_loop_object *object = FED_LIST_ENTRY(link, struct fed_loop_object, link);
            object->close(object);
        }
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
    uv_walk(&loop->uv, close_leftover, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
        ;
    FED_REQUIRE(uv_loop_close(&loop->uv) == 0);
    fed_env_release(&loop->env);
    fed_buf_release(&loop->wire);
    free(loop);
}

struct fed_env *fed_loop_env(struct fed_loop *loop)
{
    return &loop->env;
}

void fed_loop_run(struct fed_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void fed_loop_stop(struct fed_loop *loop)
{
    uv_stop(&loop->uv);
}

void fed_loop_adopt(struct fed_loop *loop, struct fed_loop_object *object,
                    void (*close)(struct fed_loop_object *object))
{
    object->close = close;
    fed_list_push_back(&loop->objects, &object->link);
}

int fed_uv_code(int status)
{
    switch (status) {
    case 0:
        return 0;
    case UV_ECONNREFUSED:
        return FED_E_REFUSED;
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
    case UV_ENETDOWN:
    case UV_EADDRNOTAVAIL:
        return FED_E_UNREACHABLE;
    case UV_ETIMEDOUT:
        return FED_E_TIMEOUT;
    case UV_EOF:
        return FED_E_END;
    case UV_ECANCELED:
        return FED_E_CANCELED;
    case UV_EADDRINUSE:
        return FED_E_BUSY;
    case UV_ECONNRESET:
    case UV_EPIPE:
        return FED_E_IO;
    default:
        return fed_code_from_errno(-status);
    }
}

static void on_signal(uv_signal_t *h, int signo)
{
    struct watch *watch = fed_container_of(h, struct watch, signal);
    watch->cb(watch->ud, signo);
}

static void on_watch_closed(uv_handle_t *h)
{
    free(fed_container_of(h, struct watch, signal));
}

static void watch_close(struct fed_loop_object *object)
{
    struct watch *watch = fed_container_of(object, struct watch, object);
    fed_list_remove(&object->link);
    uv_close((uv_handle_t *)&watch->signal, on_watch_closed);
}

void fed_loop_on_signal(struct fed_loop *loop, int signo, void (*cb)(void *ud, int signo), void *ud)
{
    struct watch *watch = FED_NEW(struct watch);
    watch->cb = cb;
    watch->ud = ud;
    FED_REQUIRE(uv_signal_init(&loop->uv, &watch->signal) == 0);
    FED_REQUIRE(uv_signal_start(&watch->signal, on_signal, signo) == 0);
    fed_loop_adopt(loop, &watch->object, watch_close);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct fed_poll *poll = fed_container_of(uv, struct fed_poll, uv);
    /* An error of the descriptor shows in the owner's next read or write. */
    int seen = status < 0 ? FED_POLL_IN | FED_POLL_OUT
                          : (events & UV_READABLE ? FED_POLL_IN : 0) | (events & UV_WRITABLE ? FED_POLL_OUT : 0);
    if (!poll->closing)
        poll->cb(poll->ud, seen);
}

static void on_poll_closed(uv_handle_t *h)
{
    free(fed_container_of(h, struct fed_poll, uv));
}

static void poll_close(struct fed_loop_object *object)
{
    fed_poll_free(fed_container_of(object, struct fed_poll, object));
}

struct fed_poll *fed_poll_new(struct fed_loop *loop, int fd, void (*cb)(void *ud, int events), void *ud)
{
    struct fed_poll *poll = FED_NEW(struct fed_poll);
    poll->cb = cb;
    poll->ud = ud;
    FED_REQUIRE(uv_poll_init(&loop->uv, &poll->uv, fd) == 0);
    fed_loop_adopt(loop, &poll->object, poll_close);
    return poll;
}

void fed_poll_set(struct fed_poll *poll, int events)
{
    int want = (events & FED_POLL_IN ? UV_READABLE : 0) | (events & FED_POLL_OUT ? UV_WRITABLE : 0);
    if (want == 0)
        uv_poll_stop(&poll->uv);
    else
        uv_poll_start(&poll->uv, want, on_poll);
}

void fed_poll_free(struct fed_poll *poll)
{
    if (!poll || poll->closing)
        return;
    poll->closing = true;
    fed_list_remove(&poll->object.link);
    uv_close((uv_handle_t *)&poll->uv, on_poll_closed);
}

static void on_work(uv_work_t *req)
{
    struct work *work = fed_container_of(req, struct work, req);
    work->work(work->ud);
}

static void on_work_done(uv_work_t *req, int status)
{
    (void)status; /* never canceled */
    struct work *work = fed_container_of(req, struct work, req);
    void (*done)(void *) = work->done;
    void *ud = work->ud;
    work->loop->n_work--;
    free(work);
    if (done)
        done(ud);
}

void fed_loop_work(struct fed_loop *loop, void (*work)(void *ud), void (*done)(void *ud), void *ud)
{
    struct work *w = FED_NEW(struct work);
    w->work = work;
    w->done = done;
    w->ud = ud;
    w->loop = loop;
    loop->n_work++;
    FED_REQUIRE(uv_queue_work(&loop->uv, &w->req, on_work, on_work_done) == 0);
}
