/* SPDX-License-Identifier: Apache-2.0 */
/* check.c: what names mean, which functions there are for the types at hand, and of which type each node is. A node that is
 * wrong has the type ERROR, which fits everywhere, so that one mistake is told once. */
#include "cel/cel_priv.h"

enum { MAX_VARS = 8, MAX_SIZE = 8 << 20 };

struct scope {
    struct fed_str name;
    const struct fed_cel_type *type;
    int slot;
    const struct scope *outer;
};
struct checker {
    struct fed_cel_issues *issues;
    struct fed_arena *a;
    const struct scope *scope;
    struct fed_cel_program *p;
    int next_slot;
    size_t max_used; /* of the arena: patterns may become much larger than their text */
};

/* Nearly every function here takes and returns some: the long form would hide what they do. */
typedef const struct fed_cel_type *fed_cel_type_ref;

static fed_cel_type_ref check(struct checker *k, struct fed_cel_node *n);

static fed_cel_type_ref wrong(void)
{
    return fed_cel_plain(FED_CEL_ERROR);
}

static fed_cel_type_ref dyn(void)
{
    return fed_cel_plain(FED_CEL_DYN);
}

static fed_cel_type_ref part(fed_cel_type_ref t)
{
    return t ? t : dyn();
}

static const char *shown(struct checker *k, fed_cel_type_ref t)
{
    struct fed_buf b = {0};
    const char *z;

    fed_cel_type_write(t, &b);
    z = fed_arena_dupz(k->a, fed_buf_str(&b));
    fed_buf_release(&b);
    return z;
}

/* --- names --- */

static const struct scope *find(const struct checker *k, struct fed_str name)
{
    const struct scope *s = k->scope;

    while (s && !fed_str_eq(s->name, name))
        s = s->outer;
    return s;
}

static fed_cel_type_ref undeclared(struct checker *k, const struct fed_cel_node *n, struct fed_str name)
{
    fed_cel_issue(k->issues, n->off, "undeclared reference to '%.*s' (in container '')",
                  FED_STR_ARG(fed_str_head(name, 128)));
    return wrong();
}

static fed_cel_type_ref type_constant(struct checker *k, struct fed_cel_node *n, enum fed_cel_kind kind)
{
    n->kind = FED_CEL_N_CONST;
    n->value = (struct fed_cel_value){.kind = FED_CEL_TYPE, .s = fed_str(fed_cel_kind_name(kind))};
    return fed_cel_type_of(k->a, FED_CEL_TYPE, fed_cel_plain(kind), NULL);
}

static fed_cel_type_ref check_ident(struct checker *k, struct fed_cel_node *n)
{
    const struct scope *s = find(k, n->name);
    enum fed_cel_kind kind;

    if (s) {
        n->slot = s->slot;
        if (s->slot < (int)k->p->n_vars)
            k->p->used |= 1u << s->slot;
        return s->type;
    }
    if (fed_cel_type_named(n->name, &kind))
        return type_constant(k, n, kind);
    return undeclared(k, n, n->name);
}

/* "a.b.c" of names alone; false when there is more to it. */
static bool dotted(const struct fed_cel_node *n, struct fed_buf *b)
{
    if (n->kind == FED_CEL_N_IDENT) {
        fed_buf_add(b, n->name);
        return true;
    }
    if (n->kind != FED_CEL_N_SELECT || n->optional || !dotted(n->args[0], b))
        return false;
    fed_buf_addc(b, '.');
    fed_buf_add(b, n->name);
    return true;
}

static const struct fed_cel_node *first_name(const struct fed_cel_node *n)
{
    while (n->kind == FED_CEL_N_SELECT)
        n = n->args[0];
    return n;
}

/* google.protobuf.Timestamp and its like, where no variable has the first name. */
static bool is_type_path(struct checker *k, struct fed_cel_node *n, fed_cel_type_ref *out)
{
    const struct fed_cel_node *first = first_name(n);
    struct fed_buf b = {0};
    enum fed_cel_kind kind;
    bool yes;

    if (first->kind != FED_CEL_N_IDENT || find(k, first->name))
        return false;
    yes = dotted(n, &b) && fed_cel_type_named(fed_buf_str(&b), &kind);
    fed_buf_release(&b);
    if (yes)
        *out = type_constant(k, n, kind);
    return yes;
}

