/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/io/worker.h"

#include <pthread.h>

#include "base/list.h"
#include "base/mem.h"
#include "net/stream.h"
#include "net/udp.h"

#define TCP_IDLE_MS     10000
#define TCP_MAX_STREAMS 1000
#define TCP_MAX_BACKLOG (256 * 1024)
#define TCP_MAX_IN      (65535 + 2)
#define UDP_MAX_QUERY   2048
#define CLOCK_MS        500
#define DRAIN_MS        300

struct tcp { /* one connection */
    struct gdns_worker *w;
    struct fed_stream *s;
    struct fed_buf in;
    struct fed_timer idle;
    struct fed_list link;
    bool paused;
};
struct lane { /* one thread */
    struct gdns_worker *w;
    struct fed_epoch_reader *reader;
    struct fed_udp *udp; /* NULL: the lane of TCP */
    struct gdns_counters count;
    pthread_t thread;
    bool started;
};
struct gdns_worker {
    struct gdns_shared *shared;
    struct fed_loop *loop;
    struct fed_env *env;
    struct lane lanes[GDNS_MAX_LISTEN + 1]; /* the first is TCP's */
    struct fed_listener *tcp[GDNS_MAX_LISTEN];
    size_t n; /* addresses */
    struct fed_list streams;
    struct fed_wakeup wake;
    struct fed_timer clock, drain;
    atomic_bool stopping;
    atomic_uint now_s;
    uint8_t room[65535];
};

/* One writer: no locked instruction is needed. */
static void bump(atomic_uint_fast64_t *c)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_relaxed);
}

static size_t answer(struct lane *l, struct fed_str msg, const struct fed_addr *peer, uint8_t *reply, size_t room)
{
    struct gdns_worker *w = l->w;
    struct gdns_outcome out;
    bool tcp = !l->udp;
    struct gdns_request rq = {(const uint8_t *)msg.p, msg.n, peer, tcp,
                              atomic_load_explicit(&w->now_s, memory_order_relaxed)};
    fed_epoch_enter(l->reader);
    const struct gdns_world *world = atomic_load(&w->shared->world);
    const struct fed_snapshot *snap = fed_routing_current(&w->shared->routing);
    size_t n = gdns_answer(&world->conf, snap, world->geo, &rq, reply, room, &out);
    fed_epoch_leave(l->reader);
    bump(&l->count.queries[tcp]);
    if (out.dropped) {
        bump(&l->count.dropped);
        return n;
    }
    bump(&l->count.rcodes[FED_MIN(out.rcode, GDNS_COUNT_RCODES - 1)]);
    if (out.truncated)
        bump(&l->count.truncated);
    if (out.ecs)
        bump(&l->count.ecs);
    return n;
}

static size_t on_packet(void *ud, const struct fed_udp_packet *q, char *reply, size_t room)
{
    return answer(ud, q->bytes, q->peer, (uint8_t *)reply, room);
}

/* --- TCP --- */

static void on_idle(struct fed_timer *t)
{
    fed_stream_close(fed_container_of(t, struct tcp, idle)->s);
}

static void touch(struct tcp *c)
{
    fed_timer_start(c->w->env, &c->idle, TCP_IDLE_MS, on_idle);
}

/* Answers every whole message in the buffer. A producer that does not read its answers is paused. */
static void serve(struct tcp *c)
{
    struct gdns_worker *w = c->w;
    size_t at = 0;
    while (!c->paused && c->in.n - at >= 2) {
        const uint8_t *p = (const uint8_t *)c->in.p + at;
        size_t len = (size_t)p[0] << 8 | p[1];
        if (c->in.n - at < 2 + len)
            break;
        size_t n =
            answer(&w->lanes[0], fed_str_n((const char *)p + 2, len), fed_stream_peer(c->s), w->room, sizeof(w->room));
        at += 2 + len;
        if (!n) { /* what gets no answer over UDP does not deserve a connection */
            fed_stream_close(c->s);
            return;
        }
        char head[2] = {(char)(n >> 8), (char)n};
        fed_stream_write(c->s, fed_str_n(head, 2));
        if (fed_stream_write(c->s, fed_str_n((const char *)w->room, n)) > TCP_MAX_BACKLOG) {
            c->paused = true;
            fed_stream_pause(c->s, true);
        }
    }
    fed_buf_consume(&c->in, at);
}

static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct tcp *c = ud;
    while (bytes.n > 0) {
        size_t n = FED_MIN(bytes.n, TCP_MAX_IN - c->in.n);
        if (!n) { /* paused with a full buffer: the peer sends without reading */
            fed_stream_close(s);
            return;
        }
        fed_buf_append(&c->in, bytes.p, n);
        bytes = fed_str_from(bytes, n);
        serve(c);
    }
    touch(c);
}

static void on_drained(void *ud, struct fed_stream *s)
{
    struct tcp *c = ud;
    if (!c->paused)
        return;
    c->paused = false;
    serve(c);
    if (!c->paused)
        fed_stream_pause(s, false);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct tcp *c = ud;
    (void)code;
    (void)err;
    fed_timer_stop(c->w->env, &c->idle);
    fed_list_remove(&c->link);
    fed_buf_release(&c->in);
    free(c);
}

static const struct fed_stream_handlers tcp_handlers = {.data = on_data, .drained = on_drained, .end = on_end};

static void on_accept(void *ud, struct fed_stream *s)
{
    struct gdns_worker *w = ud;
    struct tcp *c = FED_NEW(struct tcp);
    c->w = w;
    c->s = s;
    fed_buf_init(&c->in, TCP_MAX_IN);
    fed_list_push_back(&w->streams, &c->link);
    bump(&w->lanes[0].count.tcp_connections);
    fed_stream_set_handlers(s, &tcp_handlers, c);
    touch(c);
}

