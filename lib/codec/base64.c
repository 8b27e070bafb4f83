/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct fed_buf *out, struct fed_str bytes, const char *digits, bool pad)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t left = bytes.n, tail = left % 3;
    size_t n = left / 3 * 4 + (tail == 0 ? 0 : pad ? 4 : tail + 1);
    char *o = fed_buf_reserve(out, n);
    if (!o)
        return;
    for (; left >= 3; left -= 3, p += 3) {
        *o++ = digits[p[0] >> 2];
        *o++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
        *o++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
        *o++ = digits[p[2] & 63];
    }
    if (tail) {
        unsigned second = tail == 2 ? p[1] : 0;
        *o++ = digits[p[0] >> 2];
        *o++ = digits[(p[0] & 3) << 4 | second >> 4];
        if (tail == 2)
            *o++ = digits[(second & 15) << 2];
        else if (pad)
            *o++ = '=';
        if (pad)
            *o++ = '=';
    }
    fed_buf_commit(out, n);
}

void fed_base64_encode(struct fed_buf *out, struct fed_str bytes)
{
    encode(out, bytes, standard, true);
}

void fed_base64url_encode(struct fed_buf *out, struct fed_str bytes)
{
    encode(out, bytes, url_safe, false);
}

static int value_of(char c, const char *digits)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == digits[62] ? 62 : c == digits[63] ? 63 : -1;
}

/* text has no padding. Bits behind the last byte must be 0: one value, one text (tokens are compared and logged). */
static int decode(struct fed_arena *a, struct fed_str text, const char *digits, struct fed_str *out)
{
    if (text.n % 4 == 1)
        return FED_E_SYNTAX;
    size_t n = text.n / 4 * 3 + text.n % 4 * 3 / 4;
    char *bytes = fed_arena_alloc(a, n + 1), *o = bytes;
    unsigned acc = 0, bits = 0;
    for (size_t i = 0; i < text.n; i++) {
        int v = value_of(text.p[i], digits);
        if (v < 0)
            return FED_E_SYNTAX;
        acc = (acc << 6 | (unsigned)v) & 0xFFFF;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *o++ = (char)(acc >> bits);
        }
    }
    if (acc & ((1u << bits) - 1))
        return FED_E_SYNTAX;
    *o = '\0';
    *out = fed_str_n(bytes, n);
    return 0;
}

int fed_base64_decode(struct fed_arena *a, struct fed_str text, struct fed_str *out)
{
    if (text.n % 4 != 0)
        return FED_E_SYNTAX;
    for (int i = 0; i < 2 && text.n && text.p[text.n - 1] == '='; i++)
        text.n--;
    return decode(a, text, standard, out);
}

int fed_base64url_decode(struct fed_arena *a, struct fed_str text, struct fed_str *out)
{
    return decode(a, text, url_safe, out);
}