/* --- selection --- */

static fed_cel_type_ref optional_of(struct checker *k, fed_cel_type_ref t)
{
    return t->kind == FED_CEL_OPTIONAL ? t : fed_cel_type_of(k->a, FED_CEL_OPTIONAL, t, NULL);
}

static fed_cel_type_ref field_type(struct checker *k, struct fed_cel_node *n, fed_cel_type_ref of)
{
    switch (of->kind) {
    case FED_CEL_ERROR:
        return of;
    case FED_CEL_DYN:
        return dyn();
    case FED_CEL_MAP:
        return part(of->elem);
    case FED_CEL_OBJECT:
        n->field = fed_cel_field_find(of, n->name);
        n->field_of = of;
        if (n->field)
            return n->field->type;
        fed_cel_issue(k->issues, n->off, "undefined field '%.*s'", FED_STR_ARG(fed_str_head(n->name, 128)));
        return wrong();
    default:
        fed_cel_issue(k->issues, n->off, "type '%s' does not support field selection", shown(k, of));
        return wrong();
    }
}

static fed_cel_type_ref check_select(struct checker *k, struct fed_cel_node *n)
{
    fed_cel_type_ref of, t;
    bool through;

    if (n->kind == FED_CEL_N_SELECT && is_type_path(k, n, &t))
        return t;
    of = check(k, n->args[0]);
    through = of->kind == FED_CEL_OPTIONAL;
    t = field_type(k, n, through ? part(of->elem) : of);
    if (n->kind == FED_CEL_N_HAS)
        return t->kind == FED_CEL_ERROR ? t : fed_cel_plain(FED_CEL_BOOL);
    return through || n->optional ? optional_of(k, t) : t;
}

static fed_cel_type_ref no_overload(struct checker *k, const struct fed_cel_node *n, const char *name)
{
    struct fed_buf b = {0};
    uint32_t from = n->kind == FED_CEL_N_CALL && n->member;

    if (from) {
        fed_cel_type_write(n->args[0]->type, &b);
        fed_buf_addc(&b, '.');
    }
    fed_buf_addc(&b, '(');
    for (uint32_t i = from; i < n->n; i++) {
        if (i > from)
            fed_buf_addz(&b, ", ");
        fed_cel_type_write(n->args[i]->type, &b);
    }
    fed_buf_addc(&b, ')');
    fed_cel_issue(k->issues, n->off, "found no matching overload for '%s' applied to '%s'", name, fed_buf_z(&b));
    fed_buf_release(&b);
    return wrong();
}

static fed_cel_type_ref check_index(struct checker *k, struct fed_cel_node *n)
{
    fed_cel_type_ref of = check(k, n->args[0]), index = check(k, n->args[1]), t;
    bool through = of->kind == FED_CEL_OPTIONAL;
    bool number =
        fed_cel_fits(fed_cel_plain(FED_CEL_INT), index) || index->kind == FED_CEL_UINT || index->kind == FED_CEL_DOUBLE;

    if (through)
        of = part(of->elem);
    if (of->kind == FED_CEL_ERROR || index->kind == FED_CEL_ERROR)
        return wrong();
    if (of->kind == FED_CEL_DYN)
        t = dyn();
    else if ((of->kind == FED_CEL_LIST && number) || (of->kind == FED_CEL_MAP && fed_cel_fits(part(of->key), index)))
        t = part(of->elem);
    else
        return no_overload(k, n, n->optional ? "_[?_]" : "_[_]");
    return through || n->optional ? optional_of(k, t) : t;
}

/* --- operators --- */

static bool is_number(fed_cel_type_ref t)
{
    return t->kind == FED_CEL_INT || t->kind == FED_CEL_UINT || t->kind == FED_CEL_DOUBLE;
}

static bool is_any(fed_cel_type_ref t)
{
    return t->kind == FED_CEL_DYN || t->kind == FED_CEL_ERROR;
}

