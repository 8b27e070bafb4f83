/* SPDX-License-Identifier: Apache-2.0 */
/* A SPDY session in any cut: the same events; every stream that began ends. */
#include <stdint.h>

#include "http/spdy.h"

struct session {
    struct fed_spdy *s;
    uint64_t seen;
    size_t open;
};

static bool opened(void *ud, uint32_t id, const struct fed_http_header *fields, size_t n)
{
    struct session *x = ud;
    for (size_t i = 0; i < n; i++)
        x->seen = x->seen * 31 + fields[i].name.n * 7 + fields[i].value.n;
    x->seen = x->seen * 31 + id;
    x->open++;
    if (id % 7 == 0) {
        x->open--;
        return false;
    }
    return true;
}
static void data(void *ud, uint32_t id, struct fed_str bytes)
{
    struct session *x = ud;
    for (size_t i = 0; i < bytes.n; i++)
        x->seen = x->seen * 31 + (uint8_t)bytes.p[i];
    fed_spdy_write(x->s, id, bytes);
}
static void eof(void *ud, uint32_t id)
{
    struct session *x = ud;
    x->seen = x->seen * 31 + id + 1000;
    if (fed_spdy_finish(x->s, id))
        x->open--;
}
static void gone(void *ud, uint32_t id, bool reset)
{
    struct session *x = ud;
    x->seen = x->seen * 31 + id + 2000 + reset;
    x->open--;
}

static uint64_t run(struct fed_str text, size_t step)
{
    static const struct fed_spdy_handlers handlers = {opened, data, eof, gone};
    struct session x = {0};
    int rc = 0;
    x.s = fed_spdy_new(&(struct fed_spdy_conf){&handlers, &x, 8});
    for (size_t at = 0; at < text.n && rc == 0; at += step) {
        rc = fed_spdy_recv(x.s, fed_str_head(fed_str_from(text, at), step));
        fed_buf_reset(fed_spdy_output(x.s));
    }
    FED_REQUIRE(x.open == fed_spdy_streams(x.s));
    uint64_t seen = x.seen;
    fed_spdy_free(x.s);
    FED_REQUIRE(x.open == 0);
    return seen * 31 + (rc == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data_in, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data_in, size_t size)
{
    struct fed_str text = {(const char *)data_in, size};
    uint64_t whole = run(text, size + 1);
    FED_REQUIRE(run(text, 1) == whole);
    FED_REQUIRE(run(text, 7) == whole);
    return 0;
}
