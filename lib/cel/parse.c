/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c: tokens into nodes; macros become nodes of their own. */
#include <math.h>

#include "cel/cel_priv.h"

enum { MAX_NODES = 50000 };

struct parser {
    struct fed_cel_lexer l;
    struct fed_cel_issues *issues;
    struct fed_arena *a;
    uint32_t nodes;
    int depth;
};
struct list { /* of nodes while it grows */
    struct fed_cel_node **p;
    uint32_t n, cap;
};

static struct fed_cel_node *parse_expr(struct parser *p);
static struct fed_cel_node *parse_unary(struct parser *p);

static struct fed_str token_text(const struct parser *p)
{
    return p->l.token == FED_CEL_T_END ? FED_STR("<EOF>") : p->l.text;
}

/* Only the first syntax error is told. */
static struct fed_cel_node *syntax(struct parser *p, const char *expecting)
{
    if (!p->issues->n)
        fed_cel_issue(p->issues, p->l.off, "Syntax error: mismatched input '%.*s' expecting %s",
                      FED_STR_ARG(fed_str_head(token_text(p), 64)), expecting);
    return NULL;
}

static bool is_punct(const struct parser *p, const char *z)
{
    return p->l.token == FED_CEL_T_PUNCT && fed_str_is(p->l.text, z);
}

static bool accept(struct parser *p, const char *z)
{
    if (!is_punct(p, z))
        return false;
    fed_cel_lex(&p->l);
    return true;
}

static bool need(struct parser *p, const char *z, const char *expecting)
{
    if (accept(p, z))
        return true;
    syntax(p, expecting);
    return false;
}

static bool push(struct parser *p, struct list *l, struct fed_cel_node *n)
{
    if (!n)
        return false;
    FED_ARENA_ROOM(p->a, l->p, l->n, l->cap, 4);
    l->p[l->n++] = n;
    return true;
}

/* A node over `n` arguments; NULL when the tree grows too high or too large. */
static struct fed_cel_node *make(struct parser *p, enum fed_cel_node_kind kind, uint32_t off,
                                 struct fed_cel_node **args, uint32_t n)
{
    struct fed_cel_node *node = FED_ARENA_NEW(p->a, struct fed_cel_node);
    uint32_t height = 0;

    for (uint32_t i = 0; i < n; i++)
        height = FED_MAX(height, args[i]->height);
    if (height >= FED_CEL_MAX_DEPTH || ++p->nodes > MAX_NODES) {
        if (!p->issues->n)
            fed_cel_issue(p->issues, off, "expression recursion limit exceeded: %d", FED_CEL_MAX_DEPTH);
        return NULL;
    }
    *node = (struct fed_cel_node){
        .kind = (uint8_t)kind, .off = off, .args = args, .n = n, .height = (uint16_t)(height + 1)};
    return node;
}

static struct fed_cel_node *make1(struct parser *p, enum fed_cel_node_kind kind, uint32_t off, struct fed_cel_node *arg)
{
    struct fed_cel_node **args = FED_ARENA_ARRAY(p->a, struct fed_cel_node *, 1);

    args[0] = arg;
    return make(p, kind, off, args, 1);
}

static struct fed_cel_node *make2(struct parser *p, enum fed_cel_node_kind kind, uint32_t off, struct fed_cel_node *x,
                                  struct fed_cel_node *y)
{
    struct fed_cel_node **args = FED_ARENA_ARRAY(p->a, struct fed_cel_node *, 2);

    args[0] = x;
    args[1] = y;
    return make(p, kind, off, args, 2);
}

static struct fed_cel_node *constant(struct parser *p, uint32_t off, struct fed_cel_value v)
{
    struct fed_cel_node *n = make(p, FED_CEL_N_CONST, off, NULL, 0);

    if (n)
        n->value = v;
    return n;
}

/* --- literals --- */

static bool read_u64(struct fed_str s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n <= 2 || s.p[0] != '0' || s.p[1] != 'x')
        return fed_str_u64(s, out) == 0;
    for (size_t i = 2; i < s.n; i++) {
        char c = s.p[i];
        unsigned d = (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);

        if (v >> 60)
            return false;
        v = v << 4 | d;
    }
    *out = v;
    return true;
}