static fed_cel_type_ref sum_type(enum fed_cel_op op, fed_cel_type_ref a, fed_cel_type_ref b)
{
    bool add = op == FED_CEL_OP_ADD;
    enum fed_cel_kind x = a->kind, y = b->kind;

    if (x == FED_CEL_TIMESTAMP && y == FED_CEL_DURATION)
        return a;
    if (add && x == FED_CEL_DURATION && y == FED_CEL_TIMESTAMP)
        return b;
    if (!add && x == FED_CEL_TIMESTAMP && y == FED_CEL_TIMESTAMP)
        return fed_cel_plain(FED_CEL_DURATION);
    if (x == y && (is_number(a) || x == FED_CEL_DURATION || (add && (x == FED_CEL_STRING || x == FED_CEL_BYTES))))
        return a;
    if (add && x == FED_CEL_LIST && y == FED_CEL_LIST)
        return fed_cel_join(a, b);
    return NULL;
}

static fed_cel_type_ref binary_type(enum fed_cel_op op, fed_cel_type_ref a, fed_cel_type_ref b)
{
    fed_cel_type_ref yes = fed_cel_plain(FED_CEL_BOOL);
    bool ordered;

    switch (op) {
    case FED_CEL_OP_ADD:
    case FED_CEL_OP_SUB:
        return is_any(a) || is_any(b) ? dyn() : sum_type(op, a, b);
    case FED_CEL_OP_MUL:
    case FED_CEL_OP_DIV:
    case FED_CEL_OP_MOD:
        if (is_any(a) || is_any(b))
            return dyn();
        return a->kind == b->kind && is_number(a) && !(op == FED_CEL_OP_MOD && a->kind == FED_CEL_DOUBLE) ? a : NULL;
    case FED_CEL_OP_EQ:
    case FED_CEL_OP_NE:
        return fed_cel_join(a, b) ? yes : NULL;
    case FED_CEL_OP_IN:
        if (is_any(b))
            return yes;
        if (b->kind == FED_CEL_LIST)
            return fed_cel_join(part(b->elem), a) ? yes : NULL;
        return b->kind == FED_CEL_MAP && fed_cel_join(part(b->key), a) ? yes : NULL;
    default:
        if (is_any(a) || is_any(b) || (is_number(a) && is_number(b)))
            return yes;
        ordered = a->kind == FED_CEL_BOOL || a->kind == FED_CEL_STRING || a->kind == FED_CEL_BYTES ||
                  a->kind == FED_CEL_TIMESTAMP || a->kind == FED_CEL_DURATION;
        return a->kind == b->kind && ordered ? yes : NULL;
    }
}

static fed_cel_type_ref check_op(struct checker *k, struct fed_cel_node *n)
{
    fed_cel_type_ref a = check(k, n->args[0]), b, t;

    if (n->n == 1) {
        bool neg = n->op == FED_CEL_OP_NEG;

        if (is_any(a))
            return neg ? a : fed_cel_plain(FED_CEL_BOOL);
        if (neg ? a->kind == FED_CEL_INT || a->kind == FED_CEL_DOUBLE : a->kind == FED_CEL_BOOL)
            return a;
        return no_overload(k, n, fed_cel_op_name(n->op));
    }
    b = check(k, n->args[1]);
    t = binary_type((enum fed_cel_op)n->op, a, b);
    return t ? t : no_overload(k, n, fed_cel_op_name(n->op));
}

static void need_bool(struct checker *k, const struct fed_cel_node *n, fed_cel_type_ref t)
{
    if (!fed_cel_fits(fed_cel_plain(FED_CEL_BOOL), t))
        fed_cel_issue(k->issues, n->off, "expected type 'bool' but found '%s'", shown(k, t));
}

static fed_cel_type_ref check_logic(struct checker *k, struct fed_cel_node *n)
{
    for (uint32_t i = 0; i < n->n; i++)
        need_bool(k, n->args[i], check(k, n->args[i]));
    return fed_cel_plain(FED_CEL_BOOL);
}

