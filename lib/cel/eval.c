/* SPDX-License-Identifier: Apache-2.0 */
/* eval.c: nodes into values, and the two calls that the world makes: compile and evaluate. */
#include "cel/cel_priv.h"

static bool eval(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out);

static const char *key_text(struct fed_cel_run *r, const struct fed_cel_value *v)
{
    struct fed_buf b = {0};

    if (v->kind == FED_CEL_STRING)
        fed_buf_add(&b, fed_str_head(v->s, 200));
    else if (v->kind >= FED_CEL_LIST) /* may be large */
        fed_buf_addz(&b, fed_cel_kind_name((enum fed_cel_kind)v->kind));
    else
        fed_cel_write(r, v, &b);
    return fed_cel_take(r, &b).p;
}

/* --- selection --- */

/* The field or member; *found tells whether it is there. False: an error. */
static bool get_field(struct fed_cel_run *r, const struct fed_cel_node *n, const struct fed_cel_value *of, bool *found,
                      struct fed_cel_value *out)
{
    struct fed_cel_value key = fed_cel_str(n->name);

    if (of->kind == FED_CEL_OBJECT && n->field && of->of.type == n->field_of) {
        /* Objects of a schema have few members; of a tree from outside, any number. */
        key.s = n->field->name;
    } else if (of->kind != FED_CEL_OBJECT && of->kind != FED_CEL_MAP) {
        return fed_cel_no_overload(r);
    }
    *found = fed_cel_map_find(r, of, &key, out);
    return !r->stopped;
}

static bool no_such_key(struct fed_cel_run *r, const char *key)
{
    return fed_cel_fail(r, "no such key: %s", key);
}

/* What an optional holds; false: it holds nothing, and neither does what is selected from it. */
static bool unwrap(struct fed_cel_value *v, bool *through)
{
    *through = v->kind == FED_CEL_OPTIONAL;
    if (!*through)
        return true;
    if (!v->inner)
        return false;
    *v = *v->inner;
    return true;
}

static bool wrap(struct fed_cel_run *r, bool found, struct fed_cel_value *v)
{
    if (!found)
        *v = fed_cel_optional(r, NULL);
    else if (v->kind != FED_CEL_OPTIONAL)
        *v = fed_cel_optional(r, v);
    return true;
}

static bool eval_select(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    struct fed_cel_value of;
    bool through, found = false;

    if (!eval(r, n->args[0], &of) || !fed_cel_pay(r, 1))
        return false;
    if (!unwrap(&of, &through))
        return wrap(r, false, out);
    if (!get_field(r, n, &of, &found, out))
        return false;
    if (through || n->optional)
        return wrap(r, found, out);
    return found || no_such_key(r, key_text(r, &(struct fed_cel_value){.kind = FED_CEL_STRING, .s = n->name}));
}

static bool eval_has(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    struct fed_cel_value of, member;
    bool through, found = false;

    if (!eval(r, n->args[0], &of) || !fed_cel_pay(r, 1))
        return false;
    if (unwrap(&of, &through) && !get_field(r, n, &of, &found, &member))
        return false;
    *out = fed_cel_bool(found);
    return true;
}

/* A whole number as an index; false: it is none. */
static bool as_index(const struct fed_cel_value *v, int64_t *out)
{
    if (v->kind == FED_CEL_DOUBLE && v->d >= -1e15 && v->d <= 1e15 && v->d == (double)(int64_t)v->d)
        *out = (int64_t)v->d;
    else if (v->kind == FED_CEL_UINT)
        *out = v->u > INT64_MAX ? INT64_MAX : (int64_t)v->u;
    else if (v->kind == FED_CEL_INT)
        *out = v->i;
    else
        return false;
    return true;
}

