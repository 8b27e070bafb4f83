/* SPDX-License-Identifier: Apache-2.0 */
/* quantity_suffix.h: what stands behind the number of a resource quantity. Pure. Source: apimachinery resource.Quantity. */
#ifndef FED_CODEC_QUANTITY_SUFFIX_H
#define FED_CODEC_QUANTITY_SUFFIX_H

#include "base/str.h"

struct fed_quantity_suffix {
    int exp10, exp2; /* the number is times 10^exp10 * 2^exp2 */
    bool exponent;   /* written with e or E and a number */
};

/* Reads "", "m", "Ki", "e3", "E-5". False: it is none, or its exponent is beyond max_exp either way. */
bool fed_quantity_suffix_read(struct fed_str s, int max_exp, struct fed_quantity_suffix *out);

#endif
