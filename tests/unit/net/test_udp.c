/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <unistd.h>

#include "harness.h"
#include "net/udp.h"

struct ctx {
    struct bench bench;
    struct fed_udp *udp;
    int clients[2];
    char last_local[64], last_peer[64];
    int n_batch_end;
    bool close_in_handler;
};

static size_t on_packet(void *ud, const struct fed_udp_packet *q, char *reply, size_t room)
{
    struct ctx *c = ud;
    fed_addr_format(q->local, c->last_local);
    fed_addr_format(q->peer, c->last_peer);
    if (c->close_in_handler)
        fed_udp_close(c->udp);
    if (fed_str_starts(q->bytes, FED_STR("quiet")))
        return 0;
    assert_true(q->bytes.n + 1 <= room);
    reply[0] = '>';
    memcpy(reply + 1, q->bytes.p, q->bytes.n);
    return q->bytes.n + 1;
}

static void on_batch_end(void *ud)
{
    ((struct ctx *)ud)->n_batch_end++;
}

static void open_on(struct ctx *c, const char *ip)
{
    struct fed_udp_conf conf = {
        .handle = on_packet, .batch_end = on_batch_end, .ud = c, .max_query = 64, .reuseport = true};
    struct fed_err err;
    *c = (struct ctx){0};
    c->bench.loop = fed_loop_new();
    assert_int_equal(fed_addr_parse(fed_str(ip), 0, &conf.addr), 0);
    if (fed_udp_open(c->bench.loop, &conf, &c->udp, &err) != 0)
        fail_msg("%s", err.text);
}

static int client_to(struct ctx *c, const char *ip)
{
    struct fed_addr to;
    assert_int_equal(fed_addr_parse(fed_str(ip), fed_addr_port(fed_udp_addr(c->udp)), &to), 0);
    int fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, &to.sa, fed_addr_len(&to)), 0);
    return fd;
}

struct wait_reply {
    int fd;
    char got[256];
    ssize_t n;
};
static bool has_reply(void *ud)
{
    struct wait_reply *w = ud;
    w->n = recv(w->fd, w->got, sizeof(w->got), 0);
    return w->n > 0;
}

static void test_source_address(void **state)
{
    (void)state;
    struct ctx c;
    open_on(&c, "0.0.0.0");
    /* The client's socket is connected, so it takes an answer only from the very address that it asked. */
    static const char *const addrs[] = {"127.0.0.1", "127.0.0.9", "127.3.2.1"};
    for (size_t i = 0; i < FED_ARRAY_LEN(addrs); i++) {
        struct wait_reply w = {.fd = client_to(&c, addrs[i])};
        assert_int_equal(send(w.fd, "hello", 5, 0), 5);
        BENCH_RUN(&c.bench, has_reply, &w);
        assert_int_equal(w.n, 6);
        assert_memory_equal(w.got, ">hello", 6);
        assert_memory_equal(c.last_local, addrs[i], strlen(addrs[i]));
        close(w.fd);
    }
    assert_true(c.n_batch_end > 0);
    fed_udp_close(c.udp);
    fed_loop_free(c.bench.loop);
}

static void test_ipv6(void **state)
{
    (void)state;
    struct ctx c;
    int probe = socket(AF_INET6, SOCK_DGRAM, 0);
    struct fed_addr lo;
    assert_int_equal(fed_addr_parse(FED_STR("::1"), 0, &lo), 0);
    bool have = probe >= 0 && bind(probe, &lo.sa, fed_addr_len(&lo)) == 0;
    close(probe);
    if (!have)
        skip(); /* a host without IPv6 */
    open_on(&c, "::");
    struct wait_reply w = {.fd = client_to(&c, "::1")};
    assert_int_equal(send(w.fd, "six", 3, 0), 3);
    BENCH_RUN(&c.bench, has_reply, &w);
    assert_memory_equal(c.last_local, "[::1]:", 6);
    close(w.fd);
    fed_loop_free(c.bench.loop); /* closes the socket */
}

struct wait_count {
    struct ctx *c;
    uint64_t want;
};
static bool all_seen(void *ud)
{
    struct wait_count *w = ud;
    struct fed_udp_stats s;
    fed_udp_stats(w->c->udp, &s);
    return s.received + s.oversize >= w->want;
}

static void test_batches_and_counters(void **state)
{
    (void)state;
    struct ctx c;
    struct fed_udp_stats s;
    char big[100] = {0};
    open_on(&c, "127.0.0.1");
    int fd = client_to(&c, "127.0.0.1");
    for (int i = 0; i < 100; i++)
        assert_int_equal(send(fd, i % 10 ? "query" : "quiet", 5, 0), 5);
    assert_int_equal(send(fd, big, sizeof(big), 0), sizeof(big));
    BENCH_RUN(&c.bench, all_seen, (&(struct wait_count){&c, 101}));
    fed_udp_stats(c.udp, &s);
    assert_int_equal(s.received, 100);
    assert_int_equal(s.unanswered, 10);
    assert_int_equal(s.oversize, 1);
    assert_int_equal(s.replied + s.send_dropped, 90);
    assert_true(s.batches <= 10); /* 32 at a time, not one by one */
    close(fd);
    fed_udp_close(c.udp);
    fed_loop_free(c.bench.loop);
}

static void test_close_in_handler(void **state)
{
    (void)state;
    struct ctx c;
    open_on(&c, "127.0.0.1");
    c.close_in_handler = true;
    struct wait_reply w = {.fd = client_to(&c, "127.0.0.1")};
    assert_int_equal(send(w.fd, "bye", 3, 0), 3);
    BENCH_RUN(&c.bench, has_reply, &w);
    assert_int_equal(c.n_batch_end, 0);
    close(w.fd);
    fed_loop_free(c.bench.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_address),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_batches_and_counters),
        cmocka_unit_test(test_close_in_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
