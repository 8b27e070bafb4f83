/* SPDX-License-Identifier: Apache-2.0 */
/* The server as seen by a client that sends bytes of its own choice; with a real client in test_httpc.c. */
#include "web.h"

static void dial(struct web *w, struct end *e)
{
    struct fed_stream_conf conf = {.handlers = &end_handlers, .ud = e};
    e->s = fed_stream_connect(w->bench.loop, fed_httpd_addr(w->httpd), &conf);
}

static void hang_up(struct web *w, struct end *e)
{
    if (e->s) {
        fed_stream_close(e->s);
        BENCH_RUN(&w->bench, end_has_ended, e);
    }
    end_release(e);
}

struct wait {
    struct end *e;
    const char *text;
};
static bool has_text(void *ud)
{
    struct wait *w = ud;
    return w->e->n_end || strstr(fed_buf_z(&w->e->got), w->text) != NULL;
}
static void await(struct web *w, struct end *e, const char *text)
{
    struct wait wait = {e, text};
    BENCH_RUN(&w->bench, has_text, &wait);
    if (!strstr(fed_buf_z(&e->got), text))
        fail_msg("no \"%s\" in: %s", text, fed_buf_z(&e->got));
}
static bool got_eof(void *ud)
{
    struct end *e = ud;
    return e->n_eof || e->n_end;
}

/* The bytes sent until the server ends, without the Date header. */
static void exchange(struct web *w, struct fed_str request, size_t cut, struct fed_buf *answer)
{
    struct end e = {0};
    dial(w, &e);
    BENCH_RUN(&w->bench, end_is_open, &e);
    fed_stream_write(e.s, fed_str_head(request, cut));
    if (cut < request.n) {
        /* Another connection's whole exchange lies between the two pieces: they arrive apart. */
        struct end other = {0};
        dial(w, &other);
        fed_stream_write(other.s, FED_STR("GET /between HTTP/1.0\r\n\r\n"));
        BENCH_RUN(&w->bench, got_eof, &other);
        hang_up(w, &other);
        if (e.s)
            fed_stream_write(e.s, fed_str_from(request, cut));
    }
    BENCH_RUN(&w->bench, got_eof, &e);
    struct fed_str rest = fed_buf_str(&e.got), line;
    fed_buf_reset(answer);
    while (fed_str_cut(&rest, '\n', &line))
        if (!fed_str_starts(line, FED_STR("Date: "))) {
            fed_buf_add(answer, fed_str_trim(line));
            fed_buf_addc(answer, rest.p ? '|' : ' ');
        }
    hang_up(w, &e);
}

