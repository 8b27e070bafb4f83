/* SPDX-License-Identifier: Apache-2.0 */
/* Our server session against nghttp2's client in memory, and against frames made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "base/mem.h"
#include "http/h2.h"

struct side { /* server and client, and what each has seen */
    struct fed_h2 *h;
    struct fed_arena arena;
    struct fed_buf log; /* the server's events */
    struct fed_buf out;
    bool refuse, hold; /* hold: do not answer at end */
    bool no_consume;
    struct fed_h2_stream *last;
    nghttp2_session *client;
    struct fed_buf body; /* of answers */
    int status, n_closed, close_code, rc;
    bool goaway;
    size_t to_send; /* of the client's body */
};

static struct fed_arena *on_begin(void *ud, struct fed_h2_stream *s)
{
    struct side *v = ud;
    v->last = s;
    fed_h2_stream_set_ud(s, v);
    return v->refuse ? NULL : &v->arena;
}
static void on_head(void *ud, struct fed_h2_stream *s, const struct fed_h2_request *r)
{
    struct side *v = ud;
    assert_ptr_equal(fed_h2_stream_ud(s), v);
    fed_buf_addf(&v->log, "%.*s %.*s %.*s %zu%s%s;", FED_STR_ARG(r->method), FED_STR_ARG(r->host),
                 FED_STR_ARG(r->target), r->n_headers, r->end ? " end" : "", r->too_large ? " large" : "");
}
static void on_data(void *ud, struct fed_h2_stream *s, struct fed_str bytes)
{
    struct side *v = ud;
    v->to_send += 0;
    fed_buf_addf(&v->log, "data;");
    if (!v->no_consume)
        fed_h2_consume(s, bytes.n);
}
static void on_end(void *ud, struct fed_h2_stream *s)
{
    struct side *v = ud;
    fed_buf_addz(&v->log, "end;");
    if (v->hold)
        return;
    const struct fed_http_header f[] = {{FED_STR("X-Upper"), FED_STR("v")},
                                        {FED_STR("Connection"), FED_STR("close")},
                                        {FED_STR("bad name"), FED_STR("v")},
                                        {FED_STR("bad-value"), FED_STR("a\nb")}};
    fed_h2_respond(s, 200, f, 4, false);
    assert_int_equal(fed_h2_write(s, FED_STR("hello ")), 6);
    assert_int_equal(fed_h2_write(s, FED_STR("world")), 11);
    fed_h2_finish(s);
}
static void on_drained(void *ud, struct fed_h2_stream *s)
{
    (void)s;
    fed_buf_addz(&((struct side *)ud)->log, "drained;");
}
static void on_closed(void *ud, struct fed_h2_stream *s)
{
    struct side *v = ud;
    (void)s;
    v->last = NULL;
    fed_buf_addz(&v->log, "closed;");
}
static const struct fed_h2_handlers handlers = {on_begin, on_head, on_data, on_end, on_drained, on_closed};

static int client_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                         const uint8_t *value, size_t value_n, uint8_t flags, void *ud)
{
    struct side *v = ud;
    (void)ng, (void)frame, (void)flags, (void)value_n;
    struct fed_str n = {(const char *)name, name_n};
    if (fed_str_is(n, ":status"))
        v->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0';
    else
        assert_true(fed_str_is(n, "x-upper"));
    return 0;
}
static int client_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *ud)
{
    (void)ng, (void)flags, (void)id;
    fed_buf_append(&((struct side *)ud)->body, p, n);
    return 0;
}
static int client_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ud)
{
    struct side *v = ud;
    (void)ng, (void)id;
    v->n_closed++;
    v->close_code = (int)code;
    return 0;
}
static int client_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *ud)
{
    (void)ng;
    ((struct side *)ud)->goaway |= frame->hd.type == NGHTTP2_GOAWAY;
    return 0;
}

