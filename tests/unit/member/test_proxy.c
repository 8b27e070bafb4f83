/* SPDX-License-Identifier: Apache-2.0 */
/* Names and heads of the proxy subresources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "member/streams/streams.h"

static void names(void **state)
{
    static const struct {
        const char *in;
        bool ok;
        const char *scheme, *name, *port;
    } cases[] = {
        {"web", true, "", "web", ""},
        {"web:80", true, "", "web", "80"},
        {"web:", true, "", "web", ""},
        {"https:web:", true, "https", "web", ""},
        {"http:web:http", true, "http", "web", "http"},
        {":web:80", true, "", "web", "80"},
        {"https:web", true, "", "https", "web"},
        {"ftp:web:80", false, "", "", ""},
        {"a:b:c:d", false, "", "", ""},
        {":80", false, "", "", ""},
        {"", false, "", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct mbr_name n = {0};
        bool ok = mbr_name_split(fed_str(cases[i].in), &n);
        if (ok != cases[i].ok || (ok && (!fed_str_is(n.scheme, cases[i].scheme) || !fed_str_is(n.name, cases[i].name) ||
                                         !fed_str_is(n.port, cases[i].port))))
            fail_msg("%s", cases[i].in);
    }
}

static void paths(void **state)
{
    static const struct {
        const char *in, *prefix, *rest;
    } cases[] = {
        {"/api/v1/nodes/n/proxy", "/api/v1/nodes/n/proxy", ""},
        {"/api/v1/nodes/n/proxy/", "/api/v1/nodes/n/proxy", "/"},
        {"/api/v1/nodes/n/proxy/a%2Fb//c", "/api/v1/nodes/n/proxy", "/a%2Fb//c"},
        {"//api/v1//nodes/n/proxy/x", "//api/v1//nodes/n/proxy", "/x"},
        {"/api/v1/nodes/n", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_str prefix, rest;
        bool ok = mbr_proxy_split(fed_str(cases[i].in), 5, &prefix, &rest);
        if (ok != (cases[i].prefix != NULL) ||
            (ok && (!fed_str_is(prefix, cases[i].prefix) || !fed_str_is(rest, cases[i].rest))))
            fail_msg("%s", cases[i].in);
    }
}

static void locations(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"/login?next=/", "/P/proxy/login?next=/"},
        {"http://10.0.0.1:80/x", "/P/proxy/x"},
        {"https://api:6443/x/", "/P/proxy/x/"},
        {"//10.0.0.1:80/x", "/P/proxy/x"},
        {"http://10.0.0.1:80", "/P/proxy/"},
        {"/P/proxy/there", "/P/proxy/there"},
        {"http://elsewhere/x", "http://elsewhere/x"},
        {"there", "there"},
        {"?a=http://b/", "?a=http://b/"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_buf b = {0};
        mbr_proxy_location(&b, fed_str(cases[i].in), FED_STR("/P/proxy"), "10.0.0.1:80", FED_STR("api:6443"));
        assert_string_equal(fed_buf_z(&b), cases[i].out);
        fed_buf_release(&b);
    }
}

#define H(name, value)                                                                                                 \
    {                                                                                                                  \
        FED_STR_INIT(name), FED_STR_INIT(value)                                                                        \
    }

static void heads(void **state)
{
    static const struct fed_http_header headers[] = {
        H("accept", "*/*"),
        H("authorization", "Bearer secret"),
        H("impersonate-user", "root"),
        H("connection", "x-secret"),
        H("x-secret", "1"),
        H("te", "trailers"),
        H("content-length", "2"),
        H("x-forwarded-for", "192.0.2.9"),
        H("cookie", "a=b"),
    };
    struct fed_http_request r = {.method = FED_STR("PUT"),
                                 .path = FED_STR("/P/proxy/x"),
                                 .query = FED_STR("q=1"),
                                 .host = FED_STR("api:6443"),
                                 .headers = headers,
                                 .n_headers = FED_ARRAY_LEN(headers),
                                 .body = FED_STR("ab"),
                                 .version = 1};
    struct fed_buf b = {0};
    (void)state;
    assert_int_equal(fed_addr_parse(FED_STR("192.0.2.1"), 5, &r.peer), 0);
    mbr_proxy_request(&b, &r, FED_STR("/x"), false);
    assert_string_equal(fed_buf_z(&b), "PUT /x?q=1 HTTP/1.1\r\nHost: api:6443\r\naccept: */*\r\ncookie: a=b\r\n"
                                       "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\nX-Forwarded-Uri: /P/proxy/x\r\n"
                                       "Connection: close\r\nContent-Length: 2\r\n\r\nab");
    fed_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(paths),
        cmocka_unit_test(locations),
        cmocka_unit_test(heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
