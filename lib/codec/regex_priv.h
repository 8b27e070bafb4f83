/* SPDX-License-Identifier: Apache-2.0 */
/* regex_priv.h: the compiled form of a regular expression, between regex_compile.c and regex.c. */
#ifndef FED_CODEC_REGEX_PRIV_H
#define FED_CODEC_REGEX_PRIV_H

#include "codec/regex.h"

enum fed_regex_op {
    FED_REGEX_CHAR,  /* x: the character */
    FED_REGEX_ANY,   /* also a line break */
    FED_REGEX_LINE,  /* any but a line break */
    FED_REGEX_CLASS, /* ranges */
    FED_REGEX_JUMP,  /* to x */
    FED_REGEX_SPLIT, /* x first, else y */
    FED_REGEX_TEXT_START,
    FED_REGEX_TEXT_END,
    FED_REGEX_LINE_START,
    FED_REGEX_LINE_END,
    FED_REGEX_WORD, /* a border of a word */
    FED_REGEX_NO_WORD,
    FED_REGEX_MATCH
};
struct fed_regex_range {
    uint32_t lo, hi;
};
struct fed_regex_ins {
    uint8_t op;
    bool negated; /* CLASS */
    uint32_t x, y;
    const struct fed_regex_range *ranges;
    uint32_t n_ranges;
};
struct fed_regex {
    struct fed_regex_ins *ins;
    uint32_t n;
    bool anchored; /* begins at the start of the text */
};

#endif
