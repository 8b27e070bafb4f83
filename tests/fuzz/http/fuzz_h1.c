/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and responses: no crash, and the same result however the bytes are cut. The first byte chooses. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/h1.h"

struct outcome {
    int rc, status, body_rc;
    size_t n_headers, body, used;
    uint64_t hash;
};

static int parse(struct fed_h1_head *h, struct fed_str bytes, int kind)
{
    return kind & 1 ? fed_h1_parse_response(h, bytes, (enum fed_h1_method)(kind >> 1 & 15))
                    : fed_h1_parse_request(h, bytes);
}

static struct outcome run(struct fed_str text, int kind, size_t step)
{
    struct outcome o = {0};
    struct fed_h1_head *h = fed_malloc(sizeof(*h));
    fed_h1_init(h);
    size_t n = 0;
    do {
        n = FED_MIN(n + step, text.n);
        o.rc = parse(h, fed_str_head(text, n), kind);
    } while (o.rc == 0 && n < text.n);
    o.status = h->status;
    if (o.rc > 0) {
        o.n_headers = h->n_headers;
        for (size_t i = 0; i < h->n_headers; i++) {
            o.hash = fed_str_hash(h->headers[i].name, o.hash);
            o.hash = fed_str_hash(h->headers[i].value, o.hash + fed_h1_is_hop(h, i));
        }
        o.hash = fed_str_hash(h->path, fed_str_hash(h->host, o.hash)) + h->keep_alive;
        struct fed_h1_body b;
        fed_h1_body_init(&b, h->framing, h->content_length);
        o.used = (size_t)o.rc;
        while (o.body_rc >= 0 && o.body_rc != FED_H1_END && o.used < text.n) {
            struct fed_str in = fed_str_head(fed_str_from(text, o.used), step), data;
            size_t before = in.n;
            while ((o.body_rc = fed_h1_body_next(&b, &in, &data)) == FED_H1_DATA) {
                o.body += data.n;
                for (size_t i = 0; i < data.n; i++)
                    o.hash = o.hash * 31 + (uint8_t)data.p[i];
            }
            o.used += before - in.n;
        }
    }
    free(h);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct fed_str text = {(const char *)data + 1, size - 1};
    struct outcome whole = run(text, data[0], text.n);
    static const size_t steps[] = {1, 3, 64};
    for (size_t i = 0; i < FED_ARRAY_LEN(steps); i++) {
        struct outcome cut = run(text, data[0], steps[i]);
        FED_REQUIRE(cut.rc == whole.rc && cut.status == whole.status && cut.n_headers == whole.n_headers);
        FED_REQUIRE(cut.body_rc == whole.body_rc && cut.used == whole.used);
        FED_REQUIRE(whole.body_rc < 0 || (cut.body == whole.body && cut.hash == whole.hash));
    }
    return 0;
}
