/* SPDX-License-Identifier: Apache-2.0 */
/* base64 and protobuf. */
#include "tests/unit/unit.h"

#include "codec/base64.h"
#include "codec/pb.h"

static void test_base64(void **state)
{
    /* RFC 4648 section 10, and the two digits that differ. */
    static const struct {
        const char *bytes, *text, *url;
    } cases[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xff\xef\xbe", "/+++", "_---"},
    };
    struct fed_arena a = {0};
    struct fed_buf b = {0};
    struct fed_str got;
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        fed_buf_reset(&b);
        fed_base64_encode(&b, fed_str(cases[i].bytes));
        CHECK_TEXT(cases[i].text, fed_buf_str(&b), cases[i].text);
        fed_buf_reset(&b);
        fed_base64url_encode(&b, fed_str(cases[i].bytes));
        CHECK_TEXT(cases[i].url, fed_buf_str(&b), cases[i].url);
        assert_int_equal(fed_base64_decode(&a, fed_str(cases[i].text), &got), 0);
        CHECK_TEXT(cases[i].text, got, cases[i].bytes);
        assert_int_equal(fed_base64url_decode(&a, fed_str(cases[i].url), &got), 0);
        CHECK_TEXT(cases[i].url, got, cases[i].bytes);
    }
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Zg===", "=", "====", "Zg==Zg==", "Zm9v\n", " Zm9v", "Zh==", "Zm9=", "_---", "Zm=v"};
    for (size_t i = 0; i < FED_ARRAY_LEN(bad); i++)
        CHECK(bad[i], fed_base64_decode(&a, fed_str(bad[i]), &got) == FED_E_SYNTAX);
    assert_int_equal(fed_base64url_decode(&a, FED_STR("Zg=="), &got), FED_E_SYNTAX);
    assert_int_equal(fed_base64url_decode(&a, FED_STR("Z"), &got), FED_E_SYNTAX);
    assert_int_equal(fed_base64url_decode(&a, FED_STR("/+++"), &got), FED_E_SYNTAX);
    fed_buf_release(&b);
    fed_arena_release(&a);
}

static void test_pb_write(void **state)
{
    struct fed_buf b = {0};
    struct fed_pb_reader r;
    struct fed_pb_field f;
    char text[300];
    (void)state;
    memset(text, 'x', sizeof(text));
    fed_pb_put_varint(&b, 1, 150);
    assert_memory_equal(b.p, "\x08\x96\x01", 3);
    size_t outer = fed_pb_open(&b, 2);
    size_t inner = fed_pb_open(&b, 3);
    fed_pb_put_bytes(&b, 4, fed_str_n(text, sizeof(text))); /* both lengths need two bytes */
    fed_pb_close(&b, inner);
    fed_pb_put_varint(&b, 5, UINT64_MAX);
    fed_pb_close(&b, outer);
    size_t empty = fed_pb_open(&b, 6);
    fed_pb_close(&b, empty);
    fed_pb_reader_init(&r, fed_buf_str(&b));
    assert_true(fed_pb_next(&r, &f) && f.number == 1 && f.wire == 0 && f.value == 150);
    assert_true(fed_pb_next(&r, &f) && f.number == 2 && f.wire == 2);
    struct fed_pb_reader in;
    fed_pb_reader_init(&in, f.data);
    assert_true(fed_pb_next(&in, &f) && f.number == 3);
    struct fed_pb_reader in2;
    fed_pb_reader_init(&in2, f.data);
    assert_true(fed_pb_next(&in2, &f) && f.number == 4 && f.data.n == 300 && f.data.p[299] == 'x');
    assert_true(!fed_pb_next(&in2, &f) && !in2.failed);
    assert_true(fed_pb_next(&in, &f) && f.number == 5 && f.value == UINT64_MAX);
    assert_true(!fed_pb_next(&in, &f) && !in.failed);
    assert_true(fed_pb_next(&r, &f) && f.number == 6 && f.data.n == 0);
    assert_true(!fed_pb_next(&r, &f) && !r.failed);
    fed_buf_release(&b);
    struct fed_buf small = {.max = 4};
    size_t mark = fed_pb_open(&small, 1);
    fed_pb_put_bytes(&small, 2, FED_STR("too long"));
    fed_pb_close(&small, mark);
    assert_true(small.failed && small.n <= 4);
    fed_buf_release(&small);
}

static void test_pb_damage(void **state)
{
    static const struct {
        const char *name;
        struct fed_str bytes;
        int fields; /* before the damage */
        bool failed;
    } cases[] = {
        {"empty", FED_STR_INIT(""), 0, false},
        {"fixed", FED_STR_INIT("\x09\x01\0\0\0\0\0\0\0\x0d\x02\0\0\0"), 2, false},
        {"cut tag", FED_STR_INIT("\x88"), 0, true},
        {"cut varint", FED_STR_INIT("\x08\x96"), 0, true},
        {"cut bytes",
         FED_STR_INIT("\x12\x05"
                      "abcd"),
         0, true},
        {"cut fixed64", FED_STR_INIT("\x09\0\0\0"), 0, true},
        {"cut fixed32", FED_STR_INIT("\x08\x01\x0d\0\0"), 1, true},
        {"huge length", FED_STR_INIT("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, true},
        {"10 bytes", FED_STR_INIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 1, false},
        {"past 64 bits", FED_STR_INIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), 0, true},
        {"11 bytes", FED_STR_INIT("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), 0, true},
        {"field 0", FED_STR_INIT("\x00\x01"), 0, true},
        {"field too large", FED_STR_INIT("\x80\x80\x80\x80\x10\x01"), 0, true},
        {"group", FED_STR_INIT("\x0b\x0c"), 0, true},
        {"wire 7", FED_STR_INIT("\x0f\x01"), 0, true},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_pb_reader r;
        struct fed_pb_field f;
        int n = 0;
        fed_pb_reader_init(&r, cases[i].bytes);
        while (fed_pb_next(&r, &f))
            n++;
        CHECK(cases[i].name, n == cases[i].fields && r.failed == cases[i].failed);
        CHECK(cases[i].name, !fed_pb_next(&r, &f)); /* stays so */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_pb_write),
        cmocka_unit_test(test_pb_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
