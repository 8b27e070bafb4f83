/* SPDX-License-Identifier: Apache-2.0 */
/* TLS streams over real loopback sockets. */
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/pki.h"
#include "harness.h"

struct authority {
    struct fed_buf key, cert;
};
struct leaf {
    struct fed_buf key, cert;
};
struct world {
    struct bench bench;
    struct authority ca, other_ca;
    struct leaf server, admin, stranger, expired;
    struct fed_tls *server_tls;
    struct fed_listener *listener;
    struct end srv, cli;
    int n_accepted;
    bool had_identity;
    char cn[64], orgs[128], alpn[16];
};

static void make_authority(struct authority *ca, const char *cn, int64_t now)
{
    assert_int_equal(fed_pki_new_key(&ca->key, NULL), 0);
    assert_int_equal(
        fed_pki_new_ca(fed_buf_str(&ca->key), fed_str(cn), now - 86400000, now + 86400000, &ca->cert, NULL), 0);
}

static void make_leaf(struct leaf *leaf, const struct authority *ca, const char *cn, bool server, int64_t from,
                      int64_t to)
{
    static const char *const dns[] = {"api.test", NULL};
    static const char *const ips[] = {"127.0.0.1", NULL};
    static const struct fed_str orgs[] = {FED_STR_INIT("system:masters"), FED_STR_INIT("dev")};
    struct fed_cert_spec spec = {
        .cn = fed_str(cn), .server = server, .client = !server, .not_before_ms = from, .not_after_ms = to};
    if (server) {
        spec.dns_names = dns;
        spec.ips = ips;
    } else {
        spec.orgs = orgs;
        spec.n_orgs = 2;
    }
    assert_int_equal(fed_pki_new_key(&leaf->key, NULL), 0);
    assert_int_equal(
        fed_pki_sign(fed_buf_str(&ca->cert), fed_buf_str(&ca->key), fed_buf_str(&leaf->key), &spec, &leaf->cert, NULL),
        0);
}

static void on_accept(void *ud, struct fed_stream *s)
{
    struct world *w = ud;
    struct fed_str cn, alpn = fed_stream_alpn(s);
    const struct fed_str *orgs;
    size_t n;
    w->n_accepted++;
    w->had_identity = fed_stream_peer_identity(s, &cn, &orgs, &n);
    w->cn[0] = w->orgs[0] = 0;
    if (w->had_identity)
        snprintf(w->cn, sizeof(w->cn), "%.*s", FED_STR_ARG(cn));
    for (size_t i = 0; w->had_identity && i < n; i++)
        snprintf(w->orgs + strlen(w->orgs), sizeof(w->orgs) - strlen(w->orgs), "%.*s;", FED_STR_ARG(orgs[i]));
    snprintf(w->alpn, sizeof(w->alpn), "%.*s", FED_STR_ARG(alpn));
    fed_stream_set_handlers(s, &end_handlers, &w->srv);
    end_on_open(&w->srv, s);
}

static struct world *world_new(void)
{
    struct world *w = FED_NEW(struct world);
    w->bench.loop = fed_loop_new();
    int64_t now = fed_wall_ms(fed_loop_env(w->bench.loop));
    make_authority(&w->ca, "ca", now);
    make_authority(&w->other_ca, "ca", now);
    make_leaf(&w->server, &w->ca, "server", true, now - 3600000, now + 3600000);
    make_leaf(&w->admin, &w->ca, "admin", false, now - 3600000, now + 3600000);
    make_leaf(&w->stranger, &w->other_ca, "admin", false, now - 3600000, now + 3600000);
    make_leaf(&w->expired, &w->ca, "admin", false, now - 7200000, now - 3600000);
    return w;
}

static void listen_with(struct world *w, struct fed_tls_conf conf)
{
    struct fed_listener_conf lc = {.accept = on_accept, .ud = w};
    conf.server = true;
    assert_int_equal(fed_tls_new(fed_loop_env(w->bench.loop), &conf, &w->server_tls, NULL), 0);
    lc.tls = w->server_tls;
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &lc.addr), 0);
    assert_int_equal(fed_listener_open(w->bench.loop, &lc, &w->listener, NULL), 0);
}

