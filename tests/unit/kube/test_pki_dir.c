/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of an API server: leaves are made anew at two thirds of their life; what a listener reads is then the new one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "crypto/pki.h"
#include "kube/pki_dir.h"
#include "net/tls.h"
#include "support/test_env.h"

#define DAY_MS UINT64_C(86400000)

static const char *const ips[] = {"127.0.0.1", NULL};
static const char *const names[] = {"api.test", NULL};

struct world {
    struct test_env env;
    char dir[64];
    struct fed_pki_dir *pki;
};

static void open_pki(struct world *w)
{
    struct fed_pki_dir_conf conf = {.dir = w->dir, .name = "c", .server_cn = "server", .ips = ips, .names = names};
    assert_int_equal(fed_pki_dir_open(&w->env.env, &conf, &w->pki, NULL), 0);
}

static int set_up(void **state)
{
    struct world *w = FED_NEW(struct world);
    test_env_init(&w->env, 1);
    snprintf(w->dir, sizeof(w->dir), "/tmp/hansa-pki-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    open_pki(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"ca.crt",    "ca.key",    "server.crt", "server.key",
                                        "admin.crt", "admin.key", "sa.key"};
    struct world *w = *state;
    char path[128];
    fed_pki_dir_free(w->pki);
    for (size_t i = 0; i < FED_ARRAY_LEN(files); i++) {
        snprintf(path, sizeof(path), "%s/pki/%s", w->dir, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/pki", w->dir);
    rmdir(path);
    rmdir(w->dir);
    test_env_release(&w->env);
    free(w);
    return 0;
}

static int64_t server_ends(struct world *w)
{
    struct fed_buf cert;
    int64_t from, to;
    fed_buf_init(&cert, 65536);
    assert_int_equal(fed_file_read(fed_pki_dir_server_cert_file(w->pki), 65536, &cert, NULL), 0);
    assert_true(fed_pki_signed_by(fed_buf_str(&cert), fed_pki_dir_ca(w->pki)));
    assert_int_equal(fed_pki_validity(fed_buf_str(&cert), &from, &to, NULL), 0);
    fed_buf_release(&cert);
    return to;
}

static bool renew(struct world *w)
{
    bool changed = false;
    assert_int_equal(fed_pki_dir_renew(w->pki, &changed, NULL), 0);
    return changed;
}

static void test_at_two_thirds(void **state)
{
    struct world *w = *state;
    int64_t first = server_ends(w);
    test_env_advance(&w->env, 240 * DAY_MS);
    assert_false(renew(w));
    assert_int_equal(server_ends(w), first);
    test_env_advance(&w->env, 4 * DAY_MS);
    assert_true(renew(w));
    assert_true(server_ends(w) > first);
    assert_false(renew(w));
}

static void test_listener_takes_the_new_one(void **state)
{
    struct world *w = *state;
    struct fed_tls_conf conf = {.server = true,
                                .cert_file = fed_pki_dir_server_cert_file(w->pki),
                                .key_file = fed_pki_dir_server_key_file(w->pki)};
    struct fed_tls *tls;
    assert_int_equal(fed_tls_new(&w->env.env, &conf, &tls, NULL), 0);
    test_env_advance(&w->env, 300 * DAY_MS);
    assert_true(renew(w));
    assert_int_equal(fed_tls_reload(tls, NULL), 0);
    fed_tls_unref(tls);
}

static void test_after_a_long_stop(void **state)
{
    struct world *w = *state;
    int64_t first = server_ends(w);
    fed_pki_dir_free(w->pki);
    test_env_advance(&w->env, 500 * DAY_MS); /* nothing of it is valid any more */
    open_pki(w);
    assert_true(server_ends(w) > first);
    assert_true(server_ends(w) > fed_wall_ms(&w->env.env));
}

static void test_another_address(void **state)
{
    struct world *w = *state;
    static const char *const more_ips[] = {"127.0.0.1", "127.0.0.9", "::1", NULL};
    static const char *const more_names[] = {"api.test", "*.wide.test", NULL}, *const others[] = {"other.test", NULL};
    const struct {
        const char *name;
        const char *const *ips, *const *names;
        bool changes;
    } steps[] = {{"as it was", ips, names, false},
                 {"one more address", more_ips, names, true},
                 {"again", more_ips, names, false},
                 {"one less is still for all", ips, names, false},
                 {"a pattern is not asked for", ips, more_names, false},
                 {"another name", ips, others, true}};
    for (size_t i = 0; i < FED_ARRAY_LEN(steps); i++) {
        struct fed_pki_dir_conf conf = {
            .dir = w->dir, .name = "c", .server_cn = "server", .ips = steps[i].ips, .names = steps[i].names};
        int64_t before = server_ends(w);
        test_env_advance(&w->env, DAY_MS);
        fed_pki_dir_free(w->pki);
        assert_int_equal(fed_pki_dir_open(&w->env.env, &conf, &w->pki, NULL), 0);
        if ((server_ends(w) > before) != steps[i].changes)
            fail_msg("%s", steps[i].name);
        assert_false(renew(w));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_another_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_at_two_thirds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listener_takes_the_new_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_after_a_long_stop, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
