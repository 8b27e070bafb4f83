/* SPDX-License-Identifier: Apache-2.0 */
/* Plain streams over real loopback sockets; TLS is in test_tls.c. */
#include <unistd.h>

#include "harness.h"

struct pair { /* a listener, its last stream and a client */
    struct bench bench;
    struct fed_listener *listener;
    struct end server, client;
    int n_accepted;
};

static void on_accept(void *ud, struct fed_stream *s)
{
    struct pair *p = ud;
    p->n_accepted++;
    fed_stream_set_handlers(s, &end_handlers, &p->server);
    end_on_open(&p->server, s);
}

static struct pair *pair_new(void)
{
    struct pair *p = FED_NEW(struct pair);
    struct fed_listener_conf conf = {.accept = on_accept, .ud = p};
    p->bench.loop = fed_loop_new();
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &conf.addr), 0);
    assert_int_equal(fed_listener_open(p->bench.loop, &conf, &p->listener, NULL), 0);
    assert_int_not_equal(fed_addr_port(fed_listener_addr(p->listener)), 0);
    return p;
}

static void pair_connect(struct pair *p)
{
    struct fed_stream_conf conf = {.handlers = &end_handlers, .ud = &p->client};
    p->client.s = fed_stream_connect(p->bench.loop, fed_listener_addr(p->listener), &conf);
}

static void pair_free(struct pair *p)
{
    fed_loop_free(p->bench.loop); /* closes what is open */
    if (p->client.opened)
        assert_int_equal(p->client.n_end, 1);
    assert_int_equal(p->server.n_end, p->n_accepted);
    end_release(&p->client);
    end_release(&p->server);
    free(p);
}

static bool both_open(void *ud)
{
    struct pair *p = ud;
    return p->server.opened && p->client.opened;
}
static bool both_ended(void *ud)
{
    struct pair *p = ud;
    return p->server.n_end && p->client.n_end;
}
static bool echoed(void *ud)
{
    return ((struct pair *)ud)->client.got.n >= 10;
}

static void test_echo(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    p->server.echo = true;
    pair_connect(p);
    assert_int_equal(fed_stream_write(p->client.s, FED_STR("hello")), 5); /* before it is open */
    BENCH_RUN(&p->bench, both_open, p);
    fed_stream_write(p->client.s, FED_STR("world"));
    BENCH_RUN(&p->bench, echoed, p);
    assert_memory_equal(p->client.got.p, "helloworld", 10);
    assert_true(fed_addr_equal(fed_stream_peer(p->client.s), fed_listener_addr(p->listener)));
    assert_true(fed_addr_equal(fed_stream_local(p->client.s), fed_stream_peer(p->server.s)));
    assert_int_equal(fed_stream_backlog(p->client.s), 0);
    assert_true(p->client.n_drained > 0);
    fed_stream_shutdown(p->client.s); /* the server answers its eof with its own */
    BENCH_RUN(&p->bench, both_ended, p);
    assert_int_equal(p->client.code, 0);
    assert_int_equal(p->server.code, 0);
    assert_int_equal(p->server.n_eof, 1);
    assert_int_equal(p->client.n_eof, 1);
    pair_free(p);
}

static bool server_eof(void *ud)
{
    return ((struct pair *)ud)->server.n_eof > 0;
}

static void test_half_close(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    pair_connect(p);
    BENCH_RUN(&p->bench, both_open, p);
    fed_stream_write(p->client.s, FED_STR("question"));
    fed_stream_shutdown(p->client.s);
    assert_int_equal(fed_stream_write(p->client.s, FED_STR("ignored")), 0);
    BENCH_RUN(&p->bench, server_eof, p);
    assert_int_equal(p->server.got.n, 8);
    fed_stream_write(p->server.s, FED_STR("the answer")); /* this side is still open */
    BENCH_RUN(&p->bench, echoed, p);
    fed_stream_shutdown(p->server.s);
    BENCH_RUN(&p->bench, both_ended, p);
    assert_int_equal(p->client.code, 0);
    assert_int_equal(p->server.code, 0);
    pair_free(p);
}