static struct fed_cel_node *parse_number(struct parser *p, bool negative, uint32_t off)
{
    struct fed_str s = p->l.text;
    enum fed_cel_token t = p->l.token;
    struct fed_cel_value v = {0};
    uint64_t u = 0;
    bool ok = true;

    if (t == FED_CEL_T_DOUBLE) {
        v = fed_cel_double(strtod(fed_arena_dupz(p->a, s), NULL) * (negative ? -1 : 1));
        ok = isfinite(v.d);
    } else if (t == FED_CEL_T_UINT) {
        ok = read_u64(fed_str_head(s, s.n - 1), &u);
        v = (struct fed_cel_value){.kind = FED_CEL_UINT, .u = u};
    } else {
        ok = read_u64(s, &u) && u <= (uint64_t)INT64_MAX + negative;
        v = fed_cel_int((int64_t)(negative ? 0 - u : u));
    }
    fed_cel_lex(&p->l);
    if (!ok) {
        fed_cel_issue(p->issues, off, "invalid %s literal",
                      t == FED_CEL_T_DOUBLE ? "double"
                      : t == FED_CEL_T_UINT ? "uint"
                                            : "int");
        return NULL;
    }
    return constant(p, off, v);
}

static struct fed_cel_node *parse_keyword(struct parser *p)
{
    struct fed_str s = p->l.text;
    uint32_t off = p->l.off;

    if (fed_str_is(s, "in"))
        return syntax(p, "an expression");
    fed_cel_lex(&p->l);
    if (fed_str_is(s, "null"))
        return constant(p, off, (struct fed_cel_value){.kind = FED_CEL_NULL});
    return constant(p, off, fed_cel_bool(fed_str_is(s, "true")));
}

/* --- lists, maps, messages --- */

static bool mark_optional(struct parser *p, struct fed_cel_node *n, struct list *flags)
{
    /* flags holds NULL or a node for each entry: the list of nodes serves as a list of marks. */
    (void)p;
    FED_ARENA_ROOM(p->a, flags->p, flags->n, flags->cap, 4);
    flags->p[flags->n++] = n;
    return n != NULL;
}

static void take_marks(struct parser *p, struct fed_cel_node *node, const struct list *marks, bool any)
{
    if (!node || !any)
        return;
    node->optional_entry = FED_ARENA_ARRAY(p->a, bool, marks->n);
    for (uint32_t i = 0; i < marks->n; i++)
        node->optional_entry[i] = marks->p[i] != NULL;
}

static struct fed_cel_node *parse_list(struct parser *p)
{
    uint32_t off = p->l.off;
    struct list items = {0}, marks = {0};
    bool any = false;
    struct fed_cel_node *node;

    fed_cel_lex(&p->l);
    while (!is_punct(p, "]")) {
        bool optional = accept(p, "?");
        struct fed_cel_node *item = parse_expr(p);

        if (!push(p, &items, item))
            return NULL;
        any |= mark_optional(p, optional ? item : NULL, &marks);
        if (!accept(p, ","))
            break;
    }
    if (!need(p, "]", "{']', ','}"))
        return NULL;
    node = make(p, FED_CEL_N_LIST, off, items.p, items.n);
    take_marks(p, node, &marks, any);
    return node;
}

static struct fed_cel_node *parse_map(struct parser *p)
{
    uint32_t off = p->l.off;
    struct list items = {0}, marks = {0};
    bool any = false;
    struct fed_cel_node *node;

    fed_cel_lex(&p->l);
    while (!is_punct(p, "}")) {
        bool optional = accept(p, "?");
        struct fed_cel_node *key = parse_expr(p);

        if (!push(p, &items, key) || !need(p, ":", "':'") || !push(p, &items, parse_expr(p)))
            return NULL;
        any |= mark_optional(p, optional ? key : NULL, &marks);
        if (!accept(p, ","))
            break;
    }
    if (!need(p, "}", "{'}', ','}"))
        return NULL;
    node = make(p, FED_CEL_N_MAP, off, items.p, items.n);
    take_marks(p, node, &marks, any);
    return node;
}