/* --- life --- */

static void on_drain_end(struct fed_timer *t)
{
    fed_loop_stop(fed_container_of(t, struct gdns_worker, drain)->loop);
}

static void close_listeners(struct gdns_worker *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->tcp[i])
            fed_listener_close(w->tcp[i]);
        w->tcp[i] = NULL;
    }
}

static void on_wake(struct fed_wakeup *wake)
{
    struct gdns_worker *w = fed_container_of(wake, struct gdns_worker, wake);
    if (!atomic_load(&w->stopping) || fed_timer_active(&w->drain))
        return;
    close_listeners(w);
    FED_LIST_EACH_SAFE(it, &w->streams)
        fed_stream_shutdown(FED_LIST_ENTRY(it, struct tcp, link)->s);
    fed_timer_start(w->env, &w->drain, fed_list_empty(&w->streams) ? 1 : DRAIN_MS, on_drain_end);
}

static void on_clock(struct fed_timer *t)
{
    struct gdns_worker *w = fed_container_of(t, struct gdns_worker, clock);
    atomic_store_explicit(&w->now_s, (unsigned)(fed_wall_ms(w->env) / 1000), memory_order_relaxed);
    fed_timer_start(w->env, &w->clock, CLOCK_MS, on_clock);
}

static struct lane *open_lane(struct gdns_worker *w, size_t i)
{
    struct lane *l = &w->lanes[i];
    l->w = w;
    l->reader = fed_epochs_reader(w->shared->routing.epochs);
    FED_REQUIRE(l->reader);
    return l;
}

static int open_sockets(struct gdns_worker *w, const struct fed_addr *a, struct fed_err *err)
{
    struct lane *lane = open_lane(w, w->n + 1);
    struct fed_udp_conf u = {.addr = *a,
                             .reuseport = true,
                             .max_query = UDP_MAX_QUERY,
                             .max_reply = GDNS_MAX_UDP,
                             .handle = on_packet,
                             .ud = lane};
    int rc = fed_udp_open(NULL, &u, &lane->udp, err);
    if (rc) {
        lane->udp = NULL;
        return rc;
    }
    struct fed_listener_conf l = {.addr = *fed_udp_addr(lane->udp),
                                  .reuseport = true,
                                  .accept = on_accept,
                                  .ud = w,
                                  .max_streams = TCP_MAX_STREAMS};
    rc = fed_listener_open(w->loop, &l, &w->tcp[w->n], err);
    if (rc)
        w->tcp[w->n] = NULL;
    w->n++;
    return rc;
}

int gdns_worker_new(struct gdns_shared *shared, const struct fed_addr *listen, size_t n_listen,
                    struct gdns_worker **out, struct fed_err *err)
{
    struct gdns_worker *w = FED_NEW(struct gdns_worker);
    int rc = 0;
    FED_REQUIRE(n_listen <= GDNS_MAX_LISTEN);
    w->shared = shared;
    w->loop = fed_loop_new();
    w->env = fed_loop_env(w->loop);
    open_lane(w, 0);
    fed_list_init(&w->streams);
    fed_wakeup_open(w->env, &w->wake, on_wake);
    on_clock(&w->clock);
    for (size_t i = 0; !rc && i < n_listen; i++)
        rc = open_sockets(w, &listen[i], err);
    if (rc) {
        gdns_worker_free(w);
        return rc;
    }
    *out = w;
    return 0;
}

static void *run_udp(void *ud)
{
    struct lane *l = ud;
    fed_udp_run(l->udp, &l->w->stopping);
    return NULL;
}

static void *run_tcp(void *ud)
{
    struct lane *l = ud;
    fed_loop_run(l->w->loop);
    return NULL;
}

int gdns_worker_start(struct gdns_worker *w, struct fed_err *err)
{
    for (size_t i = 0; i <= w->n; i++) {
        struct lane *l = &w->lanes[i];
        if (pthread_create(&l->thread, NULL, l->udp ? run_udp : run_tcp, l))
            return fed_err_set(err, FED_E_INTERNAL, "no thread could be started");
        l->started = true;
    }
    return 0;
}

void gdns_worker_stop(struct gdns_worker *w)
{
    atomic_store(&w->stopping, true);
    fed_wakeup_signal(&w->wake);
}

void gdns_worker_free(struct gdns_worker *w)
{
    if (!w)
        return;
    gdns_worker_stop(w);
    for (size_t i = 0; i < FED_ARRAY_LEN(w->lanes); i++) {
        struct lane *l = &w->lanes[i];
        if (l->started)
            pthread_join(l->thread, NULL);
        fed_udp_close(l->udp);
    }
    close_listeners(w);
    FED_LIST_EACH_SAFE(it, &w->streams)
        fed_stream_close(FED_LIST_ENTRY(it, struct tcp, link)->s);
    fed_timer_stop(w->env, &w->clock);
    fed_timer_stop(w->env, &w->drain);
    fed_wakeup_close(&w->wake);
    fed_loop_free(w->loop);
    free(w);
}

const struct gdns_counters *gdns_worker_counters(const struct gdns_worker *w, size_t lane)
{
    return lane <= w->n ? &w->lanes[lane].count : NULL;
}

uint16_t gdns_worker_port(const struct gdns_worker *w, size_t i)
{
    return i < w->n && w->lanes[i + 1].udp ? fed_addr_port(fed_udp_addr(w->lanes[i + 1].udp)) : 0;
}
