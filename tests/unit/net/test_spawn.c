/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "harness.h"
#include "net/spawn.h"

struct ctx {
    struct bench bench;
    struct fed_child *child;
    int n_exited, status, signo;
    struct fed_buf out, errout;
};

static void on_exited(void *ud, int status, int signo, struct fed_str out, struct fed_str errout)
{
    struct ctx *c = ud;
    c->n_exited++;
    c->status = status;
    c->signo = signo;
    fed_buf_add(&c->out, out);
    fed_buf_add(&c->errout, errout);
}
static bool has_exited(void *ud)
{
    return ((struct ctx *)ud)->n_exited > 0;
}

static int setup(void **state)
{
    struct ctx *c = FED_NEW(struct ctx);
    c->bench.loop = fed_loop_new();
    *state = c;
    return 0;
}
static int teardown(void **state)
{
    struct ctx *c = *state;
    fed_loop_free(c->bench.loop);
    fed_buf_release(&c->out);
    fed_buf_release(&c->errout);
    free(c);
    return 0;
}

static int sh(struct ctx *c, const char *script, struct fed_spawn spec, struct fed_err *err)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    spec.file = "sh";
    spec.argv = argv;
    spec.exited = on_exited;
    spec.ud = c;
    return fed_spawn(c->bench.loop, &spec, &c->child, err);
}
static const struct fed_spawn collect = {.stdout_fd = -1, .stderr_fd = -1};

static void test_output_and_status(void **state)
{
    struct ctx *c = *state;
    struct fed_spawn spec = collect;
    static const char *const env[] = {"PATH=/usr/bin:/bin", "X=ok", NULL};
    spec.stdin_bytes = FED_STR("input\n");
    spec.envp = env;
    spec.cwd = "/tmp";
    assert_int_equal(sh(c, "cat; pwd; echo $X >&2; exit 7", spec, NULL), 0);
    assert_true(fed_child_pid(c->child) > 0);
    BENCH_RUN(&c->bench, has_exited, c);
    assert_int_equal(c->status, 7);
    assert_int_equal(c->signo, 0);
    assert_true(fed_str_is(fed_buf_str(&c->out), "input\n/tmp\n"));
    assert_true(fed_str_is(fed_buf_str(&c->errout), "ok\n"));
}

static void test_empty_stdin_and_bounds(void **state)
{
    struct ctx *c = *state;
    struct fed_spawn spec = collect;
    spec.max_output = 1000;
    assert_int_equal(sh(c, "cat; head -c 300000 /dev/zero", spec, NULL), 0);
    BENCH_RUN(&c->bench, has_exited, c);
    assert_int_equal(c->status, 0);
    assert_int_equal(c->out.n, 1000);
}

static void test_kill(void **state)
{
    struct ctx *c = *state;
    assert_int_equal(sh(c, "exec sleep 100", collect, NULL), 0);
    fed_child_kill(c->child, SIGTERM);
    BENCH_RUN(&c->bench, has_exited, c);
    assert_int_equal(c->signo, SIGTERM);
}

static void test_timeout(void **state)
{
    struct ctx *c = *state;
    struct fed_spawn spec = collect;
    spec.timeout_ms = 50;
    assert_int_equal(sh(c, "exec sleep 100", spec, NULL), 0);
    BENCH_RUN(&c->bench, has_exited, c);
    assert_int_equal(c->signo, SIGKILL);
}

static void test_cannot_start(void **state)
{
    struct ctx *c = *state;
    struct fed_err err;
    struct fed_spawn spec = collect;
    const char *argv[] = {"nothing", NULL};
    spec.file = "/nonexistent/nothing";
    spec.argv = argv;
    spec.exited = on_exited;
    spec.ud = c;
    assert_int_equal(fed_spawn(c->bench.loop, &spec, &c->child, &err), FED_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/nothing"));
    assert_int_equal(c->n_exited, 0);
}

static void test_grandchild_holds_the_pipe(void **state)
{
    struct ctx *c = *state;
    assert_int_equal(sh(c, "sleep 5 & echo $!", collect, NULL), 0);
    BENCH_RUN(&c->bench, has_exited, c);
    uint64_t pid = 0;
    assert_int_equal(fed_str_u64(fed_str_trim(fed_buf_str(&c->out)), &pid), 0);
    kill((pid_t)pid, SIGKILL);
}

static bool is_gone(void *ud)
{
    return kill(*(pid_t *)ud, 0) != 0 && errno == ESRCH;
}

static void test_forget(void **state)
{
    struct ctx *c = *state;
    struct fed_spawn spec = collect;
    spec.detached = true;
    spec.timeout_ms = 10;
    assert_int_equal(sh(c, "echo x; exec sleep 100", spec, NULL), 0);
    pid_t pid = fed_child_pid(c->child);
    assert_int_equal(getpgid(pid), pid);
    fed_child_forget(c->child);
    kill(pid, SIGKILL); /* reaped by the loop all the same */
    BENCH_RUN(&c->bench, is_gone, &pid);
    assert_int_equal(c->n_exited, 0);
}

static void test_loop_freed_first(void **state)
{
    struct ctx *c = *state;
    assert_int_equal(sh(c, "exec sleep 100", collect, NULL), 0);
    pid_t pid = fed_child_pid(c->child);
    fed_loop_free(c->bench.loop);
    c->bench.loop = NULL;
    assert_int_equal(c->n_exited, 0);
    assert_int_equal(kill(pid, SIGKILL), 0); /* it went on */
}

static void test_given_descriptor(void **state)
{
    struct ctx *c = *state;
    struct fed_spawn spec = collect;
    int fds[2];
    char got[8] = "";
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    spec.stdout_fd = fds[1];
    spec.stderr_fd = -2;
    assert_int_equal(sh(c, "printf out; echo lost >&2", spec, NULL), 0);
    close(fds[1]);
    BENCH_RUN(&c->bench, has_exited, c);
    assert_int_equal(read(fds[0], got, sizeof(got)), 3);
    assert_string_equal(got, "out");
    assert_int_equal(c->errout.n, 0);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_output_and_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_stdin_and_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cannot_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grandchild_holds_the_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loop_freed_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given_descriptor, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
