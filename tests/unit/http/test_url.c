/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/gzip.h"
#include "http/url.h"

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want; /* NULL: refused */
    } cases[] = {
        {"http://a", "http a 80 [] -"},
        {"https://a/", "https a 443 [/] -"},
        {"HTTPS://a.b:6443/x/y?q=1&r#frag", "HTTPS a.b 6443 [/x/y] q=1&r"},
        {"http://[::1]:80/", "http ::1 80 [/] -"},
        {"https://[2001:db8::1]?x", "https 2001:db8::1 443 [] x"},
        {"http://a:/x", "http a 80 [/x] -"},
        {"http://a?", "http a 80 [] "},
        {"wss://h/exec", "wss h 443 [/exec] -"},
        {"socks5://h:1080", "socks5 h 1080 [] -"},
        {"", NULL},
        {"a", NULL},
        {"/x", NULL},
        {"://a", NULL},
        {"http:/a", NULL},
        {"http://", NULL},
        {"http:///x", NULL},
        {"1http://a", NULL},
        {"ht tp://a", NULL},
        {"http://a b", NULL},
        {"http://a:0", NULL},
        {"http://a:65536", NULL},
        {"http://a:x", NULL},
        {"http://a:8 0", NULL},
        {"http://u:p@a/", NULL},
        {"http://[::1", NULL},
        {"http://[]", NULL},
        {"http://[::1]x", NULL},
        {"http://a\\b/", NULL},
        {"http://a\n", NULL},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_url u;
        char got[256] = "";
        int rc = fed_url_parse(fed_str(cases[i].in), &u, NULL);
        if (rc == 0)
            snprintf(got, sizeof(got), "%.*s %.*s %u [%.*s] %.*s%s", FED_STR_ARG(u.scheme), FED_STR_ARG(u.host), u.port,
                     FED_STR_ARG(u.path), FED_STR_ARG(u.query), u.query.p ? "" : "-");
        if ((rc == 0) != (cases[i].want != NULL) || (cases[i].want && strcmp(got, cases[i].want) != 0))
            fail_msg("%s: rc %d, %s", cases[i].in, rc, got);
    }
}

static void test_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want;
        bool plus;
    } cases[] = {
        {"a%20b+c", "a b+c", false},
        {"a%20b+c", "a b c", true},
        {"", "", false},
        {"%e2%82%AC", "\xe2\x82\xac", false},
        {"%", NULL, false},
        {"%2", NULL, false},
        {"%zz", NULL, false},
        {"a%00b", NULL, false},
        {"%2525", "%25", false},
    };
    struct fed_arena a = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_str out;
        int rc = fed_url_decode(&a, fed_str(cases[i].in), cases[i].plus, &out);
        if (cases[i].want ? rc != 0 || !fed_str_is(out, cases[i].want) : rc != FED_E_SYNTAX)
            fail_msg("%s", cases[i].in);
    }
    struct fed_buf b = {.max = 0};
    fed_url_encode(&b, FED_STR("aZ09-._~ /?&=+%\xe2"));
    assert_string_equal(fed_buf_z(&b), "aZ09-._~%20%2F%3F%26%3D%2B%25%E2");
    fed_buf_release(&b);
    fed_arena_release(&a);
}

static void test_query(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_query q;
    assert_int_equal(fed_query_parse(&a, FED_STR("watch=1&labelSelector=a%3Db,c&x&&e=&watch=2&s=p+q"), &q, NULL), 0);
    assert_int_equal(q.n, 6);
    assert_true(fed_str_is(fed_query_find(&q, "watch"), "1"));
    assert_true(fed_str_is(fed_query_find(&q, "labelSelector"), "a=b,c"));
    assert_true(fed_str_is(fed_query_find(&q, "s"), "p q"));
    assert_non_null(fed_query_find(&q, "x").p);
    assert_int_equal(fed_query_find(&q, "e").n, 0);
    assert_null(fed_query_find(&q, "none").p);
    assert_int_equal(fed_query_parse(&a, FED_STR("a=%zz"), &q, NULL), FED_E_SYNTAX);
    struct fed_buf b = {.max = 0};
    for (int i = 0; i < 256; i++)
        fed_buf_addz(&b, i ? "&a" : "a");
    assert_int_equal(fed_query_parse(&a, fed_buf_str(&b), &q, NULL), 0);
    assert_int_equal(q.n, 256);
    fed_buf_addz(&b, "&a");
    assert_int_equal(fed_query_parse(&a, fed_buf_str(&b), &q, NULL), FED_E_LIMIT);
    assert_int_equal(fed_query_parse(&a, (struct fed_str){NULL, 0}, &q, NULL), 0);
    fed_buf_release(&b);
    fed_arena_release(&a);
}

static void test_gzip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 32768, 1000000};
    for (size_t i = 0; i < FED_ARRAY_LEN(sizes); i++) {
        struct fed_buf plain = {.max = 0}, packed = {.max = 0}, back;
        for (size_t k = 0; k < sizes[i]; k++)
            fed_buf_addc(&plain, (char)(k * k / 77));
        assert_int_equal(fed_gzip_encode(fed_buf_str(&plain), 6, &packed), 0);
        fed_buf_init(&back, sizes[i] ? sizes[i] : 1); /* exactly enough */
        assert_int_equal(fed_gzip_decode(fed_buf_str(&packed), &back), 0);
        assert_true(fed_str_eq(fed_buf_str(&plain), fed_buf_str(&back)));
        fed_buf_release(&back);
        if (sizes[i] > 1) {
            fed_buf_init(&back, sizes[i] - 1);
            assert_int_equal(fed_gzip_decode(fed_buf_str(&packed), &back), FED_E_LIMIT);
            fed_buf_release(&back);
        }
        fed_buf_init(&back, 0);
        assert_int_equal(fed_gzip_decode(fed_str_head(fed_buf_str(&packed), packed.n - 1), &back), FED_E_END);
        packed.p[packed.n - 5] ^= 1; /* the checksum */
        fed_buf_reset(&back);
        assert_int_equal(fed_gzip_decode(fed_buf_str(&packed), &back), FED_E_SYNTAX);
        packed.p[packed.n - 5] ^= 1;
        fed_buf_reset(&back);
        fed_buf_append(&packed, packed.p, 0);
        struct fed_buf twice = {.max = 0};
        fed_buf_add(&twice, fed_buf_str(&packed));
        fed_buf_add(&twice, fed_buf_str(&packed));
        assert_int_equal(fed_gzip_decode(fed_buf_str(&twice), &back), 0);
        assert_int_equal(back.n, sizes[i] * 2);
        fed_buf_release(&twice);
        fed_buf_release(&back);
        fed_buf_init(&back, 20);
        if (sizes[i] > 100)
            assert_int_equal(fed_gzip_encode(fed_buf_str(&plain), 6, &back), FED_E_LIMIT);
        fed_buf_release(&back);
        fed_buf_release(&plain);
        fed_buf_release(&packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_escapes),
                                       cmocka_unit_test(test_query), cmocka_unit_test(test_gzip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
