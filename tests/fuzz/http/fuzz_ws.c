/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in any cut, and what was decoded encodes to frames that decode to the same. The first byte chooses the side. */
#include <stdint.h>

#include "http/ws.h"

static void decode(struct fed_buf *out, struct fed_str text, size_t step, bool from_client)
{
    struct fed_ws ws;
    struct fed_ws_event ev;
    int rc = 0;
    fed_ws_init(&ws, from_client, 4096);
    for (size_t at = 0; at < text.n && rc >= 0; at += step) {
        struct fed_str in = fed_str_head(fed_str_from(text, at), step);
        while ((rc = fed_ws_next(&ws, &in, &ev)) == 1) {
            if (ev.op == FED_WS_CLOSE && ev.code != 1005)
                fed_ws_put_close(out, ev.code, ev.payload, NULL);
            else
                fed_ws_put(out, ev.op, ev.payload, NULL);
        }
    }
    fed_ws_release(&ws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct fed_str text = {(const char *)data + 1, size - 1};
    struct fed_buf whole = {.max = 0}, bytewise = {.max = 0}, again = {.max = 0};
    decode(&whole, text, text.n, data[0] & 1);
    decode(&bytewise, text, 1, data[0] & 1);
    FED_REQUIRE(fed_str_eq(fed_buf_str(&whole), fed_buf_str(&bytewise)));
    decode(&again, fed_buf_str(&whole), whole.n + 1, false);
    FED_REQUIRE(fed_str_eq(fed_buf_str(&whole), fed_buf_str(&again)));
    fed_buf_release(&whole);
    fed_buf_release(&bytewise);
    fed_buf_release(&again);
    return 0;
}
