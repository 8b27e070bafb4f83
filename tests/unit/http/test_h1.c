/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/chars.h"
#include "http/h1.h"

/* One message and everything that was understood of it, as text: comparing texts compares all. */
static void put_str(struct fed_buf *b, const char *label, struct fed_str s)
{
    if (s.p)
        fed_buf_addf(b, " %s=[%.*s]", label, FED_STR_ARG(s));
}

static void put_head(struct fed_buf *b, const struct fed_h1_head *h, bool request)
{
    static const char *const framings[] = {"none", "length", "chunked", "close", "tunnel"};
    if (request) {
        put_str(b, "method", h->method);
        put_str(b, "path", h->path);
        put_str(b, "query", h->query);
        put_str(b, "host", h->host);
    } else {
        fed_buf_addf(b, " %d", h->response_status);
        put_str(b, "reason", h->reason);
    }
    fed_buf_addf(b, " 1.%d %s %s", h->minor, framings[h->framing], h->keep_alive ? "keep" : "end");
    if (h->expect_continue)
        fed_buf_addz(b, " expect");
    put_str(b, "upgrade", h->upgrade);
    for (size_t i = 0; i < h->n_headers; i++) {
        fed_buf_addf(b, " %.*s%s", FED_STR_ARG(h->headers[i].name), fed_h1_is_hop(h, i) ? "!" : "");
        put_str(b, "", h->headers[i].value);
    }
}

/* Feeds the text in pieces, each time in memory of its own, so that a slice of older memory shows under ASan. */
static void run(struct fed_buf *out, struct fed_str text, size_t cut, bool bytewise, bool request,
                enum fed_h1_method method)
{
    struct fed_h1_head *h = fed_malloc(sizeof(*h));
    fed_h1_init(h);
    char *mem = NULL;
    size_t n = FED_MIN(bytewise ? 1 : cut, text.n);
    int rc;
    for (;;) {
        char *fresh = fed_malloc(n + 1);
        memcpy(fresh, text.p, n);
        struct fed_str bytes = {fresh, n};
        rc = request ? fed_h1_parse_request(h, bytes) : fed_h1_parse_response(h, bytes, method);
        free(mem);
        mem = fresh;
        if (rc != 0 || n == text.n)
            break;
        n = bytewise ? n + 1 : text.n;
    }
    if (rc <= 0) {
        fed_buf_addf(out, rc ? "%s %d" : "more", fed_code_name(rc), h->status);
        goto out;
    }
    put_head(out, h, request);
    struct fed_h1_body body;
    fed_h1_body_init(&body, h->framing, h->content_length);
    struct fed_buf data = {.max = 0};
    struct fed_str rest = fed_str_from(text, (size_t)rc), in = {NULL, 0}, piece;
    size_t used = 0, step = bytewise ? 1 : FED_MAX(cut, (size_t)1);
    int brc = FED_H1_MORE;
    while (brc >= 0 && brc != FED_H1_END && used <= rest.n) {
        in = fed_str_head(fed_str_from(rest, used), step);
        size_t before = in.n;
        while ((brc = fed_h1_body_next(&body, &in, &piece)) == FED_H1_DATA)
            fed_buf_add(&data, piece);
        used += before - in.n;
        if (brc == FED_H1_MORE && used == rest.n)
            break;
    }
    const char *end = brc < 0                  ? fed_code_name(brc)
                      : brc == FED_H1_END      ? "whole"
                      : fed_h1_body_eof(&body) ? "cut"
                                               : "eof";
    fed_buf_addf(out, " body=[%s] %s", brc < 0 ? "" : fed_buf_z(&data), end);
    if (brc == FED_H1_END && used < rest.n)
        fed_buf_addf(out, " rest=[%.*s]", FED_STR_ARG(fed_str_from(rest, used)));
    fed_buf_release(&data);
out:
    free(mem);
    free(h);
}

