/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/ws.h"

/* Events as text: "text[hello] ping[x] close 1000[bye] SYNTAX 1002". */
static void run(struct fed_buf *out, struct fed_str bytes, size_t step, bool from_client)
{
    struct fed_ws ws;
    struct fed_ws_event ev;
    int rc = 0;
    fed_ws_init(&ws, from_client, 1000);
    for (size_t at = 0; at < bytes.n && rc >= 0; at += step) {
        char *piece = fed_malloc(step);
        struct fed_str in = fed_str_head(fed_str_from(bytes, at), step);
        memcpy(piece, in.p, in.n);
        in.p = piece;
        while ((rc = fed_ws_next(&ws, &in, &ev)) == 1) {
            static const char *const names[] = {
                [1] = "text", [2] = "binary", [8] = "close", [9] = "ping", [10] = "pong"};
            fed_buf_addf(out, "%s", names[ev.op]);
            if (ev.op == FED_WS_CLOSE)
                fed_buf_addf(out, " %d", ev.code);
            fed_buf_addf(out, ev.payload.n > 99 ? "[%zu] " : "[", ev.payload.n);
            if (ev.payload.n <= 99)
                fed_buf_addf(out, "%.*s] ", FED_STR_ARG(ev.payload));
        }
        free(piece);
    }
    if (rc < 0)
        fed_buf_addf(out, "%s %d", fed_code_name(rc), ws.close_code);
    fed_ws_release(&ws);
}

static void check(struct fed_str bytes, bool from_client, const char *want)
{
    for (size_t step = 1; step <= bytes.n; step++) {
        struct fed_buf out = {.max = 0};
        run(&out, bytes, step, from_client);
        assert_string_equal(fed_buf_z(&out), want);
        fed_buf_release(&out);
    }
}

#define CASE(bytes, want)                                                                                              \
    {                                                                                                                  \
        {bytes, sizeof(bytes) - 1}, want                                                                               \
    }
static const struct {
    struct fed_str bytes;
    const char *want;
} server_frames[] = {
    CASE("\x81\x05Hello", "text[Hello] "), CASE("\x01\x03Hel\x89\x01x\x80\x02lo", "ping[x] text[Hello] "),
    CASE("\x02\x00\x80\x00\x81\x00", "binary[] text[] "), CASE("\x88\x00", "close 1005[] "),
    CASE("\x88\x05\x03\xe8"
         "bye\x8a\x00",
         "close 1000[bye] pong[] "),
    CASE("\x82\x7e\x00\x7e"
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
         "45678901234567890123456789012345",
         "binary[126] "),
    CASE("\x81\x04\xf0\x9f\x98\x80", "text[\xf0\x9f\x98\x80] "), CASE("\x82\x01\xff", "binary[\xff] "),
    /* Refused. */
    CASE("\xc1\x00", "SYNTAX 1002"),                                                  /* reserved bit */
    CASE("\x83\x00", "SYNTAX 1002"),                                                  /* unknown operation */
    CASE("\x8b\x00", "SYNTAX 1002"), CASE("\x81\x80\x00\x00\x00\x00", "SYNTAX 1002"), /* masked by a server */
    CASE("\x80\x00", "SYNTAX 1002"),                                                  /* continues nothing */
    CASE("\x01\x01"
         "a\x81\x01"
         "b",
         "SYNTAX 1002"),                     /* new message within one */
    CASE("\x09\x00", "SYNTAX 1002"),         /* fragmented control */
    CASE("\x89\x7e\x00\x7e", "SYNTAX 1002"), /* long control */
    CASE("\x82\x7e\x00\x05"
         "abcde",
         "SYNTAX 1002"), /* length not in its shortest form */
    CASE("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", "SYNTAX 1002"),
    CASE("\x82\x7f\x80\x00\x00\x00\x00\x01\x00\x00", "SYNTAX 1002"), CASE("\x88\x01x", "SYNTAX 1002"),
    CASE("\x88\x02\x03\xed", "SYNTAX 1002"), /* 1005 is never sent */
    CASE("\x88\x03\x03\xe8\xff", "SYNTAX 1007"), CASE("\x81\x01\xff", "SYNTAX 1007"),
    CASE("\x81\x02\xc0\x80", "SYNTAX 1007"), CASE("\x81\x03\xed\xa0\x80", "SYNTAX 1007"),
    CASE("\x81\x04\xf4\x90\x80\x80", "SYNTAX 1007"), CASE("\x81\x02\xe2\x82", "SYNTAX 1007"),
    CASE("\x82\x7e\x03\xe9", "LIMIT 1009"),
    CASE("\x02\x01x\x80\x7e\x03\xe8", "LIMIT 1009"), /* by the sum of fragments */
};

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(server_frames); i++)
        check(server_frames[i].bytes, false, server_frames[i].want);
    check(FED_STR("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), true, "text[Hello] "); /* of RFC 6455 5.7 */
    check(FED_STR("\x81\x05Hello"), true, "SYNTAX 1002");
}

static void test_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 125, 126, 127, 1000, 65535, 65536, 100000};
    static const uint8_t mask[4] = {0x12, 0xfe, 0x00, 0x7f};
    for (size_t i = 0; i < FED_ARRAY_LEN(sizes); i++) {
        for (int masked = 0; masked < 2; masked++) {
            struct fed_buf payload = {.max = 0}, wire = {.max = 0};
            for (size_t k = 0; k < sizes[i]; k++)
                fed_buf_addc(&payload, (char)(k * 7));
            fed_ws_put(&wire, FED_WS_BINARY, fed_buf_str(&payload), masked ? mask : NULL);
            struct fed_ws ws;
            struct fed_ws_event ev;
            fed_ws_init(&ws, masked, 100000);
            struct fed_str in = fed_buf_str(&wire);
            assert_int_equal(fed_ws_next(&ws, &in, &ev), 1);
            assert_int_equal(in.n, 0);
            assert_true(fed_str_eq(ev.payload, fed_buf_str(&payload)));
            fed_ws_release(&ws);
            fed_buf_release(&payload);
            fed_buf_release(&wire);
        }
    }
    struct fed_buf wire = {.max = 0};
    fed_ws_put_close(&wire, 1001, FED_STR("away"), NULL);
    check(fed_buf_str(&wire), false, "close 1001[away] ");
    fed_buf_release(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode), cmocka_unit_test(test_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
