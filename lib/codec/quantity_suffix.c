/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/quantity_suffix.h"

static const struct {
    const char *text;
    int exp10, exp2;
} table[] = {{"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0}, {"k", 3, 0},   {"M", 6, 0},
             {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0}, {"Ki", 0, 10}, {"Mi", 0, 20},
             {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60}};

bool fed_quantity_suffix_read(struct fed_str s, int max_exp, struct fed_quantity_suffix *out)
{
    int64_t e;
    *out = (struct fed_quantity_suffix){0};
    for (size_t i = 0; i < FED_ARRAY_LEN(table); i++) {
        if (fed_str_is(s, table[i].text)) {
            out->exp10 = table[i].exp10;
            out->exp2 = table[i].exp2;
            return true;
        }
    }
    if (s.n < 2 || (s.p[0] != 'e' && s.p[0] != 'E'))
        return false;
    s = fed_str_from(s, 1);
    bool plus = s.p[0] == '+';
    if (plus)
        s = fed_str_from(s, 1);
    if (s.n == 0 || (plus && s.p[0] == '-') || fed_str_i64(s, &e) != 0 || e > max_exp || e < -max_exp)
        return false;
    out->exp10 = (int)e;
    out->exponent = true;
    return true;
}
