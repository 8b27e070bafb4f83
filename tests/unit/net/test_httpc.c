/* SPDX-License-Identifier: Apache-2.0 */
/* The client against our server: HTTP/1.1 without TLS, HTTP/2 with it. */
#include "net/httpd_priv.h"
#include "web.h"

struct result {
    int n_done, code, status, n_heads, data_calls;
    size_t n_data;
    struct fed_buf body;
    char type[64], method[16], text[512];
    int version;
    bool streamed;
    /* What on_data and done do besides recording. */
    struct fed_httpc_call *call;
    struct fed_httpc *client;
    bool cancel_in_data, free_in_data, free_in_done, restart_in_data;
    struct result *other; /* cancelled, or started */
    const char *other_url;
};

static void on_head(void *ud, int status)
{
    struct result *r = ud;
    r->n_heads++;
    r->status = status;
}
static void on_done(void *ud, int code, const struct fed_httpc_response *resp, const struct fed_err *err);
static void get(struct fed_httpc *c, struct result *r, const char *base, const char *path);

static void on_data(void *ud, struct fed_str bytes)
{
    struct result *r = ud;
    r->data_calls++;
    r->n_data += bytes.n;
    if (r->n_data < 10000)
        fed_buf_add(&r->body, bytes);
    if (r->cancel_in_data) {
        if (r->other && r->other->call)
            fed_httpc_cancel(r->other->call);
        fed_httpc_cancel(r->call);
        r->n_done++; /* for the wait: done is not called */
    }
    if (r->free_in_data) {
        fed_httpc_free(r->client);
        r->n_done++;
    }
    if (r->restart_in_data) {
        r->restart_in_data = false;
        get(r->client, r->other, r->other_url, "/started");
    }
}
static void on_done(void *ud, int code, const struct fed_httpc_response *resp, const struct fed_err *err)
{
    struct result *r = ud;
    r->n_done++;
    r->call = NULL;
    r->code = code;
    r->status = resp->status;
    if (!r->streamed) {
        fed_buf_reset(&r->body);
        fed_buf_add(&r->body, resp->body);
    }
    snprintf(r->type, sizeof(r->type), "%.*s", FED_STR_ARG(resp->content_type));
    for (size_t i = 0; i < resp->n_headers; i++)
        if (fed_str_is(resp->headers[i].name, "x-method"))
            snprintf(r->method, sizeof(r->method), "%.*s", FED_STR_ARG(resp->headers[i].value));
    assert_int_equal(err != NULL, code != 0);
    if (err)
        snprintf(r->text, sizeof(r->text), "%s", err->text);
    if (r->free_in_done)
        fed_httpc_free(r->client);
}
static bool is_done(void *ud)
{
    return ((struct result *)ud)->n_done > 0;
}

static void start(struct fed_httpc *c, struct result *r, const char *base, const char *path,
                  struct fed_httpc_request req)
{
    char url[256];
    snprintf(url, sizeof(url), "%s%s", base, path);
    req.url = url;
    req.method = req.method ? req.method : "GET";
    req.done = on_done;
    if (r->streamed) {
        req.on_head = on_head;
        req.on_data = on_data;
    }
    req.ud = r;
    r->client = c;
    r->call = fed_httpc_start(c, &req);
    assert_int_equal(r->n_done, 0);
}
static void get(struct fed_httpc *c, struct result *r, const char *base, const char *path)
{
    start(c, r, base, path, (struct fed_httpc_request){.timeout_ms = 5000});
}
static void clear(struct result *r)
{
    fed_buf_release(&r->body);
    *r = (struct result){0};
}
static struct fed_httpc *client(struct web *w, struct fed_httpc_conf conf, bool cert)
{
    conf.tls.ca_pem = fed_buf_str(&w->pki.ca);
    if (cert) {
        conf.tls.cert_pem = fed_buf_str(&w->pki.client);
        conf.tls.key_pem = fed_buf_str(&w->pki.client_key);
    }
    return fed_httpc_new(w->bench.loop, &conf);
}