struct cas {
    const char *in;
    const char *want; /* NULL: only that all cuts agree and that it fails with `status` */
    int status;
};
#define GET  "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static const struct cas requests[] = {
    {"GET /x?y=1 HTTP/1.1\r\nHost: a:80\r\nX-A:  b c\t\r\n\r\n",
     " method=[GET] path=[/x] query=[y=1] host=[a:80] 1.1 none keep Host =[a:80] X-A =[b c] body=[] whole", 0},
    {"\r\nGET / HTTP/1.1\r\nhost:\r\n\r\n", " method=[GET] path=[/] host=[] 1.1 none keep host =[] body=[] whole", 0},
    {"GET / HTTP/1.0\r\n\r\n", " method=[GET] path=[/] 1.0 none end body=[] whole", 0},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
     " method=[GET] path=[/] 1.0 none keep Connection! =[Keep-Alive] body=[] whole", 0},
    {GET "Connection: close, x-hop\r\nX-Hop: 1\r\nVia: 2\r\n\r\n",
     " method=[GET] path=[/] host=[a] 1.1 none end Host =[a] Connection! =[close, x-hop] X-Hop! =[1] Via =[2] "
     "body=[] whole",
     0},
    {GET "Connection: via, host\r\nVia: 2\r\n\r\n",
     " method=[GET] path=[/] host=[a] 1.1 none keep Host =[a] Connection! =[via, host] Via =[2] body=[] whole", 0},
    {GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nxyz",
     " method=[GET] path=[/] host=[a] 1.1 none keep upgrade=[websocket] Host =[a] Connection! =[Upgrade] "
     "Upgrade! =[websocket] body=[] whole rest=[xyz]",
     0},
    {GET "Upgrade: websocket\r\n\r\n",
     " method=[GET] path=[/] host=[a] 1.1 none keep Host =[a] Upgrade! =[websocket] body=[] whole", 0},
    {"GET http://b.example/p?q HTTP/1.1\r\nHost: a\r\n\r\n",
     " method=[GET] path=[/p] query=[q] host=[b.example] 1.1 none keep Host =[a] body=[] whole", 0},
    {"GET HTTP://b:8 HTTP/1.1\r\nHost: a\r\n\r\n",
     " method=[GET] path=[] host=[b:8] 1.1 none keep Host =[a] body=[] whole", 0},
    {"CONNECT [::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n",
     " method=[CONNECT] path=[] host=[[::1]:443] 1.1 none keep Host =[x] body=[] whole", 0},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
     " method=[OPTIONS] path=[*] host=[a] 1.1 none keep Host =[a] body=[] whole", 0},
    {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", " method=[GET] path=[/] host=[a] 1.1 none keep Host =[a] body=[] whole", 0},
    {POST "Content-Length: 5\r\n\r\nhelloNEXT",
     " method=[POST] path=[/] host=[a] 1.1 length keep Host =[a] Content-Length =[5] body=[hello] whole rest=[NEXT]",
     0},
    {POST "Content-Length: 0\r\n\r\n",
     " method=[POST] path=[/] host=[a] 1.1 none keep Host =[a] Content-Length =[0] body=[] whole", 0},
    {POST "Content-Length: 5\r\n\r\nhel",
     " method=[POST] path=[/] host=[a] 1.1 length keep Host =[a] Content-Length =[5] body=[hel] cut", 0},
    {POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
     " method=[POST] path=[/] host=[a] 1.1 length keep expect Host =[a] Expect =[100-Continue] Content-Length =[1] "
     "body=[a] whole",
     0},
    {POST "Transfer-Encoding: Chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n00a\r\n, chunked!\r\n0\r\nX-T: 1\r\n\r\nNEXT",
     " method=[POST] path=[/] host=[a] 1.1 chunked keep Host =[a] Transfer-Encoding! =[Chunked] "
     "body=[hello, chunked!] whole rest=[NEXT]",
     0},
    {"GET /", "more", 0},
    {"", "more", 0},
    {GET, "more", 0},
    {GET "\r", "more", 0},
    /* Refused. */
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", NULL, 400},
    {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET /\r\n\r\n", NULL, 400},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", NULL, 505},
    {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", NULL, 505},
    {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", NULL, 400},
    {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, 400},
    {"GET / HTTP/1.1\nHost: a\n\n", NULL, 400},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", NULL, 400},
    {"GET / HTTP/1.1\r\n\r\n", NULL, 400},
    {GET "Host: a\r\n\r\n", NULL, 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", NULL, 400},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", NULL, 400},
    {"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", NULL, 400},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", NULL, 400},
    {GET "A : b\r\n\r\n", NULL, 400},
    {GET ": b\r\n\r\n", NULL, 400},
    {GET "A\r\n\r\n", NULL, 400},
    {GET "A: b\r\n c\r\n\r\n", NULL, 400},
    {GET " A: b\r\n\r\n", NULL, 400},
    {GET "A: b\rc\r\n\r\n", NULL, 400},
    {GET "A: b\x01\r\n\r\n", NULL, 400},
    {GET "A: 12345678\x7f\r\n\r\n", NULL, 400},
    {GET "\r\r\n", NULL, 400},
    {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", NULL, 400},
    {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", NULL, 400},
    {POST "Content-Length: 5, 5\r\n\r\n", NULL, 400},
    {POST "Content-Length: +5\r\n\r\n", NULL, 400},
    {POST "Content-Length: 0x5\r\n\r\n", NULL, 400},
    {POST "Content-Length:\r\n\r\n", NULL, 400},
    {POST "Content-Length: 9999999999999999999999\r\n\r\n", NULL, 400},
    {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", NULL, 400},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", NULL, 400},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", NULL, 400},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", NULL, 501},
    {POST "Transfer-Encoding: identity\r\n\r\n", NULL, 501},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", NULL, 501},
    {POST "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n",
     NULL, 400},
    {POST "Transfer-Encoding : chunked\r\n\r\n", NULL, 400},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", NULL, 400},
    {POST "Expect: tea\r\n\r\n", NULL, 417},
};

static const char *const bad_chunks[] = {
    "x\r\n",
    "\r\n",
    "-1\r\n",
    "0x5\r\n",
    " 5\r\n",
    "5 \r\n",
    "5\n",
    "5\r\rhello",
    "5\r\nhelloX\r\n",
    "5\r\nhello\n",
    "5\r\nhello\r\r",
    "11111111111111111\r\n",
    "5;\x01\r\n",
    "0\r\n X: y\r\n\r\n",
    "0\r\nX y\r\n\r\n",
    "0\r\nX: y\n\r\n",
    "0\r\n\rX",
    "0\r\n\n",
};

static const struct {
    const char *in, *want;
    enum fed_h1_method method;
} responses[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiX",
     " 200 reason=[OK] 1.1 length keep Content-Length =[2] body=[hi] whole rest=[X]", FED_H1_GET},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nX",
     " 200 reason=[OK] 1.1 none keep Content-Length =[2] body=[] whole rest=[X]", FED_H1_HEAD},
    {"HTTP/1.1 200\r\n\r\nabc", " 200 reason=[] 1.1 close end body=[abc] eof", FED_H1_GET},
    {"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n",
     " 404 reason=[Not Found] 1.0 none end Content-Length =[0] body=[] whole", FED_H1_GET},
    {"HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n", " 204 reason=[] 1.1 none keep Content-Length =[5] body=[] whole",
     FED_H1_GET},
    {"HTTP/1.1 304 Not Modified\r\n\r\n", " 304 reason=[Not Modified] 1.1 none keep body=[] whole", FED_H1_GET},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP", " 100 reason=[Continue] 1.1 none keep body=[] whole rest=[HTTP]",
     FED_H1_POST},
    {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: ws\r\n\r\nab",
     " 101 reason=[Switching] 1.1 tunnel keep upgrade=[ws] Connection! =[upgrade] Upgrade! =[ws] body=[ab] eof",
     FED_H1_GET},
    {"HTTP/1.1 200 OK\r\n\r\nab", " 200 reason=[OK] 1.1 tunnel keep body=[ab] eof", FED_H1_CONNECT},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     " 200 reason=[OK] 1.1 chunked keep Transfer-Encoding! =[chunked] body=[abc] whole", FED_H1_GET},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
     " 200 reason=[OK] 1.1 chunked keep Transfer-Encoding! =[chunked] body=[ab] cut", FED_H1_GET},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "SYNTAX 400", FED_H1_GET},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "SYNTAX 400", FED_H1_GET},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", "SYNTAX 400", FED_H1_GET},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", "SYNTAX 400", FED_H1_GET},
    {"HTTP/1.1 2x0 OK\r\n\r\n", "SYNTAX 400", FED_H1_GET},
    {"HTTP/1.1 099 OK\r\n\r\n", "SYNTAX 400", FED_H1_GET},
    {"HTTP/2 200\r\n\r\n", "SYNTAX 400", FED_H1_GET},
    {"HTTP/1.1 2000\r\n\r\n", "SYNTAX 400", FED_H1_GET},
};

