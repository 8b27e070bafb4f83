/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.h: patterns of schemas (RE2 syntax, as Kubernetes reads them) compiled as POSIX extended expressions.
 *
 * Model:      the expression is translated: escapes such as \d, groups such as (?: and sets such as [\w\-] are written in
 *             the words of POSIX. What an expression may cost to compile is bounded.
 * Failure:    FED_E_INVALID: RE2 would refuse it too. FED_E_UNSUPPORTED: valid, but we cannot evaluate it (\p{L}, flags
 *             in the middle). FED_E_LIMIT: too long, or its repetitions multiply to too much.
 * Threads:    any; a compiled expression is read-only.
 */
#ifndef FED_KUBE_PATTERN_H
#define FED_KUBE_PATTERN_H

#include <regex.h>

#include "base/err.h"
#include "base/str.h"

/* After 0 the caller calls regfree(out). */
FED_MUST_USE int fed_pattern_compile(struct fed_str pattern, regex_t *out, struct fed_err *err);

#endif