static void test_calls(void **state)
{
    for (int tls = 0; tls < 2; tls++) {
        struct web *w = web_new(NULL, tls ? *state : NULL);
        struct fed_httpc *c = client(w, (struct fed_httpc_conf){.user_agent = "test"}, false);
        struct result r = {0};
        get(c, &r, w->base, "/a?b=c");
        BENCH_RUN(&w->bench, is_done, &r);
        assert_int_equal(r.code, 0);
        assert_int_equal(r.status, 200);
        assert_string_equal(fed_buf_z(&r.body), "/a?b=c");
        assert_string_equal(r.type, "text/plain");
        clear(&r);
        /* A body of 1 MB there and back, and other methods. */
        struct fed_buf big = {.max = 0};
        while (big.n < 1000000)
            fed_buf_addz(&big, "0123456789");
        struct fed_http_header h = {FED_STR("Content-Type"), FED_STR("text/x")};
        start(c, &r, w->base, "/echo",
              (struct fed_httpc_request){.method = "PATCH", .body = fed_buf_str(&big), .headers = &h, .n_headers = 1});
        BENCH_RUN(&w->bench, is_done, &r);
        assert_int_equal(r.body.n, big.n);
        assert_memory_equal(r.body.p, big.p, big.n);
        assert_string_equal(r.method, "PATCH");
        fed_buf_release(&big);
        clear(&r);
        start(c, &r, w->base, "/echo", (struct fed_httpc_request){.method = "DELETE", .body = FED_STR("why")});
        BENCH_RUN(&w->bench, is_done, &r);
        assert_string_equal(fed_buf_z(&r.body), "why");
        clear(&r);
        start(c, &r, w->base, "/a", (struct fed_httpc_request){.method = "HEAD"});
        BENCH_RUN(&w->bench, is_done, &r);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.body.n, 0);
        clear(&r);
        start(c, &r, w->base, "/blob", (struct fed_httpc_request){.max_body = 999999});
        BENCH_RUN(&w->bench, is_done, &r);
        assert_int_equal(r.code, FED_E_LIMIT);
        clear(&r);
        start(c, &r, w->base, "/blob", (struct fed_httpc_request){.max_body = 1000000});
        BENCH_RUN(&w->bench, is_done, &r);
        assert_int_equal(r.code, 0);
        assert_int_equal(r.body.n, 1000000);
        clear(&r);
        fed_httpc_free(c);
        web_free(w);
    }
}

/* Refused while the body is still being sent: the answer arrives all the same. */
static void test_too_large(void **state)
{
    for (int tls = 0; tls < 2; tls++) {
        struct web *w = web_new(&(struct fed_httpd_conf){.max_body = 1000000}, tls ? *state : NULL);
        struct fed_httpc *c = client(w, (struct fed_httpc_conf){.user_agent = NULL}, false);
        struct result r = {0};
        struct fed_buf big = {.max = 0};
        while (big.n < 5000000)
            fed_buf_addz(&big, "0123456789");
        start(c, &r, w->base, "/echo",
              (struct fed_httpc_request){.method = "POST", .body = fed_buf_str(&big), .timeout_ms = 5000});
        BENCH_RUN(&w->bench, is_done, &r);
        if (r.code != 0 || r.status != 413)
            fail_msg("%s %d %s", fed_code_name(r.code), r.status, r.text);
        clear(&r);
        get(c, &r, w->base, "/a");
        BENCH_RUN(&w->bench, is_done, &r);
        assert_int_equal(r.status, 200);
        assert_int_equal(w->n_handled, 1);
        clear(&r);
        fed_buf_release(&big);
        fed_httpc_free(c);
        web_free(w);
    }
}

static bool has_event(void *ud)
{
    struct result *r = ud;
    return r->n_data > 0 || r->n_done > 0;
}
static bool watch_is_there(void *ud)
{
    return ((struct web *)ud)->watch != NULL;
}
static bool one_closed(void *ud)
{
    return ((struct web *)ud)->n_closed > 0;
}

