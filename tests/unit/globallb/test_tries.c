/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts of a request's life: each line is an event at a time, with the step that must follow. */
#include "unit/unit.h"

#include "base/def.h"
#include "globallb/proxy/rewrite.h"
#include "globallb/proxy/tries.h"

enum ev { BEGIN, WROTE, LOST, HEARD, TIMER, DENIED, SUSPECT, FORGET, FED, DONE };
struct line {
    enum ev ev;
    uint64_t at;
    int i; /* try; BEGIN: hedge delay */
    enum glb_loss why;
    enum glb_do want;
    uint64_t arg; /* WAIT: wake; GIVE_UP: status; AGAIN: 1 when beside a silent one */
};
struct script {
    const char *name;
    bool idempotent;
    struct line lines[14];
};
static const struct glb_tries_conf conf = {.max_tries = 4, .response_ms = 60000, .recheck_ms = 50};

#define B(t, hedge)                                                                                                    \
    {                                                                                                                  \
        .ev = BEGIN, .at = (t), .i = (hedge)                                                                           \
    }
#define W(n)                                                                                                           \
    {                                                                                                                  \
        .ev = WROTE, .i = (n)                                                                                          \
    }
#define H(t, n)                                                                                                        \
    {                                                                                                                  \
        .ev = HEARD, .at = (t), .i = (n)                                                                               \
    }
#define T(t, what, a)                                                                                                  \
    {                                                                                                                  \
        .ev = TIMER, .at = (t), .want = GLB_##what, .arg = (a)                                                         \
    }
#define L(t, n, cause, what, a)                                                                                        \
    {                                                                                                                  \
        .ev = LOST, .at = (t), .i = (n), .why = GLB_LOST_##cause, .want = GLB_##what, .arg = (a)                       \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        .ev = DONE                                                                                                     \
    }
static const struct script scripts[] = {
    {"first answer", true, {B(0, 100), W(0), T(0, WAIT, 100), H(5, 0), T(100, WAIT, UINT64_MAX), END}},
    {"refused, elsewhere",
     false,
     {B(0, 100), L(1, 0, CONNECT, AGAIN, 0), B(1, 100), L(2, 1, CONNECT, AGAIN, 0), B(2, 100),
      L(3, 2, CONNECT_TIMEOUT, AGAIN, 0), B(3, 100), L(4, 3, CONNECT_TIMEOUT, GIVE_UP, 504), END}},
    {"POST cut", false, {B(0, 100), W(0), L(1, 0, CUT, GIVE_UP, 502), END}},
    {"POST turned away", false, {B(0, 100), W(0), L(1, 0, UNPROCESSED, AGAIN, 0), END}},
    {"POST is not hedged", false, {B(0, 100), W(0), T(500, WAIT, 60000), T(60000, GIVE_UP, 504), END}},
    {"GET cut", true, {B(0, 100), W(0), L(1, 0, CUT, AGAIN, 0), END}},
    {"hedge wins",
     true,
     {B(0, 100), W(0), T(99, WAIT, 100), T(100, AGAIN, 1), B(100, 100), H(105, 1), L(110, 0, CUT, WAIT, UINT64_MAX),
      END}},
    {"hedge denied, asked again",
     true,
     {B(0, 100), T(100, AGAIN, 1), {.ev = DENIED, .at = 100, .want = GLB_WAIT, .arg = 150}, T(150, AGAIN, 1), END}},
    {"two silent, third answers",
     true,
     {B(0, 100), T(100, AGAIN, 1), B(100, 200), T(250, WAIT, 300), T(300, AGAIN, 1), B(300, 200), H(310, 2), END}},
    {"one of two is lost: the other goes on",
     true,
     {B(0, 100), T(100, AGAIN, 1), B(100, 300), L(120, 0, CUT, WAIT, 170), L(130, 1, CUT, AGAIN, 0), END}},
    {"found down", true, {B(0, 400), {.ev = SUSPECT, .at = 50, .i = 0}, T(50, AGAIN, 1), END}},
    {"too large to repeat",
     true,
     {B(0, 100), W(0), {.ev = FORGET}, T(100, WAIT, 60000), L(200, 0, CUT, GIVE_UP, 502), END}},
    {"the body still comes", true, {B(0, 100), {.ev = FED, .at = 90}, T(100, WAIT, 190), END}},
    {"all tries used",
     true,
     {B(0, 10), T(10, AGAIN, 1), B(10, 10), T(20, AGAIN, 1), B(20, 10), T(30, AGAIN, 1), B(30, 10), T(40, WAIT, 60000),
      T(60000, GIVE_UP, 504), END}},
};