/* Whole, byte by byte and cut in two at every place: the same. */
static void check_cuts(struct fed_str text, bool request, enum fed_h1_method method, const char *want)
{
    struct fed_buf whole = {.max = 0}, other = {.max = 0};
    run(&whole, text, text.n, false, request, method);
    if (want)
        assert_string_equal(fed_buf_z(&whole), want);
    run(&other, text, 0, true, request, method);
    assert_string_equal(fed_buf_z(&other), fed_buf_z(&whole));
    for (size_t cut = 0; cut < text.n; cut++) {
        fed_buf_reset(&other);
        run(&other, text, cut, false, request, method);
        assert_string_equal(fed_buf_z(&other), fed_buf_z(&whole));
    }
    fed_buf_release(&whole);
    fed_buf_release(&other);
}

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(requests); i++) {
        const struct cas *c = &requests[i];
        char want[64];
        snprintf(want, sizeof(want), "%s %d",
                 c->status == 501 || c->status == 417 ? "UNSUPPORTED"
                 : c->status == 505                   ? "VERSION"
                                                      : "SYNTAX",
                 c->status);
        check_cuts(fed_str(c->in), true, 0, c->want ? c->want : want);
    }
    /* NUL in each place that takes text. */
    static const char nul[] = GET "A: b\0c\r\n\r\n", nul2[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
    check_cuts(fed_str_n(nul, sizeof(nul) - 1), true, 0, "SYNTAX 400");
    check_cuts(fed_str_n(nul2, sizeof(nul2) - 1), true, 0, "SYNTAX 400");
}

