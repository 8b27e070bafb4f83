/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that are a number or a percentage: budgets and rolling updates. */
#include "kube/podspec.h"

static bool percentage(const struct fed_json *v, int64_t *n)
{
    struct fed_str digits = fed_str_head(v->s, v->s.n ? v->s.n - 1 : 0);

    return fed_str_ends(v->s, FED_STR("%")) && fed_str_i64(digits, n) == 0 && *n >= 0;
}

static struct fed_str place(struct fed_causes *c, const char *at, const char *key)
{
    return fed_arena_printf(c->arena, "%s.%s", at, key);
}

/* As Go prints the struct that such a field is there. */
struct fed_str fed_shown_int_or_string(struct fed_arena *a, const struct fed_json *v)
{
    if (v && v->type == FED_JSON_STRING)
        return fed_arena_printf(a, "intstr.IntOrString{Type:1, IntVal:0, StrVal:\"%.*s\"}", FED_STR_ARG(v->s));
    return fed_arena_printf(a, "intstr.IntOrString{Type:0, IntVal:%lld, StrVal:\"\"}", (long long)fed_json_int(v, 0));
}

int64_t fed_check_int_or_percent(const struct fed_json *obj, const char *at, const char *key, struct fed_causes *c)
{
    const struct fed_json *v = fed_json_find(obj, key);
    int64_t n = 0;

    if (!v)
        return -2;
    if (v->type != FED_JSON_STRING) {
        n = fed_json_int(v, 0);
        if (n < 0)
            fed_causes_add(c, FED_CAUSE_INVALID, place(c, at, key), fed_shown(c->arena, v),
                           "must be greater than or equal to 0");
        return n;
    }
    if (percentage(v, &n))
        return n;
    fed_causes_add(
        c, FED_CAUSE_INVALID, place(c, at, key), fed_shown_int_or_string(c->arena, v),
        "a valid percent string must be a numeric string followed by an ending '%%' (e.g. '1%%',  or '93%%', "
        "regex used for validation is '[0-9]+%%')");
    return -1;
}

void fed_check_at_most_all(const struct fed_json *obj, const char *at, const char *key, struct fed_causes *c)
{
    const struct fed_json *v = fed_json_find(obj, key);
    int64_t n;

    if (v && v->type == FED_JSON_STRING && percentage(v, &n) && n > 100)
        fed_causes_add(c, FED_CAUSE_INVALID, place(c, at, key), fed_shown_int_or_string(c->arena, v),
                       "must not be greater than 100%%");
}
