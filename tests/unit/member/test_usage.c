/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "member/agent/usage.h"
#include "member/streams/streams.h"

static void a_line_of_proc(void **state)
{
    (void)state;
    struct mbr_process p;
    const char *text = "42 (a (b) c) S 7 42 40 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 55 99999 256 184467 1 1\n";
    assert_true(mbr_process_parse(fed_str(text), &p));
    assert_int_equal(p.pid, 42);
    assert_int_equal(p.parent, 7);
    assert_int_equal(p.session, 40);
    assert_int_equal(p.ticks, 124);
    assert_int_equal(p.pages, 256);
    assert_false(mbr_process_parse(FED_STR(""), &p));
    assert_false(mbr_process_parse(FED_STR("42 (x) S 1 2"), &p));
    assert_false(mbr_process_parse(FED_STR("x) S 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3"), &p));
}

static void processes_belong_to_containers(void **state)
{
    (void)state;
    struct mbr_process list[] = {
        {30, 20, 20, 4, 1},                       /* child */
        {20, 10, 20, 1, 2},                       /* the container */
        {40, 30, 40, 8, 4},                       /* grandchild with a session of its own */
        {50, 10, 20, 16, 8},                      /* orphan, adopted by the shim, in the container's session */
        {60, 10, 60, 32, 1},                      /* a command of exec */
        {10, 1, 10, 64, 1},                       /* the shim */
        {21, 10, 21, 128, 3},                     /* another container */
        {70, 71, 70, 1, 1},   {71, 70, 71, 1, 1}, /* a circle, of pids read at different times */
    };
    struct mbr_usage_sum sums[] = {{20, 0, 0}, {21, 0, 0}, {99, 0, 0}};
    mbr_usage_attribute(list, FED_ARRAY_LEN(list), sums, FED_ARRAY_LEN(sums));
    assert_int_equal(sums[0].ticks, 1 + 4 + 8 + 16);
    assert_int_equal(sums[0].pages, 2 + 1 + 4 + 8);
    assert_int_equal(sums[1].ticks, 128);
    assert_int_equal(sums[2].ticks, 0);
    mbr_usage_attribute(list, 0, sums, 0);
}

static void check_exit(bool with_json, int code, const char *failure, const char *want)
{
    struct fed_buf b = {0};
    mbr_exit_write(&b, with_json, code, failure);
    assert_string_equal(fed_buf_z(&b), want);
    fed_buf_release(&b);
}

static void what_the_error_channel_says(void **state)
{
    (void)state;
    check_exit(true, 0, NULL, "{\"metadata\":{},\"status\":\"Success\"}");
    check_exit(true, 3, NULL,
               "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code: exit "
               "status 3\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\","
               "\"message\":\"3\"}]}}");
    check_exit(
        true, 126, "exec: \"x\": no",
        "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: error executing command in "
        "container: exec: \\\"x\\\": no\",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":"
        "\"error executing command in container: exec: \\\"x\\\": no\"}]},\"code\":500}");
    check_exit(false, 0, NULL, "");
    check_exit(false, 2, NULL, "command terminated with non-zero exit code: exit status 2");
}

static void sizes_of_terminals(void **state)
{
    (void)state;
    unsigned short columns = 0, rows = 0;
    assert_true(mbr_size_parse(FED_STR("{\"Width\":80,\"Height\":24}"), &columns, &rows));
    assert_int_equal(columns, 80);
    assert_int_equal(rows, 24);
    assert_false(mbr_size_parse(FED_STR("{\"Width\":80}"), &columns, &rows));
    assert_false(mbr_size_parse(FED_STR("{\"Width\":80000,\"Height\":1}"), &columns, &rows));
    assert_false(mbr_size_parse(FED_STR("}"), &columns, &rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_proc),
        cmocka_unit_test(processes_belong_to_containers),
        cmocka_unit_test(what_the_error_channel_says),
        cmocka_unit_test(sizes_of_terminals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
