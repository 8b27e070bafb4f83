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

/* Eight bytes at a time, as one number. */
#define FED_CHARS_ONES  0x0101010101010101u
#define FED_CHARS_HIGHS 0x8080808080808080u
static inline uint64_t fed_chars_load(const char *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}
/* Not 0: some byte may be below `least` (at most 0x80), or c. May be wrong that way only: look closer. */
static inline uint64_t fed_chars_below(uint64_t w, uint64_t least)
{
    return (w - FED_CHARS_ONES * least) & ~w & FED_CHARS_HIGHS;
}
static inline uint64_t fed_chars_equal(uint64_t w, uint64_t c)
{
    w ^= FED_CHARS_ONES * c;
    return (w - FED_CHARS_ONES) & ~w & FED_CHARS_HIGHS;
}
static inline bool fed_chars_are(const char *p, size_t n, unsigned class)
{
    for (size_t i = 0; i < n; i++)
        if (!fed_char_is(p[i], class))
            return false;
    return true;
}
/* All bytes are FED_CHAR_TEXT. */
static inline bool fed_chars_text(const char *p, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w = fed_chars_load(p + i);
        if ((fed_chars_below(w, 0x20) | fed_chars_equal(w, 0x7f)) && !fed_chars_are(p + i, 8, FED_CHAR_TEXT))
            return false; /* a tab is fine */
    }
    return fed_chars_are(p + i, n - i, FED_CHAR_TEXT);
}
/* All bytes are FED_CHAR_TARGET. */
static inline bool fed_chars_target(const char *p, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w = fed_chars_load(p + i);
        if ((fed_chars_below(w, 0x21) | fed_chars_equal(w, 0x7f) | fed_chars_equal(w, '#')) &&
            !fed_chars_are(p + i, 8, FED_CHAR_TARGET))
            return false;
    }
    return fed_chars_are(p + i, n - i, FED_CHAR_TARGET);
}

#endif
