/* SPDX-License-Identifier: Apache-2.0 */
/* harness.h: a loop that runs until a condition holds, and an end of a stream that records what happens to it. */
#ifndef TESTS_UNIT_NET_HARNESS_H
#define TESTS_UNIT_NET_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/stream.h"

struct bench {
    struct fed_loop *loop;
    struct fed_timer limit, poll;
    bool (*until)(void *ud);
    void *ud;
    bool timed_out;
};

static inline void bench_on_limit(struct fed_timer *t)
{
    struct bench *b = fed_container_of(t, struct bench, limit);
    b->timed_out = true;
    fed_loop_stop(b->loop);
}
static inline void bench_on_poll(struct fed_timer *t)
{
    struct bench *b = fed_container_of(t, struct bench, poll);
    if (b->until(b->ud))
        fed_loop_stop(b->loop);
    else
        fed_timer_start(fed_loop_env(b->loop), t, 1, bench_on_poll);
}
/* Runs the loop until the condition holds; fails the test after ten seconds. */
#define BENCH_RUN(b, cond, arg)                                                                                        \
    do {                                                                                                               \
        bench_run(b, cond, arg);                                                                                       \
        assert_false((b)->timed_out);                                                                                  \
    } while (0)
static inline void bench_run(struct bench *b, bool (*until)(void *ud), void *ud)
{
    struct fed_env *env = fed_loop_env(b->loop);
    b->until = until;
    b->ud = ud;
    b->timed_out = false;
    if (until(ud))
        return;
    fed_timer_start(env, &b->limit, 20000, bench_on_limit);
    fed_timer_start(env, &b->poll, 0, bench_on_poll);
    fed_loop_run(b->loop);
    fed_timer_stop(env, &b->limit);
    fed_timer_stop(env, &b->poll);
}

struct end {              /* one end of a stream */
    struct fed_stream *s; /* NULL after end */
    struct fed_buf got;   /* bytes, unless count_only */
    size_t n_got;
    uint64_t hash; /* of all bytes, order matters */
    bool count_only, echo, opened;
    int n_eof, n_end, n_drained, code;
    char text[512];
    size_t to_send; /* bulk bytes still to write */
    struct fed_blob *bulk;
};

static inline void end_send_bulk(struct end *e)
{
    while (e->s && e->to_send > 0 && fed_stream_backlog(e->s) < 1 << 20) {
        size_t n = fed_blob_str(e->bulk).n;
        fed_stream_write_blob(e->s, e->bulk);
        e->to_send -= n;
        if (e->to_send == 0)
            fed_stream_shutdown(e->s);
    }
}
static inline void end_on_open(void *ud, struct fed_stream *s)
{
    struct end *e = ud;
    e->s = s;
    e->opened = true;
    end_send_bulk(e);
}
static inline void end_on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct end *e = ud;
    e->n_got += bytes.n;
    if (e->echo)
        fed_stream_write(s, bytes);
    if (!e->count_only)
        fed_buf_add(&e->got, bytes);
}
static inline void end_on_eof(void *ud, struct fed_stream *s)
{
    struct end *e = ud;
    e->n_eof++;
    if (e->echo)
        fed_stream_shutdown(s);
}
static inline void end_on_drained(void *ud, struct fed_stream *s)
{
    struct end *e = ud;
    (void)s;
    e->n_drained++;
    end_send_bulk(e);
}
static inline void end_on_end(void *ud, int code, const struct fed_err *err)
{
    struct end *e = ud;
    e->n_end++;
    e->code = code;
    e->s = NULL;
    if (err)
        snprintf(e->text, sizeof(e->text), "%s", err->text);
}
static const struct fed_stream_handlers end_handlers = {end_on_open, end_on_data, end_on_eof, end_on_drained,
                                                        end_on_end};

static inline bool end_is_open(void *ud)
{
    return ((struct end *)ud)->opened || ((struct end *)ud)->n_end > 0;
}
static inline bool end_has_ended(void *ud)
{
    return ((struct end *)ud)->n_end > 0;
}
static inline void end_release(struct end *e)
{
    fed_buf_release(&e->got);
    fed_blob_unref(e->bulk);
    *e = (struct end){0};
}

#endif