static void test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(responses); i++)
        check_cuts(fed_str(responses[i].in), false, responses[i].method, responses[i].want);
}

static void test_bad_chunks(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(bad_chunks); i++) {
        struct fed_buf text = {.max = 0}, out = {.max = 0};
        fed_buf_addf(&text, POST "Transfer-Encoding: chunked\r\n\r\n%s", bad_chunks[i]);
        run(&out, fed_buf_str(&text), text.n, false, true, 0);
        if (!strstr(fed_buf_z(&out), "body=[] SYNTAX"))
            fail_msg("%s: %s", bad_chunks[i], fed_buf_z(&out));
        check_cuts(fed_buf_str(&text), true, 0, fed_buf_z(&out));
        fed_buf_release(&text);
        fed_buf_release(&out);
    }
}

static int parse_z(struct fed_buf *b, int *status)
{
    struct fed_h1_head h;
    fed_h1_init(&h);
    int rc = fed_h1_parse_request(&h, fed_buf_str(b));
    *status = h.status;
    return rc;
}

static void test_limits(void **state)
{
    (void)state;
    struct fed_buf b = {.max = 0};
    int status;
    fed_buf_addz(&b, GET);
    for (int i = 0; i < FED_H1_MAX_HEADERS - 1; i++)
        fed_buf_addz(&b, "A: b\r\n");
    fed_buf_addz(&b, "\r\n");
    assert_int_equal(parse_z(&b, &status), b.n);
    fed_buf_reset(&b);
    fed_buf_addz(&b, GET);
    for (int i = 0; i < FED_H1_MAX_HEADERS; i++)
        fed_buf_addz(&b, "A: b\r\n");
    fed_buf_addz(&b, "\r\n");
    assert_int_equal(parse_z(&b, &status), FED_E_LIMIT);
    assert_int_equal(status, 431);
    /* 64 kB exactly are taken, one byte more is not; a request line alone gives 414. */
    for (int extra = 0; extra < 2; extra++) {
        fed_buf_reset(&b);
        fed_buf_addz(&b, GET "A: ");
        while (b.n < FED_H1_MAX_HEAD - 4 + (size_t)extra)
            fed_buf_addc(&b, 'x');
        fed_buf_addz(&b, "\r\n\r\n");
        assert_int_equal(parse_z(&b, &status), extra ? FED_E_LIMIT : FED_H1_MAX_HEAD);
    }
    assert_int_equal(status, 431);
    fed_buf_reset(&b);
    fed_buf_addz(&b, "GET /");
    while (b.n < FED_H1_MAX_HEAD)
        fed_buf_addc(&b, 'x');
    assert_int_equal(parse_z(&b, &status), FED_E_LIMIT);
    assert_int_equal(status, 414);
    /* Chunk lines and trailers. */
    static const char *const endless[] = {"5;", "0\r\nX: "};
    for (size_t i = 0; i < 2; i++) {
        struct fed_h1_body body;
        fed_h1_body_init(&body, FED_H1_BODY_CHUNKED, 0);
        fed_buf_reset(&b);
        fed_buf_addz(&b, endless[i]);
        while (b.n < FED_H1_MAX_TRAILERS + 100)
            fed_buf_addc(&b, 'x');
        struct fed_str in = fed_buf_str(&b), data;
        assert_int_equal(fed_h1_body_next(&body, &in, &data), FED_E_LIMIT);
    }
    fed_buf_release(&b);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum fed_h1_name id;
    } names[] = {
        {"te", FED_H1_TE},
        {"Via", FED_H1_VIA},
        {"HOST", FED_H1_HOST},
        {"date", FED_H1_DATE},
        {"accept", FED_H1_ACCEPT},
        {"server", FED_H1_SERVER},
        {"Trailer", FED_H1_TRAILER},
        {"location", FED_H1_LOCATION},
        {"x-real-ip", FED_H1_X_REAL_IP},
        {"set-cookie", FED_H1_SET_COOKIE},
        {"traceparent", FED_H1_TRACEPARENT},
        {"retry-after", FED_H1_RETRY_AFTER},
        {"x-request-id", FED_H1_X_REQUEST_ID},
        {"authorization", FED_H1_AUTHORIZATION},
        {"Content-Length", FED_H1_CONTENT_LENGTH},
        {"x-forwarded-for", FED_H1_X_FORWARDED_FOR},
        {"accept-encoding", FED_H1_ACCEPT_ENCODING},
        {"x-forwarded-port", FED_H1_X_FORWARDED_PORT},
        {"Transfer-Encoding", FED_H1_TRANSFER_ENCODING},
        {"x-forwarded-proto", FED_H1_X_FORWARDED_PROTO},
        {"proxy-authenticate", FED_H1_PROXY_AUTHENTICATE},
        {"proxy-authorization", FED_H1_PROXY_AUTHORIZATION},
        {"", 0},
        {"x", 0},
        {"hosts", 0},
        {"x-forwarded-fox", 0},
        {"proxy-authorization-of-some-kind", 0},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        assert_int_equal(fed_h1_name_of(fed_str(names[i].text)), names[i].id);
}

