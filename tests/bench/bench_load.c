/* SPDX-License-Identifier: Apache-2.0 */
/* bench_load: an HTTPS/1.1 client that costs as little as possible, because it shares the cores with what it measures.
 *
 * usage: bench_load HOST:PORT load CONNECTIONS SECONDS FROM REQUEST
 *        bench_load HOST:PORT watch WATCHERS WRITES WATCH_REQUEST WRITE_REQUEST
 * REQUEST is a file with the bytes of one request; a run of ten # in it becomes a number, in decimal: of the request,
 * counted from FROM. `load` keeps one request under way on each connection, for SECONDS after all have connected; with
 * SECONDS 0 it sends one on each. `watch` opens WATCHERS streams, one connection each, and then makes WRITES writes, one
 * after the other; the time is from a write's first byte sent until a stream has brought its line.
 * The server's certificate is not verified. Prints one JSON line; client_cpu_s is what this program itself used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "http/h1.h"
#include "net/stream.h"

#define AT_ONCE 16 /* handshakes */
#define DIGITS  10

struct load;
struct conn {
    struct load *l;
    struct fed_stream *s;
    struct fed_h1_head head;
    struct fed_h1_body body;
    bool in_body, is_watch, opened;
    struct fed_buf part; /* of a head that has not come whole */
    uint64_t sent_ns;
};
struct template
{
    struct fed_buf bytes;
    char *place; /* of the digits; NULL: none */
};
struct load {
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_addr addr;
    struct fed_tls *tls;
    struct template request, write;
    struct conn *conns, writer;
    size_t n_conns, n_open, next_open;
    uint64_t number, requests, bytes, seconds;
    uint64_t begin_ns, end_ns;
    struct rusage used;
    struct fed_timer timer;
    bool running;
    uint64_t *took; /* microseconds a step; the last counts what took longer */
    size_t writes, written, got;
    bool answered;
    struct fed_task task;
};
enum { STEPS = 1000 * 1000 };

static void die(const char *what, struct fed_str more)
{
    fprintf(stderr, "bench_load: %s: %.*s\n", what, FED_STR_ARG(more));
    exit(1);
}

/* --- figures --- */

static void took(struct load *l, uint64_t since_ns)
{
    uint64_t us = (fed_mono_ns(l->env) - since_ns) / 1000;
    l->took[FED_MIN(us, (uint64_t)STEPS - 1)]++;
}

static double at(const struct load *l, double part)
{
    uint64_t n = 0, sum = 0;
    for (size_t i = 0; i < STEPS; i++)
        n += l->took[i];
    for (size_t i = 0; i < STEPS; i++)
        if ((sum += l->took[i]) > 0 && (double)sum >= part * (double)n)
            return (double)i / 1000;
    return 0;
}

static double cpu_s(const struct rusage *from)
{
    struct rusage now;
    getrusage(RUSAGE_SELF, &now);
    return (double)(now.ru_utime.tv_sec - from->ru_utime.tv_sec + now.ru_stime.tv_sec - from->ru_stime.tv_sec) +
           (double)(now.ru_utime.tv_usec - from->ru_utime.tv_usec + now.ru_stime.tv_usec - from->ru_stime.tv_usec) /
               1e6;
}

static void begin(struct load *l)
{
    l->running = true;
    l->begin_ns = fed_mono_ns(l->env);
    getrusage(RUSAGE_SELF, &l->used);
}

static void finish(struct load *l)
{
    double s = (double)(fed_mono_ns(l->env) - l->begin_ns) / 1e9;
    l->running = false;
    printf("{\"connections\":%zu,\"requests\":%llu,\"seconds\":%.3f,\"per_s\":%.1f,\"mb_per_s\":%.1f,\"p50_ms\":%.3f,"
           "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"client_cpu_s\":%.3f}\n",
           l->n_conns, (unsigned long long)l->requests, s, (double)l->requests / s, (double)l->bytes / s / 1e6,
           at(l, 0.5), at(l, 0.99), at(l, 1), cpu_s(&l->used));
    fed_loop_stop(l->loop);
}

/* --- requests --- */

/* Puts the next number in place of the digits. */
static void put_number(struct load *l, struct template *t)
{
    uint64_t v = l->number++;
    for (int i = DIGITS; t->place && i-- > 0; v /= 10)
        t->place[i] = (char)('0' + v % 10);
}

static void send_request(struct conn *c, struct template *request)
{
    struct load *l = c->l;
    put_number(l, request);
    fed_h1_init(&c->head);
    c->in_body = false;
    c->sent_ns = fed_mono_ns(l->env);
    fed_stream_write(c->s, fed_buf_str(&request->bytes));
}

static void write_next(struct fed_task *task)
{
    struct load *l = fed_container_of(task, struct load, task);
    l->got = 0;
    l->answered = false;
    l->written++;
    send_request(&l->writer, &l->write);
}

static void round_over(struct load *l)
{
    if (!l->answered || l->got < l->n_conns)
        return;
    if (l->written == l->writes)
        finish(l);
    else
        fed_task_post(l->env, &l->task, write_next);
}

static void answered(struct conn *c)
{
    struct load *l = c->l;
    l->requests++;
    if (c == &l->writer) {
        l->answered = true;
        round_over(l);
        return;
    }
    took(l, c->sent_ns);
    if (l->seconds == 0 && l->requests == l->n_conns)
        finish(l);
    else if (l->seconds && l->running)
        send_request(c, &l->request);
}

static void watch_bytes(struct conn *c, struct fed_str data)
{
    struct load *l = c->l;
    for (const char *p = data.p, *end = p + data.n; (p = memchr(p, '\n', (size_t)(end - p))); p++) {
        took(l, l->writer.sent_ns);
        l->got++;
    }
    round_over(l);
}

