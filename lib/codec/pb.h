/* SPDX-License-Identifier: Apache-2.0 */
/* pb.h: protobuf wire format (varint, fixed32/64, length-delimited; groups refused), reader with sticky error and
 * writer. No message knowledge: the tables live with the schemas (lib/kube). */
#ifndef FED_CODEC_PB_H
#define FED_CODEC_PB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct fed_pb_reader {
    const uint8_t *p, *end;
    bool failed; /* truncated, overlong varint, bad field number, or a group */
};
struct fed_pb_field {
    uint32_t number;
    uint8_t wire;        /* 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
    uint64_t value;      /* wire 0, 1, 5 */
    struct fed_str data; /* wire 2, borrowed */
};
void fed_pb_reader_init(struct fed_pb_reader *r, struct fed_str bytes);
/* True and *f filled, or false at the end or on damage (then r->failed). */
bool fed_pb_next(struct fed_pb_reader *r, struct fed_pb_field *f);

void fed_pb_put_varint(struct fed_buf *b, uint32_t field, uint64_t v);
void fed_pb_put_bytes(struct fed_buf *b, uint32_t field, struct fed_str data);
/* Nested message: open returns a mark, close writes the length in place. */
size_t fed_pb_open(struct fed_buf *b, uint32_t field);
void fed_pb_close(struct fed_buf *b, size_t mark);

#endif