static fed_cel_type_ref check_cond(struct checker *k, struct fed_cel_node *n)
{
    fed_cel_type_ref cond = check(k, n->args[0]), yes = check(k, n->args[1]), no = check(k, n->args[2]), t;

    t = fed_cel_fits(fed_cel_plain(FED_CEL_BOOL), cond) ? fed_cel_join(yes, no) : NULL;
    return t ? t : no_overload(k, n, "_?_:_");
}

/* --- literals of lists and maps --- */

/* The type of one more item; NULL slot: the first. */
static void join_item(struct checker *k, const struct fed_cel_node *n, fed_cel_type_ref *all, bool optional)
{
    fed_cel_type_ref t = n->type, joined;

    if (optional && t->kind == FED_CEL_OPTIONAL)
        t = part(t->elem);
    else if (optional && !is_any(t))
        fed_cel_issue(k->issues, n->off, "expected type 'optional_type(%s)' but found '%s'", shown(k, t), shown(k, t));
    joined = *all ? fed_cel_join(*all, t) : t;
    if (!joined)
        fed_cel_issue(k->issues, n->off, "expected type '%s' but found '%s'", shown(k, *all), shown(k, t));
    else
        *all = joined;
}

static fed_cel_type_ref check_list(struct checker *k, struct fed_cel_node *n)
{
    fed_cel_type_ref item = NULL;

    for (uint32_t i = 0; i < n->n; i++) {
        check(k, n->args[i]);
        join_item(k, n->args[i], &item, n->optional_entry && n->optional_entry[i]);
    }
    return fed_cel_type_of(k->a, FED_CEL_LIST, item, NULL);
}

/* Keys that hold values would make types of any size. */
static void need_scalar(struct checker *k, struct fed_cel_node *n)
{
    if (n->type->kind < FED_CEL_LIST || n->type->kind == FED_CEL_ERROR)
        return;
    fed_cel_issue(k->issues, n->off, "unsupported key type '%s'", shown(k, n->type));
    n->type = wrong();
}

static fed_cel_type_ref check_map(struct checker *k, struct fed_cel_node *n)
{
    fed_cel_type_ref key = NULL, value = NULL;

    for (uint32_t i = 0; i < n->n; i += 2) {
        check(k, n->args[i]);
        check(k, n->args[i + 1]);
        need_scalar(k, n->args[i]);
        join_item(k, n->args[i], &key, false);
        join_item(k, n->args[i + 1], &value, n->optional_entry && n->optional_entry[i / 2]);
    }
    return fed_cel_type_of(k->a, FED_CEL_MAP, value, key);
}

/* --- macros --- */

static fed_cel_type_ref fold_result(struct checker *k, const struct fed_cel_node *n, fed_cel_type_ref range,
                                    fed_cel_type_ref item, fed_cel_type_ref body)
{
    switch ((enum fed_cel_fold)n->op) {
    case FED_CEL_FILTER:
        return fed_cel_type_of(k->a, FED_CEL_LIST, item, NULL);
    case FED_CEL_TO_LIST:
        return fed_cel_type_of(k->a, FED_CEL_LIST, body, NULL);
    case FED_CEL_TO_MAP:
        return fed_cel_type_of(k->a, FED_CEL_MAP, body,
                               range->kind == FED_CEL_LIST ? fed_cel_plain(FED_CEL_INT) : part(range->key));
    case FED_CEL_OPT_MAP:
        return fed_cel_type_of(k->a, FED_CEL_OPTIONAL, body, NULL);
    case FED_CEL_OPT_FLAT_MAP:
        if (body->kind != FED_CEL_OPTIONAL && !is_any(body))
            fed_cel_issue(k->issues, n->args[1]->off, "expected type 'optional_type(dyn)' but found '%s'",
                          shown(k, body));
        return body;
    default:
        return fed_cel_plain(FED_CEL_BOOL);
    }
}