static bool eval_index(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    struct fed_cel_value of, index;
    bool through, found = false;
    int64_t i = 0;

    if (!eval(r, n->args[0], &of) || !eval(r, n->args[1], &index) || !fed_cel_pay(r, 1))
        return false;
    if (!unwrap(&of, &through))
        return wrap(r, false, out);
    if (of.kind == FED_CEL_LIST && as_index(&index, &i)) {
        found = i >= 0 && i < (int64_t)fed_cel_size(&of);
        if (found)
            fed_cel_at(r, &of, (uint32_t)i, out);
    } else if (of.kind == FED_CEL_MAP || of.kind == FED_CEL_OBJECT) {
        found = fed_cel_map_find(r, &of, &index, out);
    } else {
        return fed_cel_no_overload(r);
    }
    if (r->stopped)
        return false;
    if (through || n->optional)
        return wrap(r, found, out);
    if (found)
        return true;
    return of.kind == FED_CEL_LIST ? fed_cel_fail(r, "index out of bounds: %lld", (long long)i)
                                   : no_such_key(r, key_text(r, &index));
}

/* --- logic --- */

/* Any term that decides does so, whatever errors others are. */
static bool eval_logic(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    bool deciding = n->kind == FED_CEL_N_OR, failed = false;
    struct fed_str error = {NULL, 0};

    for (uint32_t i = 0; i < n->n; i++) {
        bool ok = eval(r, n->args[i], out);

        if (r->stopped)
            return false;
        if (ok && out->kind == FED_CEL_BOOL && out->b == deciding)
            return true;
        if (ok && out->kind != FED_CEL_BOOL)
            ok = fed_cel_no_overload(r);
        if (!ok && !failed) {
            failed = true;
            error = r->error;
        }
    }
    r->error = error;
    *out = fed_cel_bool(!deciding);
    return !failed;
}

static bool eval_cond(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    struct fed_cel_value cond;

    if (!eval(r, n->args[0], &cond))
        return false;
    if (cond.kind != FED_CEL_BOOL)
        return fed_cel_no_overload(r);
    return eval(r, n->args[cond.b ? 1 : 2], out);
}

/* --- literals --- */

/* An entry that is marked as optional: what it holds, or nothing at all. */
static bool optional_entry(struct fed_cel_run *r, struct fed_cel_value *v, bool *there)
{
    if (v->kind != FED_CEL_OPTIONAL)
        return fed_cel_fail(r, "cannot initialize optional list element from non-optional value");
    *there = v->inner != NULL;
    if (*there)
        *v = *v->inner;
    return true;
}

static bool eval_list(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    struct fed_cel_value *items;
    uint32_t count = 0;

    if (!fed_cel_pay(r, 10))
        return false;
    items = FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, n->n);
    for (uint32_t i = 0; i < n->n; i++) {
        bool there = true;

        if (!eval(r, n->args[i], &items[count]))
            return false;
        if (n->optional_entry && n->optional_entry[i] && !optional_entry(r, &items[count], &there))
            return false;
        count += there;
    }
    *out = fed_cel_list(r, items, count);
    return true;
}

struct growing_map {
    struct fed_cel_value *keys, *values;
    uint32_t n, cap;
};

static bool put_entry(struct fed_cel_run *r, struct growing_map *m, const struct fed_cel_value *key,
                      const struct fed_cel_value *value)
{
    bool fit = key->kind == FED_CEL_STRING || key->kind == FED_CEL_INT || key->kind == FED_CEL_UINT ||
               key->kind == FED_CEL_BOOL || key->kind == FED_CEL_DOUBLE;

    if (!fit)
        return fed_cel_fail(r, "unsupported key type: %s", fed_cel_kind_name((enum fed_cel_kind)key->kind));
    if (!fed_cel_pay(r, 1 + m->n / 8))
        return false;
    for (uint32_t i = 0; i < m->n; i++)
        if (fed_cel_equal(r, &m->keys[i], key))
            return fed_cel_fail(r, "insert failed: key %s already exists", key_text(r, key));
    if (m->n == m->cap) {
        uint32_t cap = m->cap ? m->cap * 2 : 4;
        struct fed_cel_value *keys = FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, cap);
        struct fed_cel_value *values = FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, cap);

        if (m->n) {
            memcpy(keys, m->keys, m->n * sizeof(*keys));
            memcpy(values, m->values, m->n * sizeof(*values));
        }
        m->keys = keys;
        m->values = values;
        m->cap = cap;
    }
    m->keys[m->n] = *key;
    m->values[m->n++] = *value;
    return !r->stopped;
}