static struct side *side_new(void)
{
    struct side *v = FED_NEW(struct side);
    v->h = fed_h2_new(&(struct fed_h2_conf){.handlers = &handlers, .ud = v, .max_streams = 5, .stream_window = 70000});
    nghttp2_session_callbacks *cb;
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_header_callback(cb, client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, client_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, client_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, client_frame);
    nghttp2_session_client_new(&v->client, cb, v);
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(v->client, 0, NULL, 0);
    return v;
}
static void side_free(struct side *v)
{
    fed_h2_free(v->h);
    nghttp2_session_del(v->client);
    fed_arena_release(&v->arena);
    fed_buf_release(&v->log);
    fed_buf_release(&v->out);
    fed_buf_release(&v->body);
    free(v);
}
/* Moves bytes both ways until nothing moves. */
static void pump(struct side *v, size_t limit)
{
    bool moved = true;
    while (moved && v->rc == 0) {
        moved = false;
        const uint8_t *p;
        ssize_t n;
        while ((n = nghttp2_session_mem_send(v->client, &p)) > 0 && v->rc == 0) {
            v->rc = fed_h2_recv(v->h, fed_str_n((const char *)p, (size_t)n), 1);
            moved = true;
        }
        fed_buf_reset(&v->out);
        assert_int_equal(fed_h2_send(v->h, &v->out, limit), 0);
        assert_true(v->out.n <= limit + 17000);
        if (v->out.n) {
            assert_int_equal(nghttp2_session_mem_recv(v->client, (const uint8_t *)v->out.p, v->out.n), v->out.n);
            moved = true;
        }
    }
}

#define NV(name, value)                                                                                                \
    {                                                                                                                  \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, 0                                  \
    }
static nghttp2_nv get_nv[] = {NV(":method", "GET"), NV(":scheme", "https"), NV(":authority", "h"), NV(":path", "/x?y")};

static ssize_t client_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t n, uint32_t *flags,
                           nghttp2_data_source *src, void *ud)
{
    struct side *v = ud;
    (void)ng, (void)id, (void)src;
    size_t k = FED_MIN(n, v->to_send);
    memset(buf, 'x', k);
    v->to_send -= k;
    if (v->to_send == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)k;
}

static void test_get(void **state)
{
    (void)state;
    struct side *v = side_new();
    nghttp2_submit_request(v->client, NULL, get_nv, 4, NULL, NULL);
    pump(v, 1 << 20);
    assert_string_equal(fed_buf_z(&v->log), "GET h /x?y 0 end;end;closed;");
    assert_string_equal(fed_buf_z(&v->body), "hello world");
    assert_int_equal(v->status, 200);
    assert_int_equal(v->close_code, 0);
    assert_int_equal(fed_h2_streams(v->h), 0);
    side_free(v);
}

static void test_post(void **state)
{
    (void)state;
    struct side *v = side_new();
    nghttp2_data_provider body = {.read_callback = client_body};
    v->to_send = 1000000; /* many windows */
    get_nv[0] = (nghttp2_nv)NV(":method", "PUT");
    nghttp2_submit_request(v->client, NULL, get_nv, 4, &body, NULL);
    pump(v, 1 << 20);
    assert_int_equal(v->to_send, 0);
    assert_int_equal(v->status, 200);
    /* Not consumed: the client must stop at the window. */
    v->no_consume = true;
    v->to_send = 1000000;
    nghttp2_submit_request(v->client, NULL, get_nv, 4, &body, NULL);
    pump(v, 1 << 20);
    get_nv[0] = (nghttp2_nv)NV(":method", "GET");
    assert_int_equal(v->to_send, 1000000 - 70000);
    side_free(v);
}