static struct fed_tls_conf server_conf(struct world *w, enum fed_tls_peer peer)
{
    return (struct fed_tls_conf){.cert_pem = fed_buf_str(&w->server.cert),
                                 .key_pem = fed_buf_str(&w->server.key),
                                 .ca_pem = fed_buf_str(&w->ca.cert),
                                 .peer = peer,
                                 .alpn = "h2,http/1.1"};
}

static void connect_with(struct world *w, const struct authority *ca, const struct leaf *leaf, const char *name,
                         const char *alpn)
{
    struct fed_tls *tls;
    struct fed_tls_conf conf = {
        .ca_pem = ca ? fed_buf_str(&ca->cert) : (struct fed_str){0}, .insecure = !ca, .alpn = alpn};
    if (leaf) {
        conf.cert_pem = fed_buf_str(&leaf->cert);
        conf.key_pem = fed_buf_str(&leaf->key);
    }
    assert_int_equal(fed_tls_new(fed_loop_env(w->bench.loop), &conf, &tls, NULL), 0);
    end_release(&w->cli);
    end_release(&w->srv);
    struct fed_stream_conf sc = {.handlers = &end_handlers, .ud = &w->cli, .tls = tls, .server_name = name};
    w->cli.s = fed_stream_connect(w->bench.loop, fed_listener_addr(w->listener), &sc);
    fed_tls_unref(tls);
}

static void world_free(struct world *w)
{
    struct fed_buf *bufs[] = {&w->ca.key,       &w->ca.cert,       &w->other_ca.key, &w->other_ca.cert,
                              &w->server.key,   &w->server.cert,   &w->admin.key,    &w->admin.cert,
                              &w->stranger.key, &w->stranger.cert, &w->expired.key,  &w->expired.cert};
    fed_loop_free(w->bench.loop);
    fed_tls_unref(w->server_tls);
    for (size_t i = 0; i < FED_ARRAY_LEN(bufs); i++)
        fed_buf_release(bufs[i]);
    end_release(&w->cli);
    end_release(&w->srv);
    free(w);
}

static bool got_ten(void *ud)
{
    return ((struct end *)ud)->n_got >= 10;
}
static bool both_open(void *ud)
{
    struct world *w = ud;
    return w->srv.opened && w->cli.opened;
}
static bool both_ended(void *ud)
{
    struct world *w = ud;
    return w->srv.n_end && w->cli.n_end;
}

static void test_echo_and_close(void **state)
{
    (void)state;
    struct world *w = world_new();
    listen_with(w, server_conf(w, FED_TLS_PEER_NONE));
    connect_with(w, &w->ca, NULL, "api.test", "http/1.1,h2");
    fed_stream_write(w->cli.s, FED_STR("before "));
    BENCH_RUN(&w->bench, both_open, w);
    w->srv.echo = true;
    fed_stream_write(w->cli.s, FED_STR("and "));
    fed_stream_write(w->cli.s, FED_STR("after"));
    w->cli.n_got = 0;
    BENCH_RUN(&w->bench, got_ten, &w->srv);
    assert_string_equal(w->alpn, "h2"); /* the server's preference */
    assert_true(fed_str_is(fed_stream_alpn(w->cli.s), "h2"));
    assert_false(w->had_identity);
    fed_stream_shutdown(w->cli.s);
    BENCH_RUN(&w->bench, both_ended, w);
    assert_int_equal(w->cli.code, 0);
    assert_int_equal(w->srv.code, 0);
    assert_int_equal(w->srv.n_eof, 1);
    assert_int_equal(w->cli.n_eof, 1);
    world_free(w);
}

static void test_alpn(void **state)
{
    (void)state;
    struct world *w = world_new();
    listen_with(w, server_conf(w, FED_TLS_PEER_NONE));
    connect_with(w, &w->ca, NULL, "api.test", NULL);
    BENCH_RUN(&w->bench, both_open, w);
    assert_string_equal(w->alpn, "");
    connect_with(w, &w->ca, NULL, "api.test", "gopher");
    BENCH_RUN(&w->bench, end_has_ended, &w->cli);
    assert_int_equal(w->cli.code, FED_E_TLS);
    world_free(w);
}