static struct fed_cel_value made_map(struct fed_cel_run *r, const struct growing_map *m)
{
    struct fed_cel_map *map = FED_ARENA_NEW(&r->arena, struct fed_cel_map);

    *map = (struct fed_cel_map){m->keys, m->values, m->n};
    return (struct fed_cel_value){.kind = FED_CEL_MAP, .map = map};
}

static bool eval_map(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    struct growing_map m = {0};
    struct fed_cel_value key, value;

    if (!fed_cel_pay(r, 30))
        return false;
    for (uint32_t i = 0; i < n->n; i += 2) {
        bool there = true;

        if (!eval(r, n->args[i], &key) || !eval(r, n->args[i + 1], &value))
            return false;
        if (n->optional_entry && n->optional_entry[i / 2] && !optional_entry(r, &value, &there))
            return false;
        if (there && !put_entry(r, &m, &key, &value))
            return false;
    }
    *out = made_map(r, &m);
    return true;
}

/* --- macros --- */

struct fold {
    const struct fed_cel_node *n;
    struct fed_cel_value *items; /* of a growing list */
    uint32_t n_items, cap;
    struct growing_map map;
    uint32_t count; /* EXISTS_ONE: that hold */
    bool failed;
    struct fed_str error;
};

static void keep_item(struct fed_cel_run *r, struct fold *f, const struct fed_cel_value *v)
{
    FED_ARENA_ROOM(&r->arena, f->items, f->n_items, f->cap, 8);
    f->items[f->n_items++] = *v;
}

/* all, exists: an error counts only when no other item decides. True: decided. */
static bool fold_logic(struct fed_cel_run *r, struct fold *f, struct fed_cel_value *out)
{
    bool deciding = f->n->op == FED_CEL_EXISTS, ok = eval(r, f->n->args[1], out);

    if (ok && out->kind != FED_CEL_BOOL)
        ok = fed_cel_no_overload(r);
    if (ok)
        return out->b == deciding;
    if (!f->failed) {
        f->failed = true;
        f->error = r->error;
    }
    return r->stopped;
}

static bool eval_bool(struct fed_cel_run *r, const struct fed_cel_node *n, bool *yes)
{
    struct fed_cel_value v;

    if (!eval(r, n, &v))
        return false;
    *yes = v.b;
    return v.kind == FED_CEL_BOOL || fed_cel_no_overload(r);
}

/* One item of the others. False: an error. */
static bool fold_step(struct fed_cel_run *r, struct fold *f, const struct fed_cel_value *key)
{
    const struct fed_cel_node *n = f->n;
    struct fed_cel_value v;
    bool yes = true;

    switch ((enum fed_cel_fold)n->op) {
    case FED_CEL_EXISTS_ONE:
        if (!eval_bool(r, n->args[1], &yes))
            return false;
        f->count += yes;
        return true;
    case FED_CEL_FILTER:
        if (!eval_bool(r, n->args[1], &yes))
            return false;
        if (yes)
            keep_item(r, f, &r->slots[n->slot]);
        return fed_cel_pay(r, yes ? 11 : 1);
    case FED_CEL_TO_MAP:
    case FED_CEL_TO_LIST:
        if ((n->filter && !eval_bool(r, n->filter, &yes)) || (yes && !eval(r, n->args[1], &v)))
            return false;
        if (yes && n->op == FED_CEL_TO_MAP)
            return put_entry(r, &f->map, key, &v);
        if (yes)
            keep_item(r, f, &v);
        return fed_cel_pay(r, yes ? 11 : 1);
    default:
        return false;
    }
}

