/* SPDX-License-Identifier: Apache-2.0 */
/* fn_regex.c: matches, find, findAll. What the machine really did is paid where it is more than Kubernetes' estimate. */
#include "cel/cel_priv.h"

enum { STEPS_A_UNIT = 16, TOO_LARGE = 2500 };

/* The pattern of the call: compiled with the expression when it is a literal. */
static const struct fed_regex *pattern_of(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_str text)
{
    struct fed_regex *re = NULL;
    struct fed_err err = {0};

    if (n->regex)
        return n->regex;
    if (!fed_cel_pay(r, 10 + text.n))
        return NULL;
    if (fed_regex_compile(&r->arena, text, &re, &err)) {
        fed_cel_fail(r, "%s", err.text);
        fed_cel_pay(r, err.code == FED_E_LIMIT ? TOO_LARGE : 0);
        return NULL;
    }
    return fed_cel_pay(r, fed_regex_size(re) / 4) ? re : NULL;
}

static bool pay_estimate(struct fed_cel_run *r, struct fed_str text, struct fed_str pattern)
{
    return fed_cel_pay(r, fed_cel_text_cost(text.n + 1) * ((pattern.n + 3) / 4));
}

/* The next match; 0, 1 or negative: past the limit. */
static int step(struct fed_cel_run *r, const struct fed_regex *re, struct fed_str text, size_t from, size_t *start,
                size_t *end)
{
    uint64_t steps = 0;
    int rc = fed_regex_find(re, text, from, start, end, &steps, (r->limit - r->cost + 1) * STEPS_A_UNIT);

    return fed_cel_pay(r, steps / STEPS_A_UNIT) ? rc : FED_E_LIMIT;
}

FED_CEL_FN(fn_matches)
{
    const struct fed_regex *re = pattern_of(r, n, a[1].s);
    int rc;

    if (!re || !pay_estimate(r, a[0].s, a[1].s))
        return false;
    rc = step(r, re, a[0].s, 0, NULL, NULL);
    *out = fed_cel_bool(rc > 0);
    return rc >= 0;
}

FED_CEL_FN(fn_find)
{
    const struct fed_regex *re = pattern_of(r, n, a[1].s);
    size_t start = 0, end = 0;
    int rc;

    if (!re || !pay_estimate(r, a[0].s, a[1].s))
        return false;
    rc = step(r, re, a[0].s, 0, &start, &end);
    *out = fed_cel_str(rc > 0 ? fed_str_n(a[0].s.p + start, end - start) : (struct fed_str){NULL, 0});
    return rc >= 0;
}

/* Matches do not overlap; an empty one may not stand right behind the one before. */
FED_CEL_FN(fn_find_all)
{
    const struct fed_regex *re = pattern_of(r, n, a[1].s);
    int64_t left = n_args == 3 ? a[2].i : -1;
    size_t from = 0, start, end, last = SIZE_MAX;
    struct fed_cel_value *items = NULL;
    uint32_t count = 0, cap = 0;
    int rc = 1;

    if (!re || !pay_estimate(r, a[0].s, a[1].s))
        return false;
    while (left != 0 && from <= a[0].s.n && (rc = step(r, re, a[0].s, from, &start, &end)) > 0) {
        if (start != end || start != last) {
            FED_ARENA_ROOM(&r->arena, items, count, cap, 8);
            items[count++] = fed_cel_str(fed_str_n(a[0].s.p + start, end - start));
            left -= left > 0;
        }
        last = end;
        from = end > start ? end : end + 1;
        if (!fed_cel_pay(r, 1))
            return false;
        while (start == end && from < a[0].s.n && ((unsigned char)a[0].s.p[from] & 0xc0) == 0x80)
            from++;
    }
    *out = fed_cel_list(r, items, count);
    return rc >= 0;
}

const struct fed_cel_function fed_cel_regex_functions[] = {
    {"matches", true, "ss:b", fn_matches, FED_CEL_COST_OWN},
    {"matches", false, "ss:b", fn_matches, FED_CEL_COST_OWN},
    {"find", true, "ss:s", fn_find, FED_CEL_COST_OWN},
    {"findAll", true, "ss:[s", fn_find_all, FED_CEL_COST_OWN},
    {"findAll", true, "ssi:[s", fn_find_all, FED_CEL_COST_OWN},
    {NULL, false, NULL, NULL, FED_CEL_COST_ONE},
};