static void test_server_verification(void **state)
{
    (void)state;
    struct world *w = world_new();
    const struct {
        const struct authority *ca;
        const char *name;
        int code; /* 0: opens */
        const char *text;
    } cases[] = {
        {&w->ca, "api.test", 0, ""},
        {&w->ca, "127.0.0.1", 0, ""},
        {&w->ca, NULL, 0, ""}, /* the address itself */
        {&w->ca, "other.test", FED_E_TLS, "ostname mismatch"},
        {&w->ca, "127.0.0.2", FED_E_TLS, "IP address mismatch"},
        {&w->other_ca, "api.test", FED_E_TLS, "certificate"},
        {NULL, "other.test", 0, ""}, /* insecure */
    };
    listen_with(w, server_conf(w, FED_TLS_PEER_NONE));
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        connect_with(w, cases[i].ca, NULL, cases[i].name, NULL);
        BENCH_RUN(&w->bench, end_is_open, &w->cli);
        if (w->cli.code != cases[i].code || !strstr(w->cli.text, cases[i].text))
            fail_msg("case %zu: %d %s", i, w->cli.code, w->cli.text);
        if (w->cli.s)
            fed_stream_close(w->cli.s);
        BENCH_RUN(&w->bench, end_has_ended, &w->cli);
    }
    world_free(w);
}

static bool cli_settled(void *ud)
{
    struct world *w = ud; /* in TLS 1.3 the client is done before the server has judged it */
    return w->cli.n_end || w->srv.opened;
}

static void check_client(struct world *w, const struct leaf *leaf, bool accepted, const char *cn)
{
    connect_with(w, &w->ca, leaf, "api.test", NULL);
    BENCH_RUN(&w->bench, cli_settled, w);
    if (!accepted) {
        assert_false(w->srv.opened);
        assert_int_equal(w->cli.code, FED_E_TLS);
        return;
    }
    assert_true(w->srv.opened);
    assert_int_equal(w->had_identity, cn != NULL);
    assert_string_equal(w->cn, cn ? cn : "");
    assert_string_equal(w->orgs, cn ? "system:masters;dev;" : "");
    w->srv.echo = true; /* answers the end of the client's side with its own */
    fed_stream_close(w->cli.s);
    BENCH_RUN(&w->bench, both_ended, w);
}

static void test_client_required(void **state)
{
    (void)state;
    struct world *w = world_new();
    listen_with(w, server_conf(w, FED_TLS_PEER_REQUIRED));
    check_client(w, &w->admin, true, "admin");
    check_client(w, NULL, false, NULL);
    check_client(w, &w->stranger, false, NULL);
    check_client(w, &w->expired, false, NULL);
    world_free(w);
}

static void test_client_optional(void **state)
{
    (void)state;
    struct world *w = world_new();
    listen_with(w, server_conf(w, FED_TLS_PEER_OPTIONAL));
    check_client(w, &w->admin, true, "admin");
    check_client(w, NULL, true, NULL);
    check_client(w, &w->stranger, true, NULL); /* connected, but nobody */
    check_client(w, &w->expired, true, NULL);
    world_free(w);
}

static void test_plain_client(void **state)
{
    (void)state;
    struct world *w = world_new();
    listen_with(w, server_conf(w, FED_TLS_PEER_NONE));
    struct fed_stream_conf sc = {.handlers = &end_handlers, .ud = &w->cli};
    w->cli.s = fed_stream_connect(w->bench.loop, fed_listener_addr(w->listener), &sc);
    fed_stream_write(w->cli.s, FED_STR("GET / HTTP/1.1\r\n\r\n"));
    fed_stream_shutdown(w->cli.s);
    BENCH_RUN(&w->bench, end_has_ended, &w->cli);
    assert_int_equal(w->n_accepted, 0);
    world_free(w);
}

