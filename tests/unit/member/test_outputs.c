/* SPDX-License-Identifier: Apache-2.0 */
/* What a command wrote reaches its client in order and whole. */
#include <fcntl.h>
#include <unistd.h>

#include "../net/harness.h"
#include "member/streams/outputs.h"

struct client {
    struct bench b;
    struct mbr_outputs outputs;
    struct fed_buf got; /* the pieces, "1:" or "2:" before each */
    size_t n_out, n_err, backlog;
    bool slow; /* does not take anything */
    int ended;
};

static size_t backlog(void *ud)
{
    struct client *c = ud;
    return c->slow ? c->backlog : 0;
}

static void bytes(void *ud, bool is_err, struct fed_str piece)
{
    struct client *c = ud;
    *(is_err ? &c->n_err : &c->n_out) += piece.n;
    c->backlog += piece.n;
    fed_buf_addz(&c->got, is_err ? "2:" : "1:");
    fed_buf_add(&c->got, fed_str_head(piece, 16));
    fed_buf_addc(&c->got, ' ');
}

static void ended(void *ud)
{
    struct client *c = ud;
    c->ended++;
    mbr_outputs_release(&c->outputs);
}

static bool is_over(void *ud)
{
    const struct client *c = ud;
    return c->ended > 0;
}

static bool has_bytes(void *ud)
{
    const struct client *c = ud;
    return c->got.n > 0;
}

static const struct mbr_outputs_events events = {backlog, bytes, ended};

/* Both pipes are watched, the output first, as exec makes them. theirs: what the command would write to. */
static void setup(struct client *c, int theirs[2])
{
    int fds[2];
    *c = (struct client){.b.loop = fed_loop_new()};
    mbr_outputs_init(&c->outputs, c->b.loop, &events, c);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        theirs[i] = fds[1];
        mbr_outputs_watch(&c->outputs, i == 1, fds[0]);
    }
}

static void teardown(struct client *c)
{
    mbr_outputs_release(&c->outputs);
    fed_loop_free(c->b.loop);
    fed_buf_release(&c->got);
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* tar of a file that is not there complains, then writes an empty archive: kubectl leaves at the archive's end. */
static void the_error_goes_before_what_was_written_after_it(void **state)
{
    struct client c;
    int theirs[2];
    (void)state;
    setup(&c, theirs);
    say(theirs[1], "complaint");
    say(theirs[0], "archive");
    BENCH_RUN(&c.b, has_bytes, &c);
    assert_string_equal(fed_buf_z(&c.got), "2:complaint 1:archive ");
    close(theirs[0]);
    close(theirs[1]);
    mbr_outputs_command_ended(&c.outputs);
    assert_int_equal(c.ended, 1);
    teardown(&c);
}

/* The end of the command overtakes its output on the way from the shim. */
static void the_end_waits_for_all_bytes(void **state)
{
    struct client c;
    int theirs[2];
    (void)state;
    setup(&c, theirs);
    say(theirs[1], "complaint");
    say(theirs[0], "archive");
    close(theirs[0]);
    close(theirs[1]);
    mbr_outputs_command_ended(&c.outputs);
    assert_string_equal(fed_buf_z(&c.got), "2:complaint 1:archive ");
    assert_int_equal(c.ended, 1);
    teardown(&c);
}

static void the_end_waits_for_a_slow_client(void **state)
{
    static char block[60000];
    struct client c;
    int theirs[2];
    (void)state;
    setup(&c, theirs);
    c.slow = true;
    c.backlog = MBR_OUTPUTS_BACKLOG + 1;
    assert_int_equal(write(theirs[0], block, sizeof(block)), sizeof(block));
    say(theirs[1], "complaint");
    close(theirs[0]);
    close(theirs[1]);
    mbr_outputs_command_ended(&c.outputs);
    assert_int_equal(c.ended, 0);
    assert_int_equal(c.got.n, 0);
    c.backlog = 0; /* it reads */
    mbr_outputs_go_on(&c.outputs);
    assert_int_equal(c.ended, 1);
    assert_int_equal(c.n_out, sizeof(block));
    assert_int_equal(c.n_err, 9);
    teardown(&c);
}

/* `sh -c 'sleep 100 & echo x'`: the sleeper keeps the pipes open. */
static void what_outlives_the_command_is_not_waited_for(void **state)
{
    struct client c;
    int theirs[2];
    (void)state;
    setup(&c, theirs);
    say(theirs[0], "x");
    mbr_outputs_command_ended(&c.outputs);
    assert_int_equal(c.ended, 1);
    assert_string_equal(fed_buf_z(&c.got), "1:x ");
    close(theirs[0]);
    close(theirs[1]);
    teardown(&c);
}

static void nothing_ends_before_the_command(void **state)
{
    struct client c;
    int theirs[2];
    (void)state;
    setup(&c, theirs);
    close(theirs[1]);
    close(theirs[0]);
    mbr_outputs_go_on(&c.outputs);
    assert_int_equal(c.ended, 0);
    mbr_outputs_command_ended(&c.outputs);
    BENCH_RUN(&c.b, is_over, &c);
    assert_int_equal(c.ended, 1);
    teardown(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_error_goes_before_what_was_written_after_it),
        cmocka_unit_test(the_end_waits_for_all_bytes),
        cmocka_unit_test(the_end_waits_for_a_slow_client),
        cmocka_unit_test(what_outlives_the_command_is_not_waited_for),
        cmocka_unit_test(nothing_ends_before_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
