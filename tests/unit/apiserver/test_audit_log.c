/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's files: none takes the place of another. */
#include <dirent.h>
#include <stdlib.h>

#include "apiserver/audit.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/unit/unit.h"

enum { LINES = 12, LINE = 60 };

/* All lines of all files in the folder, each of which must be whole. */
static size_t count_lines(const char *dir, size_t *files)
{
    size_t lines = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        struct fed_buf text = {0};
        char *path = fed_asprintf("%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.') {
            assert_int_equal(fed_file_read(path, 4096, &text, NULL), 0);
            struct fed_str rest = fed_buf_str(&text), line;
            while (fed_str_cut(&rest, '\n', &line))
                lines += line.n == LINE;
            ++*files;
        }
        fed_buf_release(&text);
        free(path);
    }
    closedir(d);
    return lines;
}

/* Within one millisecond each line makes a file full: each is kept under a name of its own. */
static void full_files_of_one_moment(void **state)
{
    (void)state;
    char dir[] = "/tmp/hansa-audit-XXXXXX", line[LINE + 1];
    assert_non_null(mkdtemp(dir));
    struct fed_audit_log *log = NULL;
    struct fed_err err = {0};
    char *path = fed_asprintf("%s/audit.log", dir);
    memset(line, 'x', LINE);
    line[LINE] = 0;
    if (fed_audit_log_open(&(struct fed_audit_log_conf){.path = path, .max_bytes = 64}, &log, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < LINES; i++)
        fed_audit_log_put(log, fed_str(line), 1800000000000);
    fed_audit_log_close(log);
    size_t files = 0;
    assert_int_equal(count_lines(dir, &files), LINES);
    assert_int_equal(files, LINES);
    free(path);
    fed_file_remove_tree(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(full_files_of_one_moment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
