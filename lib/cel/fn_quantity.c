/* SPDX-License-Identifier: Apache-2.0 */
/* fn_quantity.c: Kubernetes' quantities ("100m", "1Gi") as exact decimal numbers. */
#include <math.h>

#include "cel/cel_priv.h"
#include "codec/quantity_text.h"

enum { MAX_TEXT = 100, MAX_EXP = 60 };

static void trim(struct fed_cel_amount *q)
{
    for (; q->digits && q->digits % 10 == 0; q->exp++)
        q->digits /= 10;
    if (!q->digits)
        q->exp = 0;
}

static bool read_quantity(struct fed_str s, struct fed_cel_amount *q)
{
    struct fed_quantity_text text;

    *q = (struct fed_cel_amount){0};
    if (s.n > MAX_TEXT || !fed_quantity_text_read(s, MAX_EXP, &text))
        return false;
    *q = (struct fed_cel_amount){.digits = (__int128)text.digits, .exp = text.exp10};
    trim(q);
    for (int e = text.exp2; e > 0 && q->digits; e--) {
        for (; q->digits > FED_CEL_AMOUNT_HUGE; q->exp++) /* lose the last digits rather than the size */
            q->digits /= 10;
        q->digits *= 2;
    }
    for (; q->digits > FED_CEL_AMOUNT_HUGE; q->exp++)
        q->digits /= 10;
    if (text.negative)
        q->digits = -q->digits;
    trim(q);
    return true;
}

static struct fed_cel_value made(struct fed_cel_run *r, struct fed_cel_amount q)
{
    struct fed_cel_amount *kept = FED_ARENA_NEW(&r->arena, struct fed_cel_amount);

    for (; q.digits > FED_CEL_AMOUNT_HUGE || q.digits < -FED_CEL_AMOUNT_HUGE; q.exp++)
        q.digits /= 10;
    trim(&q);
    *kept = q;
    return (struct fed_cel_value){.kind = FED_CEL_QUANTITY, .amount = kept};
}

static bool whole(const struct fed_cel_amount *q, int64_t *out)
{
    __int128 v = q->digits;

    if (q->exp < 0)
        return false;
    for (int e = q->exp; e > 0 && v < FED_CEL_AMOUNT_HUGE && v > -FED_CEL_AMOUNT_HUGE; e--)
        v *= 10;
    *out = (int64_t)v;
    return v >= INT64_MIN && v <= INT64_MAX;
}

FED_CEL_FN(fn_is_quantity)
{
    struct fed_cel_amount q;

    *out = fed_cel_bool(read_quantity(a[0].s, &q));
    return true;
}

FED_CEL_FN(fn_quantity)
{
    struct fed_cel_amount q;

    if (!read_quantity(a[0].s, &q))
        return fed_cel_fail(r, "quantities must match the regular expression "
                               "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
    *out = made(r, q);
    return true;
}

FED_CEL_FN(fn_sign)
{
    __int128 d = a[0].amount->digits;

    *out = fed_cel_int(d < 0 ? -1 : d > 0);
    return true;
}

FED_CEL_FN(fn_is_integer)
{
    int64_t i;

    *out = fed_cel_bool(whole(a[0].amount, &i));
    return true;
}

FED_CEL_FN(fn_as_integer)
{
    int64_t i;

    if (!whole(a[0].amount, &i))
        return fed_cel_fail(r, "cannot convert value to integer");
    *out = fed_cel_int(i);
    return true;
}

FED_CEL_FN(fn_as_float)
{
    *out = fed_cel_double((double)a[0].amount->digits * pow(10, a[0].amount->exp));
    return true;
}

static bool sum(struct fed_cel_run *r, const struct fed_cel_value *a, int sign, struct fed_cel_value *out)
{
    struct fed_cel_amount x = *a[0].amount, y = {.digits = a[1].i};

    if (a[1].kind == FED_CEL_QUANTITY)
        y = *a[1].amount;
    fed_cel_amount_align(&x, &y);
    x.digits += sign * y.digits;
    *out = made(r, x);
    return true;
}

FED_CEL_FN(fn_add)
{
    return sum(r, a, 1, out);
}

FED_CEL_FN(fn_sub)
{
    return sum(r, a, -1, out);
}

FED_CEL_FN(fn_compare)
{
    *out = fed_cel_int(fed_cel_amount_compare(a[0].amount, a[1].amount));
    return true;
}

FED_CEL_FN(fn_less)
{
    *out = fed_cel_bool(fed_cel_amount_compare(a[0].amount, a[1].amount) < 0);
    return true;
}

FED_CEL_FN(fn_greater)
{
    *out = fed_cel_bool(fed_cel_amount_compare(a[0].amount, a[1].amount) > 0);
    return true;
}

const struct fed_cel_function fed_cel_quantity_functions[] = {
    {"isQuantity", false, "s:b", fn_is_quantity, FED_CEL_COST_TEXT},
    {"quantity", false, "s:Q", fn_quantity, FED_CEL_COST_TEXT},
    {"sign", true, "Q:i", fn_sign, FED_CEL_COST_ONE},
    {"isInteger", true, "Q:b", fn_is_integer, FED_CEL_COST_ONE},
    {"asInteger", true, "Q:i", fn_as_integer, FED_CEL_COST_ONE},
    {"asApproximateFloat", true, "Q:d", fn_as_float, FED_CEL_COST_ONE},
    {"add", true, "QQ:Q", fn_add, FED_CEL_COST_ONE},
    {"add", true, "Qi:Q", fn_add, FED_CEL_COST_ONE},
    {"sub", true, "QQ:Q", fn_sub, FED_CEL_COST_ONE},
    {"sub", true, "Qi:Q", fn_sub, FED_CEL_COST_ONE},
    {"compareTo", true, "QQ:i", fn_compare, FED_CEL_COST_ONE},
    {"isLessThan", true, "QQ:b", fn_less, FED_CEL_COST_ONE},
    {"isGreaterThan", true, "QQ:b", fn_greater, FED_CEL_COST_ONE},
    {NULL, false, NULL, NULL, FED_CEL_COST_ONE},
};