static void test_backlog(void **state)
{
    (void)state;
    struct side *v = side_new();
    v->hold = true;
    nghttp2_submit_request(v->client, NULL, get_nv, 4, NULL, NULL);
    pump(v, 1000);
    char *room;
    struct fed_blob *blob = fed_blob_new_room(500000, &room);
    memset(room, 'b', 500000);
    fed_h2_respond(v->last, 200, NULL, 0, false);
    fed_h2_write_blob(v->last, blob);
    for (int i = 0; i < 10000; i++)
        fed_h2_write(v->last, FED_STR("0123456789"));
    fed_blob_unref(blob);
    assert_int_equal(fed_h2_backlog(v->last), 600000);
    pump(v, 1000); /* small bites: the limit holds */
    assert_int_equal(v->body.n, 600000);
    assert_memory_equal(v->body.p + 599990, "0123456789", 10);
    assert_non_null(strstr(fed_buf_z(&v->log), "drained;"));
    fed_h2_write(v->last, FED_STR("more"));
    pump(v, 1000);
    assert_int_equal(v->body.n, 600004);
    fed_h2_finish(v->last);
    pump(v, 1000);
    assert_int_equal(v->n_closed, 1);
    /* Reset with a backlog. */
    nghttp2_submit_request(v->client, NULL, get_nv, 4, NULL, NULL);
    pump(v, 1000);
    fed_h2_respond(v->last, 200, NULL, 0, false);
    fed_h2_write(v->last, FED_STR("never"));
    fed_h2_reset(v->last, FED_H2_CANCEL);
    fed_h2_write(v->last, FED_STR("ignored"));
    pump(v, 1000);
    assert_int_equal(v->close_code, NGHTTP2_CANCEL);
    assert_int_equal(v->body.n, 600004);
    side_free(v);
}