static void test_write_then_close_arrives(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    pair_connect(p);
    BENCH_RUN(&p->bench, both_open, p);
    fed_stream_write(p->server.s, FED_STR("last words"));
    fed_stream_close(p->server.s);
    assert_int_equal(p->server.n_end, 0); /* never synchronous */
    fed_stream_close(p->server.s);        /* idempotent */
    BENCH_RUN(&p->bench, echoed, p);
    fed_stream_close(p->client.s);
    BENCH_RUN(&p->bench, both_ended, p);
    assert_int_equal(p->server.n_end, 1);
    pair_free(p);
}

static void test_bulk_both_ways(void **state)
{
    (void)state;
    enum { BYTES = 50 << 20 };
    struct pair *p = pair_new();
    char *room;
    struct fed_blob *blob = fed_blob_new_room(1 << 17, &room);
    memset(room, 'x', 1 << 17);
    p->client.bulk = fed_blob_ref(blob);
    p->server.bulk = blob;
    p->client.to_send = p->server.to_send = BYTES;
    p->client.count_only = p->server.count_only = true;
    uint64_t t0 = fed_mono_ns(fed_loop_env(p->bench.loop));
    pair_connect(p);
    BENCH_RUN(&p->bench, both_ended, p);
    double s = (double)(fed_mono_ns(fed_loop_env(p->bench.loop)) - t0) / 1e9;
    print_message("plain, both ends on one thread: %.0f MB/s\n", 2 * BYTES / 1e6 / s);
    assert_int_equal(p->client.n_got, BYTES);
    assert_int_equal(p->server.n_got, BYTES);
    assert_int_equal(p->client.code, 0);
    assert_int_equal(p->server.code, 0);
    pair_free(p);
}

static bool writer_is_stuck(void *ud)
{
    struct pair *p = ud;
    for (int i = 0; i < 64 && fed_stream_backlog(p->server.s) < 1 << 20; i++)
        fed_stream_write_blob(p->server.s, p->server.bulk);
    return fed_stream_backlog(p->server.s) >= 1 << 20;
}
static bool backlog_gone(void *ud)
{
    return fed_stream_backlog(((struct pair *)ud)->server.s) == 0;
}

static void test_pause_builds_backlog(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    char *room;
    p->server.bulk = fed_blob_new_room(1 << 16, &room);
    memset(room, 'y', 1 << 16);
    p->client.count_only = true;
    pair_connect(p);
    BENCH_RUN(&p->bench, both_open, p);
    fed_stream_pause(p->client.s, true);
    BENCH_RUN(&p->bench, writer_is_stuck, p);
    assert_int_equal(p->client.n_got, 0);
    int drained = p->server.n_drained;
    fed_stream_pause(p->client.s, false);
    BENCH_RUN(&p->bench, backlog_gone, p);
    assert_true(p->server.n_drained > drained);
    pair_free(p);
}

static void test_refused(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct fed_addr addr = *fed_listener_addr(p->listener);
    struct fed_stream_conf conf = {.handlers = &end_handlers, .ud = &p->client};
    fed_listener_close(p->listener);
    p->client.s = fed_stream_connect(p->bench.loop, &addr, &conf);
    assert_int_equal(p->client.n_end, 0);
    BENCH_RUN(&p->bench, end_has_ended, &p->client);
    /* The listener's descriptor is closed at once, so nobody answers. */
    assert_int_equal(p->client.code, FED_E_REFUSED);
    assert_non_null(strstr(p->client.text, "127.0.0.1:"));
    assert_false(p->client.opened);
    pair_free(p);
}

static void test_connect_timeout(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    /* A listening socket that never accepts, with its queue full: the next SYN is dropped. */
    struct fed_addr addr;
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &addr), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0), fill[8];
    socklen_t len = sizeof(addr);
    assert_int_equal(bind(fd, &addr.sa, fed_addr_len(&addr)), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, &addr.sa, &len), 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], &addr.sa, fed_addr_len(&addr));
    }
    struct fed_stream_conf conf = {.handlers = &end_handlers, .ud = &p->client, .connect_timeout_ms = 50};
    p->client.s = fed_stream_connect(p->bench.loop, &addr, &conf);
    BENCH_RUN(&p->bench, end_has_ended, &p->client);
    assert_int_equal(p->client.code, FED_E_TIMEOUT);
    for (size_t i = 0; i < FED_ARRAY_LEN(fill); i++)
        close(fill[i]);
    close(fd);
    pair_free(p);
}

