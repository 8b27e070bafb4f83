/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "base/arena.h"
#include "base/blob.h"
#include "base/buf.h"

static void test_append(void **state)
{
    struct fed_buf b = {0};
    (void)state;
    assert_string_equal(fed_buf_z(&b), "");
    fed_buf_addz(&b, "a");
    fed_buf_addc(&b, 'b');
    fed_buf_add(&b, FED_STR("cd"));
    fed_buf_addf(&b, "%d-%s", 12, "x");
    fed_buf_add_u64(&b, 0);
    fed_buf_add_u64(&b, UINT64_MAX);
    fed_buf_append(&b, NULL, 0);
    assert_string_equal(fed_buf_z(&b), "abcd12-x018446744073709551615");
    fed_buf_consume(&b, 4);
    assert_string_equal(fed_buf_z(&b), "12-x018446744073709551615");
    fed_buf_consume(&b, 1000);
    assert_int_equal(b.n, 0);
    for (int i = 0; i < 100000; i++)
        fed_buf_addz(&b, "0123456789");
    assert_int_equal(b.n, 1000000);
    fed_buf_release(&b);
    assert_null(b.p);
}

static void test_limit(void **state)
{
    struct fed_buf b;
    (void)state;
    fed_buf_init(&b, 10);
    fed_buf_addz(&b, "12345678");
    fed_buf_addz(&b, "90");
    assert_int_equal(fed_buf_status(&b), 0); /* exactly full */
    assert_string_equal(fed_buf_z(&b), "1234567890");
    fed_buf_addc(&b, 'x');
    assert_int_equal(fed_buf_status(&b), FED_E_LIMIT);
    assert_string_equal(fed_buf_z(&b), "");
    assert_null(fed_buf_reserve(&b, 0)); /* sticky */
    fed_buf_reset(&b);
    fed_buf_addf(&b, "%s", "12345678901");
    assert_int_equal(fed_buf_status(&b), FED_E_LIMIT);
    fed_buf_reset(&b);
    memset(fed_buf_reserve_ahead(&b, 100), 'x', 100);
    fed_buf_commit_ahead(&b, 10);
    assert_int_equal(fed_buf_status(&b), 0);
    fed_buf_commit_ahead(&b, 1);
    assert_int_equal(fed_buf_status(&b), FED_E_LIMIT);
    assert_int_equal(b.n, 10);
    fed_buf_release(&b);
    assert_int_equal(b.max, 10);
}

static void test_blob(void **state)
{
    struct fed_buf b = {0};
    char *room;
    (void)state;
    struct fed_blob *x = fed_blob_new(FED_STR("abc"));
    assert_ptr_equal(fed_blob_ref(x), x);
    fed_blob_unref(x);
    assert_true(fed_str_is(fed_blob_str(x), "abc"));
    fed_blob_unref(x);
    fed_buf_addz(&b, "taken");
    x = fed_blob_new_take(&b);
    assert_true(fed_str_is(fed_blob_str(x), "taken") && b.n == 0 && b.p == NULL);
    fed_blob_unref(x);
    x = fed_blob_new_take(&b); /* an empty buffer */
    assert_int_equal(fed_blob_str(x).n, 0);
    fed_blob_unref(x);
    x = fed_blob_new_room(3, &room);
    memcpy(room, "xyz", 3);
    assert_true(fed_str_is(fed_blob_str(x), "xyz"));
    fed_blob_unref(x);
    fed_blob_unref(NULL);
    assert_int_equal(fed_blob_str(NULL).n, 0);
}

static void test_arena(void **state)
{
    struct fed_arena a = {0};
    (void)state;
    for (size_t n = 0; n < 3000; n += 7) {
        char *p = fed_arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, 0xAA, n);
    }
    char *big = fed_arena_zalloc(&a, 5000000);
    assert_true(big[0] == 0 && big[4999999] == 0);
    struct fed_str s = fed_arena_dup(&a, FED_STR("text"));
    assert_true(fed_str_is(s, "text") && s.p[4] == '\0');
    assert_string_equal(fed_arena_dupz(&a, fed_str(NULL)), "");
    assert_true(fed_str_is(fed_arena_printf(&a, "%d/%s", 1, "x"), "1/x"));
    assert_true(a.used > 5000000);
    fed_arena_reset(&a);
    assert_int_equal(a.used, 0);
    memset(fed_arena_alloc(&a, 100), 1, 100);
    fed_arena_release(&a);
    assert_null(a.chunks);
    memset(fed_arena_alloc(&a, 100), 1, 100); /* usable again */
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_blob),
        cmocka_unit_test(test_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
