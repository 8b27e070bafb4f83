/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a client behind the preface; a server that answers, streams, resets. Each stream that began is closed once. */
#include <stdint.h>

#include "http/h2.h"

struct server {
    struct fed_arena arena;
    int open, n;
};

static struct fed_arena *on_begin(void *ud, struct fed_h2_stream *s)
{
    struct server *v = ud;
    (void)s;
    if (v->n++ % 7 == 6)
        return NULL;
    v->open++;
    return &v->arena;
}
static void on_head(void *ud, struct fed_h2_stream *s, const struct fed_h2_request *r)
{
    (void)ud;
    FED_REQUIRE(r->n_headers <= FED_H2_MAX_HEADERS);
    if (r->too_large)
        fed_h2_reset(s, FED_H2_CANCEL);
}
static void on_data(void *ud, struct fed_h2_stream *s, struct fed_str bytes)
{
    (void)ud;
    fed_h2_consume(s, bytes.n);
}
static void on_end(void *ud, struct fed_h2_stream *s)
{
    struct server *v = ud;
    static const struct fed_http_header f[] = {{FED_STR_INIT("X-A"), FED_STR_INIT("b")}};
    fed_h2_respond(s, 200, f, 1, v->n % 3 == 0);
    if (v->n % 3 == 0)
        return;
    fed_h2_write(s, FED_STR("some bytes of a body"));
    if (v->n % 3 == 1)
        fed_h2_finish(s);
}
static void on_drained(void *ud, struct fed_h2_stream *s)
{
    (void)ud;
    fed_h2_finish(s);
}
static void on_closed(void *ud, struct fed_h2_stream *s)
{
    (void)s;
    ((struct server *)ud)->open--;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fed_h2_handlers handlers = {on_begin, on_head, on_data, on_end, on_drained, on_closed};
    struct server v = {.open = 0};
    struct fed_h2 *h = fed_h2_new(&(struct fed_h2_conf){.handlers = &handlers, .ud = &v, .max_streams = 10});
    struct fed_buf out = {.max = 0};
    int rc = fed_h2_recv(h, FED_STR(FED_H2_PREFACE), 1);
    for (size_t at = 0; at < size && rc == 0; at += 100) {
        rc = fed_h2_recv(h, fed_str_n((const char *)data + at, FED_MIN(size - at, (size_t)100)), 1);
        if (fed_h2_send(h, &out, 1 << 20) != 0)
            break;
        fed_buf_reset(&out);
    }
    fed_h2_free(h);
    FED_REQUIRE(v.open == 0);
    fed_buf_release(&out);
    fed_arena_release(&v.arena);
    return 0;
}