/* What the variables stand for: key and value, or one of them. */
static bool fold_vars(struct checker *k, const struct fed_cel_node *n, fed_cel_type_ref range,
                      fed_cel_type_ref types[2])
{
    bool two = n->vars[1].p != NULL, of_optional = n->op == FED_CEL_OPT_MAP || n->op == FED_CEL_OPT_FLAT_MAP;

    types[0] = types[1] = dyn();
    if (range->kind == FED_CEL_ERROR) {
        types[0] = types[1] = wrong();
    } else if (of_optional && (range->kind == FED_CEL_OPTIONAL || is_any(range))) {
        types[0] = part(range->elem);
    } else if (!of_optional && range->kind == FED_CEL_LIST) {
        types[two] = part(range->elem);
        if (two)
            types[0] = fed_cel_plain(FED_CEL_INT);
    } else if (!of_optional && range->kind == FED_CEL_MAP) {
        types[0] = part(range->key);
        types[1] = part(range->elem);
    } else if (of_optional || !is_any(range)) {
        fed_cel_issue(k->issues, n->args[0]->off,
                      "expression of type '%s' cannot be range of a comprehension (must be list, map, or dynamic)",
                      shown(k, range));
        types[0] = types[1] = wrong();
        return false;
    }
    return true;
}

static fed_cel_type_ref check_fold(struct checker *k, struct fed_cel_node *n)
{
    fed_cel_type_ref range = check(k, n->args[0]), types[2], body;
    const struct scope *outer = k->scope;
    struct scope first, second;
    int slot = k->next_slot;
    bool logic = n->op <= FED_CEL_FILTER;

    fold_vars(k, n, range, types);
    n->slot = slot;
    first = (struct scope){n->vars[0], types[0], slot, outer};
    second = (struct scope){n->vars[1], types[1], slot + 1, &first};
    k->next_slot = slot + 2;
    k->p->n_slots = FED_MAX(k->p->n_slots, k->next_slot);
    k->scope = n->vars[1].p ? &second : &first;
    if (n->filter)
        need_bool(k, n->filter, check(k, n->filter));
    body = check(k, n->args[1]);
    if (logic)
        need_bool(k, n->args[1], body);
    k->scope = outer;
    k->next_slot = slot;
    return fold_result(k, n, range, types[0], body);
}

/* --- calls --- */

/* optional.of(x), sets.contains(a, b): the target is a part of the function's name. */
static void take_namespace(struct checker *k, struct fed_cel_node *n)
{
    const struct fed_cel_node *first = first_name(n->args[0]);
    struct fed_buf b = {0};
    uint32_t n_fn;

    if (first->kind != FED_CEL_N_IDENT || find(k, first->name))
        return;
    if (dotted(n->args[0], &b)) {
        fed_buf_addc(&b, '.');
        fed_buf_add(&b, n->name);
        if (fed_cel_function_find(fed_buf_str(&b), false, &n_fn)) {
            n->name = fed_arena_dup(k->a, fed_buf_str(&b));
            n->member = false;
            n->args++;
            n->n--;
        }
    }
    fed_buf_release(&b);
}

static bool call_fits(struct checker *k, const struct fed_cel_node *n, const struct fed_cel_function *f,
                      fed_cel_type_ref *result)
{
    struct fed_cel_bind bind = {0};
    const char *sig = f->sig;

    for (uint32_t i = 0; i < n->n; i++)
        if (*sig == ':' || !fed_cel_sig_fits(&sig, n->args[i]->type, &bind))
            return false;
    if (*sig != ':')
        return false;
    sig++;
    *result = fed_cel_sig_result(k->a, &sig, &bind);
    return true;
}

static bool same_type(fed_cel_type_ref a, fed_cel_type_ref b)
{
    return a == b || (a->kind == b->kind && fed_cel_fits(a, b));
}