static bool fold_end(struct fed_cel_run *r, const struct fold *f, struct fed_cel_value *out)
{
    switch ((enum fed_cel_fold)f->n->op) {
    case FED_CEL_EXISTS_ONE:
        *out = fed_cel_bool(f->count == 1);
        return true;
    case FED_CEL_TO_MAP:
        *out = made_map(r, &f->map);
        return true;
    case FED_CEL_ALL:
    case FED_CEL_EXISTS:
        *out = fed_cel_bool(f->n->op == FED_CEL_ALL);
        if (f->failed)
            r->error = f->error;
        return !f->failed;
    default:
        *out = fed_cel_list(r, f->items, f->n_items);
        return true;
    }
}

static bool eval_opt_map(struct fed_cel_run *r, const struct fed_cel_node *n, const struct fed_cel_value *of,
                         struct fed_cel_value *out)
{
    if (of->kind != FED_CEL_OPTIONAL)
        return fed_cel_no_overload(r);
    if (!of->inner) {
        *out = *of;
        return true;
    }
    r->slots[n->slot] = *of->inner;
    if (!eval(r, n->args[1], out))
        return false;
    if (n->op == FED_CEL_OPT_MAP)
        *out = fed_cel_optional(r, out);
    return out->kind == FED_CEL_OPTIONAL || fed_cel_no_overload(r);
}

static bool eval_fold(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    struct fold f = {.n = n};
    struct fed_cel_value range, key, value;
    struct fed_cel_walk w;
    bool logic = n->op == FED_CEL_ALL || n->op == FED_CEL_EXISTS, two = n->vars[1].p != NULL;

    if (!eval(r, n->args[0], &range))
        return false;
    if (n->op >= FED_CEL_OPT_MAP)
        return eval_opt_map(r, n, &range, out);
    if (range.kind != FED_CEL_LIST && range.kind != FED_CEL_MAP)
        return fed_cel_no_overload(r);
    for (w = fed_cel_walk(&range); fed_cel_next(r, &w, &key, &value);) {
        if (!fed_cel_pay(r, 3))
            return false;
        r->slots[n->slot] = two || range.kind == FED_CEL_MAP ? key : value;
        r->slots[n->slot + 1] = value;
        if (logic ? fold_logic(r, &f, out) : !fold_step(r, &f, &key))
            return logic && !r->stopped;
    }
    return fold_end(r, &f, out);
}

/* --- calls --- */

static bool pay_call(struct fed_cel_run *r, const struct fed_cel_function *f, const struct fed_cel_value *a, uint32_t n)
{
    size_t weight = n ? fed_cel_weight(&a[0]) : 0;

    switch (f->cost) {
    case FED_CEL_COST_TEXT:
        return fed_cel_pay_text(r, weight);
    case FED_CEL_COST_TEXT2:
        return fed_cel_pay_text(r, 2 * weight);
    case FED_CEL_COST_LIST:
        return fed_cel_pay(r, 1 + weight);
    default:
        return fed_cel_pay(r, 1);
    }
}

static bool call_takes(const struct fed_cel_function *f, const struct fed_cel_value *a, uint32_t n)
{
    const char *sig = f->sig;

    for (uint32_t i = 0; i < n; i++)
        if (*sig == ':' || !fed_cel_sig_takes(&sig, &a[i]))
            return false;
    return *sig == ':';
}

static bool eval_call(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    struct fed_cel_value few[4],
        *args = n->n <= FED_ARRAY_LEN(few) ? few : FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, n->n);

    for (uint32_t i = 0; i < n->n; i++)
        if (!eval(r, n->args[i], &args[i]))
            return false;
    for (uint32_t i = 0; i < n->n_fn; i++)
        if (call_takes(&n->fn[i], args, n->n))
            return pay_call(r, &n->fn[i], args, n->n) && n->fn[i].fn(r, n, args, n->n, out) && !r->stopped;
    return fed_cel_no_overload(r);
}