/* "a.b.C{field: value}": what is before the brace, when it is names alone. */
static bool message_name(struct parser *p, const struct fed_cel_node *n, struct fed_str *out)
{
    struct fed_str head;

    if (n->kind == FED_CEL_N_IDENT) {
        *out = n->name;
        return true;
    }
    if (n->kind != FED_CEL_N_SELECT || n->optional || !message_name(p, n->args[0], &head))
        return false;
    *out = fed_arena_printf(p->a, "%.*s.%.*s", FED_STR_ARG(head), FED_STR_ARG(n->name));
    return true;
}

static struct fed_cel_node *parse_message(struct parser *p, struct fed_cel_node *of)
{
    uint32_t off = p->l.off;
    struct list items = {0};
    struct fed_str name;
    struct fed_cel_node *node;

    if (!message_name(p, of, &name))
        return syntax(p, "<EOF>");
    fed_cel_lex(&p->l);
    while (!is_punct(p, "}")) {
        accept(p, "?");
        if (p->l.token != FED_CEL_T_IDENT && p->l.token != FED_CEL_T_QUOTED)
            return syntax(p, "{'}', ',', IDENTIFIER}");
        fed_cel_lex(&p->l);
        if (!need(p, ":", "':'") || !push(p, &items, parse_expr(p)))
            return NULL;
        if (!accept(p, ","))
            break;
    }
    if (!need(p, "}", "{'}', ','}"))
        return NULL;
    node = make(p, FED_CEL_N_MESSAGE, off, items.p, items.n);
    if (node)
        node->name = name;
    return node;
}

/* --- macros --- */

static struct fed_cel_node *issue_at(struct parser *p, const struct fed_cel_node *at, const char *what)
{
    fed_cel_issue(p->issues, at->off, "%s", what);
    return NULL;
}

/* 0: not a macro. Its number of variables else. */
static int macro_of(struct fed_str name, uint32_t n, enum fed_cel_fold *fold)
{
    static const struct {
        const char *name;
        uint32_t args;
        int vars;
        enum fed_cel_fold fold;
    } macros[] = {{"all", 2, 1, FED_CEL_ALL},
                  {"exists", 2, 1, FED_CEL_EXISTS},
                  {"exists_one", 2, 1, FED_CEL_EXISTS_ONE},
                  {"existsOne", 2, 1, FED_CEL_EXISTS_ONE},
                  {"filter", 2, 1, FED_CEL_FILTER},
                  {"map", 2, 1, FED_CEL_TO_LIST},
                  {"map", 3, 1, FED_CEL_TO_LIST},
                  {"all", 3, 2, FED_CEL_ALL},
                  {"exists", 3, 2, FED_CEL_EXISTS},
                  {"existsOne", 3, 2, FED_CEL_EXISTS_ONE},
                  {"transformList", 3, 2, FED_CEL_TO_LIST},
                  {"transformList", 4, 2, FED_CEL_TO_LIST},
                  {"transformMap", 3, 2, FED_CEL_TO_MAP},
                  {"transformMap", 4, 2, FED_CEL_TO_MAP},
                  {"optMap", 2, 1, FED_CEL_OPT_MAP},
                  {"optFlatMap", 2, 1, FED_CEL_OPT_FLAT_MAP}};

    for (size_t i = 0; i < FED_ARRAY_LEN(macros); i++)
        if (macros[i].args == n && fed_str_is(name, macros[i].name)) {
            *fold = macros[i].fold;
            return macros[i].vars;
        }
    return 0;
}