static void on_accept_silent(void *ud, struct fed_stream *s)
{
    struct end *e = ud;
    fed_stream_set_handlers(s, &end_handlers, e);
    e->s = s;
}

static void test_handshake_timeout(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct fed_listener_conf lc = {.accept = on_accept_silent, .ud = &w->srv};
    struct fed_tls_conf conf = {.insecure = true};
    struct fed_tls *tls;
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &lc.addr), 0);
    assert_int_equal(fed_listener_open(w->bench.loop, &lc, &w->listener, NULL), 0);
    assert_int_equal(fed_tls_new(fed_loop_env(w->bench.loop), &conf, &tls, NULL), 0);
    struct fed_stream_conf sc = {.handlers = &end_handlers, .ud = &w->cli, .tls = tls, .connect_timeout_ms = 50};
    w->cli.s = fed_stream_connect(w->bench.loop, fed_listener_addr(w->listener), &sc);
    fed_tls_unref(tls);
    BENCH_RUN(&w->bench, end_has_ended, &w->cli);
    assert_int_equal(w->cli.code, FED_E_TIMEOUT);
    assert_false(w->cli.opened);
    world_free(w);
}

/* A relay between client and server that can cut the connection below TLS. */
struct relay {
    struct fed_stream *in, *out;
};
static void relay_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct relay *r = ud;
    fed_stream_write(s == r->in ? r->out : r->in, bytes);
}
static void relay_end(void *ud, int code, const struct fed_err *err)
{
    (void)ud, (void)code, (void)err;
}
static const struct fed_stream_handlers relay_handlers = {.data = relay_data, .end = relay_end};
struct relay_accept {
    struct relay relay;
    struct world *w;
    struct fed_addr to;
};
static void on_relay_accept(void *ud, struct fed_stream *s)
{
    struct relay_accept *a = ud;
    struct fed_stream_conf sc = {.handlers = &relay_handlers, .ud = &a->relay};
    a->relay.in = s;
    fed_stream_set_handlers(s, &relay_handlers, &a->relay);
    a->relay.out = fed_stream_connect(a->w->bench.loop, &a->to, &sc);
}

static void test_cut_is_noticed(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct relay_accept a = {.w = w};
    listen_with(w, server_conf(w, FED_TLS_PEER_NONE));
    struct fed_listener_conf lc = {.accept = on_relay_accept, .ud = &a};
    a.to = *fed_listener_addr(w->listener);
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &lc.addr), 0);
    assert_int_equal(fed_listener_open(w->bench.loop, &lc, &w->listener, NULL), 0);
    connect_with(w, &w->ca, NULL, "api.test", NULL);
    BENCH_RUN(&w->bench, both_open, w);
    fed_stream_write(w->srv.s, FED_STR("0123456789"));
    BENCH_RUN(&w->bench, got_ten, &w->cli);
    fed_stream_close(a.relay.in);
    fed_stream_close(a.relay.out);
    BENCH_RUN(&w->bench, both_ended, w);
    assert_int_equal(w->cli.n_eof, 0); /* not an orderly end: the answer may be cut */
    assert_int_equal(w->cli.code, FED_E_END);
    assert_int_equal(w->srv.code, FED_E_END);
    world_free(w);
}

static void test_bulk_both_ways(void **state)
{
    (void)state;
    enum { BYTES = 50 << 20 };
    struct world *w = world_new();
    char *room;
    listen_with(w, server_conf(w, FED_TLS_PEER_NONE));
    connect_with(w, &w->ca, NULL, "api.test", NULL);
    w->cli.bulk = fed_blob_new_room(1 << 17, &room);
    memset(room, 'x', 1 << 17);
    w->srv.bulk = fed_blob_ref(w->cli.bulk);
    w->cli.to_send = w->srv.to_send = BYTES;
    w->cli.count_only = w->srv.count_only = true;
    uint64_t t0 = fed_mono_ns(fed_loop_env(w->bench.loop));
    BENCH_RUN(&w->bench, both_ended, w);
    double s = (double)(fed_mono_ns(fed_loop_env(w->bench.loop)) - t0) / 1e9;
    print_message("TLS, both ends on one thread: %.0f MB/s\n", 2 * BYTES / 1e6 / s);
    assert_int_equal(w->cli.n_got, BYTES);
    assert_int_equal(w->srv.n_got, BYTES);
    assert_int_equal(w->cli.code, 0);
    assert_int_equal(w->srv.code, 0);
    world_free(w);
}

