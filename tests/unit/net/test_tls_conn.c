/* SPDX-License-Identifier: Apache-2.0 */
/* TLS sessions in memory: what one end writes is the other's input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crypto/pki.h"
#include "net/loop.h"
#include "net/tls_conn.h"

struct world {
    struct fed_loop *loop;
    struct fed_buf ca_key, ca, key, cert;
    struct fed_tls *server, *client;
    struct fed_tls_conn s, c;
};

static int setup(void **state)
{
    struct world *w = FED_NEW(struct world);
    static const char *const dns[] = {"a.test", NULL};
    static const struct fed_str orgs[] = {FED_STR_INIT("ops")};
    w->loop = fed_loop_new();
    struct fed_env *env = fed_loop_env(w->loop);
    int64_t now = fed_wall_ms(env);
    struct fed_cert_spec spec = {.cn = FED_STR("both"),
                                 .orgs = orgs,
                                 .n_orgs = 1,
                                 .dns_names = dns,
                                 .server = true,
                                 .client = true,
                                 .not_before_ms = now - 1000,
                                 .not_after_ms = now + 600000};
    assert_int_equal(fed_pki_new_key(&w->ca_key, NULL), 0);
    assert_int_equal(fed_pki_new_ca(fed_buf_str(&w->ca_key), FED_STR("ca"), now - 1000, now + 600000, &w->ca, NULL), 0);
    assert_int_equal(fed_pki_new_key(&w->key, NULL), 0);
    assert_int_equal(
        fed_pki_sign(fed_buf_str(&w->ca), fed_buf_str(&w->ca_key), fed_buf_str(&w->key), &spec, &w->cert, NULL), 0);
    struct fed_tls_conf conf = {.server = true,
                                .cert_pem = fed_buf_str(&w->cert),
                                .key_pem = fed_buf_str(&w->key),
                                .ca_pem = fed_buf_str(&w->ca),
                                .peer = FED_TLS_PEER_REQUIRED};
    assert_int_equal(fed_tls_new(env, &conf, &w->server, NULL), 0);
    conf.server = false;
    assert_int_equal(fed_tls_new(env, &conf, &w->client, NULL), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    fed_tls_unref(w->server);
    fed_tls_unref(w->client);
    fed_buf_release(&w->ca_key);
    fed_buf_release(&w->ca);
    fed_buf_release(&w->key);
    fed_buf_release(&w->cert);
    fed_loop_free(w->loop);
    free(w);
    return 0;
}

static void begin(struct world *w, SSL_SESSION *resume)
{
    assert_int_equal(fed_tls_conn_init(&w->s, w->server, 0, NULL, NULL, NULL), 0);
    assert_int_equal(fed_tls_conn_init(&w->c, w->client, 0, "a.test", NULL, NULL), 0);
    if (resume)
        SSL_set_session(w->c.ssl, resume);
}

static void end(struct world *w)
{
    fed_tls_conn_release(&w->s);
    fed_tls_conn_release(&w->c);
}

/* Moves what `from` has to say into `to`. */
static void carry(struct fed_tls_conn *from, struct fed_tls_conn *to)
{
    to->in = fed_buf_str(&from->out);
    fed_tls_conn_keep_input(to);
    fed_buf_reset(&from->out);
}

static void shake(struct world *w)
{
    int cs = FED_TLS_WAIT, ss = FED_TLS_WAIT;
    for (int i = 0; i < 10 && (cs != FED_TLS_DONE || ss != FED_TLS_DONE); i++) {
        if (cs != FED_TLS_DONE)
            cs = fed_tls_conn_handshake(&w->c, NULL);
        carry(&w->c, &w->s);
        if (ss != FED_TLS_DONE)
            ss = fed_tls_conn_handshake(&w->s, NULL);
        carry(&w->s, &w->c);
        assert_true(cs >= 0 && ss >= 0);
    }
    assert_int_equal(cs, FED_TLS_DONE);
    assert_int_equal(ss, FED_TLS_DONE);
}

/* One message from the server; the client's read also takes in the session ticket. */
static void talk(struct world *w)
{
    char got[64];
    size_t n;
    int rc = fed_tls_conn_read(&w->c, got, sizeof(got), &n, NULL);
    assert_int_equal(rc, FED_TLS_WAIT);
    assert_int_equal(fed_tls_conn_write(&w->s, FED_STR("hello"), NULL), 0);
    carry(&w->s, &w->c);
    assert_int_equal(fed_tls_conn_read(&w->c, got, sizeof(got), &n, NULL), FED_TLS_DONE);
    assert_int_equal(n, 5);
}

static void check_identity(struct world *w)
{
    struct fed_arena arena = {0};
    struct fed_str cn;
    const struct fed_str *orgs;
    size_t n;
    assert_true(fed_tls_conn_identity(&w->s, &arena, &cn, &orgs, &n));
    assert_true(fed_str_is(cn, "both"));
    assert_int_equal(n, 1);
    assert_true(fed_str_is(orgs[0], "ops"));
    fed_arena_release(&arena);
}