/* range.name(args…) where name is a macro. */
static struct fed_cel_node *make_fold(struct parser *p, uint32_t off, struct fed_cel_node *range,
                                      const struct list *args, enum fed_cel_fold fold, int vars)
{
    struct list kept = {0};
    struct fed_cel_node *node;
    bool filtered = args->n == (uint32_t)vars + 2;

    for (int i = 0; i < vars; i++) {
        if (args->p[i]->kind != FED_CEL_N_IDENT)
            return issue_at(p, args->p[i],
                            vars == 1 ? "argument must be a simple name" : "argument is not an identifier");
        if (fed_str_is(args->p[i]->name, "__result__") || fed_str_is(args->p[i]->name, "@result"))
            return issue_at(p, args->p[i], "iteration variable overwrites accumulator variable");
    }
    push(p, &kept, range);
    push(p, &kept, args->p[args->n - 1]);
    if (filtered)
        push(p, &kept, args->p[vars]);
    node = make(p, FED_CEL_N_FOLD, off, kept.p, kept.n);
    if (!node)
        return NULL;
    node->op = (uint8_t)fold;
    node->filter = filtered ? args->p[vars] : NULL;
    for (int i = 0; i < vars; i++)
        node->vars[i] = args->p[i]->name;
    return node;
}

static struct fed_cel_node *make_has(struct parser *p, uint32_t off, struct fed_cel_node *of)
{
    struct fed_cel_node *n;

    if (of->kind != FED_CEL_N_SELECT || of->optional)
        return issue_at(p, of, "invalid argument to has() macro");
    n = make1(p, FED_CEL_N_HAS, off, of->args[0]);
    if (n)
        n->name = of->name;
    return n;
}

/* --- members and calls --- */

static bool parse_args(struct parser *p, struct list *args)
{
    if (accept(p, ")"))
        return true;
    do {
        if (!push(p, args, parse_expr(p)))
            return false;
    } while (accept(p, ","));
    return need(p, ")", "{')', ','}");
}

static struct fed_cel_node *parse_call(struct parser *p, struct fed_str name, struct fed_cel_node *target)
{
    uint32_t off = p->l.off;
    struct list own = {0}, all = {0};
    enum fed_cel_fold fold;
    struct fed_cel_node *node;
    int vars;

    fed_cel_lex(&p->l);
    if (!parse_args(p, &own))
        return NULL;
    if (target && (vars = macro_of(name, own.n, &fold)))
        return make_fold(p, off, target, &own, fold, vars);
    if (!target && own.n == 1 && fed_str_is(name, "has"))
        return make_has(p, off, own.p[0]);
    if (target)
        push(p, &all, target);
    for (uint32_t i = 0; i < own.n; i++)
        push(p, &all, own.p[i]);
    node = make(p, FED_CEL_N_CALL, off, all.p, all.n);
    if (!node)
        return NULL;
    node->name = name;
    node->member = target != NULL;
    return node;
}

static struct fed_cel_node *parse_field(struct parser *p, struct fed_cel_node *of)
{
    uint32_t off = p->l.off;
    bool optional, quoted;
    struct fed_str name;
    struct fed_cel_node *node;

    fed_cel_lex(&p->l);
    optional = accept(p, "?");
    quoted = p->l.token == FED_CEL_T_QUOTED;
    if (p->l.token != FED_CEL_T_IDENT && !quoted)
        return syntax(p, "IDENTIFIER");
    name = quoted ? p->l.value : p->l.text;
    fed_cel_lex(&p->l);
    if (is_punct(p, "(") && !optional && !quoted)
        return parse_call(p, name, of);
    node = make1(p, FED_CEL_N_SELECT, off, of);
    if (!node)
        return NULL;
    node->name = name;
    node->optional = optional;
    return node;
}

static struct fed_cel_node *parse_index(struct parser *p, struct fed_cel_node *of)
{
    uint32_t off = p->l.off;
    bool optional;
    struct fed_cel_node *index, *node;

    fed_cel_lex(&p->l);
    optional = accept(p, "?");
    index = parse_expr(p);
    if (!index || !need(p, "]", "']'"))
        return NULL;
    node = make2(p, FED_CEL_N_INDEX, off, of, index);
    if (node)
        node->optional = optional;
    return node;
}

static bool is_reserved(struct fed_str s)
{
    static const char *const words[] = {"as",       "break", "const",  "continue",  "else",  "for",
                                        "function", "if",    "import", "let",       "loop",  "package",
                                        "var",      "void",  "while",  "namespace", "return"};

    for (size_t i = 0; i < FED_ARRAY_LEN(words); i++)
        if (fed_str_is(s, words[i]))
            return true;
    return false;
}