static void test_refuse_and_free(void **state)
{
    (void)state;
    struct side *v = side_new();
    v->refuse = true;
    nghttp2_submit_request(v->client, NULL, get_nv, 4, NULL, NULL);
    pump(v, 1000);
    assert_int_equal(v->close_code, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(v->log.n, 0);
    v->refuse = false;
    v->hold = true;
    nghttp2_submit_request(v->client, NULL, get_nv, 4, NULL, NULL);
    pump(v, 1000);
    fed_h2_goaway(v->h);
    pump(v, 1000);
    assert_true(v->goaway);
    assert_false(fed_h2_done(v->h));
    fed_h2_respond(v->last, 200, NULL, 0, true);
    pump(v, 1000);
    assert_true(fed_h2_done(v->h));
    side_free(v);
    v = side_new();
    v->hold = true;
    nghttp2_submit_request(v->client, NULL, get_nv, 4, NULL, NULL);
    pump(v, 1000);
    fed_h2_free(v->h); /* with a stream: it is closed */
    v->h = NULL;
    assert_string_equal(fed_buf_z(&v->log), "GET h /x?y 0 end;end;closed;");
    side_free(v);
}

static void test_large_head(void **state)
{
    (void)state;
    struct side *v = side_new();
    nghttp2_nv nv[140];
    memcpy(nv, get_nv, sizeof(get_nv));
    for (size_t i = 4; i < 140; i++)
        nv[i] = (nghttp2_nv)NV("x-a", "b");
    nghttp2_submit_request(v->client, NULL, nv, 4 + FED_H2_MAX_HEADERS, NULL, NULL);
    nghttp2_submit_request(v->client, NULL, nv, 5 + FED_H2_MAX_HEADERS, NULL, NULL);
    pump(v, 1000);
    assert_string_equal(fed_buf_z(&v->log), "GET h /x?y 128 end;end;GET h /x?y 128 end large;end;closed;closed;");
    side_free(v);
}

/* Frames by hand behind the preface. Returns what recv said in the end. */
static void put_frame(struct fed_buf *b, int type, int flags, int id, struct fed_str payload)
{
    char head[9] = {0, (char)(payload.n >> 8), (char)payload.n, (char)type, (char)flags, 0, 0, 0, (char)id};
    fed_buf_append(b, head, 9);
    fed_buf_add(b, payload);
}
static int flood(struct fed_str once, struct fed_str again, int times)
{
    struct side *v = side_new();
    v->hold = true;
    struct fed_buf in = {.max = 0};
    fed_buf_addz(&in, FED_H2_PREFACE);
    put_frame(&in, NGHTTP2_SETTINGS, 0, 0, FED_STR(""));
    fed_buf_add(&in, once);
    int rc = fed_h2_recv(v->h, fed_buf_str(&in), 5);
    for (int i = 0; i < times && rc == 0; i++) {
        rc = fed_h2_recv(v->h, again, 5);
        fed_buf_reset(&v->out);
        if (fed_h2_send(v->h, &v->out, 1 << 20) != 0)
            break;
    }
    fed_buf_release(&in);
    side_free(v);
    return rc;
}

static void test_floods(void **state)
{
    (void)state;
    struct fed_buf once = {.max = 0}, b = {.max = 0};
    /* :method GET, :scheme https, :path / from the static table, :authority h */
    static const struct fed_str head = FED_STR_INIT("\x82\x87\x84\x01\x01h");
    put_frame(&b, NGHTTP2_PING, 0, 0, FED_STR("12345678"));
    assert_int_equal(flood(FED_STR(""), fed_buf_str(&b), 900), 0);
    assert_int_equal(flood(FED_STR(""), fed_buf_str(&b), 1100), FED_E_TOO_MANY);
    fed_buf_reset(&b);
    put_frame(&b, NGHTTP2_SETTINGS, 0, 0, FED_STR(""));
    assert_int_equal(flood(FED_STR(""), fed_buf_str(&b), 1100), FED_E_TOO_MANY);
    /* Empty data frames on an open stream. */
    fed_buf_reset(&b);
    put_frame(&once, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head);
    put_frame(&b, NGHTTP2_DATA, 0, 1, FED_STR(""));
    assert_int_equal(flood(fed_buf_str(&once), fed_buf_str(&b), 1100), FED_E_TOO_MANY);
    /* A head that never ends. */
    fed_buf_reset(&once);
    put_frame(&once, NGHTTP2_HEADERS, 0, 1, head);
    fed_buf_reset(&b);
    put_frame(&b, NGHTTP2_CONTINUATION, 0, 1, FED_STR("\x40\x01x\x01y"));
    assert_true(flood(fed_buf_str(&once), fed_buf_str(&b), 100) != 0);
    fed_buf_release(&b);
    fed_buf_release(&once);
    /* Streams opened and reset at once. */
    struct side *v = side_new();
    v->hold = true;
    fed_buf_addz(&b, FED_H2_PREFACE);
    put_frame(&b, NGHTTP2_SETTINGS, 0, 0, FED_STR(""));
    v->rc = fed_h2_recv(v->h, fed_buf_str(&b), 5);
    int n;
    for (n = 0; n < 2000 && v->rc == 0; n++) {
        int id = 2 * n + 1;
        char frames[9 + 6 + 9 + 4] = {0, 0, 6, 1, 5, 0, 0, (char)(id >> 8), (char)id};
        memcpy(frames + 9, head.p, 6);
        memcpy(frames + 15, (char[]){0, 0, 4, 3, 0, 0, 0, (char)(id >> 8), (char)id, 0, 0, 0, 8}, 13);
        v->rc = fed_h2_recv(v->h, fed_str_n(frames, sizeof(frames)), 5);
    }
    assert_in_range(n, 900, 1100);
    assert_true(v->rc < 0 || fed_h2_done(v->h));
    fed_buf_release(&b);
    side_free(v);
    assert_int_equal(flood(FED_STR("garbage garbage garbage"), FED_STR("x"), 1), 0); /* answered with GOAWAY */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),        cmocka_unit_test(test_post),
        cmocka_unit_test(test_backlog),    cmocka_unit_test(test_refuse_and_free),
        cmocka_unit_test(test_large_head), cmocka_unit_test(test_floods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
