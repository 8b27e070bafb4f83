/* SPDX-License-Identifier: Apache-2.0 */
/* chars.h: classes of bytes in HTTP and URLs, by one table. Private to lib/http. */
#ifndef FED_HTTP_CHARS_H
#define FED_HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    FED_CHAR_TOKEN = 1,      /* RFC 9110 tchar */
    FED_CHAR_TARGET = 2,     /* request target: no controls, blanks, '#'; bytes >= 0x80 as some clients send them */
    FED_CHAR_TEXT = 4,       /* field value: tab, space, visible, >= 0x80 */
    FED_CHAR_HOST = 8,       /* reg-name: unreserved, '%', sub-delims */
    FED_CHAR_UNRESERVED = 16 /* RFC 3986 */
};
extern const uint8_t fed_chars[256];
extern const int8_t fed_chars_hex[256]; /* value of a hex digit or -1 */

static inline bool fed_char_is(char c, unsigned class)
{
    return fed_chars[(uint8_t)c] & class;
}
static inline bool fed_char_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline char fed_char_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* All bytes are FED_CHAR_TEXT; eight at a time. */
static inline bool fed_chars_text(const char *p, size_t n)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w;
        memcpy(&w, p + i, 8);
        uint64_t del = w ^ (ones * 0x7f);
        /* Some byte below 0x20, or equal to 0x7f: look closer, as a tab is fine. */
        if ((((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & highs) {
            for (size_t k = i; k < i + 8; k++)
                if (!fed_char_is(p[k], FED_CHAR_TEXT))
                    return false;
        }
    }
    for (; i < n; i++)
        if (!fed_char_is(p[i], FED_CHAR_TEXT))
            return false;
    return true;
}

#endif
