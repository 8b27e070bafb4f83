/* SPDX-License-Identifier: Apache-2.0 */
/* regex_priv.h: the compiled form of a regular expression, between regex_compile.c and regex.c. */
#ifndef FED_CEL_REGEX_PRIV_H
#define FED_CEL_REGEX_PRIV_H

#include "cel/regex.h"

enum fed_cel_regex_op {
    FED_CEL_R_CHAR,  /* x: the character */
    FED_CEL_R_ANY,   /* also a line break */
    FED_CEL_R_LINE,  /* any but a line break */
    FED_CEL_R_CLASS, /* ranges */
    FED_CEL_R_JUMP,  /* to x */
    FED_CEL_R_SPLIT, /* x first, else y */
    FED_CEL_R_TEXT_START,
    FED_CEL_R_TEXT_END,
    FED_CEL_R_LINE_START,
    FED_CEL_R_LINE_END,
    FED_CEL_R_WORD, /* a border of a word */
    FED_CEL_R_NO_WORD,
    FED_CEL_R_MATCH
};
struct fed_cel_regex_range {
    uint32_t lo, hi;
};
struct fed_cel_regex_ins {
    uint8_t op;
    bool negated; /* CLASS */
    uint32_t x, y;
    const struct fed_cel_regex_range *ranges;
    uint32_t n_ranges;
};
struct fed_cel_regex {
    struct fed_cel_regex_ins *ins;
    uint32_t n;
    bool anchored; /* begins at the start of the text */
};

#endif
