/* SPDX-License-Identifier: Apache-2.0 */
/* quantity_text.h: resource quantities ("100m", "1.5Gi", "1e3") as they are written. Pure. Source: the grammar of apimachinery's
 * resource.Quantity. What comes of the number (how it is rounded, how large it may be) is its readers' business. */
#ifndef FED_CODEC_QUANTITY_TEXT_H
#define FED_CODEC_QUANTITY_TEXT_H

#include "base/str.h"

struct fed_quantity_text {    /* digits * 10^exp10 * 2^exp2 */
    unsigned __int128 digits; /* at most some 2^104: further ones only count in the size, and make the last one odd */
    int exp10, exp2;
    bool negative;
    bool exponent; /* written with e or E and a number */
};

/* False: it is none, or longer than 256 bytes, or its exponent is beyond max_exp either way. */
bool fed_quantity_text_read(struct fed_str s, int max_exp, struct fed_quantity_text *out);

#endif