static struct fed_cel_node *parse_name(struct parser *p, bool leading_dot)
{
    struct fed_str name = p->l.text;
    uint32_t off = p->l.off;
    struct fed_cel_node *n;

    (void)leading_dot; /* names are looked up at the root anyway: there is no container */
    fed_cel_lex(&p->l);
    if (is_reserved(name)) {
        if (!p->issues->n)
            fed_cel_issue(p->issues, off, "reserved identifier: %.*s", FED_STR_ARG(name));
        return NULL;
    }
    if (is_punct(p, "("))
        return parse_call(p, name, NULL);
    n = make(p, FED_CEL_N_IDENT, off, NULL, 0);
    if (n)
        n->name = name;
    return n;
}

static struct fed_cel_node *parse_primary(struct parser *p)
{
    static const char start[] = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, "
                                "STRING, BYTES, IDENTIFIER}";
    struct fed_cel_node *n;
    struct fed_cel_value text = {.s = p->l.value};
    uint32_t off = p->l.off;

    switch (p->l.token) {
    case FED_CEL_T_INT:
    case FED_CEL_T_UINT:
    case FED_CEL_T_DOUBLE:
        return parse_number(p, false, off);
    case FED_CEL_T_STRING:
    case FED_CEL_T_BYTES:
        text.kind = p->l.token == FED_CEL_T_STRING ? FED_CEL_STRING : FED_CEL_BYTES;
        fed_cel_lex(&p->l);
        return constant(p, off, text);
    case FED_CEL_T_KEYWORD:
        return parse_keyword(p);
    case FED_CEL_T_IDENT:
        return parse_name(p, false);
    default:
        break;
    }
    if (is_punct(p, "["))
        return parse_list(p);
    if (is_punct(p, "{"))
        return parse_map(p);
    if (accept(p, ".")) {
        if (p->l.token != FED_CEL_T_IDENT)
            return syntax(p, "IDENTIFIER");
        return parse_name(p, true);
    }
    if (!accept(p, "("))
        return syntax(p, start);
    n = parse_expr(p);
    return n && need(p, ")", "')'") ? n : NULL;
}

static struct fed_cel_node *parse_member(struct parser *p)
{
    struct fed_cel_node *n = parse_primary(p);

    while (n && p->l.token == FED_CEL_T_PUNCT) {
        if (is_punct(p, "."))
            n = parse_field(p, n);
        else if (is_punct(p, "["))
            n = parse_index(p, n);
        else if (is_punct(p, "{") && (n->kind == FED_CEL_N_IDENT || n->kind == FED_CEL_N_SELECT))
            n = parse_message(p, n);
        else
            break;
    }
    return n;
}

/* --- operators --- */

/* Pairs of the same sign undo each other. A minus before a number is the number's. */
static struct fed_cel_node *parse_signs(struct parser *p, const char *sign, enum fed_cel_op op)
{
    uint32_t off = p->l.off, count = 0;
    struct fed_cel_node *n;

    while (is_punct(p, sign)) {
        off = count ? off : p->l.off;
        count++;
        fed_cel_lex(&p->l);
    }
    if (op == FED_CEL_OP_NEG && count == 1 && (p->l.token == FED_CEL_T_INT || p->l.token == FED_CEL_T_DOUBLE)) {
        n = parse_number(p, true, off);
        while (n && (is_punct(p, ".") || is_punct(p, "[")))
            n = is_punct(p, ".") ? parse_field(p, n) : parse_index(p, n);
        return n;
    }
    n = parse_member(p);
    if (!n || count % 2 == 0)
        return n;
    n = make1(p, FED_CEL_N_OP, off, n);
    if (n)
        n->op = (uint8_t)op;
    return n;
}

static struct fed_cel_node *parse_unary(struct parser *p)
{
    if (is_punct(p, "!"))
        return parse_signs(p, "!", FED_CEL_OP_NOT);
    if (is_punct(p, "-"))
        return parse_signs(p, "-", FED_CEL_OP_NEG);
    return parse_member(p);
}

