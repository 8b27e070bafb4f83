/* SPDX-License-Identifier: Apache-2.0 */
/* The transport over HTTP against our HTTP server, behind which the API server in memory answers. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/mem.h"
#include "kube/fake.h"
#include "kube/informer.h"
#include "kube/remote.h"
#include "net/httpd.h"

static const struct fed_resource configmaps = {"", "v1", "configmaps", "ConfigMap", true};

struct world {
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_fake *fake;
    struct fed_transport *inside, *t;
    struct fed_httpd *httpd;
    struct fed_addr addr;
    struct fed_timer poll;
    uint64_t deadline_ns;
    bool (*until)(struct world *w);
    bool timed_out, closed;
    struct fed_buf log;
    char authorization[128];
    const char *raw_watch; /* sent in place of what the fake would send */
    int code;
    int answers;
    struct fed_err err;
    struct fed_informer *inf;
};

/* --- the bridge: HTTP to the fake --- */

struct bridge {
    struct world *w;
    struct fed_http_exchange *x;
    struct fed_call *call;
    bool watch, begun;
};

static void bridge_closed(void *ud)
{
    struct bridge *b = ud;
    fed_call_cancel(b->call);
    free(b);
}
static void bridge_answer(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct bridge *b = ud;
    (void)err;
    b->call = NULL;
    int status = code && !res->http_status ? 503 : code == 0 ? 200 : res->http_status;
    fed_http_respond(b->x, status, "application/json", res->body);
}
static void bridge_opened(void *ud)
{
    struct bridge *b = ud;
    b->begun = true;
    fed_http_stream_begin(b->x, 200, "application/json", NULL, NULL);
    if (b->w->raw_watch) {
        fed_http_stream_write(b->x, fed_str(b->w->raw_watch));
        fed_http_stream_end(b->x);
    }
}
static void bridge_event(void *ud, enum fed_event type, struct fed_kobj *obj)
{
    static const char *const words[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"};
    struct bridge *b = ud;
    struct fed_buf line = {0};
    if (b->w->raw_watch)
        return;
    fed_buf_addf(&line, "{\"type\":\"%s\",\"object\":%.*s}\n", words[type], FED_STR_ARG(obj->json));
    size_t half = line.n / 2; /* lines arrive in pieces */
    fed_http_stream_write(b->x, fed_str_n(line.p, half));
    fed_http_stream_write(b->x, fed_str_n(line.p + half, line.n - half));
    fed_buf_release(&line);
}
static void bridge_end(void *ud, int code, const struct fed_err *err)
{
    struct bridge *b = ud;
    (void)err;
    b->call = NULL;
    if (!b->begun) {
        fed_http_respond(b->x, fed_code_status(code), "application/json",
                         code == FED_E_EXPIRED ? FED_STR("{\"kind\":\"Status\",\"reason\":\"Expired\",\"code\":410}")
                                               : FED_STR(""));
    } else if (!b->w->raw_watch) {
        if (code == FED_E_EXPIRED)
            fed_http_stream_write(b->x, FED_STR("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,"
                                                "\"reason\":\"Expired\",\"message\":\"too old\"}}\n"));
        fed_http_stream_end(b->x);
    }
}
static const struct fed_watch_handlers bridge_handlers = {bridge_event, bridge_end, bridge_opened};

static void handle(void *ud, struct fed_http_exchange *x)
{
    struct world *w = ud;
    const struct fed_http_request *r = fed_http_request(x);
    struct bridge *b = FED_NEW(struct bridge);
    *b = (struct bridge){.w = w, .x = x};
    struct fed_str auth = fed_http_request_header(r, "authorization");
    snprintf(w->authorization, sizeof(w->authorization), "%.*s", FED_STR_ARG(auth));
    fed_http_on_closed(x, bridge_closed, b);
    if (fed_str_find(r->query, FED_STR("watch=1"), 0) >= 0) {
        b->watch = true;
        b->call = w->inside->ops->watch(w->inside, r->target, &bridge_handlers, b);
        return;
    }
    char *method = fed_arena_dupz(fed_http_arena(x), r->method);
    const struct fed_call_request req = {.method = method,
                                         .path = r->target,
                                         .content_type = fed_http_request_header(r, "content-type"),
                                         .body = r->body};
    b->call = w->inside->ops->call(w->inside, &req, bridge_answer, b);
}

/* --- running --- */

static void poll_due(struct fed_timer *timer)
{
    struct world *w = fed_container_of(timer, struct world, poll);
    w->timed_out = fed_mono_ns(w->env) > w->deadline_ns;
    if (w->timed_out || w->until(w))
        fed_loop_stop(w->loop);
    else
        fed_timer_start(w->env, timer, 2, poll_due);
}
static void run_until(struct world *w, bool (*until)(struct world *w))
{
    w->until = until;
    w->deadline_ns = fed_mono_ns(w->env) + 10000000000u;
    fed_timer_start(w->env, &w->poll, 0, poll_due);
    fed_loop_run(w->loop);
    assert_false(w->timed_out);
}

static void open_server(struct world *w)
{
    struct fed_err err;
    const struct fed_httpd_conf conf = {.listen = {.addr = w->addr}, .handle = handle, .ud = w};
    if (fed_httpd_open(w->loop, &conf, &w->httpd, &err) != 0)
        fail_msg("%s", err.text);
    w->addr = *fed_httpd_addr(w->httpd);
}
static void server_closed(void *ud)
{
    ((struct world *)ud)->closed = true;
}
static bool is_closed(struct world *w)
{
    return w->closed;
}
static void close_server(struct world *w)
{
    w->closed = false;
    fed_httpd_close(w->httpd, 0, server_closed, w);
    run_until(w, is_closed);
}

static void setup(struct world *w, bool watch_list)
{
    char addr[64], url[80];
    *w = (struct world){0};
    w->loop = fed_loop_new();
    w->env = fed_loop_env(w->loop);
    w->fake = fed_fake_new(w->env);
    w->inside = fed_fake_transport(w->fake, false);
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 0, &w->addr), 0);
    open_server(w);
    fed_addr_format(&w->addr, addr);
    snprintf(url, sizeof(url), "http://%s/", addr);
    struct fed_remote_conf conf = {.name = "test", .rest = {.server = url, .token = "secret"}};
    assert_int_equal(fed_remote_new(w->loop, &conf, &w->t, NULL), 0);
    w->t->watch_list = watch_list;
}
static void teardown(struct world *w)
{
    fed_informer_free(w->inf);
    fed_transport_free(w->t);
    close_server(w);
    fed_transport_free(w->inside);
    fed_fake_free(w->fake);
    fed_loop_free(w->loop);
    fed_buf_release(&w->log);
}

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct world *w = ud;
    w->code = code;
    w->err = *err;
    fed_buf_reset(&w->log);
    fed_buf_add(&w->log, res->body);
    w->answers++;
}
static bool has_answer(struct world *w)
{
    return w->answers > 0;
}
static void wait_answer(struct world *w, int want)
{
    w->answers = 0;
    run_until(w, has_answer);
    if (w->code != want)
        fail_msg("%s: %s", fed_code_name(w->code), w->err.text);
}

