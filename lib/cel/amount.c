/* SPDX-License-Identifier: Apache-2.0 */
/* amount.c: quantities compared. */
#include "cel/cel_priv.h"

/* Brings both to the smaller exponent, as far as there is room. */
void fed_cel_amount_align(struct fed_cel_amount *a, struct fed_cel_amount *b)
{
    struct fed_cel_amount *high = a->exp > b->exp ? a : b, *low = high == a ? b : a;

    if (!a->digits || !b->digits) {
        a->exp = b->exp = a->digits ? a->exp : b->exp;
        return;
    }
    for (; high->exp > low->exp && high->digits < FED_CEL_AMOUNT_HUGE && high->digits > -FED_CEL_AMOUNT_HUGE;
         high->exp--)
        high->digits *= 10;
    for (; high->exp > low->exp; low->exp++) /* what falls off is beyond 33 digits */
        low->digits /= 10;
}

int fed_cel_amount_compare(const struct fed_cel_amount *a, const struct fed_cel_amount *b)
{
    struct fed_cel_amount x = *a, y = *b;

    fed_cel_amount_align(&x, &y);
    return x.digits < y.digits ? -1 : x.digits > y.digits;
}
