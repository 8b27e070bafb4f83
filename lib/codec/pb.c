/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pb.h"

#include <endian.h>

#define MAX_FIELD ((1u << 29) - 1)

void fed_pb_reader_init(struct fed_pb_reader *r, struct fed_str bytes)
{
    const char *p = bytes.n ? bytes.p : "";
    r->p = (const uint8_t *)p;
    r->end = r->p + bytes.n;
    r->failed = false;
}

static uint64_t take_varint(struct fed_pb_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; r->p < r->end && shift < 70; shift += 7) {
        uint8_t byte = *r->p++;
        if (shift == 63 && byte > 1) /* bits past 64 */
            break;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return v;
    }
    r->failed = true;
    return 0;
}

static const uint8_t *take_bytes(struct fed_pb_reader *r, uint64_t n)
{
    if (n > (uint64_t)(r->end - r->p)) {
        r->failed = true;
        return r->p;
    }
    const uint8_t *at = r->p;
    r->p += n;
    return at;
}

static void take_value(struct fed_pb_reader *r, struct fed_pb_field *f)
{
    const uint8_t *at;
    uint64_t n;
    switch (f->wire) {
    case 0:
        f->value = take_varint(r);
        return;
    case 1:
        at = take_bytes(r, 8);
        if (!r->failed)
            memcpy(&f->value, at, 8);
        f->value = le64toh(f->value);
        return;
    case 2:
        n = take_varint(r);
        at = take_bytes(r, n);
        if (!r->failed)
            f->data = fed_str_n((const char *)at, (size_t)n);
        return;
    case 5: {
        uint32_t word = 0;
        at = take_bytes(r, 4);
        if (!r->failed)
            memcpy(&word, at, 4);
        f->value = le32toh(word);
        return;
    }
    default: /* groups (3, 4), which Kubernetes never sends, and nonsense (6, 7) */
        r->failed = true;
    }
}

bool fed_pb_next(struct fed_pb_reader *r, struct fed_pb_field *f)
{
    *f = (struct fed_pb_field){0};
    if (r->failed || r->p == r->end)
        return false;
    uint64_t tag = take_varint(r);
    if (tag >> 3 == 0 || tag >> 3 > MAX_FIELD)
        r->failed = true;
    f->number = (uint32_t)(tag >> 3);
    f->wire = tag & 7;
    if (!r->failed)
        take_value(r, f);
    return !r->failed;
}

static size_t encode_varint(char out[10], uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (char)(v | 0x80);
    out[n++] = (char)v;
    return n;
}

static void add_varint(struct fed_buf *b, uint64_t v)
{
    char text[10];
    fed_buf_append(b, text, encode_varint(text, v));
}

void fed_pb_put_varint(struct fed_buf *b, uint32_t field, uint64_t v)
{
    add_varint(b, (uint64_t)field << 3);
    add_varint(b, v);
}

void fed_pb_put_bytes(struct fed_buf *b, uint32_t field, struct fed_str data)
{
    add_varint(b, (uint64_t)field << 3 | 2);
    add_varint(b, data.n);
    fed_buf_add(b, data);
}

size_t fed_pb_open(struct fed_buf *b, uint32_t field)
{
    add_varint(b, (uint64_t)field << 3 | 2);
    size_t mark = b->n;
    fed_buf_addc(b, '\0'); /* the length, when it is short; else the content moves up */
    return mark;
}

void fed_pb_close(struct fed_buf *b, size_t mark)
{
    char text[10];
    if (b->failed)
        return;
    size_t n = b->n - mark - 1;
    size_t width = encode_varint(text, n);
    if (width > 1) {
        if (!fed_buf_reserve(b, width - 1))
            return;
        memmove(b->p + mark + width, b->p + mark + 1, n);
        fed_buf_commit(b, width - 1);
    }
    memcpy(b->p + mark, text, width);
}