/* The binary operator at hand and how it binds; 0: none. */
static int binary_level(const struct parser *p, enum fed_cel_op *op)
{
    static const struct {
        const char *text;
        int level;
        enum fed_cel_op op;
    } ops[] = {{"==", 1, FED_CEL_OP_EQ}, {"!=", 1, FED_CEL_OP_NE}, {"<", 1, FED_CEL_OP_LT},  {"<=", 1, FED_CEL_OP_LE},
               {">", 1, FED_CEL_OP_GT},  {">=", 1, FED_CEL_OP_GE}, {"+", 2, FED_CEL_OP_ADD}, {"-", 2, FED_CEL_OP_SUB},
               {"*", 3, FED_CEL_OP_MUL}, {"/", 3, FED_CEL_OP_DIV}, {"%", 3, FED_CEL_OP_MOD}};

    if (p->l.token == FED_CEL_T_KEYWORD && fed_str_is(p->l.text, "in")) {
        *op = FED_CEL_OP_IN;
        return 1;
    }
    for (size_t i = 0; p->l.token == FED_CEL_T_PUNCT && i < FED_ARRAY_LEN(ops); i++)
        if (fed_str_is(p->l.text, ops[i].text)) {
            *op = ops[i].op;
            return ops[i].level;
        }
    return 0;
}

static struct fed_cel_node *parse_binary(struct parser *p, int level)
{
    struct fed_cel_node *left = level > 3 ? parse_unary(p) : parse_binary(p, level + 1), *right;
    enum fed_cel_op op = FED_CEL_OP_EQ;

    while (left && level <= 3 && binary_level(p, &op) == level) {
        uint32_t off = p->l.off;

        fed_cel_lex(&p->l);
        right = parse_binary(p, level + 1);
        left = right ? make2(p, FED_CEL_N_OP, off, left, right) : NULL;
        if (left)
            left->op = (uint8_t)op;
    }
    return left;
}

static struct fed_cel_node *parse_chain(struct parser *p, bool is_or)
{
    struct list terms = {0};
    uint32_t off = 0;

    do {
        struct fed_cel_node *term = is_or ? parse_chain(p, false) : parse_binary(p, 1);

        if (!push(p, &terms, term))
            return NULL;
        off = terms.n == 1 ? p->l.off : off;
    } while (accept(p, is_or ? "||" : "&&"));
    return terms.n == 1 ? terms.p[0] : make(p, is_or ? FED_CEL_N_OR : FED_CEL_N_AND, off, terms.p, terms.n);
}

static struct fed_cel_node *parse_conditional(struct parser *p)
{
    struct fed_cel_node *cond = parse_chain(p, true);
    struct list args = {0};
    uint32_t off = p->l.off;

    if (!cond || !accept(p, "?"))
        return cond;
    push(p, &args, cond);
    if (!push(p, &args, parse_chain(p, true)) || !need(p, ":", "':'") || !push(p, &args, parse_expr(p)))
        return NULL;
    return make(p, FED_CEL_N_COND, off, args.p, args.n);
}

static struct fed_cel_node *parse_expr(struct parser *p)
{
    struct fed_cel_node *n;

    if (++p->depth > FED_CEL_MAX_DEPTH) {
        if (!p->issues->n)
            fed_cel_issue(p->issues, p->l.off, "expression recursion limit exceeded: %d", FED_CEL_MAX_DEPTH);
        return NULL;
    }
    n = parse_conditional(p);
    p->depth--;
    return n;
}

struct fed_cel_node *fed_cel_parse_text(struct fed_cel_issues *is, struct fed_str text)
{
    struct parser p = {.issues = is, .a = is->arena, .l = {.issues = is, .in = text}};
    struct fed_cel_node *n;

    fed_cel_lex(&p.l);
    n = parse_expr(&p);
    if (n && p.l.token != FED_CEL_T_END)
        return syntax(&p, "<EOF>");
    return is->n ? NULL : n;
}