static void test_stream(void **state)
{
    for (int tls = 0; tls < 2; tls++) {
        struct web *w = web_new(NULL, tls ? *state : NULL);
        struct fed_httpc *c = client(w, (struct fed_httpc_conf){.user_agent = NULL}, false);
        struct result r = {.streamed = true}, idle = {.streamed = true}, bulk = {.streamed = true};
        start(c, &r, w->base, "/watch", (struct fed_httpc_request){.idle_timeout_ms = 5000});
        BENCH_RUN(&w->bench, watch_is_there, w);
        fed_http_stream_write(w->watch, FED_STR("one"));
        BENCH_RUN(&w->bench, has_event, &r);
        assert_int_equal(r.n_heads, 1);
        assert_int_equal(r.n_done, 0);
        fed_http_stream_write(w->watch, FED_STR("two"));
        fed_http_stream_end(w->watch);
        BENCH_RUN(&w->bench, is_done, &r);
        assert_string_equal(fed_buf_z(&r.body), "onetwo");
        BENCH_RUN(&w->bench, one_closed, w);
        /* Nothing comes: idle timeout; and the server is told that nobody listens. */
        w->n_closed = 0;
        start(c, &idle, w->base, "/watch", (struct fed_httpc_request){.idle_timeout_ms = 50});
        BENCH_RUN(&w->bench, is_done, &idle);
        assert_int_equal(idle.code, FED_E_TIMEOUT);
        BENCH_RUN(&w->bench, one_closed, w);
        /* Flow control end to end. */
        w->bulk_left = 20000000;
        start(c, &bulk, w->base, "/bulk", (struct fed_httpc_request){.idle_timeout_ms = 5000});
        BENCH_RUN(&w->bench, is_done, &bulk);
        assert_int_equal(bulk.code, 0);
        assert_int_equal(bulk.n_data, 20000000);
        clear(&r);
        clear(&idle);
        clear(&bulk);
        fed_httpc_free(c);
        web_free(w);
    }
}

static void test_cancel(void **state)
{
    for (int tls = 0; tls < 2; tls++) {
        struct web *w = web_new(NULL, tls ? *state : NULL);
        struct fed_httpc *c = client(w, (struct fed_httpc_conf){.user_agent = NULL}, false);
        struct result r = {0}, other = {0};
        /* Before it began, while it waits, and itself and another from inside on_data. */
        get(c, &r, w->base, "/a");
        fed_httpc_cancel(r.call);
        start(c, &other, w->base, "/hang", (struct fed_httpc_request){.timeout_ms = 5000});
        BENCH_RUN(&w->bench, watch_is_there, w);
        fed_httpc_cancel(other.call);
        BENCH_RUN(&w->bench, one_closed, w);
        w->n_closed = 0;
        start(c, &other, w->base, "/hang", (struct fed_httpc_request){.timeout_ms = 5000});
        r = (struct result){.streamed = true, .cancel_in_data = true, .other = &other};
        start(c, &r, w->base, "/blob", (struct fed_httpc_request){.timeout_ms = 5000});
        BENCH_RUN(&w->bench, is_done, &r);
        assert_int_equal(r.data_calls, 1);
        BENCH_RUN(&w->bench, one_closed, w);
        assert_int_equal(other.n_done, 0);
        clear(&r);
        clear(&other);
        /* A new call from inside on_data. */
        r = (struct result){.streamed = true, .restart_in_data = true, .other = &other, .other_url = w->base};
        start(c, &r, w->base, "/blob", (struct fed_httpc_request){.timeout_ms = 5000});
        BENCH_RUN(&w->bench, is_done, &r);
        BENCH_RUN(&w->bench, is_done, &other);
        assert_string_equal(fed_buf_z(&other.body), "/started");
        clear(&r);
        clear(&other);
        /* The client freed in on_data, in done, and in the done of an idle timeout. */
        r = (struct result){.streamed = true, .free_in_data = true};
        start(c, &r, w->base, "/blob", (struct fed_httpc_request){.timeout_ms = 5000});
        BENCH_RUN(&w->bench, is_done, &r);
        clear(&r);
        c = client(w, (struct fed_httpc_conf){.user_agent = NULL}, false);
        r = (struct result){.free_in_done = true};
        get(c, &r, w->base, "/a");
        BENCH_RUN(&w->bench, is_done, &r);
        assert_int_equal(r.status, 200);
        clear(&r);
        c = client(w, (struct fed_httpc_conf){.user_agent = NULL}, false);
        r = (struct result){.free_in_done = true};
        start(c, &r, w->base, "/hang", (struct fed_httpc_request){.idle_timeout_ms = 30});
        BENCH_RUN(&w->bench, is_done, &r);
        assert_int_equal(r.code, FED_E_TIMEOUT);
        clear(&r);
        web_free(w);
    }
}

struct many {
    struct result r[60];
    size_t n;
};
static bool all_done(void *ud)
{
    struct many *m = ud;
    for (size_t i = 0; i < m->n; i++)
        if (m->r[i].n_done == 0)
            return false;
    return true;
}

