/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of SPDY against frames made here, in every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/mem.h"
#include "http/spdy.h"

/* --- a client's hand --- */

struct client {
    struct fed_buf out;
    z_stream z;
};

static void put32(struct fed_buf *b, uint32_t v)
{
    const uint8_t p[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    fed_buf_append(b, p, 4);
}

static void client_init(struct client *c)
{
    *c = (struct client){.out = {.max = 0}};
    assert_int_equal(deflateInit(&c->z, 9), Z_OK);
    deflateSetDictionary(&c->z, (const Bytef *)fed_spdy_dictionary, FED_SPDY_DICTIONARY);
}

static void client_release(struct client *c)
{
    deflateEnd(&c->z);
    fed_buf_release(&c->out);
}

static void control(struct client *c, unsigned type, unsigned flags, struct fed_str payload)
{
    put32(&c->out, 0x80030000u | type);
    put32(&c->out, flags << 24 | (uint32_t)payload.n);
    fed_buf_add(&c->out, payload);
}

/* fields: "name=value,name=value" */
static void syn(struct client *c, uint32_t id, unsigned flags, const char *fields)
{
    struct fed_buf block = {0}, list = {0}, p = {0};
    struct fed_str rest = fed_str(fields), one;
    uint32_t n = 0;
    uint8_t z[4096];
    while (rest.n && fed_str_cut(&rest, ',', &one)) {
        struct fed_str value = one, name;
        assert_true(fed_str_cut(&value, '=', &name));
        put32(&list, (uint32_t)name.n);
        fed_buf_add(&list, name);
        put32(&list, (uint32_t)value.n);
        fed_buf_add(&list, value);
        n++;
    }
    put32(&block, n);
    fed_buf_add(&block, fed_buf_str(&list));
    c->z.next_in = (Bytef *)block.p;
    c->z.avail_in = (uInt)block.n;
    c->z.next_out = z;
    c->z.avail_out = sizeof(z);
    assert_int_equal(deflate(&c->z, Z_SYNC_FLUSH), Z_OK);
    put32(&p, id);
    put32(&p, 0);
    fed_buf_append(&p, "\0\0", 2);
    fed_buf_append(&p, z, sizeof(z) - c->z.avail_out);
    control(c, 1, flags, fed_buf_str(&p));
    fed_buf_release(&block);
    fed_buf_release(&list);
    fed_buf_release(&p);
}

static void data(struct client *c, uint32_t id, unsigned flags, const char *text)
{
    put32(&c->out, id);
    put32(&c->out, flags << 24 | (uint32_t)strlen(text));
    fed_buf_addz(&c->out, text);
}

static void two(struct client *c, unsigned type, uint32_t a, uint32_t b)
{
    struct fed_buf p = {0};
    put32(&p, a);
    put32(&p, b);
    control(c, type, 0, fed_buf_str(&p));
    fed_buf_release(&p);
}

/* --- what the server saw and said, as text --- */

struct server {
    struct fed_spdy *s;
    struct fed_buf log;
    bool echo, refuse;
    struct fed_buf text; /* data in pieces is one word of the log */
    uint32_t text_id;
};

static void end_text(struct server *v)
{
    if (v->text.n)
        fed_buf_addf(&v->log, "data%u[%.*s] ", v->text_id, (int)v->text.n, v->text.p);
    fed_buf_reset(&v->text);
}

static bool opened(void *ud, uint32_t id, const struct fed_http_header *fields, size_t n)
{
    struct server *v = ud;
    end_text(v);
    fed_buf_addf(&v->log, "open%u[", id);
    for (size_t i = 0; i < n; i++)
        fed_buf_addf(&v->log, "%s%.*s=%.*s", i ? "," : "", FED_STR_ARG(fields[i].name), FED_STR_ARG(fields[i].value));
    fed_buf_addz(&v->log, "] ");
    return !v->refuse;
}
static void got(void *ud, uint32_t id, struct fed_str bytes)
{
    struct server *v = ud;
    if (id != v->text_id)
        end_text(v);
    v->text_id = id;
    fed_buf_add(&v->text, bytes);
    if (v->echo)
        fed_spdy_write(v->s, id, bytes);
}
static void ended(void *ud, uint32_t id)
{
    struct server *v = ud;
    end_text(v);
    fed_buf_addf(&v->log, "eof%u ", id);
    if (v->echo && fed_spdy_finish(v->s, id))
        fed_buf_addf(&v->log, "done%u ", id);
}
static void gone(void *ud, uint32_t id, bool reset)
{
    struct server *v = ud;
    end_text(v);
    fed_buf_addf(&v->log, "%s%u ", reset ? "reset" : "gone", id);
}
static const struct fed_spdy_handlers handlers = {opened, got, ended, gone};

static void server_init(struct server *v, bool echo)
{
    *v = (struct server){.echo = echo};
    v->s = fed_spdy_new(&(struct fed_spdy_conf){&handlers, v, 3});
}

static void server_release(struct server *v)
{
    fed_spdy_free(v->s);
    fed_buf_release(&v->log);
    fed_buf_release(&v->text);
}

static uint32_t be32(const char *p)
{
    const uint8_t *u = (const uint8_t *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

/* The frames of an output: "reply1 data1+3 fin1 rst3:3 ping window1+32768 goaway". Data frames are joined. */
static void describe(struct fed_str out, struct fed_buf *text)
{
    static const char *const names[] = {
        [2] = "reply", [3] = "rst", [4] = "settings", [6] = "ping", [7] = "goaway", [9] = "window"};
    uint32_t joined = 0, joined_id = 0;
    while (out.n) {
        uint32_t first = be32(out.p), length = be32(out.p + 4) & 0xffffff;
        assert_true(out.n >= 8 + length);
        if (!(first >> 31) && length) {
            joined_id = first;
            joined += length;
        }
        if (joined && ((first >> 31) || !length || out.n == 8 + length)) {
            fed_buf_addf(text, "data%u+%u ", joined_id, joined);
            joined = 0;
        }
        if (!(first >> 31) && out.p[4] == 1)
            fed_buf_addf(text, "fin%u ", first);
        unsigned type = first & 0xffff;
        if (first >> 31 && (type == 3 || type == 9))
            fed_buf_addf(text, type == 3 ? "%s%u:%u " : "%s%u+%u ", names[type], be32(out.p + 8), be32(out.p + 12));
        else if (first >> 31 && type == 2)
            fed_buf_addf(text, "reply%u ", be32(out.p + 8));
        else if (first >> 31)
            fed_buf_addf(text, "%s ", names[type]);
        out = fed_str_from(out, 8 + length);
    }
}

static void check(struct client *c, bool echo, const char *want, const char *want_out)
{
    for (size_t step = 1; step <= c->out.n; step++) {
        struct server v;
        struct fed_buf frames = {0};
        int rc = 0;
        server_init(&v, echo);
        for (size_t at = 0; at < c->out.n && rc == 0; at += step)
            rc = fed_spdy_recv(v.s, fed_str_head(fed_str_from(fed_buf_str(&c->out), at), step));
        end_text(&v);
        if (rc < 0)
            fed_buf_addf(&v.log, "%s ", fed_code_name(rc));
        assert_string_equal(fed_buf_z(&v.log), want);
        describe(fed_buf_str(fed_spdy_output(v.s)), &frames);
        assert_string_equal(fed_buf_z(&frames), want_out);
        fed_buf_release(&frames);
        server_release(&v);
    }
    client_release(c);
}

/* --- cases --- */

static void streams_live_and_end(void **state)
{
    (void)state;
    struct client c;
    client_init(&c);
    syn(&c, 1, 0, "streamType=error");
    syn(&c, 3, 1, "streamType=data,Port=8080,requestID=0");
    data(&c, 1, 0, "hello");
    data(&c, 1, 1, "!");
    check(&c, true,
          "open1[streamtype=error] open3[streamtype=data,port=8080,requestid=0] eof3 done3 data1[hello!] eof1 done1 ",
          "reply1 reply3 fin3 data1+6 fin1 ");
}

static void resets_and_limits(void **state)
{
    (void)state;
    struct client c;
    client_init(&c);
    syn(&c, 1, 0, "a=b");
    two(&c, 3, 1, 5);
    data(&c, 1, 0, "late"); /* of a stream that is gone: nobody's fault */
    data(&c, 99, 0, "x");   /* of one that never was */
    syn(&c, 101, 0, "");
    syn(&c, 103, 0, "");
    syn(&c, 105, 0, "");
    syn(&c, 107, 0, "k=v"); /* the fourth at once */
    syn(&c, 109, 0, "k=v"); /* refused ones keep the compression in step */
    two(&c, 3, 101, 5);
    syn(&c, 111, 0, "k=v,k2=v");
    check(&c, false, "open1[a=b] reset1 open101[] open103[] open105[] reset101 open111[k=v,k2=v] ",
          "reply1 rst99:2 reply101 reply103 reply105 rst107:3 rst109:3 reply111 ");
}

static void pings_settings_and_the_unknown(void **state)
{
    (void)state;
    struct client c;
    client_init(&c);
    control(&c, 6, 0, FED_STR("\0\0\0\1"));
    control(&c, 6, 0, FED_STR("\0\0\0\2")); /* an answer to none of ours */
    control(&c, 4, 0, FED_STR("\0\0\0\1\1\0\0\4\0\0\0\x64"));
    control(&c, 77, 0, FED_STR("what"));
    control(&c, 7, 0, FED_STR("\0\0\0\0\0\0\0\0"));
    check(&c, false, "", "ping ");
}

static void mistakes_end_the_session(void **state)
{
    (void)state;
    static const struct {
        uint32_t type;
        struct fed_str payload;
        const char *want;
    } cases[] = {
        {1, FED_STR_INIT("\0\0\0\1"), "SYNTAX "},
        {1, FED_STR_INIT("\0\0\0\1\0\0\0\0\0\0garbage"), "SYNTAX "},
        {3, FED_STR_INIT("\0\0\0\1"), "SYNTAX "},
        {4, FED_STR_INIT("\0\0\0\2\0\0\0\7\0\0\0\0"), "SYNTAX "},
        {6, FED_STR_INIT(""), "SYNTAX "},
        {9, FED_STR_INIT("\0\0\0\0\x7f\xff\xff\xff"), "SYNTAX "}, /* over 2^31 */
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct client c;
        client_init(&c);
        control(&c, cases[i].type, 0, cases[i].payload);
        check(&c, false, cases[i].want, "goaway ");
    }
    struct client c;
    client_init(&c);
    syn(&c, 2, 0, "a=b"); /* even */
    check(&c, false, "SYNTAX ", "goaway ");
    client_init(&c);
    syn(&c, 3, 0, "");
    syn(&c, 1, 0, ""); /* backwards */
    check(&c, false, "open3[] SYNTAX ", "reply3 goaway ");
    client_init(&c);
    put32(&c.out, 0x80030004);
    put32(&c.out, 0xffffff); /* a control frame of 16 MB */
    check(&c, false, "LIMIT ", "goaway ");
    client_init(&c);
    put32(&c.out, 0x80020006);
    put32(&c.out, 4); /* SPDY/2 */
    check(&c, false, "SYNTAX ", "goaway ");
}

/* 100 kB of zeros are a few bytes when compressed. */
static void a_bomb_is_a_limit(void **state)
{
    (void)state;
    struct client c;
    struct server v;
    char *big = fed_calloc(1, 100001);
    memset(big, 'x', 100000);
    memcpy(big, "a=", 2);
    client_init(&c);
    server_init(&v, false);
    syn(&c, 1, 0, big);
    assert_true(c.out.n < 1000);
    assert_int_equal(fed_spdy_recv(v.s, fed_buf_str(&c.out)), FED_E_LIMIT);
    free(big);
    server_release(&v);
    client_release(&c);
}

static void expect_output(struct server *v, const char *want)
{
    struct fed_buf text = {0};
    describe(fed_buf_str(fed_spdy_output(v->s)), &text);
    fed_buf_reset(fed_spdy_output(v->s));
    assert_string_equal(fed_buf_z(&text), want);
    fed_buf_release(&text);
}

static void send_all(struct server *v, struct client *c)
{
    assert_int_equal(fed_spdy_recv(v->s, fed_buf_str(&c->out)), 0);
    fed_buf_reset(&c->out);
}

static void windows_of_those_who_keep_them(void **state)
{
    (void)state;
    struct client c;
    struct server v;
    char *big = fed_calloc(1, 100000);
    client_init(&c);
    server_init(&v, false);
    syn(&c, 1, 0, "");
    send_all(&v, &c);
    expect_output(&v, "reply1 ");
    fed_spdy_write(v.s, 1, fed_str_n(big, 100000)); /* nobody has spoken of windows yet */
    expect_output(&v, "data1+100000 ");
    two(&c, 9, 0, 34464 + 10); /* session: as much as was sent, and 10 */
    two(&c, 9, 1, 34464 + 20);
    send_all(&v, &c);
    fed_spdy_write(v.s, 1, fed_str_n(big, 50));
    expect_output(&v, "data1+10 ");
    assert_int_equal(fed_spdy_backlog(v.s, 1), 40);
    two(&c, 9, 0, 1000);
    send_all(&v, &c);
    expect_output(&v, "data1+10 ");
    assert_false(fed_spdy_finish(v.s, 1)); /* waits for the rest */
    fed_spdy_write(v.s, 1, FED_STR("too late"));
    control(&c, 4, 0, FED_STR("\0\0\0\1\0\0\0\7\0\1\0\x14")); /* initial window + 20 */
    send_all(&v, &c);
    expect_output(&v, "data1+20 ");
    two(&c, 9, 1, 100);
    send_all(&v, &c);
    expect_output(&v, "data1+10 fin1 ");
    data(&c, 1, 1, "");
    send_all(&v, &c);
    assert_string_equal(fed_buf_z(&v.log), "open1[] eof1 gone1 ");
    assert_int_equal(fed_spdy_streams(v.s), 0);
    free(big);
    server_release(&v);
    client_release(&c);
}

/* What was delivered is given back before a window of 64 kB is used up. */
static void windows_that_we_open(void **state)
{
    (void)state;
    struct client c;
    struct server v;
    char text[10001];
    memset(text, 'x', 10000);
    text[10000] = 0;
    client_init(&c);
    server_init(&v, false);
    syn(&c, 1, 0, "");
    for (int i = 0; i < 4; i++)
        data(&c, 1, 0, text);
    send_all(&v, &c);
    expect_output(&v, "reply1 window0+40000 window1+40000 ");
    fed_spdy_reset(v.s, 1, FED_SPDY_CANCEL);
    fed_spdy_goaway(v.s);
    syn(&c, 3, 0, "");
    send_all(&v, &c);
    expect_output(&v, "rst1:5 goaway rst3:3 ");
    server_release(&v);
    client_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_live_and_end),
        cmocka_unit_test(resets_and_limits),
        cmocka_unit_test(pings_settings_and_the_unknown),
        cmocka_unit_test(mistakes_end_the_session),
        cmocka_unit_test(a_bomb_is_a_limit),
        cmocka_unit_test(windows_of_those_who_keep_them),
        cmocka_unit_test(windows_that_we_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
