/* SPDX-License-Identifier: Apache-2.0 */
/* web.h: an HTTP server with a few handlers, a client of ours and certificates for both; for test_httpd and test_httpc. */
#ifndef TESTS_UNIT_NET_WEB_H
#define TESTS_UNIT_NET_WEB_H

#include "crypto/pki.h"
#include "harness.h"
#include "net/httpc.h"
#include "net/httpd.h"

struct web_pki {
    struct fed_buf ca_key, ca, server_key, server, client_key, client, other_ca;
};
struct web {
    struct bench bench;
    struct fed_httpd *httpd;
    struct fed_httpd_conf conf;
    struct web_pki pki;
    char base[96]; /* "http://127.0.0.1:1234" */
    int n_handled, n_closed, n_drained;
    bool server_closed;
    struct fed_http_exchange *watch; /* of the last /watch or /hang; NULL once closed */
    struct end upgraded;
    struct fed_timer later;
    struct fed_http_exchange *later_x;
    bool later_streams; /* the late answer is a stream, with `closed` set only then */
    size_t bulk_left;
    struct fed_blob *huge;
};

static inline void web_closed(void *ud)
{
    struct web *w = ud;
    w->n_closed++;
    w->watch = NULL;
}
static inline void web_later(struct fed_timer *t)
{
    struct web *w = fed_container_of(t, struct web, later);
    if (w->later_streams) {
        fed_http_on_closed(w->later_x, web_closed, w);
        fed_http_stream_begin(w->later_x, 200, "text/plain", NULL, NULL);
        fed_http_stream_write(w->later_x, FED_STR("later"));
        w->later_x = NULL;
        return;
    }
    fed_http_respond(w->later_x, 200, "text/plain", FED_STR("later"));
    w->later_x = NULL;
}
/* Streams w->bulk_left bytes, stopping at a backlog of 256 kB. */
static inline void web_bulk(void *ud)
{
    struct web *w = ud;
    static char block[10000];
    w->n_drained++;
    while (w->bulk_left > 0) {
        size_t n = FED_MIN(w->bulk_left, sizeof(block));
        w->bulk_left -= n;
        if (fed_http_stream_write(w->watch, fed_str_n(block, n)) > 256 * 1024)
            return;
    }
    fed_http_stream_end(w->watch);
    w->watch = NULL;
}
static inline void web_who(struct fed_http_exchange *x)
{
    const struct fed_http_request *r = fed_http_request(x);
    struct fed_buf b = {.max = 0};
    fed_buf_addf(&b, "%.*s v%d", FED_STR_ARG(r->cert_cn), r->version);
    for (size_t i = 0; i < r->n_cert_orgs; i++)
        fed_buf_addf(&b, " %.*s", FED_STR_ARG(r->cert_orgs[i]));
    fed_http_respond(x, 200, "text/plain", fed_buf_str(&b));
    fed_buf_release(&b);
}
#define WEB_HUGE (40u * 1024 * 1024)
static inline void web_make_huge(struct web *w)
{
    struct fed_buf b = {.max = 0};
    (void)fed_buf_reserve(&b, WEB_HUGE);
    while (b.n < WEB_HUGE)
        fed_buf_addz(&b, "0123456789abcdef");
    w->huge = fed_blob_new_take(&b);
}
static inline void web_echo(struct fed_http_exchange *x)
{
    const struct fed_http_request *r = fed_http_request(x);
    fed_http_add_header(x, FED_STR("X-Method"), r->method);
    fed_http_add_header(x, FED_STR("X-Host"), r->host);
    fed_http_add_header(x, FED_STR("X-Custom"), fed_http_request_header(r, "x-custom"));
    fed_http_respond(x, 200, "text/plain", r->body);
}
static inline void web_handle(void *ud, struct fed_http_exchange *x)
{
    struct web *w = ud;
    const struct fed_http_request *r = fed_http_request(x);
    w->n_handled++;
    if (fed_str_is(r->path, "/echo")) {
        web_echo(x);
    } else if (fed_str_is(r->path, "/who")) {
        web_who(x);
    } else if (fed_str_is(r->path, "/later")) {
        w->later_x = x;
        fed_timer_start(fed_loop_env(w->bench.loop), &w->later, 20, web_later);
    } else if (fed_str_is(r->path, "/watch") || fed_str_is(r->path, "/bulk")) {
        bool bulk = fed_str_is(r->path, "/bulk");
        w->watch = x;
        fed_http_on_closed(x, web_closed, w);
        fed_http_stream_begin(x, 200, "application/json", bulk ? web_bulk : NULL, w);
        if (bulk) {
            fed_http_stream_bound(x);
            web_bulk(w);
        }
    } else if (fed_str_is(r->path, "/hang")) {
        w->watch = x;
        fed_http_on_closed(x, web_closed, w);
    } else if (fed_str_is(r->path, "/blob")) {
        struct fed_buf b = {.max = 0};
        for (int i = 0; i < 100000; i++)
            fed_buf_addz(&b, "0123456789");
        struct fed_blob *blob = fed_blob_new_take(&b);
        fed_http_respond_blob(x, 200, "application/octet-stream", blob);
        fed_blob_unref(blob);
    } else if (fed_str_starts(
                   r->path, FED_STR("/huge"))) { /* more than the kernel's buffers take; "/huge/told": with `closed` */
        if (fed_str_is(r->path, "/huge/told"))
            fed_http_on_closed(x, web_closed, w);
        fed_http_respond_blob(x, 200, "application/octet-stream", w->huge);
    } else if (fed_str_is(r->path, "/abort")) {
        fed_http_on_closed(x, web_closed, w);
        fed_http_abort(x);
    } else if (fed_str_is(r->path, "/upgrade")) {
        fed_http_on_closed(x, web_closed, w);
        w->upgraded.echo = true;
        w->upgraded.s = fed_http_upgrade(x, "echo", &end_handlers, &w->upgraded);
        if (w->upgraded.s)
            fed_stream_write(w->upgraded.s, FED_STR("hi "));
        else
            fed_http_respond(x, 400, "text/plain", FED_STR("no upgrade"));
    } else if (fed_str_is(r->path, "/204")) {
        fed_http_respond(x, 204, NULL, FED_STR(""));
    } else {
        fed_http_respond(x, 200, "text/plain", r->target);
    }
}

