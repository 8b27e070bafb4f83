/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: what fits is read into a buffer that has room for it and no more; what does not is refused. */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "base/file.h"

static void reads_into_what_has_room_for_it(void **state)
{
    char path[] = "/tmp/hansa-test-file-XXXXXX";
    struct fed_err err = {0};
    struct fed_buf b;
    (void)state;
    close(mkstemp(path));
    assert_int_equal(fed_file_write_atomic(path, FED_STR("127.151.64.19"), 0600, &err), 0);
    fed_buf_init(&b, 64);
    assert_int_equal(fed_file_read(path, 64, &b, &err), 0);
    assert_true(fed_str_is(fed_buf_str(&b), "127.151.64.19"));
    fed_buf_release(&b);
    fed_buf_init(&b, 13);
    assert_int_equal(fed_file_read(path, 13, &b, &err), 0);
    fed_buf_release(&b);
    fed_buf_init(&b, 13);
    assert_int_equal(fed_file_read(path, 12, &b, &err), FED_E_LIMIT);
    fed_buf_release(&b);
    fed_buf_init(&b, 12);
    assert_int_equal(fed_file_read(path, 64, &b, &err), FED_E_LIMIT);
    fed_buf_release(&b);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_into_what_has_room_for_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