#define END "Connection: close\r\n\r\n"
static const struct {
    const char *in, *want; /* want: how the answer begins, or all of it when it ends with a space */
} cases[] = {
    {"GET /a HTTP/1.1\r\nHost: h\r\n" END,
     "HTTP/1.1 200 OK|Content-Type: text/plain|Connection: close|Content-Length: 2||/a "},
    {"GET /a HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK|Content-Type: text/plain|Connection: close|Content-Length: 2||/a "},
    {"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
     "HTTP/1.1 200 OK|Content-Type: text/plain|Connection: keep-alive|Content-Length: 2||/aHTTP/1.1 200 OK|"
     "Content-Type: text/plain|Connection: close|Content-Length: 2||/b "},
    {"HEAD /a HTTP/1.1\r\nHost: h\r\n" END,
     "HTTP/1.1 200 OK|Content-Type: text/plain|Connection: close|Content-Length: 2|| "},
    {"GET /204 HTTP/1.1\r\nHost: h\r\n" END, "HTTP/1.1 204 No Content|Connection: close|| "},
    {"POST /echo HTTP/1.1\r\nHost: h\r\nX-CUSTOM: c\r\nContent-Length: 3\r\n" END "abc",
     "HTTP/1.1 200 OK|Content-Type: text/plain|X-Method: POST|X-Host: h|X-Custom: c|Connection: close|"
     "Content-Length: 3||abc "},
    {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" END "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
     "HTTP/1.1 200 OK|Content-Type: text/plain|X-Method: POST|X-Host: h|X-Custom:|Connection: close|"
     "Content-Length: 3||abc "},
    {"GET http://x.y/p?q HTTP/1.1\r\nHost: h\r\n" END,
     "HTTP/1.1 200 OK|Content-Type: text/plain|Connection: close|Content-Length: 14||http://x.y/p?q "},
    /* Pipelined; /later answers from a timer, and order holds. */
    {"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n" END,
     "HTTP/1.1 200 OK|Content-Type: text/plain|Content-Length: 2||/1HTTP/1.1 200 OK|Content-Type: text/plain|"
     "Content-Length: 5||laterHTTP/1.1 200 OK|Content-Type: text/plain|Connection: close|Content-Length: 2||/3 "},
    /* Refused; what follows is not looked at. */
    {"GET /x\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n",
     "HTTP/1.1 400 Bad Request|Connection: close|Content-Type: text/plain; charset=utf-8|Content-Length: 12||"
     "Bad Request| "},
    {"GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 "},
    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 "},
    {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\nabc", "HTTP/1.1 413 "},
    {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", "HTTP/1.1 400 "},
    {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 "},
    {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 "},
    {"POST /echo HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n", "HTTP/1.1 417 "},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\nXX", "HTTP/1.1 505 "},
};

static void test_cases(void **state)
{
    (void)state;
    struct web *w = web_new(&(struct fed_httpd_conf){.max_body = 1000}, NULL);
    struct fed_buf got = {.max = 0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_str in = fed_str(cases[i].in), want = fed_str(cases[i].want);
        bool refused = fed_str_starts(want, FED_STR("HTTP/1.1 4")) || fed_str_starts(want, FED_STR("HTTP/1.1 5"));
        for (size_t cut = refused ? in.n : 1; cut <= in.n; cut += 3) {
            exchange(w, in, cut, &got);
            bool ok = fed_str_starts(fed_buf_str(&got), want);
            if (!ok)
                fail_msg("%s cut at %zu:\n%s", cases[i].in, cut, fed_buf_z(&got));
        }
    }
    fed_buf_release(&got);
    web_free(w);
}

static void test_too_large(void **state)
{
    (void)state;
    struct web *w = web_new(&(struct fed_httpd_conf){.max_body = 100000}, NULL);
    struct fed_buf in = {.max = 0}, got = {.max = 0};
    fed_buf_addz(&in, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    while (in.n < 70000)
        fed_buf_addc(&in, 'x');
    exchange(w, fed_buf_str(&in), in.n, &got);
    assert_true(fed_str_starts(fed_buf_str(&got), FED_STR("HTTP/1.1 431 ")));
    /* A chunked body that grows over the limit; the client sends on and still reads the answer. */
    fed_buf_reset(&in);
    fed_buf_addz(&in, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 4000; i++)
        fed_buf_addz(&in, "20\r\n01234567890123456789012345678901\r\n");
    exchange(w, fed_buf_str(&in), in.n, &got);
    assert_true(fed_str_starts(fed_buf_str(&got), FED_STR("HTTP/1.1 413 ")));
    assert_int_equal(w->n_handled, 0);
    fed_buf_release(&in);
    fed_buf_release(&got);
    web_free(w);
}

static void test_continue(void **state)
{
    (void)state;
    struct web *w = web_new(NULL, NULL);
    struct end e = {0};
    dial(w, &e);
    fed_stream_write(e.s,
                     FED_STR("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    await(w, &e, "100 Continue\r\n\r\n");
    fed_stream_write(e.s, FED_STR("ok"));
    await(w, &e, "\r\n\r\nok");
    hang_up(w, &e);
    web_free(w);
}

static void test_timeouts(void **state)
{
    (void)state;
    struct web *w = web_new(&(struct fed_httpd_conf){.header_timeout_ms = 60, .idle_timeout_ms = 120}, NULL);
    struct end silent = {0}, slow = {0}, idle = {0}, body = {0};
    dial(w, &silent);
    dial(w, &slow);
    dial(w, &idle);
    dial(w, &body);
    fed_stream_write(slow.s, FED_STR("GET / HTTP/1.1\r\nHo"));
    fed_stream_write(idle.s, FED_STR("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
    fed_stream_write(body.s, FED_STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"));
    BENCH_RUN(&w->bench, got_eof, &silent);
    BENCH_RUN(&w->bench, got_eof, &slow);
    BENCH_RUN(&w->bench, got_eof, &idle);
    BENCH_RUN(&w->bench, got_eof, &body);
    assert_int_equal(silent.got.n, 0);
    assert_true(fed_str_starts(fed_buf_str(&slow.got), FED_STR("HTTP/1.1 408 ")));
    assert_true(fed_str_starts(fed_buf_str(&idle.got), FED_STR("HTTP/1.1 200 ")));
    assert_true(fed_str_starts(fed_buf_str(&body.got), FED_STR("HTTP/1.1 408 ")));
    hang_up(w, &silent);
    hang_up(w, &slow);
    hang_up(w, &idle);
    hang_up(w, &body);
    web_free(w);
}

static int nobody_may(void *ud, const struct fed_http_request *r)
{
    (void)ud;
    return fed_http_request_header(r, "authorization").p ? 0 : 401;
}

/* Of those who may not, a small body is read, and no byte of a large one. */
static void test_strangers(void **state)
{
    (void)state;
    static const struct {
        const char *request, *answer;
    } tries[] = {
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 "},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n", "HTTP/1.1 401 "},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n", NULL},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nAuthorization: x\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n",
         "HTTP/1.1 100 "},
    };
    struct web *w = web_new(&(struct fed_httpd_conf){.may_send = nobody_may}, NULL);
    for (size_t i = 0; i < FED_ARRAY_LEN(tries); i++) {
        struct end e = {0};
        dial(w, &e);
        fed_stream_write(e.s, fed_str(tries[i].request));
        if (!tries[i].answer) {
            static char block[65537];
            fed_stream_write(e.s, fed_str_n(block, sizeof block));
        }
        const char *want = tries[i].answer ? tries[i].answer : "HTTP/1.1 401 ";
        await(w, &e, want);
        assert_true(fed_str_starts(fed_buf_str(&e.got), fed_str(want)));
        hang_up(w, &e);
    }
    web_free(w);
}

static bool none_left(void *ud)
{
    return fed_metric_value(ud) == 0;
}

/* One beyond the limit is told so; when one has gone there is room again. */
static void test_crowd(void **state)
{
    (void)state;
    struct fed_metrics *metrics = fed_metrics_new();
    struct web *w = web_new(&(struct fed_httpd_conf){.max_peer_connections = 2, .metrics = metrics}, NULL);
    struct fed_metric *now = fed_metrics_gauge(metrics, "hansa_http_connections", "");
    for (int round = 0; round < 2; round++) {
        struct end e[3] = {0};
        for (int i = 0; i < 3; i++) {
            dial(w, &e[i]);
            fed_stream_write(e[i].s, FED_STR("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
            await(w, &e[i], i < 2 ? "HTTP/1.1 200 " : "Retry-After: 1\r\n");
        }
        assert_true(fed_str_starts(fed_buf_str(&e[2].got), FED_STR("HTTP/1.1 429 ")));
        for (int i = 0; i < 3; i++)
            hang_up(w, &e[i]);
        BENCH_RUN(&w->bench, none_left, now);
    }
    web_free(w);
    fed_metrics_free(metrics);
}

static bool watch_is_there(void *ud)
{
    return ((struct web *)ud)->watch != NULL;
}
static bool one_closed(void *ud)
{
    return ((struct web *)ud)->n_closed > 0;
}
static bool later_waits(void *ud)
{
    return ((struct web *)ud)->later_x != NULL;
}
static bool later_done(void *ud)
{
    return ((struct web *)ud)->later_x == NULL;
}

static void test_watch(void **state)
{
    (void)state;
    struct web *w = web_new(NULL, NULL);
    struct end e = {0};
    dial(w, &e);
    fed_stream_write(e.s, FED_STR("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n"));
    BENCH_RUN(&w->bench, watch_is_there, w);
    await(w, &e, "Transfer-Encoding: chunked\r\n\r\n");
    fed_http_stream_write(w->watch, FED_STR("event"));
    await(w, &e, "5\r\nevent\r\n");
    fed_http_stream_end(w->watch);
    await(w, &e, "0\r\n\r\n");
    BENCH_RUN(&w->bench, one_closed, w);
    /* The connection goes on; the next watcher leaves in the middle. */
    fed_stream_write(e.s, FED_STR("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n"));
    BENCH_RUN(&w->bench, watch_is_there, w);
    w->n_closed = 0;
    hang_up(w, &e);
    BENCH_RUN(&w->bench, one_closed, w);
    assert_int_equal(w->n_closed, 1);
    web_free(w);
}

static void test_gone(void **state)
{
    (void)state;
    struct web *w = web_new(NULL, NULL);
    /* With `closed` the handler is told, without it answers into nothing. */
    struct end e = {0};
    dial(w, &e);
    fed_stream_write(e.s, FED_STR("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"));
    BENCH_RUN(&w->bench, watch_is_there, w);
    hang_up(w, &e);
    BENCH_RUN(&w->bench, one_closed, w);
    dial(w, &e);
    fed_stream_write(e.s, FED_STR("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    BENCH_RUN(&w->bench, later_waits, w);
    hang_up(w, &e);
    BENCH_RUN(&w->bench, later_done, w);
    w->later_streams = true; /* the stream that begins too late is told so */
    w->n_closed = 0;
    dial(w, &e);
    fed_stream_write(e.s, FED_STR("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    BENCH_RUN(&w->bench, later_waits, w);
    hang_up(w, &e);
    BENCH_RUN(&w->bench, one_closed, w);
    w->later_streams = false;
    /* A client that only ended its side gets its answer. */
    dial(w, &e);
    fed_stream_write(e.s, FED_STR("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    fed_stream_shutdown(e.s);
    await(w, &e, "later");
    hang_up(w, &e);
    dial(w, &e);
    fed_stream_write(e.s, FED_STR("GET /abort HTTP/1.1\r\nHost: h\r\n\r\n"));
    BENCH_RUN(&w->bench, got_eof, &e);
    assert_int_equal(e.got.n, 0);
    assert_int_equal(w->n_closed, 2); /* this one, and the stream that began too late */
    hang_up(w, &e);
    web_free(w);
}

static void test_upgrade(void **state)
{
    (void)state;
    struct web *w = web_new(NULL, NULL);
    struct end e = {0};
    dial(w, &e);
    fed_stream_write(e.s,
                     FED_STR("GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly"));
    await(w, &e, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi early");
    assert_int_equal(w->n_closed, 1);
    fed_stream_write(e.s, FED_STR(" bird"));
    await(w, &e, "early bird");
    /* An upgraded stream is no business of the server's end. */
    fed_httpd_close(w->httpd, 0, web_on_server_closed, w);
    BENCH_RUN(&w->bench, web_server_is_closed, w);
    fed_stream_write(e.s, FED_STR(" worm"));
    await(w, &e, "bird worm");
    fed_stream_shutdown(e.s);
    BENCH_RUN(&w->bench, end_has_ended, &w->upgraded);
    hang_up(w, &e);
    web_free(w);
}

static void test_close(void **state)
{
    (void)state;
    struct web *w = web_new(NULL, NULL);
    struct end idle = {0}, busy = {0}, watch = {0};
    dial(w, &idle);
    dial(w, &busy);
    dial(w, &watch);
    fed_stream_write(idle.s, FED_STR("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    await(w, &idle, "/a");
    fed_stream_write(watch.s, FED_STR("GET /watch HTTP/1.1\r\nHost: h\r\n\r\n"));
    BENCH_RUN(&w->bench, watch_is_there, w);
    fed_stream_write(busy.s, FED_STR("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    BENCH_RUN(&w->bench, later_waits, w);
    fed_httpd_close(w->httpd, 1000, web_on_server_closed, w);
    BENCH_RUN(&w->bench, got_eof, &idle);
    await(w, &busy, "Connection: close\r\nContent-Length: 5\r\n\r\nlater");
    BENCH_RUN(&w->bench, web_server_is_closed, w); /* the watcher is cut when the grace is over */
    assert_int_equal(w->n_closed, 1);
    hang_up(w, &idle);
    hang_up(w, &busy);
    hang_up(w, &watch);
    web_free(w);
}

static bool all_bulk(void *ud)
{
    struct end *e = ud;
    return e->n_got > 30000000 || e->n_end;
}

static void test_backpressure(void **state)
{
    (void)state;
    struct web *w = web_new(NULL, NULL);
    struct end e = {.count_only = true};
    w->bulk_left = 30000000;
    dial(w, &e);
    fed_stream_pause(e.s, true);
    fed_stream_write(e.s, FED_STR("GET /bulk HTTP/1.1\r\nHost: h\r\n\r\n"));
    BENCH_RUN(&w->bench, watch_is_there, w);
    fed_stream_pause(e.s, false);
    BENCH_RUN(&w->bench, all_bulk, &e);
    BENCH_RUN(&w->bench, one_closed, w);
    assert_true(w->n_drained >= 2);
    hang_up(w, &e);
    web_free(w);
}

/* An answer is over when the client has taken it; who takes nothing is cut off. */
static void test_unread(void **state)
{
    (void)state;
    struct web *w = web_new(&(struct fed_httpd_conf){.idle_timeout_ms = 400}, NULL);
    struct end e = {.count_only = true}, other = {0};
    web_make_huge(w);
    dial(w, &e);
    BENCH_RUN(&w->bench, end_is_open, &e);
    fed_stream_pause(e.s, true);
    fed_stream_write(e.s, FED_STR("GET /huge/told HTTP/1.1\r\nHost: h\r\n\r\n"));
    dial(w, &other); /* meanwhile */
    fed_stream_write(other.s, FED_STR("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    await(w, &other, "later");
    assert_int_equal(w->n_handled, 2);
    assert_int_equal(w->n_closed, 0);
    fed_stream_pause(e.s, false);
    BENCH_RUN(&w->bench, one_closed, w);
    fed_stream_write(e.s, FED_STR("GET /x HTTP/1.1\r\nHost: h\r\n" END));
    BENCH_RUN(&w->bench, got_eof, &e);
    assert_true(e.n_got > WEB_HUGE);
    hang_up(w, &e);
    hang_up(w, &other);

    static const char *const requests[] = {
        "GET /huge/told HTTP/1.1\r\nHost: h\r\n\r\n", "GET /bulk HTTP/1.1\r\nHost: h\r\n\r\n", /* bound */
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(requests); i++) {
        w->n_closed = 0;
        w->bulk_left = WEB_HUGE;
        e = (struct end){.count_only = true};
        dial(w, &e);
        BENCH_RUN(&w->bench, end_is_open, &e);
        fed_stream_pause(e.s, true);
        fed_stream_write(e.s, fed_str(requests[i]));
        BENCH_RUN(&w->bench, one_closed, w);
        hang_up(w, &e);
    }
    web_free(w);
}

struct sippers {
    struct web *w;
    struct end e[3];
    uint64_t begin;
};
enum { SIP_MS = 2600 }; /* longer than a connection lingers, and than the idle timeout */

static bool sipped(void *ud)
{
    struct sippers *t = ud;
    uint64_t ms = fed_mono_ms(fed_loop_env(t->w->bench.loop)) - t->begin;
    size_t may = (size_t)(ms * WEB_HUGE / SIP_MS), done = 0;
    for (size_t i = 0; i < FED_ARRAY_LEN(t->e); i++) {
        struct end *e = &t->e[i];
        if (e->s)
            fed_stream_pause(e->s, e->n_got > may);
        done += e->n_got > WEB_HUGE || e->n_end || e->n_eof;
    }
    return done == FED_ARRAY_LEN(t->e);
}

/* Who takes an answer slowly gets all of it, however long that lasts. */
static void test_slow_readers(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /huge HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /huge HTTP/1.1\r\nHost: h\r\n" END,
        "GET /huge/told HTTP/1.1\r\nHost: h\r\n\r\n",
    };
    struct web *w = web_new(&(struct fed_httpd_conf){.idle_timeout_ms = 1000}, NULL);
    struct sippers t = {.w = w, .begin = fed_mono_ms(fed_loop_env(w->bench.loop))};
    web_make_huge(w);
    for (size_t i = 0; i < FED_ARRAY_LEN(requests); i++) {
        t.e[i].count_only = true;
        dial(w, &t.e[i]);
        BENCH_RUN(&w->bench, end_is_open, &t.e[i]);
        fed_stream_pause(t.e[i].s, true);
        fed_stream_write(t.e[i].s, fed_str(requests[i]));
    }
    BENCH_RUN(&w->bench, sipped, &t);
    for (size_t i = 0; i < FED_ARRAY_LEN(requests); i++) {
        if (t.e[i].n_got <= WEB_HUGE)
            fail_msg("%zu bytes of %s", t.e[i].n_got, requests[i]);
        hang_up(w, &t.e[i]);
    }
    web_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),        cmocka_unit_test(test_too_large), cmocka_unit_test(test_continue),
        cmocka_unit_test(test_timeouts),     cmocka_unit_test(test_watch),     cmocka_unit_test(test_gone),
        cmocka_unit_test(test_upgrade),      cmocka_unit_test(test_close),     cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_strangers),    cmocka_unit_test(test_crowd),     cmocka_unit_test(test_unread),
        cmocka_unit_test(test_slow_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