static void calls(void **state)
{
    (void)state;
    struct world w;
    struct fed_arena a = {0};
    setup(&w, false);
    struct fed_json *obj = fed_obj_new(&a, "v1", "ConfigMap", FED_STR("n"), FED_STR("a"));
    fed_client_create(w.t, &configmaps, FED_STR("n"), obj, answered, &w);
    wait_answer(&w, 0);
    assert_string_equal(w.authorization, "Bearer secret");
    fed_client_create(w.t, &configmaps, FED_STR("n"), obj, answered, &w);
    wait_answer(&w, FED_E_ALREADY_EXISTS);
    assert_string_equal(w.err.text, "configmaps \"a\" already exists");
    struct fed_json *patch = fed_json_object(&a);
    fed_json_set(fed_json_ensure_object(&a, patch, "data"), "k", fed_json_new_strz(&a, "v"));
    fed_client_patch(w.t, &configmaps, FED_STR("n"), FED_STR("a"), "", "merge", patch, "", answered, &w);
    wait_answer(&w, 0);
    fed_client_get(w.t, &configmaps, FED_STR("n"), FED_STR("a"), answered, &w);
    wait_answer(&w, 0);
    assert_true(fed_str_find(fed_buf_str(&w.log), FED_STR("\"data\":{\"k\":\"v\"}"), 0) > 0);
    fed_client_get(w.t, &configmaps, FED_STR("n"), FED_STR("b"), answered, &w);
    wait_answer(&w, FED_E_NOT_FOUND);
    fed_client_delete(w.t, &configmaps, FED_STR("n"), FED_STR("a"), "Background", FED_STR(""), answered, &w);
    wait_answer(&w, 0);
    assert_int_equal(fed_fake_count(w.fake, &configmaps), 0);
    /* credentials change for the next call */
    char url[80], addr[64];
    fed_addr_format(&w.addr, addr);
    snprintf(url, sizeof(url), "http://%s", addr);
    fed_remote_set_rest(w.t, &(struct fed_rest_conf){.server = url, .username = "u", .password = "p"});
    fed_client_get(w.t, &configmaps, FED_STR("n"), FED_STR("b"), answered, &w);
    wait_answer(&w, FED_E_NOT_FOUND);
    assert_string_equal(w.authorization, "Basic dTpw");
    /* nobody there */
    close_server(&w);
    fed_client_get(w.t, &configmaps, FED_STR("n"), FED_STR("a"), answered, &w);
    wait_answer(&w, FED_E_REFUSED);
    open_server(&w);
    /* canceled: no answer comes */
    w.answers = 0;
    fed_call_cancel(fed_client_get(w.t, &configmaps, FED_STR("n"), FED_STR("a"), answered, &w));
    fed_client_get(w.t, &configmaps, FED_STR("n"), FED_STR("b"), answered, &w);
    run_until(&w, has_answer);
    assert_int_equal(w.answers, 1);
    fed_arena_release(&a);
    teardown(&w);
}

