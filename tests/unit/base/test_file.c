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

static void removes_a_tree_and_no_more(void **state)
{
    char dir[] = "/tmp/hansa-test-file-XXXXXX", inside[64], kept[64], path[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(kept, sizeof(kept), "%s/kept", dir);
    snprintf(inside, sizeof(inside), "%s/tree/a/b", dir);
    assert_int_equal(fed_file_mkdirs(kept, 0700, NULL), 0);
    assert_int_equal(fed_file_mkdirs(inside, 0700, NULL), 0);
    snprintf(path, sizeof(path), "%s/tree/file", dir);
    assert_int_equal(fed_file_write_atomic(path, FED_STR("x"), 0600, NULL), 0);
    snprintf(path, sizeof(path), "%s/tree/link", dir);
    assert_int_equal(symlink(kept, path), 0);
    snprintf(path, sizeof(path), "%s/tree", dir);
    fed_file_remove_tree(path);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(access(kept, F_OK), 0); /* the link went, not what it led to */
    fed_file_remove_tree(dir);
    assert_int_not_equal(access(dir, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_into_what_has_room_for_it),
        cmocka_unit_test(removes_a_tree_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
