/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on many streams, plain and TLS: whatever the order, bytes arrive in order, a stream that was shut
 * down orderly delivers all of them, nothing is called after close but `end`, and that exactly once. The seed is printed; HANSA_SEED repeats a run. */
#include "crypto/pki.h"
#include "harness.h"

enum { STREAMS = 40, STEPS = 4000 };

struct chaos;
struct party { /* one end of a connection */
    struct chaos *chaos;
    struct party *other;
    struct fed_stream *s; /* NULL before open (accepted side) and after end */
    uint8_t next_in, next_out;
    uint64_t n_in, n_out;
    bool is_client, paused, shut, eof, closed, opened, ended;
    int n_end, code;
};
struct chaos {
    struct bench bench;
    struct fed_listener *plain, *tls;
    struct fed_tls *server_tls, *client_tls;
    uint64_t random;
    struct party clients[STREAMS], servers[STREAMS];
    size_t n_servers;
    struct fed_timer timer;
    size_t steps;
};

static uint32_t roll(struct chaos *c, uint32_t n)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(c->random >> 33) % n;
}

static void on_open(void *ud, struct fed_stream *s)
{
    struct party *p = ud;
    assert_false(p->ended || p->opened);
    assert_ptr_equal(p->s, s);
    p->opened = true;
}

/* The first byte tells the accepting side who is calling. */
static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct party *p = ud;
    (void)s;
    assert_false(p->ended || p->closed || p->paused || p->eof);
    if (!p->is_client && !p->other) {
        struct party *client = &p->chaos->clients[(uint8_t)bytes.p[0]];
        p->other = client;
        client->other = p;
        bytes = fed_str_from(bytes, 1);
    }
    for (size_t i = 0; i < bytes.n; i++)
        if ((uint8_t)bytes.p[i] != p->next_in++)
            fail_msg("bytes out of order");
    p->n_in += bytes.n;
    if (roll(p->chaos, 8) == 0) {
        p->paused = true;
        fed_stream_pause(s, true);
    }
    if (roll(p->chaos, 200) == 0) {
        p->closed = true;
        fed_stream_close(s);
    }
}

static void on_eof(void *ud, struct fed_stream *s)
{
    struct party *p = ud;
    (void)s;
    assert_false(p->ended || p->closed || p->eof || p->paused);
    p->eof = true;
    if (p->other && p->other->shut && !p->other->closed)
        assert_true(p->n_in == p->other->n_out);
}

static void on_drained(void *ud, struct fed_stream *s)
{
    struct party *p = ud;
    assert_false(p->ended || p->closed);
    assert_int_equal(fed_stream_backlog(s), 0);
    if (roll(p->chaos, 100) == 0) {
        p->closed = true;
        fed_stream_close(s);
    }
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct party *p = ud;
    assert_int_equal(p->n_end++, 0);
    assert_int_equal(code, err ? err->code : 0);
    p->code = code;
    p->ended = true;
    p->s = NULL;
}
static const struct fed_stream_handlers handlers = {on_open, on_data, on_eof, on_drained, on_end};

static void on_accept(void *ud, struct fed_stream *s)
{
    struct chaos *c = ud;
    struct party *p = &c->servers[c->n_servers++];
    p->chaos = c;
    p->s = s;
    p->opened = true;
    fed_stream_set_handlers(s, &handlers, p);
}

static void write_some(struct chaos *c, struct party *p)
{
    size_t n = roll(c, 4) == 0 ? roll(c, 300000) : roll(c, 3000);
    if (p->shut || fed_stream_backlog(p->s) > 4 << 20)
        return;
    char *room;
    struct fed_blob *blob = fed_blob_new_room(n, &room);
    for (size_t i = 0; i < n; i++)
        room[i] = (char)p->next_out++;
    if (roll(c, 2))
        fed_stream_write_blob(p->s, blob);
    else
        fed_stream_write(p->s, fed_blob_str(blob));
    fed_blob_unref(blob);
    p->n_out += n;
}

static void one_step(struct chaos *c)
{
    size_t i = roll(c, STREAMS);
    struct party *p = roll(c, 2) ? &c->clients[i] : &c->servers[i];
    if (!p->s || p->closed)
        return;
    switch (roll(c, 20)) {
    case 0:
        fed_stream_shutdown(p->s);
        p->shut = true;
        break;
    case 1:
        if (roll(c, 10))
            break;
        p->closed = true;
        fed_stream_close(p->s);
        fed_stream_close(p->s);
        fed_stream_pause(p->s, false);
        assert_int_equal(fed_stream_write(p->s, FED_STR("late")), 0);
        break;
    case 2 ... 6:
        p->paused = !p->paused;
        fed_stream_pause(p->s, p->paused);
        break;
    default:
        write_some(c, p);
    }
}

