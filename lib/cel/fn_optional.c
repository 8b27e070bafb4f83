/* SPDX-License-Identifier: Apache-2.0 */
/* fn_optional.c: values that may be absent. */
#include "cel/cel_priv.h"

static bool is_zero(const struct fed_cel_value *v)
{
    switch (v->kind) {
    case FED_CEL_NULL:
        return true;
    case FED_CEL_BOOL:
        return !v->b;
    case FED_CEL_INT:
    case FED_CEL_UINT:
    case FED_CEL_DURATION:
        return !v->u;
    case FED_CEL_DOUBLE:
        return v->d == 0;
    case FED_CEL_STRING:
    case FED_CEL_BYTES:
        return !v->s.n;
    case FED_CEL_LIST:
    case FED_CEL_MAP:
    case FED_CEL_OBJECT:
        return !fed_cel_size(v);
    case FED_CEL_OPTIONAL:
        return !v->inner;
    default:
        return false;
    }
}

FED_CEL_FN(fn_none)
{
    *out = fed_cel_optional(r, NULL);
    return true;
}

FED_CEL_FN(fn_of)
{
    *out = fed_cel_optional(r, &a[0]);
    return true;
}

FED_CEL_FN(fn_of_non_zero)
{
    *out = fed_cel_optional(r, is_zero(&a[0]) ? NULL : &a[0]);
    return true;
}

FED_CEL_FN(fn_has_value)
{
    *out = fed_cel_bool(a[0].inner != NULL);
    return true;
}

FED_CEL_FN(fn_value)
{
    if (!a[0].inner)
        return fed_cel_fail(r, "optional.none() dereference");
    *out = *a[0].inner;
    return true;
}

FED_CEL_FN(fn_or)
{
    *out = a[0].inner ? a[0] : a[1];
    return true;
}

FED_CEL_FN(fn_or_value)
{
    *out = a[0].inner ? *a[0].inner : a[1];
    return true;
}

const struct fed_cel_function fed_cel_optional_functions[] = {
    {"optional.none", false, ":?A", fn_none, FED_CEL_COST_ONE},
    {"optional.of", false, "A:?A", fn_of, FED_CEL_COST_ONE},
    {"optional.ofNonZeroValue", false, "A:?A", fn_of_non_zero, FED_CEL_COST_ONE},
    {"hasValue", true, "?A:b", fn_has_value, FED_CEL_COST_ONE},
    {"value", true, "?A:A", fn_value, FED_CEL_COST_ONE},
    {"or", true, "?A?A:?A", fn_or, FED_CEL_COST_ONE},
    {"orValue", true, "?AA:A", fn_or_value, FED_CEL_COST_ONE},
    {NULL, false, NULL, NULL, FED_CEL_COST_ONE},
};