static void test_writers(void **state)
{
    (void)state;
    struct fed_buf b = {.max = 0};
    fed_h1_put_status_line(&b, 404);
    fed_h1_put_header(&b, FED_STR("A"), FED_STR("b\r\nX: y"));
    fed_h1_put_header(&b, FED_STR("B c"), FED_STR("dropped"));
    fed_h1_put_header_u64(&b, FED_STR("Content-Length"), 18446744073709551615u);
    fed_h1_put_end(&b);
    fed_h1_put_chunk_head(&b, 0x1f0);
    assert_string_equal(fed_buf_z(&b), "HTTP/1.1 404 Not Found\r\nA: b  X: y\r\n"
                                       "Content-Length: 18446744073709551615\r\n\r\n1f0\r\n");
    fed_buf_reset(&b);
    fed_h1_put_request_line(&b, FED_STR("GET"), FED_STR("/a b\r\n"));
    assert_string_equal(fed_buf_z(&b), "GET /a_b__ HTTP/1.1\r\n");
    fed_buf_release(&b);
}

static void test_date(void **state)
{
    (void)state;
    char out[30];
    fed_http_date(784111777000, out);
    assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT");
    fed_http_date(951782400000, out);
    assert_string_equal(out, "Tue, 29 Feb 2000 00:00:00 GMT");
    fed_http_date(1798761599999, out);
    assert_string_equal(out, "Thu, 31 Dec 2026 23:59:59 GMT");
}

static void test_chars(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool token = alnum || (c && strchr("!#$%&'*+-.^_`|~", c));
        assert_int_equal(fed_char_is((char)c, FED_CHAR_TOKEN), token ? FED_CHAR_TOKEN : 0);
        bool text = c == '\t' || (c >= ' ' && c != 0x7f);
        char word[9] = "abcdefgh";
        for (int i = 0; i < 9; i++) { /* in each lane of the word, and behind it */
            memset(word, 'a', 9);
            word[i] = (char)c;
            assert_int_equal(fed_chars_text(word, 9), text);
        }
    }
}

/* Every byte at every place of a word, against the plain rule. */
static void test_lower(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++)
        for (size_t at = 0; at < 19; at++) {
            char text[20] = "ABCDEFGHijklmnop-@[", want[20] = "abcdefghijklmnop-@[";
            text[at] = (char)c;
            want[at] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
            fed_h1_lower(text, 19);
            assert_memory_equal(text, want, 19);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lower),      cmocka_unit_test(test_requests), cmocka_unit_test(test_responses),
        cmocka_unit_test(test_bad_chunks), cmocka_unit_test(test_limits),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_writers),    cmocka_unit_test(test_date),     cmocka_unit_test(test_chars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