static bool eval_op(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    struct fed_cel_value a, b;

    if (!eval(r, n->args[0], &a))
        return false;
    if (n->n == 1)
        return fed_cel_operate(r, (enum fed_cel_op)n->op, &a, NULL, out);
    return eval(r, n->args[1], &b) && fed_cel_operate(r, (enum fed_cel_op)n->op, &a, &b, out);
}

static bool eval(struct fed_cel_run *r, const struct fed_cel_node *n, struct fed_cel_value *out)
{
    switch ((enum fed_cel_node_kind)n->kind) {
    case FED_CEL_N_CONST:
        *out = n->value;
        return true;
    case FED_CEL_N_IDENT:
        *out = r->slots[n->slot];
        return fed_cel_pay(r, 1);
    case FED_CEL_N_SELECT:
        return eval_select(r, n, out);
    case FED_CEL_N_HAS:
        return eval_has(r, n, out);
    case FED_CEL_N_INDEX:
        return eval_index(r, n, out);
    case FED_CEL_N_CALL:
        return eval_call(r, n, out);
    case FED_CEL_N_OP:
        return eval_op(r, n, out);
    case FED_CEL_N_AND:
    case FED_CEL_N_OR:
        return eval_logic(r, n, out);
    case FED_CEL_N_COND:
        return eval_cond(r, n, out);
    case FED_CEL_N_LIST:
        return eval_list(r, n, out);
    case FED_CEL_N_MAP:
        return eval_map(r, n, out);
    case FED_CEL_N_FOLD:
        return eval_fold(r, n, out);
    case FED_CEL_N_MESSAGE:
        break;
    }
    return fed_cel_no_overload(r);
}

/* --- for others --- */

int fed_cel_compile(struct fed_arena *a, const struct fed_cel_var *vars, size_t n_vars, struct fed_str text,
                    struct fed_cel_program **out, struct fed_str *why)
{
    struct fed_cel_program *p = FED_ARENA_NEW(a, struct fed_cel_program);
    size_t length = fed_cel_utf8_length(text);
    struct fed_cel_issues is = {.arena = a};
    struct fed_cel_node *root;

    text = fed_arena_dup(a, text); /* names are slices of it */
    is.text = text;
    if (length > FED_CEL_MAX_TEXT)
        fed_cel_issue(&is, 0, "expression code point size exceeds limit: size: %zu, limit %d", length,
                      FED_CEL_MAX_TEXT);
    root = is.n ? NULL : fed_cel_parse_text(&is, text);
    if (root)
        fed_cel_check(&is, root, vars, n_vars, p);
    if (is.n) {
        *why = fed_arena_printf(a, "compilation failed: %s", fed_buf_z(&is.out));
        fed_buf_release(&is.out);
        return FED_E_INVALID;
    }
    *out = p;
    return 0;
}

const struct fed_cel_type *fed_cel_result_type(const struct fed_cel_program *p)
{
    return p->root->type;
}

bool fed_cel_uses(const struct fed_cel_program *p, size_t var)
{
    return p->used >> var & 1;
}

int fed_cel_eval(struct fed_cel_run *r, const struct fed_cel_program *p, const struct fed_cel_value *vars,
                 struct fed_cel_value *out)
{
    bool ok;

    r->cost = 0;
    r->stopped = false;
    r->error = (struct fed_str){NULL, 0};
    r->slots = FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, (size_t)p->n_slots + 1);
    for (uint32_t i = 0; i < p->n_vars; i++)
        r->slots[i] = vars[i];
    ok = eval(r, p->root, out);
    r->spent += r->cost;
    return ok && !r->stopped ? 0 : r->stopped ? FED_E_LIMIT : FED_E_INVALID;
}
