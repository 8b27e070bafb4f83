/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/yaml_priv.h"

#include <math.h>

#include "base/mem.h"

#define MAX_NUMBER 400 /* longer text is no number: an integer of that size has no use, and a string keeps it */

struct word {
    const char *text;
    enum fed_json_type type;
    bool boolean, no_json;
};

static const struct word words[] = {
    {"~", FED_JSON_NULL, false, false},      {"null", FED_JSON_NULL, false, false},
    {"Null", FED_JSON_NULL, false, false},   {"NULL", FED_JSON_NULL, false, false},
    {"true", FED_JSON_BOOL, true, false},    {"True", FED_JSON_BOOL, true, false},
    {"TRUE", FED_JSON_BOOL, true, false},    {"yes", FED_JSON_BOOL, true, false},
    {"Yes", FED_JSON_BOOL, true, false},     {"YES", FED_JSON_BOOL, true, false},
    {"y", FED_JSON_BOOL, true, false},       {"Y", FED_JSON_BOOL, true, false},
    {"on", FED_JSON_BOOL, true, false},      {"On", FED_JSON_BOOL, true, false},
    {"ON", FED_JSON_BOOL, true, false},      {"false", FED_JSON_BOOL, false, false},
    {"False", FED_JSON_BOOL, false, false},  {"FALSE", FED_JSON_BOOL, false, false},
    {"no", FED_JSON_BOOL, false, false},     {"No", FED_JSON_BOOL, false, false},
    {"NO", FED_JSON_BOOL, false, false},     {"n", FED_JSON_BOOL, false, false},
    {"N", FED_JSON_BOOL, false, false},      {"off", FED_JSON_BOOL, false, false},
    {"Off", FED_JSON_BOOL, false, false},    {"OFF", FED_JSON_BOOL, false, false},
    {".nan", FED_JSON_NUMBER, false, true},  {".NaN", FED_JSON_NUMBER, false, true},
    {".NAN", FED_JSON_NUMBER, false, true},  {".inf", FED_JSON_NUMBER, false, true},
    {".Inf", FED_JSON_NUMBER, false, true},  {".INF", FED_JSON_NUMBER, false, true},
    {"+.inf", FED_JSON_NUMBER, false, true}, {"+.Inf", FED_JSON_NUMBER, false, true},
    {"+.INF", FED_JSON_NUMBER, false, true}, {"-.inf", FED_JSON_NUMBER, false, true},
    {"-.Inf", FED_JSON_NUMBER, false, true}, {"-.INF", FED_JSON_NUMBER, false, true},
};

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 99;
}

/* Integers that are not decimal: 0x1f, 0b101, 0o17 and the old octal 017. z is without sign. */
static bool based_int(const char *z, bool minus, char out[32])
{
    unsigned base = 0;
    if (z[0] != '0' || z[1] == '\0')
        return false;
    switch (z[1]) {
    case 'x':
    case 'X':
        base = 16;
        break;
    case 'b':
    case 'B':
        base = 2;
        break;
    case 'o':
    case 'O':
        base = 8;
        break;
    default:
        break;
    }
    const char *p = z + (base ? 2 : 1);
    uint64_t v = 0;
    if (!base)
        base = 8;
    if (*p == '\0')
        return false;
    for (; *p; p++) {
        unsigned d = (unsigned)digit_of(*p);
        if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
            return false;
    }
    if (minus && v > (uint64_t)INT64_MAX + 1)
        return false;
    snprintf(out, 32, "%s%llu", minus && v ? "-" : "", (unsigned long long)v);
    return true;
}

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Decimal integers and floats, "5", ".5", "5.", "05.50e3", into a JSON number. z is without sign. out has room for
 * the text and three bytes more. */
static bool decimal(const char *z, bool minus, char *out)
{
    const char *frac = skip_digits(z), *exp = frac;
    size_t ints = (size_t)(frac - z), fracs = 0;
    if (*frac == '.') {
        exp = skip_digits(++frac);
        fracs = (size_t)(exp - frac);
    }
    if (ints + fracs == 0)
        return false;
    const char *end = exp;
    if (*end == 'e' || *end == 'E') {
        end++;
        end += *end == '+' || *end == '-';
        const char *after = skip_digits(end);
        if (after == end)
            return false;
        end = after;
    }
    if (*end)
        return false;
    for (; ints > 1 && *z == '0'; ints--)
        z++;
    if (minus)
        *out++ = '-';
    if (ints == 0)
        *out++ = '0';
    memcpy(out, z, ints);
    out += ints;
    if (fracs) {
        *out++ = '.';
        memcpy(out, frac, fracs);
        out += fracs;
    }
    memcpy(out, exp, strlen(exp) + 1);
    return true;
}

static bool number(struct fed_arena *a, struct fed_str text, struct fed_yaml_scalar *out)
{
    char plain[MAX_NUMBER + 1], made[MAX_NUMBER + 32];
    size_t n = 0;
    char c = text.p[0];
    if (text.n > MAX_NUMBER || !(c == '+' || c == '-' || c == '.' || (c >= '0' && c <= '9')))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\0')
            return false;
        if (text.p[i] != '_')
            plain[n++] = text.p[i];
    }
    plain[n] = '\0';
    bool minus = c == '-';
    const char *z = plain + (minus || c == '+');
    if (!based_int(z, minus, made) && !decimal(z, minus, made))
        return false;
    if (!isfinite(strtod(made, NULL))) /* 1e999: a string, as in Go */
        return false;
    out->type = FED_JSON_NUMBER;
    if (a)
        out->number = fed_str_eq(fed_str(made), text) ? text : fed_arena_dup(a, fed_str(made));
    return true;
}

struct fed_yaml_scalar fed_yaml_resolve(struct fed_arena *a, struct fed_str text)
{
    struct fed_yaml_scalar out = {.type = FED_JSON_STRING};
    if (text.n == 0) {
        out.type = FED_JSON_NULL;
        return out;
    }
    if (text.n <= 5)
        for (size_t i = 0; i < FED_ARRAY_LEN(words); i++)
            if (fed_str_is(text, words[i].text)) {
                out.type = words[i].type;
                out.boolean = words[i].boolean;
                out.no_json = words[i].no_json;
                return out;
            }
    number(a, text, &out);
    return out;
}
