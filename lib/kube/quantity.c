/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/quantity.h"

#include "codec/quantity_text.h"

enum { MAX_EXP = 1000 };

static const unsigned __int128 limit = (unsigned __int128)1 << 120;

/* The value without sign times 10^shift, rounded up when it is not whole; limit or more when it is too large. */
static unsigned __int128 magnitude(struct fed_quantity_text q, int shift)
{
    unsigned __int128 v = q.digits;
    bool rest = false;
    int e = q.exp10 + shift;
    /* Down first would lose what the binary factor keeps: multiply while there is room. */
    for (int i = 0; i < q.exp2 && v && v < limit; i++) {
        v *= 2;
        for (; e < 0 && v >= limit / 2; e++) {
            rest = rest || v % 10 != 0;
            v /= 10;
        }
    }
    for (; e > 0 && v && v < limit / 10; e--)
        v *= 10;
    for (; e < 0 && v; e++) {
        rest = rest || v % 10 != 0;
        v /= 10;
    }
    if (e > 0 && v)
        v = limit;
    return rest ? v + 1 : v;
}

/* The value times 10^shift, away from zero, saturated. */
static int64_t scaled(struct fed_quantity_text q, int shift)
{
    unsigned __int128 v = magnitude(q, shift);
    if (v > (unsigned __int128)INT64_MAX)
        return q.negative ? INT64_MIN : INT64_MAX;
    return q.negative ? -(int64_t)v : (int64_t)v;
}

int fed_quantity_milli(struct fed_str s, int64_t *milli)
{
    struct fed_quantity_text q;
    int code = fed_quantity_text_read(s, MAX_EXP, &q) ? 0 : FED_E_SYNTAX;
    *milli = code ? 0 : scaled(q, 3);
    return code;
}

int fed_quantity_units(struct fed_str s, int64_t *units)
{
    struct fed_quantity_text q;
    int code = fed_quantity_text_read(s, MAX_EXP, &q) ? 0 : FED_E_SYNTAX;
    *units = code ? 0 : scaled(q, 0);
    return code;
}

static void add_number(struct fed_buf *out, unsigned __int128 v)
{
    char digits[40];
    size_t n = sizeof(digits);
    do
        digits[--n] = (char)('0' + (int)(v % 10));
    while (v /= 10);
    fed_buf_add(out, (struct fed_str){digits + n, sizeof(digits) - n});
}

int fed_quantity_canonical(struct fed_str s, struct fed_buf *out)
{
    static const char *const binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    static const char *const decimal[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
    const unsigned __int128 one = 1000000000; /* nanos: nothing is finer */
    struct fed_quantity_text q;
    int power = 0;
    if (!fed_quantity_text_read(s, MAX_EXP, &q))
        return FED_E_SYNTAX;
    unsigned __int128 v = magnitude(q, 9);
    if (v >= limit)
        return FED_E_LIMIT;
    if (v && q.negative)
        fed_buf_addc(out, '-');
    if (q.exp2 && v >= 1024 * one) {
        for (v = (v + one - 1) / one; v % 1024 == 0 && power < 6; power++)
            v /= 1024;
        add_number(out, v);
        fed_buf_addz(out, binary[power]);
        return 0;
    }
    for (; v && v % 1000 == 0 && power < 9; power++)
        v /= 1000;
    add_number(out, v);
    if (v && q.exponent && power != 3)
        fed_buf_addf(out, "e%d", 3 * power - 9);
    else if (v && !q.exponent)
        fed_buf_addz(out, decimal[power]);
    return 0;
}

void fed_quantity_format_milli(struct fed_buf *out, int64_t milli)
{
    char text[32];
    snprintf(text, sizeof(text), "%lldm", (long long)milli);
    (void)!fed_quantity_canonical(fed_str(text), out);
}