static void on_step(struct fed_timer *t)
{
    struct chaos *c = fed_container_of(t, struct chaos, timer);
    for (uint32_t n = 1 + roll(c, 20); n > 0; n--)
        one_step(c);
    if (++c->steps < STEPS / 10) {
        fed_timer_start(fed_loop_env(c->bench.loop), t, 0, on_step);
        return;
    }
    /* The orderly end: everybody reads and says good-bye. */
    for (size_t i = 0; i < 2 * STREAMS; i++) {
        struct party *p = i < STREAMS ? &c->clients[i] : &c->servers[i - STREAMS];
        if (!p->s || p->closed)
            continue;
        p->paused = false;
        fed_stream_pause(p->s, false);
        fed_stream_shutdown(p->s);
        p->shut = true;
    }
}

static bool all_ended(void *ud)
{
    struct chaos *c = ud;
    if (c->steps < STEPS / 10)
        return false;
    for (size_t i = 0; i < 2 * STREAMS; i++) {
        struct party *p = i < STREAMS ? &c->clients[i] : &c->servers[i - STREAMS];
        if (p->s && p->paused) { /* a data callback paused it in the meantime */
            p->paused = false;
            fed_stream_pause(p->s, false);
        }
        if (p->s && !p->shut) { /* accepted late */
            p->shut = true;
            fed_stream_shutdown(p->s);
        }
        if (p->s)
            return false;
    }
    return true;
}

static void make_tls(struct chaos *c)
{
    struct fed_buf key = {0}, cert = {0};
    struct fed_env *env = fed_loop_env(c->bench.loop);
    int64_t now = fed_wall_ms(env);
    assert_int_equal(fed_pki_new_key(&key, NULL), 0);
    assert_int_equal(fed_pki_new_ca(fed_buf_str(&key), FED_STR("x"), now - 1000, now + 600000, &cert, NULL), 0);
    struct fed_tls_conf conf = {.server = true, .cert_pem = fed_buf_str(&cert), .key_pem = fed_buf_str(&key)};
    assert_int_equal(fed_tls_new(env, &conf, &c->server_tls, NULL), 0);
    conf = (struct fed_tls_conf){.insecure = true};
    assert_int_equal(fed_tls_new(env, &conf, &c->client_tls, NULL), 0);
    fed_buf_release(&key);
    fed_buf_release(&cert);
}

static void run_one(uint64_t seed)
{
    struct chaos *c = FED_NEW(struct chaos);
    c->random = seed;
    c->bench.loop = fed_loop_new();
    make_tls(c);
    struct fed_listener_conf lc = {.accept = on_accept, .ud = c};
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &lc.addr), 0);
    assert_int_equal(fed_listener_open(c->bench.loop, &lc, &c->plain, NULL), 0);
    lc.tls = c->server_tls;
    assert_int_equal(fed_listener_open(c->bench.loop, &lc, &c->tls, NULL), 0);
    for (uint8_t i = 0; i < STREAMS; i++) {
        struct party *p = &c->clients[i];
        struct fed_stream_conf sc = {.handlers = &handlers, .ud = p, .tls = i % 2 ? c->client_tls : NULL};
        p->chaos = c;
        p->s = fed_stream_connect(c->bench.loop, fed_listener_addr(i % 2 ? c->tls : c->plain), &sc);
        fed_stream_write(p->s, fed_str_n((char *)&i, 1));
        p->is_client = true;
    }
    fed_timer_start(fed_loop_env(c->bench.loop), &c->timer, 1, on_step);
    BENCH_RUN(&c->bench, all_ended, c);
    fed_loop_free(c->bench.loop);
    for (size_t i = 0; i < STREAMS; i++) {
        assert_int_equal(c->clients[i].n_end, 1);
        assert_int_equal(c->servers[i].n_end, i < c->n_servers);
    }
    fed_tls_unref(c->server_tls);
    fed_tls_unref(c->client_tls);
    free(c);
}

static void test_chaos(void **state)
{
    (void)state;
    const char *env = getenv("HANSA_SEED");
    uint64_t seed = 1, rounds = 8;
    if (env && fed_str_u64(fed_str(env), &seed) == 0)
        rounds = 1;
    for (uint64_t i = 0; i < rounds; i++) {
        print_message("seed %llu\n", (unsigned long long)(seed + i));
        run_one(seed + i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chaos)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
