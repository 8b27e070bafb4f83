/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1.h"

#include "http/chars.h"

enum {
    S_SIZE_FIRST, /* a chunk line begins: a hex digit must follow */
    S_SIZE,
    S_EXTENSION,
    S_SIZE_LF,
    S_DATA,
    S_DATA_CR,
    S_DATA_LF,
    S_TRAILER_FIRST, /* a trailer line begins, or the last CR */
    S_TRAILER_NAME,
    S_TRAILER_VALUE,
    S_TRAILER_LF,
    S_LAST_LF,
    S_DONE,
};

void fed_h1_body_init(struct fed_h1_body *b, enum fed_h1_framing framing, uint64_t content_length)
{
    *b = (struct fed_h1_body){.framing = (uint8_t)framing, .state = S_DATA};
    if (framing == FED_H1_BODY_LENGTH)
        b->left = content_length;
    else if (framing == FED_H1_BODY_CHUNKED)
        b->state = S_SIZE_FIRST;
    if (framing == FED_H1_BODY_NONE || (framing == FED_H1_BODY_LENGTH && content_length == 0))
        b->state = S_DONE;
}

/* As much of *in as belongs to the running piece of body. */
static void take_data(struct fed_h1_body *b, struct fed_str *in, struct fed_str *data)
{
    size_t n = b->left < in->n ? (size_t)b->left : in->n;
    *data = (struct fed_str){in->p, n};
    *in = fed_str_from(*in, n);
    b->left -= n;
}

static int count_line(struct fed_h1_body *b, unsigned max)
{
    return ++b->line > max ? FED_E_LIMIT : 0;
}

static int size_digit(struct fed_h1_body *b, char c)
{
    int v = fed_chars_hex[(uint8_t)c];
    if (v < 0 || b->left >> 56)
        return FED_E_SYNTAX;
    b->left = b->left << 4 | (uint64_t)v;
    b->state = S_SIZE;
    return count_line(b, FED_H1_MAX_CHUNK_LINE);
}

static int expect(struct fed_h1_body *b, char c, char want, int next)
{
    b->state = (uint8_t)next;
    return c == want ? 0 : FED_E_SYNTAX;
}

static int trailer_byte(struct fed_h1_body *b, char c)
{
    int rc = count_line(b, FED_H1_MAX_TRAILERS);
    if (rc)
        return rc;
    switch (b->state) {
    case S_TRAILER_FIRST:
        b->state = c == '\r' ? S_LAST_LF : S_TRAILER_NAME;
        return c == '\r' || fed_char_is(c, FED_CHAR_TOKEN) ? 0 : FED_E_SYNTAX;
    case S_TRAILER_NAME:
        if (c == ':')
            b->state = S_TRAILER_VALUE;
        return c == ':' || fed_char_is(c, FED_CHAR_TOKEN) ? 0 : FED_E_SYNTAX;
    default: /* S_TRAILER_VALUE */
        if (c == '\r')
            b->state = S_TRAILER_LF;
        return c == '\r' || fed_char_is(c, FED_CHAR_TEXT) ? 0 : FED_E_SYNTAX;
    }
}

static void begin_chunk(struct fed_h1_body *b)
{
    b->line = 0;
    b->state = b->left ? S_DATA : S_TRAILER_FIRST;
}

/* One byte of framing. */
static int framing_byte(struct fed_h1_body *b, char c)
{
    int rc;
    switch (b->state) {
    case S_SIZE_FIRST:
        return size_digit(b, c);
    case S_SIZE:
        if (c == '\r')
            b->state = S_SIZE_LF;
        else if (c == ';')
            b->state = S_EXTENSION;
        else
            return size_digit(b, c);
        return 0;
    case S_EXTENSION:
        if (c == '\r')
            b->state = S_SIZE_LF;
        else if (!fed_char_is(c, FED_CHAR_TEXT))
            return FED_E_SYNTAX;
        return count_line(b, FED_H1_MAX_CHUNK_LINE);
    case S_SIZE_LF:
        rc = expect(b, c, '\n', S_SIZE_LF);
        if (rc == 0)
            begin_chunk(b);
        return rc;
    case S_DATA_CR:
        return expect(b, c, '\r', S_DATA_LF);
    case S_DATA_LF:
        b->line = 0;
        return expect(b, c, '\n', S_SIZE_FIRST);
    case S_TRAILER_LF:
        return expect(b, c, '\n', S_TRAILER_FIRST);
    case S_LAST_LF:
        return expect(b, c, '\n', S_DONE);
    default:
        return trailer_byte(b, c);
    }
}

static int chunked_next(struct fed_h1_body *b, struct fed_str *in, struct fed_str *data)
{
    while (b->state != S_DONE) {
        if (in->n == 0)
            return FED_H1_MORE;
        if (b->state == S_DATA) {
            take_data(b, in, data);
            if (b->left == 0)
                b->state = S_DATA_CR;
            return FED_H1_DATA;
        }
        int rc = framing_byte(b, in->p[0]);
        if (rc)
            return rc;
        *in = fed_str_from(*in, 1);
    }
    return FED_H1_END;
}

int fed_h1_body_next(struct fed_h1_body *b, struct fed_str *in, struct fed_str *data)
{
    *data = (struct fed_str){NULL, 0};
    if (b->state == S_DONE)
        return FED_H1_END;
    if (b->framing == FED_H1_BODY_CHUNKED)
        return chunked_next(b, in, data);
    if (in->n == 0)
        return FED_H1_MORE;
    if (b->framing == FED_H1_BODY_LENGTH) {
        take_data(b, in, data);
        if (b->left == 0)
            b->state = S_DONE;
        return FED_H1_DATA;
    }
    *data = *in; /* until the connection ends */
    *in = fed_str_from(*in, in->n);
    return FED_H1_DATA;
}

int fed_h1_body_eof(const struct fed_h1_body *b)
{
    bool open_ended = b->framing == FED_H1_BODY_CLOSE || b->framing == FED_H1_BODY_TUNNEL;
    return b->state == S_DONE || open_ended ? 0 : FED_E_END;
}
