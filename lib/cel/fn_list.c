/* SPDX-License-Identifier: Apache-2.0 */
/* fn_list.c: Kubernetes' functions of lists, and those of sets. */
#include "cel/cel_priv.h"

FED_CEL_FN(fn_is_sorted)
{
    struct fed_cel_walk w = fed_cel_walk(&a[0]);
    struct fed_cel_value k, last, v;
    int c;

    *out = fed_cel_bool(true);
    if (!fed_cel_next(r, &w, &k, &last))
        return true;
    for (; fed_cel_next(r, &w, &k, &v); last = v) {
        if (!fed_cel_compare(r, &last, &v, &c))
            return false;
        if (c > 0) {
            *out = fed_cel_bool(false);
            break;
        }
    }
    return true;
}

FED_CEL_FN(fn_sum)
{
    struct fed_cel_walk w = fed_cel_walk(&a[0]);
    struct fed_cel_value k, v, sum;

    *out = n->type->kind == FED_CEL_DOUBLE     ? fed_cel_double(0)
           : n->type->kind == FED_CEL_UINT     ? (struct fed_cel_value){.kind = FED_CEL_UINT}
           : n->type->kind == FED_CEL_DURATION ? (struct fed_cel_value){.kind = FED_CEL_DURATION}
                                               : fed_cel_int(0);
    while (fed_cel_next(r, &w, &k, &v)) {
        if (w.i == 1)
            *out = v;
        else if (!fed_cel_operate(r, FED_CEL_OP_ADD, out, &v, &sum))
            return false;
        else
            *out = sum;
    }
    return true;
}

static bool extreme(struct fed_cel_run *r, const struct fed_cel_value *list, int sign, const char *name,
                    struct fed_cel_value *out)
{
    struct fed_cel_walk w = fed_cel_walk(list);
    struct fed_cel_value k, v;
    int c;

    if (!fed_cel_next(r, &w, &k, out))
        return fed_cel_fail(r, "%s called on empty list", name);
    while (fed_cel_next(r, &w, &k, &v)) {
        if (!fed_cel_compare(r, &v, out, &c))
            return false;
        if (c * sign > 0)
            *out = v;
    }
    return true;
}

FED_CEL_FN(fn_min)
{
    return extreme(r, &a[0], -1, "min", out);
}

FED_CEL_FN(fn_max)
{
    return extreme(r, &a[0], 1, "max", out);
}

static bool find_item(struct fed_cel_run *r, const struct fed_cel_value *a, bool last, struct fed_cel_value *out)
{
    struct fed_cel_walk w = fed_cel_walk(&a[0]);
    struct fed_cel_value k, v;

    *out = fed_cel_int(-1);
    while (fed_cel_pay(r, 1) && fed_cel_next(r, &w, &k, &v)) {
        if (!fed_cel_equal(r, &v, &a[1]))
            continue;
        *out = fed_cel_int(w.i - 1);
        if (!last)
            break;
    }
    return true;
}

bool fed_cel_list_index_of(struct fed_cel_run *r, const struct fed_cel_node *n FED_UNUSED,
                           const struct fed_cel_value *a, uint32_t n_args FED_UNUSED, struct fed_cel_value *out)
{
    return find_item(r, a, false, out);
}

bool fed_cel_list_last_index_of(struct fed_cel_run *r, const struct fed_cel_node *n FED_UNUSED,
                                const struct fed_cel_value *a, uint32_t n_args FED_UNUSED, struct fed_cel_value *out)
{
    return find_item(r, a, true, out);
}

/* --- sets --- */

static bool contains_all(struct fed_cel_run *r, const struct fed_cel_value *in, const struct fed_cel_value *all)
{
    struct fed_cel_walk w = fed_cel_walk(all);
    struct fed_cel_value k, v;

    while (fed_cel_next(r, &w, &k, &v))
        if (!fed_cel_contains(r, in, &v))
            return false;
    return true;
}

FED_CEL_FN(fn_set_contains)
{
    *out = fed_cel_bool(contains_all(r, &a[0], &a[1]));
    return true;
}

FED_CEL_FN(fn_set_equivalent)
{
    *out = fed_cel_bool(contains_all(r, &a[0], &a[1]) && contains_all(r, &a[1], &a[0]));
    return true;
}

FED_CEL_FN(fn_set_intersects)
{
    struct fed_cel_walk w = fed_cel_walk(&a[0]);
    struct fed_cel_value k, v;

    *out = fed_cel_bool(false);
    while (!out->b && fed_cel_next(r, &w, &k, &v))
        out->b = fed_cel_contains(r, &a[1], &v);
    return true;
}

#define ORDERED(name, fn)                                                                                              \
    {name, true, "[i:i", fn, FED_CEL_COST_LIST}, {name, true, "[u:u", fn, FED_CEL_COST_LIST},                          \
        {name, true, "[d:d", fn, FED_CEL_COST_LIST}, {name, true, "[b:b", fn, FED_CEL_COST_LIST},                      \
        {name, true, "[s:s", fn, FED_CEL_COST_LIST}, {name, true, "[y:y", fn, FED_CEL_COST_LIST},                      \
        {name, true, "[t:t", fn, FED_CEL_COST_LIST},                                                                   \
    {                                                                                                                  \
        name, true, "[D:D", fn, FED_CEL_COST_LIST                                                                      \
    }

const struct fed_cel_function fed_cel_list_functions[] = {
    {"isSorted", true, "[i:b", fn_is_sorted, FED_CEL_COST_LIST},
    {"isSorted", true, "[u:b", fn_is_sorted, FED_CEL_COST_LIST},
    {"isSorted", true, "[d:b", fn_is_sorted, FED_CEL_COST_LIST},
    {"isSorted", true, "[b:b", fn_is_sorted, FED_CEL_COST_LIST},
    {"isSorted", true, "[s:b", fn_is_sorted, FED_CEL_COST_LIST},
    {"isSorted", true, "[y:b", fn_is_sorted, FED_CEL_COST_LIST},
    {"isSorted", true, "[t:b", fn_is_sorted, FED_CEL_COST_LIST},
    {"isSorted", true, "[D:b", fn_is_sorted, FED_CEL_COST_LIST},
    {"sum", true, "[i:i", fn_sum, FED_CEL_COST_LIST},
    {"sum", true, "[u:u", fn_sum, FED_CEL_COST_LIST},
    {"sum", true, "[d:d", fn_sum, FED_CEL_COST_LIST},
    {"sum", true, "[D:D", fn_sum, FED_CEL_COST_LIST},
    ORDERED("min", fn_min),
    ORDERED("max", fn_max),
    {"sets.contains", false, "[A[A:b", fn_set_contains, FED_CEL_COST_ONE},
    {"sets.equivalent", false, "[A[A:b", fn_set_equivalent, FED_CEL_COST_ONE},
    {"sets.intersects", false, "[A[A:b", fn_set_intersects, FED_CEL_COST_ONE},
    {NULL, false, NULL, NULL, FED_CEL_COST_ONE},
};