static void open_more(struct load *l);

/* A head has come whole; c->head has it. */
static void on_head(struct conn *c, struct fed_str rest)
{
    struct load *l = c->l;
    if (c->head.response_status < 200 || c->head.response_status > 299)
        die("answer", rest);
    fed_h1_body_init(&c->body, c->head.framing, c->head.content_length);
    c->in_body = true;
    if (!c->is_watch)
        return;
    l->n_open++;
    open_more(l);
    if (l->n_open == l->n_conns) {
        begin(l);
        fed_task_post(l->env, &l->task, write_next);
    }
}

/* Takes bytes off *in; false: more are needed. */
static bool step(struct conn *c, struct fed_str *in)
{
    struct fed_str data;
    if (!c->in_body) {
        int n = fed_h1_parse_response(&c->head, *in, FED_H1_GET);
        if (n < 0)
            die("not HTTP", *in);
        if (n == 0)
            return false;
        *in = fed_str_from(*in, (size_t)n);
        on_head(c, *in);
        return true;
    }
    int rc = fed_h1_body_next(&c->body, in, &data);
    if (rc < 0)
        die("bad body", *in);
    if (rc == FED_H1_MORE)
        return false;
    if (rc == FED_H1_END) {
        if (c->is_watch)
            die("a watch ended", *in);
        answered(c);
        return in->n > 0;
    }
    c->l->bytes += data.n;
    if (c->is_watch)
        watch_bytes(c, data);
    return true;
}

static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct conn *c = ud;
    (void)s;
    bool joined = c->part.n > 0;
    if (joined)
        fed_buf_add(&c->part, bytes);
    struct fed_str in = joined ? fed_buf_str(&c->part) : bytes;
    while (step(c, &in))
        ;
    if (joined)
        fed_buf_consume(&c->part, c->part.n - in.n);
    else if (!c->in_body)
        fed_buf_add(&c->part, in);
}

static void all_open(struct load *l)
{
    begin(l);
    for (size_t i = 0; i < l->n_conns; i++)
        send_request(&l->conns[i], &l->request);
}

static void times_up(struct fed_timer *t)
{
    finish(fed_container_of(t, struct load, timer));
}

static void on_open(void *ud, struct fed_stream *s)
{
    struct conn *c = ud;
    struct load *l = c->l;
    (void)s;
    if (c == &l->writer) {
        open_more(l);
    } else if (c->is_watch) {
        send_request(c, &l->request);
    } else if (++l->n_open == l->n_conns) {
        all_open(l);
        if (l->seconds)
            fed_timer_start(l->env, &l->timer, l->seconds * 1000, times_up);
    } else {
        open_more(l);
    }
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    (void)ud, (void)code;
    die("a connection ended", fed_str(err ? err->text : "in order"));
}

static void connect_one(struct load *l, struct conn *c)
{
    static const struct fed_stream_handlers handlers = {.open = on_open, .data = on_data, .end = on_end};
    c->l = l;
    c->s = fed_stream_connect(
        l->loop, &l->addr,
        &(struct fed_stream_conf){.handlers = &handlers, .ud = c, .tls = l->tls, .connect_timeout_ms = 60000});
}

/* A thousand handshakes at once are another benchmark. */
static void open_more(struct load *l)
{
    while (l->next_open < l->n_conns && l->next_open < l->n_open + AT_ONCE) {
        struct conn *c = &l->conns[l->next_open++];
        c->is_watch = l->writes > 0;
        connect_one(l, c);
    }
}

static uint64_t number_of(const char *text)
{
    uint64_t n = 0;
    if (fed_str_u64(fed_str(text), &n))
        die("not a number", fed_str(text));
    return n;
}

static void read_request(const char *path, struct template *out)
{
    struct fed_err err = {0};
    if (fed_file_read(path, 1 << 20, &out->bytes, &err))
        die(path, fed_str(err.text));
    ptrdiff_t at = fed_str_find(fed_buf_str(&out->bytes), FED_STR("##########"), 0);
    out->place = at < 0 ? NULL : out->bytes.p + at;
}

int main(int argc, char **argv)
{
    struct load l = {0};
    struct fed_err err = {0};
    bool watch = argc == 7 && strcmp(argv[2], "watch") == 0;
    if (!watch && !(argc == 7 && strcmp(argv[2], "load") == 0)) {
        fprintf(stderr, "usage: bench_load HOST:PORT load CONNECTIONS SECONDS FROM REQUEST\n"
                        "       bench_load HOST:PORT watch WATCHERS WRITES WATCH_REQUEST WRITE_REQUEST\n");
        return 2;
    }
    (void)!setrlimit(RLIMIT_NOFILE, &(struct rlimit){65536, 65536});
    l.loop = fed_loop_new();
    l.env = fed_loop_env(l.loop);
    l.took = fed_calloc(STEPS, sizeof(*l.took));
    l.n_conns = number_of(argv[3]);
    l.conns = fed_calloc(l.n_conns, sizeof(*l.conns));
    if (fed_addr_parse_hostport(fed_str(argv[1]), &l.addr))
        die("not an address", fed_str(argv[1]));
    if (fed_tls_new(l.env, &(struct fed_tls_conf){.insecure = true}, &l.tls, &err))
        die("TLS", fed_str(err.text));
    if (watch) {
        l.writes = number_of(argv[4]);
        read_request(argv[5], &l.request);
        read_request(argv[6], &l.write);
        connect_one(&l, &l.writer);
    } else {
        l.seconds = number_of(argv[4]);
        l.number = number_of(argv[5]);
        read_request(argv[6], &l.request);
        open_more(&l);
    }
    fed_loop_run(l.loop);
    return 0;
}