/* Watches never keep others waiting: on one HTTP/2 connection, and on HTTP/1.1 with a limit of two connections. */
static void test_watches_beside(void **state)
{
    for (int tls = 0; tls < 2; tls++) {
        struct web *w = web_new(NULL, tls ? *state : NULL);
        struct fed_httpc *c = client(w, (struct fed_httpc_conf){.max_connections = 2}, false);
        struct result watches[10] = {0};
        struct many *m = FED_NEW(struct many);
        m->n = FED_ARRAY_LEN(m->r);
        for (size_t i = 0; i < 10; i++) {
            watches[i].streamed = true;
            start(c, &watches[i], w->base, "/watch", (struct fed_httpc_request){.idle_timeout_ms = 0});
        }
        for (size_t i = 0; i < m->n; i++)
            get(c, &m->r[i], w->base, "/a");
        BENCH_RUN(&w->bench, all_done, m);
        for (size_t i = 0; i < m->n; i++) {
            assert_int_equal(m->r[i].status, 200);
            clear(&m->r[i]);
        }
        for (size_t i = 0; i < 10; i++)
            clear(&watches[i]);
        free(m);
        fed_httpc_free(c);
        web_free(w);
    }
}

static void test_errors(void **state)
{
    struct web *w = web_new(NULL, *state), *plain = web_new(NULL, NULL);
    struct fed_httpc *c = client(w, (struct fed_httpc_conf){.connect_timeout_ms = 2000}, false);
    struct result r = {0};
    char wrong[96];
    snprintf(wrong, sizeof(wrong), "https://%s", plain->base + strlen("http://"));
    const struct {
        const char *base, *path;
        uint32_t timeout_ms;
        int code;
    } errors[] = {
        {"http://127.0.0.1:1", "/", 2000, FED_E_REFUSED},
        {"http://name.invalid", "/", 3000, FED_E_RESOLVE},
        {w->base, "/hang", 50, FED_E_TIMEOUT},
        {w->base, "/abort", 2000, FED_E_END},
        {"ftp://127.0.0.1", "/", 2000, FED_E_SYNTAX},
        {"http://", "", 2000, FED_E_SYNTAX},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(errors); i++) {
        start(c, &r, errors[i].base, errors[i].path, (struct fed_httpc_request){.timeout_ms = errors[i].timeout_ms});
        BENCH_RUN(&w->bench, is_done, &r);
        if (r.code != errors[i].code)
            fail_msg("%s%s: %s %s", errors[i].base, errors[i].path, fed_code_name(r.code), r.text);
        clear(&r);
    }
    /* A CA that did not sign the server, and a name that it does not have. */
    struct fed_httpc_tls tls = {.ca_pem = fed_buf_str(&w->pki.client)};
    fed_httpc_set_tls(c, &tls);
    get(c, &r, w->base, "/");
    BENCH_RUN(&w->bench, is_done, &r);
    assert_int_equal(r.code, FED_E_TLS);
    clear(&r);
    tls = (struct fed_httpc_tls){.ca_pem = fed_buf_str(&w->pki.ca), .server_name = "other.test"};
    fed_httpc_set_tls(c, &tls);
    get(c, &r, w->base, "/");
    BENCH_RUN(&w->bench, is_done, &r);
    assert_int_equal(r.code, FED_E_TLS);
    clear(&r);
    tls.server_name = "hansa.test";
    fed_httpc_set_tls(c, &tls);
    start(c, &r, w->base, "/echo?x", (struct fed_httpc_request){.method = "POST", .body = FED_STR("b")});
    BENCH_RUN(&w->bench, is_done, &r);
    assert_int_equal(r.status, 200);
    clear(&r);
    fed_httpc_free(c);
    web_free(plain);
    web_free(w);
}

