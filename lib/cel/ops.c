/* SPDX-License-Identifier: Apache-2.0 */
/* ops.c: the operators on values. Integers that would overflow are errors. */
#include "cel/cel_priv.h"

const char *fed_cel_op_name(enum fed_cel_op op)
{
    static const char *const names[] = {"_+_",  "_-_",  "_*_", "_/_",  "_%_", "-_",   "!_",
                                        "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in"};

    return names[op];
}

static bool overflow(struct fed_cel_run *r, const char *what)
{
    return fed_cel_fail(r, "%s overflow", what);
}

/* In 128 bits, so that every sum and quotient is there to be looked at; the result must lie between min and max. */
static bool integer_op(struct fed_cel_run *r, enum fed_cel_op op, __int128 a, __int128 b, __int128 min, __int128 max,
                       const char *what, __int128 *out)
{
    switch (op) {
    case FED_CEL_OP_ADD:
        *out = a + b;
        break;
    case FED_CEL_OP_SUB:
        *out = a - b;
        break;
    case FED_CEL_OP_MUL:
        if (__builtin_mul_overflow(a, b, out)) /* of two great unsigned ones: it does not fit */
            return overflow(r, what);
        break;
    default:
        if (b == 0)
            return fed_cel_fail(r, op == FED_CEL_OP_DIV ? "division by zero" : "modulus by zero");
        *out = a / b; /* a remainder is refused where the quotient is: of the least integer by -1 */
    }
    if (*out < min || *out > max)
        return overflow(r, what);
    if (op == FED_CEL_OP_MOD)
        *out = a % b;
    return true;
}

static bool int_op(struct fed_cel_run *r, enum fed_cel_op op, int64_t a, int64_t b, struct fed_cel_value *out)
{
    __int128 v;

    if (!integer_op(r, op, a, b, INT64_MIN, INT64_MAX, "integer", &v))
        return false;
    *out = fed_cel_int((int64_t)v);
    return true;
}

static bool uint_op(struct fed_cel_run *r, enum fed_cel_op op, uint64_t a, uint64_t b, struct fed_cel_value *out)
{
    __int128 v;

    if (!integer_op(r, op, a, b, 0, UINT64_MAX, "unsigned integer", &v))
        return false;
    *out = (struct fed_cel_value){.kind = FED_CEL_UINT, .u = (uint64_t)v};
    return true;
}

static bool double_op(struct fed_cel_run *r, enum fed_cel_op op, double a, double b, struct fed_cel_value *out)
{
    if (op == FED_CEL_OP_MOD)
        return fed_cel_no_overload(r);
    *out = fed_cel_double(op == FED_CEL_OP_ADD   ? a + b
                          : op == FED_CEL_OP_SUB ? a - b
                          : op == FED_CEL_OP_MUL ? a * b
                                                 : a / b);
    return true;
}

/* --- times --- */

static bool move_time(struct fed_cel_run *r, const struct fed_cel_value *t, int64_t by, int sign,
                      struct fed_cel_value *out)
{
    int64_t seconds = by / 1000000000 * sign, nano = by % 1000000000 * sign + t->nano, sum;

    if (nano < 0) {
        nano += 1000000000;
        seconds--;
    } else if (nano >= 1000000000) {
        nano -= 1000000000;
        seconds++;
    }
    sum = t->i + seconds; /* both are far from the ends of their range */
    *out = (struct fed_cel_value){.kind = FED_CEL_TIMESTAMP, .i = sum, .nano = (int32_t)nano};
    return fed_cel_timestamp_ok(sum) || overflow(r, "timestamp");
}

static bool time_op(struct fed_cel_run *r, enum fed_cel_op op, const struct fed_cel_value *a,
                    const struct fed_cel_value *b, struct fed_cel_value *out)
{
    bool add = op == FED_CEL_OP_ADD, bad;
    int64_t v;

    if (!add && op != FED_CEL_OP_SUB)
        return fed_cel_no_overload(r);
    if (a->kind == FED_CEL_TIMESTAMP && b->kind == FED_CEL_DURATION)
        return move_time(r, a, b->i, add ? 1 : -1, out);
    if (add && a->kind == FED_CEL_DURATION && b->kind == FED_CEL_TIMESTAMP)
        return move_time(r, b, a->i, 1, out);
    if (a->kind != b->kind || (add && a->kind == FED_CEL_TIMESTAMP))
        return fed_cel_no_overload(r);
    if (a->kind == FED_CEL_TIMESTAMP)
        bad = __builtin_mul_overflow(a->i - b->i, (int64_t)1000000000, &v) ||
              __builtin_add_overflow(v, (int64_t)a->nano - b->nano, &v);
    else
        bad = add ? __builtin_add_overflow(a->i, b->i, &v) : __builtin_sub_overflow(a->i, b->i, &v);
    *out = (struct fed_cel_value){.kind = FED_CEL_DURATION, .i = v};
    return !bad || overflow(r, "duration");
}

/* --- joining --- */

static bool add_texts(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b,
                      struct fed_cel_value *out)
{
    size_t n = a->s.n + b->s.n;
    char *p;

    if (!fed_cel_pay(r, fed_cel_text_cost(n)))
        return false;
    p = fed_arena_alloc(&r->arena, n + 1);
    if (a->s.n)
        memcpy(p, a->s.p, a->s.n);
    if (b->s.n)
        memcpy(p + a->s.n, b->s.p, b->s.n);
    p[n] = 0;
    *out = (struct fed_cel_value){.kind = a->kind, .s = {p, n}};
    return true;
}