/* Pauses after each delivery and goes on a turn later: nothing may be lost, doubled or delivered while paused. */
struct stutter {
    struct world *w;
    struct fed_timer timer;
    size_t n;
    bool paused, ended;
    uint8_t next;
};

static void on_resume(struct fed_timer *t)
{
    struct stutter *st = fed_container_of(t, struct stutter, timer);
    st->paused = false;
    if (!st->ended)
        fed_stream_pause(st->w->cli.s, false);
}
static void stutter_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct stutter *st = ud;
    assert_false(st->paused);
    for (size_t i = 0; i < bytes.n; i++)
        assert_int_equal((uint8_t)bytes.p[i], st->next++);
    st->n += bytes.n;
    st->paused = true;
    fed_stream_pause(s, true);
    fed_timer_start(fed_loop_env(st->w->bench.loop), &st->timer, 0, on_resume);
}
static void stutter_end(void *ud, int code, const struct fed_err *err)
{
    struct stutter *st = ud;
    (void)err;
    st->ended = true;
    assert_int_equal(code, 0);
}
static bool stutter_done(void *ud)
{
    return ((struct stutter *)ud)->ended;
}

static void test_pause_mid_stream(void **state)
{
    (void)state;
    static const struct fed_stream_handlers handlers = {.data = stutter_data, .end = stutter_end};
    enum { BYTES = 8 << 20 };
    struct world *w = world_new();
    struct stutter st = {.w = w};
    char *room;
    listen_with(w, server_conf(w, FED_TLS_PEER_NONE));
    connect_with(w, &w->ca, NULL, "api.test", NULL);
    BENCH_RUN(&w->bench, both_open, w);
    fed_stream_set_handlers(w->cli.s, &handlers, &st);
    w->srv.bulk = fed_blob_new_room(BYTES / 8, &room);
    for (size_t i = 0; i < BYTES / 8; i++)
        room[i] = (char)i;
    w->srv.to_send = BYTES;
    end_send_bulk(&w->srv);
    BENCH_RUN(&w->bench, stutter_done, &st);
    assert_int_equal(st.n, BYTES);
    world_free(w);
}

static struct fed_tls *by_name(void *ud, const char *name)
{
    return strcmp(name, "named.test") == 0 ? ud : NULL;
}

static void test_certificate_by_name(void **state)
{
    (void)state;
    struct world *w = world_new();
    static const char *const dns[] = {"named.test", NULL};
    struct leaf named = {0};
    struct fed_tls *other;
    int64_t now = fed_wall_ms(fed_loop_env(w->bench.loop));
    struct fed_cert_spec spec = {.cn = FED_STR("n"),
                                 .dns_names = dns,
                                 .server = true,
                                 .not_before_ms = now - 1000,
                                 .not_after_ms = now + 3600000};
    assert_int_equal(fed_pki_new_key(&named.key, NULL), 0);
    assert_int_equal(fed_pki_sign(fed_buf_str(&w->ca.cert), fed_buf_str(&w->ca.key), fed_buf_str(&named.key), &spec,
                                  &named.cert, NULL),
                     0);
    struct fed_tls_conf conf = {
        .server = true, .cert_pem = fed_buf_str(&named.cert), .key_pem = fed_buf_str(&named.key)};
    assert_int_equal(fed_tls_new(fed_loop_env(w->bench.loop), &conf, &other, NULL), 0);
    conf = server_conf(w, FED_TLS_PEER_NONE);
    conf.by_name = by_name;
    conf.ud = other;
    listen_with(w, conf);
    connect_with(w, &w->ca, NULL, "NAMED.test", "h2");
    BENCH_RUN(&w->bench, both_open, w);
    assert_string_equal(w->alpn, "h2"); /* the listener's list, not that of the certificate's settings */
    connect_with(w, &w->ca, NULL, "api.test", NULL);
    BENCH_RUN(&w->bench, both_open, w);
    fed_tls_unref(other);
    fed_buf_release(&named.key);
    fed_buf_release(&named.cert);
    world_free(w);
}