static void changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct world *w = ud;
    fed_buf_addf(&w->log, "%c%.*s ", old && now ? '~' : now ? '+' : '-', FED_STR_ARG((now ? now : old)->name));
}
static const char *expected;
static bool has_log(struct world *w)
{
    return strcmp(fed_buf_z(&w->log), expected) == 0;
}
static void expect(struct world *w, const char *want)
{
    expected = want;
    run_until(w, has_log);
    fed_buf_reset(&w->log);
}
static bool is_live(struct world *w)
{
    return fed_informer_connected(w->inf);
}

static void follow(bool watch_list)
{
    struct world w;
    setup(&w, watch_list);
    fed_fake_put(w.fake, &configmaps, "{'metadata':{'name':'a','namespace':'n'}}");
    w.inf = fed_informer_new(&(struct fed_informer_conf){.transport = w.t, .resource = &configmaps});
    fed_informer_add_handlers(w.inf, &(struct fed_informer_handlers){.changed = changed, .ud = &w});
    fed_informer_start(w.inf);
    expect(&w, "+a ");
    fed_fake_put(w.fake, &configmaps, "{'metadata':{'name':'b','namespace':'n'}}");
    fed_fake_put(w.fake, &configmaps, "{'metadata':{'name':'a','namespace':'n'},'data':{'x':'y'}}");
    expect(&w, "+b ~a ");
    fed_fake_drop_watches(w.fake, FED_E_EXPIRED);
    fed_fake_remove(w.fake, &configmaps, "n", "b");
    fed_fake_compact(w.fake);
    expect(&w, "-b ");
    /* the server dies and comes back */
    close_server(&w);
    fed_fake_put(w.fake, &configmaps, "{'metadata':{'name':'c','namespace':'n'}}");
    open_server(&w);
    expect(&w, "+c ");
    run_until(&w, is_live);
    teardown(&w);
}
static void list_then_watch(void **state)
{
    (void)state;
    follow(false);
}
static void one_watch(void **state)
{
    (void)state;
    follow(true);
}

static void raw_event(void *ud, enum fed_event type, struct fed_kobj *obj)
{
    struct world *w = ud;
    fed_buf_addf(&w->log, "%d:%.*s:%" PRIu64 " ", type, FED_STR_ARG(obj->name), obj->rev);
}
static void raw_end(void *ud, int code, const struct fed_err *err)
{
    struct world *w = ud;
    (void)err;
    w->code = code;
    w->answers++;
}

static void odd_streams(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *want;
        int code;
    } cases[] = {
        {"{ \"object\": {\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"5\"}}, \"type\": \"ADDED\" }\n\n", "0:a:5 ",
         0},
        {"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}\n", "3::9 ", 0},
        {"{\"type\":\"NEWER\",\"object\":{}}\n{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n",
         "2:a:0 ", 0},
        {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n{\"type\":\"ADDED\",\"object\":[]}\n",
         "0:a:0 ", FED_E_SYNTAX},
        {"garbage\n", "", FED_E_SYNTAX},
        {"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Gone\"}}\n", "", FED_E_GONE},
        {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"cut", "", 0},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct world w;
        const struct fed_watch_handlers h = {raw_event, raw_end, NULL};
        setup(&w, false);
        w.raw_watch = cases[i].raw;
        w.t->ops->watch(w.t, FED_STR("/api/v1/configmaps?watch=1"), &h, &w);
        run_until(&w, has_answer);
        if (w.code != cases[i].code || strcmp(fed_buf_z(&w.log), cases[i].want) != 0)
            fail_msg("%s: %s, '%s'", cases[i].raw, fed_code_name(w.code), fed_buf_z(&w.log));
        teardown(&w);
    }
}

static void bad_server(void **state)
{
    (void)state;
    struct fed_loop *loop = fed_loop_new();
    struct fed_transport *t;
    struct fed_err err;
    struct fed_remote_conf conf = {.rest = {.server = "127.0.0.1:1"}};
    assert_int_equal(fed_remote_new(loop, &conf, &t, &err), FED_E_INVALID);
    fed_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls), cmocka_unit_test(list_then_watch),
                                       cmocka_unit_test(one_watch), cmocka_unit_test(odd_streams),
                                       cmocka_unit_test(bad_server)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
