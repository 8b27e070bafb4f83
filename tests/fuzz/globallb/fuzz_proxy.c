/* SPDX-License-Identifier: Apache-2.0 */
/* A request and an answer, read from the input, rewritten as the balancer passes them on, must read back as one message
 * each with the same framing and without what concerns one connection only. First byte: options; then two heads. */
#include <stdlib.h>

#include "base/def.h"
#include "globallb/proxy/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(struct fed_str in, unsigned options)
{
    static struct fed_h1_head h, again;
    struct fed_buf out = {0};
    fed_h1_init(&h);
    if (fed_h1_parse_request(&h, in) <= 0 || h.method_id == FED_H1_CONNECT)
        return;
    struct glb_from from = {FED_STR("192.0.2.1"), options & 1, options & 2, options & 4, "0123456789abcdef"};
    glb_rewrite_request(&out, &h, &from);
    fed_buf_addz(&out, "\r\n");
    fed_h1_init(&again);
    int n = fed_h1_parse_request(&again, fed_buf_str(&out));
    /* Fields of ours may go over what one head may hold. */
    if (again.status != 431) {
        FED_REQUIRE(n == (int)out.n || (h.host.n == 0 && n < 0));
        FED_REQUIRE(n < 0 || (again.framing == h.framing && again.content_length == h.content_length));
        FED_REQUIRE(n < 0 || fed_str_eq(again.method, h.method));
        FED_REQUIRE(n < 0 || !glb_find_field(&again, FED_STR(GLB_HOP)).p);
    }
    fed_buf_release(&out);
}

static void check_response(struct fed_str in)
{
    static struct fed_h1_head h, again;
    struct fed_buf out = {0};
    fed_h1_init(&h);
    if (fed_h1_parse_response(&h, in, FED_H1_GET) <= 0 || h.framing == FED_H1_BODY_TUNNEL || h.response_status < 200)
        return;
    struct glb_to to = {.close = h.framing == FED_H1_BODY_CLOSE};
    glb_rewrite_response(&out, &h, h.framing, &to);
    fed_h1_init(&again);
    int n = fed_h1_parse_response(&again, fed_buf_str(&out), FED_H1_GET);
    if (n > 0) {
        FED_REQUIRE(n == (int)out.n && again.framing == h.framing && again.content_length == h.content_length);
        FED_REQUIRE(again.response_status == h.response_status);
    } else {
        FED_REQUIRE(again.n_headers >= FED_H1_MAX_HEADERS - 4 || out.n > FED_H1_MAX_HEAD - 128);
    }
    fed_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct fed_str in = fed_str_n((const char *)data + 1, size - 1);
    ptrdiff_t end = fed_str_find(in, FED_STR("\r\n\r\n"), 0);
    check_request(in, data[0]);
    check_response(end < 0 ? in : fed_str_from(in, (size_t)end + 4));
    check_response(in);
    return 0;
}