static void test_listener_close_keeps_streams(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    p->server.echo = true;
    pair_connect(p);
    BENCH_RUN(&p->bench, both_open, p);
    fed_listener_close(p->listener);
    fed_stream_write(p->client.s, FED_STR("still here"));
    BENCH_RUN(&p->bench, echoed, p);
    pair_free(p);
}

static bool client_ended_early(void *ud)
{
    struct end *extra = ud;
    return extra->n_end > 0;
}

static void test_max_streams(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct fed_listener_conf conf = {.accept = on_accept, .ud = p, .max_streams = 1};
    conf.addr = *fed_listener_addr(p->listener);
    fed_addr_set_port(&conf.addr, 0);
    fed_listener_close(p->listener);
    assert_int_equal(fed_listener_open(p->bench.loop, &conf, &p->listener, NULL), 0);
    pair_connect(p);
    BENCH_RUN(&p->bench, both_open, p);
    struct end extra = {0};
    struct fed_stream_conf cconf = {.handlers = &end_handlers, .ud = &extra};
    extra.s = fed_stream_connect(p->bench.loop, fed_listener_addr(p->listener), &cconf);
    bool (*until)(void *) = client_ended_early;
    /* Accepted and closed at once: the client sees the end of the peer's side. */
    fed_stream_shutdown(extra.s);
    BENCH_RUN(&p->bench, until, &extra);
    assert_int_equal(p->n_accepted, 1);
    assert_non_null(p->client.s);
    pair_free(p);
    end_release(&extra);
}

static void test_unix(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    char path[] = "/tmp/hansa-net-XXXXXX", sock[64];
    assert_non_null(mkdtemp(path));
    snprintf(sock, sizeof(sock), "%s/s", path);
    struct fed_listener_conf conf = {.accept = on_accept, .ud = p, .unix_path = sock};
    struct fed_listener *first, *second;
    struct fed_err err;
    assert_int_equal(fed_listener_open(p->bench.loop, &conf, &first, NULL), 0);
    assert_int_equal(fed_listener_open(p->bench.loop, &conf, &second, &err), FED_E_BUSY);
    struct fed_stream_conf cconf = {.handlers = &end_handlers, .ud = &p->client};
    p->server.echo = true;
    p->client.s = fed_stream_connect_unix(p->bench.loop, sock, &cconf);
    fed_stream_write(p->client.s, FED_STR("over files"));
    BENCH_RUN(&p->bench, echoed, p);
    assert_int_equal(p->n_accepted, 2); /* one was the second listener's question whether the first one lives */
    assert_int_equal(fed_stream_peer(p->client.s)->sa.sa_family, AF_UNIX);
    fed_listener_close(first);
    assert_int_not_equal(access(sock, F_OK), 0);
    rmdir(path);
    pair_free(p);
}

static void test_reuseport_and_inherited(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct fed_listener_conf conf = {.accept = on_accept, .ud = p, .reuseport = true};
    struct fed_listener *a, *b;
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &conf.addr), 0);
    assert_int_equal(fed_listener_open(p->bench.loop, &conf, &a, NULL), 0);
    conf.addr = *fed_listener_addr(a);
    assert_int_equal(fed_listener_open(p->bench.loop, &conf, &b, NULL), 0);
    conf.reuseport = false;
    struct fed_listener *c;
    struct fed_err err;
    assert_int_equal(fed_listener_open(p->bench.loop, &conf, &c, &err), FED_E_BUSY);
    assert_non_null(strstr(err.text, "127.0.0.1:"));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct fed_listener_conf inherited = {.accept = on_accept, .ud = p, .fd = fd};
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &conf.addr), 0);
    assert_int_equal(bind(fd, &conf.addr.sa, fed_addr_len(&conf.addr)), 0);
    assert_int_equal(fed_listener_open(p->bench.loop, &inherited, &c, NULL), 0);
    fed_listener_close(p->listener);
    p->listener = c;
    pair_connect(p);
    BENCH_RUN(&p->bench, both_open, p);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_write_then_close_arrives),
        cmocka_unit_test(test_bulk_both_ways),
        cmocka_unit_test(test_pause_builds_backlog),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_listener_close_keeps_streams),
        cmocka_unit_test(test_max_streams),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_reuseport_and_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