/* Items of sets and keyed lists stand once: those of b take the place of their like in a. */
static bool place(struct fed_cel_run *r, const struct fed_cel_type *t, struct fed_cel_value *items, uint32_t n,
                  const struct fed_cel_value *v)
{
    for (uint32_t i = 0; i < n && fed_cel_pay(r, 1); i++) {
        bool same = t->list == FED_CEL_LIST_SET && fed_cel_equal(r, &items[i], v);

        if (t->list == FED_CEL_LIST_KEYED && items[i].kind == FED_CEL_OBJECT && v->kind == FED_CEL_OBJECT) {
            same = true;
            for (uint32_t k = 0; k < t->n_list_keys && same; k++) {
                const struct fed_json *x = fed_json_find_str(items[i].of.json, t->list_keys[k]);
                const struct fed_json *y = fed_json_find_str(v->of.json, t->list_keys[k]);

                same = fed_cel_pay(r, 1) && x && y && fed_json_equal(x, y);
            }
        }
        if (same) {
            items[i] = *v;
            return true;
        }
    }
    return false;
}

static bool add_lists(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b,
                      struct fed_cel_value *out)
{
    uint32_t n = fed_cel_size(a), m = fed_cel_size(b), first = n;
    const struct fed_cel_type *t = a->tree ? a->of.type : b->tree ? b->of.type : fed_cel_plain(FED_CEL_LIST);
    struct fed_cel_value *items, k;
    struct fed_cel_walk w;

    if (!fed_cel_pay(r, (uint64_t)n + m))
        return false;
    items = FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, (size_t)n + m + 1);
    for (w = fed_cel_walk(a); fed_cel_next(r, &w, &k, &items[w.i]);)
        ;
    for (w = fed_cel_walk(b); fed_cel_next(r, &w, &k, &items[n]);)
        n += !t->list || !place(r, t, items, first, &items[n]);
    if (r->stopped)
        return false;
    *out = fed_cel_list(r, items, n); /* no tree any more: it compares in the order it has */
    return true;
}

/* --- all --- */

static bool arithmetic(struct fed_cel_run *r, enum fed_cel_op op, const struct fed_cel_value *a,
                       const struct fed_cel_value *b, struct fed_cel_value *out)
{
    bool time = a->kind == FED_CEL_TIMESTAMP || a->kind == FED_CEL_DURATION;

    if (time)
        return time_op(r, op, a, b, out);
    if (a->kind != b->kind)
        return fed_cel_no_overload(r);
    switch (a->kind) {
    case FED_CEL_INT:
        return int_op(r, op, a->i, b->i, out);
    case FED_CEL_UINT:
        return uint_op(r, op, a->u, b->u, out);
    case FED_CEL_DOUBLE:
        return double_op(r, op, a->d, b->d, out);
    case FED_CEL_STRING:
    case FED_CEL_BYTES:
        return op == FED_CEL_OP_ADD ? add_texts(r, a, b, out) : fed_cel_no_overload(r);
    case FED_CEL_LIST:
        return op == FED_CEL_OP_ADD ? add_lists(r, a, b, out) : fed_cel_no_overload(r);
    default:
        return fed_cel_no_overload(r);
    }
}

static bool negate(struct fed_cel_run *r, const struct fed_cel_value *a, struct fed_cel_value *out)
{
    if (a->kind == FED_CEL_DOUBLE)
        *out = fed_cel_double(-a->d);
    else if (a->kind != FED_CEL_INT)
        return fed_cel_no_overload(r);
    else if (a->i == INT64_MIN)
        return overflow(r, "integer");
    else
        *out = fed_cel_int(-a->i);
    return true;
}

static bool is_in(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b,
                  struct fed_cel_value *out)
{
    struct fed_cel_value found;

    if (b->kind == FED_CEL_LIST)
        *out = fed_cel_bool(fed_cel_contains(r, b, a));
    else if (b->kind == FED_CEL_MAP || b->kind == FED_CEL_OBJECT)
        *out = fed_cel_bool(fed_cel_map_find(r, b, a, &found));
    else
        return fed_cel_no_overload(r);
    return !r->stopped;
}

static bool holds(enum fed_cel_op op, int c)
{
    return op == FED_CEL_OP_LT ? c < 0 : op == FED_CEL_OP_LE ? c <= 0 : op == FED_CEL_OP_GT ? c > 0 : c >= 0;
}

bool fed_cel_operate(struct fed_cel_run *r, enum fed_cel_op op, const struct fed_cel_value *a,
                     const struct fed_cel_value *b, struct fed_cel_value *out)
{
    int c;

    if (!fed_cel_pay(r, 1))
        return false;
    switch (op) {
    case FED_CEL_OP_NEG:
        return negate(r, a, out);
    case FED_CEL_OP_NOT:
        *out = fed_cel_bool(!a->b);
        return a->kind == FED_CEL_BOOL || fed_cel_no_overload(r);
    case FED_CEL_OP_EQ:
    case FED_CEL_OP_NE:
        *out = fed_cel_bool(fed_cel_equal(r, a, b) == (op == FED_CEL_OP_EQ));
        return !r->stopped;
    case FED_CEL_OP_IN:
        return is_in(r, a, b, out);
    case FED_CEL_OP_LT:
    case FED_CEL_OP_LE:
    case FED_CEL_OP_GT:
    case FED_CEL_OP_GE:
        if (!fed_cel_compare(r, a, b, &c))
            return false;
        *out = fed_cel_bool(holds(op, c));
        return true;
    default:
        return arithmetic(r, op, a, b, out);
    }
}