static void test_resumption(void **state)
{
    struct world *w = *state;
    begin(w, NULL);
    shake(w);
    check_identity(w);
    talk(w);
    SSL_SESSION *session = SSL_get1_session(w->c.ssl);
    fed_tls_conn_shutdown(&w->c); /* a session that ended badly is not resumed */
    end(w);

    begin(w, session);
    shake(w);
    assert_true(SSL_session_reused(w->s.ssl));
    check_identity(w); /* the ticket carries it */
    end(w);

    /* After a reload (the anchors may have changed) a ticket is worth nothing: the certificate is judged anew. */
    assert_int_equal(fed_tls_reload(w->server, NULL), 0);
    begin(w, session);
    shake(w);
    assert_false(SSL_session_reused(w->s.ssl));
    check_identity(w);
    end(w);
    SSL_SESSION_free(session);
}

static void test_byte_by_byte(void **state)
{
    struct world *w = *state;
    char got[64];
    size_t n;
    begin(w, NULL);
    shake(w);
    (void)!fed_tls_conn_read(&w->c, got, sizeof(got), &n, NULL);
    assert_int_equal(fed_tls_conn_write(&w->s, FED_STR("hello"), NULL), 0);
    fed_tls_conn_shutdown(&w->s);
    struct fed_buf wire = w->s.out;
    size_t total = 0;
    int rc = FED_TLS_WAIT;
    for (size_t i = 0; i < wire.n && rc != FED_TLS_CLOSED; i++) {
        w->c.in = fed_str_n(wire.p + i, 1);
        while ((rc = fed_tls_conn_read(&w->c, got + total, sizeof(got) - total, &n, NULL)) == FED_TLS_DONE)
            total += n;
        assert_true(rc >= 0);
    }
    assert_int_equal(rc, FED_TLS_CLOSED);
    assert_int_equal(total, 5);
    assert_memory_equal(got, "hello", 5);
    end(w);
}

static void test_damage_is_noticed(void **state)
{
    struct world *w = *state;
    char got[64];
    size_t n;
    begin(w, NULL);
    shake(w);
    (void)!fed_tls_conn_read(&w->c, got, sizeof(got), &n, NULL);
    assert_int_equal(fed_tls_conn_write(&w->s, FED_STR("hello"), NULL), 0);
    w->s.out.p[w->s.out.n - 1] ^= 1;
    carry(&w->s, &w->c);
    struct fed_err err;
    assert_int_equal(fed_tls_conn_read(&w->c, got, sizeof(got), &n, &err), FED_E_TLS);
    assert_true(w->c.out.n > 0); /* the alert */
    end(w);
}

static void test_large_write_is_whole_records(void **state)
{
    struct world *w = *state;
    size_t size = 100000, total = 0, n;
    char *big = fed_calloc(1, size), *got = fed_malloc(size);
    begin(w, NULL);
    shake(w);
    assert_int_equal(fed_tls_conn_write(&w->c, fed_str_n(big, size), NULL), 0);
    assert_true(w->c.out.n < size + 1000);
    carry(&w->c, &w->s);
    while (total < size) {
        assert_int_equal(fed_tls_conn_read(&w->s, got + total, size - total, &n, NULL), FED_TLS_DONE);
        total += n;
    }
    assert_memory_equal(big, got, size);
    free(big);
    free(got);
    end(w);
}

static void put_file(const char *path, struct fed_buf *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text->p, 1, text->n, f), text->n);
    fclose(f);
}

static bool same_context(struct fed_tls *tls, SSL_CTX *before, uint64_t now_ms)
{
    SSL_CTX *ctx = fed_tls_context(tls, now_ms);
    SSL_CTX_free(ctx);
    return ctx == before;
}

static void test_changed_file_is_seen_within_a_minute(void **state)
{
    struct world *w = *state;
    char dir[] = "/tmp/hansa-tls-XXXXXX", cert[64], key[64];
    struct fed_tls *tls;
    uint64_t now = fed_mono_ms(fed_loop_env(w->loop));
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof(cert), "%s/c", dir);
    snprintf(key, sizeof(key), "%s/k", dir);
    put_file(cert, &w->cert);
    put_file(key, &w->key);
    struct fed_tls_conf conf = {.server = true, .cert_file = cert, .key_file = key};
    assert_int_equal(fed_tls_new(fed_loop_env(w->loop), &conf, &tls, NULL), 0);
    SSL_CTX *first = fed_tls_context(tls, now);
    assert_true(same_context(tls, first, now + 61000)); /* nothing changed */
    unlink(cert);                                       /* the new file may get the same inode: its size differs */
    fed_buf_addz(&w->cert, "\n");
    put_file(cert, &w->cert);
    assert_true(same_context(tls, first, now + 62000)); /* not looked at yet */
    assert_false(same_context(tls, first, now + 122000));
    unlink(cert);
    unlink(key);
    rmdir(dir);
    SSL_CTX_free(first);
    fed_tls_unref(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resumption, setup, teardown),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changed_file_is_seen_within_a_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_write_is_whole_records, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