/* Literals are looked at now, so that a mistake shows when the expression is written. */
static void check_literal(struct checker *k, struct fed_cel_node *n)
{
    bool member = n->member,
         pattern = fed_str_is(n->name, "matches") || fed_str_is(n->name, "find") || fed_str_is(n->name, "findAll");
    uint32_t i = pattern && (member || n->n > 1) ? 1 : 0;
    struct fed_cel_value v;
    struct fed_err err = {0};
    struct fed_str s;
    struct fed_regex *re = NULL;
    bool ok = true;

    if (i >= n->n || n->args[i]->kind != FED_CEL_N_CONST || n->args[i]->value.kind != FED_CEL_STRING)
        return;
    s = n->args[i]->value.s;
    if (pattern) {
        ok = fed_regex_compile(k->a, s, &re, &err) == 0;
        n->regex = re;
        if (err.code == FED_E_UNSUPPORTED || err.code == FED_E_LIMIT)
            fed_cel_issue(k->issues, n->args[i]->off, "invalid %.*s argument: %s", FED_STR_ARG(n->name), err.text);
        if (err.code == FED_E_UNSUPPORTED || err.code == FED_E_LIMIT)
            return;
    } else if (!member && fed_str_is(n->name, "duration")) {
        ok = fed_cel_duration_read(s, false, &v);
    } else if (!member && fed_str_is(n->name, "timestamp")) {
        ok = fed_cel_timestamp_read(s, &v);
    }
    if (!ok)
        fed_cel_issue(k->issues, n->args[i]->off, "invalid %.*s argument", FED_STR_ARG(n->name));
    else if (k->a->used > k->max_used)
        fed_cel_issue(k->issues, n->off, "expression is too large");
}

static fed_cel_type_ref check_call(struct checker *k, struct fed_cel_node *n)
{
    fed_cel_type_ref all = NULL, t;
    bool error = false;

    if (n->member)
        take_namespace(k, n);
    for (uint32_t i = 0; i < n->n; i++)
        error |= check(k, n->args[i])->kind == FED_CEL_ERROR;
    n->fn = fed_cel_function_find(n->name, n->member, &n->n_fn);
    if (!n->fn)
        return undeclared(k, n, n->name);
    if (error)
        return wrong();
    for (uint32_t i = 0; i < n->n_fn; i++)
        if (call_fits(k, n, &n->fn[i], &t))
            all = !all ? t : same_type(all, t) ? all : dyn();
    if (!all)
        return no_overload(k, n, fed_arena_dupz(k->a, n->name));
    if (fed_str_is(n->name, "type") && !n->member)
        all = fed_cel_type_of(k->a, FED_CEL_TYPE, n->args[0]->type, NULL);
    check_literal(k, n);
    return all;
}

static fed_cel_type_ref check_node(struct checker *k, struct fed_cel_node *n)
{
    switch ((enum fed_cel_node_kind)n->kind) {
    case FED_CEL_N_CONST:
        return fed_cel_plain((enum fed_cel_kind)n->value.kind);
    case FED_CEL_N_IDENT:
        return check_ident(k, n);
    case FED_CEL_N_SELECT:
    case FED_CEL_N_HAS:
        return check_select(k, n);
    case FED_CEL_N_INDEX:
        return check_index(k, n);
    case FED_CEL_N_CALL:
        return check_call(k, n);
    case FED_CEL_N_OP:
        return check_op(k, n);
    case FED_CEL_N_AND:
    case FED_CEL_N_OR:
        return check_logic(k, n);
    case FED_CEL_N_COND:
        return check_cond(k, n);
    case FED_CEL_N_LIST:
        return check_list(k, n);
    case FED_CEL_N_MAP:
        return check_map(k, n);
    case FED_CEL_N_FOLD:
        return check_fold(k, n);
    case FED_CEL_N_MESSAGE: /* there are no types of messages */
        break;
    }
    return undeclared(k, n, n->name);
}

static fed_cel_type_ref check(struct checker *k, struct fed_cel_node *n)
{
    return n->type = check_node(k, n);
}

void fed_cel_check(struct fed_cel_issues *is, struct fed_cel_node *root, const struct fed_cel_var *vars, size_t n_vars,
                   struct fed_cel_program *p)
{
    struct checker k = {
        .issues = is, .a = is->arena, .p = p, .next_slot = (int)n_vars, .max_used = is->arena->used + MAX_SIZE};
    struct scope scopes[MAX_VARS];

    FED_REQUIRE(n_vars <= MAX_VARS);
    p->n_vars = (uint32_t)n_vars;
    p->n_slots = (int)n_vars;
    p->root = root;
    for (size_t i = 0; i < n_vars; i++) {
        scopes[i] = (struct scope){vars[i].name, vars[i].type, (int)i, k.scope};
        k.scope = &scopes[i];
    }
    check(&k, root);
}
