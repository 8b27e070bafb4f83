/* SPDX-License-Identifier: Apache-2.0 */
/* json_priv.h: what the files of the JSON tree share; not for other rooms. */
#ifndef FED_CODEC_JSON_PRIV_H
#define FED_CODEC_JSON_PRIV_H

#include <endian.h>

#include "codec/json.h"

#define FED_JSON_DEFAULT_BYTES (3u << 20)
#define FED_JSON_DEFAULT_DEPTH 100u
#define FED_JSON_DEFAULT_NODES 500000u

/* --- scanning eight bytes at a time: a byte of the result is marked (0x80) where the test holds; the marks below
 * and at the lowest true one are exact, those above it may be false (borrows run upwards) --- */
#define FED_ONES  0x0101010101010101u
#define FED_HIGHS 0x8080808080808080u

static inline uint64_t fed_load8(const char *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
    return le64toh(word);
}
/* Marks what a JSON string cannot hold plainly: quote, backslash, control bytes; and bytes beyond ASCII. */
static inline uint64_t fed_mark_special(uint64_t x)
{
    uint64_t quote = x ^ (FED_ONES * '"'), slash = x ^ (FED_ONES * '\\');
    return (((quote - FED_ONES) & ~quote) | ((slash - FED_ONES) & ~slash) | ((x - FED_ONES * 0x20) & ~x) | x) &
           FED_HIGHS;
}
static inline unsigned fed_first_mark(uint64_t marks)
{
    return (unsigned)__builtin_ctzll(marks) / 8;
}

/* Length of the well-formed UTF-8 sequence at p, whose first byte is beyond ASCII; 0 when it is not (RFC 3629:
 * shortest form, no surrogates, at most U+10FFFF). */
static inline size_t fed_utf8_len(const char *text, const char *end)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t room = (size_t)(end - text);
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        return room >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        if (room < 3 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80)
            return 0;
        return (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] >= 0xA0) ? 0 : 3;
    }
    if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        if (room < 4 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 || (p[3] & 0xC0) != 0x80)
            return 0;
        return (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] >= 0x90) ? 0 : 4;
    }
    return 0;
}

/* Of members with equal keys, unlinks the earlier ones (or the later ones, with keep_first); calls seen (may be NULL)
 * before each is unlinked. */
void fed_json_drop_duplicates(struct fed_json_index *scratch, struct fed_json *obj, bool keep_first,
                              void (*seen)(void *ud, struct fed_json *earlier, struct fed_json *later), void *ud);

/* Links child (unlinked) as the last one, without looking for its key. */
static inline void fed_json_append(struct fed_json *parent, struct fed_json *child)
{
    child->parent = parent;
    child->prev = parent->last;
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->n++;
}
/* Takes child out of its parent; its key and links stay as they were. */
static inline void fed_json_unlink(struct fed_json *child)
{
    struct fed_json *parent = child->parent;
    if (child->prev)
        child->prev->next = child->next;
    else
        parent->first = child->next;
    if (child->next)
        child->next->prev = child->prev;
    else
        parent->last = child->prev;
    parent->n--;
}

#endif
