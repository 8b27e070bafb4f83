/* SPDX-License-Identifier: Apache-2.0 */
/* fn_core.c: functions of the language itself: sizes, types and conversions. */
#include "cel/cel_priv.h"

/* --- sizes and types --- */

FED_CEL_FN(fn_size)
{
    size_t size = a[0].kind == FED_CEL_STRING  ? fed_cel_utf8_length(a[0].s)
                  : a[0].kind == FED_CEL_BYTES ? a[0].s.n
                                               : fed_cel_size(&a[0]);

    *out = fed_cel_int((int64_t)size);
    return a[0].kind != FED_CEL_STRING || fed_cel_pay(r, fed_cel_text_cost(a[0].s.n));
}

FED_CEL_FN(fn_type)
{
    *out = (struct fed_cel_value){.kind = FED_CEL_TYPE, .s = fed_str(fed_cel_kind_name((enum fed_cel_kind)a[0].kind))};
    return true;
}

FED_CEL_FN(fn_same)
{
    *out = a[0];
    return true;
}

/* --- conversions --- */

static bool no_conversion(struct fed_cel_run *r, const struct fed_cel_value *v, const char *to)
{
    return fed_cel_fail(r, "type conversion error from '%s' to '%s'", fed_cel_kind_name((enum fed_cel_kind)v->kind),
                        to);
}

FED_CEL_FN(fn_int)
{
    int64_t i;

    switch (a[0].kind) {
    case FED_CEL_UINT:
        *out = fed_cel_int((int64_t)a[0].u);
        return a[0].u <= INT64_MAX || fed_cel_fail(r, "integer overflow");
    case FED_CEL_DOUBLE:
        if (!(a[0].d > -9223372036854775808.0 && a[0].d < 9223372036854775808.0))
            return fed_cel_fail(r, "integer overflow");
        *out = fed_cel_int((int64_t)a[0].d);
        return true;
    case FED_CEL_STRING:
        if (fed_str_i64(a[0].s.n && a[0].s.p[0] == '+' ? fed_str_from(a[0].s, 1) : a[0].s, &i))
            return no_conversion(r, &a[0], "int");
        *out = fed_cel_int(i);
        return true;
    default: /* a timestamp */
        *out = fed_cel_int(a[0].i);
        return true;
    }
}

FED_CEL_FN(fn_uint)
{
    uint64_t u = 0;

    switch (a[0].kind) {
    case FED_CEL_INT:
        if (a[0].i < 0)
            return fed_cel_fail(r, "unsigned integer overflow");
        u = (uint64_t)a[0].i;
        break;
    case FED_CEL_DOUBLE:
        if (!(a[0].d >= 0 && a[0].d < 18446744073709551616.0))
            return fed_cel_fail(r, "unsigned integer overflow");
        u = (uint64_t)a[0].d;
        break;
    default:
        if (fed_str_u64(a[0].s, &u))
            return no_conversion(r, &a[0], "uint");
    }
    *out = (struct fed_cel_value){.kind = FED_CEL_UINT, .u = u};
    return true;
}

FED_CEL_FN(fn_double)
{
    char text[400], *end;

    if (a[0].kind == FED_CEL_INT) {
        *out = fed_cel_double((double)a[0].i);
        return true;
    }
    if (a[0].kind == FED_CEL_UINT) {
        *out = fed_cel_double((double)a[0].u);
        return true;
    }
    if (!a[0].s.n || a[0].s.n >= sizeof(text) || a[0].s.p[0] == ' ' || a[0].s.p[0] == '\t')
        return no_conversion(r, &a[0], "double");
    memcpy(text, a[0].s.p, a[0].s.n);
    text[a[0].s.n] = 0;
    *out = fed_cel_double(strtod(text, &end));
    return end == text + a[0].s.n || no_conversion(r, &a[0], "double");
}

FED_CEL_FN(fn_bool)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < FED_ARRAY_LEN(yes); i++)
        if (fed_str_is(a[0].s, yes[i]) || fed_str_is(a[0].s, no[i])) {
            *out = fed_cel_bool(fed_str_is(a[0].s, yes[i]));
            return true;
        }
    return no_conversion(r, &a[0], "bool");
}

FED_CEL_FN(fn_string)
{
    return fed_cel_to_text(r, &a[0], out);
}

FED_CEL_FN(fn_bytes)
{
    *out = a[0];
    out->kind = FED_CEL_BYTES;
    return true;
}

const struct fed_cel_function fed_cel_core_functions[] = {
    {"size", false, "s:i", fn_size, FED_CEL_COST_ONE},      {"size", false, "y:i", fn_size, FED_CEL_COST_ONE},
    {"size", false, "[A:i", fn_size, FED_CEL_COST_ONE},     {"size", false, "{AB:i", fn_size, FED_CEL_COST_ONE},
    {"size", true, "s:i", fn_size, FED_CEL_COST_ONE},       {"size", true, "y:i", fn_size, FED_CEL_COST_ONE},
    {"size", true, "[A:i", fn_size, FED_CEL_COST_ONE},      {"size", true, "{AB:i", fn_size, FED_CEL_COST_ONE},
    {"type", false, "A:T", fn_type, FED_CEL_COST_ONE},      {"dyn", false, "A:x", fn_same, FED_CEL_COST_ONE},
    {"int", false, "i:i", fn_same, FED_CEL_COST_ONE},       {"int", false, "u:i", fn_int, FED_CEL_COST_ONE},
    {"int", false, "d:i", fn_int, FED_CEL_COST_ONE},        {"int", false, "s:i", fn_int, FED_CEL_COST_TEXT},
    {"int", false, "t:i", fn_int, FED_CEL_COST_ONE},        {"uint", false, "u:u", fn_same, FED_CEL_COST_ONE},
    {"uint", false, "i:u", fn_uint, FED_CEL_COST_ONE},      {"uint", false, "d:u", fn_uint, FED_CEL_COST_ONE},
    {"uint", false, "s:u", fn_uint, FED_CEL_COST_TEXT},     {"double", false, "d:d", fn_same, FED_CEL_COST_ONE},
    {"double", false, "i:d", fn_double, FED_CEL_COST_ONE},  {"double", false, "u:d", fn_double, FED_CEL_COST_ONE},
    {"double", false, "s:d", fn_double, FED_CEL_COST_TEXT}, {"bool", false, "b:b", fn_same, FED_CEL_COST_ONE},
    {"bool", false, "s:b", fn_bool, FED_CEL_COST_ONE},      {"bytes", false, "y:y", fn_same, FED_CEL_COST_ONE},
    {"bytes", false, "s:y", fn_bytes, FED_CEL_COST_TEXT},   {"string", false, "s:s", fn_same, FED_CEL_COST_ONE},
    {"string", false, "y:s", fn_string, FED_CEL_COST_TEXT}, {"string", false, "b:s", fn_string, FED_CEL_COST_ONE},
    {"string", false, "i:s", fn_string, FED_CEL_COST_ONE},  {"string", false, "u:s", fn_string, FED_CEL_COST_ONE},
    {"string", false, "d:s", fn_string, FED_CEL_COST_ONE},  {"string", false, "t:s", fn_string, FED_CEL_COST_ONE},
    {"string", false, "D:s", fn_string, FED_CEL_COST_ONE},  {"string", false, "I:s", fn_string, FED_CEL_COST_ONE},
    {"string", false, "C:s", fn_string, FED_CEL_COST_ONE},  {NULL, false, NULL, NULL, FED_CEL_COST_ONE},
};