static void put_file(const char *dir, const char *name, struct fed_str text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
}

static void test_reload(void **state)
{
    (void)state;
    struct world *w = world_new();
    char dir[] = "/tmp/hansa-tls-XXXXXX", cert[64], key[64];
    struct leaf renewed = {0};
    int64_t now = fed_wall_ms(fed_loop_env(w->bench.loop));
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof(cert), "%s/tls.crt", dir);
    snprintf(key, sizeof(key), "%s/tls.key", dir);
    put_file(dir, "tls.crt", fed_buf_str(&w->server.cert));
    put_file(dir, "tls.key", fed_buf_str(&w->server.key));
    struct fed_tls_conf conf = {.cert_file = cert, .key_file = key};
    listen_with(w, conf);
    connect_with(w, &w->other_ca, NULL, "api.test", NULL);
    BENCH_RUN(&w->bench, end_is_open, &w->cli);
    assert_int_equal(w->cli.code, FED_E_TLS);
    /* A half replaced pair is refused and the old one serves on. */
    make_leaf(&renewed, &w->other_ca, "server", true, now - 1000, now + 3600000);
    put_file(dir, "tls.crt", fed_buf_str(&renewed.cert));
    assert_int_equal(fed_tls_reload(w->server_tls, NULL), FED_E_TLS);
    connect_with(w, &w->ca, NULL, "api.test", NULL);
    BENCH_RUN(&w->bench, both_open, w);
    put_file(dir, "tls.key", fed_buf_str(&renewed.key));
    assert_int_equal(fed_tls_reload(w->server_tls, NULL), 0);
    connect_with(w, &w->other_ca, NULL, "api.test", NULL);
    BENCH_RUN(&w->bench, both_open, w);
    unlink(cert);
    unlink(key);
    rmdir(dir);
    fed_buf_release(&renewed.key);
    fed_buf_release(&renewed.cert);
    world_free(w);
}

static void test_bad_settings(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct fed_tls *tls;
    struct fed_err err;
    struct fed_env *env = fed_loop_env(w->bench.loop);
    struct fed_tls_conf none = {.server = true};
    assert_int_equal(fed_tls_new(env, &none, &tls, &err), FED_E_TLS);
    struct fed_tls_conf mixed = {
        .server = true, .cert_pem = fed_buf_str(&w->server.cert), .key_pem = fed_buf_str(&w->admin.key)};
    assert_int_equal(fed_tls_new(env, &mixed, &tls, &err), FED_E_TLS);
    struct fed_tls_conf missing = {.server = true, .cert_file = "/nonexistent/x", .key_file = "/nonexistent/y"};
    assert_int_equal(fed_tls_new(env, &missing, &tls, &err), FED_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/x"));
    struct fed_tls_conf no_anchor = server_conf(w, FED_TLS_PEER_REQUIRED);
    no_anchor.server = true;
    no_anchor.ca_pem = (struct fed_str){0};
    assert_int_equal(fed_tls_new(env, &no_anchor, &tls, &err), FED_E_TLS);
    struct fed_tls_conf junk = {.ca_pem = FED_STR("junk")};
    assert_int_equal(fed_tls_new(env, &junk, &tls, &err), FED_E_TLS);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_and_close),      cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_server_verification), cmocka_unit_test(test_client_required),
        cmocka_unit_test(test_client_optional),     cmocka_unit_test(test_plain_client),
        cmocka_unit_test(test_handshake_timeout),   cmocka_unit_test(test_cut_is_noticed),
        cmocka_unit_test(test_bulk_both_ways),      cmocka_unit_test(test_pause_mid_stream),
        cmocka_unit_test(test_certificate_by_name), cmocka_unit_test(test_reload),
        cmocka_unit_test(test_bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
