/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/quantity_text.h"

enum { MAX_TEXT = 256 };

static const struct {
    const char *text;
    int exp10, exp2;
} table[] = {{"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0}, {"k", 3, 0},   {"M", 6, 0},
             {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0}, {"Ki", 0, 10}, {"Mi", 0, 20},
             {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60}};

/* "", "m", "Ki", "e3", "E-5" */
static bool read_suffix(struct fed_str s, int max_exp, struct fed_quantity_text *out)
{
    int64_t e;
    for (size_t i = 0; i < FED_ARRAY_LEN(table); i++) {
        if (fed_str_is(s, table[i].text)) {
            out->exp10 += table[i].exp10;
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
    out->exp10 += (int)e;
    out->exponent = true;
    return true;
}

bool fed_quantity_text_read(struct fed_str s, int max_exp, struct fed_quantity_text *out)
{
    bool point = false, any = false;
    size_t i = 0;
    *out = (struct fed_quantity_text){0};
    if (s.n > MAX_TEXT)
        return false;
    if (s.n && (s.p[0] == '+' || s.p[0] == '-'))
        out->negative = s.p[i++] == '-';
    for (; i < s.n; i++) {
        if (s.p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (s.p[i] < '0' || s.p[i] > '9')
            break;
        any = true;
        if (out->digits > ((unsigned __int128)1 << 100)) { /* more digits than count */
            out->exp10 += !point;
            out->digits |= s.p[i] != '0';
            continue;
        }
        out->digits = out->digits * 10 + (unsigned)(s.p[i] - '0');
        out->exp10 -= point;
    }
    return any && read_suffix(fed_str_from(s, i), max_exp, out);
}
