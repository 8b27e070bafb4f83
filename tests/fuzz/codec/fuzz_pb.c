/* SPDX-License-Identifier: Apache-2.0 */
/* The reader ends, stays within the input, and what it read can be written and read again. */
#include <stdint.h>

#include "codec/pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct fed_str bytes, int depth)
{
    struct fed_pb_reader r, again;
    struct fed_pb_field f, g;
    fed_pb_reader_init(&r, bytes);
    while (fed_pb_next(&r, &f)) {
        struct fed_buf b = {0};
        FED_REQUIRE(f.number > 0);
        if (f.wire == 0)
            fed_pb_put_varint(&b, f.number, f.value);
        if (f.wire == 2) {
            FED_REQUIRE(f.data.n <= bytes.n);
            size_t mark = fed_pb_open(&b, f.number);
            fed_buf_add(&b, f.data);
            fed_pb_close(&b, mark);
            if (depth < 8)
                walk(f.data, depth + 1);
        }
        if (b.n) {
            fed_pb_reader_init(&again, fed_buf_str(&b));
            FED_REQUIRE(fed_pb_next(&again, &g) && g.number == f.number && g.wire == f.wire && g.value == f.value &&
                        fed_str_eq(g.data, f.data));
            FED_REQUIRE(!fed_pb_next(&again, &g) && !again.failed);
        }
        fed_buf_release(&b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    walk(fed_str_n((const char *)data, size), 0);
    return 0;
}
