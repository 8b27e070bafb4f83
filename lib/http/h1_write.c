/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1.h"

#include "http/chars.h"

void fed_h1_put_request_line(struct fed_buf *out, struct fed_str method, struct fed_str target)
{
    static const char tail[] = " HTTP/1.1\r\n";
    char *p = fed_buf_reserve(out, method.n + target.n + 1 + sizeof(tail) - 1);
    if (!p)
        return;
    memcpy(p, method.p, method.n);
    p += method.n;
    *p++ = ' ';
    for (size_t i = 0; i < target.n; i++) /* a blank would end the target early */
        *p++ = fed_char_is(target.p[i], FED_CHAR_TARGET) ? target.p[i] : '_';
    memcpy(p, tail, sizeof(tail) - 1);
    fed_buf_commit(out, method.n + target.n + 1 + sizeof(tail) - 1);
}

void fed_h1_put_status_line(struct fed_buf *out, int status)
{
    const char *reason = fed_http_reason(status);
    size_t n = strlen(reason);
    char *p = fed_buf_reserve(out, 9 + 4 + n + 2);
    if (!p)
        return;
    if (status < 100 || status > 999)
        status = 500;
    memcpy(p, "HTTP/1.1 ", 9);
    p[9] = (char)('0' + status / 100);
    p[10] = (char)('0' + status / 10 % 10);
    p[11] = (char)('0' + status % 10);
    p[12] = ' ';
    memcpy(p + 13, reason, n);
    memcpy(p + 13 + n, "\r\n", 2);
    fed_buf_commit(out, 13 + n + 2);
}

void fed_h1_put_known(struct fed_buf *out, struct fed_str name_colon, struct fed_str value)
{
    char *p = fed_buf_reserve(out, name_colon.n + value.n + 2);
    if (!p)
        return;
    memcpy(p, name_colon.p, name_colon.n);
    p += name_colon.n;
    if (value.n)
        memcpy(p, value.p, value.n);
    if (!fed_chars_text(p, value.n))
        for (size_t i = 0; i < value.n; i++)
            if (!fed_char_is(p[i], FED_CHAR_TEXT))
                p[i] = ' ';
    p += value.n;
    *p++ = '\r';
    *p = '\n';
    fed_buf_commit(out, name_colon.n + value.n + 2);
}

void fed_h1_put_header(struct fed_buf *out, struct fed_str name, struct fed_str value)
{
    if (name.n == 0 || !fed_chars_are(name.p, name.n, FED_CHAR_TOKEN))
        return;
    /* Together or not at all. */
    char *p = fed_buf_reserve(out, name.n + value.n + 4);
    if (!p)
        return;
    memcpy(p, name.p, name.n);
    fed_buf_commit(out, name.n);
    fed_h1_put_known(out, FED_STR(": "), value);
}

void fed_h1_put_header_u64(struct fed_buf *out, struct fed_str name, uint64_t value)
{
    char digits[20];
    size_t i = sizeof(digits);
    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    fed_h1_put_header(out, name, (struct fed_str){digits + i, sizeof(digits) - i});
}

void fed_h1_put_end(struct fed_buf *out)
{
    fed_buf_append(out, "\r\n", 2);
}

void fed_h1_put_chunk_head(struct fed_buf *out, size_t n)
{
    char hex[18];
    size_t i = sizeof(hex);
    hex[--i] = '\n';
    hex[--i] = '\r';
    do {
        hex[--i] = "0123456789abcdef"[n & 15];
        n >>= 4;
    } while (n);
    fed_buf_append(out, hex + i, sizeof(hex) - i);
}