static inline void web_cert(struct web_pki *p, struct fed_buf *key, struct fed_buf *cert, const char *cn)
{
    static const char *const dns[] = {"hansa.test", NULL};
    static const char *const ips[] = {"127.0.0.1", NULL};
    const struct fed_str orgs[] = {FED_STR("one"), FED_STR("two")};
    struct fed_cert_spec spec = {.cn = fed_str(cn),
                                 .orgs = orgs,
                                 .n_orgs = 2,
                                 .dns_names = dns,
                                 .ips = ips,
                                 .server = true,
                                 .client = true,
                                 .not_after_ms = 4102444800000};
    assert_int_equal(fed_pki_new_key(key, NULL), 0);
    assert_int_equal(fed_pki_sign(fed_buf_str(&p->ca), fed_buf_str(&p->ca_key), fed_buf_str(key), &spec, cert, NULL),
                     0);
}
static inline void web_make_pki(struct web_pki *p)
{
    assert_int_equal(fed_pki_new_key(&p->ca_key, NULL), 0);
    assert_int_equal(fed_pki_new_ca(fed_buf_str(&p->ca_key), FED_STR("test"), 0, 4102444800000, &p->ca, NULL), 0);
    assert_int_equal(fed_pki_new_ca(fed_buf_str(&p->ca_key), FED_STR("else"), 0, 4102444800000, &p->other_ca, NULL), 0);
    web_cert(p, &p->server_key, &p->server, "server");
    web_cert(p, &p->client_key, &p->client, "alice");
}

/* conf: limits and timeouts; NULL for the defaults. alpn NULL: no TLS. */
static inline struct web *web_new(const struct fed_httpd_conf *conf, const char *alpn)
{
    struct web *w = FED_NEW(struct web);
    struct fed_err err = {.code = 0};
    w->bench.loop = fed_loop_new();
    if (conf)
        w->conf = *conf;
    w->conf.handle = web_handle;
    w->conf.ud = w;
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &w->conf.listen.addr), 0);
    if (alpn) {
        web_make_pki(&w->pki);
        struct fed_tls_conf tls = {.server = true,
                                   .alpn = alpn,
                                   .peer = FED_TLS_PEER_OPTIONAL,
                                   .cert_pem = fed_buf_str(&w->pki.server),
                                   .key_pem = fed_buf_str(&w->pki.server_key),
                                   .ca_pem = fed_buf_str(&w->pki.ca)};
        assert_int_equal(fed_tls_new(fed_loop_env(w->bench.loop), &tls, &w->conf.listen.tls, &err), 0);
    }
    assert_int_equal(fed_httpd_open(w->bench.loop, &w->conf, &w->httpd, &err), 0);
    char addr[64];
    fed_addr_format(fed_httpd_addr(w->httpd), addr);
    snprintf(w->base, sizeof(w->base), "%s://%s", alpn ? "https" : "http", addr);
    return w;
}
static inline void web_on_server_closed(void *ud)
{
    ((struct web *)ud)->server_closed = true;
}
static inline bool web_server_is_closed(void *ud)
{
    return ((struct web *)ud)->server_closed;
}
static inline void web_free(struct web *w)
{
    if (!w->server_closed) {
        fed_httpd_close(w->httpd, 0, web_on_server_closed, w);
        BENCH_RUN(&w->bench, web_server_is_closed, w);
    }
    fed_tls_unref(w->conf.listen.tls);
    fed_loop_free(w->bench.loop);
    struct fed_buf *bufs[] = {&w->pki.ca_key,     &w->pki.ca,     &w->pki.server_key, &w->pki.server,
                              &w->pki.client_key, &w->pki.client, &w->pki.other_ca};
    for (size_t i = 0; i < FED_ARRAY_LEN(bufs); i++)
        fed_buf_release(bufs[i]);
    end_release(&w->upgraded);
    fed_blob_unref(w->huge);
    free(w);
}

#endif
