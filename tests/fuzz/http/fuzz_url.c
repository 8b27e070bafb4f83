/* SPDX-License-Identifier: Apache-2.0 */
/* URLs, escapes (what encodes, decodes to the same), queries, gzip. */
#include <stdint.h>

#include "http/gzip.h"
#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str text = {(const char *)data, size}, back;
    struct fed_arena a = {0};
    struct fed_url u;
    struct fed_query q;
    struct fed_err err;
    if (fed_url_parse(text, &u, &err) == 0)
        FED_REQUIRE(u.host.n > 0 && (u.path.n == 0 || u.path.p[0] == '/'));
    if (fed_query_parse(&a, text, &q, &err) == 0)
        FED_REQUIRE(q.n <= 256);
    struct fed_buf b = {.max = 0};
    fed_url_encode(&b, text);
    if (!memchr(size ? (const char *)data : "", 0, size))
        FED_REQUIRE(fed_url_decode(&a, fed_buf_str(&b), true, &back) == 0 && fed_str_eq(back, text));
    fed_buf_release(&b);
    fed_buf_init(&b, 65536);
    if (fed_gzip_decode(text, &b) == 0)
        FED_REQUIRE(b.n <= 65536);
    fed_buf_release(&b);
    fed_arena_release(&a);
    return 0;
}