static void check_step(const char *name, const struct line *l, struct glb_step s)
{
    CHECK(name, s.what == l->want);
    if (s.what == GLB_WAIT)
        CHECK(name, s.wake_ms == l->arg);
    else if (s.what == GLB_GIVE_UP)
        CHECK(name, (uint64_t)s.status == l->arg);
    else
        CHECK(name, s.hedge == (l->arg == 1));
}

static void play(const struct script *s)
{
    struct glb_tries m;
    glb_tries_init(&m, &conf, 0, s->idempotent);
    for (const struct line *l = s->lines; l->ev != DONE; l++) {
        switch (l->ev) {
        case BEGIN:
            glb_tries_begin(&m, l->at, (uint32_t)l->i);
            break;
        case WROTE:
            glb_tries_wrote(&m, l->i);
            break;
        case HEARD:
            glb_tries_heard(&m, l->i);
            break;
        case SUSPECT:
            glb_tries_suspect(&m, l->i, l->at);
            break;
        case FORGET:
            glb_tries_forget(&m);
            break;
        case FED:
            glb_tries_fed(&m, l->at);
            break;
        case LOST:
            check_step(s->name, l, glb_tries_lost(&m, l->i, l->why, l->at));
            break;
        case TIMER:
            check_step(s->name, l, glb_tries_timer(&m, l->at));
            break;
        case DENIED:
            check_step(s->name, l, glb_tries_denied(&m, l->at));
            break;
        case DONE:
            break;
        }
    }
}

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(scripts); i++)
        play(&scripts[i]);
}

static void test_rewrite(void **state)
{
    (void)state;
    struct fed_h1_head h;
    struct fed_buf out = {0};
    struct fed_str in =
        FED_STR("GET http://h.example/p?q HTTP/1.1\r\nHost: h.example\r\nConnection: close, X-A\r\nX-A: 1\r\n"
                "X-B: 2\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nHansa-Hop: 1\r\n"
                "Expect: 100-continue\r\nX-Request-Id: abc\r\nTE: trailers\r\n\r\n");
    fed_h1_init(&h);
    assert_int_equal(fed_h1_parse_request(&h, in), in.n);
    struct glb_from from = {.ip = FED_STR("198.51.100.9"), .request_id = "new"};
    glb_rewrite_request(&out, &h, &from);
    CHECK_TEXT(
        "request", fed_buf_str(&out),
        "GET /p?q HTTP/1.1\r\nHost: h.example\r\nX-B: 2\r\nX-Request-Id: abc\r\n"
        "X-Forwarded-For: 192.0.2.1, 198.51.100.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h.example\r\n");
    from.trusted = from.tls = true;
    fed_buf_reset(&out);
    glb_rewrite_request(&out, &h, &from);
    assert_true(fed_str_find(fed_buf_str(&out), FED_STR("X-Forwarded-Proto: https\r\n"), 0) > 0);

    struct fed_str answer =
        FED_STR("HTTP/1.1 200 Fine\r\nKeep-Alive: x\r\nX-C: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
    fed_h1_init(&h);
    assert_int_equal(fed_h1_parse_response(&h, answer, FED_H1_GET), answer.n);
    fed_buf_reset(&out);
    glb_rewrite_response(&out, &h, FED_H1_BODY_CHUNKED, &(struct glb_to){.close = true});
    CHECK_TEXT("answer", fed_buf_str(&out),
               "HTTP/1.1 200 Fine\r\nX-C: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    fed_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scripts), cmocka_unit_test(test_rewrite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
