/* SPDX-License-Identifier: Apache-2.0 */
/* regex.h: regular expressions in RE2's syntax, in time linear in the text.
 *
 * Model:      an expression becomes a program of a few thousand instructions at most, which all possible places of the
 *             match step through together, one character of the text at a time (a Pike machine). The match that a
 *             backtracking engine would find first wins, as in RE2.
 * Bounds:     expression 4096 bytes, nesting 100, repetition 1000, program 10,000 instructions. `steps` counts what was
 *             done, and ends the search at *max_steps.
 * Failure:    FED_E_INVALID: RE2 refuses it too. FED_E_UNSUPPORTED: classes of Unicode (\p). FED_E_LIMIT.
 * Ownership:  in the arena. Threads: any, a compiled expression is read-only.
 */
#ifndef FED_CODEC_REGEX_H
#define FED_CODEC_REGEX_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct fed_regex;
FED_MUST_USE int fed_regex_compile(struct fed_arena *a, struct fed_str pattern, struct fed_regex **out,
                                   struct fed_err *err);
uint32_t fed_regex_size(const struct fed_regex *re); /* instructions */
/* The first match at or after `from`: 1 and [*start, *end), or 0; FED_E_LIMIT past max_steps. *steps is added to.
 * start and end may be NULL: only whether. */
FED_MUST_USE int fed_regex_find(const struct fed_regex *re, struct fed_str text, size_t from, size_t *start,
                                size_t *end, uint64_t *steps, uint64_t max_steps);

#endif