static void test_certificates(void **state)
{
    static const char *const alpns[] = {"h2,http/1.1", "http/1.1"};
    for (int i = 0; i < 2; i++) {
        struct web *w = web_new(NULL, alpns[i]);
        struct fed_httpc *c = client(w, (struct fed_httpc_conf){.user_agent = NULL}, true);
        struct result r = {0}, watch = {.streamed = true};
        get(c, &r, w->base, "/who");
        BENCH_RUN(&w->bench, is_done, &r);
        assert_string_equal(fed_buf_z(&r.body), i ? "alice v1 one two" : "alice v2 one two");
        clear(&r);
        /* Without the certificate from now on; what runs, runs on. */
        start(c, &watch, w->base, "/watch", (struct fed_httpc_request){.idle_timeout_ms = 0});
        BENCH_RUN(&w->bench, watch_is_there, w);
        struct fed_httpc_tls tls = {.ca_pem = fed_buf_str(&w->pki.ca)};
        fed_httpc_set_tls(c, &tls);
        get(c, &r, w->base, "/who");
        BENCH_RUN(&w->bench, is_done, &r);
        assert_string_equal(fed_buf_z(&r.body), i ? " v1" : " v2");
        fed_http_stream_end(w->watch);
        BENCH_RUN(&w->bench, is_done, &watch);
        assert_int_equal(watch.code, 0);
        clear(&r);
        clear(&watch);
        fed_httpc_free(c);
        web_free(w);
    }
    (void)state;
}

/* A call that hears nothing moves later calls to a new connection, although a watch keeps the old one in use. */
static bool one_connection(void *ud)
{
    return ((struct web *)ud)->httpd->n_conns == 1;
}
static void test_silence(void **state)
{
    struct web *w = web_new(NULL, *state);
    struct fed_httpc *c = client(w, (struct fed_httpc_conf){.user_agent = NULL}, false);
    struct result watch = {.streamed = true}, silent = {0}, r = {0};
    start(c, &watch, w->base, "/watch", (struct fed_httpc_request){.idle_timeout_ms = 0});
    BENCH_RUN(&w->bench, watch_is_there, w);
    struct fed_http_exchange *x = w->watch;
    start(c, &silent, w->base, "/hang", (struct fed_httpc_request){.timeout_ms = 50});
    BENCH_RUN(&w->bench, is_done, &silent);
    assert_int_equal(silent.code, FED_E_TIMEOUT);
    assert_int_equal(w->httpd->n_conns, 1);
    get(c, &r, w->base, "/a");
    BENCH_RUN(&w->bench, is_done, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(w->httpd->n_conns, 2);
    fed_http_stream_end(x);
    BENCH_RUN(&w->bench, is_done, &watch);
    assert_int_equal(watch.code, 0);
    BENCH_RUN(&w->bench, one_connection, w); /* the old one went with its last call */
    clear(&watch);
    clear(&silent);
    clear(&r);
    fed_httpc_free(c);
    web_free(w);
}

/* GOAWAY: a running call ends in order, the server closes. */
static bool later_waits(void *ud)
{
    return ((struct web *)ud)->later_x != NULL;
}
static void test_server_closes(void **state)
{
    struct web *w = web_new(NULL, *state);
    struct fed_httpc *c = client(w, (struct fed_httpc_conf){.user_agent = NULL}, false);
    struct result r = {0}, up = {0};
    get(c, &up, w->base, "/upgrade"); /* not on HTTP/2 */
    BENCH_RUN(&w->bench, is_done, &up);
    assert_int_equal(up.status, 400);
    clear(&up);
    get(c, &r, w->base, "/later");
    BENCH_RUN(&w->bench, later_waits, w);
    fed_httpd_close(w->httpd, 5000, web_on_server_closed, w);
    BENCH_RUN(&w->bench, is_done, &r);
    assert_string_equal(fed_buf_z(&r.body), "later");
    BENCH_RUN(&w->bench, web_server_is_closed, w);
    clear(&r);
    fed_httpc_free(c);
    web_free(w);
}

int main(void)
{
    static char h2[] = "h2,http/1.1", h1[] = "http/1.1";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_calls, h2),          cmocka_unit_test_prestate(test_calls, h1),
        cmocka_unit_test_prestate(test_stream, h2),         cmocka_unit_test_prestate(test_stream, h1),
        cmocka_unit_test_prestate(test_cancel, h2),         cmocka_unit_test_prestate(test_cancel, h1),
        cmocka_unit_test_prestate(test_watches_beside, h2), cmocka_unit_test_prestate(test_watches_beside, h1),
        cmocka_unit_test_prestate(test_errors, h2),         cmocka_unit_test(test_certificates),
        cmocka_unit_test_prestate(test_server_closes, h2),  cmocka_unit_test_prestate(test_too_large, h2),
        cmocka_unit_test_prestate(test_silence, h2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
